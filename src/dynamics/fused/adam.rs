//! Adam (Kingma & Ba 2015, ε = 1e-8) with decoupled weight decay and global-norm clipping, in one
//! pass over plain lists.

use pulp::{Arch, NullaryFnOnce};

use super::pool::{run, threads};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// Values of one task: a constant, so that the norm does not depend on the number of threads.
const CHUNK: usize = 1 << 14;
/// Sums of squares side by side.
const LANES: usize = 16;

/// The optimiser's state, one pair of moments a parameter.
pub struct FusedAdam {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    step: u64,
}

/// What one update needs besides gradients.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// Longest global gradient norm; 0 switches clipping off.
    pub clip_norm: f64,
}

impl FusedAdam {
    /// For parameters of `shapes` values each.
    pub fn new(shapes: &[usize]) -> Self {
        let zeros = || shapes.iter().map(|&size| vec![0.0; size]).collect();
        Self { first: zeros(), second: zeros(), step: 0 }
    }

    /// From the moments of a checkpoint, after `step` updates.
    pub fn restore(first: Vec<Vec<f32>>, second: Vec<Vec<f32>>, step: u64) -> Self {
        Self { first, second, step }
    }

    /// First and second moments, in the order of the parameters.
    pub fn moments(&self) -> (&[Vec<f32>], &[Vec<f32>]) {
        (&self.first, &self.second)
    }

    /// Update `weights` in place. The result is the gradient norm before clipping, the same to the
    /// bit whatever the number of threads; `threads` 0 is one a core.
    ///
    /// # Panics
    /// Where weights or gradients are not of the sizes of the moments.
    pub fn step(
        &mut self,
        weights: &mut [Vec<f32>],
        gradients: &[Vec<f32>],
        how: Update,
        threads: usize,
    ) -> f64 {
        let sizes = |lists: &[Vec<f32>]| lists.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(weights), sizes(&self.first), "weights of the moments' sizes");
        assert_eq!(sizes(gradients), sizes(&self.first), "gradients of the moments' sizes");
        let (arch, threads) = (Arch::new(), self::threads(threads));
        let norm = norm(arch, threads, gradients);
        // As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
        let scale =
            if how.clip_norm > 0.0 { (how.clip_norm / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.step += 1;
        let t = i32::try_from(self.step).unwrap_or(i32::MAX);
        let rates = Rates {
            scale: scale as f32,
            step: (how.learning_rate / (1.0 - BETA1.powi(t))) as f32,
            root_correction: (1.0 - BETA2.powi(t)).sqrt() as f32,
            kept: (1.0 - how.learning_rate * how.weight_decay) as f32,
        };
        let lists = weights.iter_mut().zip(gradients).zip(&mut self.first).zip(&mut self.second);
        let tasks = lists
            .flat_map(|(((weights, gradients), first), second)| {
                weights
                    .chunks_mut(CHUNK)
                    .zip(gradients.chunks(CHUNK))
                    .zip(first.chunks_mut(CHUNK))
                    .zip(second.chunks_mut(CHUNK))
            })
            .map(|(((weights, gradients), first), second)| Move {
                rates,
                weights,
                gradients,
                first,
                second,
            })
            .collect();
        run(threads, tasks, |task| arch.dispatch(task));
        norm
    }
}

/// Global norm of all gradients; NaN and infinity pass.
fn norm(arch: Arch, threads: usize, gradients: &[Vec<f32>]) -> f64 {
    let chunks: Vec<&[f32]> = gradients.iter().flat_map(|list| list.chunks(CHUNK)).collect();
    let mut sums = vec![0.0; chunks.len()];
    run(threads, chunks.into_iter().zip(&mut sums).collect(), |(values, sum)| {
        *sum = arch.dispatch(Squares { values });
    });
    sums.iter().sum::<f64>().sqrt()
}

struct Squares<'a> {
    values: &'a [f32],
}

impl NullaryFnOnce for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut sums = [0.0f64; LANES];
        let whole = self.values.chunks_exact(LANES);
        for (value, sum) in whole.remainder().iter().zip(&mut sums) {
            *sum += f64::from(*value) * f64::from(*value);
        }
        for values in whole {
            for (value, sum) in values.iter().zip(&mut sums) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        sums.iter().sum()
    }
}

#[derive(Clone, Copy)]
struct Rates {
    /// Of the gradient.
    scale: f32,
    /// Learning rate over the first moment's correction.
    step: f32,
    /// √ of the second moment's.
    root_correction: f32,
    /// What weight decay leaves of a weight.
    kept: f32,
}

struct Move<'a> {
    rates: Rates,
    weights: &'a mut [f32],
    gradients: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl NullaryFnOnce for Move<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rates, weights, gradients, first, second } = self;
        let Rates { scale, step, root_correction, kept } = rates;
        let size = weights.len();
        let (gradients, first, second) =
            (&gradients[..size], &mut first[..size], &mut second[..size]);
        for j in 0..size {
            let gradient = gradients[j] * scale;
            let m = first[j] * BETA1 as f32 + gradient * (1.0 - BETA1) as f32;
            let v = second[j] * BETA2 as f32 + gradient * gradient * (1.0 - BETA2) as f32;
            let denominator = v.sqrt() / root_correction + EPSILON as f32;
            weights[j] = weights[j] * kept - m / denominator * step;
            (first[j], second[j]) = (m, v);
        }
    }
}
