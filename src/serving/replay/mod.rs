//! Held-out requests, answered once by System 1 and once by System 2: what would a router setting
//! have escalated, at what cost, and for which quality?
//!
//! [`Replay::run`] takes the mock for System 2: its latency and tokens are simulated, its ranking and
//! its quality are real. [`Replay::ask`] asks the reasoner that is set, and measures all of it.

mod operating;
mod second;
#[cfg(test)]
mod tests;

use std::time::Instant;

pub use operating::{Operating, Outcome, Quality};
use second::{Asked, Second};

use super::perceive::{best, uncertainty};
use super::{ServeError, ServedModel};
use crate::data::split::Query;
use crate::evaluation::{Frontier, Reliability, frontier, ndcg, rank, reliability};
use crate::jobs::Context;
use crate::routing::{Uncertainty, softmax};
use crate::settings::{Config, ReasonerKind};
use crate::training::evaluate::mask;

/// Held-out requests replayed, at most, evenly taken: enough for an interval of ±0.006 at HR 0.2.
const MOST: usize = 20_000;
const BINS: usize = 10;

/// One held-out request and how both systems did on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replayed {
    pub query: Query,
    pub uncertainty: Uncertainty,
    /// Rank of the item that was taken, from 1, under System 1 and System 2.
    pub rank: [u32; 2],
    /// Measured for System 1 (alone, on this machine); for System 2, System 1 included, simulated
    /// where [`Replay::reasoner`] is the mock.
    pub latency_ms: [f64; 2],
    /// Prompt and completion tokens of asking System 2.
    pub tokens: [u64; 2],
    /// Of asking System 2, in dollars, at the prices set.
    pub cost: f64,
    /// System 2 gave no answer, and System 1's stood in for it.
    pub failed: bool,
}

/// The held-out requests of a run, in the order of their times.
#[derive(Debug, Clone)]
pub struct Replay {
    pub run: String,
    /// Who System 2 was.
    pub reasoner: ReasonerKind,
    pub requests: Vec<Replayed>,
    /// Temperature of the calibration and its effect on the held-out requests.
    pub temperature: f64,
    pub before: Reliability,
    pub after: Reliability,
    /// Whether the requests have a conflict at all.
    pub has_conflict: bool,
    /// With System 1, and with System 2, for every request.
    pub alone: [Quality; 2],
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
        Self::with(model, config, MOST, Second::mock(model, config), context)
    }

    /// Replay at most `most` of them with the reasoner that `config` sets; whoever is not the mock
    /// is asked for every one of them, one after the other.
    ///
    /// # Errors
    /// [`ServeError::Cancelled`], [`ServeError::Reasoner`] where it cannot start.
    pub fn ask<E>(
        model: &ServedModel,
        config: &Config,
        most: usize,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let second = match config.reasoner.kind {
            ReasonerKind::Mock => Second::mock(model, config),
            _ => Second::reasoner(model, config)?,
        };
        Self::with(model, config, most.clamp(1, MOST), second, context)
    }

    fn with<E>(
        model: &ServedModel,
        config: &Config,
        most: usize,
        second: Second,
        context: &Context<E>,
    ) -> Result<Self, ServeError> {
        let every = model.split.test.len().div_ceil(most).max(1);
        let mut queries: Vec<Query> = model.split.test.iter().step_by(every).copied().collect();
        queries.sort_by_key(|query| model.data.time[query.target]);
        let mut workspace = model.packed.workspace();
        let mut requests = Vec::with_capacity(queries.len());
        let (mut raw, mut calibrated) = (Vec::new(), Vec::new());
        for (place, query) in queries.iter().enumerate() {
            if place % 32 == 0 || second.is_slow() {
                context.checkpoint()?;
                let share = place as f32 / queries.len() as f32;
                context.progress(Some(share), "Replaying held-out requests");
            }
            let begun = Instant::now();
            let mut scores = model.score_queries(&[*query], &mut workspace);
            let target = model.data.item[query.target];
            mask(&mut scores, &model.data, query, model.config.evaluation.mask_seen);
            let first = rank(&scores, target as usize, &[]);
            let items = &model.data.item[query.start..query.target];
            let times = &model.data.time[query.start..query.target];
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
            let asked = Asked { query, items, times, candidates: &candidates };
            let answer = second.answer(model, &asked, &|| context.checkpoint())?;
            // What System 2 did not choose from stays behind in System 1's order.
            let second_rank = answer
                .order
                .iter()
                .position(|&candidate| candidates[candidate].0 == target)
                .map_or(first.max(candidates.len() as u32 + 1), |place| place as u32 + 1);
            requests.push(Replayed {
                query: *query,
                uncertainty: sure,
                rank: [first, if answer.failed { first } else { second_rank }],
                latency_ms: [own, own + answer.latency_ms],
                tokens: answer.tokens,
                cost: answer.cost,
                failed: answer.failed,
            });
        }
        Ok(Self {
            run: model.run.clone(),
            reasoner: second.kind(),
            alone: [0, 1].map(|system| Quality::of(requests.iter().map(|one| one.rank[system]))),
            has_conflict: requests.iter().any(|request| request.uncertainty.conflict.is_some()),
            requests,
            temperature: model.temperature.value,
            before: reliability(&raw, BINS),
            after: reliability(&calibrated, BINS),
        })
    }

    /// NDCG@10 against the share escalated, the most uncertain first.
    pub fn frontier(&self) -> Frontier {
        let of = |value: fn(&Replayed) -> f64| self.requests.iter().map(value).collect::<Vec<_>>();
        frontier(
            &of(|request| request.uncertainty.entropy),
            &of(|request| ndcg(request.rank[0], 10)),
            &of(|request| ndcg(request.rank[1], 10)),
        )
    }
}
