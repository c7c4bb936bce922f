//! Sums over many values: cross entropy and its derivative, the norm of the gradient; and the
//! update that follows from it.

use cubecl::prelude::*;

use super::shape::UNITS;
use crate::dynamics::fused::adam as optimiser;

const BETA1: f32 = optimiser::BETA1 as f32;
const BETA2: f32 = optimiser::BETA2 as f32;
/// 1 − β, rounded once.
const REST1: f32 = (1.0 - optimiser::BETA1) as f32;
const REST2: f32 = (1.0 - optimiser::BETA2) as f32;
const EPSILON: f32 = optimiser::EPSILON as f32;

/// The cross entropy of one row of `scores`, `[C, N]`, a cube each, into `losses` from `first` on.
/// The scores, to which the biases at `bias` are still to be added, become the derivative of
/// `weight` times the loss. `targets` is where the columns of the right answers begin in `plan`.
#[cube(launch_unchecked)]
pub(super) fn cross_entropy(
    scores: &mut [f32],
    weights: &[f32],
    plan: &[u32],
    losses: &mut [f32],
    bias: usize,
    targets: usize,
    first: usize,
    items: usize,
    weight: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let unit = UNIT_POS as usize;
    let units = comptime!(UNITS as usize);
    let row = CUBE_POS * items;

    let mut some = unit;
    if some >= items {
        some = 0;
    }
    let mut most = scores[row + some] + weights[bias + some];
    let mut item = unit;
    while item < items {
        let score = scores[row + item] + weights[bias + item];
        scores[row + item] = score;
        if score > most {
            most = score;
        }
        item += units;
    }
    shared[unit] = most;
    sync_cube();
    let mut half = comptime!(UNITS as usize / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = shared[unit + half];
            if other > shared[unit] {
                shared[unit] = other;
            }
        }
        half /= 2;
        sync_cube();
    }
    let most = shared[0];
    sync_cube();

    let mut sum = 0.0f32;
    let mut item = unit;
    while item < items {
        sum += (scores[row + item] - most).exp();
        item += units;
    }
    let total = cube_sum(&mut shared, sum);
    let target = plan[targets + first + CUBE_POS] as usize;
    // The unit that owns the target knows its score before anyone changes it.
    if target % units == unit {
        losses[first + CUBE_POS] = most + total.ln() - scores[row + target];
    }
    let factor = weight / total;
    let mut item = unit;
    while item < items {
        let mut slope = (scores[row + item] - most).exp() * factor;
        if item == target {
            slope -= weight;
        }
        scores[row + item] = slope;
        item += units;
    }
}

/// `sums` ← for each cube the sum of some of the squares of `values`.
#[cube(launch_unchecked)]
pub(super) fn squares(values: &[f32], sums: &mut [f32], size: usize) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let mut sum = 0.0f32;
    let mut place = ABSOLUTE_POS;
    while place < size {
        sum += values[place] * values[place];
        place += CUBE_COUNT * comptime!(UNITS as usize);
    }
    let total = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        sums[CUBE_POS] = total;
    }
}

/// `measured` ← the mean loss, the norm of the gradient, and what clipping leaves of it.
#[cube(launch_unchecked)]
pub(super) fn measure(
    losses: &[f32],
    sums: &[f32],
    measured: &mut [f32],
    scored: usize,
    cubes: usize,
    clip_norm: f32,
) {
    let mut shared = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let units = comptime!(UNITS as usize);
    let mut loss = 0.0f32;
    let mut place = UNIT_POS as usize;
    while place < scored {
        loss += losses[place];
        place += units;
    }
    let loss = cube_sum(&mut shared, loss);
    let mut square = 0.0f32;
    let mut place = UNIT_POS as usize;
    while place < cubes {
        square += sums[place];
        place += units;
    }
    let square = cube_sum(&mut shared, square);
    if UNIT_POS == 0 {
        let mut count = 1.0f32;
        if scored > 0 {
            count = f32::cast_from(scored);
        }
        let norm = square.sqrt();
        // As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
        let mut scale = 1.0f32;
        if clip_norm > 0.0f32 && norm + 1e-6f32 > clip_norm {
            scale = clip_norm / (norm + 1e-6f32);
        }
        measured[0] = loss / count;
        measured[1] = norm;
        measured[2] = scale;
    }
}

/// What an update needs besides gradients and their scale.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Rates {
    /// Learning rate over the first moment's correction.
    pub step: f32,
    /// √ of the second moment's.
    pub root_correction: f32,
    /// What weight decay leaves of a weight.
    pub kept: f32,
}

/// Adam (Kingma & Ba 2015) with decoupled weight decay, on all parameters.
#[cube(launch_unchecked)]
pub(super) fn adam(
    weights: &mut [f32],
    gradients: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    measured: &[f32],
    rates: Rates,
    size: usize,
) {
    let place = ABSOLUTE_POS;
    if place < size {
        let gradient = gradients[place] * measured[2];
        let m = first[place] * BETA1 + gradient * REST1;
        let v = second[place] * BETA2 + gradient * gradient * REST2;
        let denominator = v.sqrt() / rates.root_correction + EPSILON;
        weights[place] = weights[place] * rates.kept - m / denominator * rates.step;
        first[place] = m;
        second[place] = v;
    }
}

/// The sum of every unit's `value`, for all of them.
#[cube]
fn cube_sum(shared: &mut Shared<[f32]>, value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let mut half = comptime!(UNITS as usize / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        half /= 2;
        sync_cube();
    }
    let sum = shared[0];
    sync_cube();
    sum
}
