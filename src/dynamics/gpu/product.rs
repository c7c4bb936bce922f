//! The matrix product, one launch each.

use cubecl::prelude::*;

/// A cube computes this many rows and columns, and goes through the inner dimension in steps of
/// [`DEPTH`].
pub(super) const TILE: usize = 64;
const DEPTH: usize = 16;
/// Units along either side of the tile, and values of a unit along either side.
const SIDE: usize = 16;
const EACH: usize = TILE / SIDE;

/// How a product reads its factors, and what it does with the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// A is stored as `[K, M]`.
    pub a_turned: bool,
    /// B is stored as `[N, K]`.
    pub b_turned: bool,
    /// A has one row more than is stored, of ones: the result's last row is the column sums of B.
    pub ones: bool,
    /// The result is added to what is there.
    pub add: bool,
}

/// Sizes and places of a product's matrices: of one value, where A, B and the result begin.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Places {
    pub a: usize,
    pub b: usize,
    pub out: usize,
    /// Columns of A and of B as they are stored.
    pub a_width: usize,
    pub b_width: usize,
    /// Rows of A as it is stored, without the row of ones.
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// Of the inner dimension, for each cube along z.
    pub k_each: usize,
}

/// out ← A·B, or a part of the sum for each cube along z, one after the other.
#[cube(launch_unchecked)]
pub(super) fn product(a: &[f32], b: &[f32], out: &mut [f32], at: Places, #[comptime] form: Form) {
    let unit = UNIT_POS as usize;
    let (column, row) = (unit % SIDE, unit / SIDE);
    let first_n = CUBE_POS_X as usize * TILE;
    let first_m = CUBE_POS_Y as usize * TILE;
    let from = CUBE_POS_Z as usize * at.k_each;
    let to = clamp_max(from + at.k_each, at.k);
    let rows = if comptime!(form.ones) { at.m + 1 } else { at.m };

    let mut a_tile = Shared::<[f32]>::new_slice(comptime!(TILE * DEPTH));
    let mut b_tile = Shared::<[f32]>::new_slice(comptime!(TILE * DEPTH));
    let mut sums = Array::<f32>::new(comptime!(EACH * EACH));
    #[unroll]
    for i in 0..comptime!(EACH * EACH) {
        sums[i] = 0.0;
    }

    let mut depth = from;
    while depth < to {
        #[unroll]
        for i in 0..EACH {
            // Neighbouring units read neighbouring values, however the matrix is stored.
            let place = unit + i * comptime!(SIDE * SIDE);
            let (m, k) = if comptime!(form.a_turned) {
                (place % TILE, place / TILE)
            } else {
                (place / DEPTH, place % DEPTH)
            };
            let mut value = 0.0f32;
            if depth + k < to {
                if first_m + m < at.m {
                    value = if comptime!(form.a_turned) {
                        a[at.a + (depth + k) * at.a_width + first_m + m]
                    } else {
                        a[at.a + (first_m + m) * at.a_width + depth + k]
                    };
                } else if first_m + m < rows {
                    value = 1.0f32;
                }
            }
            a_tile[k * TILE + m] = value;
            let (n, k) = if comptime!(form.b_turned) {
                (place / DEPTH, place % DEPTH)
            } else {
                (place % TILE, place / TILE)
            };
            let mut value = 0.0f32;
            if depth + k < to && first_n + n < at.n {
                value = if comptime!(form.b_turned) {
                    b[at.b + (first_n + n) * at.b_width + depth + k]
                } else {
                    b[at.b + (depth + k) * at.b_width + first_n + n]
                };
            }
            b_tile[k * TILE + n] = value;
        }
        sync_cube();
        for k in 0..DEPTH {
            #[unroll]
            for i in 0..EACH {
                let left = a_tile[k * TILE + row + i * SIDE];
                #[unroll]
                for j in 0..EACH {
                    sums[i * EACH + j] += left * b_tile[k * TILE + column + j * SIDE];
                }
            }
        }
        sync_cube();
        depth += DEPTH;
    }

    let base = at.out + CUBE_POS_Z as usize * rows * at.n;
    #[unroll]
    for i in 0..EACH {
        let m = first_m + row + i * SIDE;
        #[unroll]
        for j in 0..EACH {
            let n = first_n + column + j * SIDE;
            if m < rows && n < at.n {
                let place = base + m * at.n + n;
                if comptime!(form.add) {
                    out[place] += sums[i * EACH + j];
                } else {
                    out[place] = sums[i * EACH + j];
                }
            }
        }
    }
}

/// out ← the sum of the `parts` parts of a product, each of `size` values.
#[cube(launch_unchecked)]
pub(super) fn fold(
    parts: &[f32],
    out: &mut [f32],
    first: usize,
    size: usize,
    count: usize,
    #[comptime] add: bool,
) {
    let place = ABSOLUTE_POS;
    if place < size {
        let mut sum = 0.0f32;
        for part in 0..count {
            sum += parts[part * size + place];
        }
        if comptime!(add) {
            out[first + place] += sum;
        } else {
            out[first + place] = sum;
        }
    }
}

#[cube]
fn clamp_max(value: usize, most: usize) -> usize {
    let mut value = value;
    if value > most {
        value = most;
    }
    value
}
