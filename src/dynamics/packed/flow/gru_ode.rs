//! The field of GRU-ODE; see [`crate::dynamics::flow::gru_ode`].

use pulp::{Arch, NullaryFnOnce};

use super::{Evaluation, Formula, Linear, Widths, row};
use crate::dynamics::packed::activation::{sigmoid, tanh};

/// dz/dt = (1 − u)⊙(n − z).
pub struct GruOde {
    pub arch: Arch,
    /// r, u, n before their functions: `[H]` to `[3H]`.
    pub gates: Linear,
}

impl Formula for GruOde {
    /// n; r, u and what r multiplies.
    fn widths(&self) -> Widths {
        Widths { inner: 1, outer: 3 }
    }

    fn evaluate(&self, at: Evaluation<'_>) {
        self.gates.apply(at.points, at.outer);
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(Advance {
                gates: &mut at.outer[row(place, 3 * at.hidden)],
                new: &mut at.inner[own.clone()],
                start: &at.starts[own.clone()],
                point: &at.points[own.clone()],
                weight: at.stage.weight * moving.length,
                reach: at.stage.reach * moving.length,
                end: &mut at.ends[own.clone()],
                next: &mut at.next[own],
            });
        }
    }
}

/// What one slope k = (1 − u)(n − point) does to one row: `[H]` each but for the gates.
struct Advance<'a> {
    /// Sums of r, u, n, and then r, u and n's sum, `[3H]`.
    gates: &'a mut [f32],
    /// Becomes n.
    new: &'a mut [f32],
    start: &'a [f32],
    point: &'a [f32],
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
        let Self { gates, new, start, point, weight, reach, end, next } = self;
        let hidden = new.len();
        let (gates, sums) = gates.split_at_mut(2 * hidden);
        // One after the other: all in one loop is too long a chain for a processor to look past.
        for gate in &mut *gates {
            *gate = sigmoid(*gate);
        }
        let (reset, update) = gates.split_at(hidden);
        for ((new, r), sum) in new.iter_mut().zip(reset).zip(&*sums) {
            *new = tanh(r * sum);
        }
        let (start, point) = (&start[..hidden], &point[..hidden]);
        let (end, next) = (&mut end[..hidden], &mut next[..hidden]);
        for j in 0..hidden {
            let slope = (1.0 - update[j]) * (new[j] - point[j]);
            end[j] += weight * slope;
            next[j] = start[j] + reach * slope;
        }
    }
}
