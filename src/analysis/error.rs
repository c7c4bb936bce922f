//! Why a run cannot be analysed.

use crate::dynamics::parameters::ParameterError;
use crate::jobs::Cancelled;
use crate::runs::RunError;
use crate::serving::ServeError;
use crate::training::TrainError;

#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error("user `{user}` is not in the data{}", hint.as_deref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    UnknownUser { user: String, hint: Option<String> },
    #[error("the run has no held-out requests to take states from")]
    NoStates,
}
