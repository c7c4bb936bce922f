//! Sums of outer products over many rows, aᵀ·b: the gradients of weights.
//!
//! Some rows come at a time. Their derivatives b are copied in strips of columns, each as wide as a tile
//! of the result and one row after the other, and are few enough that a strip and the inputs of a tile lie in
//! the nearest cache together while the tile is summed. The inputs a are read where they lie: a tile takes a
//! few neighbours of every row. What is summed so far waits between the rows of one part and those of the
//! next. A general product packs both factors again for each task.

use std::ops::Range;

use pulp::{Arch, Simd};

use super::gemm::View;
use super::pool::shares;
use crate::dynamics::packed::kernel::{self, Aligned, Kernel, mul_add, pack_rows};

/// Columns that are copied together: a multiple of every strip.
pub(super) const COLUMNS: usize = 384;
/// Rows that are copied together, at most. No sum depends on it.
const PART: usize = 128;
/// See [`depth`].
const DEPTH: usize = 512;

/// Rows that are summed before their sum is added to the result, of `rows` that make a result of
/// `columns` columns. It decides the last bits, so it follows from the shape alone, not from how the
/// result is cut into tasks: these are the rules of the `gemm` crate where the nearest cache has 32 KiB.
pub(super) fn depth(rows: usize, columns: usize) -> usize {
    if columns <= 64 { DEPTH } else { rows.div_ceil(rows.div_ceil(DEPTH).max(1)).max(1) }
}

/// `out` ← aᵀ·b, or `out` + aᵀ·b where `accumulate`.
pub(super) struct Outer<'a> {
    /// `[R, I]`.
    pub a: View<'a>,
    /// `[R, O]`.
    pub b: View<'a>,
    /// I rows of O values, which need not lie side by side.
    pub out: Vec<&'a mut [f32]>,
    /// Sums of the columns of `b`, `[O]`, where they are asked for.
    pub sums: Option<&'a mut [f32]>,
    /// See [`depth`].
    pub depth: usize,
    pub accumulate: bool,
}

