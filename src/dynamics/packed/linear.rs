//! x·W + b for a few rows at a time, on weights laid out once as the kernel reads them.
//!
//! The columns of W stand in panels as wide as four vector registers, each panel row after row: a
//! product streams through memory in order, and a panel is read from far memory once for all rows
//! of a batch. Every output is summed over the inputs in the same order however many rows there
//! are, so a row's result does not depend on its batch, not even in the last bit.

use pulp::{Arch, Scalar128b, Simd, WithSimd};

/// Vector registers side by side in a panel.
const VECTORS: usize = 4;
/// Bytes of a cache line, and of the widest vector register.
const LINE: usize = 64;

/// An affine map from `[R, inputs]` to `[R, outputs]`.
pub struct Linear {
    arch: Arch,
    inputs: usize,
    outputs: usize,
    /// `[panels, inputs, width]`, the last panel filled up with zeros.
    panels: Aligned,
    /// `[panels, width]`, likewise.
    bias: Aligned,
}

impl Linear {
    /// From `weight(input, output)` and `bias`, one value an output.
    pub fn new(
        arch: Arch,
        inputs: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let outputs = bias.len();
        let width = run(arch, Width);
        let filled = outputs.next_multiple_of(width);
        let mut packed_bias = Aligned::zeros(filled);
        packed_bias.values_mut()[..outputs].copy_from_slice(bias);
        let mut panels = Aligned::zeros(filled * inputs);
        for (panel, values) in panels.values_mut().chunks_exact_mut(inputs * width).enumerate() {
            let columns = panel * width..((panel + 1) * width).min(outputs);
            for (input, values) in values.chunks_exact_mut(width).enumerate() {
                for (value, output) in values.iter_mut().zip(columns.clone()) {
                    *value = weight(input, output);
                }
            }
        }
        Self { arch, inputs, outputs, panels, bias: packed_bias }
    }

    /// From a row-major `[inputs, outputs]` weight and `bias`, one value an output.
    ///
    /// # Panics
    /// Where the weight is not whole rows of the bias's length.
    pub fn from_rows(arch: Arch, weight: &[f32], bias: &[f32]) -> Self {
        let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
        assert_eq!(weight.len(), inputs * outputs, "rows as wide as the bias");
        let width = run(arch, Width);
        let filled = outputs.next_multiple_of(width);
        let mut packed_bias = Aligned::zeros(filled);
        packed_bias.values_mut()[..outputs].copy_from_slice(bias);
        let mut panels = Aligned::zeros(filled * inputs);
        let each = panels.values_mut().chunks_exact_mut(inputs * width);
        for (panel, first) in each.zip((0..outputs).step_by(width)) {
            let count = width.min(outputs - first);
            for (to, row) in panel.chunks_exact_mut(width).zip(weight.chunks_exact(outputs)) {
                to[..count].copy_from_slice(&row[first..first + count]);
            }
        }
        Self { arch, inputs, outputs, panels, bias: packed_bias }
    }

    /// Width of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x`, `[R, inputs]`, to `out`, `[R, outputs]`.
    ///
    /// # Panics
    /// Where the two do not have the same number of whole rows.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        let rows = x.len() / self.inputs;
        assert_eq!(x.len(), rows * self.inputs, "whole rows in");
        assert_eq!(out.len(), rows * self.outputs, "as many rows out as in");
        if rows == 0 {
            return;
        }
        run(self.arch, Product { layer: self, x, out });
    }
}

/// Work that is compiled once for each instruction set.
///
/// `FUSED` says that the processor multiplies and adds in one instruction; without one, the exact
/// `mul_add` would be a call for every number.
trait Kernel {
    type Output;
    fn run<S: Simd, const FUSED: bool>(self, simd: S) -> Self::Output;
}

fn run<K: Kernel>(arch: Arch, kernel: K) -> K::Output {
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

/// Columns of a panel.
struct Width;

impl Kernel for Width {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) -> usize {
        VECTORS * S::F32_LANES
    }
}

struct Product<'a> {
    layer: &'a Linear,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, simd: S) {
        let Self { layer: &Linear { inputs, outputs, ref panels, ref bias, .. }, x, out } = self;
        let width = VECTORS * S::F32_LANES;
        let rows = x.len() / inputs;
        let panels = panels.values().chunks_exact(inputs * width);
        for ((panel, bias), first) in
            panels.zip(bias.values().chunks_exact(width)).zip((0..outputs).step_by(width))
        {
            let tile = Tile {
                panel: S::as_simd_f32s(panel).0.as_chunks().0,
                bias: S::as_simd_f32s(bias).0,
                inputs,
            };
            let columns = (outputs - first).min(width);
            let to = Rows { out: &mut out[first..], step: outputs, columns };
            if columns == width {
                tile.all::<S, FUSED, true>(simd, x, to, rows);
            } else {
                tile.all::<S, FUSED, false>(simd, x, to, rows);
            }
        }
    }
}

/// One panel.
struct Tile<'a, V> {
    panel: &'a [[V; VECTORS]],
    bias: &'a [V],
    inputs: usize,
}

/// Where a panel's columns go: a row begins every `step` values.
struct Rows<'a> {
    out: &'a mut [f32],
    step: usize,
    /// Fewer than the panel has where it is filled up.
    columns: usize,
}

