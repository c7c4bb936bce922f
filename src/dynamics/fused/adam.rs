//! Adam (Kingma & Ba 2015, ε = 1e-8) with decoupled weight decay and global-norm clipping, in one
//! pass over plain lists.

use pulp::{Arch, NullaryFnOnce};

use super::pool::{run, threads};
use super::sampled::SparseGradients;

pub(crate) const BETA1: f64 = 0.9;
pub(crate) const BETA2: f64 = 0.999;
pub(crate) const EPSILON: f64 = 1e-8;
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

/// How one update moves every weight, whatever computes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Learning rate over the first moment's correction.
    pub step: f64,
    /// √ of the second moment's.
    pub root_correction: f64,
    /// What weight decay leaves of a weight.
    pub kept: f64,
}

impl Update {
    /// The pace of update number `updates`, from 1.
    pub(crate) fn pace(self, updates: u64) -> Pace {
        let t = i32::try_from(updates).unwrap_or(i32::MAX);
        Pace {
            step: self.learning_rate / (1.0 - BETA1.powi(t)),
            root_correction: (1.0 - BETA2.powi(t)).sqrt(),
            kept: 1.0 - self.learning_rate * self.weight_decay,
        }
    }
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
        let norm = norm(arch, threads, gradients.iter().map(Vec::as_slice));
        let rates = self.rates(how, norm);
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

    /// Count an update, and say how it moves each weight.
    fn rates(&mut self, how: Update, norm: f64) -> Rates {
        // As PyTorch's clip_grad_norm_: min(1, limit / (norm + 1e-6)).
        let scale =
            if how.clip_norm > 0.0 { (how.clip_norm / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.step += 1;
        let Pace { step, root_correction, kept } = how.pace(self.step);
        Rates {
            scale: scale as f32,
            step: step as f32,
            by_root_correction: root_correction.recip() as f32,
            kept: kept as f32,
        }
    }

    /// The same from gradients of a few rows: weights and moments of the other rows of the item
    /// matrices stay as they are, as those of PyTorch's `SparseAdam` do, while the count of updates
    /// is one for all.
    ///
    /// # Panics
    /// As [`Self::step`].
    pub fn step_sparse(
        &mut self,
        weights: &mut [Vec<f32>],
        gradients: &SparseGradients,
        how: Update,
        threads: usize,
    ) -> f64 {
        let (arch, threads) = (Arch::new(), self::threads(threads));
        let SparseGradients { dense, rows, embedding, head, bias } = gradients;
        let lists = dense.iter().chain([embedding, head, bias]).map(Vec::as_slice);
        let norm = norm(arch, threads, lists);
        let rates = self.rates(how, norm);
        let last = weights.len() - 1;
        let hidden = embedding.len() / rows.len().max(1);
        let (rows, mut tasks) = (rows.as_slice(), Vec::new());
        let lists = weights.iter_mut().zip(&mut self.first).zip(&mut self.second).enumerate();
        for (place, ((weights, first), second)) in lists {
            let state = State { weights, first, second };
            if place == 0 {
                tasks.extend(Rows::cut(state, rows, embedding, hidden).map(Sparse::Rows));
            } else if place == last {
                // A row of the embedding is one ahead of its item.
                tasks.push(Sparse::Columns { state, rows, gradients: bias, unit: 0, width: 1 });
            } else if !head.is_empty() && place + 1 == last {
                let items = state.weights.len() / hidden;
                let units = state.chunks(items).enumerate();
                tasks.extend(units.map(|(unit, state)| Sparse::Columns {
                    state,
                    rows,
                    gradients: head,
                    unit,
                    width: hidden,
                }));
            } else {
                let chunks = state.chunks(CHUNK).zip(dense[place].chunks(CHUNK));
                tasks.extend(chunks.map(|(state, gradients)| Sparse::Whole { state, gradients }));
            }
        }
        run(threads, tasks, |task| match task {
            Sparse::Whole { state: State { weights, first, second }, gradients } => {
                arch.dispatch(Move { rates, weights, gradients, first, second });
            }
            Sparse::Rows(rows) => rows.run(arch, rates),
            Sparse::Columns { state, rows, gradients, unit, width } => {
                for (&row, gradients) in rows.iter().zip(gradients.chunks_exact(width)) {
                    let item = row as usize - 1;
                    let own = [state.weights[item], state.first[item], state.second[item]];
                    [state.weights[item], state.first[item], state.second[item]] =
                        rates.moved(own, gradients[unit]);
                }
            }
        });
        norm
    }
}

/// Weights and their moments.
struct State<'a> {
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl<'a> State<'a> {
    fn chunks(self, size: usize) -> impl Iterator<Item = State<'a>> {
        self.weights
            .chunks_mut(size)
            .zip(self.first.chunks_mut(size))
            .zip(self.second.chunks_mut(size))
            .map(|((weights, first), second)| State { weights, first, second })
    }
}

/// One task of a sparse update.
enum Sparse<'a> {
    Whole {
        state: State<'a>,
        gradients: &'a [f32],
    },
    Rows(Rows<'a>),
    /// One number of each item: `gradients` are `[T, width]`, of which column `unit` is taken.
    Columns {
        state: State<'a>,
        rows: &'a [u32],
        gradients: &'a [f32],
        unit: usize,
        width: usize,
    },
}

/// A stretch of the embedding, from `first_row` on, in which `rows` move.
struct Rows<'a> {
    state: State<'a>,
    first_row: usize,
    rows: &'a [u32],
    /// `[T, H]`.
    gradients: &'a [f32],
    hidden: usize,
}

