//! The gradients of a head's own weights: of all states at once, cut by items or by units.

use super::cut::{ITEMS, piece};
use super::{Head, Sums};
use crate::dynamics::fused::gemm::{View, product_into};
use crate::dynamics::fused::pool::{run, shares, split};
use crate::dynamics::fused::softmax::ColumnSums;

/// Hidden units of a block of rows, at most, for up to two threads and for more: the derivatives are
/// packed again for each. No sum depends on it.
const UNITS: [usize; 2] = [64, 32];
/// Items whose rows of a tied head's gradient are one task, at most.
const ROWS: usize = 256;
/// A task of the gradients by the head's own weights.
enum Own<'a> {
    /// Of units `first..` for all items: `[units, N]`.
    Units { first: usize, out: &'a mut [f32] },
    /// Of the items `first..` of the block for all units: `[items, H]`.
    Rows { block: Block<'a>, first: usize, out: &'a mut [f32] },
    /// Of the biases of a block.
    Bias { block: Block<'a>, out: &'a mut [f32] },
}

/// Derivatives by the scores of a block.
#[derive(Clone, Copy)]
struct Block<'a> {
    /// First item.
    first: usize,
    size: usize,
    /// `[C, size]`.
    slopes: &'a [f32],
}

/// The blocks of `slopes`, one after the other.
fn blocks(slopes: &[f32], items: usize, count: usize) -> impl Iterator<Item = Block<'_>> {
    (0..items).step_by(ITEMS).map(move |first| {
        let size = ITEMS.min(items - first);
        Block { first, size, slopes: &slopes[first * count..][..size * count] }
    })
}

impl Head<'_> {
    /// Let `sums` grow by the derivatives by the head's own weights, of those by the scores of `states`.
    pub(super) fn own_gradients(&self, slopes: &[f32], states: &[f32], sums: &mut Sums<'_>) {
        let (hidden, items) = (self.hidden, self.bias.len());
        let count = states.len() / hidden;
        let blocks = || blocks(slopes, items, count);
        let Sums { weight, bias, more: accumulate } = sums;
        let accumulate = *accumulate;
        let mut tasks = Vec::new();
        if self.tied {
            // A tied head's gradient is cut by items, another's by hidden units.
            for (block, rows) in blocks().zip(weight.chunks_mut(ITEMS * hidden)) {
                let shares: Vec<_> = shares(block.size, ROWS).collect();
                let rows = split(rows, shares.iter().map(|share| share.len() * hidden));
                let rows = shares.into_iter().zip(rows);
                tasks.extend(rows.map(|(share, out)| Own::Rows { block, first: share.start, out }));
            }
        } else {
            let most = UNITS[usize::from(self.threads > 2)];
            // Even shares, none of [`FEW`].
            let shares: Vec<_> = shares(hidden, most).collect();
            let units = split(weight, shares.iter().map(|share| share.len() * items));
            let units = shares.into_iter().zip(units);
            tasks.extend(units.map(|(share, out)| Own::Units { first: share.start, out }));
        }
        let bias = blocks().zip(bias.chunks_mut(ITEMS));
        tasks.extend(bias.map(|(block, out)| Own::Bias { block, out }));
        run(self.threads, tasks, |task| match task {
            Own::Units { first, out } => {
                for block in blocks() {
                    self.pieces(states, block, |states, slopes, more| {
                        let states = states.columns(first, out.len() / items).t();
                        product_into(out, items, block.first, states, slopes, accumulate || more);
                    });
                }
            }
            Own::Rows { block, first, out } => {
                self.pieces(states, block, |states, slopes, more| {
                    let slopes = slopes.columns(first, out.len() / hidden).t();
                    product_into(out, hidden, 0, slopes, states, accumulate || more);
                });
            }
            Own::Bias { block, out } => {
                self.arch.dispatch(ColumnSums { values: block.slopes, sums: out, accumulate });
            }
        });
    }

    /// Do `each` with the states and the derivatives by a block's scores of every piece, `[S, H]` and
    /// `[S, items]`, and whether another came before.
    fn pieces(
        &self,
        states: &[f32],
        block: Block<'_>,
        mut each: impl FnMut(View<'_>, View<'_>, bool),
    ) {
        let piece = piece(self.bias.len());
        let states = states.chunks(piece * self.hidden);
        let slopes = block.slopes.chunks(piece * block.size);
        for (place, (states, slopes)) in states.zip(slopes).enumerate() {
            each(View::new(states, self.hidden), View::new(slopes, block.size), place > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut::FEW;
    use super::*;

    #[test]
    fn no_share_of_the_units_has_few() {
        for (hidden, most) in (4..=1024).flat_map(|hidden| UNITS.map(|most| (hidden, most))) {
            assert!(shares(hidden, most).all(|share| share.len() > FEW), "{hidden} by {most}");
        }
    }
}
