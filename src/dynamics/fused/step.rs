//! Loss and gradients of a batch, from the plan to the last product.

use pulp::Arch;

use super::beside::{self, Beside, Surroundings};
use super::flow::Kept;
use super::gradients::{Tasks, clear, embedding, pieces};
use super::head;
use super::plan::{self, Shard, Sizes};
use super::pool;
use super::scan::{Context, Slices, forward, row, scale};
use super::weights::{Inner, Layers, Named};
use super::{Dropout, backward::backward};
use crate::dynamics::attention;
use crate::dynamics::batch::Batch;
use crate::dynamics::packed::flow::Widths;
use crate::dynamics::solver::stages;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{ModelSettings, Targets};

/// System 1's loss and gradients, with the buffers they need, used again from step to step.
pub struct Fused {
    pub(super) arch: Arch,
    pub(super) settings: ModelSettings,
    pub(super) items: usize,
    pub(super) threads: usize,
    buffers: Buffers,
    attention: attention::Attention,
    head: head::Buffers,
}

/// What the two scans share, of all shards; see [`Slices`].
#[derive(Default)]
struct Buffers {
    embedded: Vec<f32>,
    before: Vec<f32>,
    input: Vec<f32>,
    from_state: Vec<f32>,
    by_embedded: Vec<f32>,
    points: Vec<f32>,
    inner: Vec<f32>,
    by_inner: Vec<f32>,
    outer: Vec<f32>,
    scored: Vec<f32>,
    /// One a shard.
    by_theta: Vec<f64>,
}

impl Buffers {
    fn resize(&mut self, shards: &[Shard], sizes: Sizes) {
        let Sizes { hidden, stages, widths } = sizes;
        let events: usize = shards.iter().map(|shard| shard.events.len()).sum();
        let flows: usize = shards.iter().map(|shard| shard.flows.len()).sum();
        let scored: usize = shards.iter().map(|shard| shard.scored.len()).sum();
        for (buffer, size) in [
            (&mut self.embedded, events),
            (&mut self.before, events),
            (&mut self.input, 3 * events),
            (&mut self.from_state, 3 * events),
            (&mut self.by_embedded, events),
            (&mut self.points, flows * stages),
            (&mut self.inner, widths.inner * flows * stages),
            (&mut self.by_inner, widths.inner * flows * stages),
            (&mut self.outer, widths.outer * flows * stages),
            (&mut self.scored, scored),
        ] {
            buffer.resize(size * hidden, 0.0);
        }
        self.by_theta.clear();
        self.by_theta.resize(shards.len(), 0.0);
    }

    /// Every shard with its pieces.
    fn slices<'a>(&'a mut self, shards: &'a [Shard], sizes: Sizes) -> Vec<(&'a Shard, Slices<'a>)> {
        let Sizes { hidden, stages, widths } = sizes;
        let events = |shard: &Shard| shard.events.len();
        let flows = |shard: &Shard| shard.flows.len() * stages;
        let scored = |shard: &Shard| shard.scored.len();
        let mut embedded = pieces(&mut self.embedded, shards, hidden, events);
        let mut before = pieces(&mut self.before, shards, hidden, events);
        let mut input = pieces(&mut self.input, shards, 3 * hidden, events);
        let mut from_state = pieces(&mut self.from_state, shards, 3 * hidden, events);
        let mut by_embedded = pieces(&mut self.by_embedded, shards, hidden, events);
        let mut points = pieces(&mut self.points, shards, hidden, flows);
        let mut inner = pieces(&mut self.inner, shards, widths.inner * hidden, flows);
        let mut by_inner = pieces(&mut self.by_inner, shards, widths.inner * hidden, flows);
        let mut outer = pieces(&mut self.outer, shards, widths.outer * hidden, flows);
        let mut scored = pieces(&mut self.scored, shards, hidden, scored);
        shards
            .iter()
            .zip(&mut self.by_theta)
            .map(|(shard, by_theta)| {
                let slices = Slices {
                    embedded: embedded.next().unwrap_or_default(),
                    before: before.next().unwrap_or_default(),
                    input: input.next().unwrap_or_default(),
                    from_state: from_state.next().unwrap_or_default(),
                    by_embedded: by_embedded.next().unwrap_or_default(),
                    points: points.next().unwrap_or_default(),
                    inner: inner.next().unwrap_or_default(),
                    by_inner: by_inner.next().unwrap_or_default(),
                    outer: outer.next().unwrap_or_default(),
                    scored: scored.next().unwrap_or_default(),
                    by_theta,
                };
                (shard, slices)
            })
            .collect()
    }
}

impl Fused {
    /// For a model over `items` items; `threads` 0 is one a core.
    pub fn new(settings: &ModelSettings, items: usize, threads: usize) -> Self {
        Self {
            arch: Arch::new(),
            settings: settings.clone(),
            items,
            threads: pool::threads(threads),
            buffers: Buffers::default(),
            attention: attention::Attention::default(),
            head: head::Buffers::default(),
        }
    }

