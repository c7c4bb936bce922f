//! Element by element through the vector field and its solvers, and back; see
//! [`crate::dynamics::field`] and [`crate::dynamics::solver`].

use pulp::NullaryFnOnce;

use crate::dynamics::packed::activation::tanh;

/// What one slope k = o − λ·point, with o = tanh(raw), does to one row: `[H]` each.
pub(super) struct Advance<'a> {
    /// raw, and then o.
    pub raw: &'a mut [f32],
    pub start: &'a [f32],
    pub point: &'a [f32],
    pub decay: f32,
    /// Of the slope, times the step.
    pub weight: f32,
    pub reach: f32,
    /// Grows by weight·k.
    pub end: &'a mut [f32],
    /// Becomes start + reach·k.
    pub next: &'a mut [f32],
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

/// The derivative by one slope, from that by the step's end and by the next point: `[H]` each.
pub(super) struct SlopeBack<'a> {
    /// Derivative by the end of the step.
    pub end: &'a [f32],
    /// Derivative by the next point; becomes that by the slope.
    pub point: &'a mut [f32],
    /// Of the slope, times the step.
    pub weight: f32,
    pub reach: f32,
    /// o; becomes the derivative by what its tanh is taken of.
    pub out: &'a mut [f32],
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

/// Derivative through a = tanh: `slopes` × (1 − a²).
pub(super) struct TanhBack<'a> {
    pub slopes: &'a mut [f32],
    pub out: &'a [f32],
}

impl NullaryFnOnce for TanhBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (slope, out) in self.slopes.iter_mut().zip(self.out) {
            *slope *= 1.0 - out * out;
        }
    }
}

/// Derivative by a point: what passes the matrices less λ times the slope's, and their sum.
pub(super) struct PointBack<'a> {
    /// Derivative by the point through the matrices.
    pub through: &'a [f32],
    pub decay: f32,
    /// Derivative by the slope; becomes that by the point.
    pub point: &'a mut [f32],
    /// Grows by the derivative by the point.
    pub start: &'a mut [f32],
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
