//! The field of GRU-ODE (De Brouwer et al. 2019, GRU-ODE-Bayes).

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::Weight;

pub(super) const WEIGHTS: &[Weight] =
    &[Weight::matrix("gru_ode.w", 1, 3), Weight::vector("gru_ode.b", 3, 1)];

/// dz/dt = (1 − u)⊙(n − z): the update of a GRU without input, as a velocity, with
///
/// r = σ(z·W_r + b_r),  u = σ(z·W_u + b_u),  n = tanh(r⊙(z·W_n + b_n)).
///
/// Every unit is drawn towards n, which lies within ±1, at a rate below 1, so that a state within ±1
/// stays there. The reset gate comes after the matrix, as in [`super::super::cell`], where the paper
/// has n = tanh((r⊙z)·W_n): the three gates are then one product.
#[derive(Debug, Clone)]
pub struct GruOde {
    /// `[H, 3H]`: r, u, n side by side.
    pub weight: Tensor<2>,
    /// `[1, 3H]`.
    pub bias: Tensor<2>,
}

impl GruOde {
    /// dz/dt at `z`, `[B, H]` to `[B, H]`, per unit of model time.
    pub fn velocity(&self, z: Tensor<2>) -> Tensor<2> {
        let hidden = z.dims()[1];
        let gates = z.clone().matmul(self.weight.clone()) + self.bias.clone();
        let gate = |place: usize| gates.clone().slice_dim(1, place * hidden..(place + 1) * hidden);
        let (reset, update) = (sigmoid(gate(0)), sigmoid(gate(1)));
        let new = (reset * gate(2)).tanh();
        (update.neg() + 1.0) * (new - z)
    }
}
