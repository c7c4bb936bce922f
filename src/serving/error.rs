//! What can be wrong with a request, and with a model to serve.

use crate::dynamics::parameters::ParameterError;
use crate::jobs::Cancelled;
use crate::reasoning::ReasonError;
use crate::runs::RunError;
use crate::training::TrainError;
use crate::training::adapter::AdapterError;

/// A request that is not answered: the HTTP status, a code for machines, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl RequestError {
    /// The request says something that cannot be answered: 422.
    pub fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 422, code, message: message.into() }
    }

    /// Not the client's fault: 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: 500, code: "internal", message: message.into() }
    }
}

/// What a task of a request came to. A panic goes on here: it is told and answered where the panics of all
/// requests are.
///
/// # Errors
/// That of the request, or 500 where the runtime stopped first.
pub fn outcome<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, RequestError> {
    joined.or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(RequestError::internal("the server stopped before it was done")),
    })
}

impl From<ServeError> for RequestError {
    /// Why an adapter that was sent is not on: the client's fault where it is the adapter's.
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Adapter(error) if error.is_of_the_file() => {
                Self::unprocessable("not_an_adapter", error.to_string())
            }
            ServeError::Adapter(error) => Self::unprocessable("other_model", error.to_string()),
            ServeError::Parameters(error) => {
                Self::unprocessable("not_an_adapter", format!("merged into the weights, {error}"))
            }
            error => Self::internal(error.to_string()),
        }
    }
}

/// Why a run cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "run {0} is not finished; finish it with `deepm3 train --resume {0}`, or serve another"
    )]
    NotFinished(String),
    #[error(
        "run {run} is a {model}, which attends to the history anew each time and has no state that \
         flows: it is a baseline to compare with, not one to serve, route or analyse; choose a run of \
         gru, euler or rk4 (see `deepm3 runs list`)"
    )]
    NoState { run: String, model: &'static str },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// Not a source: its sentence is told here.
    #[error("System 2 cannot start: {0}")]
    Reasoner(ReasonError),
    #[error("a thread for the engine could not be started: {0}")]
    Thread(std::io::Error),
}

impl From<ReasonError> for ServeError {
    fn from(error: ReasonError) -> Self {
        Self::Reasoner(error)
    }
}
