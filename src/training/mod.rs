//! Training and comparing models: from a plan to finished runs.
//!
//! [`ablation`] runs a [`Plan`] over models and seeds; [`trainer`] does one of them; [`prepared`]
//! holds what they share (data, split, baselines); [`checkpoint`] makes a stop harmless;
//! [`tuning`] searches for good settings on validation.

pub mod ablation;
pub mod adam;
pub mod baselines;
pub mod checkpoint;
mod error;
pub mod evaluate;
mod negatives;
mod plan;
pub mod prepared;
mod schedule;
pub mod scorer;
pub mod trainer;
pub mod tuning;

pub use error::TrainError;
pub use plan::{Plan, RunKey, TrainEvent};
pub use prepared::Prepared;
