//! x·W + b for a few rows at a time, on weights laid out once as the kernel reads them.
//!
//! The columns of W stand in panels as wide as four vector registers, each panel row after row: a
//! product streams through memory in order, and a panel is read from far memory once for all rows
//! of a batch. Every output is summed over the inputs in the same order however many rows there
//! are, so a row's result does not depend on its batch, not even in the last bit.

use pulp::{Arch, Simd};

use super::kernel::{Aligned, Kernel, mul_add, pack_columns, pack_rows, run};

/// Vector registers side by side in a panel.
const VECTORS: usize = 4;

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
        let mut layer = Self::empty(arch, inputs, outputs);
        layer.bias.values_mut()[..outputs].copy_from_slice(bias);
        let panels = layer.panels.values_mut();
        for (panel, values) in panels.chunks_exact_mut(inputs * width).enumerate() {
            let columns = panel * width..((panel + 1) * width).min(outputs);
            for (input, values) in values.chunks_exact_mut(width).enumerate() {
                for (value, output) in values.iter_mut().zip(columns.clone()) {
                    *value = weight(input, output);
                }
            }
        }
        layer
    }

    /// From a row-major `[inputs, outputs]` weight and `bias`, one value an output.
    ///
    /// # Panics
    /// Where the weight is not whole rows of the bias's length.
    pub fn from_rows(arch: Arch, weight: &[f32], bias: &[f32]) -> Self {
        let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
        assert_eq!(weight.len(), inputs * outputs, "rows as wide as the bias");
        let mut layer = Self::empty(arch, inputs, outputs);
        layer.bias.values_mut()[..outputs].copy_from_slice(bias);
        run(arch, Pack { panels: layer.panels.values_mut(), inputs, weight, turned: false });
        layer
    }

    /// From the transpose of a row-major `weight` of `inputs` columns, without a bias.
    ///
    /// # Panics
    /// Where the weight is not whole rows.
    pub fn turned(arch: Arch, weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        assert_eq!(weight.len(), inputs * outputs, "whole rows");
        let mut layer = Self::empty(arch, inputs, outputs);
        run(arch, Pack { panels: layer.panels.values_mut(), inputs, weight, turned: true });
        layer
    }

    /// All zeros.
    fn empty(arch: Arch, inputs: usize, outputs: usize) -> Self {
        let filled = outputs.next_multiple_of(run(arch, Width));
        let (panels, bias) = (Aligned::zeros(filled * inputs), Aligned::zeros(filled));
        Self { arch, inputs, outputs, panels, bias }
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

/// Columns of a panel.
struct Width;

impl Kernel for Width {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) -> usize {
        VECTORS * S::F32_LANES
    }
}

/// Lays a weight out in panels.
struct Pack<'a> {
    panels: &'a mut [f32],
    inputs: usize,
    /// Row-major `[inputs, outputs]`, or `[outputs, inputs]` where it is `turned`.
    weight: &'a [f32],
    turned: bool,
}

impl Kernel for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const FUSED: bool>(self, _: S) {
        let Self { panels, inputs, weight, turned } = self;
        let width = VECTORS * S::F32_LANES;
        if turned {
            pack_columns(panels, inputs * width, width, weight.chunks_exact(inputs));
        } else {
            let outputs = weight.len() / inputs;
            pack_rows(panels, inputs * width, width, weight.chunks_exact(outputs));
        }
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
                    *sum = mul_add::<S, FUSED>(simd, x, weight, *sum);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::packed::kernel::arches;

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
}
