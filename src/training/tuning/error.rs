//! What can go wrong in a search, and what to do about it.

use std::path::PathBuf;

use crate::jobs::Cancelled;
use crate::runs::RunError;
use crate::settings::{SettingError, SpaceError};
use crate::training::TrainError;

/// Why a search has no result.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Train(TrainError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(
        "tuning.least_epochs ({least}) is above training.epochs ({most}), which the last trials reach; lower it or train for longer"
    )]
    Budget { least: usize, most: usize },
    #[error("every trial failed; the first said: {0}")]
    AllFailed(String),
    #[error("`{0}` cannot name a search; use letters, digits, `-`, `_` and `.`")]
    BadName(String),
    #[error("there is no search `{group}`; {known}")]
    NotFound { group: String, known: String },
    #[error(
        "the search `{group}` was begun with other settings ({changed}); resume it with `deepm3 tune --resume {group}`, or choose another ablation.group"
    )]
    OtherSettings { group: String, changed: String },
    #[error(
        "the search `{group}` was begun on other data (fingerprint {expected}, here {found}); load the same data to resume it"
    )]
    OtherData { group: String, expected: String, found: String },
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
}

impl From<TrainError> for TuneError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Train(error),
        }
    }
}
