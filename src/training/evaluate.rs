//! Ranking held-out targets with a model, and timing its answers.

use std::time::{Duration, Instant};

use super::scorer::Scorer;
use crate::data::Dataset;
use crate::data::split::Query;
use crate::dynamics::batch::Batch;
use crate::dynamics::device;
use crate::dynamics::warp::TimeWarp;
use crate::evaluation::{Latency, hit, ndcg, rank};
use crate::jobs::Cancelled;
use crate::runs::LatencyRecord;
use crate::settings::EvaluationSettings;

/// Items left out of a query's ranking: the user's whole history, where seen items are masked.
pub fn excluded(data: &Dataset, query: &Query, mask_seen: bool) -> Vec<u32> {
    if !mask_seen {
        return Vec::new();
    }
    let mut seen = data.item[data.offsets[query.user]..query.target].to_vec();
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// Let the items of `scores`, `[N]`, that are left out of the ranking of `query` score −∞. The target
/// always competes.
pub fn mask(scores: &mut [f32], data: &Dataset, query: &Query, mask_seen: bool) {
    let target = data.item[query.target];
    for item in excluded(data, query, mask_seen) {
        if item != target {
            scores[item as usize] = f32::NEG_INFINITY;
        }
    }
}

/// Metrics of each query, in the order of the queries.
pub struct PerQuery {
    /// HR@10: 0 or 1.
    pub hit: Vec<f64>,
    /// NDCG@10.
    pub ndcg: Vec<f64>,
}

/// From ranks to the metrics of each query.
pub fn per_query(ranks: &[u32]) -> PerQuery {
    PerQuery {
        hit: ranks.iter().map(|&rank| hit(rank, 10)).collect(),
        ndcg: ranks.iter().map(|&rank| ndcg(rank, 10)).collect(),
    }
}

/// Histories of `queries` as one batch of `rows` rows, padded below.
pub fn batch_of(
    data: &Dataset,
    queries: &[Query],
    rows: usize,
    len: usize,
    warp: TimeWarp,
) -> Batch {
    let mut batch = Batch::empty(rows, len);
    for (row, query) in queries.iter().enumerate() {
        let history = query.start..query.target;
        let (items, times) = (&data.item[history.clone()], &data.time[history]);
        batch.put(row, items, times, data.time[query.target], None, warp);
    }
    batch
}

/// Full ranks of the targets of `queries`, 1 the best.
///
/// `go_on` is asked before each batch.
///
/// # Errors
/// [`Cancelled`] when `go_on` says so.
pub fn ranks(
    scorer: &Scorer<'_>,
    data: &Dataset,
    queries: &[Query],
    evaluation: &EvaluationSettings,
    mut go_on: impl FnMut() -> Result<(), Cancelled>,
) -> Result<Vec<u32>, Cancelled> {
    let mut ranks = Vec::with_capacity(queries.len());
    for chunk in queries.chunks(scorer.rows(evaluation.batch_size)) {
        go_on()?;
        ranks.extend(scorer.each(data, chunk, |query, scores| {
            let target = data.item[query.target] as usize;
            rank(scores, target, &excluded(data, query, evaluation.mask_seen))
        }));
    }
    Ok(ranks)
}

/// Longest time that one latency measurement may take, and its fewest and most samples.
const PATIENCE: Duration = Duration::from_millis(150);
const SAMPLES: std::ops::RangeInclusive<usize> = 20..=100;

/// Time from a history on the host to scores on the host, for 64 requests at once and for one,
/// after warm-up. `None` for an empty query list.
pub fn latency(scorer: &Scorer<'_>, data: &Dataset, queries: &[Query]) -> Option<LatencyRecord> {
    let time = |rows: usize| {
        let first = queries.first()?;
        let requests: Vec<Vec<Query>> = (0..8)
            .map(|turn| {
                (0..rows)
                    .map(|row| *queries.get((turn * rows + row) % queries.len()).unwrap_or(first))
                    .collect()
            })
            .collect();
        let answer = |asked: &[Query]| {
            let begun = Instant::now();
            let seen = scorer.each(data, asked, |_, scores| std::hint::black_box(scores)[0]);
            std::hint::black_box(&seen);
            begun.elapsed().as_secs_f64() * 1e3
        };
        for asked in requests.iter().take(3) {
            answer(asked);
        }
        let begun = Instant::now();
        let mut samples = Vec::new();
        for asked in requests.iter().cycle() {
            let enough = samples.len() >= *SAMPLES.start() && begun.elapsed() > PATIENCE;
            if enough || samples.len() >= *SAMPLES.end() {
                break;
            }
            samples.push(answer(asked));
        }
        Latency::from_ms(&samples)
    };
    let (batch64, single) = (time(64)?, time(1)?);
    Some(LatencyRecord { device: device::cpu().label(), batch64, single })
}
