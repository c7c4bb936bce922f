//! A run and an adapter made one: a new run whose weights answer as both together.

use super::adapter::AdapterFile;
use super::evaluate;
use super::finished::{Finished, Past, valid_ndcg10};
use super::scorer::Scorer;
use super::{Prepared, TrainError, checkpoint};
use crate::dynamics::device;
use crate::dynamics::parameters;
use crate::jobs::Context;
use crate::runs::{Origin, RunStore, RunSummary};

/// Merge the adapter `bytes`, called `file` for people, into the finished run `base` of `store`,
/// test the weights that come of it, and store them as a run of its own. `base` stays as it is.
///
/// # Errors
/// [`TrainError::Adapter`] for anything that is not an adapter of that run,
/// [`TrainError::OtherData`] where its data has changed, [`TrainError::Cancelled`]. Nothing is
/// stored then.
pub fn merge<E>(
    store: &RunStore,
    base: &RunSummary,
    (file, bytes): (&str, &[u8]),
    context: &Context<E>,
) -> Result<RunSummary, TrainError> {
    let mut config = base.config.clone();
    // It was not trained with the others of the base's group.
    config.ablation.group.clear();
    let prepared = Prepared::load(&config, context)?;
    let weights = checkpoint::weights_of(store, base, &prepared)?;
    let items = prepared.data.items();
    let adapter = AdapterFile::decode(file, bytes, &config.model, &weights)?;
    let merged = parameters::fit(&config.model, items, adapter.merge(&weights))?;
    context.progress(None, "Testing the merged weights");
    let scorer = Scorer::of(&prepared, &config.model, &merged, device::cores());
    let past = Past {
        valid_ndcg10: valid_ndcg10(&config, &prepared, &scorer, context)?,
        best_epoch: base.best_epoch,
        epochs: base.epochs,
        train_loss: base.train_loss,
        seconds: base.train_seconds,
        device: base.device.clone(),
        origin: Some(Origin::Merged {
            run: base.run.clone(),
            adapter: file.to_owned(),
            fingerprint: adapter.fingerprint.clone(),
            domain: adapter.domain.clone(),
        }),
    };
    let mut finished = Finished::test(&config, &prepared, (&scorer, &merged), past, context)?;
    let (data, test) = (&prepared.data, &prepared.split.test);
    finished.summary.latency = evaluate::latency(&scorer, data, test);
    // Only now: a run that is begun and not finished would be taken for a training to resume.
    let mut dir =
        store.create(&format!("{}-s{}-merged", config.model.solver.word(), base.seed), &config)?;
    let (summary, _) = finished.write(&mut dir)?;
    Ok(summary)
}
