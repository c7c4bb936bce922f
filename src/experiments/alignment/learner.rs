//! One optimiser step over a batch, cut into a fixed number of shards: the sums have one order,
//! so that a step gives the same to the bit whatever the number of threads.

use crate::dynamics::fused::{FusedAdam, Update, pool};
use crate::language::transformer::{Example, Pass, Transformer};

const SHARDS: usize = 8;
/// Longest global gradient norm.
const CLIP: f64 = 1.0;

/// A model in training.
pub struct Learner {
    pub model: Transformer,
    adam: FusedAdam,
    shards: Vec<Shard>,
    sum: Vec<Vec<f32>>,
}

struct Shard {
    pass: Pass,
    gradients: Vec<Vec<f32>>,
}

impl Learner {
    pub fn new(model: Transformer) -> Self {
        let sizes: Vec<usize> = model.weights().iter().map(Vec::len).collect();
        let shard = || Shard { pass: Pass::default(), gradients: model.zeros() };
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self { adam: FusedAdam::new(&sizes), shards, sum: model.zeros(), model }
    }

    /// Learn from `examples`, in groups of `group` that stay together. `judge` gets the place of
    /// a shard's first example and its forward pass, and gives what to report and the derivative
    /// of the loss by the log-probability of each answer token. The result is the reports, in the
    /// order of the examples.
    pub fn step<T: Send>(
        &mut self,
        examples: &[Example],
        group: usize,
        rate: f64,
        judge: impl Fn(usize, &Pass) -> (T, Vec<f32>) + Sync,
    ) -> Vec<T> {
        let size = examples.len().div_ceil(SHARDS * group).max(1) * group;
        let model = &self.model;
        let mut reports: Vec<Option<T>> = Vec::new();
        reports.resize_with(examples.len().div_ceil(size), || None);
        let chunks = examples.chunks(size).zip(&mut self.shards).zip(&mut reports);
        let tasks: Vec<_> = chunks.enumerate().collect();
        pool::run(pool::threads(0), tasks, |(place, ((examples, shard), report))| {
            shard.gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
            shard.pass.forward(model, examples);
            let (told, worth) = judge(place * size, &shard.pass);
            shard.pass.backward(model, &worth, &mut shard.gradients);
            *report = Some(told);
        });
        let used = &self.shards[..reports.len()];
        let tasks = self.sum.iter_mut().enumerate().collect();
        pool::run(pool::threads(0), tasks, |(place, sum): (usize, &mut Vec<f32>)| {
            sum.copy_from_slice(&used[0].gradients[place]);
            for shard in &used[1..] {
                sum.iter_mut().zip(&shard.gradients[place]).for_each(|(sum, one)| *sum += one);
            }
        });
        let update = Update { learning_rate: rate, weight_decay: 0.0, clip_norm: CLIP };
        self.adam.step(self.model.weights_mut(), &self.sum, update, 0);
        reports.into_iter().flatten().collect()
    }
}

/// Log-probability of each example's whole answer.
pub fn sums(model: &Transformer, examples: &[Example]) -> Vec<f64> {
    let mut sums = vec![0.0; examples.len()];
    const AT_ONCE: usize = 64;
    let tasks = examples.chunks(AT_ONCE).zip(sums.chunks_mut(AT_ONCE)).collect();
    pool::run(pool::threads(0), tasks, |(examples, sums): (&[Example], &mut [f64])| {
        let mut pass = Pass::default();
        pass.forward(model, examples);
        sums.iter_mut().zip(pass.sums()).for_each(|(sum, one)| *sum = one);
    });
    sums
}
