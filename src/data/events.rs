//! Events in memory: columns, grouped by user, in time order.

use std::sync::Arc;

use super::drift::DriftTruth;
use super::pace::{Pace, STEPS};
use crate::jobs::Cancelled;

/// What is known of an item besides its id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemMeta {
    pub title: Option<String>,
    /// Indices into [`Dataset::genres`].
    pub genres: Vec<u16>,
}

/// How an import went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportReport {
    /// Data rows read, skipped ones included.
    pub rows: u64,
    /// Rows left out because something in them was wrong.
    pub skipped: u64,
    /// The first few skipped rows: line number and why.
    pub examples: Vec<(u64, String)>,
    /// What a person should know of how the file was read (format, columns, time unit).
    pub notes: Vec<String>,
}

impl ImportReport {
    /// All of it, for people: how the file was read, and what was left out.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.notes.clone();
        if self.skipped > 0 {
            lines.push(format!("Left out: {} of {} rows", self.skipped, self.rows));
        }
        lines.extend(self.examples.iter().map(|(line, why)| format!("  line {line}: {why}")));
        lines
    }
}

/// A set of events: CSR by user, each user's events in time order (ties in file order).
///
/// Users and items are dense indices from 0; the file's own ids are kept as text. Invariants
/// (kept by [`Dataset::from_columns`]): `offsets` has `users() + 1` entries and never falls;
/// `items`, `times` and `ratings` (where there are any) have `events()` entries; every item index
/// is below `items()`.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Short name for people: `MovieTweetings 100K`, `ratings.dat`, `drift`.
    pub name: String,
    /// The path, catalogue name or `drift` it came from, as in `data.source`.
    pub source: String,
    pub user_ids: Vec<String>,
    pub item_ids: Vec<String>,
    /// One per item; empty where the source has none.
    pub meta: Vec<ItemMeta>,
    /// Genre names; empty where the source has none.
    pub genres: Vec<String>,
    /// Where each user's events start; one more at the end.
    pub offsets: Vec<usize>,
    /// Item index of each event.
    pub item: Vec<u32>,
    /// Unix time of each event, in milliseconds.
    pub time: Vec<i64>,
    /// Rating of each event; empty where the source has none.
    pub rating: Vec<f32>,
    pub report: ImportReport,
    /// The truth behind the built-in set.
    pub truth: Option<Arc<DriftTruth>>,
}

/// One user's events, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    pub item: &'a [u32],
    /// Unix milliseconds, never falling.
    pub time: &'a [i64],
}

/// Events as an importer collects them: one entry a row, in file order.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    pub user: Vec<u32>,
    pub item: Vec<u32>,
    /// Unix milliseconds.
    pub time: Vec<i64>,
    /// Empty, or one a row.
    pub rating: Vec<f32>,
}

impl Columns {
    /// Turn the rows around where a user's newest event comes first, so that events of one time come in
    /// the order in which they happened; says whether it was so.
    pub fn oldest_first(&mut self, users: usize) -> bool {
        let mut last: Vec<Option<i64>> = vec![None; users];
        let (mut rises, mut falls) = (0usize, 0usize);
        for (&user, &time) in self.user.iter().zip(&self.time) {
            match last[user as usize].replace(time) {
                Some(before) if time > before => rises += 1,
                Some(before) if time < before => falls += 1,
                _ => {}
            }
        }
        // A few may stand elsewhere.
        let newest_first = falls > 9 * rises;
        if newest_first {
            self.user.reverse();
            self.item.reverse();
            self.time.reverse();
            self.rating.reverse();
        }
        newest_first
    }
}

