//! The one call that takes an answer in, and who reads what it left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::history::{Past, Present};
use super::known::KnownIds;
use super::prometheus::Metrics;
use super::{Gauges, LiveView, Observation, Totals, Window};

/// Answers kept whole.
const RECENT: usize = 500;

/// Tells the time.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// All that a server measures of itself: Prometheus' metrics, the window's live history, the last
/// answers. Shared by all threads.
pub struct Telemetry {
    clock: Clock,
    /// `None` only where Prometheus refuses a metric's definition.
    metrics: Option<Metrics>,
    now: Mutex<Now>,
    /// Locked after `now` where both are, and never the other way round.
    past: Mutex<Past>,
}

/// What each answer changes.
struct Now {
    present: Present,
    totals: Totals,
    /// Newest last.
    recent: VecDeque<Arc<Observation>>,
    known: KnownIds,
}

/// A lock whose holder panicked still guards numbers that are good enough to count on with.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telemetry {
    pub fn new() -> Arc<Self> {
        Self::with_clock(Timestamp::now)
    }

    /// With another clock than the system's, for what has no time of its own: all but
    /// [`Telemetry::observe`].
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Arc<Self> {
        let start = clock();
        let metrics = Metrics::new(start)
            .inspect_err(|error| tracing::error!("there will be no metrics: {error}"))
            .ok();
        let second = start.as_second();
        let now = Now {
            present: Present::new(second),
            totals: Totals::default(),
            recent: VecDeque::with_capacity(RECENT),
            known: KnownIds::new(KnownIds::CAPACITY),
        };
        Arc::new(Self {
            clock: Box::new(clock),
            metrics,
            now: Mutex::new(now),
            past: Mutex::new(Past::new(second)),
        })
    }

    /// Go on to a second of the clock.
    fn at(&self, second: i64) -> MutexGuard<'_, Now> {
        let mut now = locked(&self.now);
        if let Some(over) = now.present.advance(second) {
            locked(&self.past).push(over);
        }
        now
    }

    fn second(&self) -> i64 {
        (self.clock)().as_second()
    }

    /// An answer was given. Costs some atomic additions and one short lock.
    pub fn observe(&self, observation: Arc<Observation>) {
        if let Some(metrics) = &self.metrics {
            metrics.observe(&observation);
        }
        let mut now = self.at(observation.at.as_second());
        now.present.slot().observe(&observation);
        now.totals.observe(&observation);
        now.known.insert(observation.impression);
        let oldest = if now.recent.len() < RECENT { None } else { now.recent.pop_front() };
        now.recent.push_back(observation);
        // Freeing an answer takes longer than all of the above: not under the lock.
        drop(now);
        drop(oldest);
    }

    /// A request was answered with an error.
    pub fn rejected(&self, status: u16, code: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.rejected(status, code);
        }
        let mut now = self.at(self.second());
        now.present.slot().rejected += 1;
        now.totals.rejected += 1;
    }

    /// A user did something with an answer.
    pub fn feedback(&self, action: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.feedback(action);
        }
        locked(&self.now).totals.feedback += 1;
    }

    /// Post the present levels, before they are read.
    pub fn gauges(&self, gauges: Gauges) {
        if let Some(metrics) = &self.metrics {
            metrics.gauges(&gauges);
        }
        self.at(self.second()).present.slot().post(&gauges);
    }

    /// Prometheus' text format, version 0.0.4.
    pub fn text(&self) -> String {
        self.metrics.as_ref().map(Metrics::text).unwrap_or_default()
    }

    /// The history for one frame.
    pub fn live(&self, window: Window) -> LiveView {
        let (second, totals) = {
            let now = self.at(self.second());
            (now.present.second(), now.totals)
        };
        let mut past = locked(&self.past);
        past.settle(second);
        LiveView::new(window, second, &past, totals)
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        locked(&self.now).totals
    }

    /// The last answers, newest first, at most `limit` and at most 500.
    pub fn recent(&self, limit: usize) -> Vec<Arc<Observation>> {
        locked(&self.now).recent.iter().rev().take(limit).cloned().collect()
    }

    /// Whether this answer is one of the last 100,000 or so.
    pub fn knows(&self, impression: Uuid) -> bool {
        locked(&self.now).known.contains(impression)
    }
}
