//! `deepm3 runs list | show | compare | export | merge | delete | restore`.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::arguments::{Common, RunsCommand, Usage};
use super::output;
use crate::figures;
use crate::runs::{AblationTable, RunEntry, RunState, RunStore, RunSummary, write_atomic};
use crate::settings::{Config, Value};
use crate::training::{self, adapter};

pub fn run(command: &RunsCommand, common: &Common) -> Result<()> {
    // A folder that is mistyped is not made.
    if let Some(folder) = common.runs.as_deref().filter(|folder| !folder.is_dir()) {
        return Err(Usage(format!("--runs: there is no folder {}", folder.display())).into());
    }
    let store = RunStore::open(common.runs.as_deref())?;
    match command {
        RunsCommand::List { all } => list(&store, *all, common),
        RunsCommand::Show { which } => show(&store, which, common),
        RunsCommand::Compare { which } => compare(&store, which, common),
        RunsCommand::Export { which, output } => export(&store, which, output, common),
        RunsCommand::Merge { which, adapter } => merge(&store, which, adapter, common),
        RunsCommand::Delete { which } => delete(&store, which, common),
        RunsCommand::Restore { which } => restore(&store, which, common),
    }
}

/// The state in a word, and why a run is broken.
fn state(entry: &RunEntry) -> (&'static str, Option<&str>) {
    let reason = match &entry.state {
        RunState::Broken(reason) => Some(reason.as_str()),
        _ => None,
    };
    (entry.state.word(), reason)
}

fn list(store: &RunStore, all: bool, common: &Common) -> Result<()> {
    let entries: Vec<RunEntry> =
        store.list().into_iter().filter(|entry| all || !entry.archived).collect();
    if common.json {
        let rows: Vec<_> = entries
            .iter()
            .map(|entry| {
                let summary = entry.summary.as_ref();
                let (state, reason) = state(entry);
                json!({
                    "run": entry.id, "state": state, "reason": reason, "created": entry.created,
                    "archived": entry.archived,
                    "group": entry.settings().map(|config| &config.ablation.group),
                    "model": entry.settings().map(|config| config.model.solver),
                    "seed": entry.settings().map(|config| config.training.seed),
                    "data": entry.data_name(),
                    "hr10": summary.map(|summary| summary.hr10.mean),
                    "ndcg10": summary.map(|summary| summary.ndcg10.mean),
                })
            })
            .collect();
        return output::json(&json!({ "runs": rows, "directory": store.dir() }));
    }
    if entries.is_empty() {
        println!("no runs in {}; `deepm3 ablation` makes some", store.dir().display());
        return Ok(());
    }
    println!(
        "{:<36} {:<12} {:<20} {:<16} {:>8} {:>8}",
        "run", "state", "group", "data", "HR@10", "NDCG@10"
    );
    for entry in &entries {
        let group = entry.settings().map_or("", |config| config.ablation.group.as_str());
        let (hr10, ndcg10) = match &entry.summary {
            Some(summary) => {
                (format!("{:.4}", summary.hr10.mean), format!("{:.4}", summary.ndcg10.mean))
            }
            None => Default::default(),
        };
        let data = entry.data_name().unwrap_or_default();
        let (state, reason) = state(entry);
        let line =
            format!("{:<36} {state:<12} {group:<20} {data:<16} {hr10:>8} {ndcg10:>8}", entry.id);
        println!("{}", line.trim_end());
        if let Some(reason) = reason {
            println!("    {reason}");
        }
    }
    Ok(())
}

fn show(store: &RunStore, spec: &str, common: &Common) -> Result<()> {
    let entry = store.find(spec)?;
    let (state, reason) = state(&entry);
    if common.json {
        return match &entry.summary {
            Some(summary) => {
                let mut object = serde_json::to_value(summary)?;
                (object["state"], object["reason"]) = (json!(state), json!(reason));
                output::json(&object)
            }
            None => output::json(&json!({
                "run": entry.id, "state": state, "reason": reason, "config": entry.config,
            })),
        };
    }
    println!("{} ({state})\n{}", entry.id, entry.path.display());
    if let Some(reason) = reason {
        println!("{reason}");
    }
    if let Some(origin) = entry.summary.as_ref().and_then(|summary| summary.origin.as_ref()) {
        println!("from {origin}");
    }
    if let Some(summary) = &entry.summary {
        println!(
            "\nHR@10 {:.4}, NDCG@10 {:.4}, MRR {:.4} over {} queries; epoch {} of {} kept; {:.1} s on {}",
            summary.hr10.mean,
            summary.ndcg10.mean,
            summary.mrr,
            summary.hr10.n,
            summary.best_epoch,
            summary.epochs,
            summary.train_seconds,
            summary.device
        );
    }
    if let Some(config) = entry.settings() {
        println!("\n{}", config.to_toml());
    }
    Ok(())
}

