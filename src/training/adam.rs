//! Adam (Kingma & Ba 2015, ε = 1e-8) with decoupled weight decay and global-norm clipping.

use burn::tensor::{Device, Tensor};

pub use crate::dynamics::fused::Update;
use crate::dynamics::fused::adam::{BETA1, BETA2, EPSILON, Pace};
use crate::dynamics::parameters::{Matrix, upload};

/// The optimiser's state, one pair of moments a parameter.
pub struct Adam {
    first: Vec<Tensor<2>>,
    second: Vec<Tensor<2>>,
    /// Updates made so far.
    pub updates: u64,
}

impl Adam {
    pub fn new(parameters: &[Tensor<2>]) -> Self {
        let zeros = || parameters.iter().map(Tensor::zeros_like).collect();
        Self { first: zeros(), second: zeros(), updates: 0 }
    }

    /// From the moments of a checkpoint.
    pub fn restore(first: &[Matrix], second: &[Matrix], updates: u64, device: &Device) -> Self {
        Self { first: upload(first, device), second: upload(second, device), updates }
    }

    /// First and second moments, in the order of the parameters.
    pub fn moments(&self) -> (&[Tensor<2>], &[Tensor<2>]) {
        (&self.first, &self.second)
    }

    /// Update `parameters` in place. The result is the gradient norm before clipping, left on the
    /// device.
    pub fn update(
        &mut self,
        parameters: &mut [Tensor<2>],
        gradients: Vec<Tensor<2>>,
        how: Update,
    ) -> Tensor<1> {
        // Row by row first: burn sums a large tensor at once in an order that depends on the
        // threads, and a resumed training must end the same to the bit.
        let squares = gradients.iter().map(|gradient| gradient.clone().square().sum_dim(1).sum());
        let norm = Tensor::cat(squares.collect(), 0).sum().sqrt();
        // As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
        let scale: Option<Tensor<2>> = (how.clip_norm > 0.0).then(|| {
            ((norm.clone() + 1e-6).recip() * how.clip_norm).clamp_max(1.0).reshape([1, 1])
        });
        self.updates += 1;
        let Pace { step, root_correction, kept: share } = how.pace(self.updates);
        for (place, mut gradient) in gradients.into_iter().enumerate() {
            if let Some(scale) = &scale {
                gradient = gradient * scale.clone();
            }
            let parameter = parameters[place].clone();
            let first = self.first[place].clone() * BETA1 + gradient.clone() * (1.0 - BETA1);
            let second = self.second[place].clone() * BETA2 + gradient.square() * (1.0 - BETA2);
            let denominator = second.clone().sqrt() / root_correction + EPSILON;
            let kept = if how.weight_decay > 0.0 { parameter * share } else { parameter };
            parameters[place] = kept - first.clone() / denominator * step;
            self.first[place] = first;
            self.second[place] = second;
        }
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn tensor(values: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), &Device::flex())
    }

    fn values(tensor: &Tensor<2>) -> Vec<f32> {
        tensor.to_data().try_to_vec().unwrap()
    }

    const PLAIN: Update = Update { learning_rate: 0.1, weight_decay: 0.0, clip_norm: 0.0 };

    #[test]
    fn it_follows_the_formula_by_hand() {
        // Step 1: m̂ = g, v̂ = g², so the step is lr·g/(|g|+ε) = lr·sign(g).
        let mut parameters = vec![tensor(&[1.0, -2.0])];
        let mut adam = Adam::new(&parameters);
        let norm = adam.update(&mut parameters, vec![tensor(&[3.0, -4.0])], PLAIN);
        assert!((norm.into_scalar::<f32>() - 5.0).abs() < 1e-5);
        let after = values(&parameters[0]);
        assert!((after[0] - 0.9).abs() < 1e-6 && (after[1] + 1.9).abs() < 1e-6, "{after:?}");
        // Step 2 with g = (0, 4): m = 0.9·0.3 = 0.27 → m̂ = 0.27/0.19; v = 0.999·0.009 → v̂ = v/0.001999.
        adam.update(&mut parameters, vec![tensor(&[0.0, 4.0])], PLAIN);
        let expected = 0.9 - 0.1 * (0.27 / 0.19) / ((0.999 * 0.009f64 / 0.001_999).sqrt() + 1e-8);
        assert!((f64::from(values(&parameters[0])[0]) - expected).abs() < 1e-5);
    }

    #[test]
    fn clipping_is_by_the_norm_over_all_parameters() {
        let mut parameters = vec![tensor(&[0.0]), tensor(&[0.0])];
        let mut adam = Adam::new(&parameters);
        let clipped = Update { clip_norm: 1.0, ..PLAIN };
        adam.update(&mut parameters, vec![tensor(&[3.0]), tensor(&[4.0])], clipped);
        let (first, _) = adam.moments();
        assert!((values(&first[0])[0] - 0.1 * 0.6).abs() < 1e-5);
        assert!((values(&first[1])[0] - 0.1 * 0.8).abs() < 1e-5);
    }

    #[test]
    fn a_gradient_shorter_than_the_limit_is_left_alone() {
        let mut parameters = vec![tensor(&[0.0])];
        let mut adam = Adam::new(&parameters);
        adam.update(&mut parameters, vec![tensor(&[0.5])], Update { clip_norm: 1.0, ..PLAIN });
        assert!((values(&adam.moments().0[0])[0] - 0.05).abs() < 1e-7);
    }
}
