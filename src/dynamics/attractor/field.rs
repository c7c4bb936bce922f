//! The autonomous vector field f in dz/dt = f(z), exactly (f64) and fast (f32, many at once).

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use pulp::{Arch, NullaryFnOnce};

use super::affine::Affine;
use crate::dynamics::packed::activation::Tanh;
use crate::dynamics::packed::linear::Linear;

/// A field dz/dt = f(z), z in R^H.
pub trait VectorField: Sync {
    /// H, the width of a state.
    fn dim(&self) -> usize;

    /// f(z), per unit of model time: `[H]` to `[H]`.
    fn velocity(&self, z: &[f64], out: &mut [f64]);

    /// The Jacobian at `z`, `[H, H]` row-major: `out[i * H + j]` = ∂fᵢ/∂zⱼ.
    fn jacobian(&self, z: &[f64], out: &mut [f64]);

    /// f of many states at once, `[R, H]` to `[R, H]`, within f32. A row's result must not depend
    /// on the rows beside it.
    fn velocities(&self, z: &[f32], out: &mut [f32]) {
        let dim = self.dim();
        let (mut wide, mut velocity) = (vec![0.0; dim], vec![0.0; dim]);
        for (z, out) in z.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            widen(z, &mut wide);
            self.velocity(&wide, &mut velocity);
            narrow(&velocity, out);
        }
    }

    /// f(z) and Jᵀ(z)·f(z), the gradient of q = ½‖f‖², of many states at once: `[R, H]` each,
    /// within f32. A row's result must not depend on the rows beside it.
    fn gradients(&self, z: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
        let dim = self.dim();
        let (mut wide, mut exact) = (vec![0.0; dim], vec![0.0; dim]);
        let (mut jacobian, mut sum) = (vec![0.0; dim * dim], vec![0.0; dim]);
        for ((z, velocity), gradient) in z
            .chunks_exact(dim)
            .zip(velocity.chunks_exact_mut(dim))
            .zip(gradient.chunks_exact_mut(dim))
        {
            widen(z, &mut wide);
            self.velocity(&wide, &mut exact);
            self.jacobian(&wide, &mut jacobian);
            sum.fill(0.0);
            for (&f, row) in exact.iter().zip(jacobian.chunks_exact(dim)) {
                for (sum, &slope) in sum.iter_mut().zip(row) {
                    *sum += f * slope;
                }
            }
            narrow(&exact, velocity);
            narrow(&sum, gradient);
        }
    }
}

pub(super) fn widen(from: &[f32], to: &mut [f64]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = f64::from(from);
    }
}

pub(super) fn narrow(from: &[f64], to: &mut [f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from as f32;
    }
}

/// Rows that are worked on together: their intermediate results stay in the second-level cache.
const ROWS: usize = 64;

/// f(z) = (tanh ∘ Linear(2H→H) ∘ tanh ∘ Linear(H→2H))(z) − λz; see [`crate::dynamics::field`].
pub struct TanhField {
    hidden: usize,
    /// λ.
    decay: f64,
    /// `[H]` to `[2H]`.
    inner: Affine,
    /// `[2H]` to `[H]`.
    outer: Affine,
    fast: Fast,
}

/// The same weights as the f32 kernels read them, and their transposes.
struct Fast {
    arch: Arch,
    inner: Linear,
    outer: Linear,
    /// `[2H]` to `[H]`.
    inner_back: Linear,
    /// `[H]` to `[2H]`.
    outer_back: Linear,
}

impl TanhField {
    /// From `w_in`, `[H, 2H]`; `b_in`, `[2H]`; `w_out`, `[2H, H]`; `b_out`, `[H]`.
    ///
    /// # Panics
    /// Where the shapes do not fit together.
    pub fn new(w_in: &[f32], b_in: &[f32], w_out: &[f32], b_out: &[f32]) -> Self {
        let (hidden, wide) = (b_out.len(), b_in.len());
        assert_eq!(w_in.len(), hidden * wide, "w_in is [H, 2H]");
        assert_eq!(w_out.len(), hidden * wide, "w_out is [2H, H]");
        let arch = Arch::new();
        let none = vec![0.0; wide.max(hidden)];
        let fast = Fast {
            arch,
            inner: Linear::new(arch, hidden, b_in, |i, o| w_in[i * wide + o]),
            outer: Linear::new(arch, wide, b_out, |i, o| w_out[i * hidden + o]),
            inner_back: Linear::new(arch, wide, &none[..hidden], |i, o| w_in[o * wide + i]),
            outer_back: Linear::new(arch, hidden, &none[..wide], |i, o| w_out[o * hidden + i]),
        };
        let (inner, outer) = (Affine::new(w_in, b_in), Affine::new(w_out, b_out));
        Self { hidden, decay: 0.0, inner, outer, fast }
    }

    /// The same with the decay λ ≥ 0.
    pub fn decaying(self, decay: f64) -> Self {
        Self { decay, ..self }
    }