/// Finished runs named by ids, prefixes or groups, in the order given, without repetition.
pub(super) fn select(store: &RunStore, specs: &[String]) -> Result<Vec<RunSummary>> {
    let all = store.list();
    let mut chosen: Vec<RunSummary> = Vec::new();
    for spec in specs {
        // Listed newest first; a table reads in the order of the plan.
        let group: Vec<RunSummary> = all
            .iter()
            .rev()
            .filter_map(|entry| entry.summary.clone())
            .filter(|summary| summary.group.as_deref() == Some(spec.as_str()))
            .collect();
        let found = if group.is_empty() {
            let entry = store.find(spec)?;
            let id = entry.id;
            vec![entry.summary.with_context(|| format!("run {id} is not finished"))?]
        } else {
            group
        };
        for summary in found {
            if !chosen.iter().any(|known| known.run == summary.run) {
                chosen.push(summary);
            }
        }
    }
    Ok(chosen)
}

fn compare(store: &RunStore, specs: &[String], common: &Common) -> Result<()> {
    let summaries = select(store, specs)?;
    let table = AblationTable::of_stored(store, &summaries)?;
    let differences = differences(&summaries);
    if common.json {
        let rows: Vec<_> = differences
            .iter()
            .map(|(key, values)| {
                let values: Vec<_> = values.iter().map(Value::to_json).collect();
                json!({ "key": key, "values": values })
            })
            .collect();
        let runs: Vec<_> = summaries.iter().map(|summary| &summary.run).collect();
        return output::json(&json!({ "runs": runs, "table": table, "differences": rows }));
    }
    println!("{}", table.to_text());
    if !differences.is_empty() {
        println!("\nSettings that differ:");
    }
    for (key, values) in differences {
        let values: Vec<String> = values.iter().map(Value::to_string).collect();
        println!("  {key:<28} {}", values.join("  "));
    }
    Ok(())
}

/// Settings that are not the same in all runs, with the value in each.
fn differences(summaries: &[RunSummary]) -> Vec<(&'static str, Vec<Value>)> {
    Config::settings()
        .iter()
        .filter(|setting| setting.is_of_a_run())
        .filter_map(|setting| {
            let value = |summary: &RunSummary| summary.config.get(setting.key).ok();
            Some((setting.key, summaries.iter().map(value).collect::<Option<Vec<_>>>()?))
        })
        .filter(|(_, values)| values.iter().any(|value| *value != values[0]))
        .collect()
}

fn export(store: &RunStore, specs: &[String], file: &Path, common: &Common) -> Result<()> {
    let summaries = select(store, specs)?;
    let table = AblationTable::of_stored(store, &summaries)?;
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let bytes = match ending {
        "csv" => table.to_csv().into_bytes(),
        "md" => table.to_markdown().into_bytes(),
        "json" => serde_json::to_vec_pretty(&table)?,
        "svg" => figures::ablation_chart(&table, figures::Theme::Light).to_svg().into_bytes(),
        "png" => {
            figures::to_png(&figures::ablation_chart(&table, figures::Theme::Light).to_svg(), 2.0)?
        }
        other => {
            return Err(Usage(format!(
                "`{other}` is not a format; end the file in .csv, .md, .json, .svg or .png"
            ))
            .into());
        }
    };
    write_atomic(file, &bytes)
        .with_context(|| format!("{} could not be written", file.display()))?;
    if common.json {
        let runs: Vec<_> = summaries.iter().map(|summary| &summary.run).collect();
        return output::json(&json!({ "exported": runs, "file": file }));
    }
    if !common.quiet {
        note!("wrote {}", file.display());
    }
    Ok(())
}

/// A run and an adapter as a run of their own.
fn merge(store: &RunStore, spec: &str, file: &Path, common: &Common) -> Result<()> {
    let entry = store.find_with_state(spec)?;
    let base = entry.summary.with_context(|| {
        format!("run {} is not finished; `deepm3 train --resume {}`", entry.id, entry.id)
    })?;
    let bytes = adapter::read(file)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let context = output::context::<()>(common, |()| ())?;
    let merged = training::merge(store, &base, (&name, &bytes), &context)?;
    if common.json {
        return output::json(&merged);
    }
    println!(
        "run {} is {} with {name}\nNDCG@10 {:.4}, before {:.4}; HR@10 {:.4}, before {:.4}",
        merged.run,
        base.run,
        merged.ndcg10.mean,
        base.ndcg10.mean,
        merged.hr10.mean,
        base.hr10.mean
    );
    Ok(())
}

fn delete(store: &RunStore, specs: &[String], common: &Common) -> Result<()> {
    // All are found before any is deleted: a slip in one of them deletes nothing, and `latest`
    // means what it meant when it was written.
    let mut ids: Vec<String> = Vec::new();
    for spec in specs {
        let id = store.find(spec)?.id;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    for id in &ids {
        store.delete(id)?;
        if !common.quiet && !common.json {
            note!("deleted {id}; `deepm3 runs restore {id}` brings it back");
        }
    }
    if common.json { output::json(&json!({ "deleted": ids })) } else { Ok(()) }
}

fn restore(store: &RunStore, ids: &[String], common: &Common) -> Result<()> {
    for id in ids {
        store.restore(id)?;
        if !common.quiet && !common.json {
            note!("restored {id}");
        }
    }
    if common.json { output::json(&json!({ "restored": ids })) } else { Ok(()) }
}
