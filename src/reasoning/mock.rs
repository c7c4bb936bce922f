//! System 2 without a network: candidates reranked by evidence that it names.
//!
//! Its ranking is real. Its latency, tokens and cost are what an LLM might take: simulated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use statrs::distribution::{ContinuousCDF, Normal};

use super::explain::Explainer;
use super::prices::{CostMean, Prices, tokens};
use super::prompt::{self, Prompt};
use super::request::Reasoning;
use super::support::{Past, Support};
use super::{
    BreakerState, BreakerView, Chosen, Evidence, Failure, ReasonError, ReasonRequest, Reasoned,
    Reasoner, Usage,
};
use crate::settings::{ReasonerKind, ReasonerSettings};

/// DeepM3's mock waits at least and at most this long, in seconds.
const SHORTEST: f64 = 0.2;
const LONGEST: f64 = 2.0;

/// The mock reasoner: deterministic for a request and a seed.
#[derive(Debug)]
pub struct Mock {
    evidence: Arc<Evidence>,
    settings: ReasonerSettings,
    prices: Prices,
    costs: CostMean,
}

impl Mock {
    pub fn new(evidence: Arc<Evidence>, settings: &ReasonerSettings) -> Self {
        let prices = Prices::new(settings);
        let costs = CostMean::new(prompt::typical_cost(&prices, settings));
        Self { evidence, settings: settings.clone(), prices, costs }
    }

    /// The order of `candidates` (item and System 1's probability, best first) as indices, best
    /// first: the order in which [`Reasoner::reason`] chooses, without waiting and without words.
    /// `history` and `times_ms` (Unix milliseconds) oldest first. Ties keep System 1's order.
    pub fn rank(&self, history: &[u32], times_ms: &[i64], candidates: &[(u32, f32)]) -> Vec<usize> {
        let past = Past::new(&self.evidence, history, times_ms);
        order(&self.support(&past, candidates))
    }

    fn support(&self, past: &Past, candidates: &[(u32, f32)]) -> Vec<Support> {
        let each = candidates.iter();
        each.map(|&(item, probability)| past.support(&self.evidence, item, probability)).collect()
    }

    /// How long an LLM would take by DeepM3's simulation: Gaussian with the settings' mean and
    /// deviation, clipped to 0.2–2 s. The same for the same history and seed, on every machine.
    pub fn latency(&self, history: &[u32]) -> Duration {
        let mut hash = Sha256::new_with_prefix((self.settings.seed as u64).to_le_bytes());
        history.iter().for_each(|item| hash.update(item.to_le_bytes()));
        let bytes = hash.finalize();
        // 32 bits, moved to the middle of their step: never 0 or 1.
        let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let uniform = (f64::from(bits) + 0.5) / 2f64.powi(32);
        let deviations = Normal::standard().inverse_cdf(uniform);
        let seconds = self.settings.latency_mean + self.settings.latency_sd * deviations;
        Duration::from_secs_f64(seconds.clamp(SHORTEST, LONGEST))
    }

    /// What asking an LLM would cost at the prices set, in dollars, for so many events of history
    /// and candidates: an estimate for titles and genres of a typical length.
    pub fn cost(&self, history: usize, candidates: usize) -> f64 {
        let [prompt, answer] = self.tokens(history, candidates);
        self.prices.cost(prompt, answer)
    }

    /// Prompt and completion tokens behind [`Mock::cost`], estimated likewise.
    pub fn tokens(&self, history: usize, candidates: usize) -> [u64; 2] {
        prompt::typical_tokens(history, candidates)
    }

    async fn answer(&self, request: &ReasonRequest) -> Result<Reasoned, ReasonError> {
        let begun = Instant::now();
        let items: Vec<u32> = request.history.iter().map(|seen| seen.item).collect();
        let times: Vec<i64> = request.history.iter().map(|seen| seen.time_ms).collect();
        let candidates: Vec<(u32, f32)> =
            request.candidates.iter().map(|one| (one.item, one.probability)).collect();
        let past = Past::new(&self.evidence, &items, &times);
        let support = self.support(&past, &candidates);
        let mut chosen = order(&support);
        chosen.truncate(request.count);
        let explainer = Explainer::new(&self.evidence, request, &past, &support);
        let shares = shares(&support);
        let ranking: Vec<Chosen> = chosen
            .iter()
            .map(|&candidate| Chosen {
                candidate,
                score: shares[candidate],
                reason: explainer.reason(candidate),
            })
            .collect();
        let steps = explainer.steps(&chosen);
        let usage = self.usage(request, &ranking, &steps);
        self.costs.record(usage.cost);
        if self.settings.mock_latency {
            let latency = self.latency(&items);
            let within = request.within.unwrap_or(latency);
            tokio::time::sleep(latency.min(within).saturating_sub(begun.elapsed())).await;
            if latency > within {
                let (host, seconds) = ("the mock".to_owned(), within.as_secs_f64());
                let failure = Failure::Timeout { host, seconds, setting: "server.timeout" };
                let usage = Usage { latency: begun.elapsed(), completion_tokens: 0, ..usage };
                return Err(ReasonError::Failed { failure, usage });
            }
        }
        Ok(Reasoned { ranking, steps, usage: Usage { latency: begun.elapsed(), ..usage } })
    }

    /// Tokens and cost of the same question and answer, had an LLM been asked.
    fn usage(
        &self,
        request: &ReasonRequest,
        ranking: &[Chosen],
        steps: &[(String, String)],
    ) -> Usage {
        let prompt_tokens = Prompt::new(request, self.evidence.genre_names()).tokens();
        let ids = ranking.iter().map(|chosen| request.candidates[chosen.candidate].id.len());
        let reasons = ranking.iter().map(|chosen| prompt::ANSWER_FRAME + chosen.reason.len());
        let said = steps.iter().map(|(_, detail)| detail.len());
        let completion_tokens = tokens(ids.chain(reasons).chain(said).sum());
        Usage {
            simulated: true,
            prompt_tokens,
            completion_tokens,
            cost: self.prices.cost(prompt_tokens, completion_tokens),
            attempts: 1,
            ..Usage::default()
        }
    }
}

impl Reasoner for Mock {
    fn kind(&self) -> ReasonerKind {
        ReasonerKind::Mock
    }

    /// A score is the candidate's share of all candidates' belief: a softmax of their totals.
    fn reason<'a>(&'a self, request: &'a ReasonRequest) -> Reasoning<'a> {
        Box::pin(self.answer(request))
    }

    fn expected_cost(&self) -> f64 {
        self.costs.get()
    }

    /// Always closed: nothing here can be down.
    fn breaker(&self) -> BreakerView {
        BreakerView { state: BreakerState::Closed, failures: 0, retry_in: None }
    }
}

/// Candidates, best first.
fn order(support: &[Support]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..support.len()).collect();
    order.sort_by(|&a, &b| support[b].total().total_cmp(&support[a].total()));
    order
}

/// Softmax of the totals.
fn shares(support: &[Support]) -> Vec<f64> {
    let best = support.iter().map(Support::total).fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = support.iter().map(|one| f64::from(one.total() - best).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests;
