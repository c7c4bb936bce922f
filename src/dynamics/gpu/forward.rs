//! The forward scan: one cube takes a tile of rows through all positions and all substeps, and
//! leaves behind what the backward scan needs.
//!
//! Rows lie side by side in vectors, so that a weight is read once for all of them. Unit and value
//! belong together: a unit computes hidden value j of a group of rows at every step, and only what
//! the matrices multiply is read by others, with a barrier on either side.

use cubecl::prelude::*;

use super::shape::{Offsets, Shape};
use super::stage::{reach, share};

/// What a scan is told at run time.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Extent {
    /// B.
    pub rows: usize,
    /// L.
    pub len: usize,
    /// Where the weights after the embedding begin.
    pub weights: usize,
}

/// Take every tile through its events and gaps.
///
/// E = L·B are the events, position after position; F the rows of all substeps' stages, in the order
/// tile, substep, stage, row; Q the scored states.
///
/// - `gates`, `[E, 3H]`: x·Wᵢ without its bias; becomes r, z, n.
/// - `from_state`, `[E, 3H]`: the last third becomes hₙ.
/// - `before`, `[E, H]`: states before the events. `scored`, `[Q, H]`: states before the head.
/// - `points`, `[F, H]`, `inner`, `[F, 2H]`, `outer`, `[F, H]`: the field's inputs and its tanhs.
/// - `plan`: items `[E]`; of each event the place in `scored` plus one, `[E]`; of each tile and
///   position the first substep, `[tiles, L + 1]`.
/// - `lengths`, `[S, rows of a tile]`: of every substep.
/// - `masks`: on the embedded items, `[E, H]`, and on the states.
#[cube(launch_unchecked)]
pub(super) fn forward<N: Size>(
    weights: &[f32],
    gates: &mut [f32],
    from_state: &mut [f32],
    before: &mut [f32],
    scored: &mut [f32],
    points: &mut [f32],
    inner: &mut [f32],
    outer: &mut [f32],
    plan: &[u32],
    lengths: &[Vector<f32, N>],
    masks: &[f32],
    extent: Extent,
    decay: f32,
    #[comptime] shape: Shape,
) {
    let hidden = comptime!(shape.hidden);
    let groups = comptime!(shape.groups);
    let stages = comptime!(shape.stages);
    let offsets = comptime!(Offsets::new(shape.hidden));
    let values = comptime!(hidden * groups);
    let lanes = N::value();
    let tile = comptime!(groups * lanes);
    let (unit, units) = (UNIT_POS as usize, CUBE_DIM as usize);
    let events = extent.rows * extent.len;
    let first_row = CUBE_POS * tile;
    let substeps = 2 * events + CUBE_POS * (extent.len + 1);
    let w_hidden = extent.weights + offsets.w_hidden;
    let w_in = extent.weights + offsets.w_in;
    let w_out = extent.weights + offsets.w_out;

    let mut state = Shared::<[Vector<f32, N>]>::new_slice(values);
    let mut start = Shared::<[Vector<f32, N>]>::new_slice(values);
    let mut end = Shared::<[Vector<f32, N>]>::new_slice(values);
    let mut within = Shared::<[Vector<f32, N>]>::new_slice(comptime!(2 * values));

    let mut value = unit;
    while value < values {
        state[value] = Vector::new(0.0f32);
        value += units;
    }
    sync_cube();

    for position in 0..extent.len {
        // The event.
        let mut value = unit;
        while value < values {
            let (j, group) = (value / groups, value % groups);
            let mut reset = Vector::<f32, N>::new(0.0f32);
            let mut update = Vector::<f32, N>::new(0.0f32);
            let mut new = Vector::<f32, N>::new(0.0f32);
            for k in 0..hidden {
                let from = w_hidden + k * comptime!(3 * hidden) + j;
                let input = state[k * groups + group];
                reset += input * Vector::new(weights[from]);
                update += input * Vector::new(weights[from + hidden]);
                new += input * Vector::new(weights[from + comptime!(2 * hidden)]);
            }
            let b_input = extent.weights + offsets.b_input + j;
            let b_hidden = extent.weights + offsets.b_hidden + j;
            let bias_r = weights[b_input] + weights[b_hidden];
            let bias_z = weights[b_input + hidden] + weights[b_hidden + hidden];
            let bias_n = weights[b_input + comptime!(2 * hidden)];
            let bias_h = weights[b_hidden + comptime!(2 * hidden)];
            let old = state[value];
            let mut fresh = old;
            #[unroll]
            for lane in 0..lanes {
                let row = first_row + group * lanes + lane;
                if row < extent.rows {
                    let event = position * extent.rows + row;
                    let was = old.extract(lane);
                    before[event * hidden + j] = was;
                    if plan[event] > 0 {
                        let at = event * comptime!(3 * hidden) + j;
                        let r = sigmoid(gates[at] + reset.extract(lane) + bias_r);
                        let z = sigmoid(gates[at + hidden] + update.extract(lane) + bias_z);
                        let held = new.extract(lane) + bias_h;
                        let sum = gates[at + comptime!(2 * hidden)] + bias_n + r * held;
                        let n = sum.tanh();
                        gates[at] = r;
                        gates[at + hidden] = z;
                        gates[at + comptime!(2 * hidden)] = n;
                        from_state[at + comptime!(2 * hidden)] = held;
                        fresh.insert(lane, n + z * (was - n));
                    }
                }
            }
            end[value] = fresh;
            value += units;
        }
        sync_cube();
        let mut value = unit;
        while value < values {
            state[value] = end[value];
            start[value] = end[value];
            if comptime!(!shape.query_gap) {
                keep::<N>(&end, scored, plan, masks, &extent, position, first_row, value, shape);
            }
            value += units;
        }
        sync_cube();

        // The gap after it.
        if comptime!(stages > 0) {
            let from = plan[substeps + position] as usize;
            let to = plan[substeps + position + 1] as usize;
            for substep in from..to {
                for stage in 0..stages {
                    let row = (substep * stages + stage) * tile;
                    let mut value = unit;
                    while value < values {
                        let (j, group) = (value / groups, value % groups);
                        let mut low = Vector::<f32, N>::new(0.0f32);
                        let mut high = Vector::<f32, N>::new(0.0f32);
                        for k in 0..hidden {
                            let from = w_in + k * comptime!(2 * hidden) + j;
                            let input = state[k * groups + group];
                            low += input * Vector::new(weights[from]);
                            high += input * Vector::new(weights[from + hidden]);
                        }
                        let bias = extent.weights + offsets.b_in + j;
                        low = (low + Vector::new(weights[bias])).tanh();
                        high = (high + Vector::new(weights[bias + hidden])).tanh();
                        within[value] = low;
                        within[value + values] = high;
                        let point = state[value];
                        #[unroll]
                        for lane in 0..lanes {
                            let row = row + group * lanes + lane;
                            points[row * hidden + j] = point.extract(lane);
                            inner[row * comptime!(2 * hidden) + j] = low.extract(lane);
                            inner[row * comptime!(2 * hidden) + hidden + j] = high.extract(lane);
                        }
                        value += units;
                    }
                    sync_cube();
                    let mut value = unit;
                    while value < values {
                        let (j, group) = (value / groups, value % groups);
                        let mut low = Vector::<f32, N>::new(0.0f32);
                        let mut high = Vector::<f32, N>::new(0.0f32);
                        for k in 0..hidden {
                            let from = w_out + k * hidden + j;
                            let input = k * groups + group;
                            low += within[input] * Vector::new(weights[from]);
                            high += within[input + values]
                                * Vector::new(weights[from + comptime!(hidden * hidden)]);
                        }
                        let bias = weights[extent.weights + offsets.b_out + j];
                        let out = (low + high + Vector::new(bias)).tanh();
                        #[unroll]
                        for lane in 0..lanes {
                            let row = row + group * lanes + lane;
                            outer[row * hidden + j] = out.extract(lane);
                        }
                        let length = lengths[substep * groups + group];
                        let slope = out - state[value] * Vector::new(decay);
                        let step = slope * length;
                        let moved = end[value] + step * Vector::new(share(stage, stages));
                        end[value] = moved;
                        if stage + 1 == stages {
                            state[value] = moved;
                            start[value] = moved;
                        } else {
                            state[value] = start[value] + step * Vector::new(reach(stage, stages));
                        }
                        value += units;
                    }
                    sync_cube();
                }
            }
        }
        if comptime!(shape.query_gap) {
            let mut value = unit;
            while value < values {
                keep::<N>(&end, scored, plan, masks, &extent, position, first_row, value, shape);
                value += units;
            }
        }
    }
}