    /// Mean cross entropy, in nats, over all positions of `batch` that are scored and have a
    /// target, and its gradient by every parameter; 0 where there is no target.
    ///
    /// `weights` and `gradients` are one row-major list a parameter, in the order of
    /// [`crate::dynamics::parameters`]; gradients are overwritten. The padding's row of the
    /// embedding has gradient 0.
    ///
    /// # Panics
    /// Where weights, gradients, masks or items are not of this model and batch.
    pub fn loss_and_gradients(
        &mut self,
        weights: &[Vec<f32>],
        batch: &Batch,
        dropout: Option<&Dropout>,
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        self.loss_beside(weights, batch, dropout, Surroundings::default(), gradients)
    }

    /// The same with what is known beside the batch. Without a timeline, item dynamics lift nothing,
    /// and their weights have gradient 0.
    ///
    /// # Panics
    /// As [`Self::loss_and_gradients`].
    pub fn loss_beside(
        &mut self,
        weights: &[Vec<f32>],
        batch: &Batch,
        dropout: Option<&Dropout>,
        around: Surroundings<'_>,
        gradients: &mut [Vec<f32>],
    ) -> f64 {
        let (threads, hidden, items) = (self.threads, self.settings.hidden, self.items);
        let weights = Named::new(&self.settings, weights.iter().map(Vec::as_slice));
        assert_eq!(weights.embedding.len(), (items + 1) * hidden, "embedding of the model");
        assert_eq!(weights.head_bias.len(), items, "head of the model");
        let shards = plan::shards(&self.settings, batch);
        let count = count_targets(&shards, items);
        if count == 0 {
            gradients.iter_mut().for_each(|gradient| clear(threads, gradient));
            return 0.0;
        }
        let into = Named::new(&self.settings, gradients.iter_mut().map(Vec::as_mut_slice));
        clear(threads, into.embedding);
        let targets = self.settings.targets;
        let parts = self.settings.item_dynamics;
        let lifting = match (weights.items, into.items) {
            (Some(weights), Some(mut into)) => {
                into.iter_mut().for_each(|into| into.fill(0.0));
                around.timeline.map(move |timeline| beside::Weights {
                    timeline,
                    parts,
                    weights,
                    into,
                })
            }
            _ => None,
        };
        let inner = into.inner;
        let mut scoring = WholeCatalogue {
            beside: (lifting.is_some() || around.mask_seen).then(|| Beside::new(lifting)),
            ask: (batch, targets, around),
            head: head::Head {
                arch: self.arch,
                threads,
                hidden,
                weight: weights.head.unwrap_or(&weights.embedding[hidden..]),
                tied: into.head.is_none(),
                bias: weights.head_bias,
            },
            masks: self.state_masks(dropout),
            weight: 1.0 / count as f32,
            embedding: into.embedding,
            by_head: into.head,
            by_bias: into.head_bias,
        };
        self.scan(&weights, batch, dropout, &shards, inner, &mut scoring) / count as f64
    }

    /// Masks of the states before the head; attention drops out elsewhere.
    pub(super) fn state_masks<'a>(&self, dropout: Option<&'a Dropout>) -> Option<&'a [f32]> {
        let dropout = dropout.filter(|_| !self.settings.solver.is_attention());
        dropout.map(|dropout| dropout.state.as_slice())
    }

    /// Σ of what `scoring` counts over all states, and the gradients of the weights that make
    /// them, overwritten.
    pub(super) fn scan(
        &mut self,
        weights: &Named<&[f32]>,
        batch: &Batch,
        dropout: Option<&Dropout>,
        shards: &[Shard],
        into: Vec<&mut [f32]>,
        scoring: &mut dyn Scoring,
    ) -> f64 {
        let Self { arch, settings, threads, buffers, attention, head, .. } = self;
        let (arch, threads, hidden) = (*arch, *threads, settings.hidden);
        if settings.solver.is_attention() {
            let task = attention::Task { arch, settings, threads, batch, dropout };
            return attention.step(&task, weights, shards, into, head, scoring);
        }
        if let Some(masks) = dropout {
            let last_only = settings.targets == Targets::Last;
            let scored = if last_only { batch.rows } else { batch.rows * batch.len };
            assert_eq!(masks.input.len(), batch.rows * batch.len * hidden, "input mask");
            assert_eq!(masks.state.len(), scored * hidden, "state mask");
        }
        let stages = stages(settings.solver);
        let items = weights.embedding;
        let weights = Inner::new(settings, weights.inner.iter().copied());
        let mut into = Inner::new(settings, into);
        let theta = weights.scale.and_then(|theta| theta.first().copied());
        let mut by_theta = 0.0;
        let layers = Layers::new(arch, settings, &weights, threads);
        let context = Context {
            arch,
            hidden,
            stages,
            query_gap: settings.query_gap,
            warp: theta.map(|theta| TimeWarp::at(settings, Some(theta))),
            dropout,
            embedding: items,
            weights: &weights,
            layers: &layers,
        };
        let nothing = Widths { inner: 0, outer: 0 };
        let widths = layers.flow.as_ref().map_or(nothing, |flow| flow.forward.widths());
        let sizes = Sizes { hidden, stages: stages.len(), widths };
        let mut loss = 0.0;
        for (place, wave) in plan::waves(shards, sizes).into_iter().enumerate() {
            let more = place > 0;
            buffers.resize(wave, sizes);
            pool::run(threads, buffers.slices(wave, sizes), |(shard, mut own)| {
                forward(&context, shard, &mut own);
            });
            loss += scoring.score(head, &mut buffers.scored, wave, more);
            pool::run(threads, buffers.slices(wave, sizes), |(shard, mut own)| {
                backward(&context, shard, &mut own);
            });
            by_theta += buffers.by_theta.iter().sum::<f64>();
            let mut tasks = Tasks::new(arch, more, threads);
            if let Some(flow) = &layers.flow {
                let Buffers { points, inner, by_inner, outer, .. } = &*buffers;
                let own = into.flow.iter_mut().map(|gradient| &mut **gradient).collect();
                flow.back.gradients(&mut tasks, own, Kept { points, inner, by_inner, outer });
            }
            tasks.affine(into.w_input, into.b_input, &buffers.embedded, &buffers.input);
            tasks.affine(into.w_hidden, into.b_hidden, &buffers.before, &buffers.from_state);
            tasks.run(threads);
            embedding(threads, scoring.embedding(), hidden, wave, &buffers.by_embedded);
        }
        if let Some(gradient) = into.scale {
            gradient.fill(by_theta as f32);
        }
        loss
    }
}

