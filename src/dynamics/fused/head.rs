//! Scores, cross entropy and their derivatives, for a few states at a time, so that the scores of
//! all of them are never there at once.

use pulp::Arch;

use super::beside::{Beside, Lifts};
use super::gemm::{View, product, product_into};
use super::pool::{run, shares, split};
use super::softmax::{ColumnSums, Exponentials, Part, Scale};
use crate::dynamics::excitation::FEATURES;
use crate::dynamics::packed::kernel;

/// Items of a block of columns: a constant, since results must not depend on the number of threads.
const ITEMS: usize = 512;
/// Hidden units of a block of rows, at most, for up to two threads and for more: the derivatives are
/// packed again for each. No sum depends on it.
const UNITS: [usize; 2] = [64, 32];
/// Scores of a piece, about, and its states: their part of the gradients is summed before it is added.
const PIECE: usize = 1 << 19;
const STATES: std::ops::RangeInclusive<usize> = 64..=128;
/// Scores held at once, about, and pieces that these may be of: the weights are packed once for all of
/// them.
const SCORES: usize = 1 << 21;
const PIECES: usize = 4;
/// States whose derivatives one task puts together.
const SUMMED: usize = 32;
/// So few states are left to themselves, and so few units are no share: `gemm` sums the products of so few
/// rows in another order, and results must not depend on how many go together.
const FEW: usize = 2;

/// Buffers, used again from step to step.
#[derive(Default)]
pub(in crate::dynamics) struct Buffers {
    /// Scores of a chunk, then derivatives by them, block after block: `[blocks, C, ITEMS]`.
    scores: Vec<f32>,
    /// `[blocks, C]`.
    parts: Vec<Part>,
    /// Derivatives by the states from each block: `[blocks, C, H]`.
    by_state: Vec<f32>,
    /// Of each row: largest score, and weight / Σ e^(score − most).
    totals: Vec<(f32, f32)>,
}

/// The head's weights.
pub(super) struct Head<'a> {
    pub arch: Arch,
    pub threads: usize,
    pub hidden: usize,
    /// `[H, N]`, or the embedding's rows of the items where the head is tied, `[N, H]`.
    pub weight: &'a [f32],
    pub tied: bool,
    /// `[N]`.
    pub bias: &'a [f32],
}

/// One block of items.
struct Block<'a> {
    /// First item.
    first: usize,
    /// `[C, items]`.
    scores: &'a mut [f32],
    parts: &'a mut [Part],
    by_state: &'a mut [f32],
    by_bias: &'a mut [f32],
    /// `[items, H]`; empty where the head is not tied.
    by_rows: &'a mut [f32],
    /// Derivatives by the weights of what lifts the scores, of each state: for exponentials at first,
    /// see [`Head::back`]. Empty where nothing does.
    by_lift: Vec<[f32; FEATURES]>,
}

/// The right answers of the scored states.
pub(super) struct Answers<'a> {
    /// Column of each; or, where they are scored apart, the column that repeats it and so does not
    /// count, [`NO_COLUMN`] where none does.
    pub columns: &'a [usize],
    /// Scores of right answers that are no columns of the weights; become the derivatives by them.
    pub apart: Option<&'a mut [f32]>,
}

/// See [`Answers::columns`].
pub(super) const NO_COLUMN: usize = usize::MAX;

/// The score of a column that does not count: e to it is 0 beside any other.
const IGNORED: f32 = -1e30;

/// The derivatives that a head adds up.
pub(super) struct Sums<'a> {
    /// As the weight.
    pub weight: &'a mut [f32],
    /// `[N]`.
    pub bias: &'a mut [f32],
    /// Whether they hold sums already; they are overwritten otherwise.
    pub more: bool,
}

/// States of a piece, of a head over so many items.
fn piece(items: usize) -> usize {
    (PIECE / items).clamp(*STATES.start(), *STATES.end())
}

