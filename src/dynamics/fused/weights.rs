//! The parameters by name, from the list in the order of [`crate::dynamics::parameters`].

use pulp::Arch;

use super::flow::Flow;
use super::pool::join;
use crate::dynamics::packed::linear::Linear;
use crate::dynamics::{excitation, flow, parameters};
use crate::settings::{Head, ModelSettings};

/// Borrowed weights or gradients: `&[f32]` or `&mut [f32]`, shapes as in the parameters.
pub(in crate::dynamics) struct Named<T> {
    /// `[N + 1, H]`.
    pub embedding: T,
    /// What makes a state of embedded items, in order: see [`Inner`] and
    /// [`crate::dynamics::attention`].
    pub inner: Vec<T>,
    /// Weights of the item dynamics, `[H, FEATURES]`, `[FEATURES]` and `[CLOCK, FEATURES]`.
    pub items: Option<[T; 3]>,
    /// `[H, N]`; none where the head is tied.
    pub head: Option<T>,
    /// `[N]`.
    pub head_bias: T,
}

/// The weights of the scan, or their gradients.
pub(super) struct Inner<T> {
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
    /// θ of the time warp, `[1]`, where its scale is learned; see
    /// [`TimeWarp`](crate::dynamics::warp::TimeWarp).
    pub scale: Option<T>,
}

impl<T> Named<T> {
    /// # Panics
    /// Where the list is not one of this model.
    pub fn new(settings: &ModelSettings, list: impl Iterator<Item = T>) -> Self {
        let names = parameters::names(settings).len();
        let mut list = list.fuse();
        let mut take = || list.next().unwrap_or_else(|| panic!("parameter list too short"));
        let lift = excitation::matrices(settings);
        let outer = lift + if settings.head == Head::Linear { 3 } else { 2 };
        let named = Self {
            embedding: take(),
            inner: (0..names - outer).map(|_| take()).collect(),
            items: (lift > 0).then(|| [take(), take(), take()]),
            head: (settings.head == Head::Linear).then(&mut take),
            head_bias: take(),
        };
        assert!(list.next().is_none(), "parameter list too long");
        named
    }
}

impl<T> Inner<T> {
    /// # Panics
    /// Where the list is not [`Named::inner`] of such a model.
    pub fn new(settings: &ModelSettings, list: impl IntoIterator<Item = T>) -> Self {
        let mut list = list.into_iter().fuse();
        let mut take = || list.next().unwrap_or_else(|| panic!("parameter list too short"));
        Self {
            w_input: take(),
            b_input: take(),
            w_hidden: take(),
            b_hidden: take(),
            flow: flow::weights(settings.solver).iter().map(|_| take()).collect(),
            scale: settings.learns_time_scale().then(&mut take),
        }
    }
}

/// The matrices of the two scans, laid out once a batch as the product reads them; going back they
/// are transposed, and have no bias.
pub(super) struct Layers {
    /// `[H]` to `[3H]`, without a bias, which the gates add.
    pub input: Linear,
    /// `[H]` to `[3H]`.
    pub hidden: Linear,
    /// `[3H]` to `[H]`.
    pub hidden_back: Linear,
    pub flow: Option<Flow>,
}

impl Layers {
    pub fn new(
        arch: Arch,
        settings: &ModelSettings,
        weights: &Inner<&[f32]>,
        threads: usize,
    ) -> Self {
        let &Inner { w_input, w_hidden, b_hidden, .. } = weights;
        let gates = b_hidden.len();
        let no_bias = vec![0.0; gates];
        let ((input, hidden), (hidden_back, flow)) = join(
            threads,
            || {
                let input = Linear::from_rows(arch, w_input, &no_bias);
                (input, Linear::from_rows(arch, w_hidden, b_hidden))
            },
            || {
                let hidden_back = Linear::turned(arch, w_hidden, gates);
                (hidden_back, Flow::new(arch, settings, &weights.flow, threads))
            },
        );
        Self { input, hidden, hidden_back, flow }
    }
}
