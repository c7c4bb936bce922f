//! The sampled softmax: cross entropy against a few items that stand for a large catalogue, with
//! gradients for the rows in use alone.
//!
//! Scores of the drawn items are lowered by the logarithm of how often they are expected, so that
//! their sum stands for that over all items (Bengio & Senécal 2008); the right answer is always
//! there, and counts once (Jean et al. 2015).

use super::Dropout;
use super::head::{self, Answers, NO_COLUMN, Sums};
use super::plan::{self, Shard};
use super::pool::run;
use super::step::{Fused, Scoring, count_targets, drop_out};
use super::weights::Named;
use crate::dynamics::batch::Batch;

/// States whose right answers are scored by one task.
const STATES: usize = 64;

/// Items drawn for one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Negatives {
    /// Dense indices, sorted, each once.
    pub items: Vec<u32>,
    /// ln of the probability that the item is among those drawn.
    pub log_expected: Vec<f32>,
}

/// Gradients of a step that touches a few rows of the item matrices.
#[derive(Debug, Default)]
pub struct SparseGradients {
    /// One list a parameter; those of the item matrices (embedding, head, head's bias) are empty.
    pub dense: Vec<Vec<f32>>,
    /// Rows of the embedding that have a gradient, sorted, T of them: item i is row i + 1.
    pub rows: Vec<u32>,
    /// `[T, H]`: by these rows of the embedding.
    pub embedding: Vec<f32>,
    /// `[T, H]`: by these items' columns of the head; empty where it is tied.
    pub head: Vec<f32>,
    /// `[T]`: by the items' biases.
    pub bias: Vec<f32>,
}

/// Place of an embedding row among the sorted `rows`, where `collect` has put every row of the step.
fn place(rows: &[u32], row: usize) -> usize {
    rows.partition_point(|&other| (other as usize) < row)
}

impl Fused {
    /// Mean sampled cross entropy, in nats, over all positions of `batch` that are scored and have a
    /// target, and its gradients; see [`Self::loss_and_gradients`].
    ///
    /// # Panics
    /// Where weights, masks, items or negatives are not of this model and batch, or nothing was drawn.
    pub fn loss_and_sparse_gradients(
        &mut self,
        weights: &[Vec<f32>],
        batch: &Batch,
        dropout: Option<&Dropout>,
        negatives: &Negatives,
        gradients: &mut SparseGradients,
    ) -> f64 {
        let (threads, hidden, items) = (self.threads, self.settings.hidden, self.items);
        assert!(!negatives.items.is_empty(), "items that stand for the catalogue");
        assert_eq!(negatives.items.len(), negatives.log_expected.len(), "one probability an item");
        let named = Named::new(&self.settings, weights.iter().map(Vec::as_slice));
        let tied = named.head.is_none();
        let mut shards = plan::shards(&self.settings, batch);
        let count = count_targets(&shards, items);
        collect(&mut shards, negatives, gradients);
        let touched = gradients.rows.len();
        let zeroed = |values: &mut Vec<f32>, size: usize| {
            values.clear();
            values.resize(size, 0.0);
        };
        zeroed(&mut gradients.embedding, touched * hidden);
        zeroed(&mut gradients.head, if tied { 0 } else { touched * hidden });
        zeroed(&mut gradients.bias, touched);
        let last = weights.len() - 1;
        let of_items = |place: usize| place == 0 || place == last || (!tied && place + 1 == last);
        gradients.dense.resize(weights.len(), Vec::new());
        for (place, (dense, weight)) in gradients.dense.iter_mut().zip(weights).enumerate() {
            zeroed(dense, if of_items(place) { 0 } else { weight.len() });
        }
        if count == 0 {
            return 0.0;
        }
        let rows = Rows { named: &named, hidden, items };
        let (mut columns, mut bias) = (vec![0.0; negatives.items.len() * hidden], Vec::new());
        for (to, &item) in columns.chunks_exact_mut(hidden).zip(&negatives.items) {
            rows.copy(item as usize, to);
        }
        for (&item, log_expected) in negatives.items.iter().zip(&negatives.log_expected) {
            bias.push(named.head_bias[item as usize] - log_expected);
        }
        let drawn: Vec<usize> =
            negatives.items.iter().map(|&item| place(&gradients.rows, item as usize + 1)).collect();
        let SparseGradients { dense, rows: touched, embedding, head, bias: by_bias } = gradients;
        let into = Named::new(&self.settings, dense.iter_mut().map(Vec::as_mut_slice));
        let mut scoring = Sampled {
            head: head::Head {
                arch: self.arch,
                threads,
                hidden,
                weight: &columns,
                tied: true,
                bias: &bias,
            },
            rows: &rows,
            masks: self.state_masks(dropout),
            weight: 1.0 / count as f32,
            negatives,
            touched,
            by_columns: vec![0.0; columns.len()],
            by_column_bias: vec![0.0; bias.len()],
            embedding,
            by_head: if tied { None } else { Some(head) },
            by_bias,
            states: Vec::new(),
        };
        let loss = self.scan(&named, batch, dropout, &shards, into.inner, &mut scoring);
        scoring.put_back(&drawn);
        loss / count as f64
    }
}

