//! Softmax over columns that come in blocks: each block is exponentiated about its own maximum,
//! and the blocks are put together afterwards.

use pulp::NullaryFnOnce;

use crate::exponential::split_exp;

/// Sums side by side; a constant, so that they are the same on every processor.
const LANES: usize = 16;
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

impl NullaryFnOnce for Exponentials<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn call(self) -> (f32, f32) {
        let Self { scores, bias } = self;
        let (bias, bias_rest) = bias.as_chunks::<LANES>();
        let (whole, rest) = scores.as_chunks_mut::<LANES>();
        let mut tops = [f32::NEG_INFINITY; LANES];
        for (scores, bias) in whole.iter_mut().zip(bias) {
            lift(scores, bias, &mut tops);
        }
        lift(rest, bias_rest, &mut tops);
        let most = tops.iter().fold(f32::NEG_INFINITY, |most, &top| most.max(top));
        let mut sums = [0.0f32; LANES];
        for scores in whole {
            raise(scores, most, &mut sums);
        }
        raise(rest, most, &mut sums);
        (most, sums.iter().sum())
    }
}

/// Add the bias to a few scores, and keep the largest ones.
#[inline(always)]
fn lift(scores: &mut [f32], bias: &[f32], tops: &mut [f32; LANES]) {
    for ((score, bias), top) in scores.iter_mut().zip(bias).zip(tops) {
        *score += bias;
        *top = if *score > *top { *score } else { *top };
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
