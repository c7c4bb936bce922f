//! The search itself: train to the next rung, judge on validation, drop, go on; then test the best.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

use super::rungs::{epochs_in_all, kept};
use super::{Search, Status, Tested, Trial, TuneError};
use crate::dynamics::device::{self, DeviceChoice, DeviceInfo};
use crate::jobs::{self, Cancelled, Context, panic_message};
use crate::runs::{RunDir, RunError, RunState, RunStore};
use crate::settings::{Config, Range, Schedule, Space, Targets, Value};
use crate::training::ablation::{Place, blamed, check, parallel, side_by_side};
use crate::training::trainer::{self, Task};
use crate::training::{Prepared, TrainError, TrainEvent, resume};

/// News of a search, none of which may be lost.
#[derive(Debug, Clone)]
pub enum TuneEvent {
    /// An epoch of a trial, by its number.
    Epoch { trial: usize, epoch: usize, valid_ndcg10: f64 },
    /// How far the search is, whenever a trial got further.
    Judged(Box<Search>),
    /// A line for people.
    Message(String),
}

/// The data, cut as each of the trials needs it: `model.targets` decides the training sequences,
/// and may be searched. The data and the held-out queries are the same in all of them.
pub struct Cuts {
    first: Prepared,
    others: Vec<(Targets, Prepared)>,
}

impl Cuts {
    /// Load and cut the data of `config`, for every value of `model.targets` in its space.
    ///
    /// # Errors
    /// [`TuneError::Space`], or [`TuneError::Train`] where the data cannot be loaded or cut.
    pub fn load<E>(config: &Config, context: &Context<E>) -> Result<Self, TuneError> {
        let space = Space::parse(&config.tuning.space)?;
        let searched = space.axes.iter().find(|axis| axis.setting.key == "model.targets");
        let values = match searched.map(|axis| &axis.range) {
            Some(Range::Choices(values)) => values.as_slice(),
            _ => &[],
        };
        let named = |value: &Value| {
            Targets::ALL.iter().copied().find(|one| one.word() == value.to_string())
        };
        let others = values.iter().filter_map(named).filter(|one| *one != config.model.targets);
        let cut = |targets: Targets| -> Result<(Targets, Prepared), TuneError> {
            let mut config = config.clone();
            config.model.targets = targets;
            Ok((targets, Prepared::load(&config, context)?))
        };
        let first = Prepared::load(config, context)?;
        Ok(Self { first, others: others.map(cut).collect::<Result<_, _>>()? })
    }

    /// One cut for all, whatever the space.
    #[cfg(test)]
    pub(super) fn of(prepared: Prepared) -> Self {
        Self { first: prepared, others: Vec::new() }
    }

    /// As the search's own config cuts it.
    pub fn prepared(&self) -> &Prepared {
        &self.first
    }

    fn for_targets(&self, targets: Targets) -> &Prepared {
        let other = self.others.iter().find(|(own, _)| *own == targets);
        other.map_or(&self.first, |(_, prepared)| prepared)
    }
}

