//! System 2 as a chat model behind an OpenAI-compatible endpoint: attempts, retries and
//! accounting, behind the circuit breaker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::answer::{self, Checked};
use super::breaker::Breaker;
use super::endpoint::{Attempt, Endpoint};
use super::prices::{CostMean, Prices, tokens};
use super::prompt::{self, Prompt};
use super::request::Reasoning;
use super::{BreakerView, Failure, ReasonError, ReasonRequest, Reasoned, Reasoner, Usage};
use crate::settings::{ReasonerKind, ReasonerSettings};

/// Longest first wait before a retry; it doubles each time, and jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The LLM reasoner.
#[derive(Debug)]
pub struct Llm {
    endpoint: Endpoint,
    genre_names: Arc<[String]>,
    retries: usize,
    prices: Prices,
    costs: CostMean,
    breaker: Breaker,
}

/// What all attempts of one call took so far.
#[derive(Debug, Default)]
struct Spent {
    attempts: u32,
    prompt_tokens: u64,
    completion_tokens: u64,
    invented_items: u32,
}

impl Llm {
    /// The key is read once, from the environment variable that `settings` name.
    ///
    /// # Errors
    /// [`ReasonError::NoKey`] without a key, unless none is named or the server is on this
    /// machine; [`ReasonError::BadAddress`], [`ReasonError::NoClient`].
    pub fn new(
        settings: &ReasonerSettings,
        genre_names: Arc<[String]>,
    ) -> Result<Self, ReasonError> {
        Self::with_variables(settings, genre_names, |name| std::env::var(name).ok())
    }

    fn with_variables(
        settings: &ReasonerSettings,
        genre_names: Arc<[String]>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ReasonError> {
        let prices = Prices::new(settings);
        let wait = Duration::from_secs_f64(settings.breaker_seconds);
        Ok(Self {
            endpoint: Endpoint::new(settings, variable)?,
            genre_names,
            retries: settings.retries,
            costs: CostMean::new(prompt::typical_cost(&prices, settings)),
            prices,
            breaker: Breaker::new(settings.breaker_failures, wait),
        })
    }

    async fn ask(&self, request: &ReasonRequest) -> Result<Reasoned, ReasonError> {
        if request.count == 0 || request.candidates.is_empty() {
            return Ok(nothing_to_choose());
        }
        if request.within.is_some_and(|within| within.is_zero()) {
            // No fault of whoever would have been asked.
            let failure = self.endpoint.too_late(Duration::ZERO, "server.timeout");
            return Err(ReasonError::Failed { failure, usage: Usage::default() });
        }
        let begun = Instant::now();
        let permit =
            self.breaker.admit(begun).map_err(|retry_in| ReasonError::BreakerOpen { retry_in })?;
        let prompt = Prompt::new(request, &self.genre_names);
        let mut spent = Spent::default();
        // A trial asks an endpoint that was down a moment ago: once is enough.
        let retries = if permit.is_trial() { 0 } else { self.retries };
        let result = self.attempts(request, &prompt, retries, &mut spent).await;
        let usage = self.usage(&spent, begun.elapsed());
        if usage.prompt_tokens > 0 {
            self.costs.record(usage.cost);
        }
        match result {
            Ok(Checked { ranking, steps, .. }) => {
                permit.succeeded();
                Ok(Reasoned { ranking, steps, usage })
            }
            Err(failure) => {
                permit.failed(Instant::now());
                let (code, attempts) = (failure.code(), usage.attempts);
                tracing::warn!(code, attempts, "System 2 failed: {failure}");
                Err(ReasonError::Failed { failure, usage })
            }
        }
    }

    /// Attempts until one succeeds or another would not help.
    async fn attempts(
        &self,
        request: &ReasonRequest,
        prompt: &Prompt,
        retries: usize,
        spent: &mut Spent,
    ) -> Result<Checked, Failure> {
        let longest = self.endpoint.timeout();
        let begun = Instant::now();
        let left = || request.within.map(|within| within.saturating_sub(begun.elapsed()));
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(FIRST_WAIT.min(longest / 4))
            .with_max_delay(longest)
            .with_max_times(retries)
            .with_jitter()
            .build();
        loop {
            let attempt = self.endpoint.ask(prompt, left()).await;
            spent.add(prompt, &attempt);
            let checked = attempt.result.and_then(|text| {
                answer::check(&text, request, self.endpoint.model()).map_err(
                    |(reason, invented)| {
                        spent.invented_items += invented;
                        self.endpoint.unusable(&reason)
                    },
                )
            });
            let failure = match checked {
                Ok(checked) => {
                    spent.invented_items += checked.invented;
                    return Ok(checked);
                }
                Err(failure) => failure,
            };
            let Some(wait) = waits.next().filter(|_| failure.may_pass()) else {
                return Err(failure);
            };
            // What the endpoint asks for, but a user waits for this answer.
            let wait = wait.max(attempt.retry_after.unwrap_or_default().min(longest));
            if left().is_some_and(|left| left <= wait) {
                return Err(failure);
            }
            tracing::debug!("asking {} again after: {failure}", self.endpoint.host());
            tokio::time::sleep(wait).await;
        }
    }

    fn usage(&self, spent: &Spent, latency: Duration) -> Usage {
        Usage {
            simulated: false,
            prompt_tokens: spent.prompt_tokens,
            completion_tokens: spent.completion_tokens,
            cost: self.prices.cost(spent.prompt_tokens, spent.completion_tokens),
            attempts: spent.attempts,
            invented_items: spent.invented_items,
            latency,
        }
    }
}

impl Spent {
    /// What the endpoint counted; an estimate where it counted nothing but may charge.
    fn add(&mut self, prompt: &Prompt, attempt: &Attempt) {
        self.attempts += 1;
        let answered = || attempt.result.as_ref().map_or(0, |text| tokens(text.chars().count()));
        let [prompt_tokens, completion_tokens] = match attempt.counted {
            Some(counted) => counted,
            None if attempt.read => [prompt.tokens(), answered()],
            None => [0, 0],
        };
        self.prompt_tokens += prompt_tokens;
        self.completion_tokens += completion_tokens;
    }
}

impl Reasoner for Llm {
    fn kind(&self) -> ReasonerKind {
        ReasonerKind::Llm
    }

    /// A score is the place alone, evenly spread from 1 downwards: a language model ranks, it
    /// does not score.
    fn reason<'a>(&'a self, request: &'a ReasonRequest) -> Reasoning<'a> {
        Box::pin(self.ask(request))
    }

    fn expected_cost(&self) -> f64 {
        self.costs.get()
    }

    fn breaker(&self) -> BreakerView {
        self.breaker.view(Instant::now())
    }
}

/// The answer where there is no question.
fn nothing_to_choose() -> Reasoned {
    let steps = vec![("decision".to_owned(), "nothing to choose from".to_owned())];
    Reasoned { ranking: Vec::new(), steps, usage: Usage::default() }
}

#[cfg(test)]
mod tests;