impl<V: Copy> Tile<'_, V> {
    /// The outputs of all rows. `WHOLE` says that all columns of the panel go somewhere: its sums then
    /// go there from their registers.
    #[inline(always)]
    fn all<S: Simd<f32s = V>, const FUSED: bool, const WHOLE: bool>(
        &self,
        simd: S,
        x: &[f32],
        mut out: Rows<'_>,
        rows: usize,
    ) {
        let mut row = 0;
        // The sums, as many weights as a row has sums, and an input must all find a register.
        if S::REGISTER_COUNT >= 32 {
            while row + 6 <= rows {
                self.rows::<S, 6, VECTORS, FUSED, WHOLE>(simd, x, &mut out, &mut row);
            }
            while row + 4 <= rows {
                self.rows::<S, 4, VECTORS, FUSED, WHOLE>(simd, x, &mut out, &mut row);
            }
        } else {
            while row + 6 <= rows {
                self.rows::<S, 6, 2, FUSED, WHOLE>(simd, x, &mut out, &mut row);
            }
        }
        while row + 2 <= rows {
            self.rows::<S, 2, VECTORS, FUSED, WHOLE>(simd, x, &mut out, &mut row);
        }
        if row < rows {
            self.rows::<S, 1, VECTORS, FUSED, WHOLE>(simd, x, &mut out, &mut row);
        }
    }

    /// The outputs of `M` rows from `*row` on, which then stands behind them, `C` vectors of the panel
    /// at a time.
    #[inline(always)]
    fn rows<
        S: Simd<f32s = V>,
        const M: usize,
        const C: usize,
        const FUSED: bool,
        const WHOLE: bool,
    >(
        &self,
        simd: S,
        x: &[f32],
        out: &mut Rows<'_>,
        row: &mut usize,
    ) {
        const { assert!(VECTORS.is_multiple_of(C), "parts that make up the panel") };
        let first = *row;
        *row += M;
        let x: [&[f32]; M] =
            std::array::from_fn(|m| &x[(first + m) * self.inputs..][..self.panel.len()]);
        for vector in (0..VECTORS).step_by(C) {
            self.part::<S, M, C, FUSED, WHOLE>(simd, x, out, first, vector);
        }
    }

    /// The outputs of the `M` rows `x` that come from `C` vectors of the panel, from `vector` on; the
    /// first row goes to `first`.
    #[inline(always)]
    fn part<
        S: Simd<f32s = V>,
        const M: usize,
        const C: usize,
        const FUSED: bool,
        const WHOLE: bool,
    >(
        &self,
        simd: S,
        x: [&[f32]; M],
        out: &mut Rows<'_>,
        first: usize,
        vector: usize,
    ) {
        let bias: [V; C] = std::array::from_fn(|c| self.bias[vector + c]);
        let mut sums = [bias; M];
        for (input, weights) in self.panel.iter().enumerate() {
            let weights: [V; C] = std::array::from_fn(|c| weights[vector + c]);
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = simd.splat_f32s(x[input]);
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = if FUSED {
                        simd.mul_add_f32s(x, weight, *sum)
                    } else {
                        simd.add_f32s(simd.mul_f32s(x, weight), *sum)
                    };
                }
            }
        }
        let [begin, end] =
            [vector, vector + C].map(|vectors| (vectors * S::F32_LANES).min(out.columns));
        for (m, sums) in sums.into_iter().enumerate() {
            let out = &mut out.out[(first + m) * out.step..][begin..end];
            if WHOLE {
                S::as_mut_simd_f32s(out).0.copy_from_slice(&sums);
                continue;
            }
            for (out, sum) in out.chunks_mut(S::F32_LANES).zip(sums) {
                match S::as_mut_simd_f32s(out) {
                    ([out], _) => *out = sum,
                    (_, rest) => simd.partial_store_f32s(rest, sum),
                }
            }
        }
    }
}

/// Values that start at a cache line, so that no vector of them straddles two.
struct Aligned {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Self {
        let storage = vec![0.0f32; len + LINE / size_of::<f32>()];
        // `align_offset` may say that it cannot tell; the result is then only slower.
        let start = storage.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { storage, start, len }
    }

    fn values(&self) -> &[f32] {
        &self.storage[self.start..][..self.len]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The instruction sets of this processor that there are kernels for.
    fn arches() -> Vec<Arch> {
        let mut arches = vec![Arch::Scalar, Arch::new()];
        #[cfg(target_arch = "x86_64")]
        arches.extend(pulp::x86::V3::try_new().map(Arch::V3));
        arches
    }

    #[test]
    fn it_is_the_matrix_product_for_every_shape() {
        for arch in arches() {
            for inputs in [1, 2, 5, 64] {
                for outputs in [1, 3, 15, 16, 17, 63, 64, 65, 130] {
                    let weight = |i: usize, o: usize| ((i * 31 + o * 17) % 23) as f32 / 23.0 - 0.5;
                    let bias: Vec<f32> = (0..outputs).map(|o| o as f32 * 0.01).collect();
                    let layer = Linear::new(arch, inputs, &bias, weight);
                    for rows in 0..=13 {
                        let x: Vec<f32> =
                            (0..rows * inputs).map(|i| ((i * 13) % 19) as f32 / 19.0).collect();
                        let mut out = vec![f32::NAN; rows * outputs];
                        layer.apply(&x, &mut out);
                        for (place, &ours) in out.iter().enumerate() {
                            let (row, o) = (place / outputs, place % outputs);
                            let exact: f64 = (0..inputs)
                                .map(|i| f64::from(x[row * inputs + i]) * f64::from(weight(i, o)))
                                .sum::<f64>()
                                + f64::from(bias[o]);
                            assert!(
                                (f64::from(ours) - exact).abs() < 1e-5,
                                "{arch:?} {rows}×{inputs}×{outputs}: {ours} {exact}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn weights_start_at_a_cache_line() {
        for len in [1, 7, 1000] {
            let values = Aligned::zeros(len);
            assert_eq!(values.values().len(), len);
            assert_eq!(values.values().as_ptr().addr() % LINE, 0);
        }
    }
}
