//! Leaving out short users and rare items.

use super::pace::Pace;
use super::{Dataset, ItemMeta};
use crate::jobs::Cancelled;

/// Keep users and items with enough events.
///
/// Once, without `k_core`: first the items with fewer than `min_item_events` events go, then the
/// users with fewer than `min_user_events` of the events left, so that an item may end below its
/// minimum. With `k_core` this is repeated until every user and item left has enough. Users and
/// items that lose all of their events go as well.
///
/// What is left keeps its order, and items are numbered anew in that order; its report says how much
/// was left out. The truth behind a generated set is kept only where nothing was removed. Nothing left is an empty set.
///
/// `go_on` is asked every few milliseconds.
///
/// # Errors
/// [`Cancelled`] when `go_on` says so.
pub fn filter(
    data: &Dataset,
    min_user_events: usize,
    min_item_events: usize,
    k_core: bool,
    go_on: impl FnMut() -> Result<(), Cancelled>,
) -> Result<Dataset, Cancelled> {
    let mut pace = Pace::new(go_on);
    let mut keep = Keep::all(data);
    while keep.pass(data, min_user_events, min_item_events, &mut pace)? && k_core {}
    if keep.is_all() {
        return Ok(data.clone());
    }
    // Whatever was removed may have left others without events.
    while keep.pass(data, 1, 1, &mut pace)? {}
    let mut left = keep.apply(data, &mut pace)?;
    let of =
        |before: usize, after: usize, what: &str| format!("{} of {before} {what}", before - after);
    left.report.notes.push(format!(
        "Left out by the filters: {}, {}, {} (data.min_user_events = {min_user_events}, \
         data.min_item_events = {min_item_events})",
        of(data.users(), left.users(), "users"),
        of(data.items(), left.items(), "items"),
        of(data.events(), left.events(), "events"),
    ));
    Ok(left)
}

struct Keep {
    users: Vec<bool>,
    items: Vec<bool>,
}

impl Keep {
    fn all(data: &Dataset) -> Self {
        Self { users: vec![true; data.users()], items: vec![true; data.items()] }
    }

    fn is_all(&self) -> bool {
        self.users.iter().chain(&self.items).all(|keep| *keep)
    }

    /// Drop items, then users, below their minimum; says whether any were.
    fn pass(
        &mut self,
        data: &Dataset,
        min_user: usize,
        min_item: usize,
        pace: &mut Pace<impl FnMut() -> Result<(), Cancelled>>,
    ) -> Result<bool, Cancelled> {
        let mut changed = false;
        let mut drop_below = |keep: &mut [bool], counts: &[usize], min: usize| {
            for (keep, count) in keep.iter_mut().zip(counts) {
                changed |= *keep && *count < min;
                *keep &= *count >= min;
            }
        };
        let mut events = vec![0; data.items()];
        for user in self.kept_users() {
            let items = data.history(user).item;
            pace.step(1 + items.len())?;
            for &item in items {
                events[item as usize] += 1;
            }
        }
        drop_below(&mut self.items, &events, min_item);
        let mut kept_of = |user| {
            pace.step(1 + data.history(user).len())?;
            Ok(self.kept_events(data, user).count())
        };
        let events = (0..data.users()).map(&mut kept_of).collect::<Result<Vec<usize>, _>>()?;
        drop_below(&mut self.users, &events, min_user);
        Ok(changed)
    }

    fn kept_users(&self) -> impl Iterator<Item = usize> {
        self.users.iter().enumerate().filter(|(_, keep)| **keep).map(|(user, _)| user)
    }

    /// Positions in the data of the events of `user` whose items are kept.
    fn kept_events(&self, data: &Dataset, user: usize) -> impl Iterator<Item = usize> {
        let range = data.offsets[user]..data.offsets[user + 1];
        range.filter(|event| self.items[data.item[*event] as usize])
    }

