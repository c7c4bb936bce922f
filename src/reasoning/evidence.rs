//! What is known of items besides System 1's scores: what is taken together, genres, and what is
//! alive now. Counted over training events only.

/// Followers kept for each item: the strongest.
const FOLLOWERS: usize = 50;
/// An item this many events later in a sequence still counts as following; its weight is
/// 1 / distance.
const REACH: usize = 5;
/// Weight added to an item's total before its followers are divided by it, so that an item seen
/// once does not promise what came next with certainty.
const SHRINK: f32 = 5.0;
/// The last tenth of all training events is what counts as recent.
const RECENT: usize = 10;
/// Events added to an item's counts at the pace of all items, so that a rare item has no trend.
const PRIOR_EVENTS: f32 = 10.0;
const MS_PER_DAY: f64 = 86_400_000.0;

/// Evidence for ranking candidates, for `items` dense indices. Immutable.
#[derive(Debug)]
pub struct Evidence {
    genre_names: Vec<String>,
    /// Genres of item `i` are `genres[genre_offsets[i]..genre_offsets[i + 1]]`.
    genre_offsets: Vec<usize>,
    genres: Vec<u16>,
    /// Followers of item `i`, in the order of their indices, likewise.
    offsets: Vec<usize>,
    followers: Vec<(u32, f32)>,
    trends: Vec<f32>,
    recent_days: f64,
}

impl Evidence {
    /// Count `sequences` of items (below `items`) and times (Unix milliseconds, never falling).
    /// Genres are indices into `genre_names`.
    pub fn build<'a>(
        items: usize,
        genre_names: Vec<String>,
        item_genres: impl Fn(usize) -> &'a [u16],
        sequences: impl Iterator<Item = (&'a [u32], &'a [i64])>,
    ) -> Self {
        let (mut genre_offsets, mut genres) = (vec![0], Vec::new());
        for item in 0..items {
            let known = |&&genre: &&u16| usize::from(genre) < genre_names.len();
            genres.extend(item_genres(item).iter().filter(known));
            genre_offsets.push(genres.len());
        }
        let log = Log::gather(sequences);
        let (offsets, followers) = followers(items, &log);
        let (trends, recent_days) = trends(items, &log);
        Self { genre_names, genre_offsets, genres, offsets, followers, trends, recent_days }
    }

    /// Share of what followed `item` that was `next`, near events counting more than far ones:
    /// 0..=1, and 0 where `next` is not among its strongest followers.
    pub fn follows(&self, item: u32, next: u32) -> f32 {
        let followers = part(&self.offsets, &self.followers, item);
        let place = followers.binary_search_by_key(&next, |&(known, _)| known);
        place.map_or(0.0, |place| followers[place].1)
    }

    /// ln of how much more of the last tenth of all events was this item's than of all events:
    /// above 0 on the rise, below 0 fading, 0 where there is too little to tell.
    pub fn trend(&self, item: u32) -> f32 {
        self.trends.get(item as usize).copied().unwrap_or(0.0)
    }

    /// Time span of the last tenth of all events, in days.
    pub fn recent_days(&self) -> f64 {
        self.recent_days
    }

    /// Genres of an item, each an index into [`Evidence::genre_names`].
    pub fn genres(&self, item: u32) -> &[u16] {
        part(&self.genre_offsets, &self.genres, item)
    }

    pub fn genre_names(&self) -> &[String] {
        &self.genre_names
    }
}

/// The part of `values` that belongs to `item`; empty for an item past the end.
fn part<'a, T>(offsets: &[usize], values: &'a [T], item: u32) -> &'a [T] {
    let bounds = offsets.get(item as usize..).and_then(|rest| rest.first_chunk::<2>());
    bounds.map_or(&[], |&[from, to]| &values[from..to])
}

/// All events in one place, sequence after sequence.
struct Log {
    items: Vec<u32>,
    times: Vec<i64>,
    /// For every event, where its sequence ends.
    ends: Vec<usize>,
}

