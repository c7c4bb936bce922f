//! The gradients of the weights, summed over shards in their order by tasks that are cut by
//! constants, so that they are the same whatever the number of threads.

use pulp::Arch;

use super::forward::Context;
use super::shard::{Kept, KeptBlock, Layout};
use super::weights::{Places, Weights};
use crate::dynamics::fused::gemm::{View, product_into};
use crate::dynamics::fused::pool;
use crate::dynamics::fused::softmax::ColumnSums;

/// Rows of a weight matrix that are one task.
const ROWS: usize = 32;

/// A wave that went forward and back.
pub(super) struct Wave<'a> {
    pub layouts: &'a [Layout],
    pub kept: &'a [Kept],
    /// Derivatives by the scored states, of every shard.
    pub scored: &'a [&'a [f32]],
    /// Derivatives by the embedded items, of every shard.
    pub by_embedded: &'a [&'a [f32]],
}

/// One piece of work: `out` is a part of a gradient.
enum Task<'a> {
    /// Σ aᵀ·b, dense.
    Product { out: &'a mut [f32], pieces: Vec<(View<'a>, View<'a>)> },
    /// Rows `first..` of a table of intervals: Σ sumsᵀ·b, each head's columns apart.
    Intervals { out: &'a mut [f32], first: usize, pieces: Vec<(&'a [f32], &'a [f32])> },
    /// Sums of the columns.
    Columns { out: &'a mut [f32], pieces: Vec<&'a [f32]> },
    /// A table of positions: rows of `width` values, of which those from `from` on are added to the
    /// row of the position.
    Positions {
        out: &'a mut [f32],
        width: usize,
        from: usize,
        pieces: Vec<(&'a [usize], &'a [f32])>,
    },
}

/// `into` ← the gradients of `wave`, or grows by them where there is `more` than this wave.
pub(super) fn gradients(
    context: &Context<'_>,
    threads: usize,
    wave: &Wave<'_>,
    into: &mut Weights<&mut [f32]>,
    more: bool,
) {
    let hidden = context.hidden;
    let mut tasks = Vec::new();
    match &mut into.places {
        Places::Added(table) => {
            let pieces = wave.layouts.iter().zip(wave.by_embedded);
            let pieces = pieces.map(|(layout, slopes)| (layout.positions.as_slice(), *slopes));
            let pieces = pieces.collect();
            tasks.push(Task::Positions { out: table, width: hidden, from: 0, pieces });
        }
        Places::Relative(tables) => {
            let each = |of: fn(&KeptBlock) -> (&[f32], &[f32])| -> Vec<_> {
                wave.kept.iter().flat_map(|kept| &kept.blocks).map(of).collect()
            };
            let by_key = each(|kept| (&kept.slopes, &kept.q));
            let by_value = each(|kept| (&kept.shares, &kept.by_mixed));
            for (table, pieces) in
                [(&mut tables.interval_key, by_key), (&mut tables.interval_value, by_value)]
            {
                for (place, out) in table.chunks_mut(ROWS * hidden).enumerate() {
                    let (first, pieces) = (place * ROWS, pieces.clone());
                    tasks.push(Task::Intervals { out, first, pieces });
                }
            }
            let shards = wave.layouts.iter().zip(wave.kept);
            let pieces: Vec<_> = shards
                .flat_map(|(layout, kept)| {
                    kept.blocks.iter().map(|kept| (layout.positions.as_slice(), &kept.by_kv[..]))
                })
                .collect();
            let width = 2 * hidden;
            let (out, of_keys) = (&mut *tables.position_key, pieces.clone());
            tasks.push(Task::Positions { out, width, from: 0, pieces: of_keys });
            let out = &mut *tables.position_value;
            tasks.push(Task::Positions { out, width, from: hidden, pieces });
        }
    }
    for (place, block) in into.blocks.iter_mut().enumerate() {
        let each = |of: fn(&KeptBlock) -> (&[f32], &[f32])| -> Vec<_> {
            wave.kept.iter().map(|kept| of(&kept.blocks[place])).collect()
        };
        for (weight, bias, pieces) in [
            (&mut block.query, &mut block.b_query, each(|of| (&of.normed, &of.by_q))),
            (&mut block.key_value, &mut block.b_key_value, each(|of| (&of.normed, &of.by_kv))),
            (&mut block.mix, &mut block.b_mix, each(|of| (&of.mixed, &of.by_mix))),
            (&mut block.up, &mut block.b_up, each(|of| (&of.normed_middle, &of.by_up))),
            (&mut block.down, &mut block.b_down, each(|of| (&of.active, &of.by_down))),
        ] {
            push_affine(&mut tasks, weight, bias, pieces);
        }
    }
    let pieces = wave.kept.iter().map(|kept| kept.normed.as_slice()).collect();
    tasks.push(Task::Columns { out: into.gain, pieces });
    tasks.push(Task::Columns { out: into.bias, pieces: wave.scored.to_vec() });
    pool::run(threads, tasks, |task| task.run(context.arch, [hidden, context.heads], more));
}

/// The gradients of x·W + b, from inputs, `[E, I]`, and derivatives by the outputs, `[E, O]`, of
/// every shard.
fn push_affine<'a>(
    tasks: &mut Vec<Task<'a>>,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
    pieces: Vec<(&'a [f32], &'a [f32])>,
) {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    for (place, out) in weight.chunks_mut(ROWS * outputs).enumerate() {
        let rows = out.len() / outputs;
        let view = |&(x, slopes): &(&'a [f32], &'a [f32])| {
            (View::new(x, inputs).columns(place * ROWS, rows).t(), View::new(slopes, outputs))
        };
        tasks.push(Task::Product { out, pieces: pieces.iter().map(view).collect() });
    }
    let pieces = pieces.into_iter().map(|(_, slopes)| slopes).collect();
    tasks.push(Task::Columns { out: bias, pieces });
}

impl Task<'_> {
    fn run(self, arch: Arch, [hidden, heads]: [usize; 2], more: bool) {
        match self {
            Self::Product { out, pieces } => {
                for (place, (a, b)) in pieces.into_iter().enumerate() {
                    product_into(out, b.cols(), 0, a, b, more || place > 0);
                }
            }
            Self::Intervals { out, first, pieces } => {
                let (rows, head) = (out.len() / hidden, hidden / heads);
                for (place, (sums, b)) in pieces.into_iter().enumerate() {
                    // Without events there is nothing to view, and nothing to add.
                    let events = b.len() / hidden;
                    let width = sums.len() / events.max(1);
                    if events == 0 {
                        if !more && place == 0 {
                            out.fill(0.0);
                        }
                        continue;
                    }
                    for number in 0..heads {
                        let from = number * (width / heads) + first;
                        let a = View::new(sums, width).columns(from, rows).t();
                        let b = View::new(b, hidden).columns(number * head, head);
                        product_into(out, hidden, number * head, a, b, more || place > 0);
                    }
                }
            }
            Self::Columns { out, pieces } => {
                for (place, values) in pieces.into_iter().enumerate() {
                    let accumulate = more || place > 0;
                    arch.dispatch(ColumnSums { values, sums: &mut *out, accumulate });
                }
            }
            Self::Positions { out, width, from, pieces } => {
                if !more {
                    out.fill(0.0);
                }
                for (positions, values) in pieces {
                    for (&position, values) in positions.iter().zip(values.chunks_exact(width)) {
                        let row = &mut out[position * hidden..][..hidden];
                        row.iter_mut().zip(&values[from..]).for_each(|(sum, value)| *sum += value);
                    }
                }
            }
        }
    }
}
