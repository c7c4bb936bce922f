//! The gated recurrent unit, in PyTorch's convention (Cho et al. 2014, reset gate after the matrix).

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

/// Weights of the recurrent half of a GRU: gates r, z, n side by side.
#[derive(Debug, Clone)]
pub struct GruCell {
    /// `[H, 3H]`, applied to the state.
    pub w_hidden: Tensor<2>,
    /// `[1, 3H]`.
    pub b_hidden: Tensor<2>,
}

impl GruCell {
    /// One update. `input` is x·Wᵢ + bᵢ, `[B, 3H]`; `state` is `[B, H]`; the result is `[B, H]`.
    ///
    /// r = σ(iᵣ + hᵣ), z = σ(i_z + h_z), n = tanh(iₙ + r·hₙ), h′ = (1 − z)·n + z·h,
    /// where h• = state·W_h + b_h: the bias of hₙ is inside the reset gate.
    pub fn forward(&self, input: Tensor<2>, state: Tensor<2>) -> Tensor<2> {
        let hidden = state.dims()[1];
        let from_state = state.clone().matmul(self.w_hidden.clone()) + self.b_hidden.clone();
        let both = 0..2 * hidden;
        let gates = sigmoid(
            input.clone().slice_dim(1, both.clone()) + from_state.clone().slice_dim(1, both),
        );
        let reset = gates.clone().slice_dim(1, 0..hidden);
        let update = gates.slice_dim(1, hidden..2 * hidden);
        let last = 2 * hidden..3 * hidden;
        let new = (input.slice_dim(1, last.clone()) + reset * from_state.slice_dim(1, last)).tanh();
        // (1 − z)·n + z·h with one product less.
        new.clone() + update * (state - new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn tensor(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// Values from `torch.nn.GRUCell(2, 2)`; `tests/pytorch/record.py` made them.
    #[test]
    fn it_matches_pytorch() {
        let text = include_str!("../../tests/pytorch/gru_cell.json");
        let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
        let values = |name: &str| -> Vec<f32> {
            recorded[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
        };
        let size = |name: &str| recorded[name].as_u64().unwrap() as usize;
        let (batch, input, hidden) = (size("batch"), size("input"), size("hidden"));
        // PyTorch keeps its matrices as [out, in].
        let w_input = tensor(values("weight_ih"), [3 * hidden, input]).transpose();
        let cell = GruCell {
            w_hidden: tensor(values("weight_hh"), [3 * hidden, hidden]).transpose(),
            b_hidden: tensor(values("bias_hh"), [1, 3 * hidden]),
        };
        let projected = tensor(values("x"), [batch, input]).matmul(w_input)
            + tensor(values("bias_ih"), [1, 3 * hidden]);
        let out = cell.forward(projected, tensor(values("h"), [batch, hidden]));
        let out: Vec<f32> = out.into_data().try_to_vec().unwrap();
        for (ours, theirs) in out.iter().zip(values("out")) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }
}
