//! One training: from a config and prepared data to a finished run folder.

mod averaged;
mod finish;
mod learner;
#[cfg(test)]
pub(crate) mod lost;
mod random;
mod step;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};

use super::checkpoint::{Checkpoint, Position, Validated};
use super::evaluate::{self, per_query};
use super::negatives::Proposals;
use super::scorer::Scorer;
use super::{Prepared, TrainError, TrainEvent, checkpoint, embedding};
use crate::dynamics::device::cores;
use crate::dynamics::excitation::Timeline;
use crate::dynamics::parameters::{self, Matrix};
use crate::jobs::Context;
use crate::runs::{MetricRecord, RunDir};
use crate::settings::Config;

use averaged::Averaged;
pub use finish::Trained;
use learner::{Learner, Measured, Moments};
use random::epoch_order;

/// How often losses are read from the device and shown.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What one training is given.
pub struct Task<'a> {
    /// Index of the run in its plan, for events.
    pub index: usize,
    pub config: &'a Config,
    pub prepared: &'a Prepared,
    pub device: &'a Device,
    /// On the CPU, threads for its own kernels; `None` trains on `device`.
    pub threads: Option<usize>,
    /// As shown beside its numbers.
    pub device_label: &'a str,
}

/// Train in `dir`, from its checkpoint where it has one, and write everything a run holds.
///
/// # Errors
/// [`TrainError::Cancelled`] after a stop, with a checkpoint written; any other failure leaves the
/// folder at its last checkpoint.
pub fn train(
    task: &Task<'_>,
    dir: &mut RunDir,
    context: &Context<TrainEvent>,
) -> Result<Trained, TrainError> {
    let mut training = Training::begin(task, dir, context)?;
    let started = TrainEvent::Started {
        run: task.index,
        id: dir.id().to_owned(),
        step: training.position.step,
    };
    context.send(started);
    if task.config.training.negatives > 0 && !task.sampled() {
        context.send(TrainEvent::Message(format!(
            "training.negatives is for the CPU: {} scores the whole catalogue at every step",
            task.device_label
        )));
    }
    if let Some(unfit) = training.learner.slow() {
        let label = task.device_label;
        context.send(TrainEvent::Message(format!(
            "{label} cannot run the kernels for GPUs, and trains many times slower without them: {unfit}"
        )));
    }
    training.run(task.config.training.epochs, dir, context)?;
    // The test can be stopped or killed too, and must not cost the training.
    training.save(dir, context)?;
    training.finish(dir, context)
}

/// Train in `dir`, from its checkpoint where it has one, until `epochs` of its epochs are done, and
/// leave it at a checkpoint from which it can go on. Validation is all that is looked at: no test,
/// no summary. A schedule is laid over all of `training.epochs`, however far this goes, so that a
/// training that is advanced in parts is the same as one in one go.
///
/// # Errors
/// As [`train`].
pub fn advance(
    task: &Task<'_>,
    epochs: usize,
    dir: &mut RunDir,
    context: &Context<TrainEvent>,
) -> Result<(), TrainError> {
    let mut training = Training::begin(task, dir, context)?;
    training.run(epochs.min(task.config.training.epochs), dir, context)?;
    training.save(dir, context)
}

/// A training under way.
struct Training<'a> {
    task: &'a Task<'a>,
    learner: Learner,
    /// How items are drawn, where a step scores drawn ones only.
    proposals: Option<Proposals>,
    position: Position,
    /// What is validated and kept in the place of the weights, where they are averaged.
    averaged: Option<Averaged>,
    best: Vec<Matrix>,
    loss_sum: f64,
    last_loss: f64,
    /// Losses and gradient norms not told yet, with the learning rate of each step.
    pending: Vec<(Measured, f64)>,
    /// Sequences in the pending steps, and the time those took.
    pending_sequences: usize,
    pending_seconds: f64,
    reported: Instant,
    saved: Instant,
}

