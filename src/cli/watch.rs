//! What trainings under way say on stderr, and how they ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use super::arguments::Common;
use super::output;
use crate::jobs::Context;
use crate::runs::RunSummary;
use crate::settings::Solver;
use crate::training::{RunKey, TimeLeft, TrainEvent};
use crate::workbench::format;

/// A training without a result.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Failure {
    model: Solver,
    seed: u64,
    message: String,
}

/// How the runs of a plan ended.
#[derive(Default)]
pub struct Endings {
    pub finished: BTreeMap<usize, RunSummary>,
    pub failed: Vec<Failure>,
}

pub type Ended = Arc<Mutex<Endings>>;

/// A context that prints a line an epoch, and more of them where one takes long, and collects the
/// summaries.
pub fn events(common: &Common, keys: Vec<RunKey>, ended: Ended) -> Result<Context<TrainEvent>> {
    let quiet = common.quiet;
    let lines = Mutex::new(Lines { keys, ..Lines::default() });
    output::context(common, move |event: TrainEvent| {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.of(&event, Instant::now());
        // A failure is told in any case.
        if let Some(line) = line.filter(|_| !quiet || matches!(event, TrainEvent::Failed { .. })) {
            note!("{line}");
        }
        let ended = || ended.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            TrainEvent::Finished { run, summary } => {
                ended().finished.insert(run, *summary);
            }
            TrainEvent::Failed { run, message, .. } => {
                if let Some(&RunKey { solver: model, seed, .. }) = lines.keys.get(run) {
                    ended().failed.push(Failure { model, seed, message });
                }
            }
            _ => {}
        }
    })
}

/// What is said of the runs under way.
#[derive(Default)]
struct Lines {
    keys: Vec<RunKey>,
    /// Of each run, to its end.
    steps: u64,
    runs: HashMap<usize, Watched>,
}

/// One run.
struct Watched {
    told: Instant,
    /// Sequences a second.
    rate: f64,
    left: TimeLeft,
}

impl Lines {
    /// What there is to say of `event` at the time `now`.
    fn of(&mut self, event: &TrainEvent, now: Instant) -> Option<String> {
        let name = |run: usize| {
            let key = self.keys.get(run);
            key.map(|key| format!("{:<7} seed {:<3}", key.solver.word(), key.seed))
                .unwrap_or_default()
        };
        let begun = Watched { told: now, rate: 0.0, left: TimeLeft::default() };
        match event {
            TrainEvent::Planned { epochs, steps_per_epoch, .. } => {
                self.steps = *epochs as u64 * steps_per_epoch;
                None
            }
            TrainEvent::Started { run, id, step } => {
                // One that goes on may follow another in its place.
                self.runs.insert(*run, begun);
                (*step > 0).then(|| format!("{} goes on from step {step} ({id})", name(*run)))
            }
            TrainEvent::Step { run, step, epoch, loss, seconds, sequences_per_second, .. } => {
                let own = self.runs.entry(*run).or_insert(begun);
                own.rate = *sequences_per_second;
                own.left.update(*step, *seconds);
                if now.duration_since(own.told) < output::SHARE {
                    return None;
                }
                own.told = now;
                let left = own.left.seconds(self.steps).map_or_else(String::new, |left| {
                    format!("  {} left", format::duration(left.round()))
                });
                Some(format!(
                    "{} epoch {epoch:>6.2}  loss {loss:.4}  {sequences_per_second:.0} sequences/s{left}",
                    name(*run)
                ))
            }
            TrainEvent::Epoch { run, epoch, train_loss, valid_ndcg10, seconds, .. } => {
                let own = self.runs.entry(*run).or_insert(begun);
                own.told = now;
                Some(format!(
                    "{} epoch {epoch:>3}  loss {train_loss:.4}  validation NDCG@10 {valid_ndcg10:.4}  {:>6.0} sequences/s  {seconds:.1} s",
                    name(*run),
                    own.rate
                ))
            }
            TrainEvent::Failed { run, message, .. } => {
                Some(format!("{} failed: {message}", name(*run)))
            }
            TrainEvent::Past { .. } => None,
            TrainEvent::Message(text) => Some(text.clone()),
            TrainEvent::Finished { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn step(step: u64, seconds: f64) -> TrainEvent {
        TrainEvent::Step {
            run: 0,
            step,
            epoch: step as f64 / 100.0,
            loss: 8.25,
            learning_rate: 1e-3,
            grad_norm: 1.0,
            seconds,
            sequences_per_second: 4400.0,
        }
    }

    #[test]
    fn a_long_epoch_says_how_far_it_is_and_how_long_it_takes() {
        let key = RunKey { index: 0, solver: Solver::Gru, seed: 1 };
        let mut lines = Lines { keys: vec![key], ..Lines::default() };
        let begun = Instant::now();
        let mut at =
            |event: &TrainEvent, seconds| lines.of(event, begun + Duration::from_secs(seconds));
        let planned = TrainEvent::Planned { runs: vec![key], epochs: 2, steps_per_epoch: 100 };
        assert_eq!(at(&planned, 0), None);
        let started = |step| TrainEvent::Started { run: 0, id: "a".to_owned(), step };
        assert_eq!(at(&started(0), 0), None);
        assert_eq!(at(&step(10, 4.0), 5), None);
        let line = at(&step(20, 9.0), 10).unwrap();
        assert_eq!(
            line,
            "gru     seed 1   epoch   0.20  loss 8.2500  4400 sequences/s  1 min 30 s left"
        );
        assert_eq!(at(&step(30, 14.0), 15), None);
        assert!(at(&step(40, 19.0), 20).unwrap().contains("epoch   0.40"));
        // What another run took says nothing of one that goes on in its place.
        assert!(at(&started(150), 30).unwrap().contains("goes on from step 150 (a)"));
        assert_eq!(at(&step(151, 70.0), 31), None);
        assert!(at(&step(161, 80.0), 41).unwrap().ends_with("39 s left"));
    }
}
