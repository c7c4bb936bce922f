//! The parameters by name, from the list in the order of [`crate::dynamics::parameters`].

use super::gemm::transpose;
use crate::settings::{Head, ModelSettings, Solver};

/// Borrowed weights or gradients: `&[f32]` or `&mut [f32]`, shapes as in the parameters.
pub(super) struct Named<T> {
    /// `[N + 1, H]`.
    pub embedding: T,
    /// `[H, 3H]`.
    pub w_input: T,
    /// `[3H]`.
    pub b_input: T,
    /// `[H, 3H]`.
    pub w_hidden: T,
    /// `[3H]`.
    pub b_hidden: T,
    pub field: Option<NamedField<T>>,
    /// `[H, N]`; none where the head is tied.
    pub head: Option<T>,
    /// `[N]`.
    pub head_bias: T,
}

/// The vector field's.
pub(super) struct NamedField<T> {
    /// `[H, 2H]`.
    pub w_in: T,
    /// `[2H]`.
    pub b_in: T,
    /// `[2H, H]`.
    pub w_out: T,
    /// `[H]`.
    pub b_out: T,
}

impl<T> Named<T> {
    /// # Panics
    /// Where the list is not one of this model.
    pub fn new(settings: &ModelSettings, list: impl Iterator<Item = T>) -> Self {
        let mut list = list.fuse();
        let mut take = || list.next().unwrap_or_else(|| panic!("parameter list too short"));
        let named = Self {
            embedding: take(),
            w_input: take(),
            b_input: take(),
            w_hidden: take(),
            b_hidden: take(),
            field: (settings.solver != Solver::Gru).then(|| NamedField {
                w_in: take(),
                b_in: take(),
                w_out: take(),
                b_out: take(),
            }),
            head: (settings.head == Head::Linear).then(&mut take),
            head_bias: take(),
        };
        assert!(list.next().is_none(), "parameter list too long");
        named
    }
}

/// The matrices that every step of the backward scan multiplies by, transposed once a batch.
#[derive(Default)]
pub(super) struct Transposed {
    /// `[3H, H]`.
    pub w_hidden: Vec<f32>,
    /// `[2H, H]`.
    pub w_in: Vec<f32>,
    /// `[H, 2H]`.
    pub w_out: Vec<f32>,
}

impl Transposed {
    pub fn fill(&mut self, weights: &Named<&[f32]>, hidden: usize) {
        transpose(weights.w_hidden, 3 * hidden, &mut self.w_hidden);
        if let Some(field) = &weights.field {
            transpose(field.w_in, 2 * hidden, &mut self.w_in);
            transpose(field.w_out, hidden, &mut self.w_out);
        }
    }
}
