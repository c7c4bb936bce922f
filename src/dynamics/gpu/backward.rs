//! The backward scan: from derivatives by the scored states to derivatives by everything that a
//! weight is added to. These replace, in place, what the forward scan has left.

use cubecl::prelude::*;

use super::forward::{Extent, state_mask};
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
pub(super) fn backward<N: Size>(
    turned: &[f32],
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
    let groups = comptime!(shape.groups);
    let stages = comptime!(shape.stages);
    let offsets = comptime!(Turned::new(shape.hidden));
    let values = comptime!(hidden * groups);
    let lanes = N::value();
    let tile = comptime!(groups * lanes);
    let (unit, units) = (UNIT_POS as usize, CUBE_DIM as usize);
    let events = extent.rows * extent.len;
    let first_row = CUBE_POS * tile;
    let substeps = 2 * events + CUBE_POS * (extent.len + 1);

    // Derivative by the state; by a step's end; by the point where the field is evaluated.
    let mut slope = Shared::<[Vector<f32, N>]>::new_slice(values);
    let mut end = Shared::<[Vector<f32, N>]>::new_slice(values);
    let mut point = Shared::<[Vector<f32, N>]>::new_slice(values);
    // What the transposed matrices multiply; the only one that units read of each other.
    let mut sums = Shared::<[Vector<f32, N>]>::new_slice(comptime!(3 * values));

    let mut value = unit;
    while value < values {
        slope[value] = Vector::new(0.0f32);
        value += units;
    }

    for step in 0..extent.len {
        let position = extent.len - 1 - step;
        let mut value = unit;
        while value < values {
            if comptime!(shape.query_gap) {
                slope[value] +=
                    joined::<N>(scored, plan, masks, &extent, position, first_row, value, shape);
            }
            value += units;
        }

        if comptime!(stages > 0) {
            let from = plan[substeps + position] as usize;
            let to = plan[substeps + position + 1] as usize;
            for back in from..to {
                let substep = to - 1 - (back - from);
                for place in 0..stages {
                    let stage = stages - 1 - place;
                    let row = (substep * stages + stage) * tile;
                    let mut value = unit;
                    while value < values {
                        let (j, group) = (value / groups, value % groups);
                        if place == 0 {
                            end[value] = slope[value];
                            point[value] = Vector::new(0.0f32);
                        }
                        let mut by_slope = end[value] * Vector::new(share(stage, stages))
                            + point[value] * Vector::new(reach(stage, stages));
                        by_slope *= lengths[substep * groups + group];
                        point[value] = by_slope;
                        #[unroll]
                        for lane in 0..lanes {
                            let at = (row + group * lanes + lane) * hidden + j;
                            let out = outer[at];
                            let by_sum = by_slope.extract(lane) * (1.0f32 - out * out);
                            outer[at] = by_sum;
                            by_slope.insert(lane, by_sum);
                        }
                        sums[value] = by_slope;
                        value += units;
                    }
                    sync_cube();
                    let mut value = unit;
                    while value < values {
                        let (j, group) = (value / groups, value % groups);
                        let mut low = Vector::<f32, N>::new(0.0f32);
                        let mut high = Vector::<f32, N>::new(0.0f32);
                        for k in 0..hidden {
                            let from = offsets.w_out + k * comptime!(2 * hidden) + j;
                            let input = sums[k * groups + group];
                            low += input * Vector::new(turned[from]);
                            high += input * Vector::new(turned[from + hidden]);
                        }
                        #[unroll]
                        for lane in 0..lanes {
                            let at = (row + group * lanes + lane) * comptime!(2 * hidden) + j;
                            let out = inner[at];
                            let by_low = low.extract(lane) * (1.0f32 - out * out);
                            let out = inner[at + hidden];
                            let by_high = high.extract(lane) * (1.0f32 - out * out);
                            by_inner[at] = by_low;
                            by_inner[at + hidden] = by_high;
                            low.insert(lane, by_low);
                            high.insert(lane, by_high);
                        }
                        sums[value + values] = low;
                        sums[value + comptime!(2 * values)] = high;
                        value += units;
                    }
                    sync_cube();
                    let mut value = unit;
                    while value < values {
                        let (j, group) = (value / groups, value % groups);
                        let mut low = Vector::<f32, N>::new(0.0f32);
                        let mut high = Vector::<f32, N>::new(0.0f32);
                        for k in 0..hidden {
                            let from = offsets.w_in + k * hidden + j;
                            let input = values + k * groups + group;
                            low += sums[input] * Vector::new(turned[from]);
                            high += sums[input + values]
                                * Vector::new(turned[from + comptime!(hidden * hidden)]);
                        }
                        let by_point = low + high - point[value] * Vector::new(decay);
                        point[value] = by_point;
                        slope[value] += by_point;
                        value += units;
                    }
                }
            }
        }

        // Others may still read the sums of the last stage.
        sync_cube();
        let mut value = unit;
        while value < values {
            let (j, group) = (value / groups, value % groups);
            if comptime!(!shape.query_gap) {
                slope[value] +=
                    joined::<N>(scored, plan, masks, &extent, position, first_row, value, shape);
            }
            let by_after = slope[value];
            let mut direct = by_after;
            let mut by_reset = Vector::<f32, N>::new(0.0f32);
            let mut by_update = Vector::<f32, N>::new(0.0f32);
            let mut by_held = Vector::<f32, N>::new(0.0f32);
            #[unroll]
            for lane in 0..lanes {
                let row = first_row + group * lanes + lane;
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
            end[value] = direct;
            sums[value] = by_reset;
            sums[value + values] = by_update;
            sums[value + comptime!(2 * values)] = by_held;
            value += units;
        }
        sync_cube();
        let mut value = unit;
        while value < values {
            let (j, group) = (value / groups, value % groups);
            let mut reset = Vector::<f32, N>::new(0.0f32);
            let mut update = Vector::<f32, N>::new(0.0f32);
            let mut held = Vector::<f32, N>::new(0.0f32);
            for k in 0..hidden {
                let from = offsets.w_hidden + k * hidden + j;
                let input = k * groups + group;
                reset += sums[input] * Vector::new(turned[from]);
                update +=
                    sums[input + values] * Vector::new(turned[from + comptime!(hidden * hidden)]);
                held += sums[input + comptime!(2 * values)]
                    * Vector::new(turned[from + comptime!(2 * hidden * hidden)]);
            }
            slope[value] = end[value] + (reset + update + held);
            value += units;
        }
        sync_cube();
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
    value: usize,
    #[comptime] shape: Shape,
) -> Vector<f32, N> {
    let hidden = comptime!(shape.hidden);
    let groups = comptime!(shape.groups);
    let lanes = N::value();
    let events = extent.rows * extent.len;
    let (j, group) = (value / groups, value % groups);
    let mut sum = Vector::<f32, N>::new(0.0f32);
    #[unroll]
    for lane in 0..lanes {
        let row = first_row + group * lanes + lane;
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
