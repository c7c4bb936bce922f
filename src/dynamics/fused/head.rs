//! Scores, cross entropy and their derivatives, for a few states at a time, so that the scores of
//! all of them are never there at once.

use pulp::Arch;

use super::gemm::{View, product, product_into};
use super::pool::{run, split};
use super::softmax::{ColumnSums, Exponentials, Part, Scale};

/// Items of a block of columns, and hidden units of a block of rows: constants, since results must
/// not depend on the number of threads.
const ITEMS: usize = 512;
const UNITS: usize = 32;
/// Scores held at once, about; and the states of a chunk, which they follow from.
const SCORES: usize = 1 << 19;
const STATES: std::ops::RangeInclusive<usize> = 64..=128;

/// Buffers, used again from step to step.
#[derive(Default)]
pub(super) struct Buffers {
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
}

impl Head<'_> {
    /// Mean cross entropy of `states`, `[Q, H]`, for Q ≥ 1 `targets`. `states` becomes the
    /// derivative by them; `by_weight` and `by_bias` are overwritten with the derivatives.
    pub fn loss(
        &self,
        buffers: &mut Buffers,
        states: &mut [f32],
        targets: &[usize],
        by_weight: &mut [f32],
        by_bias: &mut [f32],
    ) -> f64 {
        let chunk = (SCORES / self.bias.len()).clamp(*STATES.start(), *STATES.end());
        let weight = 1.0 / targets.len() as f32;
        let mut total = 0.0;
        let chunks = states.chunks_mut(chunk * self.hidden).zip(targets.chunks(chunk));
        for (place, (states, targets)) in chunks.enumerate() {
            let more = place > 0;
            total += self.chunk(buffers, states, targets, weight, by_weight, by_bias, more);
        }
        total / targets.len() as f64
    }

    /// Σ cross entropy of one chunk.
    #[expect(clippy::too_many_arguments, reason = "what `loss` is given, and what it adds")]
    fn chunk(
        &self,
        buffers: &mut Buffers,
        states: &mut [f32],
        targets: &[usize],
        weight: f32,
        by_weight: &mut [f32],
        by_bias: &mut [f32],
        accumulate: bool,
    ) -> f64 {
        let (hidden, items, count) = (self.hidden, self.bias.len(), targets.len());
        let blocks = items.div_ceil(ITEMS);
        let Buffers { scores, parts, by_state, totals } = buffers;
        scores.resize(scores.len().max(count * items), 0.0);
        parts.resize(parts.len().max(count * blocks), Part::default());
        by_state.resize(by_state.len().max(count * blocks * hidden), 0.0);
        let sizes = || (0..items).step_by(ITEMS).map(|first| ITEMS.min(items - first));
        // A tied head's gradient is cut by items, another's by hidden units.
        let (by_rows, by_units): (&mut [f32], &mut [f32]) =
            if self.tied { (by_weight, &mut []) } else { (&mut [], by_weight) };
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
                Block { first, scores, parts, by_state, by_bias, by_rows }
            })
            .collect();
        let seen: &[f32] = states;
        run(self.threads, work.iter_mut().collect(), |block| self.score(block, seen, targets));
        let loss = combine(&work, targets, weight, totals);
        run(self.threads, work.iter_mut().collect(), |block| {
            self.back(block, seen, targets, weight, totals, accumulate);
        });
        let tasks = by_units.chunks_mut(UNITS * items).enumerate().collect();
        run(self.threads, tasks, |(place, rows)| {
            let units = rows.len() / items;
            let states = View::new(seen, hidden).columns(place * UNITS, units).t();
            for block in &work {
                let slopes = View::new(block.scores, block.by_bias.len());
                product_into(rows, items, block.first, states, slopes, accumulate);
            }
        });
        states.fill(0.0);
        for block in &work {
            for (sum, part) in states.iter_mut().zip(&*block.by_state) {
                *sum += part;
            }
        }
        loss
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

    /// Scores of a block, and their exponentials in place.
    fn score(&self, block: &mut Block<'_>, states: &[f32], targets: &[usize]) {
        let weight = self.weight(block);
        product(block.scores, View::new(states, self.hidden), weight);
        let size = block.by_bias.len();
        let bias = &self.bias[block.first..][..size];
        let rows = block.scores.chunks_exact_mut(size).zip(&mut *block.parts).zip(targets);
        for ((scores, part), target) in rows {
            let here = target.checked_sub(block.first).filter(|&place| place < size);
            let right = here.map_or(0.0, |place| scores[place] + bias[place]);
            let (most, sum) = self.arch.dispatch(Exponentials { scores, bias });
            *part = Part { most, sum, right };
        }
    }

    /// Derivatives by a block's scores, and what follows from them.
    fn back(
        &self,
        block: &mut Block<'_>,
        states: &[f32],
        targets: &[usize],
        weight: f32,
        totals: &[(f32, f32)],
        accumulate: bool,
    ) {
        let size = block.by_bias.len();
        let rows = block.scores.chunks_exact_mut(size).zip(&*block.parts);
        for (((values, part), target), &(most, factor)) in rows.zip(targets).zip(totals) {
            let factor = factor * (part.most - most).exp();
            self.arch.dispatch(Scale { values, factor });
            if let Some(place) = target.checked_sub(block.first).filter(|&place| place < size) {
                values[place] -= weight;
            }
        }
        let (values, sums) = (&*block.scores, &mut *block.by_bias);
        self.arch.dispatch(ColumnSums { values, sums, accumulate });
        let slopes = View::new(block.scores, size);
        if self.tied {
            let states = View::new(states, self.hidden);
            product_into(block.by_rows, self.hidden, 0, slopes.t(), states, accumulate);
        }
        let weight = self.weight(block);
        product(block.by_state, slopes, weight.t());
    }
}

/// Put the blocks together: Σ cross entropy, and the totals of every row.
fn combine(
    blocks: &[Block<'_>],
    targets: &[usize],
    weight: f32,
    totals: &mut Vec<(f32, f32)>,
) -> f64 {
    totals.clear();
    let mut loss = 0.0;
    for (place, target) in targets.iter().enumerate() {
        let parts = || blocks.iter().map(|block| block.parts[place]);
        let most = parts().fold(f32::NEG_INFINITY, |most, part| most.max(part.most));
        let sum: f32 = parts().map(|part| part.sum * (part.most - most).exp()).sum();
        let right = blocks[target / ITEMS].parts[place].right;
        loss += f64::from(most) + f64::from(sum).ln() - f64::from(right);
        totals.push((most, weight / sum));
    }
    loss
}
