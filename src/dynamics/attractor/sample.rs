//! The visited states a search starts from, and the scales they set.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::find::Options;
use super::{distance, finite_rows};

/// States beyond this are left out like those that are not finite: their squares would not be.
const LARGEST: f64 = 1e12;

/// Visited states and where they lie.
pub(super) struct Sample {
    pub dim: usize,
    /// Row of each start among the given states, rising.
    pub starts: Vec<usize>,
    /// `[S, H]`.
    pub states: Vec<f64>,
    /// Mean of the starts, `[H]`.
    pub centre: Vec<f64>,
    /// Root mean square of the distance to the centre; 1 where all starts are one. Lengths are
    /// measured against it.
    pub radius: f64,
    /// Largest distance of a start to the centre, at least the radius.
    pub farthest: f64,
    /// Standard deviation along each axis, `[H]`.
    deviation: Vec<f64>,
}

impl Sample {
    /// At most `options.starts` of `states`, `[R, H]`, drawn without replacement.
    pub fn new(states: &[f64], dim: usize, options: &Options) -> Self {
        let mut starts = finite_rows(states, dim);
        let row = |&row: &usize| &states[row * dim..][..dim];
        starts.retain(|start| row(start).iter().all(|value| value.abs() <= LARGEST));
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        if starts.len() > options.starts {
            for place in 0..options.starts {
                let other = rng.random_range(place..starts.len());
                starts.swap(place, other);
            }
            starts.truncate(options.starts);
            starts.sort_unstable();
        }
        let count = starts.len().max(1) as f64;
        let mut centre = vec![0.0; dim];
        for start in &starts {
            centre.iter_mut().zip(row(start)).for_each(|(mean, value)| *mean += value / count);
        }
        let mut variance = vec![0.0; dim];
        let mut farthest = 0.0f64;
        for start in &starts {
            let offsets = row(start).iter().zip(&centre).map(|(value, mean)| value - mean);
            variance
                .iter_mut()
                .zip(offsets)
                .for_each(|(sum, offset)| *sum += offset * offset / count);
            farthest = farthest.max(distance(row(start), &centre));
        }
        let radius = variance.iter().sum::<f64>().sqrt();
        let radius = if radius > 1e-9 { radius } else { 1.0 };
        let deviation = variance.into_iter().map(f64::sqrt).collect();
        let states = starts.iter().flat_map(row).copied().collect();
        Self { dim, starts, states, centre, radius, farthest: farthest.max(radius), deviation }
    }

    /// Number of starts.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The starts in f32, and after them a copy of each with normal noise of `jitter` standard
    /// deviations along every axis: `[2S, H]`.
    pub fn jittered(&self, options: &Options) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0x6a69_7474_6572);
        let plain = self.states.iter().copied();
        let noisy =
            self.states.iter().zip(self.deviation.iter().cycle()).map(|(value, deviation)| {
                // Box–Muller; 1 − u keeps the logarithm finite.
                let (u, v): (f64, f64) = (rng.random(), rng.random());
                let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                value + options.jitter * deviation * normal
            });
        plain.chain(noisy).map(|value| value as f32).collect()
    }

    /// Whether `z` is far from all that was visited: nothing can be said of the field there, for
    /// it was never trained there. Far is farther than two radii from the nearest start.
    pub fn is_far(&self, z: &[f64]) -> bool {
        let reach = 2.0 * self.radius;
        !self.states.chunks_exact(self.dim).any(|start| distance(start, z) <= reach)
    }
}
