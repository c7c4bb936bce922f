//! Weights, moments and gradients on a GPU, and one training step of them.

use burn::tensor::Device;
use burn_dispatch::DispatchDevice;
use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;
use cubecl::server::Handle;

use super::buffer::{At, Buffer};
use super::launch::{Launcher, Scan, Segments};
use super::plan::Plan;
use super::product::Form;
use super::reduce::RatesLaunch;
use super::shape::{Offsets, Shape, Tile, Unfit};
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::adam::Pace;
use crate::dynamics::fused::{Dropout, Update};
use crate::dynamics::parameters::Matrix;
use crate::settings::{Head, ModelSettings, Solver};

/// Scores held at once, about, and the fewest states they are of.
const SCORES: usize = 1 << 24;
const STATES: usize = 64;

/// As they are stored.
const PLAIN: Form = Form { a_turned: false, b_turned: false, ones: false, add: false };

/// Values could not be read: the device is gone or out of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(String);

/// Loss and gradient norm of a step, on the device.
pub struct Measured(Handle);

/// System 1 in training on a GPU.
pub struct OnGpu {
    launcher: Launcher,
    settings: ModelSettings,
    items: usize,
    /// Names and shapes; the values are gone.
    like: Vec<Matrix>,
    /// All parameters one after the other, in the order of [`crate::dynamics::parameters`].
    weights: Buffer,
    gradients: Buffer,
    first: Buffer,
    second: Buffer,
    /// Values of all parameters.
    size: usize,
    updates: u64,
    launches: usize,
    hardware: HardwareProperties,
    /// Scores held at once, about.
    scores: usize,
}

/// The loss of a batch, before it is a mean.
struct Losses {
    /// `[Q]`.
    values: Buffer,
    /// Q.
    scored: usize,
}

impl OnGpu {
    /// With `weights`, and the moments of a checkpoint after so many updates.
    ///
    /// # Errors
    /// [`Unfit`] where `device` cannot run the kernels for this model.
    pub fn new(
        device: &Device,
        settings: &ModelSettings,
        items: usize,
        weights: &[Matrix],
        moments: Option<(&[Matrix], &[Matrix], u64)>,
    ) -> Result<Self, Unfit> {
        let DispatchDevice::Cube(device) = device.as_dispatch() else {
            return Err(Unfit::NoGpu);
        };
        if !settings.solver.on_gpus() {
            return Err(Unfit::Flow { model: settings.solver.title() });
        }
        let client = device.client();
        let properties = client.properties();
        let hardware = properties.hardware.clone();
        Tile::new(&hardware, settings.hidden, 1)?;
        let size: usize = weights.iter().map(|matrix| matrix.values.len()).sum();
        let (needed, has) = ((size * size_of::<f32>()) as u64, properties.memory.max_page_size);
        if needed > has || size > u32::MAX as usize / size_of::<f32>() {
            return Err(Unfit::Buffer { needed, has });
        }
        let launcher = Launcher::new(client);
        let upload = |matrices: &[Matrix]| {
            let values: Vec<f32> = matrices.iter().flat_map(|one| &one.values).copied().collect();
            launcher.floats(&values)
        };
        let zeros = || launcher.floats(&vec![0.0; size]);
        let (first, second, updates) = match moments {
            Some((first, second, updates)) => (upload(first), upload(second), updates),
            None => (zeros(), zeros(), 0),
        };
        let like = weights.iter().map(|one| Matrix { values: Vec::new(), ..one.clone() });
        Ok(Self {
            settings: settings.clone(),
            items,
            like: like.collect(),
            weights: upload(weights),
            gradients: launcher.room(size),
            first,
            second,
            size,
            updates,
            launches: 0,
            hardware,
            scores: SCORES,
            launcher,
        })
    }

    /// One step on `batch`: mean cross entropy, its gradients, the update. Nothing is waited for.
    ///
    /// # Panics
    /// Where masks, items or targets are not of this model and batch.
    pub fn step(&mut self, batch: &Batch, dropout: Option<&Dropout>, how: Update) -> Measured {
        let losses = self.differentiate(batch, dropout);
        let Self { launcher, weights, gradients, first, second, size, .. } = self;
        let measured =
            launcher.measure(&losses.values, losses.scored, gradients, *size, how.clip_norm as f32);
        self.updates += 1;
        let Pace { step, root_correction, kept } = how.pace(self.updates);
        let rates = RatesLaunch::new(step as f32, root_correction as f32, kept as f32);
        launcher.adam([weights, gradients, first, second, &measured], rates, *size);
        self.launches = launcher.launched();
        Measured(measured.handle)
    }

