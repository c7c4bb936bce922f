//! tanh, the logistic function, softplus and eˣ − 1 without a branch, a table or a call, so that loops over them
//! vectorise. Only for code that [`pulp`] dispatches: they are always inlined.

use pulp::NullaryFnOnce;

use crate::exponential::split_exp;

/// Beyond ±this, f32 has no number between tanh and ±1.
const SATURATION: f32 = 9.02;
/// tanh x ≈ x·P(x²)/Q(x²) for |x| ≤ 9.1, within 2.3e-8 of it before rounding: the ratio of two
/// polynomials of degree 4 with the least largest relative error (Lawson's iteration). From the
/// constant up.
const P: [f32; 5] = [0.999_999_98, 0.133_744_71, 3.487_806_2e-3, 2.048_110_8e-5, 1.317_741_8e-8];
const Q: [f32; 5] = [1.0, 0.467_077_85, 2.584_737e-2, 3.272_912_3e-4, 7.704_002e-7];

/// tanh x within 4e-7 (relative, and so absolute), odd, never beyond ±1; NaN stays NaN.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let square = x * x;
    let at =
        |c: [f32; 5]| (((c[4] * square + c[3]) * square + c[2]) * square + c[1]) * square + c[0];
    let size = x.abs() * at(P) / at(Q);
    // Comparisons, not f32::min, so that NaN passes.
    let size = if size > 1.0 { 1.0 } else { size };
    let size = if x.abs() > SATURATION { 1.0 } else { size };
    size.copysign(x)
}

/// 1 / (1 + e⁻ˣ) within 3e-7 (absolute), in 0..=1, as (1 + tanh(x/2)) / 2; NaN stays NaN.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + y) with y = exp(−|x|), within 6e-7 (relative); NaN stays NaN.
///
/// ln(1 + y) = 2·artanh(s) with s = y / (2 + y) ≤ 1/3, whose series is short.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let size = x.abs();
    let (q, power) = split_exp(-if size > 87.0 { 87.0 } else { size });
    let y = power + power * q;
    let s = y / (2.0 + y);
    let square = s * s;
    let mut series = 1.0 / 13.0;
    for odd in [11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        series = series * square + 1.0 / odd;
    }
    // A comparison, not f32::max, so that NaN passes.
    let above = if x < 0.0 { 0.0 } else { x };
    above + 2.0 * s * series
}

/// eˣ − 1 for x ≤ 0, as 2ⁿq + (2ⁿ − 1): no digits are lost near 0. Below −87 it is −1; NaN stays NaN.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let (q, power) = split_exp(if x < -87.0 { -87.0 } else { x });
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
            assert!(tanh(x).abs() <= 1.0, "tanh {x}");
            assert!(error <= 4e-7 * exact.abs(), "tanh {x}: {error} of {exact}");
            let error = (f64::from(sigmoid(x)) - 1.0 / (1.0 + (-f64::from(x)).exp())).abs();
            assert!(error < 3e-7 && (0.0..=1.0).contains(&sigmoid(x)), "sigmoid {x}: {error}");
        }
    }

    #[test]
    fn softplus_and_exp_m1_are_as_near_as_they_say() {
        for x in numbers() {
            let wide = f64::from(x);
            let exact = wide.max(0.0) + (-wide.abs()).exp().ln_1p();
            let error = (f64::from(softplus(x)) - exact).abs();
            // Far below 0 it ends in the smallest numbers there are.
            assert!(error <= 6e-7 * exact + 1e-37, "softplus {x}: {error} of {exact}");
            if x <= 0.0 {
                let exact = wide.exp_m1();
                let error = (f64::from(exp_m1(x)) - exact).abs();
                assert!(error <= 3e-7 * exact.abs(), "exp_m1 {x}: {error} of {exact}");
            }
        }
        assert_eq!((exp_m1(0.0), exp_m1(f32::NEG_INFINITY)), (0.0, -1.0));
        assert_eq!(softplus(f32::INFINITY), f32::INFINITY);
        assert!(softplus(f32::NAN).is_nan() && exp_m1(f32::NAN).is_nan());
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
