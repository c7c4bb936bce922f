//! What happens to one row at a time: norm, softmax, rotation, activation. Each is dispatched to
//! the widest vectors the processor has; sums run in [`LANES`] places, the same everywhere.

use pulp::Arch;

pub(super) use crate::dynamics::attention::rows::{add, softmax_row};

/// Sums side by side.
pub const LANES: usize = 8;
/// Keeps the norm of a row of zeros finite.
const EPSILON: f32 = 1e-6;

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