/// Keep one value of the states that are scored.
#[cube]
fn keep<N: Size>(
    states: &Shared<[Vector<f32, N>]>,
    scored: &mut [f32],
    plan: &[u32],
    masks: &[f32],
    extent: &Extent,
    position: usize,
    first_row: usize,
    value: usize,
    #[comptime] shape: Shape,
) {
    let hidden = comptime!(shape.hidden);
    let groups = comptime!(shape.groups);
    let lanes = N::value();
    let events = extent.rows * extent.len;
    let (j, group) = (value / groups, value % groups);
    let state = states[value];
    #[unroll]
    for lane in 0..lanes {
        let row = first_row + group * lanes + lane;
        if row < extent.rows {
            let slot = plan[events + position * extent.rows + row] as usize;
            if slot > 0 {
                let mask = state_mask(masks, extent, position, row, j, shape);
                scored[(slot - 1) * hidden + j] = state.extract(lane) * mask;
            }
        }
    }
}

/// One value of the mask on the states before the head.
#[cube]
pub(super) fn state_mask(
    masks: &[f32],
    extent: &Extent,
    position: usize,
    row: usize,
    j: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let mut mask = 1.0f32;
    if comptime!(shape.dropout) {
        let first = if comptime!(shape.every) { position * extent.rows } else { 0usize.runtime() };
        let event = extent.rows * extent.len + first + row;
        mask = masks[event * comptime!(shape.hidden) + j];
    }
    mask
}

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0f32 / (1.0f32 + (0.0f32 - x).exp())
}
