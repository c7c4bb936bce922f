//! The matrix product, one launch each.

use cubecl::prelude::*;

/// A cube computes this many rows and columns, and goes through the inner dimension in steps of
/// [`DEPTH`].
pub(super) const TILE: usize = 64;
const DEPTH: usize = 16;
/// Units along either side of the tile, and values of a unit along either side, a vector.
const SIDE: usize = 16;
pub(super) const EACH: usize = TILE / SIDE;

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
///
/// A unit computes [`EACH`] neighbouring rows and columns. While a cube multiplies what lies in shared
/// memory, its units already read what comes next.
#[cube(launch_unchecked)]
pub(super) fn product<N: Size>(
    a: &[f32],
    b: &[f32],
    out: &mut [f32],
    at: Places,
    #[comptime] form: Form,
) {
    let unit = UNIT_POS as usize;
    let (column, row) = (unit % SIDE, unit / SIDE);
    let first_n = CUBE_POS_X as usize * TILE;
    let first_m = CUBE_POS_Y as usize * TILE;
    let from = CUBE_POS_Z as usize * at.k_each;
    let to = clamp_max(from + at.k_each, at.k);

    // Rows of A and columns of B, in vectors, at each place of the inner dimension.
    let mut a_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(SIDE * DEPTH));
    let mut b_tile = Shared::<[Vector<f32, N>]>::new_slice(comptime!(SIDE * DEPTH));
    let mut sums = Array::<Vector<f32, N>>::new(EACH);
    #[unroll]
    for i in 0..EACH {
        sums[i] = Vector::new(0.0f32);
    }
    // Column sums of B, of the cubes along its first rows.
    let mut ones = Vector::<f32, N>::new(0.0f32);

    // Neighbouring units read neighbouring values, however the matrix is stored.
    let (a_m, a_k) = if comptime!(form.a_turned) {
        (unit % SIDE, unit / SIDE)
    } else {
        (unit / DEPTH, unit % DEPTH)
    };
    let (b_n, b_k) = if comptime!(form.b_turned) {
        (unit / DEPTH, unit % DEPTH)
    } else {
        (unit % SIDE, unit / SIDE)
    };
    let (a_first, b_first) = (first_m + a_m * EACH, first_n + b_n * EACH);
    let mut left = some::<N>(a, at.a, at.a_width, a_first, at.m, from + a_k, to, form.a_turned);
    let mut right = some::<N>(b, at.b, at.b_width, b_first, at.n, from + b_k, to, !form.b_turned);
    let mut depth = from;
    while depth < to {
        a_tile[a_k * SIDE + a_m] = left;
        b_tile[b_k * SIDE + b_n] = right;
        sync_cube();
        depth += DEPTH;
        left = some::<N>(a, at.a, at.a_width, a_first, at.m, depth + a_k, to, form.a_turned);
        right = some::<N>(b, at.b, at.b_width, b_first, at.n, depth + b_k, to, !form.b_turned);
        #[unroll]
        for k in 0..DEPTH {
            let left = a_tile[k * SIDE + row];
            let right = b_tile[k * SIDE + column];
            #[unroll]
            for i in 0..EACH {
                sums[i] += right * Vector::new(left.extract(i));
            }
            if comptime!(form.ones) {
                ones += right;
            }
        }
        sync_cube();
    }

    let rows = if comptime!(form.ones) { at.m + 1 } else { at.m };
    let base = at.out + CUBE_POS_Z as usize * rows * at.n;
    let n = first_n + column * EACH;
    #[unroll]
    for i in 0..EACH {
        let m = first_m + row * EACH + i;
        if m < at.m {
            put::<N>(out, base + m * at.n, n, at.n, sums[i], form.add);
        }
    }
    if comptime!(form.ones) && CUBE_POS_Y == 0 && row == 0 {
        put::<N>(out, base + at.m * at.n, n, at.n, ones, form.add);
    }
}

/// [`EACH`] values of a factor, from `first` on along its rows or columns and below `most`, at `k` of
/// the inner dimension; zeros beyond either end. `along`: they lie side by side.
#[cube]
fn some<N: Size>(
    matrix: &[f32],
    begin: usize,
    width: usize,
    first: usize,
    most: usize,
    k: usize,
    to: usize,
    #[comptime] along: bool,
) -> Vector<f32, N> {
    let mut values = Vector::<f32, N>::new(0.0f32);
    if k < to {
        #[unroll]
        for lane in 0..EACH {
            let place = first + lane;
            if place < most {
                let at = if along { k * width + place } else { place * width + k };
                values.insert(lane, matrix[begin + at]);
            }
        }
    }
    values
}

/// The columns of one row that are below `most`.
#[cube]
fn put<N: Size>(
    out: &mut [f32],
    row: usize,
    first: usize,
    most: usize,
    values: Vector<f32, N>,
    #[comptime] add: bool,
) {
    #[unroll]
    for lane in 0..EACH {
        if first + lane < most {
            let place = row + first + lane;
            if add {
                out[place] += values.extract(lane);
            } else {
                out[place] = values.extract(lane);
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
