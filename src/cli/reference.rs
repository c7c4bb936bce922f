//! `deepm3 evaluate --reference`: a run's steps against adaptive ones.

use anyhow::{Result, ensure};
use serde_json::json;

use super::arguments::{Common, EvaluateOptions, Usage};
use super::output;
use crate::dynamics::device;
use crate::dynamics::tsit5::Tolerance;
use crate::evaluation::mean_metric;
use crate::jobs::Context;
use crate::runs::{RunStore, RunSummary, model_title};
use crate::settings::Config;
use crate::training::evaluate::per_query;
use crate::training::{Prepared, checkpoint, reference};

/// Judge the run in every way, and print the ways side by side.
pub fn print(
    (store, summary, config, prepared): (&RunStore, &RunSummary, &Config, &Prepared),
    options: &EvaluateOptions,
    common: &Common,
    context: &Context<()>,
) -> Result<()> {
    let size = options.tolerance;
    ensure!(
        (1e-12..=0.1).contains(&size),
        Usage(format!("--tolerance {size} is none; write a number from 1e-12 to 0.1"))
    );
    let weights = checkpoint::weights_of(store, summary, prepared)?;
    context.progress(None, "Integrating to a tolerance");
    let control = context.control();
    let ways = reference::compare(
        config,
        &weights,
        &prepared.data,
        &prepared.split.test,
        Tolerance { relative: size, absolute: size },
        device::cores(),
        || control.checkpoint(),
    )?;
    let mut rows = Vec::new();
    for way in &ways {
        let metrics = per_query(&way.ranks);
        let (hr10, ndcg10) = (mean_metric(&[metrics.hit]), mean_metric(&[metrics.ndcg]));
        let word = way.solver.map_or("tsit5", |solver| solver.word());
        if !common.json {
            if rows.is_empty() {
                println!(
                    "{}: n = {}, tolerance {size:e}\n\n{:<8} {:>8} {:>8}  {:>22}  {:>17}",
                    summary.run,
                    way.ranks.len(),
                    "Solver",
                    "HR@10",
                    "NDCG@10",
                    "Largest score error",
                    "Evaluations a gap"
                );
            }
            println!(
                "{:<8} {:>8.4} {:>8.4}  {:>22.2e}  {:>17.2}",
                model_title(word),
                hr10.mean,
                ndcg10.mean,
                way.largest_difference,
                way.evaluations_a_gap
            );
        }
        rows.push(json!({
            "solver": word, "hr10": hr10.mean, "ndcg10": ndcg10.mean,
            "largest_score_difference": way.largest_difference,
            "evaluations_a_gap": way.evaluations_a_gap, "rejected_steps": way.rejected,
        }));
    }
    if common.json {
        return output::json(&json!({
            "run": summary.run, "model": summary.model, "protocol": prepared.split.protocol,
            "n": prepared.split.test.len(), "tolerance": size, "rows": rows,
        }));
    }
    Ok(())
}
