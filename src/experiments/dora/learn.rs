//! The source model, and its adaptation to the target domain by each method.

use std::time::Instant;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::shift::Shift;
use crate::data::split::Sequence;
use crate::dynamics::adapter::{Adapter, Kind, Size};
use crate::dynamics::batch::Batch;
use crate::dynamics::device;
use crate::dynamics::flow;
use crate::dynamics::fused::{Fused, FusedAdam};
use crate::dynamics::model::System1;
use crate::dynamics::parameters::{self, Matrix, download, upload};
use crate::evaluation::ndcg;
use crate::experiments::ExperimentError;
use crate::jobs::Cancelled;
use crate::settings::{AdapterParts, Config};
use crate::training::adam::{Adam, Update};
use crate::training::adapter::AdapterFile;
use crate::training::scorer::Scorer;
use crate::training::{Prepared, evaluate};

/// How a source model is brought to the target domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Frozen,
    /// The head's matrix and bias alone.
    Head,
    Lora,
    Dora,
    /// Every parameter.
    Full,
}

impl Method {
    pub const ALL: [Self; 5] = [Self::Frozen, Self::Head, Self::Lora, Self::Dora, Self::Full];

    pub fn title(self) -> &'static str {
        match self {
            Self::Frozen => "Frozen",
            Self::Head => "Head only",
            Self::Lora => "LoRA",
            Self::Dora => "DoRA",
            Self::Full => "Full",
        }
    }
}

/// What all trainings share.
pub struct Setting<'a> {
    pub config: &'a Config,
    pub prepared: &'a Prepared,
    pub shift: &'a Shift,
    /// Asked before each step whether to go on.
    pub go_on: &'a dyn Fn() -> Result<(), Cancelled>,
    /// Told each method's NDCG@10 on the target domain after each epoch.
    pub tell: &'a dyn Fn(Method, usize, f64),
}

/// The batches of one epoch: sequences, and the share of the learning rate that is left.
type Epoch = Vec<(Vec<Sequence>, f64)>;

/// What an adaptation came to.
pub struct Adapted {
    /// NDCG@10 on the source and the target domain before, and after each epoch.
    pub path: Vec<[f64; 2]>,
    /// The adapter's file, for the methods that have one.
    pub adapter: Option<Vec<u8>>,
    /// Trained numbers.
    pub trained: usize,
    pub seconds: f64,
}

