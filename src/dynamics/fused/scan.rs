//! The forward scan of one shard, which leaves behind what the backward scan needs.

use std::ops::Range;

use pulp::Arch;

use super::Dropout;
use super::cell::Gates;
use super::plan::Shard;
use super::weights::{Inner, Layers};
pub(super) use crate::dynamics::packed::flow::row;
use crate::dynamics::packed::flow::{Evaluation, Formula};
use crate::dynamics::solver::Stage;
use crate::dynamics::warp::TimeWarp;

/// What all shards share.
pub(super) struct Context<'a> {
    pub arch: Arch,
    pub hidden: usize,
    pub stages: &'static [Stage],
    pub query_gap: bool,
    /// Where its scale is learned.
    pub warp: Option<TimeWarp>,
    pub dropout: Option<&'a Dropout>,
    /// `[N + 1, H]`.
    pub embedding: &'a [f32],
    pub weights: &'a Inner<&'a [f32]>,
    pub layers: &'a Layers,
}

/// A shard's pieces of the buffers. E rows are its events, F its substeps' rows times the stages,
/// Q its scored states.
pub(super) struct Slices<'a> {
    /// Embedded items, dropped out: `[E, H]`.
    pub embedded: &'a mut [f32],
    /// States before the events: `[E, H]`.
    pub before: &'a mut [f32],
    /// The gates r, z, n; going back, derivatives by their sums: `[E, 3H]`.
    pub input: &'a mut [f32],
    /// The state's part of the gates; going back, the derivatives by it: `[E, 3H]`.
    pub from_state: &'a mut [f32],
    /// Going back, derivatives by the embedded items: `[E, H]`.
    pub by_embedded: &'a mut [f32],
    /// Where the flow is evaluated: `[F, H]`.
    pub points: &'a mut [f32],
    /// Its inner layer: `[F, inner·H]`.
    pub inner: &'a mut [f32],
    /// Going back, derivatives by what that is made of: `[F, inner·H]`.
    pub by_inner: &'a mut [f32],
    /// Its outer layer; going back, derivatives by what it is made of: `[F, outer·H]`.
    pub outer: &'a mut [f32],
    /// States before the head; going back, derivatives by them: `[Q, H]`.
    pub scored: &'a mut [f32],
    /// Going back, the derivative by θ of the time warp.
    pub by_theta: &'a mut f64,
}

/// Rows `range` of a matrix of `width` columns.
pub(super) fn rows(range: &Range<usize>, width: usize) -> Range<usize> {
    range.start * width..range.end * width
}

/// Run `shard` through all positions.
pub(super) fn forward(context: &Context<'_>, shard: &Shard, slices: &mut Slices<'_>) {
    let hidden = context.hidden;
    for (to, event) in slices.embedded.chunks_exact_mut(hidden).zip(&shard.events) {
        to.copy_from_slice(&context.embedding[row(event.item, hidden)]);
        if let Some(masks) = context.dropout {
            scale(to, &masks.input[row(event.mask, hidden)]);
        }
    }
    context.layers.input.apply(slices.embedded, slices.input);
    let mut states = vec![0.0; shard.rows * hidden];
    let mut scratch = Scratch::new(shard.rows, hidden);
    for (place, position) in shard.positions.iter().enumerate() {
        update(context, shard, slices, &position.events, &mut states, place > 0);
        if !context.query_gap {
            keep(context, shard, slices, &position.scored, &states);
        }
        if let Some(over_gaps) = &context.layers.flow {
            for substep in &position.substeps {
                let formula = &*over_gaps.forward;
                flow(context, formula, shard, slices, substep, &mut states, &mut scratch);
            }
        }
        if context.query_gap {
            keep(context, shard, slices, &position.scored, &states);
        }
    }
}

pub(super) fn scale(values: &mut [f32], mask: &[f32]) {
    for (value, mask) in values.iter_mut().zip(mask) {
        *value *= mask;
    }
}