/// Find out which rows the step touches, and point its events at them.
fn collect(shards: &mut [Shard], negatives: &Negatives, gradients: &mut SparseGradients) {
    let rows = &mut gradients.rows;
    rows.clear();
    rows.extend(negatives.items.iter().map(|item| item + 1));
    for shard in &*shards {
        rows.extend(shard.events.iter().map(|event| event.item as u32));
        rows.extend(shard.scored.iter().map(|scored| scored.target as u32 + 1));
    }
    rows.sort_unstable();
    rows.dedup();
    for event in shards.iter_mut().flat_map(|shard| &mut shard.events) {
        event.sink = place(rows, event.item);
    }
}

/// The head's weights, an item at a time.
struct Rows<'a> {
    named: &'a Named<&'a [f32]>,
    hidden: usize,
    items: usize,
}

impl Rows<'_> {
    /// The weights of `item`, `[H]`.
    fn copy(&self, item: usize, to: &mut [f32]) {
        match self.named.head {
            Some(head) => {
                let column = head[item..].iter().step_by(self.items);
                to.iter_mut().zip(column).for_each(|(to, from)| *to = *from);
            }
            None => {
                to.copy_from_slice(&self.named.embedding[(item + 1) * self.hidden..][..self.hidden])
            }
        }
    }
}

/// The drawn items and each state's right answer are scored.
struct Sampled<'a> {
    /// Over the drawn items, as if tied to them.
    head: head::Head<'a>,
    rows: &'a Rows<'a>,
    /// See [`drop_out`].
    masks: Option<&'a [f32]>,
    /// Of one state in the mean.
    weight: f32,
    negatives: &'a Negatives,
    /// Rows that have a gradient.
    touched: &'a [u32],
    /// Derivatives by the drawn items' weights and biases.
    by_columns: Vec<f32>,
    by_column_bias: Vec<f32>,
    /// `[T, H]`, `[T, H]` and `[T]`.
    embedding: &'a mut [f32],
    by_head: Option<&'a mut [f32]>,
    by_bias: &'a mut [f32],
    /// States before they become derivatives.
    states: Vec<f32>,
}

