//! What the matrix products share: the choice of an instruction set, multiplying and adding, and
//! memory that starts at a cache line.

use pulp::{Arch, Scalar128b, Simd, WithSimd};

/// Bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

/// Work that is compiled once for each instruction set.
///
/// `FUSED` says that the processor multiplies and adds in one instruction; without one, the exact
/// `mul_add` would be a call for every number.
pub(in crate::dynamics) trait Kernel {
    type Output;
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> Self::Output;
}

/// Do the work of `kernel` with the instructions of `arch`.
pub(in crate::dynamics) fn run<K: Kernel>(arch: Arch, kernel: K) -> K::Output {
    struct Vectorised<K, const FUSED: bool>(K);
    impl<K: Kernel, const FUSED: bool> WithSimd for Vectorised<K, FUSED> {
        type Output = K::Output;
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> K::Output {
            self.0.run::<S, FUSED>(simd)
        }
    }
    match arch {
        // What every processor of the target has: SSE2 on x86-64.
        Arch::Scalar => Simd::vectorize(Scalar128b, Vectorised::<K, false>(kernel)),
        arch => arch.dispatch(Vectorised::<K, true>(kernel)),
    }
}

/// a·b + c.
#[inline(always)]
pub(in crate::dynamics) fn mul_add<S: Simd, const FUSED: bool>(
    simd: S,
    a: S::f32s,
    b: S::f32s,
    c: S::f32s,
) -> S::f32s {
    if FUSED { simd.mul_add_f32s(a, b, c) } else { simd.add_f32s(simd.mul_f32s(a, b), c) }
}

/// The same of single numbers, for loops that the compiler turns into vectors.
#[inline(always)]
pub(in crate::dynamics) fn mul_add_one<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Values that start at a cache line, so that no vector of them straddles two.
pub(in crate::dynamics) struct Aligned {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub fn zeros(len: usize) -> Self {
        let storage = vec![0.0f32; len + LINE / size_of::<f32>()];
        // `align_offset` may say that it cannot tell; the result is then only slower.
        let start = storage.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { storage, start, len }
    }

    pub fn values(&self) -> &[f32] {
        &self.storage[self.start..][..self.len]
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..][..self.len]
    }
}

/// Columns that a strip has at most.
const WIDEST: usize = 64;
/// Rows of a strip that are filled from columns together, so that neither side strides through
/// more lines than the nearest cache holds.
const ROWS: usize = 16;

/// Copy the rows of a matrix to strips of `size` values, each of `width` columns, row after row. What
/// fills up the last strip stays as it is.
#[inline(always)]
pub(in crate::dynamics) fn pack_rows<'a>(
    strips: &mut [f32],
    size: usize,
    width: usize,
    rows: impl Iterator<Item = &'a [f32]>,
) {
    for (place, row) in rows.enumerate() {
        let at = place * width;
        let whole = row.chunks_exact(width);
        let rest = whole.remainder();
        let mut strips = strips.chunks_exact_mut(size);
        for (values, strip) in whole.zip(&mut strips) {
            strip[at..][..width].copy_from_slice(values);
        }
        if let Some(strip) = strips.next() {
            strip[at..][..rest.len()].copy_from_slice(rest);
        }
    }
}

/// The same from the columns of a matrix.
#[inline(always)]
pub(in crate::dynamics) fn pack_columns<'a>(
    strips: &mut [f32],
    size: usize,
    width: usize,
    mut columns: impl Iterator<Item = &'a [f32]>,
) {
    for strip in strips.chunks_exact_mut(size) {
        let mut here: [&[f32]; WIDEST] = [&[]; WIDEST];
        let mut count = 0;
        for (here, column) in here[..width].iter_mut().zip(&mut columns) {
            *here = column;
            count += 1;
        }
        for (place, rows) in strip.chunks_mut(ROWS * width).enumerate() {
            let first = place * ROWS;
            for (at, column) in here[..count].iter().enumerate() {
                for (row, value) in rows.chunks_exact_mut(width).zip(&column[first..]) {
                    row[at] = *value;
                }
            }
        }
    }
}

/// The instruction sets of this processor that there are kernels for.
#[cfg(test)]
pub(in crate::dynamics) fn arches() -> Vec<Arch> {
    let mut arches = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    arches.extend(pulp::x86::V3::try_new().map(Arch::V3));
    arches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_start_at_a_cache_line() {
        for len in [1, 7, 1000] {
            let values = Aligned::zeros(len);
            assert_eq!(values.values().len(), len);
            assert_eq!(values.values().as_ptr().addr() % LINE, 0);
        }
    }
}
