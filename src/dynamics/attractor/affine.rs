//! x·W + b in f64, forwards, as a differential, and transposed.

/// An affine map.
pub(super) struct Affine {
    /// Width of the result.
    pub outputs: usize,
    /// Row-major, one row an input.
    pub weight: Vec<f64>,
    /// `[outputs]`.
    pub bias: Vec<f64>,
}

impl Affine {
    /// From f32 values, `weight` being `[inputs, outputs]`.
    ///
    /// # Panics
    /// Where `weight` does not hold whole rows of as many values as `bias`.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        assert_eq!(weight.len(), inputs * outputs, "whole rows");
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        Self { outputs, weight: wide(weight), bias: wide(bias) }
    }

    /// `x·W + b`.
    pub fn apply(&self, x: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.bias);
        self.accumulate(x, out);
    }

    /// `v·W`: what the map does to a small change of x.
    pub fn differential(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        self.accumulate(v, out);
    }

    /// `W·w`, `[outputs]` to `[inputs]`: the transpose of [`differential`](Self::differential).
    pub fn transposed(&self, w: &[f64], out: &mut [f64]) {
        for (out, row) in out.iter_mut().zip(self.weight.chunks_exact(self.outputs)) {
            *out = super::dot(row, w);
        }
    }

    fn accumulate(&self, x: &[f64], out: &mut [f64]) {
        for (&x, row) in x.iter().zip(self.weight.chunks_exact(self.outputs)) {
            for (out, &weight) in out.iter_mut().zip(row) {
                *out += x * weight;
            }
        }
    }
}
