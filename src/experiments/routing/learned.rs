//! The learned router: a small MLP on what is known of a request when it is decided.

use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::methods::{Prepared, history};
use crate::experiments::{Event, ExperimentError};
use crate::jobs::Context;
use crate::serving::ServedModel;
use crate::serving::replay::Replayed;
use crate::training::adam::{Adam, Update};

/// Inputs besides the state.
const EXTRA: usize = 5;
const UNITS: usize = 16;
const STEPS: usize = 300;
/// Steps between two looks at the cases held.
const LOOK: usize = 10;
const UPDATE: Update = Update { learning_rate: 0.01, weight_decay: 0.1, clip_norm: 0.0 };
const MS_PER_DAY: f64 = 86_400_000.0;

/// How many inputs the MLP has for `model`.
pub fn inputs(model: &ServedModel) -> usize {
    model.packed.hidden() + EXTRA
}

/// State, history and uncertainty as numbers.
pub struct Features<'a> {
    model: &'a ServedModel,
}

impl<'a> Features<'a> {
    pub fn new(model: &'a ServedModel) -> Self {
        Self { model }
    }

    /// Of a replayed request.
    pub fn replayed(&self, request: &Replayed) -> Vec<f32> {
        let mut workspace = self.model.packed.workspace();
        let state = self.model.query_states(&[request.query], &mut workspace);
        let (items, times) = history(self.model, request);
        let asked_at = self.model.data.time[request.query.target];
        let conflict = request.uncertainty.conflict.unwrap_or(0.0);
        join(state, (items, times, asked_at), [request.uncertainty.entropy, conflict])
    }

    /// Of a request that System 1 has just scored.
    pub fn prepared(&self, prepared: &Prepared<'_>, half_life: f64) -> Vec<f32> {
        let uncertainty = [prepared.entropy(self.model), prepared.conflict(self.model, half_life)];
        let history = (prepared.items, prepared.times, prepared.asked_at);
        join(prepared.state.clone(), history, uncertainty)
    }
}

fn join(
    mut state: Vec<f32>,
    (items, times, asked_at): (&[u32], &[i64], i64),
    [entropy, conflict]: [f64; 2],
) -> Vec<f32> {
    let mut seen = items.to_vec();
    seen.sort_unstable();
    seen.dedup();
    let gap = times.last().map_or(0, |last| asked_at - last).max(0);
    let extra: [f64; EXTRA] = [
        items.len() as f64,
        seen.len() as f64,
        (gap as f64 / MS_PER_DAY).ln_1p(),
        entropy,
        conflict,
    ];
    state.extend(extra.map(|value| value as f32));
    state
}

/// Cases: a row of inputs and what should be said of each.
pub type Labelled<'a> = (&'a [Vec<f32>], &'a [bool]);

/// tanh units and a logit, on standardised inputs; trained on all cases at once with weight decay.
#[derive(Clone)]
pub struct Mlp {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// `[D, U]`, by row.
    hidden: Vec<f32>,
    hidden_bias: Vec<f32>,
    out: Vec<f32>,
    out_bias: f32,
}

