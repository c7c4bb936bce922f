//! What a moment says of each item, as features of its score: ln(1 + x/ε) of every intensity, of
//! how much the history excites the item, and of how it followed the last ones, ever and lately.
//! The ε of an intensity is a number of events; that of a tie is a share of the strongest tie at
//! that moment, since how strong ties are says how long a history is and how well its items are
//! known, not which item is next.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::half_life::HALF_LIVES;
use super::intensity::{Base, Intensities};

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
    by_tie: [Vec<f32>; TIES],
}

/// Values of a few among many items, added up.
pub(super) struct Sums<const N: usize> {
    /// Place of an item in the lists, from 1; 0 where it has none.
    slots: Vec<u32>,
    values: Vec<[f32; N]>,
}

impl<const N: usize> Sums<N> {
    pub fn new(items: usize) -> Self {
        Self { slots: vec![0; items], values: Vec::new() }
    }

    #[inline]
    pub fn add(&mut self, item: u32, by: [f32; N]) {
        let slot = &mut self.slots[item as usize];
        if *slot == 0 {
            self.values.push([0.0; N]);
            *slot = self.values.len() as u32;
        }
        let values = &mut self.values[*slot as usize - 1];
        values.iter_mut().zip(by).for_each(|(value, by)| *value += by);
    }

    /// The items that have values, in their order.
    fn each(&self) -> impl Iterator<Item = (u32, &[f32; N])> {
        let items = self.slots.iter().enumerate().filter(|(_, slot)| **slot > 0);
        items.map(|(item, slot)| (item as u32, &self.values[*slot as usize - 1]))
    }
}

impl Look {
    /// What events since the snapshot add.
    pub(super) fn raise(&mut self, sums: &Sums<HALF_LIVES>, intensities: &Intensities) {
        for (item, values) in sums.each() {
            let mut by = [0.0; HALF_LIVES];
            for (k, (by, value)) in by.iter_mut().zip(values).enumerate() {
                let base = intensities.values(&self.base, k).map_or(0.0, |all| all[item as usize]);
                let base = base * (self.base.decay[k] / LEAST_EVENTS);
                *by = ln_1p(base + value / LEAST_EVENTS) - ln_1p(base);
            }
            self.raised.push(item);
            self.by_raise.push(by);
        }
    }

    /// The ties to the history.
    pub(super) fn tie(&mut self, arch: Arch, sums: &Sums<TIES>) {
        for (item, values) in sums.each() {
            self.tied.push(item);
            for (list, value) in self.by_tie.iter_mut().zip(values) {
                list.push(*value);
            }
        }
        for list in &mut self.by_tie {
            let strongest = list.iter().fold(0.0, |most: f32, &tie| most.max(tie));
            let factor = 1.0 / (LEAST_SHARE * strongest.max(FAINT));
            arch.dispatch(Logarithms { values: list, factor });
        }
    }

    /// Add the features of items from `first` on, times `weights`, to their `scores`.
    pub(super) fn add(
        &self,
        arch: Arch,
        intensities: &Intensities,
        weights: &[f32; FEATURES],
        first: usize,
        scores: &mut [f32],
    ) {
        for (k, &weight) in weights[..HALF_LIVES].iter().enumerate() {
            let Some(base) = intensities.values(&self.base, k) else { break };
            let base = &base[first..][..scores.len()];
            let factor = self.base.decay[k] / LEAST_EVENTS;
            arch.dispatch(Add { base, factor, weight, scores: &mut *scores });
        }
        for place in within(&self.raised, first, scores.len()) {
            let by = self.by_raise[place].iter().zip(weights);
            scores[self.raised[place] as usize - first] += by.map(|(x, w)| x * w).sum::<f32>();
        }
        for place in within(&self.tied, first, scores.len()) {
            let by = self.by_tie.iter().zip(&weights[HALF_LIVES..]);
            scores[self.tied[place] as usize - first] += by.map(|(x, w)| x[place] * w).sum::<f32>();
        }
    }

    /// Σ of the features of items from `first` on, times the `slopes` by their scores.
    pub(super) fn pull(
        &self,
        arch: Arch,
        intensities: &Intensities,
        slopes: &[f32],
        first: usize,
    ) -> [f32; FEATURES] {
        let mut sums = [0.0; FEATURES];
        for (k, sum) in sums[..HALF_LIVES].iter_mut().enumerate() {
            let Some(base) = intensities.values(&self.base, k) else { break };
            let (base, factor) =
                (&base[first..][..slopes.len()], self.base.decay[k] / LEAST_EVENTS);
            *sum = arch.dispatch(Pull { base, factor, slopes });
        }
        for place in within(&self.raised, first, slopes.len()) {
            let slope = slopes[self.raised[place] as usize - first];
            sums.iter_mut().zip(self.by_raise[place]).for_each(|(sum, by)| *sum += slope * by);
        }
        for place in within(&self.tied, first, slopes.len()) {
            let slope = slopes[self.tied[place] as usize - first];
            for (sum, by) in sums[HALF_LIVES..].iter_mut().zip(&self.by_tie) {
                *sum += slope * by[place];
            }
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
fn ln_1p(x: f32) -> f32 {
    /// √½, from which on a number counts as about 1.
    const LOWEST: u32 = 0x3f35_04f3;
    let bits = (1.0 + x).to_bits();
    let halvings = (bits.wrapping_sub(LOWEST) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((halvings << 23) as u32)) - 1.0;
    let mut p = 7.037_683_6e-2;
    p = p * f - 1.151_461e-1;
    p = p * f + 1.167_699_9e-1;
    p = p * f - 1.242_014_1e-1;
    p = p * f + 1.424_932_3e-1;
    p = p * f - 1.666_805_8e-1;
    p = p * f + 2.000_071_5e-1;
    p = p * f - 2.499_999_4e-1;
    p = p * f + 0.333_333_3;
    let square = f * f;
    halvings as f32 * std::f32::consts::LN_2 + (f - 0.5 * square + f * square * p)
}

/// x ← ln(1 + factor·x).
struct Logarithms<'a> {
    values: &'a mut [f32],
    factor: f32,
}

impl NullaryFnOnce for Logarithms<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for value in self.values {
            *value = ln_1p(*value * self.factor);
        }
    }
}

/// scores ← scores + weight · ln(1 + factor·base).
struct Add<'a> {
    base: &'a [f32],
    factor: f32,
    weight: f32,
    scores: &'a mut [f32],
}

impl NullaryFnOnce for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { base, factor, weight, scores } = self;
        for (score, base) in scores.iter_mut().zip(base) {
            *score += weight * ln_1p(base * factor);
        }
    }
}

/// Σ slopes · ln(1 + factor·base).
struct Pull<'a> {
    base: &'a [f32],
    factor: f32,
    slopes: &'a [f32],
}

impl NullaryFnOnce for Pull<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        /// Sums side by side; a constant, so that they are the same on every processor.
        const LANES: usize = 16;
        let Self { base, factor, slopes } = self;
        let mut sums = [0.0f32; LANES];
        for (base, slopes) in base.chunks(LANES).zip(slopes.chunks(LANES)) {
            for ((base, slope), sum) in base.iter().zip(slopes).zip(&mut sums) {
                *sum += slope * ln_1p(base * factor);
            }
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_as_near_as_it_says() {
        for x in (0..0x7e80_0000u32).step_by(9973).map(f32::from_bits) {
            let exact = f64::from(x).ln_1p();
            let error = (f64::from(ln_1p(x)) - exact).abs();
            assert!(error < 2e-7 * exact.max(1.0), "{x}: {error}");
        }
    }
}
