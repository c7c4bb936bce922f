//! The field of GRU-ODE, backwards; see [`crate::dynamics::flow::gru_ode`].

use pulp::{Arch, NullaryFnOnce};

use super::{Back, Derivative, Join, Kept, Linear, Tasks};
use crate::dynamics::packed::flow::row;

pub struct GruOdeBack {
    pub arch: Arch,
    /// `[3H]` to `[H]`.
    pub gates: Linear,
}

impl Derivative for GruOdeBack {
    fn back(&self, at: Back<'_>) {
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(SlopeBack {
                gates: &mut at.outer[row(place, 3 * at.hidden)],
                new: &at.inner[own.clone()],
                at: &at.points[own.clone()],
                end: &at.by_ends[own.clone()],
                point: &mut at.by_points[own],
                weight: at.stage.weight * moving.length,
                reach: at.stage.reach * moving.length,
            });
        }
        self.gates.apply(at.outer, at.through);
        self.arch.dispatch(Join { through: at.through, point: at.by_points, start: at.by_starts });
    }

    fn by_length(&self, at: &Back<'_>, place: usize) -> f64 {
        let own = row(place, at.hidden);
        let update = &at.outer[row(place, 3 * at.hidden)][at.hidden..];
        let (new, points) = (&at.inner[own.clone()], &at.points[own]);
        at.along(place, |unit| (1.0 - update[unit]) * (new[unit] - points[unit]))
    }

    fn gradients<'a>(&self, tasks: &mut Tasks<'a>, into: Vec<&'a mut [f32]>, kept: Kept<'a>) {
        tasks.next_affine(&mut into.into_iter(), kept.points, kept.outer);
    }
}

/// From derivatives by the step's end and the next point to those by the gates' sums and, past the
/// matrix, by the point: `[H]` each but for the gates.
struct SlopeBack<'a> {
    /// r, u and n's sum; become the derivatives by all sums, `[3H]`.
    gates: &'a mut [f32],
    /// n.
    new: &'a [f32],
    at: &'a [f32],
    end: &'a [f32],
    /// Derivative by the next point; becomes the part of this one's that does not pass the matrix.
    point: &'a mut [f32],
    /// Of the slope, times the step.
    weight: f32,
    reach: f32,
}

impl NullaryFnOnce for SlopeBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { gates, new, at, end, point, weight, reach } = self;
        let hidden = new.len();
        let (reset, rest) = gates.split_at_mut(hidden);
        let (update, sums) = rest.split_at_mut(hidden);
        let sums = &mut sums[..hidden];
        let (at, end, point) = (&at[..hidden], &end[..hidden], &mut point[..hidden]);
        for j in 0..hidden {
            let (r, u, n, sum) = (reset[j], update[j], new[j], sums[j]);
            let slope = weight * end[j] + reach * point[j];
            let drawn = slope * (1.0 - u);
            let by_new = drawn * (1.0 - n * n);
            reset[j] = by_new * sum * r * (1.0 - r);
            update[j] = -drawn * (n - at[j]) * u;
            sums[j] = by_new * r;
            point[j] = -drawn;
        }
    }
}
