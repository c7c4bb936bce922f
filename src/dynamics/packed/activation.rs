//! tanh and the logistic function without a branch, a table or a call, so that loops over them
//! vectorise. Only for code that [`pulp`] dispatches: they are always inlined.

use pulp::NullaryFnOnce;

use crate::exponential::split_exp;

/// Beyond ±this, f32 has no number between tanh and ±1.
const SATURATION: f32 = 10.0;

/// tanh x within 2e-7 (absolute), odd, never beyond ±1; NaN stays NaN.
///
/// With e = exp(−2|x|) − 1 it is −e / (2 + e), signed as x: no digits are lost near 0.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    // A comparison, not f32::min, so that NaN passes.
    let size = if size > SATURATION { SATURATION } else { size };
    let e = exp_m1(-2.0 * size);
    (-e / (2.0 + e)).copysign(x)
}

/// 1 / (1 + e⁻ˣ) within 2e-7 (absolute), in 0..=1, as (1 + tanh(x/2)) / 2; NaN stays NaN.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

/// eˣ − 1 for −87 ≤ x ≤ 0, as 2ⁿq + (2ⁿ − 1): no digits are lost near 0.
#[inline(always)]
fn exp_m1(x: f32) -> f32 {
    let (q, power) = split_exp(x);
    power * q + (power - 1.0)
}

/// x ← tanh x.
pub struct Tanh<'a> {
    pub values: &'a mut [f32],
}

impl NullaryFnOnce for Tanh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.values {
            *value = tanh(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 997th number of either sign from 0 to 100, so that small ones are seen as well.
    fn numbers() -> impl Iterator<Item = f32> {
        (0..=100f32.to_bits()).step_by(997).map(f32::from_bits).flat_map(|x| [x, -x])
    }

    #[test]
    fn both_are_as_near_as_they_say() {
        for x in numbers() {
            let exact = f64::from(x).tanh();
            let error = (f64::from(tanh(x)) - exact).abs();
            assert!(error < 2e-7 && tanh(x).abs() <= 1.0, "tanh {x}: {error}");
            assert!(error <= 4e-7 * exact.abs(), "tanh {x}: {error} of {exact}");
            let error = (f64::from(sigmoid(x)) - 1.0 / (1.0 + (-f64::from(x)).exp())).abs();
            assert!(error < 2e-7 && (0.0..=1.0).contains(&sigmoid(x)), "sigmoid {x}: {error}");
        }
    }

    #[test]
    fn both_keep_their_symmetry_and_their_ends() {
        for x in numbers() {
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert_eq!((tanh(0.0), sigmoid(0.0)), (0.0, 0.5));
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }
}