impl Log {
    fn gather<'a>(sequences: impl Iterator<Item = (&'a [u32], &'a [i64])>) -> Self {
        let mut log = Self { items: Vec::new(), times: Vec::new(), ends: Vec::new() };
        for (items, times) in sequences {
            log.items.extend_from_slice(items);
            log.times.extend_from_slice(times);
            log.ends.resize(log.items.len(), log.items.len());
        }
        log
    }

    /// Events of every item: those of item `i` are `events[offsets[i]..offsets[i + 1]]`.
    fn by_item(&self, items: usize) -> (Vec<usize>, Vec<usize>) {
        let mut offsets = vec![0; items + 1];
        for &item in &self.items {
            offsets[item as usize + 1] += 1;
        }
        for item in 0..items {
            offsets[item + 1] += offsets[item];
        }
        let mut next = offsets.clone();
        let mut events = vec![0; self.items.len()];
        for (event, &item) in self.items.iter().enumerate() {
            events[next[item as usize]] = event;
            next[item as usize] += 1;
        }
        (offsets, events)
    }
}

/// Offsets and followers of every item. One item at a time over a dense row, so that memory stays
/// proportional to the events and not to the pairs among them.
fn followers(items: usize, log: &Log) -> (Vec<usize>, Vec<(u32, f32)>) {
    let (of_item, events) = log.by_item(items);
    let (mut offsets, mut followers) = (vec![0], Vec::new());
    let mut row = vec![0f32; items];
    let mut touched: Vec<u32> = Vec::new();
    for item in 0..items {
        let mut total = 0.0;
        for &event in &events[of_item[item]..of_item[item + 1]] {
            let end = log.ends[event].min(event + 1 + REACH);
            for (before, &next) in log.items[event + 1..end].iter().enumerate() {
                let weight = 1.0 / (before + 1) as f32;
                if row[next as usize] == 0.0 {
                    touched.push(next);
                }
                row[next as usize] += weight;
                total += weight;
            }
        }
        let mut of: Vec<(u32, f32)> = touched
            .drain(..)
            .map(|next| (next, std::mem::take(&mut row[next as usize]) / (total + SHRINK)))
            .collect();
        of.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        of.truncate(FOLLOWERS);
        of.sort_unstable_by_key(|&(next, _)| next);
        followers.append(&mut of);
        offsets.push(followers.len());
    }
    (offsets, followers)
}

