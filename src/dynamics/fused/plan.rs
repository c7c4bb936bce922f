//! What a batch asks for: which rows have an event, a substep or a target at which position.
//!
//! Rows are cut into shards of a fixed size, each scanned on its own. Everything that is stored for
//! the backward pass lies in the order shard, position, substep, row, so that a shard owns one
//! contiguous piece of every buffer and nothing is spent on padding.

use std::ops::Range;

use crate::dynamics::batch::Batch;
use crate::dynamics::packed::flow::Widths;
use crate::dynamics::solver::{Moving, Pace};
use crate::settings::{ModelSettings, Solver, Targets};

/// Rows of a shard. A constant: results must not depend on the number of threads.
pub(in crate::dynamics) const SHARD: usize = 16;

/// An item seen by a row of the shard.
pub(in crate::dynamics) struct Event {
    /// Row within the shard.
    pub row: usize,
    /// Row of the embedding, ≥ 1.
    pub item: usize,
    /// Row of its gradient: the same, unless only the rows in use have one.
    pub sink: usize,
    /// Row of the input mask.
    pub mask: usize,
}

/// A state that is scored.
pub(in crate::dynamics) struct Scored {
    /// Row within the shard; under attention, place among the shard's events.
    pub row: usize,
    /// Column of the right answer.
    pub target: usize,
    /// Row of the state mask.
    pub mask: usize,
}

/// What happens at one position: ranges into the lists of the shard.
#[derive(Default)]
pub(in crate::dynamics) struct Position {
    pub events: Range<usize>,
    pub substeps: Vec<Range<usize>>,
    pub scored: Range<usize>,
}

/// A few rows of the batch, over all positions.
#[derive(Default)]
pub(in crate::dynamics) struct Shard {
    pub rows: usize,
    pub events: Vec<Event>,
    pub flows: Vec<Moving>,
    pub scored: Vec<Scored>,
    pub positions: Vec<Position>,
}

/// Sizes of what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub hidden: usize,
    /// Evaluations of the flow in a substep.
    pub stages: usize,
    /// Of one evaluation.
    pub widths: Widths,
}

impl Shard {
    /// Values that are kept of it for going back.
    fn kept(&self, sizes: Sizes) -> usize {
        let evaluation = 1 + 2 * sizes.widths.inner + sizes.widths.outer;
        let flows = evaluation * sizes.stages * self.flows.len();
        sizes.hidden * (9 * self.events.len() + flows + self.scored.len())
    }
}

/// Values kept for going back at once, about: 512 MiB. What needs more is done in several waves,
/// whose gradients add up. A constant: results must not depend on the memory there is.
pub(in crate::dynamics) const KEPT: usize = 1 << 27;

/// Cut `shards` into waves that are kept at once.
pub(super) fn waves(shards: &[Shard], sizes: Sizes) -> Vec<&[Shard]> {
    waves_by(shards, KEPT, |shard| shard.kept(sizes))
}

/// The same, where `keeps` says how many values are kept of a shard, at most `most` at once.
pub(in crate::dynamics) fn waves_by(
    shards: &[Shard],
    most: usize,
    keeps: impl Fn(&Shard) -> usize,
) -> Vec<&[Shard]> {
    let mut waves = Vec::new();
    let (mut first, mut kept) = (0, 0);
    for (place, shard) in shards.iter().enumerate() {
        let more = keeps(shard);
        if kept + more > most && place > first {
            waves.push(&shards[first..place]);
            (first, kept) = (place, 0);
        }
        kept += more;
    }
    waves.push(&shards[first..]);
    waves
}

/// The shards of `batch`, in the order of its rows.
pub(in crate::dynamics) fn shards(settings: &ModelSettings, batch: &Batch) -> Vec<Shard> {
    (0..batch.rows)
        .step_by(SHARD)
        .map(|first| shard(settings, batch, first..(first + SHARD).min(batch.rows)))
        .collect()
}

fn shard(settings: &ModelSettings, batch: &Batch, rows: Range<usize>) -> Shard {
    if settings.solver.is_attention() {
        return histories(settings, batch, rows);
    }
    let every = settings.targets == Targets::All;
    let mut shard = Shard { rows: rows.len(), ..Default::default() };
    for position in 0..batch.len {
        let last = position + 1 == batch.len;
        let at = position * batch.rows;
        let mut here = Position::default();
        let start = shard.events.len();
        shard.events.extend(rows.clone().enumerate().filter_map(|(row, b)| {
            let item = usize::try_from(batch.items[at + b]).unwrap_or(0);
            (item > 0).then_some(Event { row, item, sink: item, mask: at + b })
        }));
        here.events = start..shard.events.len();
        // The gap after the last event is flowed only where the query asks for it.
        if settings.solver != Solver::Gru && (settings.query_gap || !last) {
            let pace = Pace::of(settings);
            let plan: Vec<(usize, f32)> =
                rows.clone().map(|b| pace.over(batch.dt[at + b])).collect();
            let most = plan.iter().map(|&(count, _)| count).max().unwrap_or(0);
            for substep in 0..most {
                let start = shard.flows.len();
                let moving = plan.iter().enumerate().filter(|(_, (count, _))| substep < *count);
                shard.flows.extend(moving.map(|(row, &(_, length))| Moving { row, length }));
                here.substeps.push(start..shard.flows.len());
            }
        }
        let start = shard.scored.len();
        if every || last {
            let masks_from = if every { at } else { 0 };
            shard.scored.extend(rows.clone().enumerate().filter_map(|(row, b)| {
                let target = usize::try_from(batch.targets[at + b]).unwrap_or(0).checked_sub(1)?;
                Some(Scored { row, target, mask: masks_from + b })
            }));
        }
        here.scored = start..shard.scored.len();
        shard.positions.push(here);
    }
    shard
}

/// The shard of a model without a state: its events lie history after history, and what is scored is
/// an event.
fn histories(settings: &ModelSettings, batch: &Batch, rows: Range<usize>) -> Shard {
    let every = settings.targets == Targets::All;
    let mut shard = Shard { rows: rows.len(), ..Default::default() };
    for (row, b) in rows.enumerate() {
        for position in 0..batch.len {
            let at = position * batch.rows + b;
            let item = usize::try_from(batch.items[at]).unwrap_or(0);
            if item == 0 {
                continue;
            }
            let target = usize::try_from(batch.targets[at]).unwrap_or(0).checked_sub(1);
            if let (Some(target), true) = (target, every || position + 1 == batch.len) {
                let mask = if every { at } else { b };
                shard.scored.push(Scored { row: shard.events.len(), target, mask });
            }
            shard.events.push(Event { row, item, sink: item, mask: at });
        }
    }
    shard
}
