//! How unsure System 1 is: the entropy of its scores, and the distance between two mixes.

use pulp::{Arch, Simd, WithSimd};

use crate::exponential::split_exp;

/// Scores summed in f32 before they go into f64.
const BLOCK: usize = 256;
/// Scores worked on side by side; one AVX-512 register or two of AVX2.
const LANES: usize = 16;
/// Below this, e^x is taken for e^−87 ≈ 1.6e-38, which is nothing beside the best score's 1.
const LOWEST: f32 = -87.0;

/// What is needed of a softmax: pᵢ = exp(scoreᵢ / temperature − log_total).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    /// Shannon entropy divided by ln n for n candidates: 0 one-hot, 1 uniform; 0 for one candidate.
    /// Within 1e-6. NaN where a score is NaN or +∞, where there is no candidate, and where the
    /// temperature is not a positive number.
    pub entropy: f64,
    /// ln Σ exp(scoreᵢ / temperature), within 1e-6; NaN where the entropy is.
    pub log_total: f64,
    /// The best score; −∞ without candidates.
    pub max: f32,
}

/// The softmax of `scores` at `temperature` (over 0). A score of −∞ is an excluded candidate: it
/// does not count in n.
///
/// Two passes, both vectorised for the processor at run time: the best score, then the sums. The
/// exponential is f32, within 2e-7 of itself; blocks of 256 are summed in f64.
pub fn softmax(scores: &[f32], temperature: f64) -> Softmax {
    let arch = Arch::new();
    let (max, candidates) = arch.dispatch(Extent { scores });
    if candidates == 0 || !(temperature > 0.0 && temperature.is_finite()) {
        return Softmax { entropy: f64::NAN, log_total: f64::NAN, max };
    }
    let inverse = (1.0 / temperature) as f32;
    let (total, weighted) = arch.dispatch(Sums { scores, max, inverse });
    // With xᵢ = (scoreᵢ − max) / T and Z = Σ exp xᵢ: H = −Σ pᵢ ln pᵢ = ln Z − Σ xᵢ exp(xᵢ) / Z.
    let nats = total.ln() - weighted / total;
    let entropy = match candidates {
        // Certain, where 0 / ln 1 would not say so; a NaN stays one.
        1 => 0.0 * nats,
        many => (nats / (many as f64).ln()).clamp(0.0, 1.0),
    };
    Softmax { entropy, log_total: f64::from(max) / temperature + total.ln(), max }
}

/// The entropy of [`softmax`] alone.
pub fn entropy(scores: &[f32], temperature: f64) -> f64 {
    softmax(scores, temperature).entropy
}

/// The best score and the number of candidates, which are those above −∞ and NaN.
struct Extent<'a> {
    scores: &'a [f32],
}

/// Σ exp(xᵢ) and Σ xᵢ exp(xᵢ) for xᵢ = (scoreᵢ − max) · inverse.
struct Sums<'a> {
    scores: &'a [f32],
    max: f32,
    inverse: f32,
}

// Plain loops, compiled once for each instruction set: `inline(always)` brings them, and all they
// call, into the function that `dispatch` picks. A closure would stay outside of it.
impl WithSimd for Extent<'_> {
    type Output = (f32, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let mut max = [f32::NEG_INFINITY; LANES];
        let mut count = [0u32; LANES];
        let mut see = |chunk: &[f32]| {
            for ((max, count), &score) in max.iter_mut().zip(&mut count).zip(chunk) {
                *max = if score > *max { score } else { *max };
                *count += u32::from(score != f32::NEG_INFINITY);
            }
        };
        let (chunks, rest) = self.scores.as_chunks::<LANES>();
        for chunk in chunks {
            see(chunk);
        }
        see(rest);
        let max = max.into_iter().fold(f32::NEG_INFINITY, f32::max);
        (max, count.into_iter().map(|count| count as usize).sum())
    }
}

