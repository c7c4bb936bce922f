//! The GRU update of one row and its derivative; see [`crate::dynamics::cell`].

use pulp::NullaryFnOnce;

use crate::dynamics::packed::activation::{sigmoid, tanh};

/// h′ from the gates' sums. What the derivative needs replaces them.
pub(super) struct Gates<'a> {
    /// x·Wᵢ, `[3H]`: r, z, n side by side. Becomes σ, σ and tanh of the gates.
    pub input: &'a mut [f32],
    /// h·W_h + b_h, `[3H]`.
    pub from_state: &'a [f32],
    /// `[3H]`.
    pub b_input: &'a [f32],
    /// h, `[H]`.
    pub before: &'a [f32],
    /// h′, `[H]`.
    pub after: &'a mut [f32],
}

impl NullaryFnOnce for Gates<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, from_state, b_input, before, after } = self;
        let hidden = after.len();
        let (gates, new) = input.split_at_mut(2 * hidden);
        let (gates_h, new_h) = from_state.split_at(2 * hidden);
        let (gates_b, new_b) = b_input.split_at(2 * hidden);
        // One after the other: all in one loop is too long a chain for a processor to look past.
        for ((gate, b), h) in gates.iter_mut().zip(gates_b).zip(gates_h) {
            *gate = sigmoid((*gate + b) + h);
        }
        let (reset, update) = gates.split_at(hidden);
        for (((new, b), h), r) in new.iter_mut().zip(new_b).zip(new_h).zip(reset) {
            *new = tanh((*new + b) + r * h);
        }
        for (((after, n), z), before) in after.iter_mut().zip(&*new).zip(update).zip(before) {
            *after = n + z * (before - n);
        }
    }
}

/// The derivative by both sums, from what [`Gates`] has left.
pub(super) struct GatesBack<'a> {
    /// r, z, n; becomes the derivative by x·Wᵢ, `[3H]`.
    pub input: &'a mut [f32],
    /// hₙ in its last third; becomes the derivative by h·W_h, `[3H]`.
    pub from_state: &'a mut [f32],
    /// h, `[H]`.
    pub before: &'a [f32],
    /// Derivative by h′, `[H]`.
    pub slope: &'a [f32],
    /// Becomes the part of the derivative by h that does not pass W_h, `[H]`.
    pub direct: &'a mut [f32],
}

impl NullaryFnOnce for GatesBack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let hidden = self.direct.len();
        let (before, slope) = (&self.before[..hidden], &self.slope[..hidden]);
        let (reset, update, new) = thirds_mut(self.input, hidden);
        let (reset_h, update_h, new_h) = thirds_mut(self.from_state, hidden);
        for j in 0..hidden {
            let (r, z, n, g) = (reset[j], update[j], new[j], slope[j]);
            let by_new = g * (1.0 - z) * (1.0 - n * n);
            let by_update = g * (before[j] - n) * z * (1.0 - z);
            let by_reset = by_new * new_h[j] * r * (1.0 - r);
            self.direct[j] = g * z;
            (reset[j], update[j], new[j]) = (by_reset, by_update, by_new);
            (reset_h[j], update_h[j], new_h[j]) = (by_reset, by_update, by_new * r);
        }
    }
}

/// The three gates that lie side by side: r, z, n.
#[inline(always)]
fn thirds_mut(values: &mut [f32], hidden: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
    let (reset, rest) = values.split_at_mut(hidden);
    let (update, new) = rest.split_at_mut(hidden);
    (reset, update, &mut new[..hidden])
}