impl Setting<'_> {
    /// A model that never learned to predict the target domain, and its mean loss over the last epoch,
    /// in nats.
    pub fn source(&self, seed: u64) -> Result<(Vec<Matrix>, f64), ExperimentError> {
        let (config, prepared) = (self.config, self.prepared);
        let items = prepared.data.items();
        let like = parameters::initial(&config.model, items, seed);
        let mut weights: Vec<Vec<f32>> = like.iter().map(|matrix| matrix.values.clone()).collect();
        let mut gradients: Vec<Vec<f32>> =
            weights.iter().map(|values| vec![0.0; values.len()]).collect();
        let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
        let mut fused = Fused::new(&config.model, items, 0);
        let mut adam = FusedAdam::new(&sizes);
        let training = &config.training;
        let (epochs, shape) = self.epochs(false, training.epochs, seed);
        let mut loss = f64::NAN;
        for epoch in epochs {
            let (mut sum, steps) = (0.0, epoch.len());
            for (sequences, left) in epoch {
                (self.go_on)()?;
                let data = &prepared.data;
                let batch = self.shift.batch(data, &sequences, shape, &config.model, false);
                sum += fused.loss_and_gradients(&weights, &batch, None, &mut gradients);
                let update = Update {
                    learning_rate: training.learning_rate * left,
                    weight_decay: training.weight_decay,
                    clip_norm: training.clip_norm,
                };
                adam.step(&mut weights, &gradients, update, 0);
            }
            loss = sum / steps as f64;
        }
        let pairs = like.into_iter().zip(weights);
        Ok((pairs.map(|(matrix, values)| Matrix { values, ..matrix }).collect(), loss))
    }

    /// The source model brought to the target domain.
    pub fn adapt(
        &self,
        method: Method,
        source: &[Matrix],
        seed: u64,
    ) -> Result<Adapted, ExperimentError> {
        let config = self.config;
        let adapter = match method {
            Method::Lora => Some(self.adapter(Kind::Lora)),
            Method::Dora => Some(self.adapter(Kind::Dora)),
            Method::Frozen | Method::Head | Method::Full => None,
        };
        let like: Vec<Matrix> = match (method, &adapter) {
            (_, Some(adapter)) => adapter.initial(source, seed),
            (Method::Head, _) => {
                let head = source.iter().filter(|matrix| matrix.name.starts_with("head."));
                head.cloned().collect()
            }
            (Method::Full, _) => source.to_vec(),
            _ => Vec::new(),
        };
        if like.is_empty() {
            let path = vec![self.judge(source)?];
            return Ok(Adapted { path, adapter: None, trained: 0, seconds: 0.0 });
        }
        let device = Device::flex().autodiff();
        let base: Vec<(String, Tensor<2>)> =
            source.iter().map(|matrix| matrix.name.clone()).zip(upload(source, &device)).collect();
        let compose = |parts: &[Tensor<2>]| match &adapter {
            Some(adapter) => adapter.compose(&base, parts),
            None => replaced(&base, &like, parts),
        };
        let mut parts: Vec<Tensor<2>> =
            upload(&like, &device).into_iter().map(Tensor::inner).collect();
        let mut adam = Adam::new(&parts);
        let data = &self.prepared.data;
        let mut step = |sequences: &[Sequence], shape, left: f64, parts: &mut Vec<Tensor<2>>| {
            let batch = self.shift.batch(data, sequences, shape, &config.model, true);
            let tracked: Vec<Tensor<2>> =
                parts.iter().map(|part| Tensor::from_inner(part.clone()).require_grad()).collect();
            let loss = loss(&System1::new(&config.model, &compose(&tracked)), &batch);
            let mut gradients = loss.backward();
            let gradients = tracked
                .iter()
                .zip(parts.iter())
                // A part that no path reaches has no gradient.
                .map(|(tensor, like)| {
                    tensor.grad_remove(&mut gradients).unwrap_or_else(|| like.zeros_like())
                })
                .collect();
            let update = Update {
                learning_rate: config.adapter.learning_rate * left,
                weight_decay: 0.0,
                clip_norm: config.training.clip_norm,
            };
            adam.update(parts, gradients, update);
        };
        let mut path = vec![self.judge(source)?];
        let mut seconds = 0.0;
        let (epochs, shape) = self.epochs(true, config.adapter.epochs, seed);
        for (place, epoch) in epochs.into_iter().enumerate() {
            let begun = Instant::now();
            for (sequences, left) in epoch {
                (self.go_on)()?;
                step(&sequences, shape, left, &mut parts);
            }
            // Judging is not adapting.
            seconds += begun.elapsed().as_secs_f64();
            let now: Vec<Tensor<2>> = parts.iter().cloned().map(Tensor::from_inner).collect();
            let now: Vec<Tensor<2>> = compose(&now).into_iter().map(Tensor::inner).collect();
            let judged = self.judge(&download(source, &now))?;
            (self.tell)(method, place + 1, judged[1]);
            path.push(judged);
        }
        let trained = download(&like, &parts);
        let encode = |adapter| AdapterFile::encode(adapter, &trained, source, &self.shift.name);
        let file = adapter.as_ref().map(encode).transpose()?;
        let count = trained.iter().map(|part| part.values.len()).sum();
        Ok(Adapted { path, adapter: file, trained: count, seconds })
    }

    /// Mean NDCG@10 on the test queries of the source and of the target domain.
    fn judge(&self, weights: &[Matrix]) -> Result<[f64; 2], ExperimentError> {
        let (config, prepared) = (self.config, self.prepared);
        let scorer = Scorer::of(prepared, &config.model, weights, device::cores());
        let mut means = [0.0; 2];
        for (mean, queries) in means.iter_mut().zip(&self.shift.test) {
            let go_on = || (self.go_on)();
            let data = &prepared.data;
            let ranks = evaluate::ranks(&scorer, data, queries, &config.evaluation, go_on)?;
            *mean = ranks.iter().map(|&rank| ndcg(rank, 10)).sum::<f64>() / ranks.len() as f64;
        }
        Ok(means)
    }

    fn adapter(&self, kind: Kind) -> Adapter {
        let settings = &self.config.adapter;
        let recurrent = settings.parts == AdapterParts::Recurrent;
        let flow = flow::weights(self.config.model.solver);
        let of_flow =
            |name: &str| flow.iter().any(|weight| weight.name == name && weight.inputs.is_some());
        let adapted = |name: &str| {
            let inner = matches!(name, "gru.w_input" | "gru.w_hidden") || of_flow(name);
            name == "head.w" || recurrent && inner
        };
        let names = parameters::names(&self.config.model).into_iter().filter(|name| adapted(name));
        let size = Size { rank: settings.rank, alpha: settings.alpha };
        Adapter::new(kind, size, names.collect())
    }

    /// The batches of every epoch over the sequences of a domain, in a new order each time, and their
    /// shape. The learning rate falls to 0.
    fn epochs(&self, target: bool, epochs: usize, seed: u64) -> (Vec<Epoch>, (usize, usize)) {
        let mut sequences = self.shift.sequences(&self.prepared.split.train, target);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = self.config.training.batch_size.min(sequences.len().max(1));
        let total = (epochs * sequences.len().div_ceil(rows)) as f64;
        let mut done = 0.0;
        let mut epoch = || -> Epoch {
            sequences.shuffle(&mut rng);
            let chunks = sequences.chunks(rows).map(|chunk| {
                let left = 1.0 - done / total;
                done += 1.0;
                (chunk.to_vec(), left)
            });
            chunks.collect()
        };
        ((0..epochs).map(|_| epoch()).collect(), (rows, self.prepared.split.input_len))
    }
}

/// Mean cross entropy over the batch's targets, in nats. Most positions have none: only those that do
/// are scored.
pub(super) fn loss(model: &System1, batch: &Batch) -> Tensor<1> {
    let states = Tensor::cat(model.states(batch, true, None), 0);
    let device = states.device();
    let asked = batch.targets.iter().enumerate().filter(|(_, target)| **target > 0);
    let (rows, columns): (Vec<i32>, Vec<i32>) =
        asked.map(|(place, target)| (place as i32, target - 1)).unzip();
    let count = rows.len();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
    let columns = Tensor::<2, Int>::from_data(TensorData::new(columns, [count, 1]), &device);
    let scores = model.scores(states.select(0, rows));
    log_softmax(scores, 1).gather(1, columns).mean().neg()
}

/// The parameters of a model with some of them replaced by name.
fn replaced(base: &[(String, Tensor<2>)], like: &[Matrix], parts: &[Tensor<2>]) -> Vec<Tensor<2>> {
    base.iter()
        .map(|(name, tensor)| {
            let place = like.iter().position(|matrix| matrix.name == *name);
            place.map_or(tensor, |place| &parts[place]).clone()
        })
        .collect()
}
