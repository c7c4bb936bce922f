//! The GPU path gives what the CPU gives. A software adapter will do; without any adapter the test
//! says so and passes.

use burn::tensor::{Device, Tensor};
use deepm3::dynamics::batch::Batch;
use deepm3::dynamics::device::{Hardware, devices};
use deepm3::dynamics::fused::{Fused, FusedAdam};
use deepm3::dynamics::gpu::OnGpu;
use deepm3::dynamics::model::System1;
use deepm3::dynamics::parameters::{self, Matrix};
use deepm3::dynamics::warp::TimeWarp;
use deepm3::settings::{ModelSettings, Solver, Targets};
use deepm3::training::adam::{Adam, Update};

const ITEMS: usize = 7;
const DAY: i64 = 86_400_000;

/// Scores before, loss, and every weight after one optimiser step.
fn one_step(model: &ModelSettings, weights: &[Matrix], device: &Device) -> Vec<f32> {
    let mut batch = Batch::empty(2, 2);
    batch.put(0, &[1, 5], &[0, 3 * DAY], 8 * DAY, Some(6), TimeWarp::LINEAR);
    batch.put(1, &[2, 3, 4], &[0, DAY, DAY], 2 * DAY, Some(0), TimeWarp::LINEAR);
    let mut tensors = parameters::upload(weights, device);
    let mut results = Vec::new();
    let mut keep = |data: Vec<f32>| results.extend(data);
    keep(System1::new(model, &tensors).forward(&batch).try_into_vec_as().unwrap());
    let tracked: Vec<Tensor<2>> =
        tensors.iter().map(|t| Tensor::from_inner(t.clone()).require_grad()).collect();
    let loss = System1::new(model, &tracked).loss(&batch, None);
    let mut gradients = loss.backward();
    keep(loss.inner().try_into_vec_as().unwrap());
    let gradients = tracked.iter().map(|t| t.grad_remove(&mut gradients).unwrap()).collect();
    let how = Update { learning_rate: 0.01, weight_decay: 0.0, clip_norm: 1.0 };
    Adam::new(&tensors).update(&mut tensors, gradients, how);
    for tensor in tensors {
        keep(tensor.try_into_vec_as().unwrap());
    }
    results
}

/// An adapter, or a word that there is none.
fn gpu() -> Option<Device> {
    let Some(gpu) = devices().into_iter().find(|device| device.hardware != Hardware::Cpu) else {
        println!("skipped: this machine has no GPU adapter, not even a software one");
        return None;
    };
    println!("on {}", gpu.label());
    Some(gpu.open().expect("the adapter opens"))
}

#[test]
fn a_training_step_on_the_gpu_matches_the_cpu() {
    let Some(device) = gpu() else { return };
    let model = ModelSettings {
        solver: Solver::Rk4,
        hidden: 4,
        query_gap: true,
        max_step: 1.0,
        ..Default::default()
    };
    let weights = parameters::initial(&model, ITEMS, 1);
    let here = one_step(&model, &weights, &Device::flex());
    let there = one_step(&model, &weights, &device);
    assert_eq!(here.len(), there.len());
    for (cpu, gpu) in here.iter().zip(&there) {
        assert!((cpu - gpu).abs() < 1e-4 * cpu.abs().max(1.0), "{cpu} {gpu}");
    }
}

/// Another batch each step, of histories that can be learned.
fn batch(step: usize) -> Batch {
    let mut batch = Batch::empty(6, 4);
    for row in 0..6usize {
        let item = |place: usize| ((row + step + 2 * place) % ITEMS) as u32;
        let kept = 1 + (row + step) % 4;
        let items: Vec<u32> = (0..kept).map(item).collect();
        let times: Vec<i64> = (0..kept).map(|place| (place * (row + 1)) as i64 * DAY).collect();
        batch.put(row, &items, &times, 25 * DAY, Some(item(kept)), TimeWarp::LINEAR);
    }
    batch
}

#[test]
fn a_hundred_steps_take_gpu_and_cpu_the_same_way() {
    let Some(device) = gpu() else { return };
    for solver in [Solver::Gru, Solver::Euler, Solver::Rk4] {
        let model = ModelSettings {
            solver,
            hidden: 6,
            targets: Targets::All,
            query_gap: true,
            max_step: 0.5,
            ..Default::default()
        };
        let matrices = parameters::initial(&model, ITEMS, 1);
        let mut gpu = OnGpu::new(&device, &model, ITEMS, &matrices, None).expect("it runs");
        let mut weights: Vec<Vec<f32>> = matrices.into_iter().map(|one| one.values).collect();
        let mut gradients = weights.clone();
        let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
        let (mut fused, mut adam) = (Fused::new(&model, ITEMS, 1), FusedAdam::new(&sizes));
        let how = Update { learning_rate: 0.01, weight_decay: 1e-3, clip_norm: 1.0 };
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for step in 0..100 {
            let batch = batch(step);
            there.push(gpu.step(&batch, None, how));
            let loss = fused.loss_and_gradients(&weights, &batch, None, &mut gradients);
            here.push((loss, adam.step(&mut weights, &gradients, how, 1)));
        }
        let there = gpu.read(there).expect("the device is there");
        for (step, ((loss, length), [on_gpu, norm])) in here.iter().zip(there).enumerate() {
            let off = (f64::from(on_gpu) - loss).abs();
            assert!(off < 1e-3 * loss, "{solver:?} {step}: {on_gpu} {loss}");
            let off = (f64::from(norm) - length).abs();
            assert!(off < 2e-2 * length, "{solver:?} {step}: {norm} {length}");
        }
        assert!(here[99].0 < 0.7 * here[0].0, "{solver:?} learns: {} {}", here[0].0, here[99].0);
    }
}