impl WithSimd for Sums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let (mut total, mut weighted) = (0.0, 0.0);
        let mut exp = [0.0f32; BLOCK];
        let mut x_exp = [0.0f32; BLOCK];
        for block in self.scores.chunks(BLOCK) {
            for ((exp, x_exp), &score) in exp.iter_mut().zip(&mut x_exp).zip(block) {
                let x = (score - self.max) * self.inverse;
                // A comparison, not f32::max, so that NaN passes and shows in the sums.
                let x = if x < LOWEST { LOWEST } else { x };
                *exp = exp_f32(x);
                *x_exp = x * *exp;
            }
            total += sum(&exp[..block.len()]);
            weighted += sum(&x_exp[..block.len()]);
        }
        (total, weighted)
    }
}

/// Their sum, at most 16 of them in f32 before the rest in f64.
#[inline(always)]
fn sum(values: &[f32]) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    lanes.iter().chain(rest).copied().map(f64::from).sum()
}

/// eˣ for −87 ≤ x ≤ 0, within 2e-7 of itself; NaN stays NaN.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    let (q, power) = split_exp(x);
    (q + 1.0) * power
}

/// Jensen–Shannon divergence in bits (Lin 1991): 0 for equal mixes, 1 for disjoint ones; the same
/// both ways. Inputs of one length, 0 or more each, scaled to sum 1 inside; the longer one's rest
/// meets zeros. NaN where either has no mass.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let (p_total, q_total) = (p.iter().sum::<f64>(), q.iter().sum::<f64>());
    let has_mass = |total: f64| total > 0.0 && total.is_finite();
    if !has_mass(p_total) || !has_mass(q_total) {
        return f64::NAN;
    }
    let part = |a: f64, mean: f64| if a > 0.0 { a * (a / mean).log2() } else { 0.0 };
    let at = |mix: &[f64], index: usize, total: f64| mix.get(index).map_or(0.0, |v| v / total);
    let bits: f64 = (0..p.len().max(q.len()))
        .map(|index| {
            let (p, q) = (at(p, index, p_total), at(q, index, q_total));
            let mean = (p + q) / 2.0;
            (part(p, mean) + part(q, mean)) / 2.0
        })
        .sum();
    bits.clamp(0.0, 1.0)
}

