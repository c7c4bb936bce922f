//! What to train, and what a training tells its owner while it runs.

use std::hash::{BuildHasher, RandomState};

use crate::dynamics::device::DeviceChoice;
use crate::runs::{MetricRecord, RunSummary};
use crate::settings::{Config, Solver};

use super::TrainError;

/// Several models and seeds under one config. One model and one seed is an ordinary run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `model.solver` and `training.seed` are replaced for each run.
    pub config: Config,
    pub models: Vec<Solver>,
    pub seeds: Vec<u64>,
    pub device: DeviceChoice,
    /// Shared by the runs of this plan, so that they can be found and compared together.
    pub group: String,
}

/// One run of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunKey {
    /// Position in [`TrainEvent::Planned`]; every later event names it.
    pub index: usize,
    pub solver: Solver,
    pub seed: u64,
}

impl RunKey {
    /// Of the run with these settings.
    pub fn of(index: usize, config: &Config) -> Self {
        Self { index, solver: config.model.solver, seed: config.training.seed as u64 }
    }
}

/// News from a training, none of which may be lost.
#[derive(Debug, Clone)]
pub enum TrainEvent {
    /// The runs to come, before the first of them starts.
    Planned { runs: Vec<RunKey>, epochs: usize, steps_per_epoch: u64 },
    /// What a run that goes on had come to before, in the order of its steps.
    Past { run: usize, records: Vec<MetricRecord> },
    /// `step` is above 0 where the run was resumed.
    Started { run: usize, id: String, step: u64 },
    /// Every few steps. `loss` in nats, `seconds` of training so far, `epoch` with its fraction.
    Step {
        run: usize,
        step: u64,
        epoch: f64,
        loss: f64,
        learning_rate: f64,
        grad_norm: f64,
        seconds: f64,
        sequences_per_second: f64,
    },
    /// After each epoch, with the validation metrics.
    Epoch {
        run: usize,
        epoch: usize,
        step: u64,
        train_loss: f64,
        valid_hr10: f64,
        valid_ndcg10: f64,
        seconds: f64,
    },
    /// Trained and tested; the run folder is complete.
    Finished { run: usize, summary: Box<RunSummary> },
    /// This run failed; the others go on, unless it was the device that failed.
    Failed { run: usize, message: String, device: bool },
    /// Something to tell people, such as a device that was replaced by another.
    Message(String),
}

/// A name for a group of runs that is begun now: the time, and four random digits, since short plans are
/// begun several a second.
pub(super) fn fresh_group(prefix: &str) -> String {
    let now = jiff::Zoned::now();
    let random = RandomState::new().hash_one(prefix) & 0xffff;
    format!("{prefix}{}-{random:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

impl Plan {
    /// The plan that a config describes: `ablation.models` × `ablation.seeds` seeds counted up from
    /// `training.seed`.
    ///
    /// # Errors
    /// [`TrainError::Models`] where `ablation.models` names no models, [`TrainError::Seeds`] where the
    /// seeds would pass the largest.
    pub fn from_config(config: &Config, device: DeviceChoice) -> Result<Self, TrainError> {
        let first = config.training.seed as u64;
        let last = first + config.ablation.seeds as u64 - 1;
        if last > u64::from(u32::MAX) {
            return Err(TrainError::Seeds { first, last });
        }
        let group = if config.ablation.group.is_empty() {
            fresh_group("")
        } else {
            config.ablation.group.clone()
        };
        Ok(Self {
            config: config.clone(),
            models: super::ablation::parse_models(&config.ablation.models)?,
            seeds: (first..=last).collect(),
            device,
            group,
        })
    }

    /// The runs in the order they are started: every model once before any second seed, so that
    /// a comparison is there early.
    pub fn keys(&self) -> Vec<RunKey> {
        let mut keys = Vec::new();
        for &seed in &self.seeds {
            for &solver in &self.models {
                keys.push(RunKey { index: keys.len(), solver, seed });
            }
        }
        keys
    }

    /// The config of one of its runs.
    pub fn config_of(&self, key: RunKey) -> Config {
        let mut config = self.config.clone();
        config.model.solver = key.solver;
        config.training.seed = key.seed as usize;
        config.ablation.group.clone_from(&self.group);
        config
    }
}
