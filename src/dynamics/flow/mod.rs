//! What moves a state between events, in plain tensors: one file a formula.
//!
//! | word | formula | file |
//! |---|---|---|
//! | `euler`, `rk4` | dz/dt = f(z) with a free field, integrated in steps | [`super::field`] |
//! | `gru-ode` | dz/dt = (1 − u(z))⊙(n(z) − z), integrated in steps | [`gru_ode`] |
//! | `cfc` | z + (1 − exp(−a(z)·dt))⊙(g(z) − z), once a gap | [`cfc`] |
//! | `decay` | m + (z − m)⊙exp(−a·dt), once a gap | [`decay`] |
//!
//! The last three are of one family: a state relaxes towards a place, each unit at a rate of its
//! own, so that none of them runs away. A gap of 0 is the identity for all of them.
//!
//! A flow has four more forms of the same name: `packed::flow` and `fused::flow` for the CPU,
//! forwards and backwards, and `attractor::relaxation` in f64.

pub mod cfc;
pub mod decay;
pub mod gru_ode;

use burn::tensor::Tensor;

use super::field::TanhField;
use super::solver;
use crate::settings::{ModelSettings, Solver};

/// One matrix of a flow. Sizes are multiples of H.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// As in files.
    pub name: &'static str,
    /// `None` for a vector, `[1, out·H]`.
    pub inputs: Option<usize>,
    pub outputs: usize,
    /// What initial values are scaled by: 1/√(fan-in·H).
    pub fan_in: usize,
}

impl Weight {
    const fn matrix(name: &'static str, inputs: usize, outputs: usize) -> Self {
        Self { name, inputs: Some(inputs), outputs, fan_in: inputs }
    }

    const fn vector(name: &'static str, outputs: usize, fan_in: usize) -> Self {
        Self { name, inputs: None, outputs, fan_in }
    }

    /// Rows and columns for states of `hidden` values.
    pub fn shape(&self, hidden: usize) -> [usize; 2] {
        [self.inputs.map_or(1, |inputs| inputs * hidden), self.outputs * hidden]
    }
}

/// The weights of the flow of `solver`, in the order of [`super::parameters`]; none for a GRU.
pub fn weights(solver: Solver) -> &'static [Weight] {
    const TANH: &[Weight] = &[
        Weight::matrix("field.w_in", 1, 2),
        Weight::vector("field.b_in", 2, 1),
        Weight::matrix("field.w_out", 2, 1),
        Weight::vector("field.b_out", 1, 2),
    ];
    match solver {
        Solver::Gru | Solver::SasRec | Solver::TiSasRec => &[],
        Solver::Euler | Solver::Rk4 => TANH,
        Solver::GruOde => gru_ode::WEIGHTS,
        Solver::Cfc => cfc::WEIGHTS,
        Solver::Decay => decay::WEIGHTS,
    }
}

/// A flow with its weights on a device.
#[derive(Debug, Clone)]
pub enum Flow {
    Tanh(TanhField),
    GruOde(gru_ode::GruOde),
    Cfc(cfc::Cfc),
    Decay(decay::Decay),
}

impl Flow {
    /// The flow of `settings`, its [`weights`] taken in order; `None` for a GRU, which has none.
    pub fn new(settings: &ModelSettings, mut take: impl FnMut() -> Tensor<2>) -> Option<Self> {
        match settings.solver {
            Solver::Gru | Solver::SasRec | Solver::TiSasRec => None,
            Solver::Euler | Solver::Rk4 => Some(Self::Tanh(TanhField {
                decay: settings.decay,
                w_in: take(),
                b_in: take(),
                w_out: take(),
                b_out: take(),
            })),
            Solver::GruOde => Some(Self::GruOde(gru_ode::GruOde { weight: take(), bias: take() })),
            Solver::Cfc => Some(Self::Cfc(cfc::Cfc {
                w_in: take(),
                b_in: take(),
                w_out: take(),
                b_out: take(),
            })),
            Solver::Decay => Some(Self::Decay(decay::Decay { rate: take(), rest: take() })),
        }
    }

    /// One step of `solver` of length `h`, `[B, 1]`, from `z`, `[B, H]`. A step of 0 is the
    /// identity.
    pub fn step(&self, solver: Solver, z: Tensor<2>, h: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tanh(field) => solver::step(solver, |z| field.velocity(z), z, h),
            Self::GruOde(field) => solver::step(solver, |z| field.velocity(z), z, h),
            Self::Cfc(form) => form.cross(z, h),
            Self::Decay(form) => form.cross(z, h),
        }
    }
}

/// ln(1 + eˣ), which neither overflows nor loses digits far out.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    burn::tensor::activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

#[cfg(test)]
mod tests;
