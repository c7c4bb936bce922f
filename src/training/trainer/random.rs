//! Random numbers of a training, each derived from what it is for: nothing to save, nothing to lose.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dynamics::fused::pool::run;

/// Values of a mask that are one task.
const MASK: usize = 1 << 13;

/// Random numbers of one purpose, derived from what they are for: nothing to save, nothing to lose.
fn derived(seed: u64, stream: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng.set_word_pos(u128::from(index) << 32);
    rng
}

/// Both dropout masks of one step, of `sizes` values: 0 for about a `share` of them, 1 / (1 − share) for the
/// others. On `threads` threads (0: one a core), which do not change them.
pub(super) fn masks(
    seed: u64,
    step: u64,
    share: f64,
    sizes: [usize; 2],
    threads: usize,
) -> [Vec<f32>; 2] {
    let kept = (1.0 / (1.0 - share)) as f32;
    // A value is dropped where 53 bits, as a fraction of all they can be, are below the share.
    let dropped = (share * (1u64 << 53) as f64).ceil() as u64;
    let mut all = sizes.map(|size| vec![0.0; size]);
    let (mut tasks, mut passed) = (Vec::new(), 0);
    for values in all.iter_mut().flat_map(|mask| mask.chunks_mut(MASK)) {
        let first = passed;
        passed += values.len();
        tasks.push((first, values));
    }
    run(threads, tasks, |(first, values)| {
        let mut rng = derived(seed, 2, step);
        // Two words a value.
        rng.set_word_pos(rng.get_word_pos() + 2 * first as u128);
        let mut drawn = [0u64; 64];
        for values in values.chunks_mut(drawn.len()) {
            let drawn = &mut drawn[..values.len()];
            rng.fill(&mut *drawn);
            for (value, drawn) in values.iter_mut().zip(drawn) {
                // All bits or none, since a branch could not be foreseen.
                let all = u32::from(*drawn >> 11 >= dropped).wrapping_neg();
                *value = f32::from_bits(kept.to_bits() & all);
            }
        }
    });
    all
}

/// For the items drawn at one step.
pub(super) fn negatives_rng(seed: u64, step: u64) -> ChaCha8Rng {
    derived(seed, 3, step)
}

/// How far behind the timeline is at `count` places of one step: nothing for half of them, evenly up to
/// `most` for the others.
pub(super) fn behind(seed: u64, step: u64, most: i64, count: usize) -> Vec<i64> {
    let mut rng = derived(seed, 4, step);
    (0..count).map(|_| rng.random_range(-most..=most).max(0)).collect()
}

/// The order of the training sequences in one epoch (Fisher–Yates).
pub(super) fn epoch_order(sequences: usize, seed: u64, epoch: usize) -> Vec<u32> {
    let mut rng = derived(seed, 1, epoch as u64);
    let mut order: Vec<u32> = (0..sequences as u32).collect();
    for place in (1..order.len()).rev() {
        order.swap(place, below(&mut rng, place + 1));
    }
    order
}

fn below(rng: &mut impl Rng, bound: usize) -> usize {
    rng.random_range(0..bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_an_order_of_its_own_that_can_be_made_again() {
        let first = epoch_order(100, 1, 0);
        assert_eq!(first, epoch_order(100, 1, 0));
        assert_ne!(first, epoch_order(100, 1, 1));
        assert_ne!(first, epoch_order(100, 2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_timeline_is_up_to_date_for_half_of_a_step() {
        let drawn = behind(1, 7, 1000, 4000);
        assert_eq!(drawn, behind(1, 7, 1000, 4000));
        assert_ne!(drawn, behind(1, 8, 1000, 4000));
        assert!(drawn.iter().all(|behind| (0..=1000).contains(behind)));
        let share = |what: fn(&i64) -> bool| {
            drawn.iter().filter(|behind| what(behind)).count() as f64 / 4000.0
        };
        assert!((share(|&behind| behind == 0) - 0.5).abs() < 0.03);
        assert!((share(|&behind| behind > 500) - 0.25).abs() < 0.03);
    }

    #[test]
    fn masks_are_drawn_one_value_after_the_other_whatever_the_threads() {
        let sizes = [2 * MASK + 77, 901];
        for share in [0.1, 0.25, 0.45, 0.999] {
            let mut rng = derived(3, 2, 5);
            let kept = (1.0 / (1.0 - share)) as f32;
            let mut draw = || if rng.random::<f64>() < share { 0.0 } else { kept };
            let expected = sizes.map(|size| (0..size).map(|_| draw()).collect::<Vec<f32>>());
            for threads in [1, 3] {
                assert_eq!(masks(3, 5, share, sizes, threads), expected, "{share}");
            }
            assert_ne!(masks(3, 6, share, sizes, 1), expected, "of another step");
        }
    }
}
