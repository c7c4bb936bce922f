//! `deepm3 train | ablation | evaluate`.

use std::sync::PoisonError;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::arguments::{AblationOptions, Common, EvaluateOptions, TrainOptions, Usage};
use super::output;
use super::watch::{Ended, Failure, events};
use crate::dynamics::device;
use crate::evaluation::mean_metric;
use crate::jobs::{Cancelled, Context};
use crate::runs::{
    AblationTable, LatencyRecord, RunEntry, RunState, RunStore, RunSummary, latency_text,
};
use crate::settings::{Config, Protocol, preset_for};
use crate::training::evaluate::{self as evaluation, per_query};
use crate::training::scorer::Scorer;
use crate::training::tuning::Search;
use crate::training::{
    Left, Plan, Prepared, RunKey, TrainError, ablation, checkpoint, resume, resume_together,
};

/// The config of the options, on top of the preset that fits where none is named: the built-in
/// set's own, DeepM3's for its protocol, the field's for anybody else's data.
fn config_of(options: &super::arguments::ConfigOptions) -> Result<Config> {
    let readme = options.protocol.as_deref() == Some(Protocol::Readme.word());
    options.config(if readme { "readme-ablation" } else { preset_for(options.source()) })
}

pub fn train(options: &TrainOptions, common: &Common) -> Result<()> {
    if let Some(spec) = &options.resume {
        return resume_one(spec, options, common);
    }
    let mut config = config_of(&options.config)?;
    config.set_given(&[("model.solver", options.model.clone())])?;
    config.ablation.models = config.model.solver.word().to_owned();
    config.ablation.seeds = 1;
    let (_, summaries, _) = run_plan(&config, common)?;
    let summary = summaries.first().context("the training left no summary")?;
    print_training(summary, common)
}

pub fn ablation(options: &AblationOptions, common: &Common) -> Result<()> {
    if let Some(group) = &options.resume {
        return resume_group(group, options, common);
    }
    let mut config = config_of(&options.config)?;
    config.set_given(&[
        ("ablation.models", options.models.clone()),
        ("ablation.seeds", options.seeds.map(|seeds| seeds.to_string())),
    ])?;
    let (table, summaries, failed) = run_plan(&config, common)?;
    if common.json {
        let mut object = serde_json::to_value(&table)?;
        object["failed"] = json!(failed);
        output::json(&object)?;
    } else {
        println!("{}", table.to_text());
    }
    if !failed.is_empty() {
        let all = summaries.len() + failed.len();
        bail!("{} of {all} trainings failed and are not in the table", failed.len());
    }
    Ok(())
}

/// Load, train, and return the table, the runs' summaries in the order of the plan, and what failed.
fn run_plan(
    config: &Config,
    common: &Common,
) -> Result<(AblationTable, Vec<RunSummary>, Vec<Failure>)> {
    let plan = Plan::from_config(config, common.device.clone())
        .map_err(|error| Usage(error.to_string()))?;
    let store = RunStore::open(common.runs.as_deref())?;
    let ended = Ended::default();
    let context = events(common, plan.keys(), ended.clone())?;
    let prepared = Prepared::load(config, &context)?;
    if !common.quiet {
        let record = &prepared.record;
        note!(
            "{}: {} users, {} items, {} events; {} test queries",
            record.name,
            record.users,
            record.items,
            record.events,
            prepared.split.test.len()
        );
        for line in prepared.data.report.lines() {
            note!("{line}");
        }
    }
    let table = ablation::run(&plan, &prepared, &store, &context)
        .map_err(|error| stopped(error, (plan.keys().len() > 1).then_some(&plan.group)))?;
    let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((table, ended.finished.values().cloned().collect(), ended.failed.clone()))
}

/// What to say when a training was stopped, alone or with others of its `group`.
fn stopped(error: TrainError, group: Option<&String>) -> anyhow::Error {
    match error {
        TrainError::Cancelled(_) => match group {
            Some(group) => anyhow::anyhow!("stopped; `deepm3 ablation --resume {group}` goes on"),
            None => anyhow::anyhow!(
                "stopped; `deepm3 runs list` shows the interrupted runs and `deepm3 train --resume RUN` \
                 goes on"
            ),
        },
        error => error.into(),
    }
}