/// Number of targets.
///
/// # Panics
/// Where one is no item of the model.
pub(super) fn count_targets(shards: &[Shard], items: usize) -> usize {
    let targets = shards.iter().flat_map(|shard| &shard.scored).map(|scored| scored.target);
    targets.inspect(|&target| assert!(target < items, "targets of the model")).count()
}

/// Dropout of the scored `states` of `wave`, or of the derivatives by them. `masks` are those of all
/// states of the batch, `[·, H]`.
pub(super) fn drop_out(states: &mut [f32], masks: Option<&[f32]>, wave: &[Shard]) {
    let Some(masks) = masks else { return };
    let scored = || wave.iter().flat_map(|shard| &shard.scored);
    let hidden = states.len() / scored().count().max(1);
    for (state, scored) in states.chunks_exact_mut(hidden.max(1)).zip(scored()) {
        scale(state, &masks[row(scored.mask, hidden)]);
    }
}

/// What becomes of the scored states, and of the derivatives by the embedded items.
pub(in crate::dynamics) trait Scoring {
    /// Σ cross entropy of the `states` of `wave`, `[Q, H]`, which become the derivatives by them;
    /// gradients by the head add to those there are where there is `more` than this wave.
    fn score(
        &mut self,
        buffers: &mut head::Buffers,
        states: &mut [f32],
        wave: &[Shard],
        more: bool,
    ) -> f64;

    /// Rows that the derivatives by embedded items are added to.
    fn embedding(&mut self) -> &mut [f32];
}

/// Every item of the catalogue is scored.
struct WholeCatalogue<'a> {
    head: head::Head<'a>,
    beside: Option<Beside<'a>>,
    /// What its states are asked about.
    ask: (&'a Batch, Targets, Surroundings<'a>),
    /// See [`drop_out`].
    masks: Option<&'a [f32]>,
    /// Of one state in the mean.
    weight: f32,
    /// `[N + 1, H]`.
    embedding: &'a mut [f32],
    /// `[H, N]`; none where the head is tied.
    by_head: Option<&'a mut [f32]>,
    by_bias: &'a mut [f32],
}

impl Scoring for WholeCatalogue<'_> {
    fn score(
        &mut self,
        buffers: &mut head::Buffers,
        states: &mut [f32],
        wave: &[Shard],
        more: bool,
    ) -> f64 {
        let scored = wave.iter().flat_map(|shard| &shard.scored);
        let columns: Vec<usize> = scored.map(|scored| scored.target).collect();
        let by_items = &mut self.embedding[self.head.hidden..];
        let weight = self.by_head.as_deref_mut().unwrap_or(by_items);
        // Where the head is tied, inputs of an earlier wave are in there as well.
        let mut sums = head::Sums { weight, bias: self.by_bias, more };
        let answers = head::Answers { columns: &columns, apart: None };
        if let Some(beside) = &mut self.beside {
            let (batch, targets, around) = self.ask;
            let masks = wave.iter().flat_map(|shard| &shard.scored).map(|scored| scored.mask);
            beside.ask(batch, targets, masks, around, states);
        }
        // What lifts the scores follows from the states as they are.
        drop_out(states, self.masks, wave);
        let beside = self.beside.as_mut();
        let loss = self.head.loss(buffers, states, answers, self.weight, &mut sums, beside);
        drop_out(states, self.masks, wave);
        if let Some(beside) = &self.beside {
            beside.join(states);
        }
        loss
    }

    fn embedding(&mut self) -> &mut [f32] {
        self.embedding
    }
}
