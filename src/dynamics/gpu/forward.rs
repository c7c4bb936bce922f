//! The forward scan: one cube takes a tile of rows through all positions and all substeps, and
//! leaves behind what the backward scan needs.
//!
//! Rows lie side by side in vectors, so that a weight is read once for all of them. In the products
//! ([`multiply`]) units share columns and slices; in between a unit has hidden value j of all rows at
//! every step, and only what the matrices multiply is read by others, with a barrier on either side.

use cubecl::prelude::*;

use super::inner::{multiply, total, weight};
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
pub(super) fn forward<N: Size, W: Size>(
    weights: &[Vector<f32, W>],
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
    let stages = comptime!(shape.stages);
    let offsets = comptime!(Offsets::new(shape.hidden));
    let width = comptime!(shape.width);
    let lanes = N::value();
    let (unit, units) = (UNIT_POS as usize, CUBE_DIM as usize);
    let events = extent.rows * extent.len;
    let first_row = CUBE_POS * lanes;
    let substeps = 2 * events + CUBE_POS * (extent.len + 1);
    let w_hidden = (extent.weights + offsets.w_hidden) / width;
    let w_in = (extent.weights + offsets.w_in) / width;
    let w_out = (extent.weights + offsets.w_out) / width;

    let mut state = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    let mut start = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    let mut end = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    let mut within = Shared::<[Vector<f32, N>]>::new_slice(comptime!(2 * hidden));
    let mut partials = Shared::<[Vector<f32, N>]>::new_slice(comptime!(3 * hidden * shape.slices));

    let mut j = unit;
    while j < hidden {
        state[j] = Vector::new(0.0f32);
        j += units;
    }
    sync_cube();

    for position in 0..extent.len {
        // The event.
        multiply::<N, W>(weights, w_hidden, &state, 0, &mut partials, hidden, 3usize, shape);
        sync_cube();
        let mut j = unit;
        while j < hidden {
            let reset = total::<N>(&partials, 0, j, shape);
            let update = total::<N>(&partials, 1, j, shape);
            let new = total::<N>(&partials, 2, j, shape);
            let b_input = extent.weights + offsets.b_input + j;
            let b_hidden = extent.weights + offsets.b_hidden + j;
            let bias_r = weight::<W>(weights, b_input) + weight::<W>(weights, b_hidden);
            let bias_z =
                weight::<W>(weights, b_input + hidden) + weight::<W>(weights, b_hidden + hidden);
            let bias_n = weight::<W>(weights, b_input + comptime!(2 * hidden));
            let bias_h = weight::<W>(weights, b_hidden + comptime!(2 * hidden));
            let old = state[j];
            let mut fresh = old;
            #[unroll]
            for lane in 0..lanes {
                let row = first_row + lane;
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
            state[j] = fresh;
            start[j] = fresh;
            end[j] = fresh;
            if comptime!(!shape.query_gap) {
                keep::<N>(fresh, scored, plan, masks, &extent, position, first_row, j, shape);
            }
            j += units;
        }
        sync_cube();

        // The gap after it.
        if comptime!(stages > 0) {
            let mut substep = plan[substeps + position] as usize;
            let to = plan[substeps + position + 1] as usize;
            while substep < to {
                for stage in 0..stages {
                    let row = (substep * stages + stage) * lanes;
                    multiply::<N, W>(
                        weights,
                        w_in,
                        &state,
                        0,
                        &mut partials,
                        hidden,
                        2usize,
                        shape,
                    );
                    sync_cube();
                    let mut j = unit;
                    while j < hidden {
                        let bias = extent.weights + offsets.b_in + j;
                        let low = total::<N>(&partials, 0, j, shape)
                            + Vector::new(weight::<W>(weights, bias));
                        let high = total::<N>(&partials, 1, j, shape)
                            + Vector::new(weight::<W>(weights, bias + hidden));
                        let (low, high) = (low.tanh(), high.tanh());
                        within[j] = low;
                        within[j + hidden] = high;
                        let point = state[j];
                        #[unroll]
                        for lane in 0..lanes {
                            let row = row + lane;
                            points[row * hidden + j] = point.extract(lane);
                            inner[row * comptime!(2 * hidden) + j] = low.extract(lane);
                            inner[row * comptime!(2 * hidden) + hidden + j] = high.extract(lane);
                        }
                        j += units;
                    }
                    sync_cube();
                    multiply::<N, W>(
                        weights,
                        w_out,
                        &within,
                        0,
                        &mut partials,
                        comptime!(2 * hidden),
                        1usize,
                        shape,
                    );
                    sync_cube();
                    let mut j = unit;
                    while j < hidden {
                        let bias = weight::<W>(weights, extent.weights + offsets.b_out + j);
                        let out = (total::<N>(&partials, 0, j, shape) + Vector::new(bias)).tanh();
                        #[unroll]
                        for lane in 0..lanes {
                            outer[(row + lane) * hidden + j] = out.extract(lane);
                        }
                        let slope = out - state[j] * Vector::new(decay);
                        let step = slope * lengths[substep];
                        let moved = end[j] + step * Vector::new(share(stage, stages));
                        end[j] = moved;
                        if stage + 1 == stages {
                            state[j] = moved;
                            start[j] = moved;
                        } else {
                            state[j] = start[j] + step * Vector::new(reach(stage, stages));
                        }
                        j += units;
                    }
                    sync_cube();
                }
                substep += 1;
            }
        }
        if comptime!(shape.query_gap) {
            let mut j = unit;
            while j < hidden {
                keep::<N>(end[j], scored, plan, masks, &extent, position, first_row, j, shape);
                j += units;
            }
        }
    }
}

/// Keep one value of the states that are scored.
#[cube]
fn keep<N: Size>(
    state: Vector<f32, N>,
    scored: &mut [f32],
    plan: &[u32],
    masks: &[f32],
    extent: &Extent,
    position: usize,
    first_row: usize,
    j: usize,
    #[comptime] shape: Shape,
) {
    let hidden = comptime!(shape.hidden);
    let lanes = N::value();
    let events = extent.rows * extent.len;
    #[unroll]
    for lane in 0..lanes {
        let row = first_row + lane;
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