/// Take `search` to its end and return it; what is done already is not done again.
///
/// Trials run side by side as those of an ablation do. A trial whose training fails is out and the
/// others go on; a device that fails stops the search, which can be resumed.
///
/// # Errors
/// [`TuneError::Cancelled`] after a stop; whatever the error, the search can be resumed.
pub fn run(
    search: Search,
    cuts: &Cuts,
    store: &RunStore,
    choice: &DeviceChoice,
    context: &Context<TuneEvent>,
) -> Result<Search, TuneError> {
    let found = &cuts.first.record.fingerprint;
    if *found != search.fingerprint {
        let (group, expected) = (search.group, search.fingerprint);
        return Err(TuneError::OtherData { group, expected, found: found.clone() });
    }
    if search.tested.is_some() {
        return Ok(search);
    }
    let info = device::choose(choice).map_err(TrainError::from)?;
    context.progress(Some(0.0), format!("Opening {}", info.label()));
    let device = info.open().map_err(TrainError::from)?;
    let orphans = Mutex::new(orphans(&search, store));
    let running = Running {
        epochs: Arc::new(AtomicUsize::new(search.trials.iter().map(|trial| trial.epochs).sum())),
        in_all: epochs_in_all(&search.rungs),
        search: Mutex::new(search),
        orphans,
        cuts,
        store,
        info,
        device,
        context,
        halt: AtomicBool::new(false),
    };
    running.lock().save(store)?;
    running.announce();
    // Once the best is chosen only its test is left.
    let decided = running.lock().best.is_some();
    let rungs = if decided { 0 } else { running.lock().rungs.len() };
    for rung in 0..rungs {
        running.climb(rung)?;
    }
    running.choose(choice)?;
    Ok(running.search.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs of the group that no trial knows of: a kill came between the folder and the note of it.
fn orphans(search: &Search, store: &RunStore) -> Vec<(String, Config)> {
    let known = |id: &String| search.trials.iter().any(|trial| trial.run.as_ref() == Some(id));
    let of_group = |config: &Config| config.ablation.group == search.group;
    let entries = store.list().into_iter().filter(|entry| entry.state == RunState::Interrupted);
    entries
        .filter(|entry| !known(&entry.id))
        .filter_map(|entry| Some((entry.id.clone(), entry.config.filter(of_group)?)))
        .collect()
}

/// Share of the work done after `epochs` of those there are `in_all`; the test is left.
fn share(epochs: usize, in_all: usize) -> f32 {
    0.98 * (epochs as f32 / in_all.max(1) as f32).min(1.0)
}

/// A search under way.
struct Running<'a> {
    search: Mutex<Search>,
    orphans: Mutex<Vec<(String, Config)>>,
    cuts: &'a Cuts,
    store: &'a RunStore,
    info: DeviceInfo,
    device: Device,
    context: &'a Context<TuneEvent>,
    /// Epochs trained so far, and those there are in all.
    epochs: Arc<AtomicUsize>,
    in_all: usize,
    /// A trial met what ends the search.
    halt: AtomicBool,
}

impl Running<'_> {
    fn lock(&self) -> MutexGuard<'_, Search> {
        self.search.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        let search = self.lock();
        let schedule = search.config.training.schedule;
        let searched = search.config.tuning.space.contains("training.schedule");
        if search.rungs.len() > 1 && (schedule != Schedule::Constant || searched) {
            self.context.send(TuneEvent::Message(format!(
                "training.schedule is laid over all {} epochs of every trial, and a rung is a pause \
                 in it: early rungs compare trials whose learning rate has not come down yet",
                search.config.training.epochs
            )));
        }
    }

    /// Train every trial that is still in to the epochs of `rung`, and drop the worse ones.
    fn climb(&self, rung: usize) -> Result<(), TuneError> {
        let (level, due, message, parallel_wanted) = {
            let search = self.lock();
            let level = search.rungs[rung];
            let due: Vec<usize> = (0..search.trials.len())
                .filter(|&place| {
                    let trial = &search.trials[place];
                    trial.status.is_in() && trial.rungs <= rung
                })
                .collect();
            let message = format!(
                "Rung {} of {}: {} trials to epoch {}",
                rung + 1,
                search.rungs.len(),
                level.trials,
                level.epochs
            );
            (level, due, message, search.config.training.parallel)
        };
        let done = self.epochs.load(Ordering::SeqCst);
        self.context.progress(Some(share(done, self.in_all)), message.clone());
        let at_once = parallel(parallel_wanted, &self.info).min(due.len().max(1));
        let results = side_by_side(&due, at_once, &|&place: &usize| {
            if self.halt.load(Ordering::SeqCst) {
                return Err(Cancelled.into());
            }
            let result = self.advance(place, level.epochs, at_once, &message);
            if result.is_err() {
                self.halt.store(true, Ordering::SeqCst);
            }
            result
        });
        // What stopped the search counts, not that the others were stopped by it.
        let errors = results.into_iter().filter_map(Result::err);
        let stopped = errors.reduce(|first, other| match first {
            TuneError::Cancelled(_) => other,
            first => first,
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        self.drop_worse(rung)
    }

    /// Train one trial to `epochs`. An error ends the search; a training that merely fails does not.
    fn advance(
        &self,
        place: usize,
        epochs: usize,
        at_once: usize,
        message: &str,
    ) -> Result<(), TuneError> {
        self.context.checkpoint()?;
        let (trial, config) = {
            let search = self.lock();
            let trial = search.trials[place].clone();
            let config = search.config_of(&trial)?;
            (trial, config)
        };
        let prepared = self.cuts.for_targets(config.model.targets);
        let mut dir = self.run_of(&trial, &config)?;
        let id = dir.id().to_owned();
        self.update(place, |trial| trial.run = Some(id.clone()))?;
        let training = self.training(trial.trial, message);
        let spot = Place::of(&config, &self.info, at_once);
        let task = Task {
            index: place,
            config: &config,
            prepared,
            device: &self.device,
            device_label: &spot.label,
            threads: spot.threads,
        };
        let attempt =
            || check(&config).and_then(|()| trainer::advance(&task, epochs, &mut dir, &training));
        let outcome = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| {
            Err(blamed(panic_message(panic.as_ref()), spot.threads.is_some()))
        });
        drop(dir);
        let failure = match outcome {
            Ok(()) => None,
            Err(
                error @ (TrainError::Diverged { .. }
                | TrainError::Panicked(_)
                | TrainError::Parameters(_)
                | TrainError::Sampled(_)),
            ) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        };
        let metrics = self.store.metrics(&id)?;
        self.update(place, |trial| {
            trial.judge(&metrics, config.training.keep_best);
            trial.rungs += 1;
            trial.status = if failure.is_some() { Status::Failed } else { Status::Alive };
            trial.failure = failure.clone().unwrap_or_default();
        })?;
        if let Some(failure) = failure {
            let text = format!("trial {} is out: {failure}", trial.trial);
            self.context.send(TuneEvent::Message(text));
        }
        Ok(())
    }

    /// The run of a trial: its own, one that it began and that was not noted, or a new one.
    fn run_of(&self, trial: &Trial, config: &Config) -> Result<RunDir, TuneError> {
        if let Some(id) = &trial.run {
            match self.store.open_run(id) {
                // One that was finished by hand has no checkpoint to go on from, and is not to be
                // written over.
                Ok(dir) if self.store.find(id).is_ok_and(|one| one.state != RunState::Done) => {
                    return Ok(dir);
                }
                Ok(_) | Err(RunError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let orphan = {
            let mut orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
            let fitting = orphans.iter().position(|(_, other)| other == config);
            fitting.map(|place| orphans.swap_remove(place).0)
        };
        Ok(match orphan {
            Some(id) => self.store.open_run(&id)?,
            None => self.store.create(&format!("trial-{}", trial.trial), config)?,
        })
    }

    /// A context for a trial's training.
    fn training(&self, trial: usize, message: &str) -> Context<TrainEvent> {
        let (outer, message) = (self.context.clone(), message.to_owned());
        let (epochs, in_all) = (self.epochs.clone(), self.in_all);
        jobs::detached(self.context.control().clone(), move |_, events| {
            for event in events {
                match event {
                    TrainEvent::Epoch { epoch, valid_ndcg10, .. } => {
                        let done = epochs.fetch_add(1, Ordering::SeqCst) + 1;
                        outer.send(TuneEvent::Epoch { trial, epoch, valid_ndcg10 });
                        outer.progress(Some(share(done, in_all)), message.clone());
                    }
                    TrainEvent::Message(text) => outer.send(TuneEvent::Message(text)),
                    _ => {}
                }
            }
        })
    }

    /// Change a trial, write it down and tell.
    fn update(&self, place: usize, change: impl FnOnce(&mut Trial)) -> Result<(), TuneError> {
        let told = {
            let mut search = self.lock();
            change(&mut search.trials[place]);
            search.save(self.store)?;
            search.clone()
        };
        self.context.send(TuneEvent::Judged(Box::new(told)));
        Ok(())
    }

    /// Keep the best ⌈n / η⌉ of the trials of `rung`, unless it was the last.
    fn drop_worse(&self, rung: usize) -> Result<(), TuneError> {
        let told = {
            let mut search = self.lock();
            let ranking = search.ranking();
            if ranking.is_empty() {
                let first = search.trials.iter().find(|trial| !trial.failure.is_empty());
                let reason = first.map(|trial| trial.failure.clone()).unwrap_or_default();
                return Err(TuneError::AllFailed(reason));
            }
            if rung + 1 == search.rungs.len() {
                return Ok(());
            }
            let going_on = kept(search.rungs[rung].trials, search.config.tuning.reduction);
            for &place in ranking.iter().skip(going_on) {
                search.trials[place].status = Status::Dropped;
            }
            search.save(self.store)?;
            search.clone()
        };
        self.put_away(&told);
        self.context.send(TuneEvent::Judged(Box::new(told)));
        Ok(())
    }

    /// Keep the runs of trials that are out of the way; one that cannot be is only in the way.
    fn put_away(&self, search: &Search) {
        let out = search.trials.iter().filter(|trial| {
            matches!(trial.status, Status::Dropped | Status::Failed | Status::Finished)
        });
        for run in out.filter_map(|trial| trial.run.as_ref()) {
            let _ = self.store.archive(run);
        }
    }

    /// Choose the best on validation, then test it, once.
    fn choose(&self, choice: &DeviceChoice) -> Result<(), TuneError> {
        let (told, trial, config) = {
            let mut search = self.lock();
            if search.best.is_none() {
                let ranking = search.ranking();
                for (rank, &place) in ranking.iter().enumerate() {
                    let trial = &mut search.trials[place];
                    trial.status = if rank == 0 { Status::Best } else { Status::Finished };
                }
                search.best = ranking.first().map(|&place| search.trials[place].trial);
                search.save(self.store)?;
            }
            let best = search.best_trial().cloned();
            let trial = best.ok_or_else(|| TuneError::AllFailed(String::new()))?;
            let config = search.config_of(&trial)?;
            (search.clone(), trial, config)
        };
        self.put_away(&told);
        self.context.send(TuneEvent::Judged(Box::new(told)));
        self.context.progress(Some(0.98), format!("Testing trial {}, once", trial.trial));
        let id = trial.run.clone().unwrap_or_default();
        let summary = match self.store.find(&id)?.summary {
            Some(summary) => summary,
            None => {
                let prepared = self.cuts.for_targets(config.model.targets);
                let dir = self.store.open_run(&id)?;
                let training = self.training(trial.trial, "Testing");
                resume(dir, &config, prepared, choice, &training)?
            }
        };
        let mut search = self.lock();
        search.tested = Some(Tested {
            run: id,
            hr10: summary.hr10,
            ndcg10: summary.ndcg10,
            device: summary.device,
        });
        search.save(self.store)
    }
}