impl Dataset {
    /// Group columns by user and sort each user's events by time; ties keep the order of the rows.
    ///
    /// `columns.user` must be below `user_ids.len()` and `columns.item` below `item_ids.len()`.
    /// `go_on` is asked every few milliseconds, but not while one user's events are sorted.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn from_columns(
        columns: Columns,
        user_ids: Vec<String>,
        item_ids: Vec<String>,
        go_on: impl FnMut() -> Result<(), Cancelled>,
    ) -> Result<Self, Cancelled> {
        let mut pace = Pace::new(go_on);
        let mut offsets = vec![0usize; user_ids.len() + 1];
        for users in columns.user.chunks(STEPS) {
            pace.step(users.len())?;
            for &user in users {
                offsets[user as usize + 1] += 1;
            }
        }
        for user in 0..user_ids.len() {
            offsets[user + 1] += offsets[user];
        }
        // Counting sort by user keeps file order; then a stable sort by time within a user.
        let mut next = offsets.clone();
        let mut order = vec![0u32; columns.user.len()];
        let mut row = 0;
        for users in columns.user.chunks(STEPS) {
            pace.step(users.len())?;
            for &user in users {
                order[next[user as usize]] = row;
                next[user as usize] += 1;
                row += 1;
            }
        }
        drop(next);
        for user in 0..user_ids.len() {
            let rows = &mut order[offsets[user]..offsets[user + 1]];
            pace.step(1 + rows.len())?;
            rows.sort_by_key(|&row| columns.time[row as usize]);
        }
        let item = pick(&columns.item, &order, &mut pace)?;
        let time = pick(&columns.time, &order, &mut pace)?;
        let rated: &[u32] = if columns.rating.is_empty() { &[] } else { &order };
        let rating = pick(&columns.rating, rated, &mut pace)?;
        Ok(Self { user_ids, item_ids, offsets, item, time, rating, ..Self::default() })
    }

    pub fn users(&self) -> usize {
        self.user_ids.len()
    }

    pub fn items(&self) -> usize {
        self.item_ids.len()
    }

    pub fn events(&self) -> usize {
        self.item.len()
    }

    /// Events of `user`, which must be below [`Dataset::users`].
    pub fn history(&self, user: usize) -> History<'_> {
        let range = self.offsets[user]..self.offsets[user + 1];
        History { item: &self.item[range.clone()], time: &self.time[range] }
    }

    /// The item's title, or its id where it has none.
    pub fn item_title(&self, item: usize) -> &str {
        self.meta
            .get(item)
            .and_then(|meta| meta.title.as_deref())
            .unwrap_or_else(|| &self.item_ids[item])
    }
}

/// The values of `rows`, in their order.
fn pick<T: Copy>(
    values: &[T],
    rows: &[u32],
    pace: &mut Pace<impl FnMut() -> Result<(), Cancelled>>,
) -> Result<Vec<T>, Cancelled> {
    let mut picked = Vec::with_capacity(rows.len());
    for rows in rows.chunks(STEPS) {
        pace.step(rows.len())?;
        picked.extend(rows.iter().map(|&row| values[row as usize]));
    }
    Ok(picked)
}

impl History<'_> {
    pub fn len(&self) -> usize {
        self.item.len()
    }

    pub fn is_empty(&self) -> bool {
        self.item.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    #[test]
    fn events_are_grouped_by_user_and_ties_keep_file_order() {
        let columns = Columns {
            user: vec![1, 0, 1, 1, 0],
            item: vec![10, 11, 12, 13, 14],
            time: vec![5, 9, 5, 1, 2],
            rating: vec![],
        };
        let data = Dataset::from_columns(columns, ids(2), ids(15), || Ok(())).unwrap();
        assert_eq!(data.history(0).item, [14, 11]);
        assert_eq!(data.history(1).item, [13, 10, 12]);
        assert_eq!(data.history(1).time, [1, 5, 5]);
    }

    #[test]
    fn a_stop_is_heard_before_and_all_along() {
        const ROWS: usize = 4 * STEPS;
        let sorted = |stop_at: usize| {
            let columns = Columns {
                user: (0..ROWS as u32).map(|row| row % 1000).collect(),
                item: vec![0; ROWS],
                time: (0..ROWS as i64).rev().collect(),
                rating: vec![1.0; ROWS],
            };
            let mut asked = 0;
            let go_on = || {
                asked += 1;
                if asked < stop_at { Ok(()) } else { Err(Cancelled) }
            };
            let outcome = Dataset::from_columns(columns, ids(1000), ids(1), go_on);
            (outcome.map(|data| data.events()), asked)
        };
        let (outcome, all) = sorted(usize::MAX);
        assert_eq!(outcome, Ok(ROWS));
        // Counting, placing, sorting and three columns are 6 passes over 4 blocks.
        assert!(all >= 6 * 4, "{all}");
        for stop_at in 1..=all {
            assert_eq!(sorted(stop_at), (Err(Cancelled), stop_at));
        }
    }
}
