//! The end of a training: the test, and the files of a finished run.

use std::collections::HashMap;

use super::{Task, Training};
use crate::dynamics::model::System1;
use crate::dynamics::parameters::{self, Matrix};
use crate::evaluation::{mean_metric, reciprocal_rank};
use crate::jobs::Context;
use crate::runs::{LatencyRecord, QueryRank, RunDir, RunSummary};
use crate::training::baselines::Baseline;
use crate::training::evaluate::{self, per_query};
use crate::training::{Prepared, TrainError, TrainEvent, checkpoint};

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
        let (config, prepared) = (task.config, task.prepared);
        let weights = if config.training.keep_best && !self.best.is_empty() {
            std::mem::take(&mut self.best)
        } else {
            self.weights()?
        };
        let ranks = evaluate::ranks(
            &task.scorer(&weights),
            &prepared.data,
            &prepared.split.test,
            &config.evaluation,
            || context.checkpoint(),
        )?;
        let metrics = per_query(&ranks);
        let mrr = ranks.iter().map(|&rank| reciprocal_rank(rank)).sum::<f64>()
            / ranks.len().max(1) as f64;
        let step_halving_error =
            if config.model.solver.is_attention() { 0.0 } else { halving(task, &weights) };
        let best = self.position.best.clone();
        let summary = RunSummary {
            run: dir.id().to_owned(),
            group: Some(config.ablation.group.clone()).filter(|group| !group.is_empty()),
            created: dir.created(),
            finished: jiff::Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: config.model.solver.word().to_owned(),
            seed: config.training.seed as u64,
            config: config.clone(),
            data: prepared.record.clone(),
            device: task.device_label.to_owned(),
            params: parameters::count(&config.model, prepared.data.items()),
            hr10: mean_metric(&[metrics.hit]),
            ndcg10: mean_metric(&[metrics.ndcg]),
            mrr,
            valid_ndcg10: best.as_ref().map_or(f64::NAN, |best| f64::from_bits(best.ndcg10_bits)),
            best_epoch: best.map_or(self.position.epoch, |best| best.epoch),
            epochs: self.position.epoch,
            train_loss: self.last_loss,
            train_seconds: self.position.seconds,
            step_halving_error,
            latency: None,
            baselines: prepared.baseline_records(),
            ceiling: prepared.ceiling(context)?,
        };
        // One entry: several would be written in an order of their own each time.
        let about = serde_json::json!({
            "config": config.to_toml(),
            "fingerprint": prepared.record.fingerprint,
            "items": prepared.data.items(),
        });
        let metadata = HashMap::from([("deepm3".to_owned(), about.to_string())]);
        let named = weights.iter().map(|matrix| (matrix.name.clone(), matrix));
        dir.write_model(&checkpoint::encode(named, metadata)?)?;
        dir.write_ranks(&query_ranks(prepared, &ranks))?;
        dir.write_summary(&summary)?;
        dir.clear_checkpoint()?;
        Ok(Trained { summary, ranks, weights })
    }
}

/// What halving every step changes in the states of a few test queries.
fn halving(task: &Task<'_>, weights: &[Matrix]) -> f64 {
    let (config, prepared) = (task.config, task.prepared);
    let probe = &prepared.split.test[..prepared.split.test.len().min(64)];
    let probe = evaluate::batch_of(
        &prepared.data,
        probe,
        probe.len(),
        prepared.split.input_len,
        &config.model,
    );
    let tensors = parameters::upload(weights, task.device);
    System1::new(&config.model, &tensors).step_halving_error(&probe)
}

impl Trained {
    /// Time the trained model's answers; alone on the machine, so after the other trainings.
    pub fn measure(&self, task: &Task<'_>) -> Option<LatencyRecord> {
        evaluate::latency(
            &task.scorer(&self.weights),
            &task.prepared.data,
            &task.prepared.split.test,
            task.device_label,
        )
    }
}

fn query_ranks(prepared: &Prepared, ranks: &[u32]) -> Vec<QueryRank> {
    let data = &prepared.data;
    let counted = |wanted: Baseline| {
        prepared.baselines.iter().find(|(name, _)| *name == wanted).map(|(_, ranks)| ranks)
    };
    let (popularity, markov) = (counted(Baseline::Popularity), counted(Baseline::Markov));
    let (recent, item_knn) = (counted(Baseline::Recent), counted(Baseline::ItemKnn));
    let at = |ranks: Option<&Vec<u32>>, place: usize| ranks.and_then(|r| r.get(place).copied());
    prepared
        .split
        .test
        .iter()
        .zip(ranks)
        .enumerate()
        .map(|(place, (query, &rank))| QueryRank {
            user: data.user_ids[query.user].clone(),
            item: data.item_ids[data.item[query.target] as usize].clone(),
            rank,
            popularity: at(popularity, place),
            markov: at(markov, place),
            recent: at(recent, place),
            item_knn: at(item_knn, place),
        })
        .collect()
}
