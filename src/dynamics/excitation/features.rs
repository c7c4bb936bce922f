//! What a moment says of each item, as features of its score: ln(1 + x/ε) of every intensity, of
//! how much the history excites the item, and of how it followed the last ones, ever and lately.
//! The ε of an intensity is a number of events; that of a tie is a share of the strongest tie at
//! that moment, since how strong ties are says how long a history is and how well its items are
//! known, not which item is next.

use std::ops::Range;

use pulp::{Arch, Simd};

use super::half_life::HALF_LIVES;
use super::intensity::{Base, Intensities};
use super::sums::Sums;
use crate::dynamics::packed::kernel::{Kernel, mul_add_one, run};

/// Features that come from ties: to the history, and to its last items; and both of late.
pub(super) const TIES: usize = 4;
/// Features of an item: its intensities, then those that come from ties.
pub const FEATURES: usize = HALF_LIVES + TIES;

/// ε of an intensity, in events.
const LEAST_EVENTS: f32 = 0.1;
/// ε of ties, as a share of the strongest.
const LEAST_SHARE: f32 = 1.0 / 30.0;
/// The strongest tie counts as at least this strong, so that where there is none nothing divides by 0.
const FAINT: f32 = 1e-30;

/// The features of all items at a moment. Most intensities follow from a snapshot; items that had
/// events since, and items tied to the history, are listed.
#[derive(Default)]
pub struct Look {
    pub(super) base: Base,
    /// Items with events since the snapshot, sorted, and what these add to their features.
    raised: Vec<u32>,
    by_raise: Vec<[f32; HALF_LIVES]>,
    /// Items tied to the history, sorted, and their features.
    tied: Vec<u32>,
    by_tie: Vec<[f32; TIES]>,
}

impl Look {
    /// What events since the snapshot add.
    pub(super) fn raise(
        &mut self,
        arch: Arch,
        sums: &mut Sums<HALF_LIVES>,
        intensities: &Intensities,
    ) {
        let bases = intensities.values(&self.base);
        let factors = self.factors();
        let mut before = Vec::new();
        sums.take(|item, values| {
            let base: [f32; HALF_LIVES] = std::array::from_fn(|k| {
                bases.map_or(0.0, |bases| bases[k][item as usize] * factors[k])
            });
            self.raised.push(item);
            self.by_raise.push(std::array::from_fn(|k| base[k] + values[k] / LEAST_EVENTS));
            before.push(base);
        });
        let (after, before) = (self.by_raise.as_flattened_mut(), before.as_flattened());
        run(arch, Raises { after, before });
    }

    /// The ties to the history.
    pub(super) fn tie(&mut self, arch: Arch, sums: &mut Sums<TIES>) {
        let mut strongest = [FAINT; TIES];
        sums.take(|item, values| {
            self.tied.push(item);
            self.by_tie.push(values);
            strongest.iter_mut().zip(values).for_each(|(most, tie)| *most = most.max(tie));
        });
        let factors = strongest.map(|strongest| 1.0 / (LEAST_SHARE * strongest));
        run(arch, Logarithms { values: self.by_tie.as_flattened_mut(), factors });
    }

    /// Of the snapshot's values: what is left of them, over ε.
    fn factors(&self) -> [f32; HALF_LIVES] {
        self.base.decay.map(|decay| decay / LEAST_EVENTS)
    }

    /// Add the features of items from `first` on, times `weights`, to their `scores`. The features that
    /// follow from the snapshot replace `kept`, one half-life after the other, for [`Self::pull`].
    pub(super) fn add(
        &self,
        arch: Arch,
        intensities: &Intensities,
        weights: &[f32; FEATURES],
        first: usize,
        scores: &mut [f32],
        kept: &mut Vec<f32>,
    ) {
        let size = scores.len();
        let (by_intensity, by_tie) = weights.split_at(HALF_LIVES);
        let bases = intensities.values(&self.base);
        kept.resize(if bases.is_some() { HALF_LIVES * size } else { 0 }, 0.0);
        if let Some(bases) = bases {
            let factors = self.factors();
            for (k, kept) in kept.chunks_exact_mut(size.max(1)).enumerate() {
                let base = &bases[k][first..][..size];
                let (factor, weight) = (factors[k], by_intensity[k]);
                run(arch, Add { base, factor, weight, scores: &mut *scores, kept });
            }
        }
        for place in within(&self.raised, first, size) {
            let by = self.by_raise[place].iter().zip(by_intensity);
            scores[self.raised[place] as usize - first] += by.map(|(x, w)| x * w).sum::<f32>();
        }
        for place in within(&self.tied, first, size) {
            let by = self.by_tie[place].iter().zip(by_tie);
            scores[self.tied[place] as usize - first] += by.map(|(x, w)| x * w).sum::<f32>();
        }
    }