impl Mlp {
    /// Train on some cases and keep the weights that are best on others, `held`.
    pub fn train(
        (inputs, label): Labelled<'_>,
        held: Labelled<'_>,
        seed: usize,
        context: &Context<Event>,
    ) -> Result<Self, ExperimentError> {
        let (rows, width) = (inputs.len(), inputs.first().map_or(0, Vec::len));
        let column = |at: usize| inputs.iter().map(move |row| f64::from(row[at]));
        let mean: Vec<f32> =
            (0..width).map(|at| (column(at).sum::<f64>() / rows as f64) as f32).collect();
        let deviation = (0..width).map(|at| {
            let squares = column(at).map(|value| (value - f64::from(mean[at])).powi(2));
            (squares.sum::<f64>() / rows as f64).sqrt().max(1e-6) as f32
        });
        let deviation: Vec<f32> = deviation.collect();
        let mut mlp = Self {
            mean,
            deviation,
            hidden: Vec::new(),
            hidden_bias: Vec::new(),
            out: Vec::new(),
            out_bias: 0.0,
        };
        let device = Device::flex().autodiff();
        let matrix = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let standard: Vec<f32> = inputs.iter().flat_map(|row| mlp.standardised(row)).collect();
        let x = matrix(standard, [rows, width]);
        let wanted = label.iter().map(|&label| if label { 1.0 } else { -1.0 }).collect();
        let sign = matrix(wanted, [rows, 1]);

        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut uniform = |size: usize, fan_in: usize| -> Vec<f32> {
            let bound = 1.0 / (fan_in as f32).sqrt();
            (0..size).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound).collect()
        };
        let mut weights: Vec<Tensor<2>> = [
            (uniform(width * UNITS, width), [width, UNITS]),
            (vec![0.0; UNITS], [1, UNITS]),
            (uniform(UNITS, UNITS), [UNITS, 1]),
            (vec![0.0], [1, 1]),
        ]
        .into_iter()
        .map(|(values, shape)| matrix(values, shape).inner())
        .collect();
        let mut adam = Adam::new(&weights);
        let mut best = (f64::INFINITY, mlp.clone());
        for step in 0..STEPS {
            if step % LOOK == 0 {
                context.checkpoint()?;
            }
            let tracked: Vec<Tensor<2>> = weights
                .iter()
                .map(|weight| Tensor::from_inner(weight.clone()).require_grad())
                .collect();
            let units = (x.clone().matmul(tracked[0].clone()) + tracked[1].clone()).tanh();
            let logit = units.matmul(tracked[2].clone()) + tracked[3].clone();
            // −log σ(y·logit), the logistic loss.
            let loss = activation::softplus(logit * sign.clone().neg(), 1.0).mean();
            let mut gradients = loss.backward();
            let gradients = tracked
                .iter()
                .zip(&weights)
                .map(|(tensor, like)| {
                    tensor.grad_remove(&mut gradients).unwrap_or_else(|| like.zeros_like())
                })
                .collect();
            adam.update(&mut weights, gradients, UPDATE);
            if (step + 1) % LOOK == 0 {
                mlp.take(&weights);
                let loss = mlp.loss(held);
                if loss < best.0 {
                    best = (loss, mlp.clone());
                }
            }
        }
        Ok(best.1)
    }

    fn take(&mut self, weights: &[Tensor<2>]) {
        // f32 on every device we open.
        let values =
            |tensor: &Tensor<2>| tensor.clone().into_data().try_to_vec::<f32>().unwrap_or_default();
        self.hidden = values(&weights[0]);
        self.hidden_bias = values(&weights[1]);
        self.out = values(&weights[2]);
        self.out_bias = values(&weights[3]).first().copied().unwrap_or(0.0);
    }

    /// Mean logistic loss, in nats.
    fn loss(&self, (rows, label): Labelled<'_>) -> f64 {
        let each = self.scores(rows).into_iter().zip(label).map(|(logit, &label)| {
            let wrong = if label { -logit } else { logit };
            // log(1 + e^x) without overflow.
            wrong.max(0.0) + (-wrong.abs()).exp().ln_1p()
        });
        each.sum::<f64>() / rows.len().max(1) as f64
    }

    fn standardised(&self, row: &[f32]) -> Vec<f32> {
        let parts = row.iter().zip(&self.mean).zip(&self.deviation);
        parts.map(|((value, mean), deviation)| (value - mean) / deviation).collect()
    }

    /// The logit of one case.
    pub fn score(&self, row: &[f32]) -> f64 {
        let x = self.standardised(row);
        let mut units = self.hidden_bias.clone();
        for (value, weights) in x.iter().zip(self.hidden.chunks(UNITS)) {
            for (unit, weight) in units.iter_mut().zip(weights) {
                *unit += value * weight;
            }
        }
        let logit: f32 = units.iter().zip(&self.out).map(|(unit, out)| unit.tanh() * out).sum();
        f64::from(logit + self.out_bias)
    }

    pub fn scores(&self, rows: &[Vec<f32>]) -> Vec<f64> {
        rows.iter().map(|row| self.score(row)).collect()
    }
}
