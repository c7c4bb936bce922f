//! A batch forward and back, from embedded items to the gradients of all weights.

use pulp::Arch;

use super::backward::backward;
use super::forward::{Context, forward};
use super::gradients::{Wave, gradients};
use super::shard::{Kept, Layout, kept};
use super::weights::Weights;
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::gradients::{embedding, pieces};
use crate::dynamics::fused::plan::{KEPT, Shard, waves_by};
use crate::dynamics::fused::step::Scoring;
use crate::dynamics::fused::weights::Named;
use crate::dynamics::fused::{Dropout, head, pool};
use crate::settings::ModelSettings;

/// Values that are scaled by one task.
const CHUNK: usize = 1 << 14;

/// What a step is given.
pub(in crate::dynamics) struct Task<'a> {
    pub arch: Arch,
    pub settings: &'a ModelSettings,
    pub threads: usize,
    pub batch: &'a Batch,
    pub dropout: Option<&'a Dropout>,
}

impl<'a> Task<'a> {
    /// What all shards share.
    pub(super) fn context(
        &self,
        embedding: &'a [f32],
        weights: &'a Weights<&'a [f32]>,
    ) -> Context<'a> {
        Context {
            arch: self.arch,
            hidden: self.settings.hidden,
            heads: self.settings.heads,
            embedding,
            weights,
            dropout: self.dropout,
            mask_rows: self.batch.rows * self.batch.len,
        }
    }
}

/// Buffers, used again from step to step.
pub(in crate::dynamics) struct Attention {
    /// Values kept at once, about; what needs more is done in several waves.
    pub(super) most: usize,
    /// One a shard of the largest wave.
    kept: Vec<Kept>,
    /// States that are scored, then the derivatives by them, `[Q, H]`.
    scored: Vec<f32>,
    /// Derivatives by the embedded items, `[E, H]`.
    by_embedded: Vec<f32>,
}

impl Default for Attention {
    fn default() -> Self {
        Self { most: KEPT, kept: Vec::new(), scored: Vec::new(), by_embedded: Vec::new() }
    }
}

impl Attention {
    /// Σ of what `scoring` counts over all states of `shards`; `into` ← the gradients of
    /// `weights.inner`.
    ///
    /// # Panics
    /// Where weights or masks are not of this model and batch.
    pub fn step(
        &mut self,
        task: &Task<'_>,
        named: &Named<&[f32]>,
        shards: &[Shard],
        into: Vec<&mut [f32]>,
        head: &mut head::Buffers,
        scoring: &mut dyn Scoring,
    ) -> f64 {
        let &Task { settings, threads, batch, dropout, .. } = task;
        let hidden = settings.hidden;
        if let Some(masks) = dropout {
            let size = batch.rows * batch.len * hidden;
            assert_eq!(masks.input.len(), size, "input mask");
            assert_eq!(masks.state.len(), 2 * settings.blocks * size, "masks of the blocks");
        }
        let weights = Weights::new(settings, named.inner.iter().copied());
        let mut into = Weights::new(settings, into);
        let context = task.context(named.embedding, &weights);
        let waves = waves_by(shards, self.most, |shard| kept(settings, shard, batch.len));
        let mut loss = 0.0;
        for (place, wave) in waves.into_iter().enumerate() {
            let more = place > 0;
            let layouts: Vec<Layout> =
                wave.iter().map(|shard| Layout::new(settings, batch, shard)).collect();
            self.forward(&context, threads, wave, &layouts);
            loss += scoring.score(head, &mut self.scored, wave, more);
            self.backward(&context, threads, wave, &layouts);
            let Self { kept, scored, by_embedded, .. } = self;
            let scored: Vec<&[f32]> =
                pieces(scored, wave, hidden, |shard| shard.scored.len()).map(|one| &*one).collect();
            let of_items: Vec<&[f32]> =
                pieces(by_embedded, wave, hidden, |s| s.events.len()).map(|one| &*one).collect();
            let kept = &kept[..wave.len()];
            let done = Wave { layouts: &layouts, kept, scored: &scored, by_embedded: &of_items };
            gradients(&context, threads, &done, &mut into, more);
            let loudness = context.loudness();
            pool::run(threads, by_embedded.chunks_mut(CHUNK).collect(), |values| {
                values.iter_mut().for_each(|value| *value *= loudness);
            });
            embedding(threads, scoring.embedding(), hidden, wave, by_embedded);
        }
        loss
    }

    /// Every shard of `wave` forward; `scored` holds the states.
    fn forward(
        &mut self,
        context: &Context<'_>,
        threads: usize,
        wave: &[Shard],
        layouts: &[Layout],
    ) {
        let hidden = context.hidden;
        let scored: usize = wave.iter().map(|shard| shard.scored.len()).sum();
        self.scored.resize(scored * hidden, 0.0);
        self.kept.resize_with(self.kept.len().max(wave.len()), Kept::default);
        let scored = pieces(&mut self.scored, wave, hidden, |shard| shard.scored.len());
        let tasks = wave.iter().zip(layouts).zip(&mut self.kept).zip(scored).collect();
        pool::run(threads, tasks, |(((shard, layout), kept), scored)| {
            forward(context, shard, layout, kept, scored);
        });
    }

    /// Every shard of `wave` back; `scored` holds derivatives by now.
    fn backward(
        &mut self,
        context: &Context<'_>,
        threads: usize,
        wave: &[Shard],
        layouts: &[Layout],
    ) {
        let hidden = context.hidden;
        let events: usize = wave.iter().map(|shard| shard.events.len()).sum();
        self.by_embedded.resize(events * hidden, 0.0);
        let scored = pieces(&mut self.scored, wave, hidden, |shard| shard.scored.len());
        let slopes = pieces(&mut self.by_embedded, wave, hidden, |shard| shard.events.len());
        let shards = wave.iter().zip(layouts).zip(&mut self.kept);
        let tasks = shards.zip(scored).zip(slopes).collect();
        pool::run(threads, tasks, |((((shard, layout), kept), scored), slopes)| {
            backward(context, shard, layout, kept, scored, slopes);
        });
    }
}
