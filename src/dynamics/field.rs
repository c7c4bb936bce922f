//! The autonomous vector field f in dz/dt = f(z).

use burn::tensor::Tensor;

/// f(z) = (tanh ∘ Linear(2H→H) ∘ tanh ∘ Linear(H→2H))(z) − λz. The first part is bounded, so that no
/// state runs away in one step. With a decay λ > 0 no state runs away ever, and the field has a place
/// of rest; GRU-ODE has λ = 1 in a gate of its own (De Brouwer et al. 2019).
#[derive(Debug, Clone)]
pub struct TanhField {
    /// λ ≥ 0, per unit of model time.
    pub decay: f64,
    /// `[H, 2H]`.
    pub w_in: Tensor<2>,
    /// `[1, 2H]`.
    pub b_in: Tensor<2>,
    /// `[2H, H]`.
    pub w_out: Tensor<2>,
    /// `[1, H]`.
    pub b_out: Tensor<2>,
}

impl TanhField {
    /// dz/dt at `z`, `[B, H]` to `[B, H]`, per unit of model time, each entry within ±1 of −λz.
    pub fn velocity(&self, z: Tensor<2>) -> Tensor<2> {
        let inner = (z.clone().matmul(self.w_in.clone()) + self.b_in.clone()).tanh();
        let learned = (inner.matmul(self.w_out.clone()) + self.b_out.clone()).tanh();
        if self.decay > 0.0 { learned - z * self.decay } else { learned }
    }
}
