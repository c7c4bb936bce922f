//! A trained model that answers requests, on one core.

use pulp::Arch;

use super::forward::forward;
use super::shard::{Kept, Layout};
use super::step::Task;
use super::weights::Weights;
use crate::dynamics::batch::Batch;
use crate::dynamics::excitation::{self, Lift};
use crate::dynamics::fused::plan;
use crate::dynamics::packed::linear::Linear;
use crate::dynamics::parameters::Matrix;
use crate::settings::{Head, ModelSettings, Targets};

/// Rows that are read together: whoever cuts queries between threads cuts them here, and results are
/// the same whatever the number of threads.
pub const ROWS: usize = plan::SHARD;

/// SASRec or TiSASRec with its weights: immutable, so that threads can share it.
pub struct Reader {
    arch: Arch,
    /// Of the model, with the last position scored only.
    settings: ModelSettings,
    items: usize,
    /// `[N + 1, H]`.
    embedding: Vec<f32>,
    inner: Vec<Vec<f32>>,
    /// `[H]` to `[N]`.
    head: Linear,
    lift: Option<Lift>,
}

impl Reader {
    /// From `matrices` in the order of [`crate::dynamics::parameters`], which
    /// [`fit`](crate::dynamics::parameters::fit) makes sure of.
    ///
    /// # Panics
    /// Where they are not the weights of this model for `items` items.
    pub fn new(settings: &ModelSettings, items: usize, matrices: &[Matrix]) -> Self {
        let (arch, hidden) = (Arch::new(), settings.hidden);
        let [embedding, inner @ .., bias] = matrices else { panic!("weights are missing") };
        assert_eq!(embedding.shape, [items + 1, hidden], "embedding of the model");
        assert_eq!(bias.shape, [1, items], "bias of the head");
        let (head, inner) = match (settings.head, inner) {
            (Head::Linear, [inner @ .., weight]) => {
                assert_eq!(weight.shape, [hidden, items], "weights of the head");
                (Linear::from_rows(arch, &weight.values, &bias.values), inner)
            }
            _ => {
                let rows = &embedding.values[hidden..];
                let weight = |input: usize, item: usize| rows[item * hidden + input];
                (Linear::new(arch, hidden, &bias.values, weight), inner)
            }
        };
        let inner = &inner[..inner.len() - excitation::matrices(settings)];
        Self {
            arch,
            lift: Lift::new(arch, settings, items, matrices),
            settings: ModelSettings { targets: Targets::Last, ..settings.clone() },
            items,
            embedding: embedding.values.clone(),
            inner: inner.iter().map(|matrix| matrix.values.clone()).collect(),
            head,
        }
    }

    /// What lifts these scores beside the state, where the model has item dynamics.
    pub fn lift(&self) -> Option<&Lift> {
        self.lift.as_ref()
    }

    /// N, the number of items that are scored.
    pub fn items(&self) -> usize {
        self.items
    }

    /// H, the width of a state.
    pub fn hidden(&self) -> usize {
        self.settings.hidden
    }

    /// The state after the last position of each row of `batch`, `[B, H]`, whatever its targets; 0
    /// where there is no event.
    ///
    /// # Panics
    /// Where an item is not one of the model's.
    pub fn states(&self, batch: &Batch) -> Vec<f32> {
        let hidden = self.hidden();
        let mut asked = Batch { targets: vec![0; batch.targets.len()], ..batch.clone() };
        let last = (batch.len - 1) * batch.rows;
        // Whichever item stands there is not read.
        asked.targets[last..].fill(1);
        let list = self.inner.iter().map(Vec::as_slice);
        let weights = Weights::new(&self.settings, list);
        let task = Task {
            arch: self.arch,
            settings: &self.settings,
            threads: 1,
            batch: &asked,
            dropout: None,
        };
        let context = task.context(&self.embedding, &weights);
        let mut states = vec![0.0; batch.rows * hidden];
        let mut kept = Kept::default();
        for (shard, states) in
            plan::shards(&self.settings, &asked).iter().zip(states.chunks_mut(ROWS * hidden))
        {
            let layout = Layout::new(&self.settings, &asked, shard);
            let mut scored = vec![0.0; shard.scored.len() * hidden];
            forward(&context, shard, &layout, &mut kept, &mut scored);
            for (from, one) in scored.chunks_exact(hidden).zip(&shard.scored) {
                let row = shard.events[one.row].row;
                states[row * hidden..][..hidden].copy_from_slice(from);
            }
        }
        states
    }

    /// Scores of all items, `[R, H]` to `[R, N]`: column i is item i.
    ///
    /// # Panics
    /// Where the two do not have the same number of whole rows.
    pub fn scores(&self, states: &[f32], out: &mut [f32]) {
        self.head.apply(states, out);
    }
}
