//! Held-out requests, answered once by System 1 and once by System 2: what would a router setting
//! have escalated, at what cost, and for which quality?
//!
//! System 2 is the mock here, whatever `reasoner.kind` says: its latency and tokens are simulated
//! ([`Replay::simulated`]), its ranking and its quality are real.

mod operating;
#[cfg(test)]
mod tests;

use std::time::Instant;

pub use operating::{Operating, Outcome, Quality};

use super::perceive::{best, uncertainty};
use super::{ServeError, ServedModel};
use crate::data::split::Query;
use crate::evaluation::{Reliability, hit, ndcg, rank, reliability};
use crate::jobs::Context;
use crate::reasoning::Mock;
use crate::routing::{Uncertainty, softmax};
use crate::settings::Config;
use crate::training::evaluate::excluded;

/// Held-out requests replayed, at most, evenly taken: enough for an interval of ±0.006 at HR 0.2.
const MOST: usize = 20_000;
const BINS: usize = 10;

/// One held-out request and how both systems did on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    pub uncertainty: Uncertainty,
    /// Rank of the item that was taken, from 1, under System 1 and System 2.
    pub rank: [u32; 2],
    /// Measured for System 1 (alone, on this machine); simulated for System 2, System 1 included.
    pub latency_ms: [f64; 2],
    /// Of asking System 2, in dollars, at the prices set.
    pub cost: f64,
}

/// The held-out requests of a run, in the order of their times.
#[derive(Debug, Clone)]
pub struct Replay {
    pub run: String,
    pub requests: Vec<Replayed>,
    /// Temperature of the calibration and its effect on the held-out requests.
    pub temperature: f64,
    pub before: Reliability,
    pub after: Reliability,
    /// Whether the requests have a conflict at all.
    pub has_conflict: bool,
    /// System 2's latency and tokens are simulated.
    pub simulated: bool,
}

impl Replay {
    /// Replay the test queries of `model`'s run. `config` gives `reasoner` and `router.half_life`.
    ///
    /// # Errors
    /// [`ServeError::Cancelled`].
    pub fn run<E>(
        model: &ServedModel,
        config: &Config,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let every = model.split.test.len().div_ceil(MOST).max(1);
        let mut queries: Vec<Query> = model.split.test.iter().step_by(every).copied().collect();
        queries.sort_by_key(|query| model.data.time[query.target]);
        let mock = Mock::new(model.evidence.clone(), &config.reasoner);
        let mut workspace = model.packed.workspace();
        let mut requests = Vec::with_capacity(queries.len());
        let (mut raw, mut calibrated) = (Vec::new(), Vec::new());
        for (place, query) in queries.iter().enumerate() {
            if place % 32 == 0 {
                context.checkpoint()?;
                let share = place as f32 / queries.len() as f32;
                context.progress(Some(share), "Replaying held-out requests");
            }
            let begun = Instant::now();
            let mut scores = model.score_queries(&[*query], &mut workspace);
            let target = model.data.item[query.target];
            let seen = excluded(&model.data, query, model.config.evaluation.mask_seen);
            let first = rank(&scores, target as usize, &seen);
            for &item in &seen {
                // The target itself is never left out of a ranking.
                if item != target {
                    scores[item as usize] = f32::NEG_INFINITY;
                }
            }
            let start = query.start.max(query.target.saturating_sub(model.split.input_len));
            let items = &model.data.item[start..query.target];
            let times = &model.data.time[start..query.target];
            let asked_at = model.data.time[query.target];
            let sure =
                uncertainty(model, &scores, (items, times, asked_at), config.router.half_life);
            let candidates = best(&scores, model.temperature.value, config.reasoner.candidates);
            let own = begun.elapsed().as_secs_f64() * 1e3;
            if let Some(&(top, probability)) = candidates.first() {
                calibrated.push((f64::from(probability), top == target));
                let uncalibrated = softmax(&scores, 1.0);
                let plain = (f64::from(scores[top as usize]) - uncalibrated.log_total).exp();
                raw.push((plain, top == target));
            }
            let order = mock.rank(items, &candidates);
            // What System 2 did not choose from stays behind in System 1's order.
            let second = order
                .iter()
                .position(|&candidate| candidates[candidate].0 == target)
                .map_or(first.max(candidates.len() as u32 + 1), |place| place as u32 + 1);
            requests.push(Replayed {
                uncertainty: sure,
                rank: [first, second],
                latency_ms: [own, own + mock.latency(items).as_secs_f64() * 1e3],
                cost: mock.cost(items.len(), candidates.len()),
            });
        }
        Ok(Self {
            run: model.run.clone(),
            has_conflict: requests.iter().any(|request| request.uncertainty.conflict.is_some()),
            requests,
            temperature: model.temperature.value,
            before: reliability(&raw, BINS),
            after: reliability(&calibrated, BINS),
            simulated: true,
        })
    }

    /// HR@10 of every request under System 1 (0) or System 2 (1).
    pub fn hits(&self, system: usize) -> Vec<f64> {
        self.requests.iter().map(|request| hit(request.rank[system], 10)).collect()
    }

    /// NDCG@10 of every request under System 1 (0) or System 2 (1).
    pub fn ndcgs(&self, system: usize) -> Vec<f64> {
        self.requests.iter().map(|request| ndcg(request.rank[system], 10)).collect()
    }
}
