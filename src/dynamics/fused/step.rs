//! Loss and gradients of a batch, from the plan to the last product.

use pulp::Arch;

use super::gradients::{Tasks, pieces};
use super::head;
use super::plan::{self, Shard};
use super::pool;
use super::scan::{Context, Slices, forward};
use super::weights::{Layers, Named};
use super::{Dropout, backward::backward};
use crate::dynamics::batch::Batch;
use crate::dynamics::solver::stages;
use crate::settings::{ModelSettings, Targets};

/// System 1's loss and gradients, with the buffers they need, used again from step to step.
pub struct Fused {
    arch: Arch,
    settings: ModelSettings,
    items: usize,
    threads: usize,
    buffers: Buffers,
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
}

impl Buffers {
    fn resize(&mut self, shards: &[Shard], stages: usize, hidden: usize) {
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
            (&mut self.inner, 2 * flows * stages),
            (&mut self.by_inner, 2 * flows * stages),
            (&mut self.outer, flows * stages),
            (&mut self.scored, scored),
        ] {
            buffer.resize(size * hidden, 0.0);
        }
    }

    /// Every shard with its pieces.
    fn slices<'a>(
        &'a mut self,
        shards: &'a [Shard],
        stages: usize,
        hidden: usize,
    ) -> Vec<(&'a Shard, Slices<'a>)> {
        let events = |shard: &Shard| shard.events.len();
        let flows = |shard: &Shard| shard.flows.len() * stages;
        let scored = |shard: &Shard| shard.scored.len();
        let mut embedded = pieces(&mut self.embedded, shards, hidden, events);
        let mut before = pieces(&mut self.before, shards, hidden, events);
        let mut input = pieces(&mut self.input, shards, 3 * hidden, events);
        let mut from_state = pieces(&mut self.from_state, shards, 3 * hidden, events);
        let mut by_embedded = pieces(&mut self.by_embedded, shards, hidden, events);
        let mut points = pieces(&mut self.points, shards, hidden, flows);
        let mut inner = pieces(&mut self.inner, shards, 2 * hidden, flows);
        let mut by_inner = pieces(&mut self.by_inner, shards, 2 * hidden, flows);
        let mut outer = pieces(&mut self.outer, shards, hidden, flows);
        let mut scored = pieces(&mut self.scored, shards, hidden, scored);
        shards
            .iter()
            .map(|shard| {
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
        let Self { arch, settings, items, threads, buffers, head } = self;
        let (arch, items, threads, hidden) = (*arch, *items, *threads, settings.hidden);
        let weights = Named::new(settings, weights.iter().map(Vec::as_slice));
        let into = Named::new(settings, gradients.iter_mut().map(Vec::as_mut_slice));
        assert_eq!(weights.embedding.len(), (items + 1) * hidden, "embedding of the model");
        assert_eq!(weights.head_bias.len(), items, "head of the model");
        let shards = plan::shards(settings, batch);
        let stages = stages(settings.solver);
        let scored = || shards.iter().flat_map(|shard| &shard.scored);
        let targets: Vec<usize> = scored().map(|scored| scored.target).collect();
        assert!(targets.iter().all(|&target| target < items), "targets of the model");
        if let Some(masks) = dropout {
            let last_only = settings.targets == Targets::Last;
            let scored = if last_only { batch.rows } else { batch.rows * batch.len };
            assert_eq!(masks.input.len(), batch.rows * batch.len * hidden, "input mask");
            assert_eq!(masks.state.len(), scored * hidden, "state mask");
        }
        if targets.is_empty() {
            gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
            return 0.0;
        }
        buffers.resize(&shards, stages.len(), hidden);
        let layers = Layers::new(arch, &weights);
        let context = Context {
            arch,
            hidden,
            decay: settings.decay as f32,
            stages,
            query_gap: settings.query_gap,
            dropout,
            weights: &weights,
            layers: &layers,
        };
        pool::run(threads, buffers.slices(&shards, stages.len(), hidden), |(shard, mut slices)| {
            forward(&context, shard, &mut slices);
        });
        let tied = into.head.is_none();
        let (padding, by_items) = into.embedding.split_at_mut(hidden);
        let loss = head::Head {
            arch,
            threads,
            hidden,
            weight: weights.head.unwrap_or(&weights.embedding[hidden..]),
            tied,
            bias: weights.head_bias,
        }
        .loss(
            head,
            &mut buffers.scored,
            &targets,
            into.head.unwrap_or(by_items),
            into.head_bias,
        );
        padding.fill(0.0);
        pool::run(threads, buffers.slices(&shards, stages.len(), hidden), |(shard, mut slices)| {
            backward(&context, shard, &mut slices);
        });
        let mut tasks = Tasks::new(arch);
        if let Some(field) = into.field {
            tasks.affine(field.w_in, field.b_in, &buffers.points, &buffers.by_inner);
            tasks.affine(field.w_out, field.b_out, &buffers.inner, &buffers.outer);
        }
        tasks.affine(into.w_input, into.b_input, &buffers.embedded, &buffers.input);
        tasks.affine(into.w_hidden, into.b_hidden, &buffers.before, &buffers.from_state);
        tasks.embedding(into.embedding, hidden, &shards, &buffers.by_embedded, tied);
        tasks.run(threads);
        loss
    }
}
