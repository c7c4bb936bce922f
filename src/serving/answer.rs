//! From what System 1 saw and System 2 said to the recommendations.

use std::time::Duration;

use super::ServedModel;
use super::compute::Perceived;
use super::request::Asked;
use super::telemetry::ReasonerUse;
use super::wire::{ItemId, ReasonerMeta, ReasoningStep, Recommendation, Warning};
use crate::reasoning::{Candidate, ReasonError, ReasonRequest, Reasoned, Reasoner, Seen};
use crate::routing::{Decision, Path, Reason};

/// An answer without what differs from request to request (id, latency, the request's warnings).
#[derive(Debug, Clone)]
pub struct Composed {
    pub decision: Decision,
    pub explanation: String,
    /// Whose recommendations these are.
    pub source: Path,
    pub recommendations: Vec<Recommendation>,
    pub reasoner: Option<ReasonerMeta>,
    pub warnings: Vec<Warning>,
    /// Whether the cache may keep it: not where System 2 failed or its breaker was open, which
    /// passes. Where the budget was spent it may: that is when answers must be cheap.
    pub keep: bool,
}

/// System 1's answer.
pub fn compose(
    model: &ServedModel,
    asked: &Asked,
    perceived: &Perceived,
    decision: Decision,
    explanation: String,
) -> Composed {
    let recommendations: Vec<Recommendation> = perceived
        .best
        .iter()
        .take(asked.count)
        .enumerate()
        .map(|(place, &(item, probability))| Recommendation {
            item: ItemId::of(&model.data.item_ids[item as usize]),
            title: model.title(item).map(str::to_owned),
            score: f64::from(probability),
            reason: format!("System 1's choice {} for this history", place + 1),
        })
        .collect();
    let mut warnings = Vec::new();
    if recommendations.len() < asked.count {
        warnings.push(Warning {
            code: "few_candidates".to_owned(),
            message: format!(
                "the user has seen all but {} of the catalogue's items",
                recommendations.len()
            ),
        });
    }
    let keep = decision.reason != Reason::BreakerOpen;
    Composed {
        decision,
        explanation,
        source: Path::FastPath,
        recommendations,
        reasoner: None,
        warnings,
        keep,
    }
}

impl Composed {
    /// With System 2's answer in place of System 1's, or with the reason why it has none.
    pub fn reasoned(
        mut self,
        model: &ServedModel,
        request: &ReasonRequest,
        result: Result<Reasoned, ReasonError>,
        used: &ReasonerUse,
    ) -> Self {
        let simulated = match &result {
            Ok(reasoned) => reasoned.usage.simulated,
            Err(error) => error.usage().simulated,
        };
        let mut meta = ReasonerMeta {
            kind: used.kind,
            simulated,
            latency_ms: used.latency.as_secs_f64() * 1e3,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            cost: used.cost,
            attempts: used.attempts,
            invented_items: used.invented_items,
            steps: Vec::new(),
            error: used.error.map(str::to_owned),
        };
        match result {
            Ok(reasoned) => {
                self.source = Path::SlowPath;
                self.recommendations = reasoned
                    .ranking
                    .into_iter()
                    .filter_map(|chosen| {
                        let candidate = request.candidates.get(chosen.candidate)?;
                        Some(Recommendation {
                            item: ItemId::of(&candidate.id),
                            title: model.title(candidate.item).map(str::to_owned),
                            score: chosen.score,
                            reason: chosen.reason,
                        })
                    })
                    .collect();
                meta.steps = reasoned
                    .steps
                    .into_iter()
                    .map(|(step, detail)| ReasoningStep { step, detail })
                    .collect();
            }
            Err(error) => {
                self.keep = false;
                self.explanation.push_str(" It gave no answer, so this is System 1's.");
                self.warnings.push(Warning {
                    code: "reasoner_failed".to_owned(),
                    message: format!("System 2 gave no answer, so this is System 1's: {error}"),
                });
            }
        }
        self.reasoner = Some(meta);
        self
    }
}

/// System 2's question: the history and System 1's candidates, with what is known of them.
pub fn reason_request(model: &ServedModel, asked: &Asked, perceived: &Perceived) -> ReasonRequest {
    wanted(model, &asked.user, (&asked.items, &asked.times), &perceived.best, asked.count)
}

/// The same from its parts: a history (items, times in Unix milliseconds) and System 1's best items
/// with their probabilities.
pub fn wanted(
    model: &ServedModel,
    user: &str,
    (items, times): (&[u32], &[i64]),
    best: &[(u32, f32)],
    count: usize,
) -> ReasonRequest {
    let id = |item: u32| model.data.item_ids[item as usize].clone();
    let title = |item: u32| model.title(item).map(str::to_owned);
    let history = items.iter().zip(times).map(|(&item, &time_ms)| Seen {
        item,
        id: id(item),
        title: title(item),
        genres: model.genres_of(item).to_vec(),
        time_ms,
    });
    let candidates = best.iter().map(|&(item, probability)| Candidate {
        item,
        id: id(item),
        title: title(item),
        genres: model.genres_of(item).to_vec(),
        probability,
    });
    ReasonRequest {
        user_id: user.to_owned(),
        history: history.collect(),
        candidates: candidates.collect(),
        count,
        within: None,
    }
}

/// What a call of System 2 took, whether it worked or not.
pub fn reasoner_use(
    reasoner: &dyn Reasoner,
    result: &Result<Reasoned, ReasonError>,
    latency: Duration,
) -> ReasonerUse {
    let (usage, error) = match result {
        Ok(reasoned) => (reasoned.usage.clone(), None),
        Err(error) => (error.usage(), Some(error.code())),
    };
    ReasonerUse {
        kind: reasoner.kind(),
        latency,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        cost: usage.cost,
        invented_items: usage.invented_items,
        attempts: usage.attempts,
        error,
    }
}
