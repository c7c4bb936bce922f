//! A few histories laid end to end, and what is kept of them for going back.

use super::intervals::Intervals;
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::plan;
use crate::dynamics::parameters::POSITIONS;
use crate::settings::{ModelSettings, Solver};

/// One history among the events of its shard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub start: usize,
    pub len: usize,
}

impl Span {
    /// Its values among all events of `width`.
    pub fn rows(self, width: usize) -> std::ops::Range<usize> {
        self.start * width..(self.start + self.len) * width
    }
}

/// Where the events of a shard stand.
pub(super) struct Layout {
    pub spans: Vec<Span>,
    /// Row of the tables of positions, an event: 0 is the last position of the window, so that the
    /// event before the next item is always there, however long the window is.
    pub positions: Vec<usize>,
    /// TiSASRec's intervals, span after span, `[len, len]` each.
    pub between: Vec<u32>,
}

impl Layout {
    pub fn new(settings: &ModelSettings, batch: &Batch, shard: &plan::Shard) -> Self {
        let events = &shard.events;
        let mut spans: Vec<Span> = Vec::new();
        for (place, event) in events.iter().enumerate() {
            match spans.last_mut() {
                Some(span) if events[span.start].row == event.row => span.len += 1,
                _ => spans.push(Span { start: place, len: 1 }),
            }
        }
        let position = |event: &plan::Event| batch.len - 1 - event.mask / batch.rows;
        let positions = events.iter().map(|event| position(event).min(POSITIONS - 1)).collect();
        let mut between = Vec::new();
        if settings.solver == Solver::TiSasRec {
            let intervals = Intervals::new(settings);
            for span in &spans {
                let events = &events[span.rows(1)];
                intervals.rows(events.iter().map(|event| batch.dt[event.mask]), &mut between);
            }
        }
        Self { spans, positions, between }
    }

    /// Σ of the squares of the lengths.
    pub fn pairs(&self) -> usize {
        self.spans.iter().map(|span| span.len * span.len).sum()
    }
}

/// What one block keeps of a shard for going back, E rows of events. Going back adds the derivatives
/// that the weights' gradients are made of.
#[derive(Default)]
pub(super) struct KeptBlock {
    /// The first norm, `[E, H]` and `[E]`.
    pub normed: Vec<f32>,
    pub scales: Vec<f32>,
    /// `[E, H]`.
    pub q: Vec<f32>,
    /// `[E, 2H]`.
    pub kv: Vec<f32>,
    /// Attention, span after span, `[heads, len, len]` each.
    pub p: Vec<f32>,
    /// `[E, H]`.
    pub mixed: Vec<f32>,
    /// Σ of the attention at each interval, `[E, heads·K]`.
    pub shares: Vec<f32>,
    /// The second norm, `[E, H]` and `[E]`.
    pub normed_middle: Vec<f32>,
    pub scales_middle: Vec<f32>,
    /// After the activation, `[E, H]`.
    pub active: Vec<f32>,
    /// Derivatives by the queries, `[E, H]`.
    pub by_q: Vec<f32>,
    /// By the keys and values, `[E, 2H]`.
    pub by_kv: Vec<f32>,
    /// By what the attention adds, before its dropout: `[E, H]`.
    pub by_mix: Vec<f32>,
    /// By what the heads give, `[E, H]`.
    pub by_mixed: Vec<f32>,
    /// By what is activated, `[E, H]`.
    pub by_up: Vec<f32>,
    /// By what the feed-forward layer adds, before its dropout: `[E, H]`.
    pub by_down: Vec<f32>,
    /// Σ of the derivatives by the scores at each interval, `[E, heads·K]`.
    pub slopes: Vec<f32>,
}

/// What is kept of a shard.
#[derive(Default)]
pub(super) struct Kept {
    pub blocks: Vec<KeptBlock>,
    /// The norm before the head, `[Q, H]` and `[Q]`; going back, `normed` times the derivatives.
    pub normed: Vec<f32>,
    pub scales: Vec<f32>,
    /// Scratch, `[E, H]` each.
    pub x: Vec<f32>,
    pub update: Vec<f32>,
    /// Scratch, `[len, len]` of the longest span.
    pub square: Vec<f32>,
}

/// The first `len` values of a buffer that grows where it must; what it held stays in it.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

/// Values that [`Kept`] holds of a shard, about.
pub(super) fn kept(settings: &ModelSettings, shard: &plan::Shard, positions: usize) -> usize {
    let (hidden, heads) = (settings.hidden, settings.heads);
    let intervals = match settings.solver {
        Solver::TiSasRec => 2 * heads * (settings.intervals + 1),
        _ => 0,
    };
    let block = 15 * hidden + heads * positions + intervals;
    shard.events.len() * (settings.blocks * block + 4 * hidden)
}
