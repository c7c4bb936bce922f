//! Scores, cross entropy and their derivatives, for a few states at a time, so that the scores of
//! all of them are never there at once.

use pulp::Arch;

use self::cut::{ITEMS, Tile, next_chunk, tiles};
use super::beside::{Beside, Lifts};
use super::gemm::{View, product};
use super::pool::{run, split};
use super::scan::rows;
use super::softmax::{Exponentials, Part, Scale};
use crate::dynamics::excitation::FEATURES;
use crate::dynamics::packed::kernel;

mod cut;
mod own;

/// States whose derivatives one task puts together.
const SUMMED: usize = 32;

/// Buffers, used again from step to step.
#[derive(Default)]
pub(in crate::dynamics) struct Buffers {
    /// Scores of a chunk, then derivatives by them, block after block: `[blocks, C, ITEMS]`.
    scores: Vec<f32>,
    /// `[blocks, C]`.
    parts: Vec<Part>,
    /// Derivatives by the states from each block: `[blocks, C, H]`.
    by_state: Vec<f32>,
    /// Derivatives by the weights of what lifts the scores, from each block, `[blocks, C]`: for exponentials
    /// at first, see [`Head::back`]. Empty where nothing does.
    by_lift: Vec<[f32; FEATURES]>,
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

/// A tile with its pieces of the buffers.
struct Task<'a> {
    tile: &'a Tile,
    /// `[states, items]`.
    scores: &'a mut [f32],
    parts: &'a mut [Part],
    /// `[states, H]`.
    by_state: &'a mut [f32],
    by_lift: &'a mut [[f32; FEATURES]],
}

impl Buffers {
    /// Every tile with its pieces, the largest first.
    fn tasks<'a>(&'a mut self, tiles: &'a [Tile], hidden: usize) -> Vec<Task<'a>> {
        let states = || tiles.iter().map(|tile| tile.states.len());
        let lifted = if self.by_lift.is_empty() { 0 } else { 1 };
        let mut tasks: Vec<_> = split(&mut self.scores, tiles.iter().map(Tile::area))
            .into_iter()
            .zip(split(&mut self.parts, states()))
            .zip(split(&mut self.by_state, states().map(|states| states * hidden)))
            .zip(split(&mut self.by_lift, states().map(|states| states * lifted)))
            .zip(tiles)
            .map(|((((scores, parts), by_state), by_lift), tile)| Task {
                tile,
                scores,
                parts,
                by_state,
                by_lift,
            })
            .collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.tile.area()));
        tasks
    }
}

