//! The chances of all items, and the flow of many points, in vectors: working out the ceiling asks for
//! both some hundred thousand times.

use pulp::{Arch, NullaryFnOnce};

use super::{DriftField, DriftTruth, EXPLORE_SHARE, EXPLORING, FOCUS, distance2};
use crate::exponential::exp_wide;

/// Numbers side by side; a constant, so that sums are the same on every processor.
const LANES: usize = 8;

/// The probability of each item at an event of a user at one point: what the set is drawn from.
pub struct Tastes<'a> {
    arch: Arch,
    truth: &'a DriftTruth,
    /// How likely each item is, `[N]`, to a user who is sure and to one who explores.
    weights: [Vec<f64>; 2],
    totals: [f64; 2],
}

impl<'a> Tastes<'a> {
    /// Nowhere yet.
    pub fn new(truth: &'a DriftTruth) -> Self {
        let weights = || vec![0.0; truth.item_place.len()];
        Self { arch: Arch::new(), truth, weights: [weights(), weights()], totals: [1.0; 2] }
    }

    /// Go to `z`.
    pub fn go(&mut self, z: [f64; 2]) {
        let [sure, exploring] = &mut self.weights;
        let places = &self.truth.item_place;
        self.totals = self.arch.dispatch(Weigh { places, z, sure, exploring });
    }

    /// Probability of `item`.
    ///
    /// # Panics
    /// Where there is no such item.
    pub fn chance(&self, item: usize) -> f64 {
        let share = |kind: usize| self.weights[kind][item] / self.totals[kind];
        (1.0 - EXPLORE_SHARE) * share(0) + EXPLORE_SHARE * share(1)
    }

    /// Probabilities of all items, in their order.
    pub fn chances(&self) -> impl Iterator<Item = f64> {
        (0..self.truth.item_place.len()).map(|item| self.chance(item))
    }
}

/// How likely items are, relative to the nearest one, so that a point far out still has weights above
/// 0; the result is their sums.
struct Weigh<'a> {
    places: &'a [[f64; 2]],
    z: [f64; 2],
    sure: &'a mut [f64],
    exploring: &'a mut [f64],
}

impl NullaryFnOnce for Weigh<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn call(self) -> [f64; 2] {
        const SURE: f64 = -1.0 / (2.0 * FOCUS * FOCUS);
        const UNSURE: f64 = -1.0 / (2.0 * EXPLORING * EXPLORING);
        let Self { places, z, sure, exploring } = self;
        // One thing at a time: loops that do more are not turned into vectors.
        for (distance, place) in sure.iter_mut().zip(places) {
            *distance = distance2(z, *place);
        }
        let least = lanes(sure, f64::INFINITY, |a, b| if b < a { b } else { a });
        let nearest = least.iter().fold(f64::INFINITY, |nearest, &least| nearest.min(least));
        for (sure, exploring) in sure.iter_mut().zip(&mut *exploring) {
            let beyond = *sure - nearest;
            (*sure, *exploring) = (SURE * beyond, UNSURE * beyond);
        }
        [raise(sure), raise(exploring)]
    }
}

/// Logarithms of weights to the weights, and their sum.
#[inline(always)]
fn raise(weights: &mut [f64]) -> f64 {
    for weight in &mut *weights {
        *weight = exp_wide(*weight);
    }
    lanes(weights, 0.0, |a, b| a + b).iter().sum()
}

/// Fold `values` into a few numbers side by side.
#[inline(always)]
fn lanes(values: &[f64], start: f64, fold: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
    let mut lanes = [start; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = fold(*lane, *value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = fold(*lane, *value);
    }
    lanes
}

impl DriftField {
    /// Move `points` on by so many `days`, in steps of at most `longest` days (RK4).
    pub fn flow_together(&self, points: &mut [[f64; 2]], days: f64, longest: f64) {
        let steps = (days / longest).ceil().max(1.0);
        let flow = Flow { field: self, points, steps: steps as usize, h: days / steps };
        Arch::new().dispatch(flow);
    }
}

struct Flow<'a> {
    field: &'a DriftField,
    points: &'a mut [[f64; 2]],
    steps: usize,
    /// Days of a step.
    h: f64,
}

/// A coordinate of a few points.
type Axis = [f64; LANES];

impl NullaryFnOnce for Flow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { field, points, steps, h } = self;
        for points in points.chunks_mut(LANES) {
            let mut z = [[0.0; LANES]; 2];
            for (lane, point) in points.iter().enumerate() {
                [z[0][lane], z[1][lane]] = *point;
            }
            for _ in 0..steps {
                let k1 = velocity(field, &z);
                let k2 = velocity(field, &ahead(&z, &k1, h / 2.0));
                let k3 = velocity(field, &ahead(&z, &k2, h / 2.0));
                let k4 = velocity(field, &ahead(&z, &k3, h));
                for axis in 0..2 {
                    for lane in 0..LANES {
                        let middle = k2[axis][lane] + k3[axis][lane];
                        let slope = k1[axis][lane] + 2.0 * middle + k4[axis][lane];
                        z[axis][lane] += h / 6.0 * slope;
                    }
                }
            }
            for (lane, point) in points.iter_mut().enumerate() {
                *point = [z[0][lane], z[1][lane]];
            }
        }
    }
}

#[inline(always)]
fn ahead(z: &[Axis; 2], slope: &[Axis; 2], h: f64) -> [Axis; 2] {
    let mut ahead = *z;
    for axis in 0..2 {
        for lane in 0..LANES {
            ahead[axis][lane] += h * slope[axis][lane];
        }
    }
    ahead
}

/// [`DriftField::velocity`] of a few points.
#[inline(always)]
fn velocity(field: &DriftField, z: &[Axis; 2]) -> [Axis; 2] {
    let DriftField { centres, decay, rotation, softness } = field;
    let sharpness = 1.0 / (2.0 * softness * softness);
    let mut totals = [f64::MIN_POSITIVE; LANES];
    let mut sums = [[0.0; LANES]; 2];
    for centre in centres {
        for lane in 0..LANES {
            let (dx, dy) = (centre[0] - z[0][lane], centre[1] - z[1][lane]);
            let weight = exp_wide(-(dx * dx + dy * dy) * sharpness);
            totals[lane] += weight;
            sums[0][lane] += weight * (decay * dx - rotation * dy);
            sums[1][lane] += weight * (rotation * dx + decay * dy);
        }
    }
    for sums in &mut sums {
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum /= total;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::{DriftOptions, STEP_DAYS, drift};
    use super::*;

    #[test]
    fn points_together_flow_as_each_alone() {
        let truth = drift(DriftOptions { users: 1, ..DriftOptions::default() }, || Ok(()));
        let truth = truth.unwrap().truth.unwrap();
        let place = |i: usize| [(i as f64 * 0.7).sin() * 3.0, (i as f64 * 1.3).cos() * 3.0];
        for count in [0, 1, 8, 13] {
            let mut points: Vec<[f64; 2]> = (0..count).map(place).collect();
            truth.field.flow_together(&mut points, 3.3, STEP_DAYS);
            for (i, point) in points.iter().enumerate() {
                let alone = truth.field.flow(place(i), 3.3);
                assert!(distance2(*point, alone).sqrt() < 1e-12, "{point:?} {alone:?}");
            }
        }
    }
}
