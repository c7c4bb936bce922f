//! What an experiment is given, and the run it looks at.

use super::{Event, ExperimentError, event};
use crate::dynamics::device::DeviceChoice;
use crate::jobs::Context;
use crate::runs::{RunEntry, RunStore};
use crate::settings::Config;
use crate::training::{Plan, Prepared, ablation};

/// What an experiment is given.
#[derive(Debug, Clone)]
pub struct Inputs {
    pub store: RunStore,
    /// A run by id, prefix or `latest`; the newest where `None`, for experiments that look at one.
    pub run: Option<String>,
    /// The experiment's preset, with what was changed.
    pub config: Config,
    pub device: DeviceChoice,
}

/// Which epoch's weights trainings of `config` keep, in words.
pub(super) fn epoch_kept(config: &Config) -> &'static str {
    match config.training.keep_best {
        true => "the epoch chosen on validation",
        false => "the last epoch kept",
    }
}

impl Inputs {
    /// The run to look at. Where none is named and none is finished, one is trained first from the
    /// experiment's own settings, which is said.
    pub(super) fn run(&self, context: &Context<Event>) -> Result<RunEntry, ExperimentError> {
        let found = self.store.find_with_state(self.run.as_deref().unwrap_or("latest"));
        if self.run.is_some() || found.is_ok() {
            return Ok(found?);
        }
        context.send(Event::Message(format!(
            "No finished run yet: training one on {} first",
            self.config.data.source
        )));
        let mut config = self.config.clone();
        config.ablation.models = config.model.solver.word().to_owned();
        config.ablation.seeds = 1;
        let training = event::training(context, [0.0, 0.6]);
        let plan = Plan::from_config(&config, self.device.clone())?;
        let prepared = Prepared::load(&config, &training)?;
        ablation::run(&plan, &prepared, &self.store, &training)?;
        Ok(self.store.find_with_state("latest")?)
    }
}
