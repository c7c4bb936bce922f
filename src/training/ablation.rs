//! A plan over models and seeds: trainings side by side, then one table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use super::trainer::{self, Task, Trained};
use super::{Plan, Prepared, RunKey, TrainError, TrainEvent};
use crate::dynamics::device::{self, DeviceInfo};
use crate::dynamics::parameters;
use crate::jobs::{Cancelled, Context, panic_message};
use crate::runs::{AblationTable, LatencyRecord, MetricRecord, RunDir, RunStore, RunSummary};
use crate::settings::{Config, Solver};

/// The models named in `ablation.models`, without repetition.
///
/// # Errors
/// [`TrainError::Models`] where one is not a model or none is named.
pub fn parse_models(text: &str) -> Result<Vec<Solver>, TrainError> {
    let wrong = || TrainError::Models { given: text.to_owned() };
    let mut models = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let solver = word.to_lowercase().parse().map_err(|_| wrong())?;
        if !models.contains(&solver) {
            models.push(solver);
        }
    }
    if models.is_empty() { Err(wrong()) } else { Ok(models) }
}

/// Run the whole plan. Trainings run side by side on the CPU (`training.parallel`), one at a time
/// on a GPU. A run that fails is reported and the others go on.
///
/// # Errors
/// [`TrainError`] where nothing could be started, every run failed, or the plan was stopped.
pub fn run(
    plan: &Plan,
    prepared: &Prepared,
    store: &RunStore,
    context: &Context<TrainEvent>,
) -> Result<AblationTable, TrainError> {
    let info = device::choose(&plan.device)?;
    let configs: Vec<_> = plan.keys().iter().map(|&key| plan.config_of(key)).collect();
    for config in &configs {
        check(config)?;
    }
    context.progress(Some(0.0), format!("Opening {}", info.label()));
    let device = info.open()?;
    // All of them before anything trains: a run that was never reached can be resumed as well.
    let begun = configs
        .iter()
        .map(|config| {
            let label = format!("{}-s{}", config.model.solver.word(), config.training.seed);
            let dir = store.create(&label, config)?;
            Ok(Begun { config, prepared, dir, past: Vec::new() })
        })
        .collect::<Result<_, TrainError>>()?;
    let runs = side_by_side_to_their_end(begun, (&info, &device), context)?;
    let (protocol, label) = (prepared.split.protocol.word(), info.label());
    Ok(AblationTable::build(protocol, &prepared.record, &label, &runs, &baseline_ranks(prepared)))
}

/// A run that is there and not finished.
pub(super) struct Begun<'a> {
    pub config: &'a Config,
    pub prepared: &'a Prepared,
    pub dir: RunDir,
    /// What is known of a run that goes on, for those who watch it.
    pub past: Vec<MetricRecord>,
}

