//! Latencies of one step as a small histogram with logarithmic buckets.

use std::time::Duration;

const BUCKETS: usize = 128;
/// Seconds at the lower edge of the first bucket.
const LOWEST: f64 = 4e-6;
/// Buckets in which the latency doubles: 128 of them reach from 4 µs to 67 s.
const PER_OCTAVE: f64 = 16.0 / 3.0;

/// A quantile of the live history is off by less than this share of the true one (the width
/// of a bucket, 2^(3/16) − 1), for latencies between 4 µs and 67 s; others count as these ends.
pub const RELATIVE_ERROR: f64 = 0.139;

/// How often each latency was measured. 516 bytes, whatever was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }
}

fn bucket(latency: Duration) -> usize {
    let octaves = (latency.as_secs_f64() / LOWEST).log2();
    // Below the first bucket is negative, which `as` makes 0.
    ((octaves * PER_OCTAVE) as usize).min(BUCKETS - 1)
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        let count = &mut self.counts[bucket(latency)];
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// Count what `other` counted too.
    pub fn add(&mut self, other: &Self) {
        if other.total == 0 {
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// The latency in milliseconds that at least the share `q` (0 to 1) of the measurements do
    /// not exceed, within [`RELATIVE_ERROR`]; `None` where nothing was measured. Measurements of
    /// one bucket are taken to be spread evenly over it, on the logarithmic scale.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let rank = ((q * f64::from(self.total)).ceil() as u32).clamp(1, self.total.max(1));
        let mut below = 0_u32;
        for (at, &count) in self.counts.iter().enumerate() {
            if count > 0 && rank - below <= count {
                let within = (f64::from(rank - below) - 0.5) / f64::from(count);
                let octaves = (at as f64 + within) / PER_OCTAVE;
                return Some(LOWEST * octaves.exp2() * 1e3);
            }
            below = below.saturating_add(count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = f64>) -> Latencies {
        let mut latencies = Latencies::default();
        for ms in milliseconds {
            latencies.record(Duration::from_secs_f64(ms / 1e3));
        }
        latencies
    }

    #[test]
    fn nothing_measured_has_no_quantile() {
        assert_eq!(Latencies::default().quantile_ms(0.5), None);
    }

    #[test]
    fn one_measurement_is_the_middle_of_its_bucket() {
        // 4.1 µs is in bucket 0, whose middle is 4 µs · 2^(0.5 · 3/16).
        let expected = 4e-3 * 2_f64.powf(0.5 * 3.0 / 16.0);
        for q in [0.0, 0.5, 0.99, 1.0] {
            let got = of([0.0041]).quantile_ms(q).unwrap();
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn quantiles_by_hand() {
        // 16 buckets are three octaves, so 8 µs, 64 µs… are 4 µs times powers of two; 33 µs is
        // 3.044 octaves up and in bucket 16, where measurement k of 4 stands at (k − ½)/4.
        let four = of([0.033, 0.033, 0.033, 0.033]);
        for (q, k) in [(0.25, 1.0), (0.5, 2.0), (0.75, 3.0), (1.0, 4.0)] {
            let expected = 4e-3 * 2_f64.powf((16.0 + (k - 0.5) / 4.0) * 3.0 / 16.0);
            let got = four.quantile_ms(q).unwrap();
            assert!((got - expected).abs() < 1e-12, "{q}: {got} {expected}");
        }
        // 98 fast ones and 2 slow ones: the 99th of 100 is slow, the 98th is not.
        let mixed = of([1.0; 98].into_iter().chain([800.0; 2]));
        let p99 = mixed.quantile_ms(0.99).unwrap();
        assert!((p99 / 800.0 - 1.0).abs() < RELATIVE_ERROR, "{p99}");
        let p98 = mixed.quantile_ms(0.98).unwrap();
        assert!((p98 - 1.0).abs() < RELATIVE_ERROR, "{p98}");
    }

    #[test]
    fn ends_of_the_scale() {
        let low = of([0.0]).quantile_ms(0.5).unwrap();
        assert!((low / 0.004 - 1.0).abs() < RELATIVE_ERROR, "{low}");
        let high = of([3.6e6]).quantile_ms(0.5).unwrap();
        assert!((high / 67_109.0 - 1.0).abs() < RELATIVE_ERROR, "{high}");
    }

    #[test]
    fn stated_error_is_the_width_of_a_bucket() {
        let width = (1.0 / PER_OCTAVE).exp2() - 1.0;
        assert!(width < RELATIVE_ERROR && width > RELATIVE_ERROR - 0.001, "{width}");
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(
            exponents in prop::collection::vec(-2.3_f64..4.8, 1..200),
            q in 0.0_f64..=1.0,
        ) {
            let mut all: Vec<f64> = exponents.iter().map(|exponent| 10_f64.powf(*exponent)).collect();
            let (left, right) = all.split_at(all.len() / 2);
            let mut both = of(left.iter().copied());
            both.add(&of(right.iter().copied()));
            prop_assert_eq!(&both, &of(all.iter().copied()));
            all.sort_by(f64::total_cmp);
            let rank = ((q * all.len() as f64).ceil() as usize).max(1);
            let truth = all[rank - 1];
            let got = both.quantile_ms(q).unwrap();
            prop_assert!((got / truth - 1.0).abs() < RELATIVE_ERROR, "{} for {}", got, truth);
        }
    }
}
