//! Whether a model's probabilities mean what they say, and the temperature that makes them.

use serde::{Deserialize, Serialize};

use crate::routing::softmax;

/// The temperatures searched.
const LOWEST: f64 = 0.05;
const HIGHEST: f64 = 20.0;
/// Width of ln T at which the search ends: T within a hundredth of a percent.
const WIDTH: f64 = 1e-4;
/// Nats that a temperature must gain to be taken; less is rounding.
const GAIN: f64 = 1e-6;

/// A temperature for the softmax, and what it gains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// What scores are divided by: over 1 where the model is too sure, 0.05 to 20; 1 where none is
    /// better.
    pub value: f64,
    /// Mean negative log-likelihood of the targets at temperature 1, in nats.
    pub nll_before: f64,
    /// The same at `value`; never above `nll_before`.
    pub nll_after: f64,
    /// Queries it was fitted on.
    pub queries: usize,
}

/// Predictions of like confidence, and how many of them came true.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Mean confidence, 0 to 1.
    pub confidence: f64,
    /// Share that is correct, 0 to 1.
    pub accuracy: f64,
    pub count: usize,
}

/// A reliability diagram.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// By rising confidence.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error: the mean of |accuracy − confidence| over predictions, 0 to 1.
    pub ece: f64,
}

/// The temperature that minimises the mean negative log-likelihood of `targets` (Guo et al. 2017).
///
/// `scores` is `[n, items]`, row-major; −∞ excludes a candidate. A query whose target is no
/// candidate, or whose scores are no distribution, is left out; with none left the temperature is 1
/// and both likelihoods are 0. The likelihood is convex in 1 / T, so golden section on ln T finds
/// its one minimum.
pub fn fit_temperature(scores: &[f32], items: usize, targets: &[u32]) -> Temperature {
    let queries: Vec<(&[f32], f64)> = scores
        .chunks_exact(items.max(1))
        .zip(targets)
        .filter_map(|(row, &target)| {
            let own = row.get(target as usize).copied().filter(|own| own.is_finite())?;
            (!softmax(row, 1.0).entropy.is_nan()).then_some((row, f64::from(own)))
        })
        .collect();
    let nll = |temperature: f64| {
        let total: f64 = queries
            .iter()
            .map(|(row, own)| softmax(row, temperature).log_total - own / temperature)
            .sum();
        total / queries.len().max(1) as f64
    };
    let nll_before = nll(1.0);
    let value = golden_section(LOWEST.ln(), HIGHEST.ln(), |log| nll(log.exp())).exp();
    let nll_after = nll(value);
    let queries = queries.len();
    if nll_after < nll_before - GAIN {
        Temperature { value, nll_before, nll_after, queries }
    } else {
        Temperature { value: 1.0, nll_before, nll_after: nll_before, queries }
    }
}

/// Where `f`, which falls and then rises, is lowest between `low` and `high` (Kiefer 1953).
fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    while high - low > WIDTH {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = f(right);
        }
    }
    (low + high) / 2.0
}

