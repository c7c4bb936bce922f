//! Low-rank adapters of weight matrices: LoRA (Hu et al. 2022) and DoRA (Liu et al. 2024).
//!
//! Our matrices are `[in, out]` (states times weight), the transposes of the papers'. With
//! V = W₀ + (α/r)·D·U, D `[in, r]` and U `[r, out]`:
//!
//! | | effective weight |
//! |---|---|
//! | LoRA | V |
//! | DoRA | m ⊙ V / ‖V‖, with the norm of each output's column, m `[1, out]` |
//!
//! U starts at 0 and m at ‖W₀‖, so that both start as W₀. The gradient of DoRA takes ‖V‖ for a
//! constant, as the paper's equation 11 does.

use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::parameters::{Matrix, download, upload};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Lora,
    Dora,
}

impl Kind {
    pub fn title(self) -> &'static str {
        match self {
            Self::Lora => "LoRA",
            Self::Dora => "DoRA",
        }
    }

    /// Its parts for a matrix `[in, out]` at rank `rank`: their names after the matrix's, and
    /// their shapes.
    pub fn parts(self, [rows, cols]: [usize; 2], rank: usize) -> Vec<(&'static str, [usize; 2])> {
        let mut parts = vec![("down", [rows, rank]), ("up", [rank, cols])];
        if self == Self::Dora {
            parts.push(("magnitude", [1, cols]));
        }
        parts
    }
}

/// Rank r and scale α / r.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Size {
    pub rank: usize,
    pub alpha: f64,
}

/// Adapters of some of a model's matrices, their values apart from the model's.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub kind: Kind,
    pub size: Size,
    /// Names of the matrices adapted, in the order of the model.
    pub names: Vec<String>,
}

impl Adapter {
    /// Of the matrices called `names`.
    pub fn new(kind: Kind, size: Size, names: Vec<String>) -> Self {
        Self { kind, size, names }
    }

    /// Start values: D uniform within ±1/√in, U zero, and m the norms of the columns, for each
    /// matrix of `base` that is adapted. Named `MATRIX.down`, `MATRIX.up` and `MATRIX.magnitude`.
    pub fn initial(&self, base: &[Matrix], seed: u64) -> Vec<Matrix> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut parts = Vec::new();
        for matrix in base.iter().filter(|matrix| self.names.contains(&matrix.name)) {
            let [rows, cols] = matrix.shape;
            let bound = 1.0 / (rows as f32).sqrt();
            for (part, shape) in self.kind.parts(matrix.shape, self.size.rank) {
                let size = shape[0] * shape[1];
                let values = match part {
                    "down" => {
                        (0..size).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound).collect()
                    }
                    "up" => vec![0.0; size],
                    _ => (0..cols).map(|col| norm(matrix, col)).collect(),
                };
                parts.push(Matrix { name: format!("{}.{part}", matrix.name), shape, values });
            }
        }
        parts
    }

    /// The model's parameters with the adapted matrices in place of its own. `parts` in the order
    /// of [`Adapter::initial`], `base` the model's tensors by name.
    pub fn compose(&self, base: &[(String, Tensor<2>)], parts: &[Tensor<2>]) -> Vec<Tensor<2>> {
        let mut parts = parts.iter().cloned();
        // `initial` made as many parts as this takes.
        let mut next = || parts.next().unwrap_or_else(|| unreachable!("a part for each matrix"));
        let scale = self.size.alpha / self.size.rank as f64;
        base.iter()
            .map(|(name, weight)| {
                if !self.names.contains(name) {
                    return weight.clone();
                }
                let (down, up) = (next(), next());
                let moved = weight.clone() + down.matmul(up) * scale;
                match self.kind {
                    Kind::Lora => moved,
                    Kind::Dora => {
                        let norm = column_norms(moved.clone().detach());
                        rescaled(moved, norm, next())
                    }
                }
            })
            .collect()
    }

    /// The adapted matrices as ordinary ones: a model without adapters that answers the same.
    pub fn merge(&self, base: &[Matrix], parts: &[Matrix]) -> Vec<Matrix> {
        let device = Device::flex();
        let named: Vec<(String, Tensor<2>)> =
            base.iter().map(|m| m.name.clone()).zip(upload(base, &device)).collect();
        download(base, &self.compose(&named, &upload(parts, &device)))
    }
}

/// ‖W‖ of one column.
fn norm(matrix: &Matrix, col: usize) -> f32 {
    let [rows, cols] = matrix.shape;
    let column = (0..rows).map(|row| f64::from(matrix.values[row * cols + col]));
    column.map(|value| value * value).sum::<f64>().sqrt() as f32
}

/// ‖V‖ of each column, `[1, out]`; never 0, so that a column of zeros stays one.
fn column_norms(matrix: Tensor<2>) -> Tensor<2> {
    matrix.square().sum_dim(0).sqrt().clamp_min(1e-12)
}