    /// f at `z` with what its derivatives are made of.
    pub(super) fn linearise(&self, z: &[f64]) -> Linearisation {
        let mut inner = vec![0.0; self.inner.outputs];
        let mut velocity = vec![0.0; self.hidden];
        self.inner.apply(z, &mut inner);
        inner.iter_mut().for_each(|value| *value = value.tanh());
        self.outer.apply(&inner, &mut velocity);
        velocity.iter_mut().for_each(|value| *value = value.tanh());
        let slope = |values: &[f64]| values.iter().map(|value| 1.0 - value * value).collect();
        let (inner, outer) = (slope(&inner), slope(&velocity));
        subtract(&mut velocity, self.decay, z);
        Linearisation { inner, outer, velocity }
    }

    /// J·v.
    pub(super) fn push(&self, at: &Linearisation, v: &[f64]) -> Vec<f64> {
        let mut wide = vec![0.0; self.inner.outputs];
        let mut out = vec![0.0; self.hidden];
        self.inner.differential(v, &mut wide);
        scale(&mut wide, &at.inner);
        self.outer.differential(&wide, &mut out);
        scale(&mut out, &at.outer);
        subtract(&mut out, self.decay, v);
        out
    }

    /// Jᵀ·w.
    pub(super) fn pull(&self, at: &Linearisation, w: &[f64]) -> Vec<f64> {
        let mut wide = vec![0.0; self.inner.outputs];
        let mut out = w.to_vec();
        scale(&mut out, &at.outer);
        self.outer.transposed(&out, &mut wide);
        scale(&mut wide, &at.inner);
        self.inner.transposed(&wide, &mut out);
        subtract(&mut out, self.decay, w);
        out
    }
}

/// values ← values − decay·of.
fn subtract(values: &mut [f64], decay: f64, of: &[f64]) {
    if decay > 0.0 {
        values.iter_mut().zip(of).for_each(|(value, of)| *value -= decay * of);
    }
}

/// f at a point, and the slopes of both layers of tanh there.
pub(super) struct Linearisation {
    /// `[H]`.
    pub velocity: Vec<f64>,
    /// 1 − tanh² of the inner layer, `[2H]`.
    inner: Vec<f64>,
    /// The same of the outer one, `[H]`.
    outer: Vec<f64>,
}

fn scale(values: &mut [f64], by: &[f64]) {
    for (value, by) in values.iter_mut().zip(by) {
        *value *= by;
    }
}

impl VectorField for TanhField {
    fn dim(&self) -> usize {
        self.hidden
    }

    fn velocity(&self, z: &[f64], out: &mut [f64]) {
        let mut inner = vec![0.0; self.inner.outputs];
        self.inner.apply(z, &mut inner);
        inner.iter_mut().for_each(|value| *value = value.tanh());
        self.outer.apply(&inner, out);
        out.iter_mut().for_each(|value| *value = value.tanh());
        subtract(out, self.decay, z);
    }

    /// J = diag(1 − y²)·W_outᵀ·diag(1 − a²)·W_inᵀ − λI with a the inner tanh and y the outer.
    fn jacobian(&self, z: &[f64], out: &mut [f64]) {
        let at = self.linearise(z);
        let (hidden, wide) = (self.hidden, self.inner.outputs);
        // nalgebra reads columns: row-major [a, b] is its [b, a]. So `left` is [H, 2H], scaled on
        // both sides, `right` is [2H, H], and their product in columns is J in rows, transposed.
        let mut left = DMatrix::from_column_slice(hidden, wide, &self.outer.weight);
        for (column, inner) in left.as_mut_slice().chunks_exact_mut(hidden).zip(&at.inner) {
            for (value, outer) in column.iter_mut().zip(&at.outer) {
                *value *= inner * outer;
            }
        }
        let right = DMatrixView::from_slice(&self.inner.weight, wide, hidden);
        let mut product = DMatrixViewMut::from_slice(out, hidden, hidden);
        product.gemm(1.0, &left, &right, 0.0);
        product.transpose_mut();
        out.iter_mut().step_by(hidden + 1).for_each(|diagonal| *diagonal -= self.decay);
    }

    fn velocities(&self, z: &[f32], out: &mut [f32]) {
        let (hidden, Fast { arch, inner, outer, .. }) = (self.hidden, &self.fast);
        let mut room = vec![0.0; (z.len() / hidden).min(ROWS) * inner.outputs()];
        for (z, out) in z.chunks(ROWS * hidden).zip(out.chunks_mut(ROWS * hidden)) {
            let a = &mut room[..z.len() / hidden * inner.outputs()];
            inner.apply(z, a);
            arch.dispatch(Tanh { values: a });
            outer.apply(a, out);
            arch.dispatch(Tanh { values: out });
            arch.dispatch(Subtract { values: out, decay: self.decay as f32, of: z });
        }
    }

