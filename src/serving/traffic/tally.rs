//! Counting while traffic runs.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::TrafficError;
use super::client::{Answer, Failure, Outcome};
use super::report::Latency;

/// Histograms hold nanoseconds from a microsecond to ten minutes, to three significant digits.
const SHORTEST_NS: u64 = 1_000;
const LONGEST_NS: u64 = 600_000_000_000;
const DIGITS: u8 = 3;
/// Different words kept of what a server says; a server of ours has fewer.
const MOST_WORDS: usize = 32;
const OTHER: &str = "other";

/// The counters a few times a second; all since the start except where said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficTick {
    /// Seconds since the start, pauses left out.
    pub seconds: f64,
    pub sent: u64,
    /// Answered with a recommendation.
    pub completed: u64,
    pub failed: u64,
    pub in_flight: u64,
    /// Answers from the cache.
    pub hits: u64,
    /// Answers a second since the tick before.
    pub rate: f64,
    /// Latency since the tick before; `None` where nothing was answered.
    pub recent: Option<Latency>,
}

/// Everything counted so far.
pub struct Tally {
    pub sent: u64,
    pub completed: u64,
    pub failed: u64,
    pub hits: u64,
    /// Answers that carry a warning.
    pub warned: u64,
    pub warm_up: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub reasons: BTreeMap<String, u64>,
    pub failures: BTreeMap<String, u64>,
    pub latency: Histogram<u64>,
    pub by_path: BTreeMap<String, Histogram<u64>>,
    /// From the moment a request was due to its sending.
    pub delay: Histogram<u64>,
    recent: Histogram<u64>,
    /// When the last tick was, and how many answers there were then.
    last: (f64, u64),
}

impl Tally {
    /// # Errors
    /// [`TrafficError::Latencies`] where the histograms' bounds do not fit this machine.
    pub fn new() -> Result<Self, TrafficError> {
        let empty = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS)?;
        Ok(Self {
            sent: 0,
            completed: 0,
            failed: 0,
            hits: 0,
            warned: 0,
            warm_up: 0,
            bytes_sent: 0,
            bytes_received: 0,
            reasons: BTreeMap::new(),
            failures: BTreeMap::new(),
            latency: empty.clone(),
            by_path: BTreeMap::new(),
            delay: empty.clone(),
            recent: empty,
            last: (0.0, 0),
        })
    }

    /// A request of `bytes` goes out `delay` after it was due.
    pub fn sending(&mut self, bytes: usize, delay: Duration) {
        self.sent += 1;
        self.bytes_sent += bytes as u64;
        record(&mut self.delay, delay);
    }

    /// A request ended `latency` after it counted as asked.
    pub fn ended(&mut self, outcome: Outcome, latency: Duration) {
        self.bytes_received += outcome.bytes;
        match outcome.result {
            Ok(answer) => self.answered(answer, latency),
            Err(Failure(code)) => {
                self.failed += 1;
                *slot(&mut self.failures, code, || 0) += 1;
            }
        }
    }

    fn answered(&mut self, answer: Answer, latency: Duration) {
        self.completed += 1;
        self.hits += u64::from(answer.cached);
        self.warned += u64::from(answer.warnings > 0);
        record(&mut self.latency, latency);
        record(&mut self.recent, latency);
        let empty = || Histogram::new_from(&self.delay);
        record(slot(&mut self.by_path, answer.served, empty), latency);
        if !answer.reason.is_empty() {
            *slot(&mut self.reasons, answer.reason, || 0) += 1;
        }
    }

    /// Sent and not ended.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.completed - self.failed
    }

    /// The tick at `seconds` since the start; begins the next one.
    pub fn tick(&mut self, seconds: f64) -> TrafficTick {
        let (before, completed) = std::mem::replace(&mut self.last, (seconds, self.completed));
        let recent = Latency::of(&self.recent);
        self.recent.reset();
        TrafficTick {
            seconds,
            sent: self.sent,
            completed: self.completed,
            failed: self.failed,
            in_flight: self.in_flight(),
            hits: self.hits,
            rate: (self.completed - completed) as f64 / (seconds - before).max(1e-3),
            recent,
        }
    }
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

/// The entry of `word`, or of [`OTHER`] where a server says ever new words.
fn slot<T>(map: &mut BTreeMap<String, T>, word: String, new: impl FnOnce() -> T) -> &mut T {
    let full = map.len() >= MOST_WORDS && !map.contains_key(&word);
    map.entry(if full { OTHER.to_owned() } else { word }).or_insert_with(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(served: &str, reason: &str) -> Outcome {
        let answer = Answer {
            served: served.to_owned(),
            reason: reason.to_owned(),
            cached: served == "cache",
            warnings: 0,
        };
        Outcome { result: Ok(answer), bytes: 100 }
    }

    #[test]
    fn ticks_tell_what_is_new_since_the_one_before() {
        let mut tally = Tally::new().unwrap();
        for _ in 0..3 {
            tally.sending(10, Duration::ZERO);
        }
        tally.ended(answer("cache", "cache"), Duration::from_millis(2));
        tally.ended(answer("fast_path", "confident"), Duration::from_millis(4));
        let first = tally.tick(0.5);
        assert_eq!((first.sent, first.completed, first.in_flight, first.hits), (3, 2, 1, 1));
        assert_eq!(first.rate, 4.0);
        assert!((first.recent.unwrap().max_ms - 4.0).abs() < 0.01);
        let failed = Outcome { result: Err(Failure("503".to_owned())), bytes: 0 };
        tally.ended(failed, Duration::from_millis(1));
        let second = tally.tick(1.0);
        assert_eq!((second.failed, second.in_flight, second.rate), (1, 0, 0.0));
        assert_eq!(second.recent, None, "a failure has no latency");
        assert_eq!((tally.bytes_sent, tally.bytes_received), (30, 200));
    }

    #[test]
    fn a_babbling_server_does_not_fill_the_memory() {
        let mut tally = Tally::new().unwrap();
        for count in 0..1000 {
            tally.sending(0, Duration::ZERO);
            tally.ended(answer(&format!("p{count}"), &format!("r{count}")), Duration::MAX);
        }
        assert!(tally.by_path.len() <= MOST_WORDS + 1 && tally.reasons.len() <= MOST_WORDS + 1);
        assert_eq!(tally.reasons.values().sum::<u64>(), 1000);
    }
}
