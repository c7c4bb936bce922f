//! The products inside the scans: a tile of rows by a matrix of weights.
//!
//! What bounds them is reading the weights, so each unit reads several columns at once and goes
//! through only a slice of the inner dimension, a few rows of weights ahead of the sums. The sums of
//! the slices meet in shared memory.

use cubecl::prelude::*;

use super::shape::Shape;

/// Inputs that a unit reads ahead, at most.
const AHEAD: usize = 8;

/// `partials` ← the sums of each slice of `inputs`·W, W of `inner` rows and `outs` times H columns,
/// row after row in `weights` from vector `first` on. The inputs begin at `from`.
#[cube]
pub(super) fn multiply<N: Size, W: Size>(
    weights: &[Vector<f32, W>],
    first: usize,
    inputs: &Shared<[Vector<f32, N>]>,
    from: usize,
    partials: &mut Shared<[Vector<f32, N>]>,
    #[comptime] inner: usize,
    #[comptime] outs: usize,
    #[comptime] shape: Shape,
) {
    let width = W::value();
    let slices = comptime!(shape.slices);
    let columns = comptime!(shape.hidden / shape.width);
    let each = comptime!(inner / shape.slices);
    let ahead = comptime!(most_dividing(inner / shape.slices, AHEAD));
    let across = CUBE_DIM as usize / slices;
    let (place, slice) = (UNIT_POS as usize % across, UNIT_POS as usize / across);

    let mut column = place;
    // Units beyond the last whole slice have no part in it.
    while column < columns && slice < slices {
        let mut sums = Array::<Vector<f32, N>>::new(comptime!(outs * shape.width));
        #[unroll]
        for place in 0..comptime!(outs * shape.width) {
            sums[place] = Vector::new(0.0f32);
        }
        let row = slice * each;
        for some in 0..comptime!(inner / shape.slices / ahead) {
            #[unroll]
            for one in 0..ahead {
                let k = row + some * ahead + one;
                let input = inputs[from + k];
                #[unroll]
                for out in 0..outs {
                    let weight = weights[first + (k * outs + out) * columns + column];
                    #[unroll]
                    for lane in 0..width {
                        sums[comptime!(out * shape.width + lane)] +=
                            input * Vector::new(weight.extract(lane));
                    }
                }
            }
        }
        #[unroll]
        for out in 0..outs {
            #[unroll]
            for lane in 0..width {
                // Neighbouring units write neighbouring places.
                let to = (out * slices + slice) * comptime!(shape.hidden) + lane * columns + column;
                partials[to] = sums[comptime!(out * shape.width + lane)];
            }
        }
        column += across;
    }
}

/// The sum at column `j` of the product's block `out`.
#[cube]
pub(super) fn total<N: Size>(
    partials: &Shared<[Vector<f32, N>]>,
    out: usize,
    j: usize,
    #[comptime] shape: Shape,
) -> Vector<f32, N> {
    let hidden = comptime!(shape.hidden);
    let width = comptime!(shape.width);
    let at = out * comptime!(shape.slices * shape.hidden)
        + (j % width) * comptime!(shape.hidden / shape.width)
        + j / width;
    let mut sum = partials[at];
    #[unroll]
    for slice in 1..comptime!(shape.slices) {
        sum += partials[at + slice * hidden];
    }
    sum
}

/// One value of `weights`.
#[cube]
pub(super) fn weight<W: Size>(weights: &[Vector<f32, W>], place: usize) -> f32 {
    let width = W::value();
    let vector = weights[place / width];
    let mut value = vector.extract(0usize);
    #[unroll]
    for lane in 1..width {
        if place % width == lane {
            value = vector.extract(lane);
        }
    }
    value
}

/// The largest divisor of `value` that is at most `most`.
fn most_dividing(value: usize, most: usize) -> usize {
    (1..=most).rev().find(|divisor| value.is_multiple_of(*divisor)).unwrap_or(1)
}
