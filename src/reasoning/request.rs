//! What a reasoner is asked and what it answers.

use std::pin::Pin;
use std::time::Duration;

use super::{BreakerView, ReasonError};
use crate::settings::ReasonerKind;

/// One request to System 2.
#[derive(Debug, Clone, PartialEq)]
pub struct ReasonRequest {
    pub user_id: String,
    /// Oldest first.
    pub history: Vec<Seen>,
    /// System 1's best items, best first.
    pub candidates: Vec<Candidate>,
    /// How many of them to choose.
    pub count: usize,
    /// How long the caller waits; without it, as long as the settings allow.
    pub within: Option<Duration>,
}

/// An event of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Dense index from 0.
    pub item: u32,
    /// The catalogue's own id.
    pub id: String,
    pub title: Option<String>,
    /// Indices into the catalogue's genre names.
    pub genres: Vec<u16>,
    /// Unix milliseconds.
    pub time_ms: i64,
}

/// An item to choose from.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Dense index from 0.
    pub item: u32,
    /// The catalogue's own id.
    pub id: String,
    pub title: Option<String>,
    /// Indices into the catalogue's genre names.
    pub genres: Vec<u16>,
    /// System 1's calibrated probability, 0..=1.
    pub probability: f32,
}

/// System 2's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasoned {
    /// Best first: as many as were asked for, or all candidates where there are fewer.
    pub ranking: Vec<Chosen>,
    /// Name and detail of each step: profile, candidates, evidence, decision.
    pub steps: Vec<(String, String)>,
    pub usage: Usage,
}

/// A candidate that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Index into [`ReasonRequest::candidates`].
    pub candidate: usize,
    /// 0..=1, never rising along a ranking; its meaning is the reasoner's own.
    pub score: f64,
    pub reason: String,
}

/// What a call took. All attempts together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// Latency, tokens and cost are simulated.
    pub simulated: bool,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Dollars, at the prices set.
    pub cost: f64,
    /// Requests sent, retries included; 0 where nobody was asked.
    pub attempts: u32,
    /// Items the answer named that were not among the candidates; they were dropped.
    pub invented_items: u32,
    pub latency: Duration,
}

/// The future of an answer.
pub type Reasoning<'a> = Pin<Box<dyn Future<Output = Result<Reasoned, ReasonError>> + Send + 'a>>;

/// Whoever reasons for System 2.
pub trait Reasoner: Send + Sync {
    fn kind(&self) -> ReasonerKind;

    /// Choose [`ReasonRequest::count`] candidates, best first. Dropping the future gives up, and whoever
    /// was asked is not judged by it; what takes longer than [`ReasonRequest::within`] is a failure.
    fn reason<'a>(&'a self, request: &'a ReasonRequest) -> Reasoning<'a>;

    /// What the next call is likely to cost, in dollars: a running mean of what calls did cost,
    /// before the first one an estimate from the length of a typical prompt.
    fn expected_cost(&self) -> f64;

    fn breaker(&self) -> BreakerView;
}
