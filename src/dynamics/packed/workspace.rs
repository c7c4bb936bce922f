//! Buffers that are used again from call to call.

use crate::dynamics::solver::{Moving, Pace};

/// Room for intermediate results; it grows to the largest batch it has seen. One a thread, and of
/// use to any model.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Other steps of the solver than the model's own.
    pub(super) pace: Option<Pace>,
    /// The gaps that are flowed over.
    pub(super) gaps: Vec<Gap>,
    /// The substeps that are taken together.
    pub(super) substeps: Vec<Moving>,
    /// Row and item of the events that are taken together.
    pub(super) events: Vec<(usize, usize)>,
    /// States, gathered from their rows.
    pub(super) states: Vec<f32>,
    /// States at the end of a substep.
    pub(super) ends: Vec<f32>,
    /// Where a flow is evaluated, now and next; embedded items.
    pub(super) points: Vec<f32>,
    /// A flow's outer layer; projected items.
    pub(super) slopes: Vec<f32>,
    /// A flow's inner layer; the state's part of the gates.
    pub(super) inner: Vec<f32>,
}

/// One row's gap: `count` substeps of `length`.
#[derive(Debug)]
pub(super) struct Gap {
    pub row: usize,
    pub count: usize,
    pub length: f32,
}

/// The first `len` values of a buffer, whatever they are.
pub(super) fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Copy the `[H]` states of `rows` out of `states`, `[R, H]`.
pub(super) fn gather<'a>(
    buffer: &'a mut Vec<f32>,
    states: &[f32],
    hidden: usize,
    rows: impl ExactSizeIterator<Item = usize>,
) -> &'a mut [f32] {
    let gathered = room(buffer, rows.len() * hidden);
    for (to, row) in gathered.chunks_exact_mut(hidden).zip(rows) {
        to.copy_from_slice(&states[row * hidden..][..hidden]);
    }
    gathered
}

/// Copy them back.
pub(super) fn scatter(
    gathered: &[f32],
    states: &mut [f32],
    hidden: usize,
    rows: impl Iterator<Item = usize>,
) {
    for (from, row) in gathered.chunks_exact(hidden).zip(rows) {
        states[row * hidden..][..hidden].copy_from_slice(from);
    }
}
