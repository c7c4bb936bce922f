//! `deepm3 bench scale`: what a training step costs as histories, batches and catalogues grow.

use std::time::Instant;

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::arguments::{BenchOptions, Common};
use super::output;
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::{Fused, FusedAdam, Negatives, SparseGradients, Update};
use crate::dynamics::parameters;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, ModelSettings, Solver, Targets};

const DAY_MS: i64 = 86_400_000;
/// Items drawn a step.
const DRAWN: usize = 1024;
/// Rows B, events L and items N: each grows alone, and then all are large.
const SIZES: [[usize; 3]; 9] = [
    [64, 25, 10_000],
    [64, 50, 10_000],
    [64, 100, 10_000],
    [64, 200, 10_000],
    [256, 50, 10_000],
    [1024, 50, 10_000],
    [64, 50, 100_000],
    [64, 50, 1_000_000],
    [1024, 200, 1_000_000],
];

pub fn scale(options: &BenchOptions, common: &Common) -> Result<()> {
    let context = output::context::<()>(common, |()| ())?;
    let mut rows = Vec::new();
    for (place, [batch, length, items]) in SIZES.into_iter().enumerate() {
        context.checkpoint()?;
        let done = place as f32 / SIZES.len() as f32;
        context.progress(Some(done), format!("B {batch}, L {length}, N {items}"));
        let (step_ms, mib) = measure(batch, length, items, (options.repeats as usize).min(5));
        let event_us = step_ms * 1e3 / (batch * length) as f64;
        rows.push(json!({
            "batch": batch, "length": length, "items": items,
            "step_ms": step_ms, "event_us": event_us, "memory_mib": mib,
        }));
        if !common.json {
            if place == 0 {
                println!("RK4, H 128, tied head, loss at every event, {DRAWN} items drawn a step");
                println!("    B    L         N    step, ms   an event, µs   memory, MiB");
            }
            println!(
                "{batch:>5} {length:>4} {items:>9} {step_ms:>11.1} {event_us:>14.2} {mib:>13.0}"
            );
        }
    }
    if common.json {
        output::json(&json!({ "model": "rk4", "hidden": 128, "drawn": DRAWN, "rows": rows }))?;
    }
    Ok(())
}

/// Median time of a step in milliseconds, and the memory of this process then, in MiB.
fn measure(rows: usize, length: usize, items: usize, repeats: usize) -> (f64, f64) {
    let model = ModelSettings {
        solver: Solver::Rk4,
        head: Head::Tied,
        targets: Targets::All,
        ..Default::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut batch = Batch::empty(rows, length);
    for row in 0..rows {
        let history: Vec<u32> = (0..length).map(|_| rng.random_range(0..items as u32)).collect();
        let mut times: Vec<i64> = (0..=length).map(|_| rng.random_range(0..90 * DAY_MS)).collect();
        times.sort_unstable();
        let next = Some(rng.random_range(0..items as u32));
        batch.put(row, &history, &times[..length], times[length], next, TimeWarp::LINEAR);
    }
    let mut weights: Vec<Vec<f32>> =
        parameters::initial(&model, items, 1).into_iter().map(|one| one.values).collect();
    let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
    let (mut fused, mut adam) = (Fused::new(&model, items, 0), FusedAdam::new(&sizes));
    let mut gradients = SparseGradients::default();
    let how = Update { learning_rate: 1e-3, weight_decay: 0.0, clip_norm: 1.0 };
    let mut step = || {
        let mut drawn: Vec<u32> = (0..DRAWN).map(|_| rng.random_range(0..items as u32)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        let log_expected = vec![(DRAWN as f32 / items as f32).min(1.0).ln(); drawn.len()];
        let negatives = Negatives { items: drawn, log_expected };
        let begun = Instant::now();
        fused.loss_and_sparse_gradients(&weights, &batch, None, &negatives, &mut gradients);
        adam.step_sparse(&mut weights, &gradients, how, 0);
        begun.elapsed().as_secs_f64() * 1e3
    };
    step();
    let mut took: Vec<f64> = (0..repeats).map(|_| step()).collect();
    took.sort_unstable_by(f64::total_cmp);
    (took[took.len() / 2], memory_mib())
}

/// Resident memory of this process; 0 where the system does not tell.
fn memory_mib() -> f64 {
    let Ok(own) = sysinfo::get_current_pid() else { return 0.0 };
    let Ok(mut system) = sysinfo::System::new() else { return 0.0 };
    let refresh = sysinfo::ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(sysinfo::ProcessesToUpdate::Some(&[own]), false, refresh);
    system.process(own).map_or(0.0, |process| process.memory() as f64 / f64::from(1 << 20))
}
