//! The gradients of the weights inside the scan: a few products over all positions at once.

use pulp::Arch;

use super::gemm::{View, product};
use super::plan::Shard;
use super::pool::{run, split};
use super::softmax::ColumnSums;

/// Rows of a weight matrix, and of the embedding, that are one task: constants, since results must
/// not depend on the number of threads.
const ROWS: usize = 32;
const ITEMS: usize = 1024;

/// Collects the work, then does it.
pub(super) struct Tasks<'a> {
    arch: Arch,
    tasks: Vec<Task<'a>>,
}

enum Task<'a> {
    /// `out` ← a·b.
    Product { out: &'a mut [f32], a: View<'a>, b: View<'a> },
    /// `out` ← sums of the columns.
    Sums { out: &'a mut [f32], values: &'a [f32] },
    /// Add derivatives by embedded items to rows `first..` of the embedding's.
    Embedding {
        first: usize,
        out: &'a mut [f32],
        hidden: usize,
        shards: &'a [Shard],
        slopes: &'a [f32],
        keep: bool,
    },
}

impl<'a> Tasks<'a> {
    pub fn new(arch: Arch) -> Self {
        Self { arch, tasks: Vec::new() }
    }

    /// The gradients of x·W + b, from all inputs, `[R, I]`, and derivatives by the outputs, `[R, O]`.
    pub fn affine(
        &mut self,
        weight: &'a mut [f32],
        bias: &'a mut [f32],
        inputs: &'a [f32],
        slopes: &'a [f32],
    ) {
        let outputs = bias.len();
        let (inputs, b) = (View::new(inputs, weight.len() / outputs), View::new(slopes, outputs));
        for (place, out) in weight.chunks_mut(ROWS * outputs).enumerate() {
            let a = inputs.columns(place * ROWS, out.len() / outputs).t();
            self.tasks.push(Task::Product { out, a, b });
        }
        self.tasks.push(Task::Sums { out: bias, values: slopes });
    }

    /// The gradient of the embedding, `[N + 1, H]`, from derivatives by every event's row; added to
    /// what it holds where `keep`. The padding's row has none.
    pub fn embedding(
        &mut self,
        out: &'a mut [f32],
        hidden: usize,
        shards: &'a [Shard],
        slopes: &'a [f32],
        keep: bool,
    ) {
        for (place, out) in out.chunks_mut(ITEMS * hidden).enumerate() {
            let first = place * ITEMS;
            self.tasks.push(Task::Embedding { first, out, hidden, shards, slopes, keep });
        }
    }

    pub fn run(self, threads: usize) {
        let arch = self.arch;
        run(threads, self.tasks, |task| task.run(arch));
    }
}

impl Task<'_> {
    fn run(self, arch: Arch) {
        match self {
            Self::Product { out, a, b } => product(out, a, b),
            Self::Sums { out, values } => {
                arch.dispatch(ColumnSums { values, sums: out, accumulate: false });
            }
            Self::Embedding { first, out, hidden, shards, slopes, keep } => {
                if !keep {
                    out.fill(0.0);
                }
                // Every task goes over all events and takes its own, always in the same order.
                let events = shards.iter().flat_map(|shard| &shard.events);
                for (event, slope) in events.zip(slopes.chunks_exact(hidden)) {
                    let Some(at) = event.item.checked_sub(first).map(|row| row * hidden) else {
                        continue;
                    };
                    if let Some(row) = out.get_mut(at..at + hidden) {
                        row.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += slope);
                    }
                }
            }
        }
    }
}

/// Cut a buffer into the shards' pieces, `width` values for each of what `count` counts.
pub(super) fn pieces<'a>(
    values: &'a mut [f32],
    shards: &[Shard],
    width: usize,
    count: impl Fn(&Shard) -> usize,
) -> std::vec::IntoIter<&'a mut [f32]> {
    split(values, shards.iter().map(|shard| count(shard) * width)).into_iter()
}
