//! What is in a set: counts, gaps and histories.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;

use super::Dataset;

const MS_PER_DAY: f64 = 86_400_000.0;
/// Bins for each factor of ten in a histogram.
const BINS_A_DECADE: i32 = 6;
const TOP_ITEMS: usize = 10;

/// A description of a set. Serialises to the fields of `data inspect --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    pub users: usize,
    pub items: usize,
    pub events: usize,
    /// Events for each pair of a user and an item.
    pub density: f64,
    /// `None` without events.
    pub span: Option<Span>,
    /// `None` where no user has two events.
    pub gaps: Option<Gaps>,
    pub history: HistoryLength,
    /// Share of events that have the user and the time of another event, 0..=1.
    pub tied_timestamps: f64,
    pub skipped_rows: u64,
    /// Users by number of events.
    #[serde(skip)]
    pub history_histogram: Histogram,
    /// Gaps by length in seconds.
    #[serde(skip)]
    pub gap_histogram: Histogram,
    /// The ten items with most events, each with their number; ties in the order of the items.
    #[serde(skip)]
    pub top_items: Vec<(u32, usize)>,
}

/// First to last event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// ISO date, UTC.
    pub start: String,
    /// ISO date, UTC.
    pub end: String,
    pub days: f64,
}

/// Times between neighbouring events of a user, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gaps {
    pub median: f64,
    pub p10: f64,
    pub p99: f64,
    /// Share of gaps that are zero, 0..=1.
    pub zero_share: f64,
}

/// Events a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct HistoryLength {
    pub median: f64,
    pub max: usize,
}

/// Counts over bins whose widths grow by a constant factor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Borders of the bins, rising, one more than there are bins. A bin holds its lower border;
    /// empty where there is nothing to count.
    pub edges: Vec<f64>,
    pub counts: Vec<u64>,
    /// Values of zero, which no such bin can hold.
    pub zeros: u64,
}

