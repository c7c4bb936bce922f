//! Random numbers of a training, each derived from what it is for: nothing to save, nothing to lose.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random numbers of one purpose, derived from what they are for: nothing to save, nothing to lose.
fn derived(seed: u64, stream: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng.set_word_pos(u128::from(index) << 32);
    rng
}

/// For the dropout masks of one step.
pub(super) fn step_rng(seed: u64, step: u64) -> ChaCha8Rng {
    derived(seed, 2, step)
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
    fn dropout_draws_of_two_steps_do_not_overlap() {
        let draw = |step| step_rng(1, step).random::<u64>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