/// States of the next chunk, where so many are left.
fn next_chunk(items: usize, left: usize) -> usize {
    let piece = piece(items);
    let most = piece * (SCORES / (piece * items)).clamp(1, PIECES);
    let few = left % piece;
    let rest = if few > 0 && few <= FEW && left > few { left - few } else { left };
    rest.min(most)
}

impl Head<'_> {
    /// Σ cross entropy of `states`, `[Q, H]`, in nats. `states` becomes the derivative of `weight`
    /// times it by them, and `sums` grows by that by the head's own weights.
    pub fn loss(
        &self,
        buffers: &mut Buffers,
        mut states: &mut [f32],
        answers: Answers<'_>,
        weight: f32,
        sums: &mut Sums<'_>,
        mut beside: Option<&mut Beside<'_>>,
    ) -> f64 {
        let Answers { columns, mut apart } = answers;
        let mut total = 0.0;
        let mut first = 0;
        while first < columns.len() {
            let count = next_chunk(self.bias.len(), columns.len() - first);
            let range = first..first + count;
            first = range.end;
            let Some(states) = states.split_off_mut(..count * self.hidden) else { break };
            let apart = apart.as_mut().and_then(|apart| apart.split_off_mut(..count));
            let answers = Answers { columns: &columns[range.clone()], apart };
            let lifts = beside.as_ref().map(|beside| beside.lifts(self.threads, range.clone()));
            let (loss, by_lift) =
                self.chunk(buffers, states, answers, weight, sums, lifts.as_ref());
            total += loss;
            if let Some(beside) = &mut beside {
                beside.back(range, &by_lift);
            }
            sums.more = true;
        }
        total
    }

    /// Σ cross entropy of one chunk, and the derivatives by what lifts its scores.
    fn chunk(
        &self,
        buffers: &mut Buffers,
        states: &mut [f32],
        answers: Answers<'_>,
        weight: f32,
        sums: &mut Sums<'_>,
        lifts: Option<&Lifts<'_>>,
    ) -> (f64, Vec<[f32; FEATURES]>) {
        let Answers { columns, apart } = answers;
        let Sums { weight: by_weight, bias: by_bias, more: accumulate } = sums;
        let accumulate = *accumulate;
        let columns_count = apart.is_none();
        let (hidden, items, count) = (self.hidden, self.bias.len(), columns.len());
        let blocks = items.div_ceil(ITEMS);
        let Buffers { scores, parts, by_state, totals } = buffers;
        scores.resize(scores.len().max(count * items), 0.0);
        parts.resize(parts.len().max(count * blocks), Part::default());
        by_state.resize(by_state.len().max(count * blocks * hidden), 0.0);
        let sizes = || (0..items).step_by(ITEMS).map(|first| ITEMS.min(items - first));
        // A tied head's gradient is cut by items, another's by hidden units.
        let (by_rows, by_units): (&mut [f32], &mut [f32]) =
            if self.tied { (&mut **by_weight, &mut []) } else { (&mut [], &mut **by_weight) };
        let width = if self.tied { hidden } else { 0 };
        let by_rows = split(by_rows, sizes().map(|size| size * width));
        let mut work: Vec<Block<'_>> = split(scores, sizes().map(|size| count * size))
            .into_iter()
            .zip(parts.chunks_exact_mut(count))
            .zip(by_state.chunks_exact_mut(count * hidden))
            .zip(by_bias.chunks_mut(ITEMS))
            .zip(by_rows)
            .enumerate()
            .map(|(place, ((((scores, parts), by_state), by_bias), by_rows))| {
                let first = place * ITEMS;
                Block { first, scores, parts, by_state, by_bias, by_rows, by_lift: Vec::new() }
            })
            .collect();
        let seen: &[f32] = states;
        run(self.threads, work.iter_mut().collect(), |block| {
            self.score(block, seen, (columns, columns_count), lifts);
        });
        let loss = combine(&work, columns, apart, weight, totals);
        // What a right answer takes off the derivative by its column.
        let right = if columns_count { weight } else { 0.0 };
        run(self.threads, work.iter_mut().collect(), |block| {
            self.back(block, seen, (columns, right), totals, accumulate, lifts);
        });
        let most = UNITS[usize::from(self.threads > 2)];
        // Even shares, none of [`FEW`].
        let units: Vec<_> = shares(by_units.len() / items, most).collect();
        let rows = split(by_units, units.iter().map(|units| units.len() * items));
        run(self.threads, units.into_iter().zip(rows).collect(), |(units, rows)| {
            for block in &work {
                self.pieces(seen, block, |states, slopes, more| {
                    let states = states.columns(units.start, units.len()).t();
                    product_into(rows, items, block.first, states, slopes, accumulate || more);
                });
            }
        });
        let share = SUMMED * hidden;
        run(self.threads, states.chunks_mut(share).enumerate().collect(), |(place, sums)| {
            sums.fill(0.0);
            for block in &work {
                for (sum, part) in sums.iter_mut().zip(&block.by_state[place * share..]) {
                    *sum += part;
                }
            }
        });
        let mut by_lift = Vec::new();
        for block in &work {
            by_lift.resize(block.by_lift.len(), [0.0; FEATURES]);
            for (sums, parts) in by_lift.iter_mut().zip(&block.by_lift) {
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        }
        (loss, by_lift)
    }

    /// Do `each` with the states and the derivatives by a block's scores of every piece, `[S, H]` and
    /// `[S, items]`, and whether another came before.
    fn pieces(
        &self,
        states: &[f32],
        block: &Block<'_>,
        mut each: impl FnMut(View<'_>, View<'_>, bool),
    ) {
        let (size, piece) = (block.by_bias.len(), piece(self.bias.len()));
        let states = states.chunks(piece * self.hidden);
        for (place, (states, slopes)) in states.zip(block.scores.chunks(piece * size)).enumerate() {
            each(View::new(states, self.hidden), View::new(slopes, size), place > 0);
        }
    }

    /// The block's weights as `[H, items]`.
    fn weight(&self, block: &Block<'_>) -> View<'_> {
        let size = block.by_bias.len();
        if self.tied {
            View::new(&self.weight[block.first * self.hidden..][..size * self.hidden], self.hidden)
                .t()
        } else {
            View::new(self.weight, self.bias.len()).columns(block.first, size)
        }
    }

    /// Scores of a block, and their exponentials in place. Columns of `targets` are right answers,
    /// or are ignored.
    fn score(
        &self,
        block: &mut Block<'_>,
        states: &[f32],
        (targets, count): (&[usize], bool),
        lifts: Option<&Lifts<'_>>,
    ) {
        let weight = self.weight(block);
        product(block.scores, View::new(states, self.hidden), weight);
        let size = block.by_bias.len();
        let bias = &self.bias[block.first..][..size];
        let rows = block.scores.chunks_exact_mut(size).zip(&mut *block.parts).zip(targets);
        let mut kept = Vec::new();
        for (row, ((scores, part), target)) in rows.enumerate() {
            if let Some(lifts) = lifts {
                lifts.add(row, block.first, scores, &mut kept);
                for item in lifts.hidden(row, block.first, size) {
                    if item != *target {
                        scores[item - block.first] = IGNORED;
                    }
                }
            }
            let here = target.checked_sub(block.first).filter(|&place| place < size);
            let right = here.map_or(0.0, |place| scores[place] + bias[place]);
            if let (Some(place), false) = (here, count) {
                scores[place] = IGNORED;
            }
            let (most, sum) = kernel::run(self.arch, Exponentials { scores: &mut *scores, bias });
            *part = Part { most, sum, right };
            // While the features are at hand.
            let pull = |lifts: &Lifts<'_>| lifts.pull(row, block.first, scores, &kept);
            block.by_lift.extend(lifts.and_then(pull));
        }
    }

    /// Derivatives by a block's scores, and what follows from them.
    fn back(
        &self,
        block: &mut Block<'_>,
        states: &[f32],
        (targets, right): (&[usize], f32),
        totals: &[(f32, f32)],
        accumulate: bool,
        lifts: Option<&Lifts<'_>>,
    ) {
        let size = block.by_bias.len();
        let rows = block.scores.chunks_exact_mut(size).zip(&*block.parts).zip(targets).zip(totals);
        for (row, (((values, part), &target), &(most, factor))) in rows.enumerate() {
            let factor = factor * (part.most - most).exp();
            self.arch.dispatch(Scale { values, factor });
            let mut lift = block.by_lift.get_mut(row);
            if let Some(sums) = &mut lift {
                sums.iter_mut().for_each(|sum| *sum *= factor);
            }
            let Some(place) = target.checked_sub(block.first).filter(|&place| place < size) else {
                continue;
            };
            values[place] -= right;
            let own = lifts.and_then(|lifts| lifts.features(row, target));
            if let (Some(sums), Some(own)) = (lift, own) {
                sums.iter_mut().zip(own).for_each(|(sum, own)| *sum -= right * own);
            }
        }
        let (values, sums) = (&*block.scores, &mut *block.by_bias);
        self.arch.dispatch(ColumnSums { values, sums, accumulate });
        if self.tied {
            let by_rows = std::mem::take(&mut block.by_rows);
            self.pieces(states, block, |states, slopes, more| {
                product_into(by_rows, self.hidden, 0, slopes.t(), states, accumulate || more);
            });
        }
        let weight = self.weight(block);
        product(block.by_state, View::new(block.scores, size), weight.t());
    }
}

/// Put the blocks together: Σ cross entropy, and the totals of every row. Scores of right answers
/// that stand `apart` become the derivatives by them.
fn combine(
    blocks: &[Block<'_>],
    targets: &[usize],
    mut apart: Option<&mut [f32]>,
    weight: f32,
    totals: &mut Vec<(f32, f32)>,
) -> f64 {
    totals.clear();
    let mut loss = 0.0;
    for (place, target) in targets.iter().enumerate() {
        let parts = || blocks.iter().map(|block| block.parts[place]);
        let own = apart.as_ref().map(|scores| scores[place]);
        let lowest = own.unwrap_or(f32::NEG_INFINITY);
        let most = parts().fold(lowest, |most, part| most.max(part.most));
        let others: f32 = parts().map(|part| part.sum * (part.most - most).exp()).sum();
        let sum = others + own.map_or(0.0, |own| (own - most).exp());
        let right = own.unwrap_or_else(|| blocks[target / ITEMS].parts[place].right);
        loss += f64::from(most) + f64::from(sum).ln() - f64::from(right);
        totals.push((most, weight / sum));
        if let Some(scores) = &mut apart {
            // 1 − its share, without losing the digits of a share near 1.
            scores[place] = -weight * (others / sum);
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_share_of_the_units_has_few() {
        for (hidden, most) in (4..=1024).flat_map(|hidden| UNITS.map(|most| (hidden, most))) {
            assert!(shares(hidden, most).all(|share| share.len() > FEW), "{hidden} by {most}");
        }
    }

    #[test]
    fn chunks_are_whole_pieces_but_for_the_last_and_few_states_are_left_to_themselves() {
        for items in [1, 500, 3707, 9674, 1_000_000] {
            for count in (1..700).chain([64 * 40 + 2]) {
                let (mut left, mut cut) = (count, Vec::new());
                while left > 0 {
                    cut.push(next_chunk(items, left));
                    left -= next_chunk(items, left);
                }
                let (last, whole) = cut.split_last().unwrap();
                let few = count % piece(items);
                let before = if (1..=FEW).contains(&few) {
                    assert_eq!(*last, few, "{items} items, {count} states");
                    whole
                } else {
                    &cut
                };
                let odd = before.iter().filter(|&&size| size % piece(items) > 0).count();
                assert!(odd <= 1 && cut.iter().all(|size| size * items <= SCORES.max(64 * items)));
            }
        }
    }
}
