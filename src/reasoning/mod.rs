//! System 2: given a history and System 1's candidates, choose, rank and explain.
//!
//! | file | what |
//! |---|---|
//! | `request` | what a [`Reasoner`] is asked and what it answers |
//! | `evidence` | what is known of items besides System 1's scores, counted once per model |
//! | `support`, `explain` | evidence for one candidate as a score, and in words |
//! | `mock` | the mock: ranks by evidence, simulates an LLM's latency and price |
//! | `prompt`, `answer` | the text an LLM gets, and the schema its answer must have |
//! | `address` | where an endpoint is, and its key |
//! | `endpoint` | one attempt at an OpenAI-compatible server |
//! | `llm` | attempts, retries and accounting behind the breaker |
//! | `local` | the small model of the alignment experiment, on this machine |
//! | `breaker` | the circuit breaker |
//! | `prices`, `error` | what a call costs, and how one fails |
//!
//! [`Mock`]'s ranking is real; its latency, tokens and cost are simulated, which
//! [`Usage::simulated`] says wherever they show.

mod address;
mod answer;
mod breaker;
mod endpoint;
mod error;
mod evidence;
mod explain;
mod llm;
mod local;
mod mock;
mod prices;
mod prompt;
mod request;
mod support;

use std::sync::Arc;

pub use breaker::{BreakerState, BreakerView};
pub use error::{Failure, ReasonError};
pub use evidence::Evidence;
pub use llm::Llm;
pub use local::Local;
pub use mock::Mock;
pub use request::{Candidate, Chosen, ReasonRequest, Reasoned, Reasoner, Seen, Usage};

use crate::settings::{ReasonerKind, ReasonerSettings};

/// The reasoner that `settings` name.
///
/// # Errors
/// [`ReasonError::NoKey`], [`ReasonError::BadAddress`] or [`ReasonError::NoClient`] where an LLM
/// cannot be asked with these settings; [`ReasonError::NoModel`] where no local model was trained.
pub fn reasoner(
    settings: &ReasonerSettings,
    evidence: Arc<Evidence>,
) -> Result<Arc<dyn Reasoner>, ReasonError> {
    Ok(match settings.kind {
        ReasonerKind::Mock => Arc::new(Mock::new(evidence, settings)),
        ReasonerKind::Llm => Arc::new(Llm::new(settings, evidence.genre_names().into())?),
        ReasonerKind::Local => Arc::new(Local::new(settings, evidence.genre_names().into())?),
    })
}
