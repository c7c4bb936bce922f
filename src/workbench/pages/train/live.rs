//! A training as it is seen from its events: one row a run, and curves by model.

use crate::jobs::Progress;
use crate::runs::MetricRecord;
use crate::settings::Solver;
use crate::training::{RunKey, TimeLeft, TrainEvent};
use crate::workbench::charts::curves::{Along, Curve, Sample};
use crate::workbench::charts::lines::Series;
use crate::workbench::charts::plot::round_up;
use crate::workbench::format;
use crate::workbench::theme::Palette;

/// Share of a training up to which the x axis follows the curve, where it has taken so many seconds: a
/// curve that fills a hair's breadth for hours shows nothing, one of a short training only jumps.
const EARLY: f64 = 0.05;
const LONG: f64 = 10.0;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Waiting,
    Training,
    Done,
    Failed(String),
    Stopped,
}

/// One run of the plan.
#[derive(Debug, Clone)]
pub struct LiveRun {
    pub key: RunKey,
    pub state: State,
    pub step: u64,
    /// With its fraction.
    pub epoch: f64,
    pub loss: Option<f64>,
    /// Of the last epoch.
    pub valid_ndcg10: Option<f64>,
    pub sequences_per_second: Option<f64>,
    /// Of training so far.
    pub seconds: f64,
    left: TimeLeft,
}

/// A whole training.
#[derive(Debug, Default)]
pub struct Live {
    pub runs: Vec<LiveRun>,
    pub epochs: usize,
    steps_per_epoch: u64,
    /// Training loss; one series a model, one curve a seed.
    pub loss: Vec<Series>,
    /// Validation NDCG@10, in the same order.
    pub quality: Vec<Series>,
    /// What was said when the device failed, where it did.
    pub device_lost: Option<String>,
    solvers: Vec<Solver>,
}