/// m ⊙ V / norm.
fn rescaled(matrix: Tensor<2>, norm: Tensor<2>, magnitude: Tensor<2>) -> Tensor<2> {
    matrix / norm * magnitude
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::dynamics::parameters::values;

    fn matrix(name: &str, shape: [usize; 2], values: &[f32]) -> Matrix {
        Matrix { name: name.to_owned(), shape, values: values.to_vec() }
    }

    fn base() -> Vec<Matrix> {
        vec![
            matrix("w", [2, 3], &[3.0, 0.5, -1.0, 4.0, 1.5, 2.0]),
            matrix("b", [1, 3], &[0.1, 0.2, 0.3]),
        ]
    }

    fn adapter(kind: Kind) -> Adapter {
        Adapter::new(kind, Size { rank: 1, alpha: 2.0 }, vec!["w".to_owned()])
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?}\n{b:?}");
    }

    #[test]
    fn both_start_as_the_weights_they_adapt() {
        for kind in [Kind::Lora, Kind::Dora] {
            let adapter = adapter(kind);
            let merged = adapter.merge(&base(), &adapter.initial(&base(), 7));
            close(&merged[0].values, &base()[0].values);
            assert_eq!(merged[1], base()[1], "what is not adapted stays");
        }
    }

    #[test]
    fn a_hand_worked_case_of_each() {
        // V = W₀ + 2·[1, 1]ᵀ·[1, 0, −1] = [[5, 0.5, −3], [6, 1.5, 0]]; its columns' norms are √61,
        // √2.5 and 3.
        let parts = vec![
            matrix("w.down", [2, 1], &[1.0, 1.0]),
            matrix("w.up", [1, 3], &[1.0, 0.0, -1.0]),
            matrix("w.magnitude", [1, 3], &[2.0, 1.0, 6.0]),
        ];
        let lora = adapter(Kind::Lora).merge(&base(), &parts[..2]);
        close(&lora[0].values, &[5.0, 0.5, -3.0, 6.0, 1.5, 0.0]);
        let dora = adapter(Kind::Dora).merge(&base(), &parts);
        let (first, second) = (61f32.sqrt(), 2.5f32.sqrt());
        let expected = [10.0 / first, 0.5 / second, -6.0, 12.0 / first, 1.5 / second, 0.0];
        close(&dora[0].values, &expected);
    }

    /// Σ C ⊙ W′ for fixed C: a loss whose gradient by W′ is C.
    fn loss(weight: Tensor<2>) -> Tensor<1> {
        let device = weight.device();
        let c = TensorData::new(vec![0.7f32, -1.3, 0.4, 1.1, 0.2, -0.9], [2, 3]);
        (weight * Tensor::from_data(c, &device)).sum()
    }

    #[test]
    fn the_gradient_is_that_of_the_finite_differences_with_the_norm_held() {
        let adapter = adapter(Kind::Dora);
        let parts = vec![
            matrix("w.down", [2, 1], &[0.6, -0.8]),
            matrix("w.up", [1, 3], &[0.5, 0.3, -0.7]),
            matrix("w.magnitude", [1, 3], &[2.0, 1.0, 3.0]),
        ];
        let device = Device::flex().autodiff();
        let named: Vec<(String, Tensor<2>)> =
            base().iter().map(|m| m.name.clone()).zip(upload(&base(), &device)).collect();
        let tracked: Vec<Tensor<2>> =
            upload(&parts, &device).into_iter().map(Tensor::require_grad).collect();
        let weight = adapter.compose(&named, &tracked).swap_remove(0);
        let mut gradients = loss(weight).backward();
        let plain = Device::flex();
        let held = {
            let [down, up, _] = [0, 1, 2].map(|part| upload(&parts, &plain)[part].clone());
            let weight = upload(&base(), &plain).swap_remove(0);
            column_norms(weight + down.matmul(up) * 2.0)
        };
        let at = |parts: &[Matrix]| -> f64 {
            let [down, up, magnitude] = [0, 1, 2].map(|part| upload(parts, &plain)[part].clone());
            let moved = upload(&base(), &plain).swap_remove(0) + down.matmul(up) * 2.0;
            let value = loss(rescaled(moved, held.clone(), magnitude));
            f64::from(value.into_scalar::<f32>())
        };
        for (part, tensor) in tracked.iter().enumerate() {
            let gradient = values(&tensor.grad_remove(&mut gradients).unwrap());
            for (place, gradient) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut parts = parts.clone();
                    parts[part].values[place] += by;
                    at(&parts)
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let name = &parts[part].name;
                assert!(
                    (numeric - f64::from(*gradient)).abs() < 2e-3,
                    "{name} {place}: {numeric} {gradient}"
                );
            }
        }
    }
}
