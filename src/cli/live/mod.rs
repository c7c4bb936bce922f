//! The live system without a window: serve, recommend, route, traffic.

mod recommend;
mod route;
mod serve;
mod traffic;

use std::path::Path;

use anyhow::{Context as _, Result};

pub use recommend::recommend;
pub use route::route;
pub use serve::serve;
pub use traffic::traffic;

use super::arguments::{Common, RunOptions, Usage};
use crate::jobs::Context;
use crate::runs::{RunEntry, RunError, RunStore};
use crate::serving::ServedModel;
use crate::settings::Config;
use crate::training::adapter::{AdapterError, read};
use crate::training::{Plan, Prepared, TrainEvent, ablation};

/// The run with this id, prefix or `latest`. Where none is named and none is finished, the built-in preset is
/// trained first, which is said.
pub(super) fn run_named(
    spec: Option<&str>,
    common: &Common,
    context: &Context<TrainEvent>,
) -> Result<(RunStore, RunEntry)> {
    let store = RunStore::open(common.runs.as_deref())?;
    let asked = spec.unwrap_or("latest");
    let found = store.find_with_state(asked);
    if spec.is_some() || !matches!(found, Err(RunError::NoRuns { .. })) {
        let entry = found?;
        if asked == "latest" && !common.quiet {
            let (newest, id) = (store.find(asked)?.id, &entry.id);
            if newest != *id {
                note!("taking {id}: the newest run, {newest}, has no state to serve or to analyse");
            }
        }
        return Ok((store, entry));
    }
    note!(
        "no finished run in {}: training the built-in `drift` preset first (seconds to a minute)",
        store.dir().display()
    );
    let mut config = Config::load("drift")?;
    config.ablation.models = "rk4".to_owned();
    config.ablation.seeds = 1;
    let plan = Plan::from_config(&config, common.device.clone())?;
    let prepared = Prepared::load(&config, context)?;
    ablation::run(&plan, &prepared, &store, context)?;
    let entry = store.find_with_state("latest")?;
    Ok((store, entry))
}

fn run_of(
    options: &RunOptions,
    common: &Common,
    context: &Context<TrainEvent>,
) -> Result<(RunStore, RunEntry)> {
    run_named(options.run.as_deref(), common, context)
}

/// The run's model, with an adapter merged into its weights where one is given.
fn served(
    (store, entry): (&RunStore, &RunEntry),
    adapter: Option<&Path>,
    context: &Context<TrainEvent>,
) -> Result<ServedModel> {
    // A file that is none is told before a model is loaded.
    let adapter = adapter.map(|file| Ok::<_, AdapterError>((file, read(file)?))).transpose()?;
    let model = ServedModel::load(store, entry, context)?;
    Ok(match adapter {
        Some((file, bytes)) => model.adapted(&file.display().to_string(), &bytes, context)?,
        None => model,
    })
}

/// The settings to serve with: the run's own, those of the preset that no training depends on, and
/// single settings on top.
fn config_of(options: &RunOptions, entry: &RunEntry) -> Result<Config> {
    let mut config = entry.settings().cloned().context("the run has no settings")?;
    if let Some(preset) = &options.preset {
        config.operate_as(&Config::load(preset)?)?;
    }
    for assignment in &options.set {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if Config::describe(key)?.is_of_a_run() {
            let run = &entry.id;
            return Err(Usage(format!(
                "--set {key}: run {run} was trained with its own; train another run to change it (settings of router, \
                 reasoner, server and traffic can be changed here)"
            ))
            .into());
        }
        config.set_text(assignment)?;
    }
    Ok(config)
}
