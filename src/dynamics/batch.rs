//! Histories as the model wants them: fixed shape, padded at the front, time in model units.

use super::solver::Pace;
use super::warp::TimeWarp;

/// A batch on the host. Position `l` of row `b` is at `l * rows + b`: time-major, so that what one
/// step of the recurrence needs lies together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// B, histories in the batch.
    pub rows: usize,
    /// L, positions a history.
    pub len: usize,
    /// Item plus one, 0 for padding: `[L, B]`.
    pub items: Vec<i32>,
    /// Model time from each event to the next; at the last position to the query: `[L, B]`.
    pub dt: Vec<f32>,
    /// Item that comes after each position, for the loss; 0 where there is none: `[L, B]`.
    pub targets: Vec<i32>,
    /// Time of each event, and in the last row of the query, in Unix milliseconds; 0 for padding:
    /// `[L + 1, B]`. The time of the target of position l is that of row l + 1.
    pub clock: Vec<i64>,
}

impl Batch {
    /// An all-padding batch of `rows` × `len`.
    pub fn empty(rows: usize, len: usize) -> Self {
        let size = rows * len;
        Self {
            rows,
            len,
            items: vec![0; size],
            dt: vec![0.0; size],
            targets: vec![0; size],
            clock: vec![0; size + rows],
        }
    }

    /// Put a history into `row`: the last `len` events of `items` and `times` (Unix milliseconds,
    /// never falling). `query_time` ends the last gap. `next` is the item after the last event.
    pub fn put(
        &mut self,
        row: usize,
        items: &[u32],
        times: &[i64],
        query_time: i64,
        next: Option<u32>,
        how: TimeWarp,
    ) {
        let kept = items.len().min(self.len);
        let (items, times) = (&items[items.len() - kept..], &times[times.len() - kept..]);
        self.clock[self.len * self.rows + row] = query_time;
        for (place, (&item, &time)) in items.iter().zip(times).enumerate() {
            let at = (self.len - kept + place) * self.rows + row;
            self.items[at] = item as i32 + 1;
            self.clock[at] = time;
            let until = times.get(place + 1).copied().unwrap_or(query_time);
            self.dt[at] = how.model_time(until - time);
            let target = items.get(place + 1).copied().or(next);
            self.targets[at] = target.map_or(0, |item| item as i32 + 1);
        }
    }

    /// Keep the loss of the last position only.
    pub fn only_last_target(&mut self) {
        let keep_from = (self.len - 1) * self.rows;
        self.targets[..keep_from].fill(0);
    }

    /// The steps of every gap: for each position the substep lengths of all rows, `[S, B]` flat,
    /// and how many of those S rows each position has. Rows with fewer substeps end in zeros.
    pub fn steps(&self, pace: Pace, positions: usize) -> (Vec<f32>, Vec<usize>) {
        let (mut lengths, mut counts) = (Vec::new(), Vec::with_capacity(positions));
        for position in 0..positions {
            let gaps = &self.dt[position * self.rows..(position + 1) * self.rows];
            let plan: Vec<(usize, f32)> = gaps.iter().map(|&dt| pace.over(dt)).collect();
            let most = plan.iter().map(|(count, _)| *count).max().unwrap_or(0);
            for substep in 0..most {
                lengths
                    .extend(plan.iter().map(|&(count, h)| if substep < count { h } else { 0.0 }));
            }
            counts.push(most);
        }
        (lengths, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ModelSettings;

    #[test]
    fn histories_are_padded_at_the_front_and_gaps_end_at_the_query() {
        let mut batch = Batch::empty(2, 3);
        let day = 86_400_000;
        batch.put(0, &[4, 5], &[0, 10 * day], 15 * day, Some(9), TimeWarp::LINEAR);
        batch.put(1, &[1, 2, 3, 4], &[0, day, day, 2 * day], 2 * day, None, TimeWarp::LINEAR);
        assert_eq!(batch.items, [0, 3, 5, 4, 6, 5]);
        assert_eq!(batch.targets, [0, 4, 6, 5, 10, 0]);
        assert_eq!(batch.dt, [0.0, 0.0, 1.0, 0.1, 0.5, 0.0]);
        batch.only_last_target();
        assert_eq!(batch.targets, [0, 0, 0, 0, 10, 0]);
    }

    #[test]
    fn each_row_has_its_own_substeps() {
        let mut batch = Batch::empty(2, 1);
        batch.dt = vec![1.0, 0.2];
        let model = ModelSettings { max_step: 0.5, max_substeps: 4, ..Default::default() };
        assert_eq!(batch.steps(Pace::of(&model), 1), (vec![0.5, 0.2, 0.5, 0.0], vec![2]));
        let halved = vec![0.25, 0.1, 0.25, 0.1, 0.25, 0.0, 0.25, 0.0];
        assert_eq!(batch.steps(Pace::of(&model).finer(2), 1), (halved, vec![4]));
    }
}
