//! Softmax over columns that come in blocks: each block is exponentiated about its own maximum,
//! and the blocks are put together afterwards.

use pulp::{NullaryFnOnce, Simd};

use crate::dynamics::packed::kernel::Kernel;
use crate::exponential::{exp_together, split_exp};

/// Sums side by side; a constant, so that they are the same on every processor.
const LANES: usize = 16;
/// Vectors that are exponentiated together; their numbers are whole [`LANES`].
const VECTORS: usize = 4;
/// Below this, eˣ counts as e to this: 2⁻¹²⁶, next to nothing.
const LOWEST: f32 = -87.0;

/// What one block knows of one row.
#[derive(Clone, Copy, Default)]
pub(super) struct Part {
    /// Largest score.
    pub most: f32,
    /// Σ e^(score − most).
    pub sum: f32,
    /// Score of the right answer, where this block has it.
    pub right: f32,
}

/// Scores to e^(score − most), with the bias added before; the result is (most, sum).
pub(super) struct Exponentials<'a> {
    pub scores: &'a mut [f32],
    pub bias: &'a [f32],
}

impl Kernel for Exponentials<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> (f32, f32) {
        let Self { scores, bias } = self;
        let size = scores.len();
        let bias = &bias[..size];
        let together = VECTORS * S::F32_LANES;
        let (scores, rest) = scores.split_at_mut(size - size % together);
        let (bias, bias_rest) = bias.split_at(scores.len());
        let scores = S::as_mut_simd_f32s(scores).0.as_chunks_mut::<VECTORS>().0;
        let bias = S::as_simd_f32s(bias).0.as_chunks::<VECTORS>().0;

        let mut tops = [simd.splat_f32s(f32::NEG_INFINITY); VECTORS];
        for (scores, bias) in scores.iter_mut().zip(bias) {
            for ((score, bias), top) in scores.iter_mut().zip(bias).zip(&mut tops) {
                *score = simd.add_f32s(*score, *bias);
                // NaN is no maximum.
                *top = simd.select_f32s(simd.greater_than_f32s(*score, *top), *score, *top);
            }
        }
        let mut most = f32::NEG_INFINITY;
        for top in tops {
            most = most.max(simd.reduce_max_f32s(top));
        }
        for (score, bias) in rest.iter_mut().zip(bias_rest) {
            *score += bias;
            most = most.max(*score);
        }

        let (all_most, lowest) = (simd.splat_f32s(most), simd.splat_f32s(LOWEST));
        let mut sums = [simd.splat_f32s(0.0); LANES];
        let sums = &mut sums[..LANES / S::F32_LANES];
        for scores in scores {
            let mut x = *scores;
            for x in &mut x {
                *x = simd.sub_f32s(*x, all_most);
                // A comparison, not a minimum, so that NaN passes.
                *x = simd.select_f32s(simd.less_than_f32s(*x, lowest), lowest, *x);
            }
            *scores = exp_together::<S, VECTORS>(simd, x);
            for (place, score) in scores.iter().enumerate() {
                let sum = &mut sums[place % (LANES / S::F32_LANES)];
                *sum = simd.add_f32s(*sum, *score);
            }
        }
        let mut lanes = [0.0f32; LANES];
        S::as_mut_simd_f32s(&mut lanes).0.copy_from_slice(sums);
        for scores in rest.chunks_mut(LANES) {
            raise(scores, most, &mut lanes);
        }
        (most, lanes.iter().sum())
    }
}

/// A few scores to e^(score − most), and add them up.
#[inline(always)]
fn raise(scores: &mut [f32], most: f32, sums: &mut [f32; LANES]) {
    for (score, sum) in scores.iter_mut().zip(sums) {
        let x = *score - most;
        // A comparison, not f32::max, so that NaN passes.
        let x = if x < LOWEST { LOWEST } else { x };
        let (q, power) = split_exp(x);
        *score = power + power * q;
        *sum += *score;
    }
}

/// x ← factor·x.
pub(super) struct Scale<'a> {
    pub values: &'a mut [f32],
    pub factor: f32,
}

impl NullaryFnOnce for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.values {
            *value *= self.factor;
        }
    }
}

/// `sums` ← the sums of the columns of `values`, or grow by them.
pub(in crate::dynamics) struct ColumnSums<'a> {
    pub values: &'a [f32],
    pub sums: &'a mut [f32],
    pub accumulate: bool,
}

impl NullaryFnOnce for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        if !self.accumulate {
            self.sums.fill(0.0);
        }
        for row in self.values.chunks_exact(self.sums.len()) {
            for (sum, value) in self.sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::packed::kernel::{arches, run};

    #[test]
    fn exponentials_are_the_same_on_every_processor_and_as_near_as_they_say() {
        for size in [1, 3, 15, 16, 31, 63, 64, 123, 200, 512] {
            let value = |i: usize, scale: f32| ((i * 7919) % 10_007) as f32 / scale - 9.0;
            let bias: Vec<f32> = (0..size).map(|i| value(i + 5, 5_000.0)).collect();
            let given: Vec<f32> = (0..size).map(|i| value(i, 100.0)).collect();
            let results = arches().into_iter().map(|arch| {
                let mut scores = given.clone();
                let (most, sum) = run(arch, Exponentials { scores: &mut scores, bias: &bias });
                (scores, most, sum)
            });
            let results: Vec<_> = results.collect();
            let (scores, most, sum) = &results[0];
            assert!(results.iter().all(|other| other == &results[0]), "{size}");
            let lifted: Vec<f32> =
                given.iter().zip(&bias).map(|(score, bias)| score + bias).collect();
            assert_eq!(*most, lifted.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let exact: Vec<f64> =
                lifted.iter().map(|&x| f64::from((x - most).max(LOWEST)).exp()).collect();
            for (ours, exact) in scores.iter().zip(&exact) {
                assert!((f64::from(*ours) - exact).abs() <= 3e-7 * exact, "{ours} {exact}");
            }
            assert!((f64::from(*sum) / exact.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_score_that_is_no_number_spoils_the_sum_and_not_the_maximum() {
        for arch in arches() {
            for place in [0, 40, 69] {
                let mut scores = vec![1.0f32; 70];
                scores[place] = f32::NAN;
                let bias = vec![0.5; 70];
                let (most, sum) = run(arch, Exponentials { scores: &mut scores, bias: &bias });
                assert!(most == 1.5 && sum.is_nan() && scores[place].is_nan());
                assert_eq!(scores.iter().filter(|&&score| score == 1.0).count(), 69);
            }
        }
    }
}