impl Scoring for Sampled<'_> {
    fn score(
        &mut self,
        buffers: &mut head::Buffers,
        states: &mut [f32],
        wave: &[Shard],
        more: bool,
    ) -> f64 {
        let (hidden, threads) = (self.head.hidden, self.head.threads);
        drop_out(states, self.masks, wave);
        let targets: Vec<usize> =
            wave.iter().flat_map(|shard| &shard.scored).map(|scored| scored.target).collect();
        let drawn = &self.negatives.items;
        let columns: Vec<usize> = targets
            .iter()
            .map(|&target| drawn.binary_search(&(target as u32)).unwrap_or(NO_COLUMN))
            .collect();
        self.states.clear();
        self.states.extend_from_slice(states);
        let mut answers = vec![0.0; targets.len() * hidden];
        let mut scores = vec![0.0; targets.len()];
        let tasks = answers
            .chunks_mut(STATES * hidden)
            .zip(scores.chunks_mut(STATES))
            .zip(states.chunks(STATES * hidden))
            .zip(targets.chunks(STATES));
        run(threads, tasks.collect(), |(((answers, scores), states), targets)| {
            let rows = answers.chunks_exact_mut(hidden).zip(states.chunks_exact(hidden));
            for (((answer, state), score), &target) in rows.zip(scores).zip(targets) {
                self.rows.copy(target, answer);
                let dot: f32 = answer.iter().zip(state).map(|(a, b)| a * b).sum();
                *score = dot + self.rows.named.head_bias[target];
            }
        });
        let mut sums = Sums { weight: &mut self.by_columns, bias: &mut self.by_column_bias, more };
        let given = Answers { columns: &columns, apart: Some(&mut scores) };
        let loss = self.head.loss(buffers, states, given, self.weight, &mut sums, None);
        let by_head = self.by_head.as_deref_mut().unwrap_or(self.embedding);
        let each = states.chunks_exact_mut(hidden).zip(self.states.chunks_exact(hidden));
        for (((by_state, state), answer), (&slope, &target)) in
            each.zip(answers.chunks_exact(hidden)).zip(scores.iter().zip(&targets))
        {
            by_state.iter_mut().zip(answer).for_each(|(sum, w)| *sum += slope * w);
            let place = place(self.touched, target + 1);
            let row = &mut by_head[place * hidden..][..hidden];
            row.iter_mut().zip(state).for_each(|(sum, h)| *sum += slope * h);
            self.by_bias[place] += slope;
        }
        drop_out(states, self.masks, wave);
        loss
    }

    fn embedding(&mut self) -> &mut [f32] {
        self.embedding
    }
}

