//! Weights averaged over the steps of a training, later ones counting more: averaging with polynomial
//! decay (Shamir & Zhang 2013, section 4). What is validated, tested and kept moves less from step to
//! step than the weights that are trained.

use crate::dynamics::fused::pool;
use crate::dynamics::parameters::Matrix;

/// Values of one task.
const CHUNK: usize = 1 << 14;

/// The averages so far.
pub(super) struct Averaged {
    /// η + 1 of the paper, above 0: about the last 1/power of the steps counts.
    power: f64,
    /// As the parameters; before the first step only their shapes mean something.
    pub matrices: Vec<Matrix>,
}

impl Averaged {
    pub fn new(power: f64, matrices: Vec<Matrix>) -> Self {
        Self { power, matrices }
    }

    /// Take the `weights` after step number `step`, from 1, into the averages: these become
    /// (1 − s)·average + s·weights with s = power / (step + power − 1).
    pub fn take(&mut self, step: u64, weights: &[Vec<f32>], threads: usize) {
        let share = (self.power / (step as f64 + self.power - 1.0)) as f32;
        let parts = self.matrices.iter_mut().zip(weights).flat_map(|(matrix, weights)| {
            matrix.values.chunks_mut(CHUNK).zip(weights.chunks(CHUNK))
        });
        pool::run(threads, parts.collect(), |(averages, weights)| {
            for (average, weight) in averages.iter_mut().zip(weights) {
                *average += share * (weight - *average);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn averaged(power: f64, weights: &[f32]) -> f32 {
        let one = Matrix { name: "w".to_owned(), shape: [1, 1], values: vec![9.0] };
        let mut averaged = Averaged::new(power, vec![one]);
        for (place, &weight) in weights.iter().enumerate() {
            averaged.take(place as u64 + 1, &[vec![weight]], 1);
        }
        averaged.matrices[0].values[0]
    }

    #[test]
    fn power_one_is_the_mean_and_more_looks_at_the_end() {
        assert_eq!(averaged(1.0, &[4.0]), 4.0);
        assert!((averaged(1.0, &[1.0, 2.0, 6.0]) - 3.0).abs() < 1e-6);
        // Shares 1, 2/3 and 2/4: 1·(1/3)·(1/2), 2·(2/3)·(1/2), 6·(1/2).
        assert!((averaged(2.0, &[1.0, 2.0, 6.0]) - 23.0 / 6.0).abs() < 1e-6);
        assert!(averaged(50.0, &[1.0, 2.0, 6.0]) > 5.8);
    }
}