impl Live {
    pub fn apply(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Planned { runs, epochs, steps_per_epoch } => {
                *self = Self::planned(&runs, epochs, steps_per_epoch);
            }
            TrainEvent::Past { run, records } => {
                for record in records {
                    self.apply(event_of(run, record));
                }
            }
            TrainEvent::Started { run, step, .. } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.state = State::Training;
                    run.step = step;
                }
            }
            TrainEvent::Step { run, step, epoch, loss, seconds, sequences_per_second, .. } => {
                let sample = Sample { step: step as f64, epoch, seconds, value: loss };
                let Some(live) = self.runs.get_mut(run) else { return };
                live.left.update(step, seconds);
                live.step = step;
                live.epoch = epoch;
                live.loss = Some(loss);
                live.seconds = seconds;
                live.sequences_per_second = Some(sequences_per_second);
                if let Some(curve) = curve(&self.runs, &self.solvers, run, &mut self.loss) {
                    curve.push(sample);
                }
            }
            TrainEvent::Epoch { run, epoch, step, valid_ndcg10, seconds, .. } => {
                let epoch = epoch as f64;
                let sample = Sample { step: step as f64, epoch, seconds, value: valid_ndcg10 };
                let Some(live) = self.runs.get_mut(run) else { return };
                live.epoch = epoch;
                live.seconds = seconds;
                live.valid_ndcg10 = Some(valid_ndcg10);
                if let Some(curve) = curve(&self.runs, &self.solvers, run, &mut self.quality) {
                    curve.push(sample);
                }
            }
            TrainEvent::Finished { run, .. } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.state = State::Done;
                }
            }
            TrainEvent::Failed { run, message, device } => {
                if device {
                    self.device_lost.get_or_insert_with(|| message.clone());
                }
                if let Some(run) = self.runs.get_mut(run) {
                    run.state = State::Failed(message);
                }
            }
            TrainEvent::Message(_) => {}
        }
    }

    /// Runs that are over, from what was written of them.
    pub fn of_runs(runs: Vec<PastRun>) -> Self {
        let keys: Vec<RunKey> = runs.iter().map(|run| run.key).collect();
        let epochs = runs.iter().map(|run| run.epochs).max().unwrap_or(0);
        let steps = runs.iter().flat_map(|run| &run.records).map(|record| match record {
            MetricRecord::Epoch { epoch, step, .. } => step / (*epoch).max(1) as u64,
            MetricRecord::Step { .. } => 0,
        });
        let mut live = Self::planned(&keys, epochs, steps.max().unwrap_or(0));
        for (index, run) in runs.into_iter().enumerate() {
            live.apply(TrainEvent::Past { run: index, records: run.records });
            live.runs[index].state = if run.done { State::Done } else { State::Stopped };
        }
        live
    }

    fn planned(keys: &[RunKey], epochs: usize, steps_per_epoch: u64) -> Self {
        let mut solvers: Vec<Solver> = Vec::new();
        for key in keys {
            if !solvers.contains(&key.solver) {
                solvers.push(key.solver);
            }
        }
        let series = |solver: &Solver| Series {
            name: solver.title().to_owned(),
            curves: keys
                .iter()
                .filter(|key| key.solver == *solver)
                .map(|_| Curve::default())
                .collect(),
            ..Series::default()
        };
        let runs = keys.iter().map(|&key| LiveRun {
            key,
            state: State::Waiting,
            step: 0,
            epoch: 0.0,
            loss: None,
            valid_ndcg10: None,
            sequences_per_second: None,
            seconds: 0.0,
            left: TimeLeft::default(),
        });
        Self {
            runs: runs.collect(),
            epochs,
            steps_per_epoch,
            loss: solvers.iter().map(series).collect(),
            quality: solvers.iter().map(series).collect(),
            device_lost: None,
            solvers,
        }
    }

    /// The job ended: what was still going is stopped.
    pub fn end(&mut self) {
        for run in &mut self.runs {
            if matches!(run.state, State::Waiting | State::Training) {
                run.state = State::Stopped;
            }
        }
    }

    /// Take the colours of the theme that is on.
    pub fn color(&mut self, palette: &Palette) {
        for group in [&mut self.loss, &mut self.quality] {
            for (series, solver) in group.iter_mut().zip(&self.solvers) {
                series.color = palette.solver(*solver);
            }
        }
    }

    /// How far the x axis goes, where that is known: to the end of the training, or, while little of a
    /// long one is done, somewhat further than it has come.
    pub fn end_of(&self, along: Along) -> Option<f64> {
        let scale = match along {
            Along::Step => self.steps_per_epoch as f64,
            Along::Epoch => 1.0,
            Along::Clock => return None,
        };
        let furthest = self.runs.iter().map(|run| run.epoch).fold(0.0, f64::max);
        let slow = self.runs.iter().any(|run| run.seconds > LONG);
        let end = self.epochs as f64 * scale;
        let begun = slow && furthest < EARLY * self.epochs as f64;
        let end = if begun { round_up(1.2 * furthest * scale) } else { end };
        Some(end).filter(|end| *end > 0.0)
    }

    /// Seconds of training that a run still needs.
    pub fn seconds_left(&self, run: &LiveRun) -> Option<f64> {
        run.left.seconds(self.epochs as u64 * self.steps_per_epoch)
    }

    /// How far all runs are together; `None` while none of them trains.
    pub fn progress(&self) -> Option<Progress> {
        let going: Vec<String> = self
            .runs
            .iter()
            .filter(|run| run.state == State::Training)
            .map(|run| format!("{} seed {}", run.key.solver.title(), run.key.seed))
            .collect();
        if going.is_empty() {
            return None;
        }
        let total = (self.epochs as u64 * self.steps_per_epoch).max(1);
        let done: f64 = self
            .runs
            .iter()
            .map(|run| match run.state {
                State::Waiting | State::Training => run.step as f64 / total as f64,
                State::Done | State::Failed(_) | State::Stopped => 1.0,
            })
            .sum();
        let fraction = (done / self.runs.len() as f64) as f32;
        Some(Progress { fraction: Some(fraction), message: going.join(", ") })
    }

    /// What is going on, in one sentence.
    pub fn sentence(&self, paused: bool) -> String {
        if self.runs.is_empty() {
            return "Preparing data, split and baselines…".to_owned();
        }
        let done = self.runs.iter().filter(|run| run.state == State::Done).count();
        let going = self.runs.iter().filter(|run| run.state == State::Training).count();
        let rate: f64 = self
            .runs
            .iter()
            .filter(|run| run.state == State::Training)
            .filter_map(|run| run.sequences_per_second)
            .sum();
        let doing = if paused { "paused" } else { "training" };
        let mut text = format!("{done} of {} runs done, {going} {doing}", self.runs.len());
        if rate > 0.0 && !paused {
            text.push_str(&format!(", {} sequences/s", format::number(rate)));
        }
        text
    }
}

/// A run that is over.
pub struct PastRun {
    pub key: RunKey,
    pub epochs: usize,
    pub done: bool,
    pub records: Vec<MetricRecord>,
}

