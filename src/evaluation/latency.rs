//! Timings summed up.

use serde::{Deserialize, Serialize};

/// Percentiles of timings in milliseconds, by nearest rank: the smallest sample that at least
/// that share of the samples does not exceed. So each is a time that was really measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub median_ms: f64,
    pub p95_ms: f64,
    /// Timings.
    pub n: usize,
}

impl Latency {
    /// Sum up timings in milliseconds; `None` where there is no finite one.
    pub fn from_ms(samples: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|ms| ms.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let of = |percent| percentile(&sorted, percent);
        Some(Self { median_ms: of(50)?, p95_ms: of(95)?, n: sorted.len() })
    }
}

/// A percentile of `sorted` values by nearest rank, as in [`Latency`]; `None` of no values.
pub fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let nearest = (sorted.len() * percent).div_ceil(100);
    sorted.get(nearest.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(median_ms: f64, p95_ms: f64, n: usize) -> Option<Latency> {
        Some(Latency { median_ms, p95_ms, n })
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let upward: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(Latency::from_ms(&upward), latency(50.0, 95.0, 100));
        assert_eq!(Latency::from_ms(&[3.0, 1.0, 2.0]), latency(2.0, 3.0, 3));
        assert_eq!(Latency::from_ms(&[2.0, 1.0]), latency(1.0, 2.0, 2));
        assert_eq!(Latency::from_ms(&[7.0]), latency(7.0, 7.0, 1));
    }

    #[test]
    fn nothing_measured_is_none() {
        assert_eq!(Latency::from_ms(&[]), None);
        assert_eq!(Latency::from_ms(&[f64::NAN]), None);
    }
}
