//! Closed-form continuous time, backwards; see [`crate::dynamics::flow::cfc`].

use pulp::{Arch, NullaryFnOnce};

use super::{Back, Derivative, Join, Kept, Linear, Tasks, ThroughTanh};
use crate::dynamics::packed::activation::{exp_m1, sigmoid, softplus};
use crate::dynamics::packed::flow::row;

pub struct CfcBack {
    pub arch: Arch,
    /// `[2H]` to `[H]`.
    pub inner: Linear,
    /// `[2H]` to `[2H]`.
    pub outer: Linear,
}

impl Derivative for CfcBack {
    fn back(&self, at: Back<'_>) {
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(CrossBack {
                heads: &mut at.outer[row(place, 2 * at.hidden)],
                start: &at.points[own.clone()],
                length: moving.length,
                end: &at.by_ends[own.clone()],
                point: &mut at.by_points[own],
            });
        }
        self.outer.apply(at.outer, at.by_inner);
        self.arch.dispatch(ThroughTanh { slopes: at.by_inner, out: at.inner });
        self.inner.apply(at.by_inner, at.through);
        self.arch.dispatch(Join { through: at.through, point: at.by_points, start: at.by_starts });
    }

    fn by_length(&self, at: &Back<'_>, place: usize) -> f64 {
        let (towards, sums) = at.outer[row(place, 2 * at.hidden)].split_at(at.hidden);
        let points = &at.points[row(place, at.hidden)];
        let length = at.moving[place].length;
        // At the end of the gap: a·exp(−a·dt)⊙(g − z).
        at.along(place, |unit| {
            let rate = softplus(sums[unit]);
            rate * (1.0 + exp_m1(-rate * length)) * (towards[unit] - points[unit])
        })
    }

    fn gradients<'a>(&self, tasks: &mut Tasks<'a>, into: Vec<&'a mut [f32]>, kept: Kept<'a>) {
        let mut into = into.into_iter();
        tasks.next_affine(&mut into, kept.points, kept.by_inner);
        tasks.next_affine(&mut into, kept.inner, kept.outer);
    }
}

/// From the derivative by the gap's end to those by the heads' sums and, past the matrices, by its
/// start less that by the end: `[H]` each but for the heads.
struct CrossBack<'a> {
    /// g and f's sum; become the derivatives by both sums, `[2H]`.
    heads: &'a mut [f32],
    start: &'a [f32],
    length: f32,
    end: &'a [f32],
    /// Set: nothing comes after the end.
    point: &'a mut [f32],
}

impl NullaryFnOnce for CrossBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { heads, start, length, end, point } = self;
        let hidden = point.len();
        let (towards, sums) = heads.split_at_mut(hidden);
        let sums = &mut sums[..hidden];
        let (start, end) = (&start[..hidden], &end[..hidden]);
        for j in 0..hidden {
            let (g, f) = (towards[j], sums[j]);
            let share = -exp_m1(-softplus(f) * length);
            let drawn = end[j] * share;
            towards[j] = drawn * (1.0 - g * g);
            sums[j] = end[j] * (g - start[j]) * (1.0 - share) * length * sigmoid(f);
            point[j] = -drawn;
        }
    }
}
