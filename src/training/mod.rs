//! Training and comparing models: from a plan to finished runs.
//!
//! [`ablation`] runs a [`Plan`] over models and seeds, [`several`] any list of settings; [`trainer`]
//! does one of them, from weights that are random but for `embedding`; [`prepared`] holds what they share (data, split, baselines and, of the built-in
//! set, the [`ceiling`]); [`checkpoint`] makes a stop harmless; [`tuning`] searches for good settings
//! on validation; [`reference`] holds a finished model against its flow integrated to a tolerance;
//! [`adapter`] reads and writes adapters of finished weights, and [`merge()`] makes a run of both;
//! [`TimeLeft`] tells how long a run still trains.

pub mod ablation;
pub mod adam;
pub mod adapter;
pub mod baselines;
pub mod ceiling;
pub mod checkpoint;
mod embedding;
mod error;
pub mod evaluate;
mod finished;
mod merge;
mod negatives;
mod plan;
pub mod prepared;
pub mod reference;
mod resume;
mod schedule;
pub mod scorer;
pub mod several;
mod time_left;
pub mod trainer;
pub mod tuning;

pub use error::TrainError;
pub use finished::{Finished, Past, valid_ndcg10};
pub use merge::merge;
pub use plan::{Plan, RunKey, TrainEvent};
pub use prepared::Prepared;
pub use resume::{Left, resume, resume_together};
pub use time_left::TimeLeft;
