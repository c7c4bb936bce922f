//! Decay towards a learned rest; see [`crate::dynamics::flow::decay`].

use pulp::{Arch, NullaryFnOnce};

use super::{Evaluation, Formula, Widths, row};
use crate::dynamics::packed::activation::{exp_m1, softplus};

/// z + (1 − exp(−softplus(w)·dt))⊙(m − z).
pub struct Decay {
    pub arch: Arch,
    /// softplus(w), `[H]`.
    pub rates: Vec<f32>,
    /// m, `[H]`.
    pub rest: Vec<f32>,
}

impl Decay {
    /// From w and m, `[H]` each.
    pub fn new(arch: Arch, rate: &[f32], rest: &[f32]) -> Self {
        let rates = rate.iter().map(|&rate| softplus(rate)).collect();
        Self { arch, rates, rest: rest.to_vec() }
    }
}

impl Formula for Decay {
    /// The share of the way that is gone; nothing yet.
    fn widths(&self) -> Widths {
        Widths { inner: 1, outer: 1 }
    }

    fn evaluate(&self, at: Evaluation<'_>) {
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(Cross {
                rates: &self.rates,
                rest: &self.rest,
                start: &at.starts[own.clone()],
                length: moving.length,
                share: &mut at.inner[own.clone()],
                end: &mut at.ends[own],
            });
        }
    }
}

/// One row over its gap: `[H]` each.
struct Cross<'a> {
    rates: &'a [f32],
    rest: &'a [f32],
    start: &'a [f32],
    length: f32,
    share: &'a mut [f32],
    end: &'a mut [f32],
}

impl NullaryFnOnce for Cross<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rates, rest, start, length, share, end } = self;
        let hidden = end.len();
        let (rates, rest, start) = (&rates[..hidden], &rest[..hidden], &start[..hidden]);
        let share = &mut share[..hidden];
        for j in 0..hidden {
            share[j] = -exp_m1(-rates[j] * length);
            end[j] = start[j] + share[j] * (rest[j] - start[j]);
        }
    }
}
