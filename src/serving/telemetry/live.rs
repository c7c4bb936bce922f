//! The history as curves and rates, for one frame of the window.

use super::history::{COARSE, FINE, Past, STEP};
use super::latencies::Latencies;
use super::slot::Slot;
use super::{Served, Totals};
use crate::routing::Reason;

const REASONS: usize = Reason::ALL.len();
/// Seconds behind [`LiveView::current`].
const CURRENT: i64 = 10;

/// How far back a view reaches.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    #[default]
    Minute,
    FiveMinutes,
    QuarterHour,
    SixHours,
}

impl Window {
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::QuarterHour, Self::SixHours];

    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::QuarterHour => FINE,
            Self::SixHours => COARSE,
        }
    }

    /// Seconds in a step: 1, or 10 in the longest.
    pub fn step(self) -> i64 {
        if self.seconds() > FINE { STEP } else { 1 }
    }

    /// Name as shown to people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Minute => "1 min",
            Self::FiveMinutes => "5 min",
            Self::QuarterHour => "15 min",
            Self::SixHours => "6 h",
        }
    }
}

/// What one frame shows. All curves have a value for each of [`LiveView::seconds`]; NaN is where
/// there is none: before the start, or nothing was measured in that step. The step that is not
/// over is not shown.
#[derive(Debug, Clone)]
pub struct LiveView {
    pub window: Window,
    /// Middle of each step, oldest first, in seconds before the end of the newest: -59.5 … -0.5.
    pub seconds: Vec<f64>,
    /// Answers a second.
    pub requests: Vec<f64>,
    /// Requests refused a second.
    pub rejected: Vec<f64>,
    /// By `Served as usize`.
    pub paths: [PathSeries; 3],
    /// Share of the answers that came from the cache, 0 to 1.
    pub hit_rate: Vec<f64>,
    /// Decisions a second, by `Reason as usize`.
    pub decisions: [Vec<f64>; REASONS],
    /// In the bucket, at the end of the step.
    pub tokens: Vec<f64>,
    /// Of all requests that the cache did not answer, escalated, 0 to 1.
    pub share: Vec<f64>,
    /// Dollars spent in the hour before.
    pub hour_cost: Vec<f64>,
    /// Over the last 10 seconds.
    pub current: Rates,
    /// Over the whole window.
    pub whole: Rates,
    /// Since the start.
    pub totals: Totals,
}

/// Curves of one path.
#[derive(Debug, Clone, Default)]
pub struct PathSeries {
    /// Answers a second.
    pub requests: Vec<f64>,
    /// Milliseconds, within [`super::RELATIVE_ERROR`].
    pub p50_ms: Vec<f64>,
    pub p99_ms: Vec<f64>,
}

/// Means over a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Answers a second.
    pub requests: f64,
    /// Requests refused a second.
    pub rejected: f64,
    /// By `Served as usize`.
    pub paths: [PathRates; 3],
    /// `None` without answers.
    pub hit_rate: Option<f64>,
    /// Decisions a second, by `Reason as usize`.
    pub decisions: [f64; REASONS],
    /// Dollars spent on System 2, an hour.
    pub cost_per_hour: f64,
}

/// One path over a span of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PathRates {
    /// Answers a second.
    pub requests: f64,
    /// Milliseconds, within [`super::RELATIVE_ERROR`]; `None` without answers.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

fn hit_rate(slot: &Slot) -> Option<f64> {
    let hits = slot.served[Served::Cache as usize];
    (slot.requests() > 0).then(|| f64::from(hits) / f64::from(slot.requests()))
}

impl Rates {
    /// Over the seconds before `end` that `past` holds in steps of `step`.
    fn over(past: &Past, step: i64, seconds: i64, end: i64) -> Self {
        let mut sum = Slot::new(end);
        past.slots(step, end - seconds, end).for_each(|slot| sum.add(slot));
        // A server that has just begun has not been there for the whole span.
        let span = seconds.min(end - past.began()).max(1) as f64;
        let rate = |count: u32| f64::from(count) / span;
        let path = |at: usize| {
            let latencies: &Latencies = &sum.latencies[at];
            PathRates {
                requests: rate(sum.served[at]),
                p50_ms: latencies.quantile_ms(0.5),
                p99_ms: latencies.quantile_ms(0.99),
            }
        };
        Self {
            requests: rate(sum.requests()),
            rejected: rate(sum.rejected),
            paths: std::array::from_fn(path),
            hit_rate: hit_rate(&sum),
            decisions: sum.reasons.map(rate),
            cost_per_hour: sum.cost / span * 3600.0,
        }
    }
}

impl LiveView {
    /// The view at `second`. `past` has settled at it.
    pub(super) fn new(window: Window, second: i64, past: &Past, totals: Totals) -> Self {
        let step = window.step();
        let end = second.div_euclid(step) * step;
        let from = end - window.seconds();
        let points = (window.seconds() / step) as usize;
        // Before the start there is nothing; since then there is at least nought.
        let unborn = ((past.began() - from).max(0) / step).min(points as i64) as usize;
        let gaps = || vec![f64::NAN; points];
        let noughts = || {
            let mut values = vec![0.0; points];
            values[..unborn].fill(f64::NAN);
            values
        };
        let path = |_| PathSeries { requests: noughts(), p50_ms: gaps(), p99_ms: gaps() };
        let middle = |at: usize| (at as f64 + 0.5 - points as f64) * step as f64;
        let mut view = Self {
            window,
            seconds: (0..points).map(middle).collect(),
            requests: noughts(),
            rejected: noughts(),
            paths: std::array::from_fn(path),
            hit_rate: gaps(),
            decisions: std::array::from_fn(|_| noughts()),
            tokens: gaps(),
            share: gaps(),
            hour_cost: gaps(),
            current: Rates::over(past, 1, CURRENT, second),
            whole: Rates::over(past, step, window.seconds(), end),
            totals,
        };
        for slot in past.slots(step, from, end) {
            view.set(((slot.begins - from) / step) as usize, step as f64, slot);
        }
        view
    }

    fn set(&mut self, at: usize, step: f64, slot: &Slot) {
        self.requests[at] = f64::from(slot.requests()) / step;
        self.rejected[at] = f64::from(slot.rejected) / step;
        for (path, series) in self.paths.iter_mut().enumerate() {
            series.requests[at] = f64::from(slot.served[path]) / step;
            [series.p50_ms[at], series.p99_ms[at]] = slot.quantiles[path];
        }
        self.hit_rate[at] = hit_rate(slot).unwrap_or(f64::NAN);
        for (series, count) in self.decisions.iter_mut().zip(slot.reasons) {
            series[at] = f64::from(count) / step;
        }
        self.tokens[at] = slot.tokens;
        self.share[at] = slot.share;
        self.hour_cost[at] = slot.hour_cost;
    }
}
