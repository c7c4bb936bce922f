//! The backward scan: from derivatives by the scored states to derivatives by everything that a
//! weight is added to. These replace, in place, what the forward scan has left.

use cubecl::prelude::*;

use super::forward::{Extent, state_mask};
use super::inner::{multiply, total};
use super::shape::{Shape, Turned};
use super::stage::{reach, share};

/// Take every tile back through its gaps and events; buffers as in
/// [`forward`](super::forward::forward).
///
/// - `turned`: the transposed matrices.
/// - `gates`, `[E, 3H]`: r, z, n; becomes the derivative by x·Wᵢ. `from_state`, `[E, 3H]`: hₙ in
///   its last third; becomes the derivative by h·W_h. Both are zero where there is padding.
/// - `scored`, `[Q, H]`: derivatives by the states before the head.
/// - `outer`, `[F, H]`: the outer tanh; becomes the derivative by what it is taken of. `by_inner`,
///   `[F, 2H]`: the same of the inner tanh.
#[cube(launch_unchecked)]
pub(super) fn backward<N: Size, W: Size>(
    turned: &[Vector<f32, W>],
    gates: &mut [f32],
    from_state: &mut [f32],
    before: &[f32],
    scored: &[f32],
    inner: &[f32],
    by_inner: &mut [f32],
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
    let offsets = comptime!(Turned::new(shape.hidden));
    let width = comptime!(shape.width);
    let lanes = N::value();
    let (unit, units) = (UNIT_POS as usize, CUBE_DIM as usize);
    let events = extent.rows * extent.len;
    let first_row = CUBE_POS * lanes;
    let substeps = 2 * events + CUBE_POS * (extent.len + 1);

    // Derivative by the state; by a step's end; by the point where the field is evaluated.
    let mut slope = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    let mut end = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    let mut point = Shared::<[Vector<f32, N>]>::new_slice(hidden);
    // What the transposed matrices multiply.
    let mut sums = Shared::<[Vector<f32, N>]>::new_slice(comptime!(3 * hidden));
    let mut partials = Shared::<[Vector<f32, N>]>::new_slice(comptime!(2 * hidden * shape.slices));

    let mut j = unit;
    while j < hidden {
        slope[j] = Vector::new(0.0f32);
        j += units;
    }

    for step in 0..extent.len {
        let position = extent.len - 1 - step;
        let mut j = unit;
        while j < hidden {
            if comptime!(shape.query_gap) {
                slope[j] +=
                    joined::<N>(scored, plan, masks, &extent, position, first_row, j, shape);
            }
            j += units;
        }

        if comptime!(stages > 0) {
            let from = plan[substeps + position] as usize;
            let to = plan[substeps + position + 1] as usize;
            for back in from..to {
                let substep = to - 1 - (back - from);
                for place in 0..stages {
                    let stage = stages - 1 - place;
                    let row = (substep * stages + stage) * lanes;
                    let mut j = unit;
                    while j < hidden {
                        if place == 0 {
                            end[j] = slope[j];
                            point[j] = Vector::new(0.0f32);
                        }
                        let mut by_slope = end[j] * Vector::new(share(stage, stages))
                            + point[j] * Vector::new(reach(stage, stages));
                        by_slope *= lengths[substep];
                        point[j] = by_slope;
                        #[unroll]
                        for lane in 0..lanes {
                            let at = (row + lane) * hidden + j;
                            let out = outer[at];
                            let by_sum = by_slope.extract(lane) * (1.0f32 - out * out);
                            outer[at] = by_sum;
                            by_slope.insert(lane, by_sum);
                        }
                        sums[j] = by_slope;
                        j += units;
                    }
                    sync_cube();
                    let w_out = offsets.w_out / width;
                    multiply::<N, W>(turned, w_out, &sums, 0, &mut partials, hidden, 2usize, shape);
                    sync_cube();
                    let mut j = unit;
                    while j < hidden {
                        let mut low = total::<N>(&partials, 0, j, shape);
                        let mut high = total::<N>(&partials, 1, j, shape);
                        #[unroll]
                        for lane in 0..lanes {
                            let at = (row + lane) * comptime!(2 * hidden) + j;
                            let out = inner[at];
                            let by_low = low.extract(lane) * (1.0f32 - out * out);
                            let out = inner[at + hidden];
                            let by_high = high.extract(lane) * (1.0f32 - out * out);
                            by_inner[at] = by_low;
                            by_inner[at + hidden] = by_high;
                            low.insert(lane, by_low);
                            high.insert(lane, by_high);
                        }
                        sums[j + hidden] = low;
                        sums[j + comptime!(2 * hidden)] = high;
                        j += units;
                    }
                    sync_cube();
                    multiply::<N, W>(
                        turned,
                        offsets.w_in / width,
                        &sums,
                        hidden,
                        &mut partials,
                        comptime!(2 * hidden),
                        1usize,
                        shape,
                    );
                    sync_cube();
                    let mut j = unit;
                    while j < hidden {
                        let by_point =
                            total::<N>(&partials, 0, j, shape) - point[j] * Vector::new(decay);
                        point[j] = by_point;
                        slope[j] += by_point;
                        j += units;
                    }
                }
            }
        }

        let mut j = unit;
        while j < hidden {
            if comptime!(!shape.query_gap) {
                slope[j] +=
                    joined::<N>(scored, plan, masks, &extent, position, first_row, j, shape);
            }
            let by_after = slope[j];
            let mut direct = by_after;
            let mut by_reset = Vector::<f32, N>::new(0.0f32);
            let mut by_update = Vector::<f32, N>::new(0.0f32);
            let mut by_held = Vector::<f32, N>::new(0.0f32);
            #[unroll]
            for lane in 0..lanes {
                let row = first_row + lane;
                if row < extent.rows {
                    let event = position * extent.rows + row;
                    let at = event * comptime!(3 * hidden) + j;
                    let last = at + comptime!(2 * hidden);
                    let mut r_sum = 0.0f32;
                    let mut z_sum = 0.0f32;
                    let mut n_sum = 0.0f32;
                    let mut h_sum = 0.0f32;
                    if plan[event] > 0 {
                        let g = by_after.extract(lane);
                        let (r, z, n) = (gates[at], gates[at + hidden], gates[last]);
                        n_sum = g * (1.0f32 - z) * (1.0f32 - n * n);
                        z_sum = g * (before[event * hidden + j] - n) * z * (1.0f32 - z);
                        r_sum = n_sum * from_state[last] * r * (1.0f32 - r);
                        h_sum = n_sum * r;
                        direct.insert(lane, g * z);
                    }
                    gates[at] = r_sum;
                    gates[at + hidden] = z_sum;
                    gates[last] = n_sum;
                    from_state[at] = r_sum;
                    from_state[at + hidden] = z_sum;
                    from_state[last] = h_sum;
                    by_reset.insert(lane, r_sum);
                    by_update.insert(lane, z_sum);
                    by_held.insert(lane, h_sum);
                }
            }
            end[j] = direct;
            sums[j] = by_reset;
            sums[j + hidden] = by_update;
            sums[j + comptime!(2 * hidden)] = by_held;
            j += units;
        }
        sync_cube();
        multiply::<N, W>(
            turned,
            offsets.w_hidden / width,
            &sums,
            0,
            &mut partials,
            comptime!(3 * hidden),
            1usize,
            shape,
        );
        sync_cube();
        let mut j = unit;
        while j < hidden {
            slope[j] = end[j] + total::<N>(&partials, 0, j, shape);
            j += units;
        }
    }
}

/// One value of the derivatives by the states that are scored at `position`.
#[cube]
fn joined<N: Size>(
    scored: &[f32],
    plan: &[u32],
    masks: &[f32],
    extent: &Extent,
    position: usize,
    first_row: usize,
    j: usize,
    #[comptime] shape: Shape,
) -> Vector<f32, N> {
    let hidden = comptime!(shape.hidden);
    let lanes = N::value();
    let events = extent.rows * extent.len;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for lane in 0..lanes {
        let row = first_row + lane;
        if row < extent.rows {
            let slot = plan[events + position * extent.rows + row] as usize;
            if slot > 0 {
                let mask = state_mask(masks, extent, position, row, j, shape);
                sum.insert(lane, scored[(slot - 1) * hidden + j] * mask);
            }
        }
    }
    sum
}