    /// Kernels that the last step launched.
    pub fn launches(&self) -> usize {
        self.launches
    }

    /// Loss and gradient norm of some steps, in one read.
    ///
    /// # Errors
    /// [`Lost`] where the device fails.
    pub fn read(&self, steps: Vec<Measured>) -> Result<Vec<[f32; 2]>, Lost> {
        let handles = steps.into_iter().map(|step| step.0).collect();
        let read = self.launcher.client().read(handles).map_err(|e| Lost(e.to_string()))?;
        Ok(read.iter().map(|bytes| f32::from_bytes(bytes)).map(|v| [v[0], v[1]]).collect())
    }

    /// The weights on the host.
    ///
    /// # Errors
    /// [`Lost`] where the device fails.
    pub fn weights(&self) -> Result<Vec<Matrix>, Lost> {
        self.matrices(&self.weights)
    }

    /// First and second moments on the host.
    ///
    /// # Errors
    /// [`Lost`] where the device fails.
    pub fn moments(&self) -> Result<[Vec<Matrix>; 2], Lost> {
        Ok([self.matrices(&self.first)?, self.matrices(&self.second)?])
    }

    fn matrices(&self, values: &Buffer) -> Result<Vec<Matrix>, Lost> {
        let read = self.launcher.client().read_one(values.handle.clone());
        let bytes = read.map_err(|error| Lost(error.to_string()))?;
        let mut rest = f32::from_bytes(&bytes);
        let matrix = |like: &Matrix| {
            let values;
            (values, rest) = rest.split_at(like.shape[0] * like.shape[1]);
            Matrix { values: values.to_vec(), ..like.clone() }
        };
        Ok(self.like.iter().map(matrix).collect())
    }

    /// Fill the gradients with those of the mean loss of `batch`.
    fn differentiate(&self, batch: &Batch, dropout: Option<&Dropout>) -> Losses {
        let Self { launcher, settings, weights, gradients, items, .. } = self;
        let (hidden, items) = (settings.hidden, *items);
        let events = batch.rows * batch.len;
        let tile = Tile::new(&self.hardware, hidden, batch.rows)
            .unwrap_or_else(|unfit| unreachable!("`new` has asked: {unfit}"));
        let plan = Plan::new(settings, items, batch, tile);
        let shape = Shape::new(settings, tile, dropout.is_some());
        let masks: Vec<f32> = dropout.map_or_else(Vec::new, |masks| {
            let states = if shape.every { events } else { batch.rows };
            assert_eq!(masks.input.len(), events * hidden, "input mask");
            assert_eq!(masks.state.len(), states * hidden, "state mask");
            [masks.input.as_slice(), &masks.state].concat()
        });
        let (masks, lengths) = (launcher.floats(&masks), launcher.floats(&plan.lengths));
        let words = launcher.words(&plan.words);
        let room = |rows: usize, width: usize| launcher.room(rows * width * hidden);

        // Forward.
        let first = (items + 1) * hidden;
        let offsets = Offsets::new(hidden);
        let field = settings.solver != Solver::Gru;
        let flows = plan.substeps * shape.stages * tile.lanes;
        let embedded = room(events, 1);
        launcher.embed([weights, &words, &masks, &embedded], events, hidden, shape.dropout);
        let gates = room(events, 3);
        let at = |buffer, width| At::new(buffer, 0, width * hidden);
        let w_input = At::new(weights, first + offsets.w_input, 3 * hidden);
        launcher.product(
            [at(&embedded, 1), w_input, at(&gates, 3)],
            [events, 3 * hidden, hidden],
            PLAIN,
        );
        let (from_state, before, scored) = (room(events, 3), room(events, 1), room(plan.scored, 1));
        let (points, inner, by_inner, outer) =
            (room(flows, 1), room(flows, 2), room(flows, 2), room(flows, 1));
        let scan = Scan {
            gates: &gates,
            from_state: &from_state,
            before: &before,
            scored: &scored,
            points: &points,
            inner: &inner,
            by_inner: &by_inner,
            outer: &outer,
            plan: &words,
            lengths: &lengths,
            masks: &masks,
            rows: batch.rows,
            len: batch.len,
            tiles: plan.tiles,
            decay: settings.decay as f32,
            tile,
            shape,
        };
        launcher.forward(weights, first, &scan);
        let losses = self.head(&scored, &words, &plan);

        // Back.
        let turned = launcher.turn(weights, first, hidden, field);
        launcher.backward(&turned, &scan);
        let by_embedded = embedded_slopes(launcher, &gates, w_input, events, hidden);
        let sums = Form { a_turned: true, ones: true, ..PLAIN };
        let affine = |inputs: At<'_>, slopes: At<'_>, to: usize, rows: usize| {
            let out = At::new(gradients, first + to, slopes.width);
            launcher.product([inputs, slopes, out], [inputs.width, slopes.width, rows], sums);
        };
        affine(at(&embedded, 1), at(&gates, 3), offsets.w_input, events);
        affine(at(&before, 1), at(&from_state, 3), offsets.w_hidden, events);
        if field {
            affine(at(&points, 1), at(&by_inner, 2), offsets.w_in, flows);
            affine(at(&inner, 2), at(&outer, 1), offsets.w_out, flows);
        }
        let segments = Segments {
            items,
            starts: plan.starts,
            order: plan.order,
            hidden,
            dropout: shape.dropout,
            tied: settings.head == Head::Tied,
        };
        launcher.embedding([&by_embedded, &words, &masks, gradients], &segments);
        losses
    }

