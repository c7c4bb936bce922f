//! What a batch asks for, as the kernels read it.
//!
//! Events lie position after position, as in the batch. Substeps belong to a tile: it takes as many
//! as its longest gap needs, and rows that need fewer have lengths of zero, which change nothing.

use super::shape::Tile;
use crate::dynamics::batch::Batch;
use crate::dynamics::solver::substeps;
use crate::settings::{ModelSettings, Solver, Targets};

/// A batch, laid out.
pub(super) struct Plan {
    /// Whole numbers: of every event the item, 0 for padding, `[E]`; of every event the place among
    /// the scored states plus one, 0 where it is not scored, `[E]`; of each tile and position the
    /// first substep, `[tiles, L + 1]`; then what the three below point to.
    pub words: Vec<u32>,
    /// Columns of the right answers, `[Q]`.
    pub targets: usize,
    /// Where the events of each row of the embedding begin in the list below, `[N + 2]`.
    pub starts: usize,
    /// Events, row of the embedding after row.
    pub order: usize,
    /// Model time of each substep of each row of a tile, `[S, rows of a tile]`.
    pub lengths: Vec<f32>,
    pub tiles: usize,
    /// S.
    pub substeps: usize,
    /// Q.
    pub scored: usize,
}

impl Plan {
    /// Lay `batch` out for a model over `items` items.
    ///
    /// # Panics
    /// Where an item or a target is not of the model.
    pub fn new(settings: &ModelSettings, items: usize, batch: &Batch, tile: Tile) -> Self {
        let events = batch.rows * batch.len;
        let tiles = batch.rows.div_ceil(tile.lanes);
        let whole = |value: i32| u32::try_from(value).unwrap_or(0);
        let mut words: Vec<u32> = batch.items.iter().map(|&item| whole(item)).collect();
        assert!(words.iter().all(|&item| item as usize <= items), "items of the model");

        let mut answers = Vec::new();
        let first = if settings.targets == Targets::All { 0 } else { events - batch.rows };
        for (event, &target) in batch.targets.iter().enumerate() {
            let counted = event >= first && target > 0;
            if counted {
                answers.push(whole(target) - 1);
            }
            words.push(if counted { answers.len() as u32 } else { 0 });
        }
        assert!(answers.iter().all(|&target| (target as usize) < items), "targets of the model");

        let mut lengths = Vec::new();
        let mut steps = 0;
        for at in 0..tiles {
            let rows = at * tile.lanes..((at + 1) * tile.lanes).min(batch.rows);
            for position in 0..batch.len {
                words.push(steps as u32);
                // The gap after the last event is flowed only where the query asks for it.
                let last = position + 1 == batch.len;
                if settings.solver == Solver::Gru || (last && !settings.query_gap) {
                    continue;
                }
                let gaps: Vec<(usize, f32)> = batch.dt[position * batch.rows..][rows.clone()]
                    .iter()
                    .map(|&dt| substeps(dt, settings.max_step as f32, settings.max_substeps))
                    .collect();
                let most = gaps.iter().map(|&(count, _)| count).max().unwrap_or(0);
                for substep in 0..most {
                    let length = |&(count, length)| if substep < count { length } else { 0.0 };
                    lengths.extend(gaps.iter().map(length));
                    lengths.resize((steps + 1) * tile.lanes, 0.0);
                    steps += 1;
                }
            }
            words.push(steps as u32);
        }

        let targets = words.len();
        words.extend(&answers);
        let starts = words.len();
        let mut counts = vec![0u32; items + 2];
        for &item in &words[..events] {
            if item > 0 {
                counts[item as usize + 1] += 1;
            }
        }
        let mut sum = 0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
        words.extend(&counts);
        let order = words.len();
        words.resize(order + sum as usize, 0);
        for event in 0..events {
            let item = words[event] as usize;
            if item > 0 {
                words[order + counts[item] as usize] = event as u32;
                counts[item] += 1;
            }
        }
        Self {
            words,
            targets,
            starts,
            order,
            lengths,
            tiles,
            substeps: steps,
            scored: answers.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_three_rows_in_tiles_of_two() {
        let settings = ModelSettings {
            solver: Solver::Euler,
            targets: Targets::All,
            max_step: 1.0,
            max_substeps: 8,
            query_gap: false,
            ..Default::default()
        };
        let batch = Batch {
            rows: 3,
            len: 2,
            items: vec![0, 3, 2, 3, 3, 1],
            dt: vec![0.0, 1.5, 0.5, 9.0, 9.0, 9.0],
            targets: vec![0, 3, 2, 4, 0, 1],
            clock: vec![0; 9],
        };
        let tile = Tile { lanes: 2, width: 1, slices: 1, units: 32 };
        let plan = Plan::new(&settings, 4, &batch, tile);
        let words = |from: usize, count: usize| &plan.words[from..from + count];
        assert_eq!(words(0, 6), [0, 3, 2, 3, 3, 1]);
        assert_eq!(words(6, 6), [0, 1, 2, 3, 0, 4]);
        // Two substeps in the first gap of the first tile, one in the second's.
        assert_eq!(words(12, 6), [0, 2, 2, 2, 3, 3]);
        assert_eq!(plan.lengths, [0.0, 0.75, 0.0, 0.75, 0.5, 0.0]);
        assert_eq!((plan.tiles, plan.substeps, plan.scored), (2, 3, 4));
        assert_eq!(words(plan.targets, 4), [2, 1, 3, 0]);
        assert_eq!(words(plan.starts, 6), [0, 0, 1, 2, 5, 5]);
        assert_eq!(words(plan.order, 5), [5, 2, 1, 3, 4]);
        assert_eq!(plan.words.len(), plan.order + 5);
    }
}
