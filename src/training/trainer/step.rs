//! One optimiser step: a batch, its loss, the gradients and the update.

use super::Training;
use super::random::{behind, masks, negatives_rng};
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::{Dropout, Negatives, Surroundings};
use crate::settings::Targets;
use crate::training::adam::Update;
use crate::training::schedule::learning_rate;

impl Training<'_> {
    /// One optimiser step on the training sequences `chosen`.
    pub(super) fn step(&mut self, chosen: &[u32]) {
        let config = self.task.config;
        let batch = self.training_batch(chosen);
        let dropout = self.dropout(&batch);
        let settings = &config.training;
        let total = self.batches_per_epoch() * settings.epochs as u64;
        let rate =
            learning_rate(settings.schedule, settings.learning_rate, self.position.step, total);
        let update = Update {
            learning_rate: rate,
            weight_decay: settings.weight_decay,
            clip_norm: settings.clip_norm,
        };
        let negatives = self.negatives();
        let behind = self.behind(&batch);
        let around = Surroundings {
            timeline: self.task.timeline(),
            behind: &behind,
            mask_seen: settings.mask_seen,
        };
        let measured = self.learner.step(&batch, dropout, negatives.as_ref(), around, update);
        self.pending.push((measured, rate));
        self.position.step += 1;
        self.position.step_in_epoch += 1;
        if let (Some(averaged), Some(weights)) = (&mut self.averaged, self.learner.here()) {
            averaged.take(self.position.step, weights, self.task.threads.unwrap_or(1));
        }
    }

    /// The chosen sequences, padded to the full batch size: one shape for every step.
    fn training_batch(&self, chosen: &[u32]) -> Batch {
        let (prepared, config) = (self.task.prepared, self.task.config);
        let rows = config.training.batch_size.min(prepared.split.train.len());
        let mut batch = Batch::empty(rows, prepared.split.input_len);
        let warp = self.learner.warp(&config.model);
        for (row, &place) in chosen.iter().enumerate() {
            let sequence = prepared.split.train[place as usize];
            let inputs = sequence.start..sequence.end - 1;
            let (items, times) = (&prepared.data.item[inputs.clone()], &prepared.data.time[inputs]);
            let target = sequence.end - 1;
            let (next, until) = (prepared.data.item[target], prepared.data.time[target]);
            batch.put(row, items, times, until, Some(next), warp);
        }
        if config.model.targets == Targets::Last {
            batch.only_last_target();
        }
        batch
    }

    /// Items drawn for this step, where it does not score all.
    fn negatives(&self) -> Option<Negatives> {
        let settings = &self.task.config.training;
        let mut rng = negatives_rng(settings.seed as u64, self.position.step);
        self.proposals.as_ref().map(|proposals| proposals.draw(&mut rng, settings.negatives))
    }

    /// How many milliseconds the timeline is behind after each event of `batch`, `[L, B]`; empty where it
    /// never is. Training knows the world of a moment ago, which requests after the cut of the
    /// `temporal` protocol do not: a model that learned from nothing else would trust for weeks what was
    /// wanted in the last hours before it.
    fn behind(&self, batch: &Batch) -> Vec<i64> {
        let most = self.task.prepared.split.moves_on;
        if most <= 0 || self.task.timeline().is_none() {
            return Vec::new();
        }
        let seed = self.task.config.training.seed as u64;
        behind(seed, self.position.step, most, batch.rows * batch.len)
    }

    fn dropout(&self, batch: &Batch) -> Option<Dropout> {
        let config = self.task.config;
        let share = config.model.dropout;
        if share <= 0.0 {
            return None;
        }
        let every = batch.rows * batch.len;
        let states = match config.model.targets {
            _ if config.model.solver.is_attention() => 2 * config.model.blocks * every,
            Targets::All => every,
            Targets::Last => batch.rows,
        };
        let sizes = [every, states].map(|rows| rows * config.model.hidden);
        let seed = config.training.seed as u64;
        let threads = self.task.threads.unwrap_or_default();
        let [input, state] = masks(seed, self.position.step, share, sizes, threads);
        Some(Dropout { input, state })
    }
}
