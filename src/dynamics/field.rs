//! The autonomous vector field f in dz/dt = f(z).

use burn::tensor::Tensor;

/// f = tanh ∘ Linear(2H→H) ∘ tanh ∘ Linear(H→2H): bounded, so that no state runs away in one step.
#[derive(Debug, Clone)]
pub struct TanhField {
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
    /// dz/dt at `z`, `[B, H]` to `[B, H]`, per unit of model time, each entry within ±1.
    pub fn velocity(&self, z: Tensor<2>) -> Tensor<2> {
        let inner = (z.matmul(self.w_in.clone()) + self.b_in.clone()).tanh();
        (inner.matmul(self.w_out.clone()) + self.b_out.clone()).tanh()
    }
}
