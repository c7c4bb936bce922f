//! The backward scan of one shard: from derivatives by its scored states to derivatives by the
//! embedded items and by everything that a weight is added to. These replace, in place, what the
//! forward scan has left.

use std::ops::Range;

use super::cell::GatesBack;
use super::flow;
use super::gemm::{View, product};
use super::plan::Shard;
use super::scan::{Context, Slices, row, rows, scale};
use crate::dynamics::solver::Moving;
use crate::dynamics::warp::TimeWarp;

/// Run `shard` back through all positions. `slices.scored` holds derivatives by now.
pub(super) fn backward(context: &Context<'_>, shard: &Shard, slices: &mut Slices<'_>) {
    let hidden = context.hidden;
    let mut back = Back { context, shard, slopes: vec![0.0; shard.rows * hidden] };
    let mut gaps = context.warp.map(|warp| Gaps::new(warp, shard.rows));
    let mut scratch = Scratch::new(shard.rows, hidden);
    for (place, position) in shard.positions.iter().enumerate().rev() {
        if context.query_gap {
            back.join(slices, &position.scored);
        }
        if let Some(over_gaps) = &context.layers.flow {
            for substep in position.substeps.iter().rev() {
                back.flow(over_gaps, slices, substep, &mut scratch, gaps.as_mut());
            }
            if let Some(gaps) = &mut gaps {
                *slices.by_theta += gaps.take();
            }
        }
        if !context.query_gap {
            back.join(slices, &position.scored);
        }
        back.update(slices, &position.events, &mut scratch, place > 0);
    }
    let by_input = View::new(slices.input, 3 * hidden);
    let w_input = View::new(context.weights.w_input, 3 * hidden);
    product(slices.by_embedded, by_input, w_input.t());
    if let Some(masks) = context.dropout {
        for (slope, event) in slices.by_embedded.chunks_exact_mut(hidden).zip(&shard.events) {
            scale(slope, &masks.input[row(event.mask, hidden)]);
        }
    }
}

/// Room for one step, `[S, H]` each.
struct Scratch {
    ends: Vec<f32>,
    points: Vec<f32>,
    through: Vec<f32>,
    starts: Vec<f32>,
}

impl Scratch {
    fn new(rows: usize, hidden: usize) -> Self {
        let room = || vec![0.0; rows * hidden];
        Self { ends: room(), points: room(), through: room(), starts: room() }
    }
}

/// The gaps of one position, where model time depends on what is learned.
struct Gaps {
    warp: TimeWarp,
    rows: Vec<Gap>,
}

#[derive(Clone, Copy, Default)]
struct Gap {
    model_time: f32,
    substeps: u32,
    /// Σ of the derivatives by its substeps' lengths.
    by_lengths: f64,
}

impl Gaps {
    fn new(warp: TimeWarp, rows: usize) -> Self {
        Self { warp, rows: vec![Gap::default(); rows] }
    }

    fn count(&mut self, moving: Moving) {
        let gap = &mut self.rows[moving.row];
        gap.model_time += moving.length;
        gap.substeps += 1;
    }

    fn add(&mut self, row: usize, by_length: f64) {
        self.rows[row].by_lengths += by_length;
    }

    /// The derivative by θ through all of them, which are forgotten: substeps share a gap evenly.
    fn take(&mut self) -> f64 {
        let mut sum = 0.0;
        for gap in &mut self.rows {
            let Gap { model_time, substeps, by_lengths } = std::mem::take(gap);
            if substeps > 0 {
                sum += by_lengths / f64::from(substeps) * self.warp.by_theta(model_time);
            }
        }
        sum
    }
}

struct Back<'a> {
    context: &'a Context<'a>,
    shard: &'a Shard,
    /// Derivatives by the states of the shard, `[S, H]`.
    slopes: Vec<f32>,
}