/// Describe a set, in time linear in its events.
pub fn stats(data: &Dataset) -> Stats {
    let mut gaps = Vec::with_capacity(data.events().saturating_sub(data.users()));
    let mut tied = 0;
    for user in 0..data.users() {
        let time = data.history(user).time;
        gaps.extend(time.windows(2).map(|pair| pair[1] - pair[0]));
        tied += tied_events(time);
    }
    let mut lengths: Vec<i64> =
        data.offsets.windows(2).map(|pair| (pair[1] - pair[0]) as i64).collect();
    let pairs = data.users() as f64 * data.items() as f64;
    Stats {
        users: data.users(),
        items: data.items(),
        events: data.events(),
        density: share(data.events() as f64, pairs),
        span: span(&data.time),
        tied_timestamps: share(tied as f64, data.events() as f64),
        skipped_rows: data.report.skipped,
        history_histogram: Histogram::of(&lengths, 1.0),
        gap_histogram: Histogram::of(&gaps, 1000.0),
        top_items: top_items(data),
        history: HistoryLength {
            median: quantile(&mut lengths, 0.5).unwrap_or_default(),
            max: lengths.iter().max().map_or(0, |max| *max as usize),
        },
        gaps: describe_gaps(&mut gaps),
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Events in runs of two or more at one time; `time` never falls.
fn tied_events(time: &[i64]) -> usize {
    let runs = time.chunk_by(|a, b| a == b);
    runs.map(<[i64]>::len).filter(|len| *len > 1).sum()
}

fn span(time: &[i64]) -> Option<Span> {
    let (first, last) = (*time.iter().min()?, *time.iter().max()?);
    let date = |ms: i64| {
        let time = Timestamp::from_millisecond(ms).ok()?;
        Some(Offset::UTC.to_datetime(time).date().to_string())
    };
    let days = (last - first) as f64 / MS_PER_DAY;
    Some(Span { start: date(first)?, end: date(last)?, days })
}

fn describe_gaps(gaps: &mut [i64]) -> Option<Gaps> {
    let zeros = gaps.iter().filter(|gap| **gap == 0).count();
    Some(Gaps {
        median: quantile(gaps, 0.5)? / 1000.0,
        p10: quantile(gaps, 0.1)? / 1000.0,
        p99: quantile(gaps, 0.99)? / 1000.0,
        zero_share: share(zeros as f64, gaps.len() as f64),
    })
}

/// The `q` quantile (0..=1), between neighbours in proportion; `None` of nothing. Reorders
/// `values`.
fn quantile(values: &mut [i64], q: f64) -> Option<f64> {
    let place = values.len().checked_sub(1)? as f64 * q;
    let (_, &mut below, above) = values.select_nth_unstable(place as usize);
    let above = above.iter().min().map_or(below, |above| *above);
    Some(below as f64 + (above - below) as f64 * place.fract())
}

fn top_items(data: &Dataset) -> Vec<(u32, usize)> {
    let mut counts = vec![0usize; data.items()];
    for &item in &data.item {
        counts[item as usize] += 1;
    }
    let mut top: Vec<(u32, usize)> = (0u32..).zip(counts).collect();
    let by_count = |a: &(u32, usize), b: &(u32, usize)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
    if top.len() > TOP_ITEMS {
        top.select_nth_unstable_by(TOP_ITEMS, by_count);
        top.truncate(TOP_ITEMS);
    }
    top.sort_unstable_by(by_count);
    top
}

impl Histogram {
    /// Counts of `values`, none negative; edges are in multiples of `unit`.
    fn of(values: &[i64], unit: f64) -> Self {
        let zeros = values.iter().filter(|value| **value == 0).count() as u64;
        let smallest = values.iter().filter(|value| **value > 0).min();
        let (Some(&smallest), Some(&largest)) = (smallest, values.iter().max()) else {
            return Self { zeros, ..Self::default() };
        };
        let edges = whole_edges(smallest, largest);
        let mut counts = vec![0; edges.len() - 1];
        for value in values.iter().filter(|value| **value > 0) {
            counts[edges.partition_point(|edge| edge <= value) - 1] += 1;
        }
        let edges = edges.iter().map(|edge| *edge as f64 / unit).collect();
        Self { edges, counts, zeros }
    }
}

/// Whole numbers spaced as evenly on a log scale as they can be, from at most `smallest` (at least
/// 1) to above `largest`. Being whole, no bin is without a value that it could hold.
fn whole_edges(smallest: i64, largest: i64) -> Vec<i64> {
    let edge = |bin: i32| 10f64.powf(f64::from(bin) / f64::from(BINS_A_DECADE)).round() as i64;
    let first = (0..).take_while(|bin| edge(*bin) <= smallest).last().unwrap_or(0);
    let mut edges = Vec::new();
    for bin in first.. {
        if edges.last() != Some(&edge(bin)) {
            edges.push(edge(bin));
        }
        // A float that saturates its cast rises no further.
        if edge(bin) > largest || edge(bin) == i64::MAX {
            break;
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    fn hand_made() -> Dataset {
        // User 0 at 0, 10, 10, 40 s; user 1 at 1 day; times in ms after 2020-01-01.
        let start = 1_577_836_800_000;
        let columns = Columns {
            user: vec![0, 0, 0, 0, 1],
            item: vec![2, 0, 2, 1, 2],
            time: [0, 10_000, 10_000, 40_000, 86_400_000].map(|ms| start + ms).to_vec(),
            rating: vec![],
        };
        Dataset::from_columns(columns, ids(2), ids(3), || Ok(())).unwrap()
    }

    #[test]
    fn hand_made_numbers() {
        let stats = stats(&hand_made());
        assert_eq!((stats.users, stats.items, stats.events), (2, 3, 5));
        assert!((stats.density - 5.0 / 6.0).abs() < 1e-12);
        let (start, end) = ("2020-01-01".to_owned(), "2020-01-02".to_owned());
        assert_eq!(stats.span, Some(Span { start, end, days: 1.0 }));
        let gaps = stats.gaps.unwrap();
        assert_eq!((gaps.median, gaps.p10, gaps.zero_share), (10.0, 2.0, 1.0 / 3.0));
        assert!((gaps.p99 - 29.6).abs() < 1e-9);
        assert_eq!(stats.history, HistoryLength { median: 2.5, max: 4 });
        assert!((stats.tied_timestamps - 0.4).abs() < 1e-12);
        assert_eq!(stats.top_items, [(2, 3), (0, 1), (1, 1)]);
        assert_eq!(stats.gap_histogram.zeros, 1);
        assert_eq!(stats.gap_histogram.counts.iter().sum::<u64>(), 2);
        assert_eq!(stats.history_histogram.edges, [1.0, 2.0, 3.0, 5.0]);
        assert_eq!(stats.history_histogram.counts, [1, 0, 1]);
    }

    #[test]
    fn an_empty_set_has_no_span_and_no_gaps() {
        let stats = stats(&Dataset::default());
        assert_eq!((stats.span, stats.gaps), (None, None));
        assert_eq!((stats.density, stats.history.median), (0.0, 0.0));
    }

    #[test]
    fn json_has_the_fields_that_scripts_read() {
        let json = serde_json::to_value(stats(&hand_made())).unwrap();
        let mut keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = [
            "density",
            "events",
            "gaps",
            "history",
            "items",
            "skipped_rows",
            "span",
            "tied_timestamps",
            "users",
        ];
        assert_eq!(keys, expected);
        assert_eq!(json["gaps"]["median"], 10.0);
        assert_eq!(json["span"]["start"], "2020-01-01");
    }

    #[test]
    fn every_value_falls_into_a_bin() {
        let values: Vec<i64> = (0..40).map(|power| 3i64.saturating_pow(power)).collect();
        let histogram = Histogram::of(&[&values[..], &[0, i64::MAX / 2]].concat(), 1.0);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 41);
        assert!(histogram.edges.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(histogram.edges.len(), histogram.counts.len() + 1);
    }
}
