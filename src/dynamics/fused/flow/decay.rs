//! Decay towards a learned rest, backwards; see [`crate::dynamics::flow::decay`].

use pulp::{Arch, NullaryFnOnce};

use super::{Back, Derivative, Kept, Tasks};
use crate::dynamics::packed::activation::{sigmoid, softplus};
use crate::dynamics::packed::flow::row;

pub struct DecayBack {
    arch: Arch,
    /// softplus(w), `[H]`.
    rates: Vec<f32>,
    /// Derivatives of the rates by w, `[H]`.
    slopes: Vec<f32>,
    /// m, `[H]`.
    rest: Vec<f32>,
}

impl DecayBack {
    /// From w and m, `[H]` each.
    pub fn new(arch: Arch, rate: &[f32], rest: &[f32]) -> Self {
        let rates = rate.iter().map(|&rate| softplus(rate)).collect();
        let slopes = rate.iter().map(|&rate| sigmoid(rate)).collect();
        Self { arch, rates, slopes, rest: rest.to_vec() }
    }
}

impl Derivative for DecayBack {
    fn back(&self, at: Back<'_>) {
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(CrossBack {
                slopes: &self.slopes,
                rest: &self.rest,
                at: &at.points[own.clone()],
                share: &at.inner[own.clone()],
                length: moving.length,
                end: &at.by_ends[own.clone()],
                by_rate: &mut at.by_inner[own.clone()],
                by_rest: &mut at.outer[own.clone()],
                start: &mut at.by_starts[own],
            });
        }
    }

    fn by_length(&self, at: &Back<'_>, place: usize) -> f64 {
        let own = row(place, at.hidden);
        let (share, points) = (&at.inner[own.clone()], &at.points[own]);
        at.along(place, |unit| {
            self.rates[unit] * (1.0 - share[unit]) * (self.rest[unit] - points[unit])
        })
    }

    fn gradients<'a>(&self, tasks: &mut Tasks<'a>, into: Vec<&'a mut [f32]>, kept: Kept<'a>) {
        let each = into.into_iter().zip([kept.by_inner, kept.outer]);
        each.for_each(|(out, values)| tasks.sums(out, values));
    }
}

/// From the derivative by the gap's end to those by w, m and the start: `[H]` each.
struct CrossBack<'a> {
    slopes: &'a [f32],
    rest: &'a [f32],
    at: &'a [f32],
    share: &'a [f32],
    length: f32,
    end: &'a [f32],
    by_rate: &'a mut [f32],
    by_rest: &'a mut [f32],
    /// That by the end; becomes that by the start.
    start: &'a mut [f32],
}

impl NullaryFnOnce for CrossBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { slopes, rest, at, share, length, end, by_rate, by_rest, start } = self;
        let hidden = end.len();
        let (slopes, rest) = (&slopes[..hidden], &rest[..hidden]);
        let (at, share) = (&at[..hidden], &share[..hidden]);
        let (by_rate, by_rest) = (&mut by_rate[..hidden], &mut by_rest[..hidden]);
        let start = &mut start[..hidden];
        for j in 0..hidden {
            let drawn = end[j] * share[j];
            by_rest[j] = drawn;
            by_rate[j] = end[j] * (rest[j] - at[j]) * (1.0 - share[j]) * length * slopes[j];
            start[j] -= drawn;
        }
    }
}
