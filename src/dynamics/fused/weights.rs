//! The parameters by name, from the list in the order of [`crate::dynamics::parameters`].

use pulp::Arch;

use super::flow::{Flow, turned};
use crate::dynamics::flow;
use crate::dynamics::packed::linear::Linear;
use crate::settings::{Head, ModelSettings};

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
    /// The flow's; see [`flow::weights`].
    pub flow: Vec<T>,
    /// `[H, N]`; none where the head is tied.
    pub head: Option<T>,
    /// `[N]`.
    pub head_bias: T,
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
            flow: flow::weights(settings.solver).iter().map(|_| take()).collect(),
            head: (settings.head == Head::Linear).then(&mut take),
            head_bias: take(),
        };
        assert!(list.next().is_none(), "parameter list too long");
        named
    }
}

/// The gradients of the weights inside the scan: shapes as in [`Named`].
pub(super) struct Inner<'a> {
    pub w_input: &'a mut [f32],
    pub b_input: &'a mut [f32],
    pub w_hidden: &'a mut [f32],
    pub b_hidden: &'a mut [f32],
    pub flow: Vec<&'a mut [f32]>,
}

/// The matrices that every step of the two scans multiplies by, laid out once a batch as the
/// product reads them; going back they are transposed, and have no bias.
pub(super) struct Layers {
    /// `[H]` to `[3H]`.
    pub hidden: Linear,
    /// `[3H]` to `[H]`.
    pub hidden_back: Linear,
    pub flow: Option<Flow>,
}

impl Layers {
    pub fn new(arch: Arch, settings: &ModelSettings, weights: &Named<&[f32]>) -> Self {
        Self {
            hidden: Linear::from_rows(arch, weights.w_hidden, weights.b_hidden),
            hidden_back: turned(arch, weights.w_hidden, weights.b_hidden.len()),
            flow: Flow::new(arch, settings, &weights.flow),
        }
    }
}