impl Back<'_> {
    /// Add the derivatives of the scored states to those of the states.
    fn join(&mut self, slices: &mut Slices<'_>, scored: &Range<usize>) {
        let hidden = self.context.hidden;
        let kept = slices.scored[rows(scored, hidden)].chunks_exact_mut(hidden);
        for (slope, scored) in kept.zip(&self.shard.scored[scored.clone()]) {
            for (sum, slope) in self.slopes[row(scored.row, hidden)].iter_mut().zip(slope) {
                *sum += *slope;
            }
        }
    }

    /// Back through one substep.
    fn flow(
        &mut self,
        over_gaps: &flow::Flow,
        slices: &mut Slices<'_>,
        substep: &Range<usize>,
        scratch: &mut Scratch,
        mut gaps: Option<&mut Gaps>,
    ) {
        let context = self.context;
        let hidden = context.hidden;
        let flows = &self.shard.flows[substep.clone()];
        let size = flows.len() * hidden;
        let first = substep.start * context.stages.len() * hidden;
        let Scratch { ends, points, through, starts } = scratch;
        let (ends, points) = (&mut ends[..size], &mut points[..size]);
        let (through, starts) = (&mut through[..size], &mut starts[..size]);
        for (to, flow) in ends.chunks_exact_mut(hidden).zip(flows) {
            to.copy_from_slice(&self.slopes[row(flow.row, hidden)]);
        }
        starts.copy_from_slice(ends);
        points.fill(0.0);
        let widths = over_gaps.forward.widths();
        for (place, &stage) in context.stages.iter().enumerate().rev() {
            let at = first + place * size;
            let inner = widths.inner * at..widths.inner * (at + size);
            let evaluation = flow::Back {
                hidden,
                stage,
                moving: flows,
                points: &slices.points[at..at + size],
                inner: &slices.inner[inner.clone()],
                by_inner: &mut slices.by_inner[inner],
                outer: &mut slices.outer[widths.outer * at..widths.outer * (at + size)],
                by_ends: ends,
                by_points: points,
                by_starts: starts,
                through,
            };
            if let Some(gaps) = &mut gaps {
                for (row, moving) in flows.iter().enumerate() {
                    gaps.add(moving.row, over_gaps.back.by_length(&evaluation, row));
                }
            }
            over_gaps.back.back(evaluation);
        }
        if let Some(gaps) = gaps {
            flows.iter().for_each(|&moving| gaps.count(moving));
        }
        for (from, flow) in starts.chunks_exact(hidden).zip(flows) {
            self.slopes[row(flow.row, hidden)].copy_from_slice(from);
        }
    }

    /// Back through the events of one position, and to the states before them where anything came
    /// `earlier`.
    fn update(
        &mut self,
        slices: &mut Slices<'_>,
        events: &Range<usize>,
        scratch: &mut Scratch,
        earlier: bool,
    ) {
        let context = self.context;
        let hidden = context.hidden;
        let here = &self.shard.events[events.clone()];
        let from_state = &mut slices.from_state[rows(events, 3 * hidden)];
        let size = here.len() * hidden;
        let (before, through) = (&mut scratch.starts[..size], &mut scratch.through[..size]);
        let each = slices.input[rows(events, 3 * hidden)]
            .chunks_exact_mut(3 * hidden)
            .zip(from_state.chunks_exact_mut(3 * hidden))
            .zip(slices.before[rows(events, hidden)].chunks_exact(hidden))
            .zip(before.chunks_exact_mut(hidden))
            .zip(here);
        for ((((input, from_state), state), direct), event) in each {
            context.arch.dispatch(GatesBack {
                input,
                from_state,
                before: state,
                slope: &self.slopes[row(event.row, hidden)],
                direct,
            });
        }
        if !earlier {
            return;
        }
        context.layers.hidden_back.apply(from_state, through);
        let parts = before.chunks_exact(hidden).zip(through.chunks_exact(hidden));
        for ((direct, through), event) in parts.zip(here) {
            let slopes = &mut self.slopes[row(event.row, hidden)];
            for ((slope, direct), through) in slopes.iter_mut().zip(direct).zip(through) {
                *slope = direct + through;
            }
        }
    }
}
