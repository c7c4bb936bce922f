//! The end of a training: the test, and the files of a finished run.

use super::{Task, Training};
use crate::dynamics::parameters::Matrix;
use crate::jobs::Context;
use crate::runs::{LatencyRecord, RunDir, RunSummary};
use crate::training::evaluate;
use crate::training::{Finished, Past, TrainError, TrainEvent};

/// A finished training, with what a latency measurement needs.
pub struct Trained {
    pub summary: RunSummary,
    pub ranks: Vec<u32>,
    weights: Vec<Matrix>,
}

impl Training<'_> {
    /// Test the chosen weights and write the run's final files.
    pub(super) fn finish(
        mut self,
        dir: &mut RunDir,
        context: &Context<TrainEvent>,
    ) -> Result<Trained, TrainError> {
        let task = self.task;
        let (weights, kept) = if task.config.training.keep_best && !self.best.is_empty() {
            (std::mem::take(&mut self.best), self.position.best.clone())
        } else {
            (self.kept()?, self.position.last.clone())
        };
        let past = Past {
            valid_ndcg10: kept.as_ref().map_or(f64::NAN, |kept| f64::from_bits(kept.ndcg10_bits)),
            best_epoch: kept.map_or(self.position.epoch, |kept| kept.epoch),
            epochs: self.position.epoch,
            train_loss: self.last_loss,
            seconds: self.position.seconds,
            device: task.device_label.to_owned(),
            origin: None,
        };
        let scorer = task.scorer(&weights);
        let tested = (&scorer, weights.as_slice());
        let finished = Finished::test(task.config, task.prepared, tested, past, context)?;
        let (summary, ranks) = finished.write(dir)?;
        Ok(Trained { summary, ranks, weights })
    }
}

impl Trained {
    /// Time the trained model's answers; alone on the machine, so after the other trainings.
    pub fn measure(&self, task: &Task<'_>) -> Option<LatencyRecord> {
        evaluate::latency(
            &task.scorer(&self.weights),
            &task.prepared.data,
            &task.prepared.split.test,
        )
    }
}
