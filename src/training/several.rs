//! Trainings that may differ in any setting: side by side, in runs of their own, each once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ablation::{Place, check, one, parallel, side_by_side, tell_places};
use super::trainer::Task;
use super::{Prepared, RunKey, TrainError, TrainEvent};
use crate::dynamics::device::{self, DeviceChoice};
use crate::jobs::{self, Cancelled, Context};
use crate::runs::{RunEntry, RunState, RunStore, RunSummary};
use crate::settings::Config;

/// One of the trainings.
pub struct Wanted<'a> {
    /// Unlike that of any other.
    pub config: Config,
    /// Cut as `config` needs it.
    pub prepared: &'a Prepared,
    /// Goes into the id of its run.
    pub label: String,
}

/// What a training came to.
pub struct Tested {
    pub summary: RunSummary,
    /// Of the test queries' targets, 1 the best.
    pub ranks: Vec<u32>,
}

/// Train all of `wanted` in runs of `store`, side by side as those of an ablation; one that `store`
/// holds finished is read, one that it holds interrupted goes on. `tell` hears of each as it is there,
/// by its place.
///
/// Results come in the order of `wanted`. One whose settings do not go together, or whose training
/// fails of itself, is an error of its own, and the others go on.
///
/// # Errors
/// [`TrainError`] where all had to stop: on request, without a device or without a disk. What is
/// finished is kept in `store`.
pub fn train(
    wanted: &[Wanted<'_>],
    store: &RunStore,
    choice: &DeviceChoice,
    context: &Context<TrainEvent>,
    tell: &(dyn Fn(usize, &Tested) + Sync),
) -> Result<Vec<Result<Tested, TrainError>>, TrainError> {
    let info = device::choose(choice)?;
    context.progress(Some(0.0), format!("Opening {}", info.label()));
    let device = info.open()?;
    let at_once = parallel(wanted.first().map_or(0, |one| one.config.training.parallel), &info)
        .min(wanted.len().max(1));
    let places: Vec<Place> =
        wanted.iter().map(|one| Place::of(&one.config, &info, at_once)).collect();
    let key = |(index, one): (usize, &Wanted<'_>)| RunKey::of(index, &one.config);
    let keys: Vec<RunKey> = wanted.iter().enumerate().map(key).collect();
    tell_places(&keys, &places, &info, context);
    let begun = store.list();
    let progress = Arc::new(Shares::new(wanted.len()));
    let halt = AtomicBool::new(false);
    let work = |key: &RunKey| -> Result<Tested, TrainError> {
        let (one_of, place) = (&wanted[key.index], &places[key.index]);
        check(&one_of.config)?;
        if halt.load(Ordering::SeqCst) {
            return Err(Cancelled.into());
        }
        context.checkpoint()?;
        let known = begun.iter().find(|entry| entry.settings() == Some(&one_of.config));
        let tested = match known.and_then(|entry| finished(store, entry).transpose()) {
            Some(tested) => tested?,
            None => {
                let mut dir = match known.filter(|entry| entry.state == RunState::Interrupted) {
                    Some(entry) => store.open_run(&entry.id)?,
                    None => store.create(&one_of.label, &one_of.config)?,
                };
                let task = Task {
                    index: key.index,
                    config: &one_of.config,
                    prepared: one_of.prepared,
                    device: &device,
                    device_label: &place.label,
                    threads: place.threads,
                };
                let epochs = one_of.config.training.epochs;
                let training = counted(context, &progress, key.index, epochs);
                let trained = one(&task, &mut dir, &training)?;
                Tested { summary: trained.summary, ranks: trained.ranks }
            }
        };
        progress.set(key.index, 1.0, context);
        tell(key.index, &tested);
        Ok(tested)
    };
    let results = side_by_side(&keys, at_once, &|key: &RunKey| {
        let result = work(key);
        match &result {
            Ok(_) => {}
            Err(error) if is_its_own(error) => progress.set(key.index, 1.0, context),
            Err(_) => halt.store(true, Ordering::SeqCst),
        }
        result
    });
    let mut each = Vec::new();
    let mut stopped: Option<TrainError> = None;
    for result in results {
        match result {
            Err(error) if !is_its_own(&error) => {
                // What stopped them counts, not that the others were stopped by it.
                if stopped.as_ref().is_none_or(|first| matches!(first, TrainError::Cancelled(_))) {
                    stopped = Some(error);
                }
            }
            result => each.push(result),
        }
    }
    stopped.map_or(Ok(each), Err)
}

/// Whether a failure is that of one training, and says nothing of the others.
fn is_its_own(error: &TrainError) -> bool {
    matches!(
        error,
        TrainError::Diverged { .. }
            | TrainError::Panicked(_)
            | TrainError::Parameters(_)
            | TrainError::Sampled(_)
    )
}

/// What a run came to, where it is finished and its ranks are there.
fn finished(store: &RunStore, entry: &RunEntry) -> Result<Option<Tested>, TrainError> {
    let Some(summary) = &entry.summary else { return Ok(None) };
    let ranks: Vec<u32> = store.ranks(&entry.id)?.iter().map(|query| query.rank).collect();
    Ok((!ranks.is_empty()).then(|| Tested { summary: summary.clone(), ranks }))
}

/// How far each training is, 0..=1.
struct Shares(Mutex<Vec<f32>>);

impl Shares {
    fn new(count: usize) -> Self {
        Self(Mutex::new(vec![0.0; count]))
    }

    fn set<E>(&self, index: usize, share: f32, context: &Context<E>) {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shares.get_mut(index) {
            *own = share;
        }
        let count = shares.len();
        let done = shares.iter().filter(|share| **share >= 1.0).count();
        let fraction = shares.iter().sum::<f32>() / count.max(1) as f32;
        context.progress(Some(fraction), format!("{done} of {count} trainings are done"));
    }
}

/// A context for one training: its epochs count towards the whole.
fn counted(
    context: &Context<TrainEvent>,
    shares: &Arc<Shares>,
    index: usize,
    epochs: usize,
) -> Context<TrainEvent> {
    let (outer, shares) = (context.clone(), shares.clone());
    jobs::detached(context.control().clone(), move |_, events| {
        for event in events {
            if let TrainEvent::Step { epoch, .. } = &event {
                // The test is left after the last of them.
                let done = (*epoch / epochs.max(1) as f64).min(1.0);
                shares.set(index, 0.99 * done as f32, &outer);
            }
            outer.send(event);
        }
    })
}