impl<'a> Rows<'a> {
    fn cut(
        state: State<'a>,
        rows: &'a [u32],
        gradients: &'a [f32],
        hidden: usize,
    ) -> impl Iterator<Item = Rows<'a>> {
        // In stretches of as many rows of the embedding, whether they move or not.
        let stretch = (CHUNK / hidden.max(1)).max(1);
        state.chunks(stretch * hidden.max(1)).enumerate().filter_map(move |(place, state)| {
            let first_row = place * stretch;
            let from = rows.partition_point(|&row| (row as usize) < first_row);
            let to = rows.partition_point(|&row| (row as usize) < first_row + stretch);
            let gradients = &gradients[from * hidden..to * hidden];
            (from < to).then_some(Rows {
                state,
                first_row,
                rows: &rows[from..to],
                gradients,
                hidden,
            })
        })
    }

    fn run(self, arch: Arch, rates: Rates) {
        let Self { state, first_row, rows, gradients, hidden } = self;
        for (&row, gradients) in rows.iter().zip(gradients.chunks_exact(hidden)) {
            let at = (row as usize - first_row) * hidden..(row as usize - first_row + 1) * hidden;
            arch.dispatch(Move {
                rates,
                weights: &mut state.weights[at.clone()],
                gradients,
                first: &mut state.first[at.clone()],
                second: &mut state.second[at],
            });
        }
    }
}

/// Global norm of all gradients; NaN and infinity pass.
fn norm<'a>(arch: Arch, threads: usize, gradients: impl Iterator<Item = &'a [f32]>) -> f64 {
    let chunks: Vec<&[f32]> = gradients.flat_map(|list| list.chunks(CHUNK)).collect();
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
        let (whole, rest) = self.values.as_chunks::<LANES>();
        for (value, sum) in rest.iter().zip(&mut sums) {
            *sum += f64::from(*value) * f64::from(*value);
        }
        for values in whole {
            let wide = values.map(f64::from);
            for (value, sum) in wide.iter().zip(&mut sums) {
                *sum += value * value;
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
    /// 1 / √ of the second moment's.
    by_root_correction: f32,
    /// What weight decay leaves of a weight.
    kept: f32,
}

impl Rates {
    /// Weight and moments after an update by `gradient`.
    #[inline(always)]
    fn moved(self, [weight, first, second]: [f32; 3], gradient: f32) -> [f32; 3] {
        let gradient = gradient * self.scale;
        let m = first * BETA1 as f32 + gradient * (1.0 - BETA1) as f32;
        let v = second * BETA2 as f32 + gradient * gradient * (1.0 - BETA2) as f32;
        // One division: it and the root are what an update costs.
        let denominator = v.sqrt() * self.by_root_correction + EPSILON as f32;
        [weight * self.kept - m * self.step / denominator, m, v]
    }
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
        let size = weights.len();
        let (gradients, first, second) =
            (&gradients[..size], &mut first[..size], &mut second[..size]);
        for j in 0..size {
            [weights[j], first[j], second[j]] =
                rates.moved([weights[j], first[j], second[j]], gradients[j]);
        }
    }
}
