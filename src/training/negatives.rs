//! Items drawn to stand for a large catalogue in one training step.

use rand::{Rng, RngExt};

use crate::data::Dataset;
use crate::data::split::Sequence;
use crate::dynamics::fused::Negatives;

/// How items are drawn: half by how often they occur in training, half evenly.
pub struct Proposals {
    /// Occurrences of all items up to each.
    cumulative: Vec<u64>,
}

impl Proposals {
    /// From the events of the training sequences.
    pub fn count(data: &Dataset, train: &[Sequence]) -> Self {
        let mut cumulative = vec![0u64; data.items()];
        for sequence in train {
            for &item in &data.item[sequence.start..sequence.end] {
                cumulative[item as usize] += 1;
            }
        }
        let mut sum = 0;
        for count in &mut cumulative {
            sum += *count;
            *count = sum;
        }
        Self { cumulative }
    }

    fn occurrences(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(0)
    }

    /// Draw `count` times with replacement, and keep each item once.
    pub fn draw(&self, rng: &mut impl Rng, count: usize) -> Negatives {
        let (items, occurrences) = (self.cumulative.len(), self.occurrences());
        let mut drawn: Vec<u32> = (0..count)
            .map(|_| {
                if occurrences > 0 && rng.random::<bool>() {
                    let place = rng.random_range(0..occurrences);
                    self.cumulative.partition_point(|&sum| sum <= place) as u32
                } else {
                    rng.random_range(0..items) as u32
                }
            })
            .collect();
        drawn.sort_unstable();
        drawn.dedup();
        let log_expected =
            drawn.iter().map(|&item| self.expected(item, count).ln() as f32).collect();
        Negatives { items: drawn, log_expected }
    }

    /// Probability that `item` is among those kept of `count` draws.
    fn expected(&self, item: u32, count: usize) -> f64 {
        let item = item as usize;
        let before = item.checked_sub(1).map_or(0, |before| self.cumulative[before]);
        let own = (self.cumulative[item] - before) as f64;
        let even = 1.0 / self.cumulative.len() as f64;
        let each = match self.occurrences() {
            0 => even,
            all => 0.5 * own / all as f64 + 0.5 * even,
        };
        // 1 − (1 − p)ⁿ, without losing the digits of a small p.
        -(count as f64 * (-each).ln_1p()).exp_m1()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn items_are_drawn_as_often_as_expected() {
        // Item 0 nine times, item 1 once, the others never.
        let proposals = Proposals { cumulative: vec![9, 10, 10, 10, 10] };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (rounds, mut seen) = (20_000, [0.0f64; 5]);
        for _ in 0..rounds {
            let drawn = proposals.draw(&mut rng, 3);
            assert!(drawn.items.is_sorted_by(|a, b| a < b), "sorted, each once");
            for (&item, log_expected) in drawn.items.iter().zip(&drawn.log_expected) {
                assert_eq!(*log_expected, proposals.expected(item, 3).ln() as f32);
                seen[item as usize] += 1.0;
            }
        }
        for (item, seen) in seen.iter().enumerate() {
            let expected = proposals.expected(item as u32, 3);
            let share = seen / f64::from(rounds);
            assert!((share - expected).abs() < 0.015, "{item}: {share} {expected}");
        }
        // By hand: 1 − (1 − (0.45 + 0.1))³.
        assert!((proposals.expected(0, 3) - (1.0 - 0.45f64.powi(3))).abs() < 1e-12);
    }
}
