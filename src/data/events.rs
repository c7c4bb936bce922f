//! Events in memory: columns, grouped by user, in time order.

use std::sync::Arc;

use super::drift::DriftTruth;

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

impl Dataset {
    /// Group columns by user and sort each user's events by time; ties keep the order of the rows.
    ///
    /// `columns.user` must be below `user_ids.len()` and `columns.item` below `item_ids.len()`.
    pub fn from_columns(columns: Columns, user_ids: Vec<String>, item_ids: Vec<String>) -> Self {
        let n = columns.user.len();
        let mut offsets = vec![0usize; user_ids.len() + 1];
        for &user in &columns.user {
            offsets[user as usize + 1] += 1;
        }
        for user in 0..user_ids.len() {
            offsets[user + 1] += offsets[user];
        }
        // Counting sort by user keeps file order; then a stable sort by time within a user.
        let mut next = offsets.clone();
        let mut order = vec![0u32; n];
        for (row, &user) in columns.user.iter().enumerate() {
            order[next[user as usize]] = row as u32;
            next[user as usize] += 1;
        }
        drop(next);
        for user in 0..user_ids.len() {
            order[offsets[user]..offsets[user + 1]].sort_by_key(|&row| columns.time[row as usize]);
        }
        let item = order.iter().map(|&row| columns.item[row as usize]).collect();
        let time = order.iter().map(|&row| columns.time[row as usize]).collect();
        let rating = if columns.rating.is_empty() {
            Vec::new()
        } else {
            order.iter().map(|&row| columns.rating[row as usize]).collect()
        };
        Self { user_ids, item_ids, offsets, item, time, rating, ..Self::default() }
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

    #[test]
    fn events_are_grouped_by_user_and_ties_keep_file_order() {
        let columns = Columns {
            user: vec![1, 0, 1, 1, 0],
            item: vec![10, 11, 12, 13, 14],
            time: vec![5, 9, 5, 1, 2],
            rating: vec![],
        };
        let ids = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
        let data = Dataset::from_columns(columns, ids(2), ids(15));
        assert_eq!(data.history(0).item, [14, 11]);
        assert_eq!(data.history(1).item, [13, 10, 12]);
        assert_eq!(data.history(1).time, [1, 5, 5]);
    }
}
