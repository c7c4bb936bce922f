//! Exponentials of negative numbers, without a branch, a table or a call, so that loops over them
//! vectorise. Only for code that [`pulp`] dispatches: they are always inlined.

use pulp::Simd;

/// 1.5 · 2²³: adding it rounds to an integer, which then stands in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts, the first short enough that n times it is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// (eʳ − 1 − r) / r² for |r| ≤ ln 2 / 2, the Cephes polynomial (Moshier 1992), from the highest power down.
const SERIES: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// (q, 2ⁿ) with eˣ = 2ⁿ (1 + q), for −87 ≤ x ≤ 0; NaN stays NaN in q.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody & Waite 1980); q = eʳ − 1.
#[inline(always)]
pub fn split_exp(x: f32) -> (f32, f32) {
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    (exp_m1_near_0(r), power_of_2(shifted))
}

/// 2ˣ within 3e-7 (relative) for x ≤ 0; from −126 down it is 2⁻¹²⁶, next to nothing. NaN stays NaN.
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    // A comparison, not f32::max, so that NaN passes.
    let x = if x < -126.0 { -126.0 } else { x };
    let shifted = x + ROUND;
    let power = power_of_2(shifted);
    power + power * exp_m1_near_0((x - (shifted - ROUND)) * std::f32::consts::LN_2)
}

/// eˣ of `K` vectors for −87 ≤ x ≤ 0, the same to the bit as by [`split_exp`]; NaN stays NaN. They take
/// every step together: the steps of one wait for each other, and a processor does not look far enough
/// ahead to fill the gaps with the next vector's.
#[inline(always)]
pub fn exp_together<S: Simd, const K: usize>(simd: S, x: [S::f32s; K]) -> [S::f32s; K] {
    let all = |value| simd.splat_f32s(value);
    let (mut r, mut shifted, mut p) = (x, x, [all(SERIES[0]); K]);
    for x in &mut shifted {
        *x = simd.add_f32s(simd.mul_f32s(*x, all(std::f32::consts::LOG2_E)), all(ROUND));
    }
    for (r, shifted) in r.iter_mut().zip(shifted) {
        let n = simd.sub_f32s(shifted, all(ROUND));
        *r = simd.sub_f32s(*r, simd.mul_f32s(n, all(LN2_HIGH)));
        *r = simd.sub_f32s(*r, simd.mul_f32s(n, all(LN2_LOW)));
    }
    for c in &SERIES[1..] {
        for (p, r) in p.iter_mut().zip(r) {
            *p = simd.add_f32s(simd.mul_f32s(*p, r), all(*c));
        }
    }
    for (p, r) in p.iter_mut().zip(r) {
        *p = simd.add_f32s(simd.mul_f32s(simd.mul_f32s(*p, r), r), r);
    }
    for (p, shifted) in p.iter_mut().zip(shifted) {
        // As power_of_2.
        let n = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
        let power = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(n, simd.splat_u32s(23)));
        *p = simd.add_f32s(power, simd.mul_f32s(power, *p));
    }
    p
}

/// eʳ − 1 for |r| ≤ ln 2 / 2.
#[inline(always)]
fn exp_m1_near_0(r: f32) -> f32 {
    let mut p = SERIES[0];
    for c in &SERIES[1..] {
        p = p * r + c;
    }
    p * r * r + r
}

/// 2ⁿ of the integer n ≥ −126 that [`ROUND`] was added to, written straight into the exponent.
#[inline(always)]
fn power_of_2(shifted: f32) -> f32 {
    f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// eˣ within 5e-16 (relative) for x ≤ 0; from −708 down it is e⁻⁷⁰⁸, next to nothing. NaN stays NaN.
///
/// x = n ln 2 + r as in [`split_exp`]; eʳ by its series, whose rest is below 5e-18.
#[inline(always)]
pub fn exp_wide(x: f64) -> f64 {
    /// 1.5 · 2⁵²; see [`ROUND`].
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// 1/12! up to 1/1!, and 1.
    const SERIES: [f64; 13] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let x = if x < -708.0 { -708.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 6_227_020_800.0;
    for c in SERIES {
        p = p * r + c;
    }
    p * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_as_near_as_they_say() {
        for x in (0..=140f32.to_bits()).step_by(997).map(|bits| -f32::from_bits(bits)) {
            let exact = f64::from(x.max(-126.0)).exp2();
            let error = (f64::from(exp2(x)) - exact).abs();
            assert!(error <= 3e-7 * exact, "{x}: {error} of {exact}");
        }
        assert_eq!((exp2(0.0), exp2(-3.0)), (1.0, 0.125));
        assert!(exp2(f32::NAN).is_nan() && exp2(f32::NEG_INFINITY) == exp2(-126.0));
    }

    #[test]
    fn wide_exponentials_are_as_near_as_they_say() {
        for x in (0..100_000).map(|i| -0.00708 * f64::from(i)) {
            let exact = x.exp();
            let error = (exp_wide(x) - exact).abs();
            assert!(error <= 5e-16 * exact, "{x}: {error} of {exact}");
        }
        assert_eq!((exp_wide(0.0), exp_wide(f64::NEG_INFINITY)), (1.0, exp_wide(-708.0)));
        assert!(exp_wide(f64::NAN).is_nan());
    }
}
