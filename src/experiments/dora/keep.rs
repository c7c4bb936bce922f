//! The source model kept as a run, so that its adapters have a model that they can be put on.

use super::{ABOUT, Outcome, Shift};
use crate::dynamics::device;
use crate::dynamics::parameters;
use crate::experiments::ExperimentError;
use crate::jobs::Context;
use crate::runs::{Origin, RunStore};
use crate::settings::Config;
use crate::training::scorer::Scorer;
use crate::training::{Finished, Past, Prepared, TrainError, checkpoint, evaluate, valid_ndcg10};

/// Test the source model `weights`, a safetensors file, and store it as a run; returns its id.
///
/// # Errors
/// [`ExperimentError`] where it cannot be written, or the work was stopped.
pub fn keep<E>(
    store: &RunStore,
    (config, prepared, shift): (&Config, &Prepared, &Shift),
    outcome: &Outcome,
    weights: &[u8],
    context: &Context<E>,
) -> Result<String, ExperimentError> {
    context.progress(Some(1.0), "Keeping the source model as a run");
    let mut config = config.clone();
    config.ablation.group.clear();
    let (weights, _) = checkpoint::decode(weights)?;
    let weights =
        parameters::fit(&config.model, prepared.data.items(), weights).map_err(TrainError::from)?;
    let scorer = Scorer::of(prepared, &config.model, &weights, device::cores());
    let past = Past {
        valid_ndcg10: valid_ndcg10(&config, prepared, &scorer, context)?,
        best_epoch: config.training.epochs,
        epochs: config.training.epochs,
        train_loss: outcome.source_loss,
        seconds: outcome.source_seconds,
        device: device::cpu().label(),
        origin: Some(Origin::Experiment {
            experiment: ABOUT.word.to_owned(),
            about: format!("a source model that never learned to predict {}", shift.name),
        }),
    };
    let tested = (&scorer, weights.as_slice());
    let mut finished = Finished::test(&config, prepared, tested, past, context)?;
    let (data, test) = (&prepared.data, &prepared.split.test);
    finished.summary.latency = evaluate::latency(&scorer, data, test);
    let label = format!("{}-s{}-source", config.model.solver.word(), config.training.seed);
    let mut dir = store.create(&label, &config)?;
    let (summary, _) = finished.write(&mut dir)?;
    Ok(summary.run)
}
