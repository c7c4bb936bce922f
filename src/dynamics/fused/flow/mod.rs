//! The flow over a gap, backwards: one file a formula of [`crate::dynamics::flow`], on top of what
//! its forward in [`crate::dynamics::packed::flow`] has left.

mod cfc;
mod decay;
mod gru_ode;
mod tanh;

use pulp::{Arch, NullaryFnOnce};

use super::gradients::Tasks;
use super::pool::join;
use crate::dynamics::packed::flow::{Formula, formula, row};
use crate::dynamics::packed::linear::Linear;
use crate::dynamics::solver::{Moving, Stage};
use crate::settings::{ModelSettings, Solver};

/// The derivative of a [`Formula`].
pub(super) trait Derivative: Send + Sync {
    /// Back through one evaluation.
    fn back(&self, at: Back<'_>);

    /// Derivative by the length of the step of the row at `place`, as far as this evaluation goes;
    /// asked before it is gone [`back`](Self::back) through.
    fn by_length(&self, at: &Back<'_>, place: usize) -> f64;

    /// The gradients of its weights, in their order, from all evaluations at once.
    fn gradients<'a>(&self, tasks: &mut Tasks<'a>, into: Vec<&'a mut [f32]>, kept: Kept<'a>);
}

/// One evaluation, gone back through, for S rows; see
/// [`Evaluation`](crate::dynamics::packed::flow::Evaluation).
pub(super) struct Back<'a> {
    pub hidden: usize,
    pub stage: Stage,
    pub moving: &'a [Moving],
    /// Where it was evaluated, `[S, H]`.
    pub points: &'a [f32],
    /// What it left, `[S, inner·H]`.
    pub inner: &'a [f32],
    /// Room for derivatives, `[S, inner·H]`.
    pub by_inner: &'a mut [f32],
    /// What it left; becomes derivatives, `[S, outer·H]`.
    pub outer: &'a mut [f32],
    /// Derivatives by the ends, `[S, H]`.
    pub by_ends: &'a [f32],
    /// Derivatives by the next stage's points; become those by this one's, `[S, H]`.
    pub by_points: &'a mut [f32],
    /// Derivatives by the starts, which grow by those by the points, `[S, H]`.
    pub by_starts: &'a mut [f32],
    /// Room, `[S, H]`.
    pub through: &'a mut [f32],
}

impl Back<'_> {
    /// Derivative by the length of the step of the row at `place`, which moves at `velocity` of a unit.
    fn along(&self, place: usize, velocity: impl Fn(usize) -> f32) -> f64 {
        let own = row(place, self.hidden);
        let Stage { weight, reach } = self.stage;
        let slopes = self.by_ends[own.clone()].iter().zip(&self.by_points[own]);
        let each = slopes.map(|(end, point)| weight * end + reach * point).enumerate();
        each.map(|(unit, slope)| f64::from(slope * velocity(unit))).sum()
    }
}

/// What all evaluations have left, F rows.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    /// `[F, H]`.
    pub points: &'a [f32],
    /// `[F, inner·H]`.
    pub inner: &'a [f32],
    /// `[F, inner·H]`.
    pub by_inner: &'a [f32],
    /// Derivatives by now, `[F, outer·H]`.
    pub outer: &'a [f32],
}

/// A formula both ways.
pub(super) struct Flow {
    pub forward: Box<dyn Formula>,
    pub back: Box<dyn Derivative>,
}

impl Flow {
    /// That of `settings` with its weights in order; `None` for a GRU.
    pub fn new(
        arch: Arch,
        settings: &ModelSettings,
        weights: &[&[f32]],
        threads: usize,
    ) -> Option<Self> {
        let (forward, back) = join(
            threads,
            || formula(arch, settings, weights),
            || derivative(arch, settings, weights),
        );
        Some(Self { forward: forward?, back: back? })
    }
}

/// The derivative of the formula of `settings`.
fn derivative(
    arch: Arch,
    settings: &ModelSettings,
    weights: &[&[f32]],
) -> Option<Box<dyn Derivative>> {
    // Of matrix and bias side by side.
    let turned = |place: usize| Linear::turned(arch, weights[place], weights[place + 1].len());
    Some(match settings.solver {
        Solver::Gru | Solver::SasRec | Solver::TiSasRec => return None,
        Solver::Euler | Solver::Rk4 => Box::new(tanh::TanhBack {
            arch,
            decay: settings.decay as f32,
            inner: turned(0),
            outer: turned(2),
        }),
        Solver::GruOde => Box::new(gru_ode::GruOdeBack { arch, gates: turned(0) }),
        Solver::Cfc => Box::new(cfc::CfcBack { arch, inner: turned(0), outer: turned(2) }),
        Solver::Decay => Box::new(decay::DecayBack::new(arch, weights[0], weights[1])),
    })
}

/// Derivative through a = tanh: `slopes` × (1 − a²).
struct ThroughTanh<'a> {
    slopes: &'a mut [f32],
    out: &'a [f32],
}

impl NullaryFnOnce for ThroughTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (slope, out) in self.slopes.iter_mut().zip(self.out) {
            *slope *= 1.0 - out * out;
        }
    }
}

/// Derivative by a point: what passes the matrices and what does not.
struct Join<'a> {
    through: &'a [f32],
    /// Past the matrices; becomes the sum.
    point: &'a mut [f32],
    /// Grows by the sum.
    start: &'a mut [f32],
}

impl NullaryFnOnce for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((through, point), start) in self.through.iter().zip(self.point).zip(self.start) {
            *point += through;
            *start += *point;
        }
    }
}
