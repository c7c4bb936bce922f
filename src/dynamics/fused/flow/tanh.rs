//! A free field of two layers of tanh, backwards; see [`crate::dynamics::field`].

use pulp::{Arch, NullaryFnOnce};

use super::{Back, Derivative, Kept, Linear, Tasks, ThroughTanh};
use crate::dynamics::packed::flow::row;

pub struct TanhBack {
    pub arch: Arch,
    /// λ.
    pub decay: f32,
    /// `[2H]` to `[H]`.
    pub inner: Linear,
    /// `[H]` to `[2H]`.
    pub outer: Linear,
}

impl Derivative for TanhBack {
    fn back(&self, at: Back<'_>) {
        for (place, moving) in at.moving.iter().enumerate() {
            let own = row(place, at.hidden);
            self.arch.dispatch(SlopeBack {
                end: &at.by_ends[own.clone()],
                point: &mut at.by_points[own.clone()],
                weight: at.stage.weight * moving.length,
                reach: at.stage.reach * moving.length,
                out: &mut at.outer[own],
            });
        }
        self.outer.apply(at.outer, at.by_inner);
        self.arch.dispatch(ThroughTanh { slopes: at.by_inner, out: at.inner });
        self.inner.apply(at.by_inner, at.through);
        self.arch.dispatch(PointBack {
            through: at.through,
            decay: self.decay,
            point: at.by_points,
            start: at.by_starts,
        });
    }

    fn by_length(&self, at: &Back<'_>, place: usize) -> f64 {
        let own = row(place, at.hidden);
        let (out, points) = (&at.outer[own.clone()], &at.points[own]);
        at.along(place, |unit| out[unit] - self.decay * points[unit])
    }

    fn gradients<'a>(&self, tasks: &mut Tasks<'a>, into: Vec<&'a mut [f32]>, kept: Kept<'a>) {
        let mut into = into.into_iter();
        tasks.next_affine(&mut into, kept.points, kept.by_inner);
        tasks.next_affine(&mut into, kept.inner, kept.outer);
    }
}

/// The derivative by one slope, from that by the step's end and by the next point: `[H]` each.
struct SlopeBack<'a> {
    /// Derivative by the end of the step.
    end: &'a [f32],
    /// Derivative by the next point; becomes that by the slope.
    point: &'a mut [f32],
    /// Of the slope, times the step.
    weight: f32,
    reach: f32,
    /// o; becomes the derivative by what its tanh is taken of.
    out: &'a mut [f32],
}

impl NullaryFnOnce for SlopeBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { end, point, weight, reach, out } = self;
        let end = &end[..out.len()];
        let point = &mut point[..out.len()];
        for (j, out) in out.iter_mut().enumerate() {
            let slope = weight * end[j] + reach * point[j];
            point[j] = slope;
            *out = slope * (1.0 - *out * *out);
        }
    }
}

/// Derivative by a point: what passes the matrices less λ times the slope's, and their sum.
struct PointBack<'a> {
    /// Derivative by the point through the matrices.
    through: &'a [f32],
    decay: f32,
    /// Derivative by the slope; becomes that by the point.
    point: &'a mut [f32],
    /// Grows by the derivative by the point.
    start: &'a mut [f32],
}

impl NullaryFnOnce for PointBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { through, decay, point, start } = self;
        for ((through, point), start) in through.iter().zip(point).zip(start) {
            *point = through - decay * *point;
            *start += *point;
        }
    }
}
