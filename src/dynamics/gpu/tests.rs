//! The kernels against the plain tensors and the kernels of the CPU, on whatever adapter there is: a
//! software one will do. Shapes are tiny, since that is slow.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::OnGpu;
use crate::dynamics::batch::Batch;
use crate::dynamics::device::{Hardware, devices};
use crate::dynamics::fused::{Dropout, Fused};
use crate::dynamics::model::{self, System1};
use crate::dynamics::parameters::{self, Matrix};
use crate::settings::{Head, ModelSettings, Solver, Targets};

/// An adapter, or a word that there is none.
fn gpu() -> Option<Device> {
    let found = devices().into_iter().find(|device| device.hardware != Hardware::Cpu);
    let Some(found) = found else {
        println!("skipped: this machine has no GPU adapter, not even a software one");
        return None;
    };
    println!("on {}", found.label());
    Some(found.open().expect("the adapter opens"))
}

struct Case {
    settings: ModelSettings,
    items: usize,
    weights: Vec<Matrix>,
    batch: Batch,
    dropout: Option<Dropout>,
}

impl Case {
    /// Random weights; histories full, empty and of random lengths; no gaps, short and long ones.
    fn random(settings: ModelSettings, [items, rows, len]: [usize; 3], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = parameters::initial(&settings, items, seed);
        for value in weights.iter_mut().skip(1).flat_map(|one| &mut one.values) {
            *value += 0.2 * (rng.random::<f32>() - 0.5);
        }
        let mut batch = Batch::empty(rows, len);
        for row in 0..rows {
            let kept = match row {
                0 => len,
                1 => 0,
                _ => rng.random_range(1..=len),
            };
            for position in len - kept..len {
                let at = position * rows + row;
                batch.items[at] = rng.random_range(1..=items as i32);
                batch.targets[at] = rng.random_range(0..=items as i32);
                let gaps = [0.0, 0.05, 0.4, 1.3, 3.0 * rng.random::<f32>()];
                batch.dt[at] = gaps[rng.random_range(0..gaps.len())];
            }
        }
        batch.targets[(len - 1) * rows] = 1;
        let hidden = settings.hidden;
        let dropout = (settings.dropout > 0.0).then(|| {
            let mut mask = |rows: usize| {
                (0..rows * hidden).map(|_| if rng.random() { 2.0 } else { 0.0 }).collect()
            };
            let states = if settings.targets == Targets::All { rows * len } else { rows };
            Dropout { input: mask(rows * len), state: mask(states) }
        });
        Self { settings, items, weights, batch, dropout }
    }

    /// The loss in plain tensors.
    fn plain_loss(&self) -> f32 {
        let device = Device::flex();
        let masks = self.dropout.as_ref().map(|masks| {
            let hidden = self.settings.hidden;
            let tensor = |values: &[f32]| {
                let data = TensorData::new(values.to_vec(), [values.len() / hidden, hidden]);
                Tensor::from_data(data, &device)
            };
            model::Dropout { input: tensor(&masks.input), state: tensor(&masks.state) }
        });
        let model = System1::new(&self.settings, &parameters::upload(&self.weights, &device));
        model.loss(&self.batch, masks.as_ref()).into_scalar()
    }

    /// The gradients in the kernels of the CPU.
    fn gradients(&self) -> Vec<Vec<f32>> {
        let values: Vec<Vec<f32>> = self.weights.iter().map(|one| one.values.clone()).collect();
        let mut gradients = values.clone();
        let mut fused = Fused::new(&self.settings, self.items, 1);
        fused.loss_and_gradients(&values, &self.batch, self.dropout.as_ref(), &mut gradients);
        gradients
    }

    fn on(&self, device: &Device) -> OnGpu {
        OnGpu::new(device, &self.settings, self.items, &self.weights, None)
            .expect("the adapter runs the kernels")
    }

    fn check(&self, device: &Device) {
        let gpu = self.on(device);
        let name = format!("{:?}", self.settings);
        let expected = self.plain_loss();
        let theirs = self.gradients();
        // Twice: what a step leaves in the device's memory must not matter to the next.
        for _ in 0..2 {
            let (loss, ours) = gpu.loss_and_gradients(&self.batch, self.dropout.as_ref());
            assert!((loss - expected).abs() <= 1e-5 * expected, "{loss} {expected}; {name}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let off: Vec<f32> = ours.values.iter().zip(theirs).map(|(a, b)| a - b).collect();
                let (off, size) = (norm(&off), norm(theirs));
                assert!(off <= 1e-4 * size + 1e-7, "{}: {off} of {size}; {name}", ours.name);
            }
        }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn settings(solver: Solver, head: Head, hidden: usize) -> ModelSettings {
    ModelSettings {
        solver,
        head,
        hidden,
        max_step: 0.5,
        max_substeps: 4,
        targets: Targets::All,
        ..Default::default()
    }
}

#[test]
fn loss_and_gradients_are_those_of_tensors_and_cpu() {
    let Some(device) = gpu() else { return };
    for solver in Solver::ALL {
        for head in Head::ALL {
            let begun = std::time::Instant::now();
            let last = *head == Head::Tied;
            let settings = ModelSettings {
                query_gap: last,
                decay: if last { 0.3 } else { 0.0 },
                dropout: if last { 0.5 } else { 0.0 },
                targets: if last { Targets::Last } else { Targets::All },
                ..settings(*solver, *head, 6)
            };
            Case::random(settings, [9, 5, 4], 7).check(&device);
            println!("{solver:?} {head:?} {:?}", begun.elapsed());
        }
    }
}
