//! Run an experiment and store what it found.

use std::time::Instant;

use jiff::Timestamp;

use super::store::Environment;
use super::{Event, Experiment, ExperimentError, ExperimentResult, ExperimentStore, Inputs};
use crate::jobs::Context;
use crate::settings::Config;

/// Measure, store, and return the stored result. An experiment that was stopped and is run again
/// with the same settings goes on from its finished parts.
///
/// # Errors
/// [`ExperimentError`]; nothing is stored then.
pub fn perform(
    experiment: Experiment,
    inputs: &Inputs,
    context: &Context<Event>,
) -> Result<ExperimentResult, ExperimentError> {
    let begun = Instant::now();
    let measured = experiment.run(inputs, context)?;
    context.progress(Some(1.0), "Writing the result");
    let finished = Timestamp::now();
    let store = ExperimentStore::beside(&inputs.store);
    let stem = format!("{}-{}", finished.strftime("%Y%m%d-%H%M%S"), experiment.word());
    let id = (1..)
        .map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") })
        .find(|id| !store.dir().join(id).exists())
        .unwrap_or(stem);
    let result = ExperimentResult {
        id,
        experiment: experiment.word().to_owned(),
        finished,
        seconds: begun.elapsed().as_secs_f64(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: measured.device,
        environment: Environment::here(),
        command: command(experiment, inputs)?,
        run: measured.run,
        files: measured.files.iter().map(|(name, _)| name.clone()).collect(),
        data: measured.data,
        findings: measured.findings,
        settings: inputs.config.clone(),
    };
    store.write(&result, &measured.files)?;
    Ok(result)
}

/// The command that repeats it: the preset, and what was changed in it.
fn command(experiment: Experiment, inputs: &Inputs) -> Result<String, ExperimentError> {
    let preset = Config::load(experiment.about().preset)?;
    let mut command = format!("deepm3 experiment {}", experiment.word());
    if let Some(run) = &inputs.run {
        command.push_str(&format!(" --run {run}"));
    }
    for (key, value, _) in inputs.config.differences(&preset) {
        // A name for the runs of one time: another time is another group.
        if key == "ablation.group" {
            continue;
        }
        let text = value.to_string();
        let quote = if text.contains([' ', '\'', '"', '$']) || text.is_empty() { "'" } else { "" };
        command.push_str(&format!(" --set {quote}{key}={text}{quote}"));
    }
    Ok(command)
}