impl Sampled<'_> {
    /// Add the derivatives by the drawn items' weights to the rows at `places`.
    fn put_back(self, places: &[usize]) {
        let hidden = self.head.hidden;
        let by_head = self.by_head.unwrap_or(self.embedding);
        let columns = self.by_columns.chunks_exact(hidden).zip(self.by_column_bias);
        for ((column, bias), &place) in columns.zip(places) {
            let row = &mut by_head[place * hidden..][..hidden];
            row.iter_mut().zip(column).for_each(|(sum, slope)| *sum += slope);
            self.by_bias[place] += bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::fused::{FusedAdam, Update};
    use crate::dynamics::parameters;
    use crate::dynamics::warp::TimeWarp;
    use crate::settings::{Head, ModelSettings, Solver, Targets};

    const DAY: i64 = 86_400_000;
    const ITEMS: usize = 30;

    fn settings(head: Head) -> ModelSettings {
        ModelSettings {
            solver: Solver::Rk4,
            hidden: 6,
            head,
            targets: Targets::All,
            ..Default::default()
        }
    }

    fn batch() -> Batch {
        let mut batch = Batch::empty(20, 5);
        for row in 0..20usize {
            let items: Vec<u32> =
                (0..1 + row % 5).map(|place| ((row * 7 + place * 3) % 11) as u32).collect();
            let times: Vec<i64> = (0..items.len() as i64).map(|place| place * 3 * DAY).collect();
            batch.put(row, &items, &times, 30 * DAY, Some((row % 13) as u32), TimeWarp::LINEAR);
        }
        batch
    }

    fn weights(settings: &ModelSettings) -> Vec<Vec<f32>> {
        parameters::initial(settings, ITEMS, 4).into_iter().map(|one| one.values).collect()
    }

    /// All items, each drawn for certain: then the sampled loss is the whole one.
    fn everything() -> Negatives {
        Negatives { items: (0..ITEMS as u32).collect(), log_expected: vec![0.0; ITEMS] }
    }

    fn dense(
        sparse: &SparseGradients,
        settings: &ModelSettings,
        like: &[Vec<f32>],
    ) -> Vec<Vec<f32>> {
        let mut all: Vec<Vec<f32>> = like.iter().map(|one| vec![0.0; one.len()]).collect();
        let hidden = settings.hidden;
        let last = like.len() - 1;
        for (place, values) in
            sparse.dense.iter().enumerate().filter(|(_, values)| !values.is_empty())
        {
            all[place].copy_from_slice(values);
        }
        for (t, &row) in sparse.rows.iter().enumerate() {
            let row = row as usize;
            all[0][row * hidden..][..hidden]
                .copy_from_slice(&sparse.embedding[t * hidden..][..hidden]);
            all[last][row - 1] = sparse.bias[t];
            if settings.head == Head::Linear {
                for unit in 0..hidden {
                    all[last - 1][unit * ITEMS + row - 1] = sparse.head[t * hidden + unit];
                }
            }
        }
        all
    }

    fn close(ours: &[Vec<f32>], theirs: &[Vec<f32>]) {
        for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 2e-6 + 1e-4 * b.abs(), "parameter {place}: {a} {b}");
            }
        }
    }

    #[test]
    fn with_every_item_drawn_it_is_the_whole_softmax() {
        for head in [Head::Linear, Head::Tied] {
            let settings = settings(head);
            let weights = weights(&settings);
            let mut fused = Fused::new(&settings, ITEMS, 2);
            let mut whole: Vec<Vec<f32>> = weights.iter().map(|one| vec![0.0; one.len()]).collect();
            let expected = fused.loss_and_gradients(&weights, &batch(), None, &mut whole);
            let mut sparse = SparseGradients::default();
            let loss = fused.loss_and_sparse_gradients(
                &weights,
                &batch(),
                None,
                &everything(),
                &mut sparse,
            );
            assert!((loss - expected).abs() < 1e-6 * expected, "{loss} {expected}");
            close(&dense(&sparse, &settings, &weights), &whole);
            let how = Update { learning_rate: 1e-2, weight_decay: 0.01, clip_norm: 0.5 };
            let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
            let (mut all, mut few) = (weights.clone(), weights.clone());
            let norm = FusedAdam::new(&sizes).step(&mut all, &whole, how, 2);
            let sparse_norm = FusedAdam::new(&sizes).step_sparse(&mut few, &sparse, how, 2);
            assert!((norm - sparse_norm).abs() < 1e-4 * norm);
            // Padding has no gradient, and weight decay reaches it only in the dense step.
            few[0][..settings.hidden].copy_from_slice(&all[0][..settings.hidden]);
            for ((all, few), gradient) in all.iter().zip(&few).zip(&whole) {
                // Adam's first step has the sign of the gradient, also of one that is all but 0.
                let told = gradient.iter().map(|gradient| gradient.abs() > 1e-5);
                for ((a, b), told) in all.iter().zip(few).zip(told) {
                    assert!(!told || (a - b).abs() < 1e-4, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn gradients_are_those_of_the_sampled_loss() {
        for head in [Head::Linear, Head::Tied] {
            let settings = settings(head);
            let weights = weights(&settings);
            let negatives = Negatives {
                items: vec![1, 2, 12, 20, 29],
                log_expected: vec![-0.1, -0.5, -2.0, -1.0, -0.7],
            };
            let loss = |weights: &[Vec<f32>]| {
                let mut sparse = SparseGradients::default();
                let mut fused = Fused::new(&settings, ITEMS, 1);
                let loss = fused.loss_and_sparse_gradients(
                    weights,
                    &batch(),
                    None,
                    &negatives,
                    &mut sparse,
                );
                (loss, sparse)
            };
            let (_, sparse) = loss(&weights);
            let gradients = dense(&sparse, &settings, &weights);
            for (place, gradient) in gradients.iter().enumerate() {
                let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                assert!(norm > 0.0, "parameter {place}");
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    for (value, g) in weights[place].iter_mut().zip(gradient) {
                        *value += (by * f64::from(*g) / norm) as f32;
                    }
                    loss(&weights).0
                };
                let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((numeric - norm).abs() < 1e-2 * norm + 1e-4, "{place}: {numeric} {norm}");
            }
        }
    }

    #[test]
    fn rows_that_no_one_touched_stay_as_they_are() {
        let settings = settings(Head::Tied);
        let mut weights = weights(&settings);
        let before = weights.clone();
        let negatives = Negatives { items: vec![15], log_expected: vec![-1.0] };
        let mut sparse = SparseGradients::default();
        Fused::new(&settings, ITEMS, 1).loss_and_sparse_gradients(
            &weights,
            &batch(),
            None,
            &negatives,
            &mut sparse,
        );
        let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
        let how = Update { learning_rate: 1e-2, weight_decay: 0.1, clip_norm: 1.0 };
        FusedAdam::new(&sizes).step_sparse(&mut weights, &sparse, how, 1);
        for row in 0..=ITEMS {
            let at = row * settings.hidden..(row + 1) * settings.hidden;
            let moved = weights[0][at.clone()] != before[0][at];
            assert_eq!(moved, sparse.rows.contains(&(row as u32)), "row {row}");
        }
    }
}
