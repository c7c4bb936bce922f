//! `deepm3 bench`: medians of a training step and of the forward pass at DeepM3's size.

use std::time::Instant;

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::arguments::{BenchOptions, BenchWhat, Common, Usage};
use super::output;
use crate::dynamics::batch::Batch;
use crate::dynamics::device;
use crate::dynamics::flow;
use crate::dynamics::fused::{Fused, FusedAdam, pool, sgemm_gflops};
use crate::dynamics::gpu::OnGpu;
use crate::dynamics::model::System1;
use crate::dynamics::packed::{PackedSystem1, Step, Workspace};
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::solver::stages;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{ModelSettings, Solver, Targets};
use crate::training::adam::{Adam, Update};

/// DeepM3's size: 3,707 items, histories of 19 events.
const ITEMS: usize = 3707;
const LENGTH: usize = 19;
const ROWS: usize = 64;
/// Steps that a GPU is given before it is waited for, as in training.
const QUEUED: usize = 20;
const DAY_MS: i64 = 86_400_000;
const HOW: Update = Update { learning_rate: 1e-3, weight_decay: 0.0, clip_norm: 1.0 };

pub fn bench(options: &BenchOptions, common: &Common) -> Result<()> {
    if options.what == BenchWhat::Scale {
        return super::scale::scale(options, common);
    }
    if let Some(other) = options.solvers.iter().find(|solver| solver.is_attention()) {
        let title = other.title();
        let message = format!("{title} has no state that a step could be timed with; leave it out");
        return Err(Usage(message).into());
    }
    let context = output::context::<()>(common, |()| ())?;
    let info = device::choose(&common.device)?;
    let (batch, repeats) = (batch(options.batch.into()), options.repeats as usize);
    let mut rows = Vec::new();
    let asked = |solver: &&Solver| options.solvers.is_empty() || options.solvers.contains(solver);
    for &solver in Solver::WITH_STATE.iter().filter(asked) {
        context.checkpoint()?;
        let model = ModelSettings { solver, targets: Targets::Last, ..Default::default() };
        let weights = parameters::initial(&model, ITEMS, 1);
        let step = match options.what {
            BenchWhat::Step if info.is_cpu() => Some(on_cpu(&model, &weights, &batch, repeats)),
            BenchWhat::Step if !solver.on_gpus() => None,
            BenchWhat::Step => Some(on_device(&model, &weights, &batch, &info.open()?, repeats)?),
            BenchWhat::Request | BenchWhat::Scale => None,
        };
        let packed = PackedSystem1::new(&model, ITEMS, &weights);
        let [many, one] = [ROWS, 1].map(|rows| forward(&packed, rows, repeats));
        rows.push((solver, step, many, one));
    }
    // Beside the steps, so that both saw the same machine.
    let ceiling = (info.is_cpu() && options.what == BenchWhat::Step).then(|| sgemm_gflops(0));
    if common.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(solver, step, many, one)| {
                let step = step.as_ref();
                json!({
                    "model": solver, "step_ms": step.map(|step| step.ms),
                    "kernels": step.map(|step| step.kernels),
                    "launches": step.and_then(|step| step.launches),
                    "forward_ms": many, "single_ms": one,
                })
            })
            .collect();
        return output::json(&json!({
            "device": info.label(), "batch": batch.rows, "length": LENGTH, "hidden": 128,
            "items": ITEMS, "repeats": options.repeats, "sgemm_gflops": ceiling, "rows": rows,
        }));
    }
    println!(
        "{}: B {}, L {LENGTH}, H 128, N {ITEMS}; medians of {}",
        info.label(),
        batch.rows,
        options.repeats
    );
    println!("model   step, ms   forward of {ROWS}, ms   of one, ms");
    for (solver, step, many, one) in &rows {
        let step = step.as_ref().map_or("–".to_owned(), |step| format!("{:.2}", step.ms));
        println!("{:<6} {step:>9} {many:>19.2} {one:>12.3}", solver.title());
    }
    for (solver, step, ..) in rows {
        let Some(Measured { ms, kernels, launches }) = step else {
            if options.what == BenchWhat::Step {
                println!("{}: trains on the CPU, whatever the device", solver.title());
            }
            continue;
        };
        let launches = launches.map_or(String::new(), |count| format!(", {count} launches"));
        let share = ceiling.map_or(String::new(), |ceiling| {
            let reached = step_gflop(solver, batch.rows) / (ms / 1e3) / ceiling;
            format!(
                ", {:.0} % of {ceiling:.0} GFLOP/s (large products, all cores)",
                100.0 * reached
            )
        });
        println!("{}: a step in {kernels}{launches}{share}", solver.title());
    }
    println!("forward passes are those of serving, on the CPU: 64 on all cores, one on one");
    Ok(())
}

/// Multiplications and additions of a training step in its matrix products, in units of 10⁹: going
/// back takes twice what going forward does.
fn step_gflop(solver: Solver, rows: usize) -> f64 {
    let (rows, length, items, hidden) = (rows as f64, LENGTH as f64, ITEMS as f64, 128.0f64);
    let gates = 12.0 * hidden * hidden * length;
    let matrices = flow::weights(solver).iter().filter(|weight| weight.inputs.is_some());
    let flow: f64 = matrices.map(|m| m.shape(128).iter().product::<usize>() as f64).sum();
    let field = 2.0 * flow * (length - 1.0) * stages(solver).len() as f64;
    3.0 * rows * (gates + field + 2.0 * hidden * items) / 1e9
}