/// Trend of every item, and the days that the last tenth of all events spans.
fn trends(items: usize, log: &Log) -> (Vec<f32>, f64) {
    let mut times = log.times.clone();
    let first_recent = times.len() - times.len() / RECENT;
    if first_recent == times.len() {
        return (vec![0.0; items], 0.0);
    }
    let (_, &mut from, after) = times.select_nth_unstable(first_recent);
    let until = after.iter().copied().max().unwrap_or(from);
    let (mut all, mut recent) = (vec![0f32; items], vec![0f32; items]);
    for (&item, &time) in log.items.iter().zip(&log.times) {
        all[item as usize] += 1.0;
        recent[item as usize] += f32::from(time >= from);
    }
    // Not just a tenth: events may share the time of the cut.
    let share = recent.iter().sum::<f32>() / log.items.len() as f32;
    let trend = |(all, recent): (&f32, &f32)| {
        ((recent + PRIOR_EVENTS * share) / ((all + PRIOR_EVENTS) * share)).ln()
    };
    let days = until.saturating_sub(from) as f64 / MS_PER_DAY;
    (all.iter().zip(&recent).map(trend).collect(), days)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// Items 0, 1, 2 in two sequences.
    fn evidence() -> Evidence {
        let sequences: [(&[u32], &[i64]); 2] =
            [(&[0, 1, 0], &[0, 100, 200]), (&[0, 1, 2], &[0, 500, 1000])];
        let genres: [&[u16]; 3] = [&[0], &[0, 1, 7], &[]];
        let names = vec!["Drama".to_owned(), "Comedy".to_owned()];
        Evidence::build(3, names, |item| genres[item], sequences.into_iter())
    }

    #[test]
    fn followers_are_weighted_by_distance_and_shrunk() {
        let evidence = evidence();
        // After 0: 1 at once, twice; 0 and 2 over one event, once each. Weights 2 + ½ + ½ = 3.
        assert!((evidence.follows(0, 1) - 2.0 / 8.0).abs() < 1e-6);
        assert!((evidence.follows(0, 0) - 0.5 / 8.0).abs() < 1e-6);
        assert!((evidence.follows(0, 2) - 0.5 / 8.0).abs() < 1e-6);
        // After 1: 0 and 2 at once, once each.
        assert!((evidence.follows(1, 2) - 1.0 / 7.0).abs() < 1e-6);
        assert_eq!(evidence.follows(2, 0), 0.0, "nothing came after 2");
        assert_eq!(evidence.follows(9, 0), 0.0, "an item that nobody counted");
    }

    #[test]
    fn a_sequence_does_not_run_on_into_the_next() {
        let sequences: [(&[u32], &[i64]); 2] = [(&[0], &[0]), (&[1], &[1])];
        let evidence = Evidence::build(2, Vec::new(), |_| &[], sequences.into_iter());
        assert_eq!(evidence.follows(0, 1), 0.0);
    }

    #[test]
    fn nothing_follows_over_more_than_five_events() {
        let items = [0u32, 1, 1, 1, 1, 2, 3];
        let sequences = [(&items[..], &[0i64; 7][..])];
        let evidence = Evidence::build(4, Vec::new(), |_| &[], sequences.into_iter());
        assert!(evidence.follows(0, 2) > 0.0);
        assert_eq!(evidence.follows(0, 3), 0.0);
    }

    #[test]
    fn only_the_strongest_followers_are_kept() {
        let sequences: Vec<[u32; 2]> = (1..=80).chain(60..=80).map(|next| [0, next]).collect();
        let pairs = sequences.iter().map(|items| (&items[..], &[0i64, 1][..]));
        let evidence = Evidence::build(81, Vec::new(), |_| &[], pairs);
        let kept: Vec<u32> = (1..=80).filter(|&next| evidence.follows(0, next) > 0.0).collect();
        assert_eq!(kept.len(), FOLLOWERS);
        assert!((60..=80).all(|next| kept.contains(&next)), "those taken twice: {kept:?}");
    }

    #[test]
    fn genres_that_have_no_name_are_left_out() {
        let evidence = evidence();
        assert_eq!(evidence.genres(1), [0, 1]);
        assert!(evidence.genres(2).is_empty());
        assert!(evidence.genres(99).is_empty());
    }

    #[test]
    fn a_trend_compares_the_last_tenth_with_all() {
        // 100 events, one a day: item 0, but item 1 in the last ten.
        let items: Vec<u32> = (0..100).map(|day| u32::from(day >= 90)).collect();
        let times: Vec<i64> = (0..100).map(|day| day * DAY).collect();
        let sequences = [(&items[..], &times[..])];
        let evidence = Evidence::build(3, Vec::new(), |_| &[], sequences.into_iter());
        // (10 + 10·0.1) / ((10 + 10)·0.1), and (0 + 1) / ((90 + 10)·0.1).
        assert!((evidence.trend(1) - 5.5f32.ln()).abs() < 1e-5);
        assert!((evidence.trend(0) - 0.1f32.ln()).abs() < 1e-5);
        assert_eq!(evidence.trend(2), 0.0, "nobody took it");
        assert!((evidence.recent_days() - 9.0).abs() < 1e-9);
    }

    #[test]
    fn without_events_there_is_no_evidence() {
        let evidence = Evidence::build(2, Vec::new(), |_| &[], std::iter::empty());
        assert_eq!((evidence.follows(0, 1), evidence.trend(0)), (0.0, 0.0));
        let evidence = Evidence::build(0, Vec::new(), |_| &[], std::iter::empty());
        assert_eq!(evidence.follows(0, 1), 0.0);
    }
}