/// Medians and p95 in milliseconds, as in the ablation table.
fn latency_json(latency: LatencyRecord) -> serde_json::Value {
    json!({
        "batch64": latency.batch64.median_ms, "batch64_p95": latency.batch64.p95_ms,
        "batch64_n": latency.batch64.n, "single": latency.single.median_ms,
        "single_p95": latency.single.p95_ms, "single_n": latency.single.n,
        "device": latency.device,
    })
}

fn print_training(summary: &RunSummary, common: &Common) -> Result<()> {
    if common.json {
        let latency = summary.latency.clone().map(latency_json);
        return output::json(&json!({
            "run": summary.run, "model": summary.model, "seed": summary.seed,
            "hr10": summary.hr10.mean, "hr10_ci95": summary.hr10.ci95,
            "ndcg10": summary.ndcg10.mean, "ndcg10_ci95": summary.ndcg10.ci95,
            "mrr": summary.mrr, "n": summary.hr10.n, "epochs": summary.epochs,
            "best_epoch": summary.best_epoch, "valid_ndcg10": summary.valid_ndcg10,
            "train_loss": summary.train_loss, "train_seconds": summary.train_seconds,
            "step_halving_error": summary.step_halving_error, "params": summary.params,
            "device": summary.device, "latency_ms": latency, "data": summary.data,
            "baselines": summary.baselines, "half_lives_days": summary.half_lives_days,
            "time_scale_days": summary.time_scale_days,
        }));
    }
    println!("run            {}", summary.run);
    println!("model          {}, {} parameters", summary.model, summary.params);
    let estimate = |e: &crate::evaluation::Estimate| {
        e.half_width().map_or(format!("{:.4}", e.mean), |half| format!("{:.4} ± {half:.4}", e.mean))
    };
    println!("HR@10          {} (n = {})", estimate(&summary.hr10), summary.hr10.n);
    println!("NDCG@10        {}", estimate(&summary.ndcg10));
    for baseline in &summary.baselines {
        println!(
            "{:<14} HR@10 {}, NDCG@10 {}",
            baseline.name,
            estimate(&baseline.hr10),
            estimate(&baseline.ndcg10)
        );
    }
    println!(
        "trained        {} epochs (kept: {}) in {:.1} s on {}",
        summary.epochs, summary.best_epoch, summary.train_seconds, summary.device
    );
    if let Some(days) = summary.time_scale_days {
        println!("time scale     {days:.3} days (κ of the log1p warp, learned)");
    }
    if let Some(days) = &summary.half_lives_days {
        let days: Vec<_> = days.iter().map(|days| format!("{days:.2}")).collect();
        println!("half-lives     {} days (item intensities, learned)", days.join(", "));
    }
    if let Some(latency) = &summary.latency {
        println!(
            "latency        batch of 64: median {} ms, p95 {} ms; one request: median {} ms, p95 {} ms",
            latency_text(latency.batch64.median_ms),
            latency_text(latency.batch64.p95_ms),
            latency_text(latency.single.median_ms),
            latency_text(latency.single.p95_ms)
        );
    }
    Ok(())
}

fn resume_one(spec: &str, options: &TrainOptions, common: &Common) -> Result<()> {
    let store = RunStore::open(common.runs.as_deref())?;
    let entry = if spec == "latest" {
        let interrupted =
            |entry: &RunEntry| entry.state == RunState::Interrupted && !entry.archived;
        store
            .list()
            .into_iter()
            .find(interrupted)
            .context("no run is interrupted; `deepm3 runs list` shows them all")?
    } else {
        store.find(spec)?
    };
    if entry.state == RunState::Done {
        return Err(
            Usage(format!("run {} is finished; there is nothing to resume", entry.id)).into()
        );
    }
    let dir = store.open_run(&entry.id)?;
    let mut config = dir.read_config()?;
    options.config.data.apply(&mut config)?;
    let context = events(common, vec![RunKey::of(0, &config)], Ended::default())?;
    let prepared = Prepared::load(&config, &context)?;
    let summary = resume(dir, &config, &prepared, &common.device, &context)
        .map_err(|error| stopped(error, None))?;
    print_training(&summary, common)
}

