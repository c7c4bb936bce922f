//! The kernels against the plain tensors and their automatic differentiation.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dropout, Fused};
use crate::dynamics::batch::Batch;
use crate::dynamics::model::{self, System1};
use crate::dynamics::parameters;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, ModelSettings, Solver, Targets};

const DAY_MS: i64 = 86_400_000;

struct Case {
    settings: ModelSettings,
    items: usize,
    batch: Batch,
    dropout: Option<Dropout>,
}

impl Case {
    /// Random shapes, padding, gaps of none, of hours and of months.
    fn random(solver: Solver, head: Head, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let every = rng.random::<bool>();
        let settings = ModelSettings {
            solver,
            head,
            hidden: rng.random_range(4..=70),
            max_step: rng.random_range(0.3..1.5),
            max_substeps: rng.random_range(1..=4),
            decay: if rng.random() { 0.0 } else { 0.3 },
            targets: if every { Targets::All } else { Targets::Last },
            query_gap: rng.random(),
            ..Default::default()
        };
        let (items, rows, len) =
            (rng.random_range(3..=90), rng.random_range(1..=70), rng.random_range(1..=20));
        let mut batch = Batch::empty(rows, len);
        for row in 0..rows {
            let events = rng.random_range(1..=len);
            let mut now = 0;
            let mut time = || {
                now += match rng.random_range(0..3) {
                    0 => 0,
                    1 => rng.random_range(0..DAY_MS),
                    _ => rng.random_range(0..60 * DAY_MS),
                };
                now
            };
            let times: Vec<i64> = (0..=events).map(|_| time()).collect();
            let history: Vec<u32> =
                (0..events).map(|_| rng.random_range(0..items as u32)).collect();
            let next = Some(rng.random_range(0..items as u32));
            batch.put(row, &history, &times[..events], times[events], next, TimeWarp::LINEAR);
        }
        if !every {
            batch.only_last_target();
        }
        let mut mask = |rows: usize| -> Vec<f32> {
            (0..rows * settings.hidden).map(|_| if rng.random() { 2.0 } else { 0.0 }).collect()
        };
        let states = if every { rows * len } else { rows };
        let dropout = seed
            .is_multiple_of(3)
            .then(|| Dropout { input: mask(rows * len), state: mask(states) });
        Self { settings, items, batch, dropout }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn loss_and_gradients_are_those_of_the_tensors() {
    let kinds =
        Solver::WITH_STATE.iter().flat_map(|&solver| Head::ALL.iter().map(move |&h| (solver, h)));
    for (kind, (solver, head)) in kinds.enumerate() {
        for seed in 0..6 {
            let case = Case::random(solver, head, 100 * kind as u64 + seed);
            let weights = parameters::initial(&case.settings, case.items, seed);
            let device = Device::flex().autodiff();
            let tracked: Vec<_> = parameters::upload(&weights, &device)
                .into_iter()
                .map(Tensor::require_grad)
                .collect();
            let masks = case.dropout.as_ref().map(|masks| {
                let hidden = case.settings.hidden;
                let tensor = |values: &[f32]| {
                    let data = TensorData::new(values.to_vec(), [values.len() / hidden, hidden]);
                    Tensor::from_data(data, &device)
                };
                model::Dropout { input: tensor(&masks.input), state: tensor(&masks.state) }
            });
            let loss = System1::new(&case.settings, &tracked).loss(&case.batch, masks.as_ref());
            let mut backward = loss.backward();
            let expected_loss = f64::from(loss.inner().into_scalar::<f32>());

            let values: Vec<Vec<f32>> = weights.iter().map(|one| one.values.clone()).collect();
            let mut gradients: Vec<Vec<f32>> =
                values.iter().map(|one| vec![f32::NAN; one.len()]).collect();
            let mut fused = Fused::new(&case.settings, case.items, 2);
            let loss = fused.loss_and_gradients(
                &values,
                &case.batch,
                case.dropout.as_ref(),
                &mut gradients,
            );
            let name = format!("{:?}", case.settings);
            assert!((loss - expected_loss).abs() <= 1e-5 * expected_loss.abs(), "{name}");
            for ((tensor, ours), weight) in tracked.iter().zip(&gradients).zip(&weights) {
                let theirs: Vec<f32> = match tensor.grad_remove(&mut backward) {
                    Some(gradient) => gradient.into_data().try_to_vec().unwrap(),
                    None => vec![0.0; ours.len()],
                };
                let off: Vec<f32> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
                let (off, size) = (norm(&off), norm(&theirs));
                assert!(off <= 1e-4 * size + 1e-7, "{}: {off} of {size}; {name}", weight.name);
            }
        }
    }
}
