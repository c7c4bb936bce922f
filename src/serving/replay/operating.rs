//! A router setting applied to the replayed requests.

use serde::Serialize;

use super::Replay;
use crate::evaluation::{Estimate, hit, mean_metric, mean_over, ndcg, percentile};
use crate::routing::{Ask, Budget, Force, Limit, Path, Reason, decide};
use crate::settings::RouterSettings;

/// HR@10 and NDCG@10 with their intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    pub hr10: Estimate,
    pub ndcg10: Estimate,
}

impl Quality {
    /// Of the ranks of the targets, from 1.
    pub(super) fn of(ranks: impl Iterator<Item = u32>) -> Self {
        let (hits, ndcgs) = ranks.map(|rank| (hit(rank, 10), ndcg(rank, 10))).unzip();
        Self { hr10: mean_metric(&[hits]), ndcg10: mean_metric(&[ndcgs]) }
    }
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub path: Path,
    pub reason: Reason,
    pub denied_by: Option<Limit>,
}

/// What a setting does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Operating {
    /// Requests replayed.
    pub requests: usize,
    /// Arrivals a second that were assumed, evenly spaced.
    pub rate: f64,
    /// Share of requests over a threshold, 0..=1.
    pub uncertain: f64,
    /// Share answered by System 2.
    pub escalated: f64,
    /// Share over a threshold that the budget denied.
    pub denied: f64,
    /// Requests by reason, in the order of [`Reason::ALL`].
    pub reasons: Vec<(Reason, usize)>,
    /// Requests denied by limit.
    pub denied_by: Vec<(Limit, usize)>,
    pub quality: Quality,
    /// The same with System 1, and with System 2, for every request.
    pub system1: Quality,
    pub system2: Quality,
    /// Of NDCG@10 over System 1 alone, paired over requests.
    pub gain: Estimate,
    /// In milliseconds; System 2's part is simulated.
    pub mean_latency_ms: f64,
    pub p95_latency_ms: f64,
    /// In dollars; tokens are estimated.
    pub cost_per_1000: f64,
}

impl Replay {
    /// Route every request under `settings`, one after the other at `rate` requests a second.
    pub fn route(&self, settings: &RouterSettings, rate: f64) -> Vec<Outcome> {
        let mut budget = Budget::new(settings, 0.0);
        self.requests
            .iter()
            .enumerate()
            .map(|(place, request)| {
                let ask = Ask {
                    uncertainty: request.uncertainty,
                    force: Force::No,
                    breaker_open: false,
                    expected_cost: request.cost,
                };
                let decision = decide(settings, &mut budget, &ask, place as f64 / rate);
                Outcome {
                    path: decision.path,
                    reason: decision.reason,
                    denied_by: decision.denied_by,
                }
            })
            .collect()
    }

    /// What `settings` do to the held-out requests; `None` where there are none.
    pub fn operating(&self, settings: &RouterSettings, rate: f64) -> Option<Operating> {
        let n = self.requests.len();
        if n == 0 {
            return None;
        }
        let outcomes = self.route(settings, rate);
        let system = |outcome: &Outcome| usize::from(outcome.path == Path::SlowPath);
        let pairs = || self.requests.iter().zip(&outcomes);
        let routed = || pairs().map(|(request, outcome)| request.rank[system(outcome)]);
        let gains: Vec<f64> = routed()
            .zip(&self.requests)
            .map(|(rank, request)| ndcg(rank, 10) - ndcg(request.rank[0], 10))
            .collect();
        let mut latencies: Vec<f64> =
            pairs().map(|(request, outcome)| request.latency_ms[system(outcome)]).collect();
        latencies.sort_unstable_by(f64::total_cmp);
        let spent = pairs()
            .filter(|(_, outcome)| outcome.path == Path::SlowPath)
            // An empty sum would be −0.
            .fold(0.0, |spent, (request, _)| spent + request.cost);
        let share = |count: usize| count as f64 / n as f64;
        let escalated = outcomes.iter().filter(|o| o.path == Path::SlowPath).count();
        let denied = outcomes.iter().filter(|o| o.denied_by.is_some()).count();
        let uncertain = outcomes
            .iter()
            .filter(|o| {
                o.denied_by.is_some() || matches!(o.reason, Reason::Uncertain | Reason::Conflict)
            })
            .count();
        let count_reason = |reason| outcomes.iter().filter(|o| o.reason == reason).count();
        let count_limit = |limit| outcomes.iter().filter(|o| o.denied_by == Some(limit)).count();
        Some(Operating {
            requests: n,
            rate,
            uncertain: share(uncertain),
            escalated: share(escalated),
            denied: share(denied),
            reasons: Reason::ALL.iter().map(|&reason| (reason, count_reason(reason))).collect(),
            denied_by: Limit::ALL.iter().map(|&limit| (limit, count_limit(limit))).collect(),
            quality: Quality::of(routed()),
            system1: self.alone[0].clone(),
            system2: self.alone[1].clone(),
            gain: mean_over(&[gains]),
            mean_latency_ms: latencies.iter().sum::<f64>() / n as f64,
            p95_latency_ms: percentile(&latencies, 95)?,
            cost_per_1000: 1000.0 * spent / n as f64,
        })
    }
}