/// Conflict between the genres System 1 predicts and the user's own: their [`jensen_shannon`]
/// divergence, 0 to 1. `None` where the user has no profile or no predicted item has a genre.
pub fn conflict(predicted: &[f64], profile: Option<&[f64]>) -> Option<f64> {
    Some(jensen_shannon(predicted, profile?)).filter(|bits| bits.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn reference(scores: &[f32], temperature: f64) -> (f64, f64) {
        let scaled: Vec<f64> = scores
            .iter()
            .filter(|&&score| score != f32::NEG_INFINITY)
            .map(|&score| f64::from(score) / temperature)
            .collect();
        let max = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_total = max + scaled.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
        let nats: f64 = scaled.iter().map(|x| (log_total - x) * (x - log_total).exp()).sum();
        let entropy = if scaled.len() > 1 { nats / (scaled.len() as f64).ln() } else { 0.0 };
        (entropy, log_total)
    }

    #[test]
    fn uniform_is_1_and_one_hot_is_0() {
        for n in [2, 15, 16, 17, 255, 256, 257, 10_000] {
            assert_eq!(entropy(&vec![0.3; n], 1.0), 1.0, "{n}");
            let mut one_hot = vec![0.0; n];
            one_hot[n - 1] = 200.0;
            assert!(entropy(&one_hot, 1.0) < 1e-12, "{n}");
        }
        assert_eq!(entropy(&[5.0], 1.0), 0.0);
    }

    #[test]
    fn a_hand_worked_distribution() {
        // p = ½, ¼, ¼: 1.5 bits of log2 3.
        let softmax = softmax(&[2f32.ln(), 0.0, 0.0], 1.0);
        assert!((softmax.entropy - 1.5 / 3f64.log2()).abs() < 1e-6, "{softmax:?}");
        assert!((softmax.log_total - 4f64.ln()).abs() < 1e-6, "{softmax:?}");
        assert_eq!(softmax.max, 2f32.ln());
    }

    #[test]
    fn excluded_candidates_do_not_count() {
        let excluded = f32::NEG_INFINITY;
        assert_eq!(entropy(&[1.0, excluded, 1.0, excluded], 1.0), 1.0);
        assert_eq!(entropy(&[1.0, excluded], 1.0), 0.0);
        let mut scores = vec![excluded; 1000];
        scores[3..8].copy_from_slice(&[0.5, 0.25, -1.0, 3.0, 0.0]);
        let alone = softmax(&scores[3..8], 0.7);
        let among = softmax(&scores, 0.7);
        assert!((alone.entropy - among.entropy).abs() < 1e-12);
        assert!((alone.log_total - among.log_total).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_distribution_is_nan() {
        for scores in [
            &[][..],
            &[f32::NEG_INFINITY; 3],
            &[0.0, f32::NAN],
            &[f32::NAN; 40],
            &[0.0, f32::INFINITY],
        ] {
            assert!(entropy(scores, 1.0).is_nan(), "{scores:?}");
        }
        let mut late = vec![0.0; 300];
        late[299] = f32::NAN;
        assert!(entropy(&late, 1.0).is_nan());
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(entropy(&[0.0, 1.0], temperature).is_nan());
        }
    }

    #[test]
    fn the_exponential_is_within_its_stated_error() {
        let mut worst: f64 = 0.0;
        for step in 0..=870_000 {
            let x = -step as f32 * 1e-4;
            let x = x.max(LOWEST);
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp_f32(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert_eq!(exp_f32(0.0), 1.0);
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn jensen_shannon_of_hand_worked_mixes() {
        assert_eq!(jensen_shannon(&[0.2, 0.3, 0.5], &[0.2, 0.3, 0.5]), 0.0);
        assert_eq!(jensen_shannon(&[1.0, 0.0], &[0.0, 1.0]), 1.0);
        // (1, 0) and (½, ½): H(¾, ¼) − H(½, ½) / 2 = 0.811278 − 0.5.
        let expected = 0.311_278_124_459_132_9;
        assert!((jensen_shannon(&[1.0, 0.0], &[0.5, 0.5]) - expected).abs() < 1e-12);
        // Neither needs to sum to 1, nor to be as long as the other.
        assert!((jensen_shannon(&[40.0], &[3.0, 3.0]) - expected).abs() < 1e-12);
    }

    #[test]
    fn a_mix_without_mass_has_no_divergence() {
        assert!(jensen_shannon(&[0.0, 0.0], &[0.5, 0.5]).is_nan());
        assert!(jensen_shannon(&[], &[]).is_nan());
        assert_eq!(conflict(&[0.0, 0.0], Some(&[0.5, 0.5])), None);
        assert_eq!(conflict(&[0.5, 0.5], None), None);
        assert_eq!(conflict(&[1.0, 0.0], Some(&[0.0, 2.0])), Some(1.0));
    }

    proptest! {
        #[test]
        fn as_the_definition_in_f64_has_it(
            scores in prop::collection::vec(-30.0f32..30.0, 1..700),
            log_temperature in -3.0f64..3.0,
        ) {
            let temperature = log_temperature.exp();
            let fast = softmax(&scores, temperature);
            let (entropy, log_total) = reference(&scores, temperature);
            prop_assert!((fast.entropy - entropy).abs() < 1e-6, "{} {}", fast.entropy, entropy);
            prop_assert!((fast.log_total - log_total).abs() < 1e-6, "{} {log_total}", fast.log_total);
        }

        #[test]
        fn entropy_grows_with_temperature(
            scores in prop::collection::vec(-10.0f32..10.0, 2..300),
            cold in 0.05f64..20.0,
            warmer in 1.0f64..4.0,
        ) {
            let (low, high) = (entropy(&scores, cold), entropy(&scores, cold * warmer));
            prop_assert!(low <= high + 1e-6, "{low} {high}");
        }

        #[test]
        fn jensen_shannon_is_symmetric_and_bounded(
            pairs in prop::collection::vec((0.0f64..5.0, 0.0f64..5.0), 1..40),
        ) {
            let (mut p, mut q): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            p.push(0.1);
            q.push(0.1);
            let forth = jensen_shannon(&p, &q);
            prop_assert!((0.0..=1.0).contains(&forth));
            prop_assert!((forth - jensen_shannon(&q, &p)).abs() < 1e-12);
            prop_assert!(jensen_shannon(&p, &p) < 1e-12);
        }
    }
}
