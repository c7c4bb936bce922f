//! Why an experiment has no result, and what to do about it.

use std::path::{Path, PathBuf};

use crate::jobs::Cancelled;
use crate::runs::RunError;
use crate::serving::ServeError;
use crate::settings::SettingError;
use crate::training::TrainError;
use crate::training::tuning::TuneError;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Train(TrainError),
    #[error(transparent)]
    Serve(ServeError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("`{given}` is not an experiment; there are {known}")]
    Unknown { given: String, known: String },
    #[error(
        "only {found} held-out requests are left, and {needed} are needed; raise experiment.requests or use more data"
    )]
    TooFew { found: usize, needed: usize },
    #[error(
        "`{given}` in experiment.budgets is not a share from 0 to 1; write for example 0.05,0.2"
    )]
    Budgets { given: String },
    #[error(
        "`{given}` in study.ingredients is not an ingredient; there are {known}; empty takes all"
    )]
    Ingredient { given: String, known: String },
    #[error(transparent)]
    Alignment(#[from] super::alignment::AlignmentError),
    #[error(transparent)]
    Tune(Box<TuneError>),
    #[error("{0}; choose another adapter.genre, or leave it empty")]
    Domain(String),
    #[error(
        "adapters are for the GRU and its field, and {0} has neither; set model.solver to gru, euler or rk4"
    )]
    NoState(&'static str),
    #[error("no experiment has a result yet; run one with `deepm3 experiment NAME`")]
    NoResults,
    #[error("`{experiment}` has no result yet; run it with `deepm3 experiment {experiment}`")]
    NoResult { experiment: &'static str },
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
}

impl ExperimentError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, reason: error.to_string() }
    }

    /// Stopped on request.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }
}

impl From<TrainError> for ExperimentError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Train(error),
        }
    }
}

impl From<TuneError> for ExperimentError {
    fn from(error: TuneError) -> Self {
        match error {
            TuneError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            TuneError::Train(error) => error.into(),
            error => Self::Tune(Box::new(error)),
        }
    }
}

impl From<ServeError> for ExperimentError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            ServeError::Train(error) => error.into(),
            error => Self::Serve(error),
        }
    }
}
