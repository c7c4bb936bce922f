//! What happened in one step of time, and since the start.

use super::latencies::Latencies;
use super::{Gauges, Observation, Served};
use crate::routing::Reason;
use crate::settings::ReasonerKind;

/// Numbers of one step, a second or ten. 1.7 KiB.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The second that the step begins with.
    pub begins: i64,
    /// Answers by `Served as usize`.
    pub served: [u32; 3],
    /// Answers by `Reason as usize`.
    pub reasons: [u32; Reason::ALL.len()],
    pub rejected: u32,
    /// Dollars spent on System 2.
    pub cost: f64,
    /// Last known in the step; NaN where nobody looked.
    pub tokens: f64,
    pub share: f64,
    pub hour_cost: f64,
    /// By `Served as usize`.
    pub latencies: [Latencies; 3],
    /// p50 and p99 in milliseconds by `Served as usize`, NaN without answers; set by
    /// [`Slot::close`], so that a frame need not search thousands of histograms.
    pub quantiles: [[f64; 2]; 3],
}

impl Slot {
    pub fn new(begins: i64) -> Self {
        Self {
            begins,
            served: [0; 3],
            reasons: [0; Reason::ALL.len()],
            rejected: 0,
            cost: 0.0,
            tokens: f64::NAN,
            share: f64::NAN,
            hour_cost: f64::NAN,
            latencies: Default::default(),
            quantiles: [[f64::NAN; 2]; 3],
        }
    }

    pub fn is_empty(&self) -> bool {
        self.requests() == 0 && self.rejected == 0 && self.tokens.is_nan()
    }

    pub fn requests(&self) -> u32 {
        self.served.iter().sum()
    }

    pub fn observe(&mut self, observation: &Observation) {
        let served = observation.served as usize;
        self.served[served] += 1;
        self.reasons[observation.reason as usize] += 1;
        self.latencies[served].record(observation.latency);
        if let Some(used) = &observation.reasoner {
            self.cost += used.spent();
        }
        if observation.served != Served::Cache {
            self.tokens = observation.tokens;
        }
    }

    pub fn post(&mut self, gauges: &Gauges) {
        self.tokens = gauges.tokens;
        self.share = gauges.share;
        self.hour_cost = gauges.hour_cost;
    }

    /// Count what a later slot counted too.
    pub fn add(&mut self, later: &Self) {
        for (count, more) in self.served.iter_mut().zip(later.served) {
            *count += more;
        }
        for (count, more) in self.reasons.iter_mut().zip(later.reasons) {
            *count += more;
        }
        for (all, more) in self.latencies.iter_mut().zip(&later.latencies) {
            all.add(more);
        }
        self.rejected += later.rejected;
        self.cost += later.cost;
        for (level, newer) in [
            (&mut self.tokens, later.tokens),
            (&mut self.share, later.share),
            (&mut self.hour_cost, later.hour_cost),
        ] {
            if !newer.is_nan() {
                *level = newer;
            }
        }
    }

    /// Nothing more will be counted.
    pub fn close(&mut self) {
        for (quantiles, latencies) in self.quantiles.iter_mut().zip(&self.latencies) {
            *quantiles = [0.5, 0.99].map(|q| latencies.quantile_ms(q).unwrap_or(f64::NAN));
        }
    }
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Answers by `Served as usize`.
    pub served: [u64; 3],
    /// Answers by `Reason as usize`.
    pub reasons: [u64; Reason::ALL.len()],
    pub rejected: u64,
    pub feedback: u64,
    /// System 2 by `ReasonerKind as usize`; the mock's numbers are simulated.
    pub reasoners: [ReasonerTotals; ReasonerKind::ALL.len()],
}

/// What one kind of System 2 did since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReasonerTotals {
    pub calls: u64,
    /// Calls whose answer could not be used.
    pub failed: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Dollars.
    pub cost: f64,
    pub invented_items: u64,
}

impl Totals {
    pub fn requests(&self) -> u64 {
        self.served.iter().sum()
    }

    /// Share of the answers that came from the cache; `None` before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.served[Served::Cache as usize];
        (self.requests() > 0).then(|| hits as f64 / self.requests() as f64)
    }

    pub(super) fn observe(&mut self, observation: &Observation) {
        self.served[observation.served as usize] += 1;
        self.reasons[observation.reason as usize] += 1;
        if let Some(used) = &observation.reasoner {
            let totals = &mut self.reasoners[used.kind as usize];
            totals.calls += 1;
            totals.failed += u64::from(used.error.is_some());
            totals.prompt_tokens += used.prompt_tokens;
            totals.completion_tokens += used.completion_tokens;
            totals.cost += used.spent();
            totals.invented_items += u64::from(used.invented_items);
        }
    }
}
