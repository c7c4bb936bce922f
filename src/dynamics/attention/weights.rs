//! The parameters by name, from [`crate::dynamics::fused::weights::Named::inner`].

use crate::settings::{ModelSettings, Solver};

/// Borrowed weights or gradients: `&[f32]` or `&mut [f32]`.
pub(super) struct Weights<T> {
    pub places: Places<T>,
    pub blocks: Vec<Block<T>>,
    /// `[H]`, of the norm before the head.
    pub gain: T,
    /// `[H]`.
    pub bias: T,
}

/// How a position is told from another.
pub(super) enum Places<T> {
    /// SASRec: added to the embedded items, `[POSITIONS, H]`.
    Added(T),
    /// TiSASRec: added to keys and values of every block.
    Relative(Tables<T>),
}

/// TiSASRec's tables, which all blocks share.
pub(super) struct Tables<T> {
    /// `[POSITIONS, H]` each.
    pub position_key: T,
    pub position_value: T,
    /// `[intervals + 1, H]` each.
    pub interval_key: T,
    pub interval_value: T,
}

/// A block: attention, then feed-forward.
pub(super) struct Block<T> {
    /// `[H, H]`.
    pub query: T,
    pub b_query: T,
    /// `[H, 2H]`.
    pub key_value: T,
    pub b_key_value: T,
    /// `[H, H]`, puts the heads together.
    pub mix: T,
    pub b_mix: T,
    /// `[H, H]`.
    pub up: T,
    pub b_up: T,
    /// `[H, H]`.
    pub down: T,
    pub b_down: T,
}

impl<T> Weights<T> {
    /// # Panics
    /// Where the list is not one of this model.
    pub fn new(settings: &ModelSettings, list: impl IntoIterator<Item = T>) -> Self {
        let mut list = list.into_iter().fuse();
        let mut take = || list.next().unwrap_or_else(|| panic!("parameter list too short"));
        let places = if settings.solver == Solver::TiSasRec {
            Places::Relative(Tables {
                position_key: take(),
                position_value: take(),
                interval_key: take(),
                interval_value: take(),
            })
        } else {
            Places::Added(take())
        };
        let mut block = || Block {
            query: take(),
            b_query: take(),
            key_value: take(),
            b_key_value: take(),
            mix: take(),
            b_mix: take(),
            up: take(),
            b_up: take(),
            down: take(),
            b_down: take(),
        };
        let blocks = (0..settings.blocks).map(|_| block()).collect();
        Self { places, blocks, gain: take(), bias: take() }
    }
}