impl<'a> Training<'a> {
    fn begin(
        task: &'a Task<'a>,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<Self, TrainError> {
        let (model, items) = (&task.config.model, task.prepared.data.items());
        let fingerprint = &task.prepared.record.fingerprint;
        let mut initial = parameters::initial(model, items, task.config.training.seed as u64);
        let checkpoint = checkpoint::read(dir, task.prepared)?;
        if checkpoint.is_none() {
            embedding::begin(&mut initial, task.prepared, &task.config.training, context)?;
        }
        let power = task.config.training.averaging;
        let mut training = Self {
            task,
            averaged: (power > 0.0).then(|| Averaged::new(power, initial.clone())),
            learner: task.learner(initial, None),
            proposals: task
                .sampled()
                .then(|| Proposals::count(&task.prepared.data, &task.prepared.split.train)),
            position: Position { fingerprint: fingerprint.clone(), ..Position::default() },
            best: Vec::new(),
            loss_sum: 0.0,
            last_loss: f64::NAN,
            pending: Vec::new(),
            pending_sequences: 0,
            pending_seconds: 0.0,
            reported: Instant::now(),
            saved: Instant::now(),
        };
        match checkpoint {
            None => dir.truncate_metrics(0)?,
            Some(saved) => {
                let fit = |matrices| parameters::fit(model, items, matrices);
                let (first, second) = (fit(saved.first_moment)?, fit(saved.second_moment)?);
                let moments = Moments { first, second, updates: saved.position.step };
                training.learner = task.learner(fit(saved.parameters)?, Some(moments));
                if let Some(averaged) = &mut training.averaged {
                    averaged.matrices = fit(saved.averaged)?;
                }
                training.best = if saved.best.is_empty() { Vec::new() } else { fit(saved.best)? };
                training.loss_sum = f64::from_bits(saved.position.loss_sum_bits);
                training.last_loss = f64::from_bits(saved.position.last_loss_bits);
                dir.truncate_metrics(saved.position.metrics_len)?;
                training.position = saved.position;
            }
        }
        Ok(training)
    }

    fn batches_per_epoch(&self) -> u64 {
        steps_per_epoch(self.task.prepared, self.task.config)
    }

    /// Until `epochs` are done, or the training stops early.
    fn run(
        &mut self,
        epochs: usize,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<(), TrainError> {
        let settings = &self.task.config.training;
        let per_epoch = self.batches_per_epoch();
        let stopped_early =
            |position: &Position| settings.patience > 0 && position.stale >= settings.patience;
        while self.position.epoch < epochs && !stopped_early(&self.position) {
            let order = epoch_order(
                self.task.prepared.split.train.len(),
                settings.seed as u64,
                self.position.epoch,
            );
            while self.position.step_in_epoch < per_epoch {
                self.stop_point(dir, context)?;
                let begun = Instant::now();
                let from = self.position.step_in_epoch as usize * settings.batch_size;
                let chosen = &order[from..order.len().min(from + settings.batch_size)];
                self.step(chosen);
                let seconds = begun.elapsed().as_secs_f64();
                self.position.seconds += seconds;
                self.pending_seconds += seconds;
                self.pending_sequences += chosen.len();
                if self.reported.elapsed() > REPORT_EVERY {
                    self.report(dir, context)?;
                }
                if self.saved.elapsed().as_secs_f64() > settings.checkpoint_seconds {
                    self.save(dir, context)?;
                }
            }
            self.report(dir, context)?;
            self.end_epoch(dir, context)?;
        }
        Ok(())
    }

    /// Wait here while paused; save and leave when asked to stop.
    fn stop_point(
        &mut self,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<(), TrainError> {
        if context.control().is_paused() {
            self.save(dir, context)?;
        }
        if let Err(cancelled) = context.checkpoint() {
            self.save(dir, context)?;
            return Err(cancelled.into());
        }
        Ok(())
    }

    /// Read the pending losses, write them to the log and send them on.
    fn report(
        &mut self,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<(), TrainError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let count = self.pending.len() as u64;
        let pending = std::mem::take(&mut self.pending);
        let (measured, rates): (Vec<Measured>, Vec<f64>) = pending.into_iter().unzip();
        let measured = self.measured(measured)?;
        let seconds = begun.elapsed().as_secs_f64();
        self.position.seconds += seconds;
        let sequences = std::mem::take(&mut self.pending_sequences) as f64;
        let elapsed = std::mem::take(&mut self.pending_seconds) + seconds;
        let sequences_per_second = sequences / elapsed.max(1e-9);
        self.reported = Instant::now();
        let per_epoch = self.batches_per_epoch() as f64;
        let first = self.position.step - count;
        for (place, ([loss, norm], rate)) in measured.into_iter().zip(rates).enumerate() {
            let step = first + place as u64 + 1;
            let (loss, norm) = (f64::from(loss), f64::from(norm));
            if !loss.is_finite() {
                return Err(TrainError::Diverged { loss, step });
            }
            self.loss_sum += loss;
            let record = MetricRecord::Step {
                step,
                epoch: step as f64 / per_epoch,
                loss,
                learning_rate: rate,
                grad_norm: norm,
                sequences_per_second,
                seconds: self.position.seconds,
            };
            dir.append_metric(&record)?;
            context.send(TrainEvent::Step {
                run: self.task.index,
                step,
                epoch: step as f64 / per_epoch,
                loss,
                learning_rate: rate,
                grad_norm: norm,
                seconds: self.position.seconds,
                sequences_per_second,
            });
        }
        dir.flush()?;
        Ok(())
    }

    /// Validate, remember the best weights, and move on to the next epoch.
    fn end_epoch(
        &mut self,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<(), TrainError> {
        let task = self.task;
        let weights = self.kept()?;
        let ranks = evaluate::ranks(
            &task.scorer(&weights),
            &task.prepared.data,
            &task.prepared.split.valid,
            &task.config.evaluation,
            // A stop during validation goes back to the last step, which is saved by then.
            || context.checkpoint(),
        );
        let ranks = match ranks {
            Ok(ranks) => ranks,
            Err(cancelled) => {
                self.save(dir, context)?;
                return Err(cancelled.into());
            }
        };
        let metrics = per_query(&ranks);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (valid_hr10, valid_ndcg10) = (mean(&metrics.hit), mean(&metrics.ndcg));
        self.last_loss = self.loss_sum / self.batches_per_epoch() as f64;
        self.loss_sum = 0.0;
        self.position.epoch += 1;
        self.position.step_in_epoch = 0;
        let best = self.position.best.as_ref().map(|best| f64::from_bits(best.ndcg10_bits));
        let last = Validated { epoch: self.position.epoch, ndcg10_bits: valid_ndcg10.to_bits() };
        self.position.last = Some(last.clone());
        if best.is_none_or(|best| valid_ndcg10 > best) {
            self.position.best = Some(last);
            self.position.stale = 0;
            self.best = weights;
        } else {
            self.position.stale += 1;
        }
        let (epoch, step, seconds) =
            (self.position.epoch, self.position.step, self.position.seconds);
        let train_loss = self.last_loss;
        let record =
            MetricRecord::Epoch { epoch, step, train_loss, valid_hr10, valid_ndcg10, seconds };
        dir.append_metric(&record)?;
        let run = task.index;
        context.send(TrainEvent::Epoch {
            run,
            epoch,
            step,
            train_loss,
            valid_hr10,
            valid_ndcg10,
            seconds,
        });
        Ok(())
    }

    fn save(&mut self, dir: &mut RunDir, context: &Context<TrainEvent>) -> Result<(), TrainError> {
        self.report(dir, context)?;
        self.position.loss_sum_bits = self.loss_sum.to_bits();
        self.position.last_loss_bits = self.last_loss.to_bits();
        self.position.metrics_len = dir.metrics_len()?;
        let [first_moment, second_moment] =
            self.learner.moments(|tensor| self.read(tensor.clone()))?;
        let checkpoint = Checkpoint {
            position: self.position.clone(),
            parameters: self.weights()?,
            first_moment,
            second_moment,
            averaged: self.averaged.as_ref().map_or_else(Vec::new, |own| own.matrices.clone()),
            best: self.best.clone(),
        };
        dir.write_checkpoint(&checkpoint.encode()?)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// The weights, back on the host with their names.
    fn weights(&self) -> Result<Vec<Matrix>, TrainError> {
        self.learner.weights(|tensor| self.read(tensor.clone()))
    }

    /// The weights that are validated and kept: averages where there are any.
    fn kept(&self) -> Result<Vec<Matrix>, TrainError> {
        match &self.averaged {
            Some(averaged) => Ok(averaged.matrices.clone()),
            None => self.weights(),
        }
    }

    /// Loss and norm of each step: where a device that was lost is noticed.
    fn measured(&self, steps: Vec<Measured>) -> Result<Vec<[f32; 2]>, TrainError> {
        #[cfg(test)]
        lost::read_back(self, Ok(())).map_err(|error| TrainError::DeviceLost(error.to_string()))?;
        self.learner.measured(steps, |tensor| self.read(tensor))
    }

    /// Values of a tensor on the host.
    fn read<const D: usize>(&self, tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
        let read = tensor.try_to_vec_as::<f32>();
        read.map_err(|error| TrainError::DeviceLost(error.to_string()))
    }
}

impl Task<'_> {
    /// Whether a step scores drawn items only.
    fn sampled(&self) -> bool {
        self.config.training.negatives > 0 && self.threads.is_some()
    }

    /// Item dynamics, where the model has them.
    fn timeline(&self) -> Option<&Timeline> {
        self.prepared.timeline_for(&self.config.model)
    }

    /// A model of these weights, on as many threads as this training has.
    fn scorer(&self, weights: &[Matrix]) -> Scorer<'_> {
        let threads = self.threads.unwrap_or_else(cores);
        Scorer::of(self.prepared, &self.config.model, weights, threads)
    }

    fn learner(&self, weights: Vec<Matrix>, moments: Option<Moments>) -> Learner {
        let (model, items) = (&self.config.model, self.prepared.data.items());
        match self.threads {
            Some(threads) => Learner::on_cpu(model, items, weights, moments, threads),
            None => Learner::on_device(model, items, &weights, moments.as_ref(), self.device),
        }
    }
}

/// Optimiser steps in one epoch.
pub fn steps_per_epoch(prepared: &Prepared, config: &Config) -> u64 {
    prepared.split.train.len().div_ceil(config.training.batch_size) as u64
}
