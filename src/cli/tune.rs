//! `deepm3 tune`.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::arguments::{Common, TuneOptions, Usage};
use super::output;
use crate::experiments::{Event, Experiment, ExperimentResult, Inputs, perform};
use crate::runs::{RunStore, metric_text, write_atomic};
use crate::settings::{Config, Space, preset_for};
use crate::training::tuning::{Search, Trial};

pub fn tune(options: &TuneOptions, common: &Common) -> Result<()> {
    let store = RunStore::open(common.runs.as_deref())?;
    let config = match &options.resume {
        Some(group) => {
            let search = Search::load(&store, group).map_err(|error| Usage(error.to_string()))?;
            let mut config = search.config;
            options.config.data.apply(&mut config)?;
            config
        }
        None => config_of(options)?,
    };
    // Before hours of search, not after them.
    if let Some(path) = &options.save {
        output::check_folder("--save", path)?;
    }
    let group = config.ablation.group.clone();
    let quiet = common.quiet;
    if !quiet {
        note!("search {group}");
    }
    let context = output::context::<Event>(common, move |event| match event {
        Event::Message(text) if !quiet => note!("{text}"),
        _ => {}
    })?;
    let device = common.device.clone();
    let inputs = Inputs { store: store.clone(), run: None, config, device };
    let result = perform(Experiment::Tuning, &inputs, &context).map_err(|error| {
        if error.is_cancelled() {
            anyhow::anyhow!("stopped; `deepm3 tune --resume {group}` goes on")
        } else {
            error.into()
        }
    })?;
    let search = Search::load(&store, &group)?;
    let best = search.best_trial().context("the search has no best trial")?;
    let preset = search.preset_of(best)?.to_toml();
    if let Some(path) = &options.save {
        write_atomic(path, preset.as_bytes())
            .with_context(|| format!("{} could not be written", path.display()))?;
        if !quiet {
            note!("written to {}", path.display());
        }
    }
    if common.json {
        return output::json(&object(&search, best, &preset, &result));
    }
    println!("{}\n\n{}", result.findings.headline, table(&search)?);
    println!("method: {}\nlimits: {}", result.findings.method, result.findings.limits);
    println!("{}", result.provenance());
    Ok(())
}

/// The config of the options, with a name of its own for the search.
fn config_of(options: &TuneOptions) -> Result<Config> {
    let mut config = options.config.config(match preset_for(options.config.source()) {
        "drift" => "experiment-tuning",
        fits => fits,
    })?;
    config.set_given(&[
        ("tuning.space", options.space.clone()),
        ("tuning.trials", options.trials.map(|trials| trials.to_string())),
        ("tuning.method", options.method.clone()),
    ])?;
    Space::parse(&config.tuning.space).map_err(|error| Usage(error.to_string()))?;
    if config.ablation.group.is_empty() {
        config.ablation.group = Search::fresh_group();
    }
    Ok(config)
}

fn object(
    search: &Search,
    best: &Trial,
    preset: &str,
    result: &ExperimentResult,
) -> serde_json::Value {
    let tested = search.tested.as_ref();
    json!({
        "group": search.group, "method": search.config.tuning.method, "metric": "valid_ndcg10",
        "space": search.config.tuning.space, "seed": search.config.tuning.seed,
        "rungs": search.rungs, "trials": search.trials,
        "best": {
            "trial": best.trial, "run": best.run, "values": best.values, "epochs": best.epochs,
            "valid_hr10": best.valid_hr10, "valid_ndcg10": best.valid_ndcg10,
            "test_hr10": tested.map(|tested| tested.hr10.mean),
            "test_hr10_ci95": tested.and_then(|tested| tested.hr10.ci95),
            "test_ndcg10": tested.map(|tested| tested.ndcg10.mean),
            "test_ndcg10_ci95": tested.and_then(|tested| tested.ndcg10.ci95),
            "n": tested.map(|tested| tested.ndcg10.n),
            "preset": preset,
        },
        "experiment": result.id, "data": result.data, "device": result.device,
        "seconds": result.seconds,
    })
}

/// Every trial, those that got furthest first, in aligned columns.
fn table(search: &Search) -> Result<String> {
    let space = Space::parse(&search.config.tuning.space)?;
    let keys: Vec<&str> = space.axes.iter().map(|axis| axis.setting.key).collect();
    let mut titles = vec!["trial".to_owned()];
    let short = |key: &&str| key.split_once('.').map_or(*key, |(_, name)| name).to_owned();
    titles.extend(keys.iter().map(short));
    titles.extend(["epochs", "HR@10", "NDCG@10", "seconds", "status"].map(str::to_owned));
    let mut trials: Vec<&Trial> = search.trials.iter().collect();
    trials.sort_by(|a, b| {
        let score = |trial: &Trial| trial.valid_ndcg10.unwrap_or(f64::NEG_INFINITY);
        b.rungs.cmp(&a.rungs).then(score(b).total_cmp(&score(a)))
    });
    let metric = |value: Option<f64>| value.map_or("–".to_owned(), |v| metric_text(v, None));
    let rows = trials.into_iter().map(|trial| {
        let mut cells = vec![trial.trial.to_string()];
        let value = |key: &&str| trial.values.get(*key).map_or(String::new(), |v| v.to_string());
        cells.extend(keys.iter().map(value));
        cells.extend([
            trial.epochs.to_string(),
            metric(trial.valid_hr10),
            metric(trial.valid_ndcg10),
            format!("{:.1}", trial.seconds),
            trial.status.word().to_owned(),
        ]);
        cells
    });
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let text = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}"));
        cells.collect::<Vec<_>>().join("  ") + "\n"
    });
    Ok(text.collect())
}