/// How confidence (0 to 1) compares with how often it is right, in up to `bins` bins of the same
/// number of predictions.
///
/// Predictions of equal confidence stay together, so that their order does not matter: with many
/// ties there are fewer bins. A confidence that is not finite is left out.
pub fn reliability(confidence_correct: &[(f64, bool)], bins: usize) -> Reliability {
    let mut sorted: Vec<(f64, bool)> = confidence_correct
        .iter()
        .copied()
        .filter(|(confidence, _)| confidence.is_finite())
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (n, wanted) = (sorted.len(), bins.max(1));
    let mut result = Reliability::default();
    let mut start = 0;
    for bin in 1..=wanted {
        let mut end = n * bin / wanted;
        if end <= start {
            continue;
        }
        let last = sorted[end - 1].0;
        end += sorted[end..].iter().take_while(|(confidence, _)| *confidence == last).count();
        let members = &sorted[start..end];
        let count = members.len();
        let mean = |sum: f64| sum / count as f64;
        let confidence = mean(members.iter().map(|(confidence, _)| confidence).sum());
        let accuracy = mean(members.iter().filter(|(_, correct)| *correct).count() as f64);
        result.ece += (accuracy - confidence).abs() * count as f64 / n as f64;
        result.bins.push(ReliabilityBin { confidence, accuracy, count });
        start = end;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn near(actual: f64, expected: f64, within: f64) {
        assert!((actual - expected).abs() < within, "{actual} != {expected}");
    }

    #[test]
    fn two_items_have_the_temperature_of_their_odds() {
        // The first of two wins 3 times in 4 with a lead of ln 9: σ(ln 9 / T) = ¾ at T = 2.
        let scores = [9f32.ln(), 0.0].repeat(4);
        let fitted = fit_temperature(&scores, 2, &[0, 0, 1, 0]);
        near(fitted.value, 2.0, 2e-3);
        near(fitted.nll_before, (10.0_f64 / 9.0).ln() + 9f64.ln() / 4.0, 1e-6);
        near(fitted.nll_after, -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln()), 1e-6);
        assert_eq!(fitted.queries, 4);
    }

    #[test]
    fn the_factor_that_scores_were_scaled_by_is_found() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let (n, items) = (8000, 20);
        let scores: Vec<f32> = (0..n * items).map(|_| rng.random_range(-2.0..2.0)).collect();
        // Targets drawn from the softmax at temperature 1 (Gumbel's trick).
        let targets: Vec<u32> = scores
            .chunks(items)
            .map(|row| {
                let draws = row.iter().map(|&score| {
                    let uniform: f64 = 1.0 - rng.random::<f64>();
                    f64::from(score) - (-uniform.ln()).ln()
                });
                let best = draws.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
                best.map_or(0, |(item, _)| item as u32)
            })
            .collect();
        for factor in [0.25_f32, 1.0, 3.0, 10.0] {
            let scaled: Vec<f32> = scores.iter().map(|score| score * factor).collect();
            let fitted = fit_temperature(&scaled, items, &targets);
            near(fitted.value / f64::from(factor), 1.0, 0.05);
            assert!(fitted.nll_after <= fitted.nll_before);
        }
    }

    #[test]
    fn a_model_that_is_always_right_or_always_wrong_meets_the_bounds() {
        let scores = [1.0, 0.0, 0.0].repeat(5);
        near(fit_temperature(&scores, 3, &[0; 5]).value, LOWEST, 1e-3);
        near(fit_temperature(&scores, 3, &[1; 5]).value, HIGHEST, 0.01);
    }

    #[test]
    fn where_no_temperature_is_better_it_is_1() {
        let flat = fit_temperature(&[0.3; 12], 4, &[0, 1, 2]);
        assert_eq!((flat.value, flat.queries), (1.0, 3));
        near(flat.nll_after, 4f64.ln(), 1e-6);
        // Right k times in k + 1 at odds of k : 1 is calibrated already: what the search still finds
        // is rounding.
        for odds in 2_u8..40 {
            let scores = [f32::from(odds).ln(), 0.0].repeat(usize::from(odds) + 1);
            let mut targets = vec![0; usize::from(odds)];
            targets.push(1);
            assert_eq!(fit_temperature(&scores, 2, &targets).value, 1.0, "{odds}");
        }
        let none = Temperature { value: 1.0, nll_before: 0.0, nll_after: 0.0, queries: 0 };
        assert_eq!(fit_temperature(&[], 5, &[]), none);
        assert_eq!(fit_temperature(&[], 0, &[]), none);
    }

    #[test]
    fn queries_without_a_likelihood_are_left_out() {
        let none = f32::NEG_INFINITY;
        let lead = 9f32.ln();
        let mut scores = [lead, 0.0, none].repeat(4);
        scores.extend([0.0, 1.0, none, f32::NAN, 0.0, 0.0, none, none, none, 1.0, 2.0, 3.0]);
        // Excluded target, NaN, nothing to rank, and a target past the end.
        let fitted = fit_temperature(&scores, 3, &[0, 0, 1, 0, 2, 1, 0, 3]);
        assert_eq!(fitted.queries, 4);
        near(fitted.value, 2.0, 2e-3);
    }

    #[test]
    fn bins_hold_the_same_number_of_predictions() {
        let predictions = [(0.9, true), (0.1, false), (0.8, false), (0.3, true), (0.7, true)];
        let diagram = reliability(&predictions, 2);
        let bin = |confidence, accuracy, count| ReliabilityBin { confidence, accuracy, count };
        // 0.1, 0.3 | 0.7, 0.8, 0.9.
        assert_eq!(diagram.bins.len(), 2);
        assert_eq!(diagram.bins[0], bin(0.2, 0.5, 2));
        near(diagram.bins[1].confidence, 0.8, 1e-12);
        near(diagram.bins[1].accuracy, 2.0 / 3.0, 1e-12);
        near(diagram.ece, 0.3 * 0.4 + (0.8 - 2.0 / 3.0) * 0.6, 1e-12);
    }

    #[test]
    fn equal_confidences_stay_together_whatever_their_order() {
        let mut predictions =
            vec![(0.5, true), (0.5, false), (0.5, true), (0.5, false), (0.9, true)];
        let diagram = reliability(&predictions, 5);
        assert_eq!(diagram.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [4, 1]);
        near(diagram.ece, 0.1 / 5.0, 1e-12);
        predictions.reverse();
        assert_eq!(reliability(&predictions, 5), diagram);
    }

    #[test]
    fn more_bins_than_predictions_and_no_predictions_at_all() {
        assert_eq!(reliability(&[(0.2, true), (0.4, false)], 10).bins.len(), 2);
        assert_eq!(reliability(&[(0.2, true), (0.4, false)], 0).bins.len(), 1);
        assert_eq!(reliability(&[], 10), Reliability::default());
        assert_eq!(reliability(&[(f64::NAN, true)], 10), Reliability::default());
    }
}
