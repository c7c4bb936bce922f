//! Progress in bytes: how much of how much, and how fast.

use std::time::{Duration, Instant};

use crate::jobs::Context;

/// Between two reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// Counts the bytes of one set over all its files.
#[derive(Debug)]
pub(super) struct Meter {
    /// Size of each file, where known.
    sizes: Vec<Option<u64>>,
    /// Bytes there are of each file.
    done: Vec<u64>,
    /// Bytes over the network since the last report.
    fresh: u64,
    reported: Instant,
    /// Bytes a second, smoothed; `None` before the first measurement.
    rate: Option<f64>,
}

impl Meter {
    pub fn new(sizes: Vec<Option<u64>>) -> Self {
        let done = vec![0; sizes.len()];
        Self { sizes, done, fresh: 0, reported: Instant::now(), rate: None }
    }

    /// File `index` is `total` bytes long, and `have` of them are there.
    pub fn set<E>(&mut self, index: usize, have: u64, total: Option<u64>, context: &Context<E>) {
        self.done[index] = have;
        self.sizes[index] = total.or(self.sizes[index]);
        self.report(context);
    }

    /// `bytes` more of file `index` came in.
    pub fn add<E>(&mut self, index: usize, bytes: u64, context: &Context<E>) {
        self.done[index] += bytes;
        self.fresh += bytes;
        let passed = self.reported.elapsed();
        if passed >= INTERVAL {
            let now = self.fresh as f64 / passed.as_secs_f64();
            self.rate = Some(self.rate.map_or(now, |before| 0.7 * before + 0.3 * now));
            self.fresh = 0;
            self.report(context);
        }
    }

    fn report<E>(&mut self, context: &Context<E>) {
        self.reported = Instant::now();
        let total: Option<u64> = self.sizes.iter().copied().sum();
        let fraction = total.filter(|&total| total > 0).map(|t| self.have() as f32 / t as f32);
        context.progress(fraction, self.message(total));
    }

    fn have(&self) -> u64 {
        self.done.iter().sum()
    }

    fn message(&self, total: Option<u64>) -> String {
        let megabytes = |bytes: f64| bytes / 1e6;
        let mut text = format!("{:.1}", megabytes(self.have() as f64));
        if let Some(total) = total {
            text += &format!(" of {:.1}", megabytes(total as f64));
        }
        text += " MB";
        if let Some(rate) = self.rate {
            text += &format!(", {:.1} MB/s", megabytes(rate));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_gives_share_and_rate() {
        let mut meter = Meter::new(vec![Some(198_700_000)]);
        meter.done[0] = 12_300_000;
        assert_eq!(meter.message(Some(198_700_000)), "12.3 of 198.7 MB");
        meter.rate = Some(4.1e6);
        assert_eq!(meter.message(Some(198_700_000)), "12.3 of 198.7 MB, 4.1 MB/s");
        assert_eq!(meter.message(None), "12.3 MB, 4.1 MB/s");
    }
}