/// Train all of `begun`, or go on with them, and measure their latency. The result are the finished
/// ones with the ranks of their test queries, in their order; a run that fails is reported and the others
/// go on.
///
/// # Errors
/// [`TrainError::AllFailed`], or [`TrainError::Cancelled`].
pub(super) fn side_by_side_to_their_end(
    begun: Vec<Begun<'_>>,
    (info, device): (&DeviceInfo, &Device),
    context: &Context<TrainEvent>,
) -> Result<Vec<(RunSummary, Vec<u32>)>, TrainError> {
    let mut runs = Vec::new();
    let mut dirs: Vec<Mutex<Option<RunDir>>> = Vec::new();
    let mut pasts = Vec::new();
    for Begun { config, prepared, dir, past } in begun {
        runs.push((config, prepared));
        dirs.push(Mutex::new(Some(dir)));
        pasts.push(past);
    }
    let keys: Vec<RunKey> = runs
        .iter()
        .enumerate()
        .map(|(index, (config, _)): (usize, &(&Config, &Prepared))| RunKey::of(index, config))
        .collect();
    let Some((first, prepared)) = runs.first() else { return Ok(Vec::new()) };
    context.send(TrainEvent::Planned {
        runs: keys.clone(),
        epochs: first.training.epochs,
        steps_per_epoch: trainer::steps_per_epoch(prepared, first),
    });
    for (run, records) in pasts.into_iter().enumerate().filter(|(_, past)| !past.is_empty()) {
        context.send(TrainEvent::Past { run, records });
    }
    let at_once = parallel(first.training.parallel, info);
    let places: Vec<Place> =
        runs.iter().map(|(config, _)| Place::of(config, info, at_once.min(keys.len()))).collect();
    tell_places(&keys, &places, info, context);
    let task = |key: &RunKey| Task {
        index: key.index,
        config: runs[key.index].0,
        prepared: runs[key.index].1,
        device,
        device_label: &places[key.index].label,
        threads: places[key.index].threads,
    };
    let lost = AtomicBool::new(false);
    let attempt = |key: &RunKey| -> Result<(Trained, RunDir), TrainError> {
        if context.control().is_cancelled() {
            return Err(Cancelled.into());
        }
        if lost.load(Ordering::SeqCst) {
            return Err(TrainError::DeviceLost("it was lost in another run".to_owned()));
        }
        let mut dir = dirs[key.index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| unreachable!("each run is started once"));
        let trained = one(&task(key), &mut dir, context)?;
        Ok((trained, dir))
    };
    let work = |key: &RunKey| {
        let result = attempt(key);
        match &result {
            Ok(_) | Err(TrainError::Cancelled(_)) => {}
            Err(error) => {
                let device = error.is_device();
                lost.fetch_or(device, Ordering::SeqCst);
                let message = error.to_string();
                context.send(TrainEvent::Failed { run: key.index, message, device });
            }
        }
        result
    };
    let results = side_by_side(&keys, at_once, &work);
    context.checkpoint()?;

    let mut first_failure = None;
    let mut finished = Vec::new();
    for (key, result) in keys.iter().zip(results) {
        match result {
            Ok((trained, dir)) => finished.push((key, trained, dir)),
            Err(TrainError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => {
                first_failure.get_or_insert(error);
            }
        }
    }
    let mut all = Vec::new();
    let count = finished.len();
    for (place, (key, mut trained, mut dir)) in finished.into_iter().enumerate() {
        let share = place as f32 / count as f32;
        context.progress(Some(0.98 + 0.02 * share), "Measuring latency, one model at a time");
        context.checkpoint()?;
        trained.summary.latency = measure(&trained, &task(key), context);
        dir.write_summary(&trained.summary)?;
        let summary = Box::new(trained.summary.clone());
        context.send(TrainEvent::Finished { run: key.index, summary });
        all.push((trained.summary, trained.ranks));
    }
    if all.is_empty() {
        let first = first_failure.unwrap_or(TrainError::Cancelled(Cancelled));
        return Err(TrainError::AllFailed(Box::new(first)));
    }
    Ok(all)
}

fn baseline_ranks(prepared: &Prepared) -> Vec<(String, Vec<u32>)> {
    prepared
        .baselines
        .iter()
        .map(|(baseline, ranks)| (baseline.word().to_owned(), ranks.clone()))
        .collect()
}

/// Whether these settings go together.
pub(super) fn check(config: &Config) -> Result<(), TrainError> {
    parameters::check(&config.model)?;
    match config.not_sampled_with() {
        Some(key) if config.training.negatives > 0 => Err(TrainError::Sampled(key)),
        _ => Ok(()),
    }
}

/// Where a run trains.
pub(super) struct Place {
    pub label: String,
    /// Of the CPU; none elsewhere.
    pub threads: Option<usize>,
}

impl Place {
    /// On the device chosen, or on the CPU for what nothing else trains, one of `trainings` at once.
    pub fn of(config: &Config, chosen: &DeviceInfo, trainings: usize) -> Self {
        if chosen.is_cpu() || config.only_on_cpu() {
            let label = device::cpu().label();
            return Self { label, threads: Some(threads_each(trainings)) };
        }
        Self { label: chosen.label(), threads: None }
    }
}

/// Say which of the runs do not train on the device chosen.
pub(super) fn tell_places(
    keys: &[RunKey],
    places: &[Place],
    chosen: &DeviceInfo,
    context: &Context<TrainEvent>,
) {
    let mut told: Vec<&str> = Vec::new();
    for (key, place) in keys.iter().zip(places) {
        let title = key.solver.title();
        if place.threads.is_some() && !chosen.is_cpu() && !told.contains(&title) {
            told.push(title);
            let (label, instead) = (&place.label, chosen.label());
            context.send(TrainEvent::Message(format!(
                "{title} trains on the CPU ({label}): with these settings it has no kernels for GPUs such as {instead}"
            )));
        }
    }
}

/// One training, with a panic of the backend turned into a failure that says what to do.
pub(super) fn one(
    task: &Task<'_>,
    dir: &mut RunDir,
    context: &Context<TrainEvent>,
) -> Result<Trained, TrainError> {
    let on_cpu = task.threads.is_some();
    let trained = catch_unwind(AssertUnwindSafe(|| trainer::train(task, dir, context)))
        .unwrap_or_else(|panic| Err(blamed(panic_message(panic.as_ref()), on_cpu)))?;
    let summary = Box::new(trained.summary.clone());
    context.send(TrainEvent::Finished { run: task.index, summary });
    Ok(trained)
}

/// Whom a panic is blamed on: the GPU backend panics where a device is lost or out of memory; the
/// CPU has no such excuse.
pub(super) fn blamed(message: String, on_cpu: bool) -> TrainError {
    if on_cpu { TrainError::Panicked(message) } else { TrainError::DeviceLost(message) }
}

/// The latency of a finished run; a failure now does not take the result with it.
fn measure(
    trained: &Trained,
    task: &Task<'_>,
    context: &Context<TrainEvent>,
) -> Option<LatencyRecord> {
    catch_unwind(AssertUnwindSafe(|| trained.measure(task))).unwrap_or_else(|panic| {
        let reason = panic_message(panic.as_ref());
        context.send(TrainEvent::Message(format!("latency could not be measured: {reason}")));
        None
    })
}

/// How many trainings run at once, where `training.parallel` is `wanted`.
pub(super) fn parallel(wanted: usize, info: &DeviceInfo) -> usize {
    match wanted {
        0 if info.is_cpu() => device::cores(),
        0 => 1,
        wanted => wanted,
    }
}

/// Threads for each of so many trainings at once on the CPU.
fn threads_each(trainings: usize) -> usize {
    let cores = device::cores();
    (cores / trainings.max(1)).max(1)
}

/// Run `work` for every one of `all` on `threads` threads; results in their order.
pub(super) fn side_by_side<K: Sync, T: Send>(
    all: &[K],
    threads: usize,
    work: &(impl Fn(&K) -> T + Sync),
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = all.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, all.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    let Some((one, slot)) = all.get(place).zip(results.get(place)) else { break };
                    let result = work(one);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| {
            let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            result.unwrap_or_else(|| unreachable!("every one was worked on"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_parsed_without_repetition() {
        assert_eq!(parse_models("RK4, gru,rk4").unwrap(), [Solver::Rk4, Solver::Gru]);
        assert!(parse_models("rk5").is_err());
        assert!(parse_models(" , ").is_err());
    }

    #[test]
    fn a_panic_on_a_gpu_is_blamed_on_the_device() {
        assert!(blamed("out of memory".to_owned(), false).is_device());
        assert!(!blamed("index out of bounds".to_owned(), true).is_device());
    }

    #[test]
    fn work_is_done_once_for_each_key_and_keeps_its_order() {
        let keys: Vec<RunKey> =
            (0..7).map(|index| RunKey { index, solver: Solver::Gru, seed: 1 }).collect();
        assert_eq!(side_by_side(&keys, 3, &|key| key.index * 2), [0, 2, 4, 6, 8, 10, 12]);
    }
}
