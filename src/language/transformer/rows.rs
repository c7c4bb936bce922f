//! What happens to one row at a time: norm, softmax, rotation, activation. Each is dispatched to
//! the widest vectors the processor has; sums run in [`LANES`] places, the same everywhere.

use pulp::Arch;

use crate::exponential::split_exp;

/// Sums side by side.
pub const LANES: usize = 8;
/// Keeps the norm of a row of zeros finite.
const EPSILON: f32 = 1e-6;
/// Below this, eˣ counts as e to this: 2⁻¹²⁶, next to nothing.
const LOWEST: f32 = -87.0;

/// Σ aᵢbᵢ.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// `normed` ← each row of `x` over its root mean square; `scales` ← what it was multiplied by.
pub fn norm(arch: Arch, x: &[f32], width: usize, normed: &mut [f32], scales: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let rows = x.chunks_exact(width).zip(normed.chunks_exact_mut(width)).zip(scales);
            for ((x, normed), scale) in rows {
                *scale = 1.0 / (dot(x, x) / width as f32 + EPSILON).sqrt();
                for (normed, x) in normed.iter_mut().zip(x) {
                    *normed = x * *scale;
                }
            }
        },
    );
}

/// `dx` ← the derivative by what [`norm`] was given, from `dy` by what it gave:
/// s·(dy − x̂·mean(dy·x̂)).
pub fn norm_back(
    arch: Arch,
    dy: &[f32],
    normed: &[f32],
    scales: &[f32],
    width: usize,
    dx: &mut [f32],
) {
    arch.dispatch(
        #[inline(always)]
        || {
            let rows = dy.chunks_exact(width).zip(normed.chunks_exact(width)).zip(scales);
            for (((dy, normed), scale), dx) in rows.zip(dx.chunks_exact_mut(width)) {
                let along = dot(dy, normed) / width as f32;
                for ((dx, dy), normed) in dx.iter_mut().zip(dy).zip(normed) {
                    *dx = scale * (dy - normed * along);
                }
            }
        },
    );
}

/// `a` ← a + b.
pub fn add(arch: Arch, a: &mut [f32], b: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
    );
}

/// `hidden` ← max(hidden, 0), `active` ← its square.
pub fn squared_relu(arch: Arch, hidden: &mut [f32], active: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (hidden, active) in hidden.iter_mut().zip(active) {
                *hidden = if *hidden > 0.0 { *hidden } else { 0.0 };
                *active = *hidden * *hidden;
            }
        },
    );
}

/// `d` ← 2·max(hidden, 0)·d, where `rectified` holds the maximum.
pub fn squared_relu_back(arch: Arch, rectified: &[f32], d: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || d.iter_mut().zip(rectified).for_each(|(d, hidden)| *d *= 2.0 * hidden),
    );
}

/// One row: scores to probabilities of softmax(factor·scores); the result is ln Σ e^(factor·score).
#[inline(always)]
pub fn softmax_row(scores: &mut [f32], factor: f32) -> f32 {
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
pub fn causal_softmax(arch: Arch, scores: &mut [f32], keys: usize, first: usize, factor: f32) {
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
pub fn causal_softmax_back(arch: Arch, p: &[f32], d: &mut [f32], keys: usize, factor: f32) {
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

/// Cosines and sines of the rotary embedding: pair i of a head turns by position·10000^(−2i/head).
#[derive(Debug, Clone)]
pub struct Rotation {
    half: usize,
    /// `[context, half]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotation {
    pub fn new(context: usize, head: usize) -> Self {
        let half = head / 2;
        let angles = (0..context).flat_map(|position| {
            (0..half)
                .map(move |pair| position as f64 * 10_000f64.powf(-2.0 * pair as f64 / head as f64))
        });
        let (cos, sin) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Self { half, cos, sin }
    }

    /// Turn one row of whole heads by its position, back where `back`.
    #[inline(always)]
    pub fn turn(&self, row: &mut [f32], position: usize, back: bool) {
        let table = position * self.half..(position + 1) * self.half;
        let (cos, sin) = (&self.cos[table.clone()], &self.sin[table]);
        let sign = if back { -1.0 } else { 1.0 };
        for head in row.chunks_exact_mut(2 * self.half) {
            let (first, second) = head.split_at_mut(self.half);
            for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
                let (a, b) = (*first, *second);
                *first = a * cos - sign * b * sin;
                *second = sign * a * sin + b * cos;
            }
        }
    }

    /// Turn the first `width` columns of rows of `stride`, which stand at consecutive positions
    /// from `position` on.
    pub fn turn_rows(
        &self,
        arch: Arch,
        rows: &mut [f32],
        [stride, width]: [usize; 2],
        position: usize,
        back: bool,
    ) {
        arch.dispatch(
            #[inline(always)]
            || {
                for (place, row) in rows.chunks_exact_mut(stride).enumerate() {
                    self.turn(&mut row[..width], position + place, back);
                }
            },
        );
    }
}
