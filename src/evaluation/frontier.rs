//! What escalation buys: quality against the share of requests that System 2 answers.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Most points of a curve, less one.
const STEPS: usize = 200;
/// Relative slack for sums that are equal on paper.
const ROUNDING: f64 = 1e-12;

/// Quality over escalation, with RouteLLM's measures (Ong et al. 2024).
///
/// The performance gap recovered at a share is PGR = (quality − `system1`) / (`system2` −
/// `system1`): 0 with System 1 alone, 1 with System 2 alone. The measures are `None` where System 2
/// is not better, for there is no gap to recover.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Frontier {
    /// `[share escalated, mean quality]` with the most uncertain requests escalated first, from
    /// share 0 to 1; at most 201 points.
    pub router: Vec<[f64; 2]>,
    /// The same with those first that gain most: at every point the best that any order does.
    pub oracle: Vec<[f64; 2]>,
    /// Mean quality of System 1 alone.
    pub system1: f64,
    /// Mean quality of System 2 alone.
    pub system2: f64,
    /// Average PGR over all shares; 0.5 is what escalating at random does.
    pub apgr: Option<f64>,
    /// CPT(50 %): the least share of calls at which PGR reaches 0.5.
    pub cpt50: Option<f64>,
    /// CPT(80 %), likewise.
    pub cpt80: Option<f64>,
}

/// The frontier of requests by how uncertain System 1 is of each, and by the quality of each
/// system's answer to it.
///
/// Requests of equal uncertainty are escalated in no particular order: each counts as their mean
/// gain. A NaN is as uncertain as can be. No requests have an empty frontier.
///
/// # Panics
/// Where the three do not have the same length.
pub fn frontier(uncertainty: &[f64], system1: &[f64], system2: &[f64]) -> Frontier {
    assert_eq!(uncertainty.len(), system1.len(), "one quality of System 1 for each request");
    assert_eq!(uncertainty.len(), system2.len(), "one quality of System 2 for each request");
    let n = uncertainty.len();
    if n == 0 {
        return Frontier::default();
    }
    let gains: Vec<f64> = system2.iter().zip(system1).map(|(two, one)| two - one).collect();
    let router = cumulated(&by_uncertainty(uncertainty, &gains));
    let mut best_first = gains;
    best_first.sort_by(|a, b| b.total_cmp(a));
    // Where all orders are equally good, rounding must not put the oracle below the router.
    let oracle: Vec<f64> =
        cumulated(&best_first).iter().zip(&router).map(|(oracle, own)| oracle.max(*own)).collect();

    let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
    let (system1, system2) = (mean(system1), mean(system2));
    let steps = n.min(STEPS);
    let curve = |gained: &[f64]| {
        let at = |step: usize| (step * n + steps / 2) / steps;
        let point = |k: usize| [k as f64 / n as f64, system1 + gained[k] / n as f64];
        (0..=steps).map(|step| point(at(step))).collect()
    };
    let gap = router[n];
    let scale = n as f64 * system1.abs().max(system2.abs());
    let is_better = gap > ROUNDING * scale;
    let reaching = |share: f64| {
        let needed = (share - ROUNDING) * gap;
        let calls = router.iter().position(|&gained| gained >= needed)?;
        is_better.then_some(calls as f64 / n as f64)
    };
    let area: f64 = router.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum();
    Frontier {
        router: curve(&router),
        oracle: curve(&oracle),
        system1,
        system2,
        apgr: is_better.then(|| area / gap / n as f64),
        cpt50: reaching(0.5),
        cpt80: reaching(0.8),
    }
}

/// Gains, the most uncertain request's first, those of equal uncertainty as their mean.
fn by_uncertainty(uncertainty: &[f64], gains: &[f64]) -> Vec<f64> {
    let doubt = |index: usize| {
        let own = uncertainty[index];
        if own.is_nan() { f64::INFINITY } else { own }
    };
    let mut order: Vec<usize> = (0..gains.len()).collect();
    order.sort_by(|&a, &b| doubt(b).partial_cmp(&doubt(a)).unwrap_or(Ordering::Equal));
    order
        .chunk_by(|&a, &b| doubt(a) == doubt(b))
        .flat_map(|tied| {
            let mean = tied.iter().map(|&index| gains[index]).sum::<f64>() / tied.len() as f64;
            tied.iter().map(move |_| mean)
        })
        .collect()
}

