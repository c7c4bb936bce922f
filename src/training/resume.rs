//! Going on with runs that were interrupted, from their checkpoints.

use super::ablation::{Begun, check, side_by_side_to_their_end};
use super::scorer::Scorer;
use super::{Prepared, TrainError, TrainEvent, checkpoint, evaluate};
use crate::data::Dataset;
use crate::dynamics::device::{self, DeviceChoice, cores};
use crate::jobs::Context;
use crate::runs::{LatencyRecord, MetricRecord, RunDir, RunEntry, RunState, RunStore, RunSummary};
use crate::settings::Config;

/// Finish one run. `config` is its own, with another source where its data has moved.
///
/// # Errors
/// [`TrainError`]; the run stays resumable, and as it was where it is refused at once.
pub fn resume(
    dir: RunDir,
    config: &Config,
    prepared: &Prepared,
    choice: &DeviceChoice,
    context: &Context<TrainEvent>,
) -> Result<RunSummary, TrainError> {
    let begun = vec![ready(dir, config, prepared, Vec::new())?];
    match finish(begun, choice, context) {
        Ok(summaries) => {
            let own = summaries.into_iter().next();
            Ok(own.unwrap_or_else(|| unreachable!("one run that did not fail")))
        }
        Err(TrainError::AllFailed(own)) => Err(*own),
        Err(error) => Err(error),
    }
}

/// A run of which something is left to do, and its settings, with another source where its data has moved.
pub struct Left {
    pub run: String,
    pub config: Config,
    /// Only its latency is not measured yet.
    pub trained: bool,
}

impl Left {
    /// What there is to do of `entry`: to train it, or to measure its latency; nothing of most.
    pub fn of(entry: &RunEntry) -> Option<Self> {
        let left = match entry.state {
            RunState::Interrupted => true,
            RunState::Done => entry.summary.as_ref().is_some_and(|done| done.latency.is_none()),
            RunState::Waiting | RunState::Running | RunState::Broken(_) => false,
        };
        let config = entry.settings().filter(|_| left)?.clone();
        Some(Self { run: entry.id.clone(), config, trained: entry.state == RunState::Done })
    }
}

/// Finish several runs, side by side as they were begun and each on its own data and split, and
/// measure the latency of those that are finished but for that. `loaded` is data that is at hand, with the
/// settings that it was read with. The result are those that were trained.
///
/// # Errors
/// [`TrainError`] as [`resume`]; where one of the runs is refused, none is begun.
pub fn resume_together(
    store: &RunStore,
    left: &[Left],
    loaded: Option<(&Config, &Dataset)>,
    choice: &DeviceChoice,
    context: &Context<TrainEvent>,
) -> Result<Vec<RunSummary>, TrainError> {
    // Most groups are of one set and one split, but a name can be given twice.
    let mut cuts: Vec<(&Config, Prepared)> = Vec::new();
    for Left { config, .. } in left {
        if cuts.iter().all(|(other, _)| !Prepared::is_shared(config, other)) {
            let at_hand = loaded.filter(|(of, _)| config.clone().on_data_of(of) == *config);
            let prepared = match at_hand {
                Some((_, raw)) => Prepared::from_dataset(raw, config, context)?,
                None => Prepared::load(config, context)?,
            };
            cuts.push((config, prepared));
        }
    }
    let (mut begun, mut trained) = (Vec::new(), Vec::new());
    for Left { run, config, .. } in left {
        let own = cuts.iter().find(|(other, _)| Prepared::is_shared(config, other));
        let Some((_, prepared)) = own else { continue };
        match store.find(run)?.summary {
            Some(summary) => {
                prepared.check(&summary.run, &summary.data.fingerprint)?;
                trained.push((summary, prepared));
            }
            None => {
                let past = store.metrics(run)?;
                begun.push(ready(store.open_run(run)?, config, prepared, past)?);
            }
        }
    }
    let finished = finish(begun, choice, context)?;
    for (mut summary, prepared) in trained {
        context.checkpoint()?;
        context.progress(Some(0.99), "Measuring latency, one model at a time");
        summary.latency = latency(store, &summary, prepared)?;
        store.open_run(&summary.run)?.write_summary(&summary)?;
    }
    Ok(finished)
}

/// Train them to their end, with the settings that they go on with.
fn finish(
    begun: Vec<Begun<'_>>,
    choice: &DeviceChoice,
    context: &Context<TrainEvent>,
) -> Result<Vec<RunSummary>, TrainError> {
    let info = device::choose(choice)?;
    let device = info.open()?;
    for Begun { config, dir, .. } in &begun {
        dir.write_config(config)?;
    }
    let finished = side_by_side_to_their_end(begun, (&info, &device), context)?;
    Ok(finished.into_iter().map(|(summary, _)| summary).collect())
}

/// Whether a run can go on with these settings and this data: one that is refused keeps its settings, and
/// with them its way to its own data. What its checkpoint has of the `past` is past.
fn ready<'a>(
    dir: RunDir,
    config: &'a Config,
    prepared: &'a Prepared,
    mut past: Vec<MetricRecord>,
) -> Result<Begun<'a>, TrainError> {
    check(config)?;
    let begun = checkpoint::read(&dir, prepared)?;
    let done = begun.map_or(0, |checkpoint| checkpoint.position.step);
    past.retain(|record| record.step() <= done);
    Ok(Begun { config, prepared, dir, past })
}

/// How fast a finished run answers.
fn latency(
    store: &RunStore,
    summary: &RunSummary,
    prepared: &Prepared,
) -> Result<Option<LatencyRecord>, TrainError> {
    let weights = checkpoint::weights_of(store, summary, prepared)?;
    let scorer = Scorer::of(prepared, &summary.config.model, &weights, cores());
    Ok(evaluate::latency(&scorer, &prepared.data, &prepared.split.test))
}