/// Finish what is left of an ablation, measure the latency of runs that have none yet, and print
/// the table of all of them.
fn resume_group(group: &str, options: &AblationOptions, common: &Common) -> Result<()> {
    let store = RunStore::open(common.runs.as_deref())?;
    let mut all = store.list();
    all.reverse();
    let group_of = |entry: &RunEntry| entry.settings().map(|c| c.ablation.group.clone());
    let group = if group == "latest" {
        let unfinished = |entry: &&RunEntry| {
            Left::of(entry).is_some()
                && !entry.archived
                && !entry.is_of_an_experiment()
                && group_of(entry).is_none_or(|group| !Search::exists(&store, &group))
        };
        all.iter().rev().find(unfinished).and_then(group_of).context("no run is interrupted")?
    } else {
        group.to_owned()
    };
    if Search::exists(&store, &group) {
        bail!("`{group}` is a search; `deepm3 tune --resume {group}` goes on with it");
    }
    all.retain(|entry| group_of(entry).as_deref() == Some(group.as_str()));
    if all.is_empty() {
        bail!("no run is of group `{group}`; `deepm3 runs list` shows them");
    }
    let mut left: Vec<Left> = all.iter().filter_map(Left::of).collect();
    for run in &mut left {
        options.config.data.apply(&mut run.config)?;
    }
    let begun = left.iter().filter(|left| !left.trained);
    let keys = begun.enumerate().map(|(index, Left { config, .. })| RunKey::of(index, config));
    let context = events(common, keys.collect(), Ended::default())?;
    resume_together(&store, &left, None, &common.device, &context)
        .map_err(|error| stopped(error, Some(&group)))?;
    let summaries = super::runs::select(&store, &[group])?;
    let table = AblationTable::of_stored(&store, &summaries)?;
    if common.json {
        return output::json(&table);
    }
    println!("{}", table.to_text());
    Ok(())
}

/// Rank the test queries with a run's stored weights, and time its answers.
fn judge<E>(
    store: &RunStore,
    config: &Config,
    summary: &RunSummary,
    prepared: &Prepared,
    context: &Context<E>,
) -> Result<(Vec<u32>, Option<LatencyRecord>)> {
    let weights = checkpoint::weights_of(store, summary, prepared)?;
    let (data, split) = (&prepared.data, &prepared.split);
    let scorer = Scorer::of(prepared, &config.model, &weights, device::cores());
    let go_on = || -> Result<(), Cancelled> { context.checkpoint() };
    let ranks = evaluation::ranks(&scorer, data, &split.test, &config.evaluation, go_on)?;
    let latency = evaluation::latency(&scorer, data, &split.test);
    Ok((ranks, latency))
}

pub fn evaluate(options: &EvaluateOptions, common: &Common) -> Result<()> {
    let store = RunStore::open(common.runs.as_deref())?;
    let entry = store.find(&options.run)?;
    let summary = entry.summary.with_context(|| {
        format!("run {} is not finished; `deepm3 train --resume {}`", entry.id, entry.id)
    })?;
    let mut config = summary.config.clone();
    if let Some(data) = &options.data {
        config.data.source.clone_from(data);
    }
    let context = output::context::<()>(common, |()| ())?;
    let prepared = Prepared::load(&config, &context)?;
    if options.reference {
        return super::reference::print(
            (&store, &summary, &config, &prepared),
            options,
            common,
            &context,
        );
    }
    let (ranks, latency) = judge(&store, &config, &summary, &prepared, &context)?;
    let metrics = per_query(&ranks);
    let (hr10, ndcg10) = (mean_metric(&[metrics.hit]), mean_metric(&[metrics.ndcg]));
    if common.json {
        return output::json(&json!({
            "run": summary.run, "model": summary.model, "protocol": prepared.split.protocol,
            "n": ranks.len(), "hr10": hr10.mean, "hr10_ci95": hr10.ci95, "ndcg10": ndcg10.mean,
            "ndcg10_ci95": ndcg10.ci95, "device": device::cpu().label(),
            "latency_ms": latency.map(latency_json),
            "as_trained": summary.hr10.mean == hr10.mean && summary.ndcg10.mean == ndcg10.mean,
        }));
    }
    println!(
        "{}: HR@10 {:.4}, NDCG@10 {:.4}, n = {}",
        summary.run,
        hr10.mean,
        ndcg10.mean,
        ranks.len()
    );
    Ok(())
}
