//! What happens to one row at a time: norm, softmax, activation. Each is dispatched to the widest
//! vectors the processor has; sums run in [`LANES`] places, the same everywhere.

use pulp::Arch;

use crate::exponential::split_exp;

/// Sums side by side.
const LANES: usize = 8;
/// Keeps the norm of a row of equal values finite.
const EPSILON: f32 = 1e-6;
/// Below this, eˣ counts as e to this: 2⁻¹²⁶, next to nothing.
const LOWEST: f32 = -87.0;

/// Σ f(aᵢ, bᵢ).
#[inline(always)]
fn sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for ((sum, a), b) in sums.iter_mut().zip(a.remainder()).zip(b.remainder()) {
        *sum += f(*a, *b);
    }
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f(*a, *b);
        }
    }
    sums.iter().sum()
}

/// `normed` ← each row of `x` less its mean and over its deviation (Ba, Kiros & Hinton 2016),
/// without gain and bias; `scales` ← what it was multiplied by.
pub(super) fn norm(arch: Arch, x: &[f32], width: usize, normed: &mut [f32], scales: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let rows = x.chunks_exact(width).zip(normed.chunks_exact_mut(width)).zip(scales);
            for ((x, normed), scale) in rows {
                let mean = sum(x, x, |x, _| x) / width as f32;
                let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / width as f32;
                *scale = 1.0 / (variance + EPSILON).sqrt();
                for (normed, x) in normed.iter_mut().zip(x) {
                    *normed = (x - mean) * *scale;
                }
            }
        },
    );
}

/// One row: `dx` ← dx + the derivative by what [`norm`] was given, from `dy` by what it gave:
/// s·(dy − mean(dy) − x̂·mean(dy·x̂)).
#[inline(always)]
fn norm_back_row(dy: &[f32], normed: &[f32], scale: f32, dx: &mut [f32]) {
    let width = dx.len() as f32;
    let mean = sum(dy, dy, |dy, _| dy) / width;
    let along = sum(dy, normed, |dy, normed| dy * normed) / width;
    for ((dx, dy), normed) in dx.iter_mut().zip(dy).zip(normed) {
        *dx += scale * (dy - mean - normed * along);
    }
}

/// `dx` ← dx + the derivatives by what [`norm`] was given, row by row.
pub(super) fn norm_back(arch: Arch, dy: &[f32], normed: &[f32], scales: &[f32], dx: &mut [f32]) {
    let width = dx.len() / scales.len().max(1);
    arch.dispatch(
        #[inline(always)]
        || {
            let rows = dy.chunks_exact(width.max(1)).zip(normed.chunks_exact(width.max(1)));
            for (((dy, normed), scale), dx) in
                rows.zip(scales).zip(dx.chunks_exact_mut(width.max(1)))
            {
                norm_back_row(dy, normed, *scale, dx);
            }
        },
    );
}

/// `a` ← a + b.
pub(crate) fn add(arch: Arch, a: &mut [f32], b: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
    );
}

/// `a` ← a·b.
pub(super) fn multiply(arch: Arch, a: &mut [f32], b: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a *= b),
    );
}

/// Every row of `x` ← itself + `bias`.
pub(super) fn add_bias(arch: Arch, x: &mut [f32], bias: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for row in x.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        },
    );
}

/// Every row of `x` ← max(itself + `bias`, 0).
pub(super) fn add_bias_and_rectify(arch: Arch, x: &mut [f32], bias: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for row in x.chunks_exact_mut(bias.len()) {
                for (x, bias) in row.iter_mut().zip(bias) {
                    let sum = *x + bias;
                    // Said so that NaN passes.
                    *x = if sum < 0.0 { 0.0 } else { sum };
                }
            }
        },
    );
}

/// `d` ← 0 wherever `rectified` is.
pub(super) fn rectify_back(arch: Arch, rectified: &[f32], d: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (d, rectified) in d.iter_mut().zip(rectified) {
                *d = if *rectified > 0.0 { *d } else { 0.0 };
            }
        },
    );
}

/// One row: scores to probabilities of softmax(factor·scores); the result is ln Σ e^(factor·score).
#[inline(always)]
pub(crate) fn softmax_row(scores: &mut [f32], factor: f32) -> f32 {
    let most =
        scores.iter().fold(f32::NEG_INFINITY, |most, &one| if one > most { one } else { most });
    let mut sums = [0.0f32; LANES];
    for scores in scores.chunks_mut(LANES) {
        for (score, sum) in scores.iter_mut().zip(&mut sums) {
            let x = factor * (*score - most);
            // A comparison, not f32::max, so that NaN passes.
            let x = if x < LOWEST { LOWEST } else { x };
            let (q, power) = split_exp(x);
            *score = power + power * q;
            *sum += *score;
        }
    }
    let sum: f32 = sums.iter().sum();
    let share = 1.0 / sum;
    scores.iter_mut().for_each(|score| *score *= share);
    factor * most + sum.ln()
}

/// `[rows, keys]` scores to attention: row i sees the first `first + i` keys, 0 beyond.
pub(super) fn causal_softmax(
    arch: Arch,
    scores: &mut [f32],
    keys: usize,
    first: usize,
    factor: f32,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
                let (seen, unseen) = scores.split_at_mut(first + row);
                softmax_row(seen, factor);
                unseen.fill(0.0);
            }
        },
    );
}

/// `d` ← the derivative by the scores, from `d` by the attention `p`: factor·p·(d − Σ d·p).
pub(super) fn causal_softmax_back(arch: Arch, p: &[f32], d: &mut [f32], keys: usize, factor: f32) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (p, d) in p.chunks_exact(keys).zip(d.chunks_exact_mut(keys)) {
                let mut sums = [0.0f32; LANES];
                for (p, d) in p.chunks(LANES).zip(d.chunks(LANES)) {
                    for ((sum, p), d) in sums.iter_mut().zip(p).zip(d) {
                        *sum += p * d;
                    }
                }
                let mean: f32 = sums.iter().sum();
                for (d, p) in d.iter_mut().zip(p) {
                    *d = factor * p * (*d - mean);
                }
            }
        },
    );
}