    fn apply(
        &self,
        data: &Dataset,
        pace: &mut Pace<impl FnMut() -> Result<(), Cancelled>>,
    ) -> Result<Dataset, Cancelled> {
        let kept_items = || self.items.iter().enumerate().filter(|(_, keep)| **keep);
        let mut number = vec![0; data.items()];
        for (new, (old, _)) in kept_items().enumerate() {
            number[old] = new as u32;
        }
        let meta: Vec<ItemMeta> = if data.meta.is_empty() {
            Vec::new()
        } else {
            kept_items().map(|(item, _)| data.meta[item].clone()).collect()
        };
        let mut kept = Dataset {
            name: data.name.clone(),
            source: data.source.clone(),
            user_ids: self.kept_users().map(|user| data.user_ids[user].clone()).collect(),
            item_ids: kept_items().map(|(item, _)| data.item_ids[item].clone()).collect(),
            meta,
            genres: data.genres.clone(),
            offsets: vec![0],
            report: data.report.clone(),
            ..Dataset::default()
        };
        for user in self.kept_users() {
            pace.step(1 + data.history(user).len())?;
            for event in self.kept_events(data, user) {
                kept.item.push(number[data.item[event] as usize]);
                kept.time.push(data.time[event]);
                kept.rating.extend(data.rating.get(event));
            }
            kept.offsets.push(kept.item.len());
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::Columns;
    use crate::data::pace::STEPS;

    /// Events as (user, item) pairs at times 0, 1, 2, …, rated by their time.
    fn data(events: &[(u32, u32)]) -> Dataset {
        let n = events.len();
        let columns = Columns {
            user: events.iter().map(|event| event.0).collect(),
            item: events.iter().map(|event| event.1).collect(),
            time: (0..n as i64).collect(),
            rating: (0..n).map(|time| time as f32).collect(),
        };
        let ids = |prefix: &str, numbers: &[u32]| {
            let len = numbers.iter().max().map_or(0, |max| max + 1);
            (0..len).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>()
        };
        let (users, items) = (ids("u", &columns.user), ids("i", &columns.item));
        let meta = items.iter().map(|id| ItemMeta { title: Some(id.clone()), genres: vec![] });
        let meta = meta.collect();
        Dataset { meta, ..Dataset::from_columns(columns, users, items, || Ok(())).unwrap() }
    }

    /// The filter, never asked to stop.
    fn filter(data: &Dataset, min_user: usize, min_item: usize, k_core: bool) -> Dataset {
        super::filter(data, min_user, min_item, k_core, || Ok(())).unwrap()
    }

    fn pairs(data: &Dataset) -> Vec<(&str, &str, f32)> {
        let events = (0..data.users()).flat_map(|user| {
            (data.offsets[user]..data.offsets[user + 1]).map(move |event| (user, event))
        });
        let name = |(user, event): (usize, usize)| {
            let item = data.item[event] as usize;
            assert_eq!(data.item_title(item), data.item_ids[item]);
            (data.user_ids[user].as_str(), data.item_ids[item].as_str(), data.rating[event])
        };
        events.map(name).collect()
    }

    // i1 is rare; without it u1 is short; without u1 i2 is rare.
    const CHAIN: [(u32, u32); 8] = [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 3), (3, 0), (3, 3)];

    #[test]
    fn once_is_items_then_users() {
        let kept = filter(&data(&CHAIN), 2, 2, false);
        let expected = [
            ("u0", "i0", 0.0),
            ("u0", "i2", 1.0),
            ("u2", "i0", 4.0),
            ("u2", "i3", 5.0),
            ("u3", "i0", 6.0),
            ("u3", "i3", 7.0),
        ];
        assert_eq!(pairs(&kept), expected);
        assert_eq!(kept.item, [0, 1, 0, 2, 0, 2]);
        assert_eq!(kept.item_ids, ["i0", "i2", "i3"]);
        assert_eq!(kept.offsets, [0, 2, 4, 6]);
    }

    #[test]
    fn k_core_goes_on_until_all_have_enough() {
        let kept = filter(&data(&CHAIN), 2, 2, true);
        assert_eq!(kept.user_ids, ["u2", "u3"]);
        assert_eq!(kept.item_ids, ["i0", "i3"]);
        assert_eq!(kept.time, [4, 5, 6, 7]);
    }

    #[test]
    fn those_without_events_go_too() {
        let kept = filter(&data(&[(0, 0), (0, 1), (1, 2)]), 2, 0, false);
        assert_eq!((kept.users(), kept.items()), (1, 2));
        let kept = filter(&data(&[(0, 0), (1, 0), (2, 1)]), 0, 2, false);
        assert_eq!((kept.users(), kept.items()), (2, 1));
    }

    #[test]
    fn truth_survives_only_where_nothing_goes() {
        let mut set = data(&CHAIN);
        set.truth = Some(Arc::new(crate::data::drift::DriftTruth {
            field: crate::data::drift::DriftField {
                centres: vec![],
                decay: 1.0,
                rotation: 0.0,
                softness: 1.0,
            },
            item_place: vec![],
            state: vec![],
            attractors: vec![],
        }));
        assert!(filter(&set, 2, 1, true).truth.is_some());
        assert!(filter(&set, 2, 2, true).truth.is_none());
    }

    #[test]
    fn the_default_filter_leaves_the_built_in_set_whole() {
        let options = crate::data::drift::DriftOptions::default();
        let set = crate::data::drift::drift(options, || Ok(())).unwrap();
        assert!(filter(&set, 5, 1, false).truth.is_some());
    }

    #[test]
    fn nothing_left_is_an_empty_set() {
        for k_core in [false, true] {
            let kept = filter(&data(&CHAIN), 9, 1, k_core);
            assert_eq!((kept.users(), kept.items(), kept.events()), (0, 0, 0));
            assert_eq!(kept.offsets, [0]);
        }
        assert_eq!(filter(&Dataset::default(), 5, 5, true).events(), 0);
    }

    #[test]
    fn a_stop_is_heard_before_and_all_along() {
        // All users but one have at most one event, so that there is something to remove.
        let user = |event: usize| if event.is_multiple_of(10) { event as u32 } else { 1 };
        let events: Vec<_> = (0..2 * STEPS).map(|event| (user(event), 0)).collect();
        let set = data(&events);
        let stopped = |stop_at: usize| {
            let mut asked = 0;
            let go_on = || {
                asked += 1;
                if asked < stop_at { Ok(()) } else { Err(Cancelled) }
            };
            let outcome = super::filter(&set, 2, 1, true, go_on);
            (outcome.map(|kept| kept.users()), asked)
        };
        let (outcome, all) = stopped(usize::MAX);
        assert_eq!(outcome, Ok(1));
        assert!(all > 8, "{all}");
        for stop_at in 1..=all {
            assert_eq!(stopped(stop_at), (Err(Cancelled), stop_at));
        }
    }
}
