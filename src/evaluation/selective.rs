//! Selective prediction: how often those are wrong that a model keeps for itself.

use std::cmp::Ordering;

/// Risk against coverage (El-Yaniv & Wiener 2010): `[k / n, mean loss of the k cases of least
/// doubt]` for k from 1 to n. Cases of equal doubt come in no particular order: each counts as
/// their mean loss. A NaN is as doubtful as can be.
///
/// # Panics
/// Where there is not one loss for each doubt.
pub fn risk_coverage(doubt: &[f64], loss: &[f64]) -> Vec<[f64; 2]> {
    assert_eq!(doubt.len(), loss.len(), "one loss for each case");
    let n = doubt.len() as f64;
    let of = |index: usize| if doubt[index].is_nan() { f64::INFINITY } else { doubt[index] };
    let mut order: Vec<usize> = (0..doubt.len()).collect();
    order.sort_by(|&a, &b| of(a).partial_cmp(&of(b)).unwrap_or(Ordering::Equal));
    let (mut lost, mut kept) = (0.0, 0.0);
    let mut curve = Vec::with_capacity(doubt.len());
    for tied in order.chunk_by(|&a, &b| of(a) == of(b)) {
        let mean = tied.iter().map(|&index| loss[index]).sum::<f64>() / tied.len() as f64;
        for _ in tied {
            lost += mean;
            kept += 1.0;
            curve.push([kept / n, lost / kept]);
        }
    }
    curve
}

/// Area under the risk–coverage curve: the mean risk over all coverages (Geifman, Uziel & El-Yaniv
/// 2019). Doubt that says nothing gives the mean loss. `None` without cases.
///
/// # Panics
/// Where there is not one loss for each doubt.
pub fn aurc(doubt: &[f64], loss: &[f64]) -> Option<f64> {
    let curve = risk_coverage(doubt, loss);
    let sum: f64 = curve.iter().map(|[_, risk]| risk).sum();
    (!curve.is_empty()).then(|| sum / curve.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_worked_curve() {
        // Kept in the order of doubt: losses 0, 1, 0, 1.
        let curve = risk_coverage(&[0.3, 0.1, 0.9, 0.2], &[0.0, 0.0, 1.0, 1.0]);
        let expected = [[0.25, 0.0], [0.5, 0.5], [0.75, 1.0 / 3.0], [1.0, 0.5]];
        for (point, expected) in curve.iter().zip(expected) {
            assert!((point[0] - expected[0]).abs() < 1e-12);
            assert!((point[1] - expected[1]).abs() < 1e-12);
        }
        let area = aurc(&[0.3, 0.1, 0.9, 0.2], &[0.0, 0.0, 1.0, 1.0]).unwrap();
        assert!((area - (0.5 + 1.0 / 3.0 + 0.5) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn doubt_that_says_nothing_has_the_mean_loss_everywhere() {
        let curve = risk_coverage(&[1.0; 4], &[0.0, 1.0, 1.0, 0.0]);
        assert!(curve.iter().all(|[_, risk]| (risk - 0.5).abs() < 1e-12));
        assert_eq!(aurc(&[], &[]), None);
    }

    #[test]
    fn perfect_doubt_is_best_and_reversed_doubt_worst() {
        let loss = [1.0, 0.0, 0.0, 1.0, 0.0];
        let reversed = loss.map(|loss| -loss);
        let constant = [0.0; 5];
        let area = |doubt: &[f64]| aurc(doubt, &loss).unwrap();
        assert!(area(&loss) < area(&constant) && area(&constant) < area(&reversed));
        // Three right ones first, then 1/4 and 2/5.
        assert!((area(&loss) - (0.25 + 0.4) / 5.0).abs() < 1e-12);
    }
}