/// What was told when `record` was written.
fn event_of(run: usize, record: MetricRecord) -> TrainEvent {
    match record {
        MetricRecord::Step {
            step,
            epoch,
            loss,
            learning_rate,
            grad_norm,
            sequences_per_second,
            seconds,
        } => TrainEvent::Step {
            run,
            step,
            epoch,
            loss,
            learning_rate,
            grad_norm,
            seconds,
            sequences_per_second,
        },
        MetricRecord::Epoch { epoch, step, train_loss, valid_hr10, valid_ndcg10, seconds } => {
            TrainEvent::Epoch { run, epoch, step, train_loss, valid_hr10, valid_ndcg10, seconds }
        }
    }
}

/// The curve of `run` among the series of its model.
fn curve<'a>(
    runs: &[LiveRun],
    solvers: &[Solver],
    run: usize,
    series: &'a mut [Series],
) -> Option<&'a mut Curve> {
    let solver = runs.get(run)?.key.solver;
    let place = runs[..run].iter().filter(|other| other.key.solver == solver).count();
    let index = solvers.iter().position(|other| *other == solver)?;
    series.get_mut(index)?.curves.get_mut(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<RunKey> {
        let all = [(Solver::Gru, 1), (Solver::Rk4, 1), (Solver::Gru, 2), (Solver::Rk4, 2)];
        all.iter()
            .enumerate()
            .map(|(index, &(solver, seed))| RunKey { index, solver, seed })
            .collect()
    }

    fn step(run: usize, step: u64, seconds: f64) -> TrainEvent {
        TrainEvent::Step {
            run,
            step,
            epoch: step as f64 / 10.0,
            loss: 1.0,
            learning_rate: 1e-3,
            grad_norm: 1.0,
            seconds,
            sequences_per_second: 100.0,
        }
    }

    #[test]
    fn steps_go_to_the_curve_of_their_model_and_seed() {
        let mut live = Live::default();
        live.apply(TrainEvent::Planned { runs: keys(), epochs: 2, steps_per_epoch: 10 });
        live.apply(step(3, 5, 1.0));
        assert_eq!(live.loss.len(), 2);
        assert_eq!(live.loss[1].name, "RK4");
        assert_eq!(live.loss[1].curves[1].len(), 1);
        assert!(live.loss[1].curves[0].is_empty() && live.loss[0].curves[1].is_empty());
    }

    #[test]
    fn the_axis_follows_a_long_training_until_some_of_it_is_done() {
        let mut live = Live::default();
        live.apply(TrainEvent::Planned { runs: keys(), epochs: 20, steps_per_epoch: 10 });
        assert_eq!(live.end_of(Along::Epoch), Some(20.0));
        live.apply(step(0, 3, 9.0));
        assert_eq!(live.end_of(Along::Epoch), Some(20.0));
        live.apply(step(0, 4, 12.0));
        assert_eq!(live.end_of(Along::Epoch), Some(0.5));
        assert_eq!(live.end_of(Along::Step), Some(5.0));
        live.apply(step(1, 9, 30.0));
        assert_eq!(live.end_of(Along::Epoch), Some(2.0));
        live.apply(step(1, 10, 33.0));
        assert_eq!(live.end_of(Along::Epoch), Some(20.0));
        assert_eq!(live.end_of(Along::Clock), None);
    }

    #[test]
    fn progress_counts_every_run_and_names_those_that_train() {
        let mut live = Live::default();
        live.apply(TrainEvent::Planned { runs: keys(), epochs: 2, steps_per_epoch: 10 });
        assert_eq!(live.progress(), None);
        live.apply(TrainEvent::Failed { run: 0, message: String::new(), device: false });
        live.apply(TrainEvent::Started { run: 1, id: "b".to_owned(), step: 0 });
        live.apply(step(1, 10, 1.0));
        let progress = live.progress().unwrap();
        assert_eq!(progress.fraction, Some(1.5 / 4.0));
        assert_eq!(progress.message, "RK4 seed 1");
    }

    #[test]
    fn a_lost_device_is_remembered_and_other_failures_are_not() {
        let mut live = Live::default();
        live.apply(TrainEvent::Planned { runs: keys(), epochs: 2, steps_per_epoch: 10 });
        let failed = |run, message: &str, device| {
            let message = message.to_owned();
            TrainEvent::Failed { run, message, device }
        };
        live.apply(failed(0, "the loss became NaN", false));
        assert_eq!(live.device_lost, None);
        live.apply(failed(1, "the device failed", true));
        live.apply(failed(2, "it was lost in another run", true));
        assert_eq!(live.device_lost.as_deref(), Some("the device failed"));
    }

    #[test]
    fn an_event_of_an_unknown_run_is_passed_over() {
        let mut live = Live::default();
        live.apply(step(7, 1, 1.0));
        assert!(live.runs.is_empty());
    }
}
