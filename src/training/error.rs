//! What can go wrong in a training, and what to do about it.

use super::adapter::AdapterError;
use crate::data::LoadError;
use crate::data::split::SplitError;
use crate::dynamics::device::DeviceError;
use crate::dynamics::gpu::Lost;
use crate::dynamics::parameters::ParameterError;
use crate::jobs::Cancelled;
use crate::runs::RunError;

/// Why a training ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Load(LoadError),
    #[error(transparent)]
    Split(#[from] SplitError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    #[error(
        "the device failed while training: {0}; the run is kept up to its last checkpoint: resume it with --device cpu"
    )]
    DeviceLost(String),
    #[error("the training failed: {0}; please report this")]
    Panicked(String),
    #[error(
        "the loss became {loss} at step {step}; lower training.learning_rate or training.clip_norm"
    )]
    Diverged { loss: f64, step: u64 },
    #[error("the checkpoint cannot be used: {0}; delete the run and train again")]
    Checkpoint(String),
    #[error(
        "run {run} was trained on other data (fingerprint {expected}, here {found}); give the data that it was trained on"
    )]
    OtherData { run: String, expected: String, found: String },
    #[error(
        "the data of run {run} is no longer at {place}; put it back there, or train on it where it is now"
    )]
    DataGone { run: String, place: String },
    #[error("`{given}` is not a list of models; write for example `gru,rk4,sasrec`")]
    Models { given: String },
    #[error(
        "training.negatives scores drawn items only, which `{0}` has no part in; set training.negatives=0 or switch `{0}` off"
    )]
    Sampled(&'static str),
    #[error("every training failed; the first said: {0}")]
    AllFailed(Box<Self>),
    #[error("seeds {first} to {last} pass the largest, 4294967295; choose a smaller training.seed")]
    Seeds { first: u64, last: u64 },
}

impl From<LoadError> for TrainError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => Self::Cancelled(cancelled),
            error => Self::Load(error),
        }
    }
}

impl From<Lost> for TrainError {
    fn from(error: Lost) -> Self {
        Self::DeviceLost(error.to_string())
    }
}

impl TrainError {
    /// The device is to blame: the same training may work on the CPU.
    pub fn is_device(&self) -> bool {
        match self {
            Self::Device(_) | Self::DeviceLost(_) => true,
            Self::AllFailed(first) => first.is_device(),
            _ => false,
        }
    }
}