/// Room for `size` values; what is there already is not set to zero again from step to step.
fn grow(values: &mut Vec<f32>, size: usize) {
    values.resize(values.len().max(size), 0.0);
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
        let columns_count = apart.is_none();
        let (hidden, items, count) = (self.hidden, self.bias.len(), columns.len());
        let blocks = items.div_ceil(ITEMS);
        let lifted = lifts.is_some_and(Lifts::lift);
        grow(&mut buffers.scores, count * items);
        grow(&mut buffers.by_state, count * blocks * hidden);
        buffers.parts.resize(count * blocks, Part::default());
        buffers.by_lift.resize(if lifted { count * blocks } else { 0 }, [0.0; FEATURES]);
        let tiles = tiles([hidden, items], count, self.threads);
        let seen: &[f32] = states;
        run(self.threads, buffers.tasks(&tiles, hidden), |task| {
            self.score(task, seen, (columns, columns_count), lifts);
        });
        let loss = combine(&buffers.parts, columns, apart, weight, &mut buffers.totals);
        // What a right answer takes off the derivative by its column.
        let right = if columns_count { weight } else { 0.0 };
        let totals = std::mem::take(&mut buffers.totals);
        run(self.threads, buffers.tasks(&tiles, hidden), |task| {
            self.back(task, (columns, right), &totals, lifts);
        });
        buffers.totals = totals;
        self.own_gradients(&buffers.scores[..count * items], seen, sums);
        let share = SUMMED * hidden;
        run(self.threads, states.chunks_mut(share).enumerate().collect(), |(place, sums)| {
            sums.fill(0.0);
            for block in buffers.by_state.chunks_exact(count * hidden).take(blocks) {
                for (sum, part) in sums.iter_mut().zip(&block[place * share..]) {
                    *sum += part;
                }
            }
        });
        let mut by_lift = vec![[0.0; FEATURES]; if lifted { count } else { 0 }];
        for block in buffers.by_lift.chunks_exact(count) {
            for (sums, parts) in by_lift.iter_mut().zip(block) {
                sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
            }
        }
        (loss, by_lift)
    }

    /// The weights of a tile's items as `[H, items]`.
    fn weight(&self, &Tile { first, size, .. }: &Tile) -> View<'_> {
        if self.tied {
            View::new(&self.weight[first * self.hidden..][..size * self.hidden], self.hidden).t()
        } else {
            View::new(self.weight, self.bias.len()).columns(first, size)
        }
    }

    /// Scores of a tile, and their exponentials in place. Columns of `targets` are right answers,
    /// or are ignored.
    fn score(
        &self,
        task: Task<'_>,
        states: &[f32],
        (targets, count): (&[usize], bool),
        lifts: Option<&Lifts<'_>>,
    ) {
        let Task { tile, scores, parts, by_lift, .. } = task;
        let &Tile { first, size, states: ref here } = tile;
        let states = View::new(&states[rows(here, self.hidden)], self.hidden);
        product(scores, states, self.weight(tile));
        let bias = &self.bias[first..][..size];
        let each = scores.chunks_exact_mut(size).zip(parts).zip(&targets[here.clone()]);
        let mut kept = Vec::new();
        for (place, ((scores, part), target)) in each.enumerate() {
            let row = here.start + place;
            if let Some(lifts) = lifts {
                lifts.add(row, first, scores, &mut kept);
                for item in lifts.hidden(row, first, size) {
                    if item != *target {
                        scores[item - first] = IGNORED;
                    }
                }
            }
            let column = target.checked_sub(first).filter(|&column| column < size);
            let right = column.map_or(0.0, |column| scores[column] + bias[column]);
            if let (Some(column), false) = (column, count) {
                scores[column] = IGNORED;
            }
            let (most, sum) = kernel::run(self.arch, Exponentials { scores: &mut *scores, bias });
            *part = Part { most, sum, right };
            // While the features are at hand.
            let pull = |lifts: &Lifts<'_>| lifts.pull(row, first, scores, &kept);
            if let (Some(to), Some(pull)) = (by_lift.get_mut(place), lifts.and_then(pull)) {
                *to = pull;
            }
        }
    }

    /// Derivatives by a tile's scores, and by its states from them.
    fn back(
        &self,
        task: Task<'_>,
        (targets, right): (&[usize], f32),
        totals: &[(f32, f32)],
        lifts: Option<&Lifts<'_>>,
    ) {
        let Task { tile, scores, parts, by_state, by_lift } = task;
        let &Tile { first, size, states: ref here } = tile;
        let of = targets[here.clone()].iter().zip(&totals[here.clone()]);
        let each = scores.chunks_exact_mut(size).zip(parts).zip(of);
        for (place, ((values, part), (&target, &(most, factor)))) in each.enumerate() {
            let row = here.start + place;
            let factor = factor * (part.most - most).exp();
            self.arch.dispatch(Scale { values, factor });
            let mut lift = by_lift.get_mut(place);
            if let Some(sums) = &mut lift {
                sums.iter_mut().for_each(|sum| *sum *= factor);
            }
            let Some(column) = target.checked_sub(first).filter(|&column| column < size) else {
                continue;
            };
            values[column] -= right;
            let own = lifts.and_then(|lifts| lifts.features(row, target));
            if let (Some(sums), Some(own)) = (lift, own) {
                sums.iter_mut().zip(own).for_each(|(sum, own)| *sum -= right * own);
            }
        }
        product(by_state, View::new(scores, size), self.weight(tile).t());
    }
}

/// Put the blocks together: Σ cross entropy, and the totals of every row. Scores of right answers
/// that stand `apart` become the derivatives by them.
fn combine(
    all: &[Part],
    targets: &[usize],
    mut apart: Option<&mut [f32]>,
    weight: f32,
    totals: &mut Vec<(f32, f32)>,
) -> f64 {
    totals.clear();
    let mut loss = 0.0;
    for (place, target) in targets.iter().enumerate() {
        let parts = || all.iter().skip(place).step_by(targets.len());
        let own = apart.as_ref().map(|scores| scores[place]);
        let lowest = own.unwrap_or(f32::NEG_INFINITY);
        let most = parts().fold(lowest, |most, part| most.max(part.most));
        let others: f32 = parts().map(|part| part.sum * (part.most - most).exp()).sum();
        let sum = others + own.map_or(0.0, |own| (own - most).exp());
        let right = own.unwrap_or_else(|| all[target / ITEMS * targets.len() + place].right);
        loss += f64::from(most) + f64::from(sum).ln() - f64::from(right);
        totals.push((most, weight / sum));
        if let Some(scores) = &mut apart {
            // 1 − its share, without losing the digits of a share near 1.
            scores[place] = -weight * (others / sum);
        }
    }
    loss
}
