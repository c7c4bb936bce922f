//! The exponential of small negative numbers, without a branch, a table or a call, so that loops
//! over it vectorise. Only for code that [`pulp`] dispatches: it is always inlined.

/// (q, 2ⁿ) with eˣ = 2ⁿ (1 + q), for −87 ≤ x ≤ 0; NaN stays NaN in q.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody & Waite 1980); q = eʳ − 1 by the Cephes polynomial
/// (Moshier 1992); 2ⁿ is written straight into the exponent, of a normal number since n ≥ −126.
#[inline(always)]
pub fn split_exp(x: f32) -> (f32, f32) {
    /// 1.5 · 2²³: adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first short enough that n times it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    (p * r * r + r, power)
}