/// A training step.
struct Measured {
    ms: f64,
    /// What it ran in.
    kernels: &'static str,
    /// Where they are counted.
    launches: Option<usize>,
}

fn batch(rows: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut batch = Batch::empty(rows, LENGTH);
    for row in 0..rows {
        let items: Vec<u32> = (0..LENGTH).map(|_| rng.random_range(0..ITEMS as u32)).collect();
        let mut times: Vec<i64> = (0..=LENGTH).map(|_| rng.random_range(0..90 * DAY_MS)).collect();
        times.sort_unstable();
        let next = rng.random_range(0..ITEMS as u32);
        batch.put(row, &items, &times[..LENGTH], times[LENGTH], Some(next), TimeWarp::LINEAR);
    }
    batch.only_last_target();
    batch
}

/// Median time of `work` in milliseconds, after a warm-up.
fn median(repeats: usize, mut work: impl FnMut()) -> f64 {
    (0..3).for_each(|_| work());
    let mut took: Vec<f64> = (0..repeats.max(1))
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_unstable_by(f64::total_cmp);
    took[took.len() / 2]
}

/// One step in the kernels of the CPU.
fn on_cpu(model: &ModelSettings, weights: &[Matrix], batch: &Batch, repeats: usize) -> Measured {
    let mut weights: Vec<Vec<f32>> = weights.iter().map(|one| one.values.clone()).collect();
    let mut gradients: Vec<Vec<f32>> = weights.iter().map(|one| vec![0.0; one.len()]).collect();
    let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
    let (mut fused, mut adam) = (Fused::new(model, ITEMS, 0), FusedAdam::new(&sizes));
    let ms = pool::inside(0, || {
        median(repeats, || {
            fused.loss_and_gradients(&weights, batch, None, &mut gradients);
            adam.step(&mut weights, &gradients, HOW, 0);
        })
    });
    Measured { ms, kernels: "kernels for the CPU", launches: None }
}

/// One step of [`QUEUED`] in the kernels for GPUs, or one in tensors where the device cannot run
/// them.
fn on_device(
    model: &ModelSettings,
    weights: &[Matrix],
    batch: &Batch,
    device: &Device,
    repeats: usize,
) -> Result<Measured> {
    let mut gpu = match OnGpu::new(device, model, ITEMS, weights, None) {
        Ok(gpu) => gpu,
        Err(unfit) => {
            note!("plain tensors, since the device cannot run the kernels for GPUs: {unfit}");
            let ms = in_tensors(model, weights, batch, device, repeats);
            return Ok(Measured { ms, kernels: "plain tensors", launches: None });
        }
    };
    let mut read = Ok(Vec::new());
    let ms = median(repeats, || {
        let steps = (0..QUEUED).map(|_| gpu.step(batch, None, HOW)).collect();
        // Reading the norms waits for the device.
        read = gpu.read(steps);
    }) / QUEUED as f64;
    read?;
    Ok(Measured { ms, kernels: "kernels for GPUs", launches: Some(gpu.launches()) })
}

/// One step in tensors.
fn in_tensors(
    model: &ModelSettings,
    weights: &[Matrix],
    batch: &Batch,
    device: &Device,
    repeats: usize,
) -> f64 {
    let mut tensors = parameters::upload(weights, device);
    let mut adam = Adam::new(&tensors);
    median(repeats, || {
        let tracked: Vec<Tensor<2>> =
            tensors.iter().map(|t| Tensor::from_inner(t.clone()).require_grad()).collect();
        let mut gradients = System1::new(model, &tracked).loss(batch, None).backward();
        let gradients = tracked
            .iter()
            .zip(&tensors)
            .map(|(t, like)| t.grad_remove(&mut gradients).unwrap_or_else(|| like.zeros_like()))
            .collect();
        // Reading the norm waits for the device.
        std::hint::black_box(adam.update(&mut tensors, gradients, HOW).into_data());
    })
}

/// Scores of all items for `rows` new users, shared between the cores as in evaluation.
fn forward(packed: &PackedSystem1, rows: usize, repeats: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut step = |place| Step {
        dt: if place == 0 { 0.0 } else { rng.random_range(0.0..1.0) },
        item: rng.random_range(0..ITEMS as u32),
    };
    let histories: Vec<Vec<Step>> =
        (0..rows).map(|_| (0..LENGTH).map(&mut step).collect()).collect();
    let histories: Vec<&[Step]> = histories.iter().map(Vec::as_slice).collect();
    let share = rows.div_ceil(device::cores());
    let mut workspaces: Vec<Workspace> =
        histories.chunks(share).map(|_| packed.workspace()).collect();
    let mut states = vec![0.0; rows * packed.hidden()];
    let mut scores = vec![0.0; rows * packed.items()];
    let answer = |histories: &[&[Step]],
                  states: &mut [f32],
                  scores: &mut [f32],
                  workspace: &mut Workspace| {
        packed.advance(workspace, states, histories);
        packed.scores(workspace, states, scores);
    };
    median(repeats, || {
        states.fill(0.0);
        let parts = histories
            .chunks(share)
            .zip(states.chunks_mut(share * packed.hidden()))
            .zip(scores.chunks_mut(share * packed.items()))
            .zip(&mut workspaces);
        pool::run(0, parts.collect(), |(((histories, states), scores), workspace)| {
            answer(histories, states, scores, workspace);
        });
        std::hint::black_box(&scores);
    })
}