    fn gradients(&self, z: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
        let (hidden, Fast { arch, inner, outer, inner_back, outer_back }) =
            (self.hidden, &self.fast);
        let decay = self.decay as f32;
        let rows = (z.len() / hidden).min(ROWS);
        let (mut room, mut back_room) =
            (vec![0.0; rows * inner.outputs()], vec![0.0; rows * inner.outputs()]);
        for ((z, velocity), gradient) in z
            .chunks(ROWS * hidden)
            .zip(velocity.chunks_mut(ROWS * hidden))
            .zip(gradient.chunks_mut(ROWS * hidden))
        {
            let len = z.len() / hidden * inner.outputs();
            let (a, back) = (&mut room[..len], &mut back_room[..len]);
            inner.apply(z, a);
            arch.dispatch(Tanh { values: a });
            outer.apply(a, velocity);
            arch.dispatch(Tanh { values: velocity });
            // f itself goes back through the slopes of y.
            gradient.copy_from_slice(velocity);
            arch.dispatch(Subtract { values: gradient, decay, of: z });
            arch.dispatch(Back { tanh: velocity, values: gradient });
            arch.dispatch(Subtract { values: velocity, decay, of: z });
            outer_back.apply(gradient, back);
            arch.dispatch(Back { tanh: a, values: back });
            inner_back.apply(back, gradient);
            arch.dispatch(Subtract { values: gradient, decay, of: velocity });
        }
    }
}

/// x ← x − decay·of.
struct Subtract<'a> {
    values: &'a mut [f32],
    decay: f32,
    of: &'a [f32],
}

impl NullaryFnOnce for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        if self.decay > 0.0 {
            for (value, &of) in self.values.iter_mut().zip(self.of) {
                *value -= self.decay * of;
            }
        }
    }
}

/// Back through y = tanh x: g ← g·(1 − y²).
struct Back<'a> {
    tanh: &'a [f32],
    values: &'a mut [f32],
}

impl NullaryFnOnce for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (value, &y) in self.values.iter_mut().zip(self.tanh) {
            *value *= 1.0 - y * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::{random_field, random_states};

    #[test]
    fn its_jacobian_is_the_limit_of_differences() {
        let (hidden, step) = (9, 1e-6);
        let field = random_field(hidden, 2.0, 3).decaying(0.7);
        let z: Vec<f64> = random_states(1, hidden, 4);
        let mut jacobian = vec![0.0; hidden * hidden];
        field.jacobian(&z, &mut jacobian);
        for j in 0..hidden {
            let (mut up, mut down) = (z.clone(), z.clone());
            up[j] += step;
            down[j] -= step;
            let (mut above, mut below) = (vec![0.0; hidden], vec![0.0; hidden]);
            field.velocity(&up, &mut above);
            field.velocity(&down, &mut below);
            for i in 0..hidden {
                let slope = (above[i] - below[i]) / (2.0 * step);
                assert!((jacobian[i * hidden + j] - slope).abs() < 1e-8, "{i} {j}");
            }
        }
        // The differentials that the Lyapunov exponent uses are the same matrix.
        let at = field.linearise(&z);
        let v = random_states(1, hidden, 5);
        let (pushed, pulled) = (field.push(&at, &v), field.pull(&at, &v));
        for i in 0..hidden {
            let row: f64 = (0..hidden).map(|j| jacobian[i * hidden + j] * v[j]).sum();
            let column: f64 = (0..hidden).map(|j| jacobian[j * hidden + i] * v[j]).sum();
            assert!((pushed[i] - row).abs() < 1e-12 && (pulled[i] - column).abs() < 1e-12);
        }
    }

    /// The field without its fast versions: what the trait does by default.
    struct Plain<'a>(&'a TanhField);

    impl VectorField for Plain<'_> {
        fn dim(&self) -> usize {
            self.0.dim()
        }
        fn velocity(&self, z: &[f64], out: &mut [f64]) {
            self.0.velocity(z, out);
        }
        fn jacobian(&self, z: &[f64], out: &mut [f64]) {
            self.0.jacobian(z, out);
        }
    }

    #[test]
    fn many_rows_in_f32_are_what_each_is_in_f64() {
        for (hidden, rows) in [(8, 1), (37, 70), (128, 131)] {
            let field = random_field(hidden, 2.0, hidden as u64).decaying(0.4);
            let z: Vec<f32> =
                random_states(rows, hidden, 6).into_iter().map(|value| value as f32).collect();
            let room = || vec![f32::NAN; z.len()];
            let (mut fast, mut exact) = (room(), room());
            field.velocities(&z, &mut fast);
            Plain(&field).velocities(&z, &mut exact);
            let (mut fast_too, mut slope, mut exact_slope) = (room(), room(), room());
            field.gradients(&z, &mut fast_too, &mut slope);
            Plain(&field).gradients(&z, &mut exact, &mut exact_slope);
            assert_eq!(fast, fast_too);
            for i in 0..z.len() {
                assert!((fast[i] - exact[i]).abs() < 1e-5, "{} {}", fast[i], exact[i]);
                let size = 1.0 + exact_slope[i].abs();
                assert!((slope[i] - exact_slope[i]).abs() < 1e-5 * size);
            }
        }
    }
}
