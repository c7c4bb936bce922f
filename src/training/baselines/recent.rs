//! What is popular now: the items met most often in the days before the request.

use crate::data::Dataset;
use crate::data::split::{Query, Split};
use crate::evaluation::{ndcg, rank};
use crate::jobs::Cancelled;

const MS_PER_DAY: i64 = 86_400_000;
/// Days that are looked back, of which one number is chosen on the validation queries.
pub const DAYS: [i64; 4] = [1, 3, 7, 30];
/// Validation queries that the days are chosen on, at most, taken evenly.
const QUERIES: usize = 2000;

/// Counted events in the order of their times, and how far to look back.
pub struct Recent {
    /// Never falling, in Unix milliseconds.
    times: Vec<i64>,
    items: Vec<u32>,
    /// Below 1, by overall popularity: the order of items that nobody met in these days.
    fill: Vec<f32>,
    days: i64,
}

impl Recent {
    /// From the events that may be counted, with the days among [`DAYS`] that give the best NDCG@10
    /// on the validation queries, ranked as `excluded` says; the fewest of those that are as good.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn count(
        data: &Dataset,
        split: &Split,
        fill: Vec<f32>,
        excluded: impl Fn(&Query) -> Vec<u32>,
        go_on: &mut dyn FnMut() -> Result<(), Cancelled>,
    ) -> Result<Self, Cancelled> {
        let events = split.counted.iter().flat_map(|part| part.start..part.end);
        let mut order: Vec<(i64, u32)> =
            events.map(|event| (data.time[event], data.item[event])).collect();
        order.sort_unstable();
        let (times, items) = order.into_iter().unzip();
        let mut recent = Self { times, items, fill, days: DAYS[0] };
        let every = split.valid.len().div_ceil(QUERIES).max(1);
        let mut queries: Vec<Query> = split.valid.iter().step_by(every).copied().collect();
        queries.sort_by_key(|query| data.time[query.target]);
        let mut best = (f64::NEG_INFINITY, DAYS[0]);
        for days in DAYS {
            recent.days = days;
            let (mut window, mut sum) = (recent.window(), 0.0);
            for (place, query) in queries.iter().enumerate() {
                if place % 256 == 0 {
                    go_on()?;
                }
                let target = data.item[query.target] as usize;
                let scores = window.scores(data.time[query.target]);
                sum += ndcg(rank(scores, target, &excluded(query)), 10);
            }
            if sum > best.0 {
                best = (sum, days);
            }
        }
        recent.days = best.1;
        Ok(recent)
    }

    /// How many days are looked back.
    pub fn days(&self) -> i64 {
        self.days
    }

    /// For requests in the order of their times.
    pub fn window(&self) -> Window<'_> {
        let scores = self.fill.clone();
        Window { recent: self, counts: vec![0; scores.len()], scores, from: 0, to: 0 }
    }
}

/// The events that are recent at a time that moves on.
pub struct Window<'a> {
    recent: &'a Recent,
    counts: Vec<u32>,
    scores: Vec<f32>,
    from: usize,
    to: usize,
}

impl Window<'_> {
    /// Scores of all items at `time`, Unix milliseconds, not before the time of an earlier call: how
    /// often each was met before it, and not longer ago than the days say.
    pub fn scores(&mut self, time: i64) -> &[f32] {
        let Recent { times, items, fill, days } = self.recent;
        let since = time.saturating_sub(days * MS_PER_DAY);
        while times.get(self.to).is_some_and(|&event| event < time) {
            let item = items[self.to] as usize;
            self.counts[item] += 1;
            self.scores[item] = self.counts[item] as f32 + fill[item];
            self.to += 1;
        }
        while self.from < self.to && times[self.from] < since {
            let item = items[self.from] as usize;
            self.counts[item] -= 1;
            self.scores[item] = self.counts[item] as f32 + fill[item];
            self.from += 1;
        }
        &self.scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;
    use crate::data::split::Sequence;
    use crate::settings::Protocol;

    #[test]
    fn only_what_came_just_before_counts_and_the_days_are_chosen_on_validation() {
        let day = |days: f64| (days * MS_PER_DAY as f64) as i64;
        // User 0: item 0 long ago, item 1 two days before the query, item 2 at its very time.
        // User 1 is the validation query: which item at day 10? It is item 1.
        let columns = Columns {
            user: vec![0, 0, 0, 0, 1, 1],
            item: vec![0, 0, 1, 2, 3, 1],
            time: vec![day(1.0), day(2.0), day(8.0), day(10.0), day(9.5), day(10.0)],
            rating: vec![],
        };
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let data = Dataset::from_columns(columns, ids(2), ids(4), || Ok(())).unwrap();
        let query = Query { user: 1, start: 4, target: 5 };
        let split = Split {
            protocol: Protocol::LeaveOneOut,
            input_len: 4,
            train: vec![],
            valid: vec![query],
            test: vec![query],
            moves_on: 0,
            counted: vec![Sequence { start: 0, end: 4 }],
        };
        let fill = vec![0.5, 0.25, 0.25, 0.0];
        let recent = Recent::count(&data, &split, fill, |_| Vec::new(), &mut || Ok(())).unwrap();
        // In one day nothing happened, in three only item 1; in thirty item 0 is ahead.
        assert_eq!(recent.days(), 3);
        let mut window = recent.window();
        assert_eq!(window.scores(day(2.0)), [1.5, 0.25, 0.25, 0.0], "strictly before");
        assert_eq!(window.scores(day(10.0)), [0.5, 1.25, 0.25, 0.0]);
        assert_eq!(window.scores(day(11.1)), [0.5, 0.25, 1.25, 0.0]);
    }
}
