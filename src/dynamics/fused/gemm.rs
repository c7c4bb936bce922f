//! Matrix products over slices: the one place that calls the `gemm` crate.

use std::ops::Range;
use std::slice::ChunksExact;

use gemm::Parallelism;

/// A matrix that is read: `rows` × `cols` values of a slice, at fixed distances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    row_step: usize,
    col_step: usize,
}

impl<'a> View<'a> {
    /// All of `values`, row-major, as `[R, cols]`.
    pub fn new(values: &'a [f32], cols: usize) -> Self {
        let rows = values.len() / cols;
        assert_eq!(values.len(), rows * cols, "whole rows");
        Self { values, rows, cols, row_step: cols, col_step: 1 }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Columns `first..first + cols` of a matrix that is not transposed.
    pub fn columns(self, first: usize, cols: usize) -> Self {
        assert!(self.col_step == 1 && first + cols <= self.cols, "columns of the matrix");
        Self { values: &self.values[first.min(self.values.len())..], cols, ..self }
    }

    /// The same values with rows and columns exchanged.
    pub fn t(self) -> Self {
        let Self { values, rows, cols, row_step, col_step } = self;
        Self { values, rows: cols, cols: rows, row_step: col_step, col_step: row_step }
    }

    /// The values of a row of a matrix that is not transposed.
    pub fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.row_step..][..self.cols]
    }

    /// Rows `rows` of a matrix that is not transposed: all but the last with what lies between them,
    /// so that a loop need not ask how long each is, and the last one.
    pub fn steps(self, rows: Range<usize>) -> (ChunksExact<'a, f32>, &'a [f32]) {
        assert!(self.col_step == 1 && !rows.is_empty(), "some rows of the matrix");
        let last = rows.end - 1;
        let before = &self.values[rows.start * self.row_step..last * self.row_step];
        (before.chunks_exact(self.row_step), self.row(last))
    }

    /// Whether every entry lies within the slice.
    fn fits(&self) -> bool {
        self.rows == 0
            || self.cols == 0
            || (self.rows - 1) * self.row_step + (self.cols - 1) * self.col_step < self.values.len()
    }
}

/// `out` ← a·b, or `out` + a·b where `accumulate`. `out` is `[a.rows, width]`, row-major, of which
/// columns `first..first + b.cols` are written; its other columns stay as they are.
///
/// On one thread, in an order that depends on the shapes alone.
pub(crate) fn product_into(
    out: &mut [f32],
    width: usize,
    first: usize,
    a: View<'_>,
    b: View<'_>,
    accumulate: bool,
) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner sizes");
    assert_eq!(out.len(), m * width, "rows of the result");
    assert!(first + n <= width, "columns of the result");
    assert!(a.fits() && b.fits(), "entries within their slices");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            out.chunks_exact_mut(width).for_each(|row| row[first..first + n].fill(0.0));
        }
        return;
    }
    let out = &mut out[first..];
    // SAFETY: entry (i, j) of `out` is at i·width + j with i < m, j < n and first + n ≤ width, so
    // first + i·width + j < m·width, the asserted length. Entries of `a` (m × k) and `b` (k × n)
    // are at i·row_step + j·col_step, which `fits` has bounded by the length of their slices. All
    // steps are ≥ 0 and below the length of a slice wherever they are used, so that they fit an
    // isize. `out` is borrowed mutably and so overlaps neither; its n ≤ width columns make its
    // entries distinct. Nothing of `out` is read unless `accumulate`, and then it is initialised,
    // as every slice is.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            width as isize,
            accumulate,
            a.values.as_ptr(),
            a.col_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.col_step as isize,
            b.row_step as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// `out` ← a·b, dense.
pub(crate) fn product(out: &mut [f32], a: View<'_>, b: View<'_>) {
    product_into(out, b.cols, 0, a, b, false);
}

/// `[rows, cols]` to `[cols, rows]`.
pub(crate) fn transpose(values: &[f32], cols: usize, out: &mut Vec<f32>) {
    let rows = values.len() / cols;
    out.resize(values.len(), 0.0);
    // Square tiles, so that neither side strides through more lines than the cache holds.
    const TILE: usize = 16;
    for row in (0..rows).step_by(TILE) {
        for col in (0..cols).step_by(TILE) {
            for c in col..(col + TILE).min(cols) {
                for r in row..(row + TILE).min(rows) {
                    out[c * rows + r] = values[r * cols + c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views_are_right_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 0.0, 1.0, 3.0];
        let mut out = [0.0; 4];
        // [2, 3] · [3, 2].
        product(&mut out, View::new(&a, 3), View::new(&b, 3).t());
        assert_eq!(out, [7.0, 11.0, 16.0, 23.0]);
        // Columns 1.. of a, transposed, times themselves, added into the right half.
        let mut out = [1.0; 8];
        let right = View::new(&a, 3).columns(1, 2);
        product_into(&mut out, 4, 2, right.t(), right, true);
        assert_eq!(out, [1.0, 1.0, 30.0, 37.0, 1.0, 1.0, 37.0, 46.0]);
    }

    #[test]
    fn an_empty_sum_is_zero() {
        let mut out = [9.0; 4];
        product(&mut out, View::new(&[], 2).t(), View::new(&[], 2));
        assert_eq!(out, [0.0; 4]);
    }

    #[test]
    fn transposing_moves_every_entry() {
        let values: Vec<f32> = (0..21 * 34).map(|i| i as f32).collect();
        let (mut once, mut twice) = (Vec::new(), Vec::new());
        transpose(&values, 34, &mut once);
        assert_eq!(once[5 * 21 + 3], values[3 * 34 + 5]);
        transpose(&once, 21, &mut twice);
        assert_eq!(twice, values);
    }

    #[test]
    #[should_panic(expected = "inner sizes")]
    fn shapes_that_do_not_fit_are_refused() {
        product(&mut [0.0; 4], View::new(&[0.0; 4], 2), View::new(&[0.0; 6], 2));
    }
}