    /// Scores, losses and what follows from them: the gradients of the head, and the derivatives by
    /// `scored` in its place. The scores are never there all at once where they are many.
    fn head(&self, scored: &Buffer, words: &Buffer, plan: &Plan) -> Losses {
        let Self { launcher, settings, weights, gradients, items, size, .. } = self;
        let (hidden, items) = (settings.hidden, *items);
        let tied = settings.head == Head::Tied;
        let bias = size - items;
        // [N, H] where the head is tied, else [H, N].
        let (place, width) = if tied { (hidden, hidden) } else { (bias - hidden * items, items) };
        let weight = At::new(weights, place, width);
        let losses = launcher.room(plan.scored);
        let chunk = (self.scores / items).clamp(STATES, plan.scored.max(STATES));
        let scores = launcher.room(chunk.min(plan.scored) * items);
        let slopes = At::new(&scores, 0, items);
        let mut from = 0;
        // At least once: without a target the gradients are zero.
        loop {
            let count = chunk.min(plan.scored - from);
            let states = At::new(scored, from * hidden, hidden);
            launcher.product(
                [states, weight, slopes],
                [count, items, hidden],
                Form { b_turned: tied, ..PLAIN },
            );
            if count > 0 {
                launcher.cross_entropy(
                    [&scores, weights, words, &losses],
                    [bias, plan.targets, from, items, count],
                    1.0 / plan.scored as f32,
                );
            }
            let add = from > 0;
            let turned = Form { a_turned: true, add, ..PLAIN };
            let to = |place| At::new(gradients, place, 0);
            if tied {
                launcher.product([slopes, states, to(place)], [items, hidden, count], turned);
                // Under no rows at all, the ones alone.
                let ones = Form { ones: true, ..turned };
                launcher.product([slopes, slopes, to(bias)], [0, items, count], ones);
            } else {
                let ones = Form { ones: true, ..turned };
                launcher.product([states, slopes, to(place)], [hidden, items, count], ones);
            }
            launcher.product(
                [slopes, weight, states],
                [count, hidden, items],
                Form { b_turned: !tied, ..PLAIN },
            );
            from += count;
            if from >= plan.scored {
                return Losses { values: losses, scored: plan.scored };
            }
        }
    }

    /// As if on a smaller device: with so much shared memory, bytes, and so many multiprocessors,
    /// and holding so many scores at once.
    #[cfg(test)]
    pub(super) fn shrink(&mut self, shared: usize, multiprocessors: u32, scores: usize) {
        self.hardware.max_shared_memory_size = shared;
        self.hardware.num_streaming_multiprocessors = Some(multiprocessors);
        self.scores = scores;
    }

    /// Loss and gradients of `batch` on the host, for tests.
    #[cfg(test)]
    pub(super) fn loss_and_gradients(
        &self,
        batch: &Batch,
        dropout: Option<&Dropout>,
    ) -> (f32, Vec<Matrix>) {
        let Losses { values, scored } = self.differentiate(batch, dropout);
        let measured = self.launcher.measure(&values, scored, &self.gradients, self.size, 0.0);
        let [loss, _] = self.read(vec![Measured(measured.handle)]).unwrap()[0];
        (loss, self.matrices(&self.gradients).unwrap())
    }
}

/// Derivatives by the embedded items, `[E, H]`.
fn embedded_slopes(
    launcher: &Launcher,
    gates: &Buffer,
    w_input: At<'_>,
    events: usize,
    hidden: usize,
) -> Buffer {
    let by_embedded = launcher.room(events * hidden);
    launcher.product(
        [At::new(gates, 0, 3 * hidden), w_input, At::new(&by_embedded, 0, hidden)],
        [events, hidden, 3 * hidden],
        Form { b_turned: true, ..PLAIN },
    );
    by_embedded
}
