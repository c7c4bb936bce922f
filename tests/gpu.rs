//! The GPU path gives what the CPU gives. A software adapter will do; without any adapter the test
//! says so and passes.

use burn::tensor::{Device, Tensor};
use deepm3::dynamics::batch::Batch;
use deepm3::dynamics::device::{Hardware, devices};
use deepm3::dynamics::model::System1;
use deepm3::dynamics::parameters::{self, Matrix};
use deepm3::settings::{ModelSettings, Solver, Warp};
use deepm3::training::adam::{Adam, Update};

const ITEMS: usize = 7;
const DAY: i64 = 86_400_000;

/// Scores before, loss, and every weight after one optimiser step.
fn one_step(model: &ModelSettings, weights: &[Matrix], device: &Device) -> Vec<f32> {
    let mut batch = Batch::empty(2, 2);
    batch.put(0, &[1, 5], &[0, 3 * DAY], 8 * DAY, Some(6), Warp::Linear);
    batch.put(1, &[2, 3, 4], &[0, DAY, DAY], 2 * DAY, Some(0), Warp::Linear);
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

#[test]
fn a_training_step_on_the_gpu_matches_the_cpu() {
    let Some(gpu) = devices().into_iter().find(|device| device.hardware != Hardware::Cpu) else {
        println!("skipped: this machine has no GPU adapter, not even a software one");
        return;
    };
    println!("on {}", gpu.label());
    let device = gpu.open().expect("the adapter opens");
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