/// What the first k gain together, for k from 0 to n.
fn cumulated(gains: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let sums = gains.iter().map(|gain| {
        sum += gain;
        sum
    });
    std::iter::once(0.0).chain(sums).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-12, "{actual} != {expected}");
    }

    fn qualities(curve: &[[f64; 2]]) -> Vec<f64> {
        curve.iter().map(|point| point[1]).collect()
    }

    #[test]
    fn a_hand_worked_frontier() {
        // By falling uncertainty the gains are +1, 0, −1, +1 of four requests.
        let frontier =
            frontier(&[0.2, 0.9, 0.5, 0.7], &[0.0, 0.0, 1.0, 1.0], &[1.0, 1.0, 0.0, 1.0]);
        assert_eq!((frontier.system1, frontier.system2), (0.5, 0.75));
        assert_eq!(
            frontier.router,
            [[0.0, 0.5], [0.25, 0.75], [0.5, 0.75], [0.75, 0.5], [1.0, 0.75]]
        );
        assert_eq!(qualities(&frontier.oracle), [0.5, 0.75, 1.0, 1.0, 0.75]);
        // PGR is 0, 1, 1, 0, 1: trapezoids ½, 1, ½, ½ of a quarter each.
        near(frontier.apgr.unwrap(), 0.625);
        assert_eq!((frontier.cpt50, frontier.cpt80), (Some(0.25), Some(0.25)));
    }

    #[test]
    fn the_least_calls_for_a_share_of_the_gap() {
        // Ten requests gain alike: a straight line, so 50 % of calls for 50 % of the gap.
        let doubt: Vec<f64> = (0..10).map(f64::from).collect();
        let frontier = frontier(&doubt, &[0.1; 10], &[0.4; 10]);
        near(frontier.apgr.unwrap(), 0.5);
        assert_eq!((frontier.cpt50, frontier.cpt80), (Some(0.5), Some(0.8)));
        // Whatever the gain's binary digits: five times some hundredths fall short of half of ten.
        for hundredths in 1..100 {
            let gain = f64::from(hundredths) / 100.0;
            let line = super::frontier(&doubt, &[0.0; 10], &[gain; 10]);
            assert_eq!((line.cpt50, line.cpt80), (Some(0.5), Some(0.8)), "{gain}");
        }
    }

    #[test]
    fn ties_count_as_their_mean_whatever_their_order() {
        let one = frontier(&[0.5, 0.5, 0.1], &[0.0; 3], &[1.0, 0.0, 0.0]);
        let other = frontier(&[0.5, 0.5, 0.1], &[0.0; 3], &[0.0, 1.0, 0.0]);
        assert_eq!(one, other);
        near(one.router[1][1], 1.0 / 6.0);
        near(one.router[2][1], 1.0 / 3.0);
        near(one.oracle[1][1], 1.0 / 3.0);
        // Uncertainty that says nothing is the random diagonal.
        let blind = frontier(&[0.3; 4], &[0.0; 4], &[0.0, 0.0, 0.0, 1.0]);
        near(blind.apgr.unwrap(), 0.5);
        assert_eq!((blind.cpt50, blind.cpt80), (Some(0.5), Some(1.0)));
        // So are NaNs among themselves, ahead of everything else.
        let broken = frontier(&[1.0, f64::NAN], &[0.0; 2], &[0.0, 1.0]);
        assert_eq!(qualities(&broken.router), [0.0, 0.5, 0.5]);
    }

    #[test]
    fn without_a_better_system_2_there_is_no_gap_to_recover() {
        for system2 in [[0.2, 0.5, 0.3], [0.3, 0.6, 0.1], [0.0; 3]] {
            let frontier = frontier(&[0.1, 0.2, 0.3], &[0.3, 0.6, 0.1], &system2);
            assert_eq!((frontier.apgr, frontier.cpt50, frontier.cpt80), (None, None, None));
            assert_eq!(frontier.router.len(), 4);
        }
        // Equal on paper and not in binary: 0.1 + 0.2 against 0.3.
        let rounding = frontier(&[0.1, 0.2, 0.3], &[0.3, 0.0, 0.0], &[0.1, 0.2, 0.0]);
        assert_eq!(rounding.apgr, None);
    }

    #[test]
    fn one_request_and_none() {
        let one = frontier(&[0.5], &[0.25], &[0.75]);
        assert_eq!(one.router, [[0.0, 0.25], [1.0, 0.75]]);
        assert_eq!(one.oracle, one.router);
        assert_eq!((one.apgr, one.cpt50, one.cpt80), (Some(0.5), Some(1.0), Some(1.0)));
        assert_eq!(frontier(&[], &[], &[]), Frontier::default());
    }

    #[test]
    fn many_requests_have_201_points_and_exact_measures() {
        // The most uncertain tenth of 1003 gains everything.
        let doubt: Vec<f64> = (0..1003).map(f64::from).collect();
        let system2: Vec<f64> = doubt.iter().map(|&d| if d >= 903.0 { 1.0 } else { 0.0 }).collect();
        let frontier = frontier(&doubt, &[0.0; 1003], &system2);
        assert_eq!(frontier.router.len(), 201);
        assert_eq!(frontier.router[0][0], 0.0);
        assert_eq!(frontier.router[200][0], 1.0);
        assert_eq!(frontier.router, frontier.oracle);
        near(frontier.cpt50.unwrap(), 50.0 / 1003.0);
        near(frontier.cpt80.unwrap(), 80.0 / 1003.0);
        near(frontier.apgr.unwrap(), 1.0 - 50.0 / 1003.0);
    }

    proptest! {
        #[test]
        fn no_order_beats_the_oracle_and_all_end_alike(
            requests in prop::collection::vec((0u8..10, 0.0f64..1.0, 0.0f64..1.0), 1..450),
        ) {
            let doubt: Vec<f64> = requests.iter().map(|r| f64::from(r.0) / 10.0).collect();
            let one: Vec<f64> = requests.iter().map(|r| r.1).collect();
            let two: Vec<f64> = requests.iter().map(|r| r.2).collect();
            let frontier = frontier(&doubt, &one, &two);
            prop_assert_eq!(frontier.router.len(), requests.len().min(200) + 1);
            for (router, oracle) in frontier.router.iter().zip(&frontier.oracle) {
                prop_assert_eq!(router[0], oracle[0]);
                prop_assert!(oracle[1] >= router[1]);
            }
            let end = frontier.router[frontier.router.len() - 1];
            prop_assert_eq!(end[0], 1.0);
            prop_assert!((end[1] - frontier.system2).abs() < 1e-9);
            prop_assert_eq!(frontier.apgr.is_some(), frontier.cpt80.is_some());
        }
    }
}
