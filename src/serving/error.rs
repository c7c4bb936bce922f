//! What can be wrong with a run that is to be served.

use crate::dynamics::parameters::ParameterError;
use crate::jobs::Cancelled;
use crate::runs::RunError;
use crate::training::TrainError;

/// Why a run cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "run {0} is not finished; finish it with `deepm3 train --resume {0}`, or serve another"
    )]
    NotFinished(String),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
}
