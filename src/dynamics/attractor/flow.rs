//! What moves a state between events, in f64: one of the fields, and how the model crosses a gap
//! with it.

use super::field::{self, TanhField, VectorField};
use super::relaxation::{self, Relaxation};
use crate::settings::{ModelSettings, Solver};

/// A flow with its derivatives.
pub enum Flow {
    Tanh(Box<TanhField>),
    Relaxation(Relaxation),
}

/// A velocity and what its derivatives are made of.
pub(super) enum Linearisation {
    Tanh(field::Linearisation),
    Relaxation(relaxation::Linearisation),
}

impl Linearisation {
    /// `[H]`.
    pub fn velocity(&self) -> &[f64] {
        match self {
            Self::Tanh(at) => &at.velocity,
            Self::Relaxation(at) => &at.velocity,
        }
    }
}

impl Flow {
    /// The flow of `settings` with its `weights` in order; `None` for the GRU.
    ///
    /// # Panics
    /// Where there are fewer weights, or shapes do not fit together.
    pub fn new(settings: &ModelSettings, weights: &[&[f32]]) -> Option<Self> {
        let of = |place: usize| weights[place];
        Some(match settings.solver {
            Solver::Gru | Solver::SasRec | Solver::TiSasRec => return None,
            Solver::Euler | Solver::Rk4 => {
                let field = TanhField::new(of(0), of(1), of(2), of(3));
                Self::Tanh(Box::new(field.decaying(settings.decay)))
            }
            Solver::GruOde => Self::Relaxation(Relaxation::gru_ode(of(0), of(1))),
            Solver::Cfc => Self::Relaxation(Relaxation::cfc(of(0), of(1), of(2), of(3))),
            Solver::Decay => Self::Relaxation(Relaxation::decay(of(0), of(1))),
        })
    }

    /// The velocity of a stage at `z`, in a step of `length`: that of the field, or of a closed form
    /// its mean over the step.
    pub(super) fn linearise(&self, solver: Solver, z: &[f64], length: f64) -> Linearisation {
        match self {
            Self::Tanh(field) => Linearisation::Tanh(field.linearise(z)),
            Self::Relaxation(field) => {
                let over = if is_closed_form(solver) { length } else { 0.0 };
                Linearisation::Relaxation(field.linearise(z, over))
            }
        }
    }

    /// The derivative of that velocity, applied to `v`.
    pub(super) fn push(&self, at: &Linearisation, v: &[f64]) -> Vec<f64> {
        match (self, at) {
            (Self::Tanh(field), Linearisation::Tanh(at)) => field.push(at, v),
            (Self::Relaxation(field), Linearisation::Relaxation(at)) => field.push(at, v),
            _ => unreachable!("a linearisation is of the flow that made it"),
        }
    }

    /// Its transpose, applied to `w`.
    pub(super) fn pull(&self, at: &Linearisation, w: &[f64]) -> Vec<f64> {
        match (self, at) {
            (Self::Tanh(field), Linearisation::Tanh(at)) => field.pull(at, w),
            (Self::Relaxation(field), Linearisation::Relaxation(at)) => field.pull(at, w),
            _ => unreachable!("a linearisation is of the flow that made it"),
        }
    }

    fn field(&self) -> &dyn VectorField {
        match self {
            Self::Tanh(field) => &**field,
            Self::Relaxation(field) => field,
        }
    }
}

/// Whether a step of `solver` may be of any length, and every point of it is a step of its own.
pub(super) fn is_closed_form(solver: Solver) -> bool {
    solver.flows() && !solver.takes_steps()
}

impl VectorField for Flow {
    fn dim(&self) -> usize {
        self.field().dim()
    }

    fn velocity(&self, z: &[f64], out: &mut [f64]) {
        self.field().velocity(z, out);
    }

    fn jacobian(&self, z: &[f64], out: &mut [f64]) {
        self.field().jacobian(z, out);
    }

    fn velocities(&self, z: &[f32], out: &mut [f32]) {
        self.field().velocities(z, out);
    }

    fn gradients(&self, z: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
        self.field().gradients(z, velocity, gradient);
    }
}
