//! A model with its test: all that a finished run holds.

use std::collections::HashMap;

use super::baselines::Baseline;
use super::evaluate::{self, per_query};
use super::scorer::Scorer;
use super::{Prepared, TrainError, checkpoint};
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::TimeWarp;
use crate::evaluation::{mean_metric, reciprocal_rank};
use crate::jobs::Context;
use crate::runs::{Origin, QueryRank, RunDir, RunSummary};
use crate::settings::Config;

/// How the weights of a run came about.
#[derive(Debug, Clone)]
pub struct Past {
    /// NDCG@10 on validation of the weights.
    pub valid_ndcg10: f64,
    /// The epoch that they are of, from 1.
    pub best_epoch: usize,
    pub epochs: usize,
    /// Mean over the last epoch, in nats; NaN where there was none.
    pub train_loss: f64,
    pub seconds: f64,
    /// Label of the device.
    pub device: String,
    /// Where they come from, where it is not a training as the settings say.
    pub origin: Option<Origin>,
}

/// Mean NDCG@10 on the validation queries.
///
/// # Errors
/// [`TrainError::Cancelled`].
pub fn valid_ndcg10<E>(
    config: &Config,
    prepared: &Prepared,
    scorer: &Scorer<'_>,
    context: &Context<E>,
) -> Result<f64, TrainError> {
    let (data, valid) = (&prepared.data, &prepared.split.valid);
    let ranks = evaluate::ranks(scorer, data, valid, &config.evaluation, || context.checkpoint())?;
    let ndcg = per_query(&ranks).ndcg;
    Ok(ndcg.iter().sum::<f64>() / ndcg.len().max(1) as f64)
}

/// The files of a finished run, before they are written.
pub struct Finished {
    pub summary: RunSummary,
    /// Of the targets of the test queries, in their order.
    pub ranks: Vec<u32>,
    model: Vec<u8>,
    queries: Vec<QueryRank>,
}

impl Finished {
    /// Test `weights`, in the order of [`parameters`], which `scorer` scores with.
    ///
    /// # Errors
    /// [`TrainError::Cancelled`], [`TrainError::Checkpoint`] where they cannot be encoded.
    pub fn test<E>(
        config: &Config,
        prepared: &Prepared,
        (scorer, weights): (&Scorer<'_>, &[Matrix]),
        past: Past,
        context: &Context<E>,
    ) -> Result<Self, TrainError> {
        let ranks = evaluate::ranks(
            scorer,
            &prepared.data,
            &prepared.split.test,
            &config.evaluation,
            || context.checkpoint(),
        )?;
        let metrics = per_query(&ranks);
        let mrr = ranks.iter().map(|&rank| reciprocal_rank(rank)).sum::<f64>()
            / ranks.len().max(1) as f64;
        let now = jiff::Timestamp::now();
        let summary = RunSummary {
            run: String::new(),
            group: Some(config.ablation.group.clone()).filter(|group| !group.is_empty()),
            created: now,
            finished: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: config.model.solver.word().to_owned(),
            seed: config.training.seed as u64,
            config: config.clone(),
            data: prepared.record.clone(),
            device: past.device,
            params: parameters::count(&config.model, prepared.data.items()),
            hr10: mean_metric(&[metrics.hit]),
            ndcg10: mean_metric(&[metrics.ndcg]),
            mrr,
            valid_ndcg10: past.valid_ndcg10,
            best_epoch: past.best_epoch,
            epochs: past.epochs,
            train_loss: past.train_loss,
            train_seconds: past.seconds,
            step_halving_error: scorer.step_halving_error(&prepared.data, &prepared.split.test),
            latency: None,
            baselines: prepared.baseline_records(),
            ceiling: prepared.ceiling(context)?,
            time_scale_days: TimeWarp::learned(&config.model, weights)
                .scale()
                .filter(|_| config.model.learns_time_scale()),
            half_lives_days: prepared
                .timeline_for(&config.model)
                .filter(|_| config.model.item_dynamics.intensity())
                .map(|timeline| timeline.half_lives().to_vec()),
            origin: past.origin,
        };
        // One entry: several would be written in an order of their own each time.
        let about = serde_json::json!({
            "config": config.to_toml(),
            "fingerprint": prepared.record.fingerprint,
            "items": prepared.data.items(),
        });
        let metadata = HashMap::from([("deepm3".to_owned(), about.to_string())]);
        let named = weights.iter().map(|matrix| (matrix.name.clone(), matrix));
        let model = checkpoint::encode(named, metadata)?;
        let queries = query_ranks(prepared, &ranks);
        Ok(Self { summary, ranks, model, queries })
    }

    /// Write it all into `dir`, whose run is finished then; returns its summary and the ranks.
    ///
    /// # Errors
    /// [`TrainError::Run`] where a file cannot be written.
    pub fn write(mut self, dir: &mut RunDir) -> Result<(RunSummary, Vec<u32>), TrainError> {
        dir.id().clone_into(&mut self.summary.run);
        self.summary.created = dir.created();
        dir.write_model(&self.model)?;
        dir.write_ranks(&self.queries)?;
        dir.write_summary(&self.summary)?;
        dir.clear_checkpoint()?;
        Ok((self.summary, self.ranks))
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