/// Let the rows of `events` see their items, where their states are zero unless anything came
/// `earlier`.
fn update(
    context: &Context<'_>,
    shard: &Shard,
    slices: &mut Slices<'_>,
    events: &Range<usize>,
    states: &mut [f32],
    earlier: bool,
) {
    let hidden = context.hidden;
    let weights = context.weights;
    let before = &mut slices.before[rows(events, hidden)];
    for (to, event) in before.chunks_exact_mut(hidden).zip(&shard.events[events.clone()]) {
        to.copy_from_slice(&states[row(event.row, hidden)]);
    }
    let from_state = &mut slices.from_state[rows(events, 3 * hidden)];
    if earlier {
        context.layers.hidden.apply(before, from_state);
    } else {
        // Nothing is left of the product.
        for to in from_state.chunks_exact_mut(3 * hidden) {
            to.copy_from_slice(weights.b_hidden);
        }
    }
    let each = slices.input[rows(events, 3 * hidden)]
        .chunks_exact_mut(3 * hidden)
        .zip(from_state.chunks_exact_mut(3 * hidden))
        .zip(before.chunks_exact(hidden))
        .zip(&shard.events[events.clone()]);
    for (((input, from_state), before), event) in each {
        context.arch.dispatch(Gates {
            input,
            from_state,
            b_input: weights.b_input,
            before,
            after: &mut states[row(event.row, hidden)],
        });
    }
}

/// Keep the states that are scored.
fn keep(
    context: &Context<'_>,
    shard: &Shard,
    slices: &mut Slices<'_>,
    scored: &Range<usize>,
    states: &[f32],
) {
    let hidden = context.hidden;
    let kept = slices.scored[rows(scored, hidden)].chunks_exact_mut(hidden);
    for (to, scored) in kept.zip(&shard.scored[scored.clone()]) {
        to.copy_from_slice(&states[row(scored.row, hidden)]);
    }
}

/// Room for one substep.
struct Scratch {
    /// `[S, H]` each.
    starts: Vec<f32>,
    ends: Vec<f32>,
    /// Where the points after the last ones go, which nobody asks for.
    beyond: Vec<f32>,
}

impl Scratch {
    fn new(rows: usize, hidden: usize) -> Self {
        let room = || vec![0.0; rows * hidden];
        Self { starts: room(), ends: room(), beyond: room() }
    }
}

/// One step of the rows of `substep`.
fn flow(
    context: &Context<'_>,
    formula: &dyn Formula,
    shard: &Shard,
    slices: &mut Slices<'_>,
    substep: &Range<usize>,
    states: &mut [f32],
    scratch: &mut Scratch,
) {
    let hidden = context.hidden;
    let flows = &shard.flows[substep.clone()];
    let size = flows.len() * hidden;
    let first = substep.start * context.stages.len() * hidden;
    let Scratch { starts, ends, beyond } = scratch;
    for (to, flow) in starts.chunks_exact_mut(hidden).zip(flows) {
        to.copy_from_slice(&states[row(flow.row, hidden)]);
    }
    ends[..size].copy_from_slice(&starts[..size]);
    slices.points[first..first + size].copy_from_slice(&starts[..size]);
    let widths = formula.widths();
    for (place, &stage) in context.stages.iter().enumerate() {
        let at = first + place * size;
        let (points, next) = slices.points[at..].split_at_mut(size);
        let last = place + 1 == context.stages.len();
        formula.evaluate(Evaluation {
            hidden,
            stage,
            moving: flows,
            starts: &starts[..size],
            points,
            inner: &mut slices.inner[widths.inner * at..widths.inner * (at + size)],
            outer: &mut slices.outer[widths.outer * at..widths.outer * (at + size)],
            ends: &mut ends[..size],
            next: if last { &mut beyond[..size] } else { &mut next[..size] },
        });
    }
    for (from, flow) in ends.chunks_exact(hidden).zip(flows) {
        states[row(flow.row, hidden)].copy_from_slice(from);
    }
}
