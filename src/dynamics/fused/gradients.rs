//! The gradients of the weights inside the scan: a few products over all positions at once.

use pulp::Arch;

use super::gemm::View;
use super::outer::{COLUMNS, Outer, depth};
use super::plan::Shard;
use super::pool::{run, split};
use super::softmax::ColumnSums;

/// Threads that large tasks are enough for.
const FEW: usize = 4;
/// Events that are one task, about: a constant, since results must not depend on the number of
/// threads.
const EVENTS: usize = 256;
/// Values that are set to zero at once.
const ZEROS: usize = 1 << 16;

/// Collects the work, then does it.
pub(super) struct Tasks<'a> {
    arch: Arch,
    /// Whether gradients add to what is there; they replace it otherwise.
    more: bool,
    /// Rows and columns of a weight that are one task: a large one reads derivatives less often. Gradients
    /// do not depend on them.
    piece: [usize; 2],
    tasks: Vec<Task<'a>>,
}

enum Task<'a> {
    Outer(Outer<'a>),
    /// `out` ← sums of the columns.
    Sums {
        out: &'a mut [f32],
        values: &'a [f32],
    },
}

impl<'a> Tasks<'a> {
    /// For `threads` threads.
    pub fn new(arch: Arch, more: bool, threads: usize) -> Self {
        let piece = if threads > FEW { [64, 64] } else { [256, COLUMNS] };
        Self { arch, more, piece, tasks: Vec::new() }
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
        let depth = depth(b.rows(), outputs);
        let [height, width] = self.piece;
        let mut biases = bias.chunks_mut(width);
        for (place, weight) in weight.chunks_mut(height * outputs).enumerate() {
            let a = inputs.columns(place * height, weight.len() / outputs);
            let pieces = cut_columns(weight, outputs, width).into_iter().enumerate();
            self.tasks.extend(pieces.map(|(place, out)| {
                let b = b.columns(place * width, out[0].len());
                // Those of the first rows add up the bias as well.
                Task::Outer(Outer { a, b, out, sums: biases.next(), depth, accumulate: self.more })
            }));
        }
    }

    /// The same into the next two of `into`: a weight and its bias.
    pub fn next_affine(
        &mut self,
        into: &mut impl Iterator<Item = &'a mut [f32]>,
        inputs: &'a [f32],
        slopes: &'a [f32],
    ) {
        if let (Some(weight), Some(bias)) = (into.next(), into.next()) {
            self.affine(weight, bias, inputs, slopes);
        }
    }

    /// Sums of the columns of `values`, `[R, out]`.
    pub fn sums(&mut self, out: &'a mut [f32], values: &'a [f32]) {
        self.tasks.push(Task::Sums { out, values });
    }

    pub fn run(self, threads: usize) {
        let (arch, accumulate) = (self.arch, self.more);
        run(threads, self.tasks, |task| match task {
            Task::Outer(outer) => outer.run(arch),
            Task::Sums { out, values: of } => {
                arch.dispatch(ColumnSums { values: of, sums: out, accumulate });
            }
        });
    }
}

/// The rows of a matrix of `width` columns, cut every `size`: the pieces that lie in the same columns
/// together.
pub(super) fn cut_columns(values: &mut [f32], width: usize, size: usize) -> Vec<Vec<&mut [f32]>> {
    let rows = values.len() / width;
    let mut all: Vec<_> = (0..width.div_ceil(size)).map(|_| Vec::with_capacity(rows)).collect();
    for row in values.chunks_exact_mut(width) {
        for (piece, pieces) in row.chunks_mut(size).zip(&mut all) {
            pieces.push(piece);
        }
    }
    all
}

/// Add the derivatives by embedded items, a row an event, to the rows of `out`, `[R, H]`, that they
/// sink to. Events are sorted by these rows and cut between them, so that every row is summed by
/// one task, always in the same order.
pub(in crate::dynamics) fn embedding(
    threads: usize,
    out: &mut [f32],
    hidden: usize,
    shards: &[Shard],
    slopes: &[f32],
) {
    let events = shards.iter().flat_map(|shard| &shard.events);
    let mut order: Vec<(usize, usize)> =
        events.enumerate().map(|(place, event)| (event.sink, place)).collect();
    order.sort_unstable();
    let (mut tasks, mut rest, mut passed) = (Vec::new(), out, 0);
    let mut events = order.as_slice();
    while !events.is_empty() {
        // A row is never shared between two tasks.
        let last = events[EVENTS.min(events.len()) - 1].0;
        let (here, others) = events.split_at(events.partition_point(|&(sink, _)| sink <= last));
        let first = here[0].0;
        let (_, from) = rest.split_at_mut((first - passed) * hidden);
        let (rows, after) = from.split_at_mut((last + 1 - first) * hidden);
        tasks.push((first, here, rows));
        (rest, passed, events) = (after, last + 1, others);
    }
    run(threads, tasks, |(first, events, rows)| {
        for &(sink, place) in events {
            let row = &mut rows[(sink - first) * hidden..][..hidden];
            let slope = &slopes[place * hidden..][..hidden];
            row.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += slope);
        }
    });
}

/// `values` ← 0.
pub(super) fn clear(threads: usize, values: &mut [f32]) {
    run(threads, values.chunks_mut(ZEROS).collect(), |values| values.fill(0.0));
}

/// Cut a buffer into the shards' pieces, `width` values for each of what `count` counts.
pub(in crate::dynamics) fn pieces<'a>(
    values: &'a mut [f32],
    shards: &[Shard],
    width: usize,
    count: impl Fn(&Shard) -> usize,
) -> std::vec::IntoIter<&'a mut [f32]> {
    split(values, shards.iter().map(|shard| count(shard) * width)).into_iter()
}