impl Outer<'_> {
    /// On one thread, in an order that depends on the number of rows and the depth alone.
    ///
    /// # Panics
    /// Where the shapes do not fit.
    pub fn run(mut self, arch: Arch) {
        assert_eq!(self.a.rows(), self.b.rows(), "rows of both factors");
        assert_eq!(self.out.len(), self.a.cols(), "rows of the result");
        assert!(self.out.iter().all(|row| row.len() == self.b.cols()), "columns of the result");
        if let (Some(sums), false) = (&mut self.sums, self.accumulate) {
            sums.fill(0.0);
        }
        if self.a.rows() > 0 {
            kernel::run(arch, self);
        } else if !self.accumulate {
            self.out.into_iter().for_each(|row| row.fill(0.0));
        }
    }

    /// All of it, in strips of `C` vectors.
    #[inline(always)]
    fn strips<S: Simd, const C: usize, const FUSED: bool>(self, simd: S) {
        let Self { a, b, mut out, mut sums, depth, accumulate } = self;
        let width = C * S::F32_LANES;
        let (rows, columns) = (b.rows(), b.cols());
        let strips = |columns: usize| columns.div_ceil(width);
        let mut packed = Aligned::zeros(PART.min(rows) * strips(COLUMNS.min(columns)) * width);
        let mut carried = Aligned::zeros(strips(columns) * width * out.len());
        for first in (0..rows).step_by(depth) {
            let here = first..rows.min(first + depth);
            for part in shares(here.len(), PART) {
                let part = first + part.start..first + part.end;
                let size = part.len() * width;
                for left in (0..columns).step_by(COLUMNS) {
                    let count = COLUMNS.min(columns - left);
                    let packed = &mut packed.values_mut()[..strips(count) * size];
                    let b = b.columns(left, count);
                    pack_rows(packed, size, width, part.clone().map(|row| b.row(row)));
                    let carried = &mut carried.values_mut()[left * out.len()..];
                    let carried = carried.chunks_exact_mut(width * out.len());
                    for ((place, strip), carried) in
                        packed.chunks_exact(size).enumerate().zip(carried)
                    {
                        let left = left + place * width;
                        let tiles = Tiles {
                            a,
                            rows: part.clone(),
                            strip: S::as_simd_f32s(strip).0.as_chunks::<C>().0,
                            left,
                            columns: width.min(columns - left),
                            begun: part.start > here.start,
                            done: part.end == here.end,
                            add: accumulate || first > 0,
                        };
                        let carried = S::as_mut_simd_f32s(carried).0.as_chunks_mut::<C>().0;
                        tiles.all::<S, FUSED>(simd, carried, &mut out);
                        if let Some(sums) = &mut sums {
                            tiles.add_up(simd, &mut sums[left..][..tiles.columns]);
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        // The sums, as many derivatives as a row has sums, and an input must all find a register.
        if S::REGISTER_COUNT >= 32 {
            self.strips::<S, 4, FUSED>(simd);
        } else {
            self.strips::<S, 2, FUSED>(simd);
        }
    }
}

/// The part of the result that one strip makes.
struct Tiles<'a, V, const C: usize> {
    a: View<'a>,
    /// Those of the strip.
    rows: Range<usize>,
    strip: &'a [[V; C]],
    /// First column.
    left: usize,
    /// Fewer than the strip has where it is filled up.
    columns: usize,
    /// Whether sums go on from those of earlier rows.
    begun: bool,
    /// Whether no more rows come, and sums go to the result.
    done: bool,
    /// Whether they are added to what is there.
    add: bool,
}

impl<V: Copy, const C: usize> Tiles<'_, V, C> {
    /// The sums of all inputs. Those that are not done are `carried`, the `C` vectors of each.
    #[inline(always)]
    fn all<S: Simd<f32s = V>, const FUSED: bool>(
        &self,
        simd: S,
        carried: &mut [[V; C]],
        out: &mut [&mut [f32]],
    ) {
        let mut input = 0;
        while input + 6 <= out.len() {
            self.tile::<S, 6, FUSED>(simd, carried, out, &mut input);
        }
        while input + 4 <= out.len() {
            self.tile::<S, 4, FUSED>(simd, carried, out, &mut input);
        }
        while input + 2 <= out.len() {
            self.tile::<S, 2, FUSED>(simd, carried, out, &mut input);
        }
        if input < out.len() {
            self.tile::<S, 1, FUSED>(simd, carried, out, &mut input);
        }
    }

    /// The sums of `M` inputs from `*input` on, which then stands behind them.
    #[inline(always)]
    fn tile<S: Simd<f32s = V>, const M: usize, const FUSED: bool>(
        &self,
        simd: S,
        carried: &mut [[V; C]],
        out: &mut [&mut [f32]],
        input: &mut usize,
    ) {
        let first = *input;
        *input += M;
        let carried = &mut carried[first..*input];
        let mut sums = [[simd.splat_f32s(0.0); C]; M];
        if self.begun {
            sums.copy_from_slice(carried);
        }
        let (steps, last) = self.a.steps(self.rows.clone());
        for (a, b) in steps.zip(self.strip) {
            add::<S, M, C, FUSED>(simd, &mut sums, &a[first..first + M], b);
        }
        if let Some(b) = self.strip.last() {
            add::<S, M, C, FUSED>(simd, &mut sums, &last[first..first + M], b);
        }
        if !self.done {
            carried.copy_from_slice(&sums);
            return;
        }
        for (out, sums) in out[first..].iter_mut().zip(sums) {
            let out = &mut out[self.left..][..self.columns];
            for (out, sum) in out.chunks_mut(S::F32_LANES).zip(sums) {
                // Whole vectors go there from their registers.
                match S::as_mut_simd_f32s(out) {
                    ([out], _) => *out = if self.add { simd.add_f32s(*out, sum) } else { sum },
                    (_, out) if self.add => {
                        simd.partial_store_f32s(
                            out,
                            simd.add_f32s(simd.partial_load_f32s(out), sum),
                        );
                    }
                    (_, out) => simd.partial_store_f32s(out, sum),
                }
            }
        }
    }

    /// `sums` grow by the columns of the strip.
    #[inline(always)]
    fn add_up<S: Simd<f32s = V>>(&self, simd: S, sums: &mut [f32]) {
        for (place, to) in sums.chunks_mut(S::F32_LANES).enumerate() {
            let mut sum = simd.partial_load_f32s(to);
            for values in self.strip {
                sum = simd.add_f32s(sum, values[place]);
            }
            simd.partial_store_f32s(to, sum);
        }
    }
}

/// `sums` grow by the products of `M` inputs and the derivatives of a row. A function, not a closure,
/// which would be compiled without the instruction set.
#[inline(always)]
fn add<S: Simd, const M: usize, const C: usize, const FUSED: bool>(
    simd: S,
    sums: &mut [[S::f32s; C]; M],
    a: &[f32],
    b: &[S::f32s; C],
) {
    for (sums, a) in sums.iter_mut().zip(a) {
        let a = simd.splat_f32s(*a);
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = mul_add::<S, FUSED>(simd, a, *b, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::fused::gradients::cut_columns;
    use crate::dynamics::packed::kernel::arches;

    /// As far as sums of a thousand numbers go.
    fn close(ours: f32, exact: f64) -> bool {
        (f64::from(ours) - exact).abs() < 1e-4 + 2e-5 * exact.abs()
    }

    /// aᵀ·b of the middle columns of wider matrices onto a result that is there, cut every `size`
    /// columns, and the sums of the columns of b.
    fn outer(
        arch: Arch,
        [rows, inputs, outputs]: [usize; 3],
        accumulate: bool,
        size: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let value = |i: usize| ((i * 31) % 23) as f32 / 23.0 - 0.5;
        let a: Vec<f32> = (0..rows * (inputs + 3)).map(value).collect();
        let b: Vec<f32> = (0..rows * (outputs + 5)).map(|i| value(i + 7)).collect();
        let a = View::new(&a, inputs + 3).columns(2, inputs);
        let b = View::new(&b, outputs + 5).columns(4, outputs);
        let (mut out, mut sums) = (vec![1.0; inputs * outputs], vec![2.0; outputs]);
        let pieces = cut_columns(&mut out, outputs, size);
        let all = pieces.into_iter().zip(sums.chunks_mut(size)).enumerate();
        for (place, (out, sums)) in all {
            let b = b.columns(place * size, sums.len());
            let depth = depth(rows, outputs);
            Outer { a, b, out, sums: Some(sums), depth, accumulate }.run(arch);
        }
        for (i, row) in out.chunks(outputs).enumerate() {
            for (o, ours) in row.iter().enumerate() {
                let each = (0..rows).map(|r| f64::from(a.row(r)[i]) * f64::from(b.row(r)[o]));
                let exact = each.sum::<f64>() + if accumulate { 1.0 } else { 0.0 };
                assert!(close(*ours, exact), "{arch:?} {ours} {exact}");
            }
        }
        (out, sums)
    }

    #[test]
    fn it_is_the_sum_of_outer_products_for_every_shape() {
        for arch in arches() {
            for rows in [0, 1, 2, 63, 513, 1300] {
                for [inputs, outputs] in [[1, 1], [3, 7], [6, 64], [13, 130], [10, 150]] {
                    for accumulate in [false, true] {
                        let shape = [rows, inputs, outputs];
                        let (out, sums) = outer(arch, shape, accumulate, COLUMNS);
                        let begun = if accumulate { 2.0 } else { 0.0 };
                        let value = |i: usize| f64::from(((i * 31) % 23) as f32 / 23.0 - 0.5);
                        for (o, sum) in sums.iter().enumerate() {
                            let each = (0..rows).map(|r| value(r * (outputs + 5) + 4 + o + 7));
                            let exact = each.sum::<f64>() + begun;
                            assert!(close(*sum, exact), "{sum} {exact}");
                        }
                        // However it is cut.
                        let cut = outer(arch, shape, accumulate, 64);
                        assert_eq!((out, sums), cut, "{arch:?} {shape:?}");
                    }
                }
            }
        }
    }

    /// Gradients are those of earlier versions, to the last bit.
    #[test]
    fn a_depth_is_a_few_hundred_rows_of_equal_parts() {
        assert_eq!(depth(1216, 384), 406);
        assert_eq!(depth(1216, 64), 512);
        assert_eq!(depth(512, 384), 512);
        assert_eq!(depth(0, 384), 1);
    }
}
