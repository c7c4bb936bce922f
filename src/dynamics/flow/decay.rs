//! Exponential decay towards a learned rest, in closed form.

use burn::tensor::Tensor;

use super::{Weight, softplus};

pub(super) const WEIGHTS: &[Weight] =
    &[Weight::vector("decay.rate", 1, 1), Weight::vector("decay.rest", 1, 1)];

/// z(dt) = m + (z − m)⊙exp(−softplus(w)·dt): the solution of the linear equation
/// dz/dt = −softplus(w)⊙(z − m), with one rate and one rest a unit. GRU-D (Che et al. 2018,
/// Recurrent Neural Networks for Multivariate Time Series with Missing Values) decays its hidden
/// state like this towards 0, with exp(−max(0, w·dt + b)); softplus keeps the rate positive
/// everywhere, and without b a gap of 0 is the identity.
#[derive(Debug, Clone)]
pub struct Decay {
    /// w, `[1, H]`.
    pub rate: Tensor<2>,
    /// m, `[1, H]`.
    pub rest: Tensor<2>,
}

impl Decay {
    /// Where `z`, `[B, H]`, is after a gap of `dt`, `[B, 1]`, however long.
    pub fn cross(&self, z: Tensor<2>, dt: Tensor<2>) -> Tensor<2> {
        // As z + (1 − e)(m − z), which is z to the last bit where e = 1.
        let kept = (softplus(self.rate.clone()) * dt).neg().exp();
        z.clone() + (kept.neg() + 1.0) * (self.rest.clone() - z)
    }
}