    /// Σ of the features of items from `first` on, times the `slopes` by their scores, where `kept` is
    /// what [`Self::add`] has left.
    pub(super) fn pull(
        &self,
        arch: Arch,
        slopes: &[f32],
        first: usize,
        kept: &[f32],
    ) -> [f32; FEATURES] {
        let mut sums = [0.0; FEATURES];
        let (by_intensity, by_tie) = sums.split_at_mut(HALF_LIVES);
        for (features, sum) in kept.chunks_exact(slopes.len().max(1)).zip(&mut *by_intensity) {
            *sum = run(arch, Pull { features, slopes });
        }
        for place in within(&self.raised, first, slopes.len()) {
            let slope = slopes[self.raised[place] as usize - first];
            let by = by_intensity.iter_mut().zip(self.by_raise[place]);
            by.for_each(|(sum, by)| *sum += slope * by);
        }
        for place in within(&self.tied, first, slopes.len()) {
            let slope = slopes[self.tied[place] as usize - first];
            let by = by_tie.iter_mut().zip(self.by_tie[place]);
            by.for_each(|(sum, by)| *sum += slope * by);
        }
        sums
    }
}

/// Places of items `first..first + size` in a sorted list.
fn within(list: &[u32], first: usize, size: usize) -> Range<usize> {
    let place = |item: usize| list.partition_point(|&other| (other as usize) < item);
    place(first)..place(first + size)
}

/// ln(1 + x) within 2e-7 (absolute) for 0 ≤ x < 2¹²⁷, without a branch: the Cephes polynomial (Moshier
/// 1992) about 1, after halving.
#[inline(always)]
fn ln_1p<const FUSED: bool>(x: f32) -> f32 {
    /// √½, from which on a number counts as about 1.
    const LOWEST: u32 = 0x3f35_04f3;
    const SERIES: [f32; 8] = [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        0.333_333_3,
    ];
    let bits = (1.0 + x).to_bits();
    let halvings = (bits.wrapping_sub(LOWEST) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((halvings << 23) as u32)) - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in SERIES {
        p = mul_add_one::<FUSED>(p, f, c);
    }
    let square = f * f;
    let near = mul_add_one::<FUSED>(square, mul_add_one::<FUSED>(f, p, -0.5), f);
    mul_add_one::<FUSED>(halvings as f32, std::f32::consts::LN_2, near)
}

/// after ← ln(1 + after) − ln(1 + before).
struct Raises<'a> {
    after: &'a mut [f32],
    before: &'a [f32],
}

impl Kernel for Raises<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) {
        for (after, before) in self.after.iter_mut().zip(self.before) {
            *after = ln_1p::<FUSED>(*after) - ln_1p::<FUSED>(*before);
        }
    }
}

/// x ← ln(1 + factor·x), with a factor for each column.
struct Logarithms<'a> {
    /// `[R, TIES]`.
    values: &'a mut [f32],
    factors: [f32; TIES],
}

impl Kernel for Logarithms<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) {
        /// Values side by side: whole rows.
        const SIDE: usize = 4 * TIES;
        let factors: [f32; SIDE] = std::array::from_fn(|place| self.factors[place % TIES]);
        let (whole, rest) = self.values.as_chunks_mut::<SIDE>();
        for values in whole {
            for (value, factor) in values.iter_mut().zip(factors) {
                *value = ln_1p::<FUSED>(*value * factor);
            }
        }
        for (value, factor) in rest.iter_mut().zip(factors) {
            *value = ln_1p::<FUSED>(*value * factor);
        }
    }
}

/// kept ← ln(1 + factor·base), and scores ← scores + weight·kept.
struct Add<'a> {
    base: &'a [f32],
    factor: f32,
    weight: f32,
    scores: &'a mut [f32],
    kept: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) {
        let Self { base, factor, weight, scores, kept } = self;
        for ((score, base), kept) in scores.iter_mut().zip(base).zip(kept) {
            let feature = ln_1p::<FUSED>(base * factor);
            *kept = feature;
            *score = mul_add_one::<FUSED>(weight, feature, *score);
        }
    }
}

/// Σ slopes·features.
struct Pull<'a> {
    features: &'a [f32],
    slopes: &'a [f32],
}

impl Kernel for Pull<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) -> f32 {
        let (features, features_rest) = self.features.as_chunks::<LANES>();
        let (slopes, slopes_rest) = self.slopes.as_chunks::<LANES>();
        let mut sums = [0.0f32; LANES];
        for (features, slopes) in features.iter().zip(slopes) {
            grow::<FUSED>(&mut sums, features, slopes);
        }
        grow::<FUSED>(&mut sums, features_rest, slopes_rest);
        sums.iter().sum()
    }
}

/// Sums side by side; a constant, so that they are the same on every processor.
const LANES: usize = 16;

/// `sums` grow by the products of a few features and slopes.
#[inline(always)]
fn grow<const FUSED: bool>(sums: &mut [f32; LANES], features: &[f32], slopes: &[f32]) {
    for ((feature, slope), sum) in features.iter().zip(slopes).zip(sums) {
        *sum = mul_add_one::<FUSED>(*slope, *feature, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_as_near_as_it_says() {
        for x in (0..0x7e80_0000u32).step_by(9973).map(f32::from_bits) {
            let exact = f64::from(x).ln_1p();
            for found in [ln_1p::<true>(x), ln_1p::<false>(x)] {
                let error = (f64::from(found) - exact).abs();
                assert!(error < 2e-7 * exact.max(1.0), "{x}: {error}");
            }
        }
    }
}
