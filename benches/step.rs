//! One training step and the forward pass at DeepM3's size: B 64, L 19, H 128, N 3,707, loss on the
//! last target, Adam, clipping; in the CPU's own kernels (`fused`) and in plain tensors (`train`).
//! `cargo bench --bench step`

use burn::tensor::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use deepm3::dynamics::batch::Batch;
use deepm3::dynamics::fused::{Fused, FusedAdam};
use deepm3::dynamics::model::System1;
use deepm3::dynamics::parameters;
use deepm3::dynamics::warp::TimeWarp;
use deepm3::settings::{ModelSettings, Solver, Targets};
use deepm3::training::adam::{Adam, Update};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ITEMS: usize = 3707;
const LEN: usize = 19;
const DAY_MS: i64 = 86_400_000;

fn batch(rows: usize) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut batch = Batch::empty(rows, LEN);
    for row in 0..rows {
        let items: Vec<u32> = (0..LEN).map(|_| rng.random_range(0..ITEMS as u32)).collect();
        let mut times: Vec<i64> = (0..=LEN).map(|_| rng.random_range(0..90 * DAY_MS)).collect();
        times.sort_unstable();
        let next = rng.random_range(0..ITEMS as u32);
        batch.put(row, &items, &times[..LEN], times[LEN], Some(next), TimeWarp::LINEAR);
    }
    batch.only_last_target();
    batch
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group.sample_size(20);
    for &solver in Solver::WITH_STATE {
        let model = ModelSettings { solver, targets: Targets::Last, ..Default::default() };
        let weights = parameters::initial(&model, ITEMS, 1);
        let (full, single) = (batch(64), batch(1));
        let device = Device::flex();
        let mut tensors = parameters::upload(&weights, &device);
        let mut adam = Adam::new(&tensors);
        let how = Update { learning_rate: 1e-3, weight_decay: 0.0, clip_norm: 1.0 };
        group.bench_function(format!("train/{}", solver.word()), |bencher| {
            bencher.iter(|| {
                let tracked: Vec<Tensor<2>> =
                    tensors.iter().map(|t| Tensor::from_inner(t.clone()).require_grad()).collect();
                let mut gradients = System1::new(&model, &tracked).loss(&full, None).backward();
                let gradients = tracked
                    .iter()
                    .zip(&tensors)
                    .map(|(t, like)| t.grad_remove(&mut gradients).unwrap_or(like.zeros_like()))
                    .collect();
                adam.update(&mut tensors, gradients, how)
            });
        });
        let mut values: Vec<Vec<f32>> = weights.iter().map(|one| one.values.clone()).collect();
        let mut gradients: Vec<Vec<f32>> = values.iter().map(|one| vec![0.0; one.len()]).collect();
        let sizes: Vec<usize> = values.iter().map(Vec::len).collect();
        let (mut fused, mut adam) = (Fused::new(&model, ITEMS, 0), FusedAdam::new(&sizes));
        group.bench_function(format!("fused/{}", solver.word()), |bencher| {
            bencher.iter(|| {
                fused.loss_and_gradients(&values, &full, None, &mut gradients);
                adam.step(&mut values, &gradients, how, 0)
            });
        });
        let plain = System1::new(&model, &parameters::upload(&weights, &device));
        for (name, batch) in [("batch64", &full), ("single", &single)] {
            group.bench_function(format!("forward-{name}/{}", solver.word()), |bencher| {
                bencher.iter(|| plain.forward(batch).into_data());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
