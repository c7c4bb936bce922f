//! `deepm3 route`: what a router setting does to the held-out requests of a run.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{config_of, run_of};
use crate::cli::arguments::{Common, RouteOptions};
use crate::cli::output;
use crate::evaluation::Estimate;
use crate::runs::metric_text;
use crate::serving::ServedModel;
use crate::serving::replay::Replay;
use crate::training::TrainEvent;

pub fn route(options: &RouteOptions, common: &Common) -> Result<()> {
    let context = output::context::<TrainEvent>(common, |_| ())?;
    let (store, entry) = run_of(&options.run, common, &context)?;
    let mut config = config_of(&options.run, &entry)?;
    let text = |value: Option<f64>| value.map(|value| value.to_string());
    config.set_given(&[
        ("router.entropy", text(options.entropy)),
        ("router.conflict", text(options.conflict)),
        ("router.rate", text(options.rate)),
        ("router.capacity", text(options.capacity)),
        ("router.share", text(options.share)),
        ("router.cost_per_hour", text(options.cost_per_hour)),
        ("traffic.rate", text(options.traffic)),
    ])?;
    let model = ServedModel::load(&store, &entry, &context)?;
    let replay = Replay::run(&model, &config, &context)?;
    let at = replay
        .operating(&config.router, config.traffic.rate)
        .context("the run has no held-out requests")?;
    let frontier = replay.frontier();
    if common.json {
        let counts = |pairs: Vec<(&'static str, usize)>| -> serde_json::Value {
            pairs.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect()
        };
        return output::json(&json!({
            "run": replay.run, "settings": config.router, "operating": at,
            "reasons": counts(at.reasons.iter().map(|(r, n)| (r.as_str(), *n)).collect()),
            "denied_by": counts(at.denied_by.iter().map(|(l, n)| (l.as_str(), *n)).collect()),
            "temperature": model.temperature, "calibration_before": replay.before,
            "calibration_after": replay.after, "apgr": frontier.apgr, "cpt50": frontier.cpt50,
            "cpt80": frontier.cpt80, "reasoner": "mock", "simulated": true,
        }));
    }
    println!(
        "{} held-out requests of {}, at {} requests/s; T = {:.2}, ECE {:.3} → {:.3}",
        at.requests, replay.run, at.rate, replay.temperature, replay.before.ece, replay.after.ece
    );
    if !replay.has_conflict {
        println!("conflict is not available: the data has no genres");
    }
    println!("uncertain          {:>6.1} %", 100.0 * at.uncertain);
    println!("escalated          {:>6.1} %", 100.0 * at.escalated);
    println!("denied by budget   {:>6.1} %", 100.0 * at.denied);
    for (limit, count) in at.denied_by.iter().filter(|(_, count)| *count > 0) {
        println!("  by {:<14} {count:>6}", limit.as_str());
    }
    let text = |estimate: Estimate| metric_text(estimate.mean, estimate.ci95);
    println!("\n                  HR@10               NDCG@10");
    for (name, quality) in [
        ("System 1 only", &at.system1),
        ("this router", &at.quality),
        ("System 2 only", &at.system2),
    ] {
        println!("{name:<16}  {:<18}  {}", text(quality.hr10), text(quality.ndcg10));
    }
    println!("gain in NDCG@10   {}", text(at.gain));
    println!(
        "\nlatency           mean {:.2} ms, p95 {:.2} ms (System 2's part is simulated)",
        at.mean_latency_ms, at.p95_latency_ms
    );
    println!("cost              ${:.3} per 1,000 requests (estimated tokens)", at.cost_per_1000);
    let or_not = |value: Option<f64>, text: fn(f64) -> String| {
        value.map_or("n/a (System 2 is not better)".to_owned(), text)
    };
    println!("APGR              {}", or_not(frontier.apgr, |v| format!("{v:.3}")));
    println!(
        "CPT(50 %)         {}",
        or_not(frontier.cpt50, |v| format!("{:.1} % of calls", 100.0 * v))
    );
    println!(
        "CPT(80 %)         {}",
        or_not(frontier.cpt80, |v| format!("{:.1} % of calls", 100.0 * v))
    );
    println!("\nSystem 2 is the mock: its ranking is real, its latency and tokens are simulated.");
    Ok(())
}
