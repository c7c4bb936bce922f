//! Closed-form continuous time (Hasani et al. 2022, Closed-form continuous-time neural networks).

use burn::tensor::Tensor;

use super::{Weight, softplus};

pub(super) const WEIGHTS: &[Weight] = &[
    Weight::matrix("cfc.w_in", 1, 2),
    Weight::vector("cfc.b_in", 2, 1),
    Weight::matrix("cfc.w_out", 2, 2),
    Weight::vector("cfc.b_out", 2, 2),
];

/// z(dt) = z + (1 − exp(−softplus(f(z))·dt))⊙(g(z) − z), with a backbone u = tanh(z·W_in + b_in) of
/// 2H units and two heads on it, side by side in W_out: g = tanh(·) and f.
///
/// The paper blends two networks, σ(−f·dt)⊙g + (1 − σ(−f·dt))⊙k. At dt = 0 that is (g + k)/2, which
/// is not z, so it fits a cell that maps an input and a state to a new state; here events have a cell
/// of their own and time alone must do nothing in no time. So z stands for the network that the blend
/// begins with, and 1 − exp(−a·dt), which grows from 0, for the time gate. What is left is the paper's
/// closed form of a liquid time constant: it solves dz/dt = a⊙(g − z) exactly where a and g are held
/// at their values at the start of the gap. It is evaluated once a gap, whatever its length, and stays
/// between z and g, within ±1. Two gaps one after the other are not quite one gap of both.
#[derive(Debug, Clone)]
pub struct Cfc {
    /// `[H, 2H]`.
    pub w_in: Tensor<2>,
    /// `[1, 2H]`.
    pub b_in: Tensor<2>,
    /// `[2H, 2H]`: g, then f.
    pub w_out: Tensor<2>,
    /// `[1, 2H]`.
    pub b_out: Tensor<2>,
}

impl Cfc {
    /// Where `z`, `[B, H]`, is after a gap of `dt`, `[B, 1]`, however long.
    pub fn cross(&self, z: Tensor<2>, dt: Tensor<2>) -> Tensor<2> {
        let hidden = z.dims()[1];
        let backbone = (z.clone().matmul(self.w_in.clone()) + self.b_in.clone()).tanh();
        let heads = backbone.matmul(self.w_out.clone()) + self.b_out.clone();
        let towards = heads.clone().slice_dim(1, 0..hidden).tanh();
        let rate = softplus(heads.slice_dim(1, hidden..2 * hidden));
        let kept = (rate * dt).neg().exp();
        z.clone() + (kept.neg() + 1.0) * (towards - z)
    }
}
