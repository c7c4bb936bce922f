//! A free field of two layers of tanh; see [`crate::dynamics::field`].

use pulp::{Arch, NullaryFnOnce};

use super::{Evaluation, Formula, Linear, Widths, row};
use crate::dynamics::packed::activation::{self, tanh};

/// f(z) = (tanh ∘ Linear(2H→H) ∘ tanh ∘ Linear(H→2H))(z) − λz.
pub struct Tanh {
    pub arch: Arch,
    /// λ.
    pub decay: f32,
    /// `[H]` to `[2H]`.
    pub inner: Linear,
    /// `[2H]` to `[H]`.
    pub outer: Linear,
}

impl Formula for Tanh {
    /// Both layers of tanh.
    fn widths(&self) -> Widths {
        Widths { inner: 2, outer: 1 }
    }

    fn evaluate(&self, at: Evaluation<'_>) {
        self.inner.apply(at.points, at.inner);
        self.arch.dispatch(activation::Tanh { values: at.inner });
        self.outer.apply(at.inner, at.outer);
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(Advance {
                raw: &mut at.outer[own.clone()],
                start: &at.starts[own.clone()],
                point: &at.points[own.clone()],
                decay: self.decay,
                weight: at.stage.weight * moving.length,
                reach: at.stage.reach * moving.length,
                end: &mut at.ends[own.clone()],
                next: &mut at.next[own],
            });
        }
    }
}

/// What one slope k = o − λ·point, with o = tanh(raw), does to one row: `[H]` each.
struct Advance<'a> {
    /// raw, and then o.
    raw: &'a mut [f32],
    start: &'a [f32],
    point: &'a [f32],
    decay: f32,
    /// Of the slope, times the step.
    weight: f32,
    reach: f32,
    /// Grows by weight·k.
    end: &'a mut [f32],
    /// Becomes start + reach·k.
    next: &'a mut [f32],
}

impl NullaryFnOnce for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { raw, start, point, decay, weight, reach, end, next } = self;
        let hidden = raw.len();
        let (start, point) = (&start[..hidden], &point[..hidden]);
        let (end, next) = (&mut end[..hidden], &mut next[..hidden]);
        for j in 0..hidden {
            let out = tanh(raw[j]);
            raw[j] = out;
            let slope = out - decay * point[j];
            end[j] += weight * slope;
            next[j] = start[j] + reach * slope;
        }
    }
}
