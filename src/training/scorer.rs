//! System 1 ready to score held-out queries, in the kernels that serving answers with: on the CPU,
//! wherever it was trained.

use super::Prepared;
use super::evaluate::batch_of;
use crate::data::Dataset;
use crate::data::split::Query;
use crate::dynamics::attention::{self, Reader};
use crate::dynamics::excitation::{Moment, Timeline};
use crate::dynamics::packed::{PackedSystem1, Step, Workspace};
use crate::dynamics::parameters::Matrix;
use crate::dynamics::solver::Pace;
use crate::dynamics::warp::TimeWarp;
use crate::settings::ModelSettings;

/// Queries that one core scores at once.
const ROWS: usize = 32;
/// Queries whose steps are halved, at most.
const HALVED: usize = 1000;
/// Scores held at once, about: 256 MiB.
const SCORES: usize = 1 << 26;

/// A model that scores all items for held-out queries.
pub struct Scorer<'a> {
    settings: &'a ModelSettings,
    items: usize,
    input_len: usize,
    model: Model,
    threads: usize,
    /// Of the solver over a gap.
    pace: Pace,
    timeline: Option<&'a Timeline>,
}

enum Model {
    Packed(Box<PackedSystem1>),
    Attention(Box<Reader>),
}

impl<'a> Scorer<'a> {
    /// From `weights` in the order of [`crate::dynamics::parameters`], on so many threads; histories
    /// have at most `input_len` events.
    pub fn new(
        settings: &'a ModelSettings,
        (items, input_len): (usize, usize),
        weights: &[Matrix],
        threads: usize,
    ) -> Self {
        let model = if settings.solver.is_attention() {
            Model::Attention(Box::new(Reader::new(settings, items, weights)))
        } else {
            Model::Packed(Box::new(PackedSystem1::new(settings, items, weights)))
        };
        let (threads, pace) = (threads.max(1), Pace::of(settings));
        Self { settings, items, input_len, model, threads, pace, timeline: None }
    }

    /// The same over the data of `prepared`, with the item dynamics that its scores are lifted by.
    pub fn of(
        prepared: &'a Prepared,
        settings: &'a ModelSettings,
        weights: &[Matrix],
        threads: usize,
    ) -> Self {
        let sizes = (prepared.data.items(), prepared.split.input_len);
        let timeline = prepared.timeline_for(settings);
        Self { timeline, ..Self::new(settings, sizes, weights, threads) }
    }

    /// The same with other steps of its solver.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Largest relative change of the states of `queries`, or of about a thousand taken evenly, when
    /// every step is halved: how far the solver's own error is from negligible, or how far a closed form
    /// is from a flow. 0 without one, NaN where a state is not finite.
    pub fn step_halving_error(&self, data: &Dataset, queries: &[Query]) -> f64 {
        let Model::Packed(system) = &self.model else { return 0.0 };
        if !self.settings.solver.flows() {
            return 0.0;
        }
        let every = queries.len().div_ceil(HALVED).max(1);
        let queries: Vec<Query> = queries.iter().step_by(every).copied().collect();
        let halved = self.pace.finer(2);
        let share = queries.len().div_ceil(self.threads).max(1);
        let changes = shared(&queries, share, |queries| {
            let [mut own, mut halved] = [self.pace, halved].map(|pace| system.workspace_at(pace));
            let of = |workspace: &mut Workspace, queries: &[Query]| {
                states(system, self.settings, data, queries, workspace)
            };
            let hidden = system.hidden();
            let mut changes = Vec::with_capacity(queries.len());
            for queries in queries.chunks(ROWS) {
                let (coarse, fine) = (of(&mut own, queries), of(&mut halved, queries));
                let each = coarse.chunks_exact(hidden).zip(fine.chunks_exact(hidden));
                changes.extend(each.map(|(coarse, fine)| relative_change(coarse, fine)));
            }
            changes
        });
        // A maximum passes over what is no number.
        match changes.iter().any(|change| change.is_nan()) {
            true => f64::NAN,
            false => changes.into_iter().fold(0.0, f64::max),
        }
    }

    /// Queries that are scored at once: a few for every thread, at most `wanted`, and fewer where the
    /// scores of a large catalogue would not find room.
    pub fn rows(&self, wanted: usize) -> usize {
        let most = (SCORES / self.items.max(1)).max(self.threads);
        (ROWS * self.threads).min(most).min(wanted.max(1))
    }

    /// Hand the scores of all items, `[N]`, for each of `queries` to `take`, whose results come back
    /// in the order of the queries.
    pub fn each<T: Send>(
        &self,
        data: &Dataset,
        queries: &[Query],
        take: impl Fn(&Query, &[f32]) -> T + Sync,
    ) -> Vec<T> {
        let judge = |queries: &[Query], scores: &[f32]| -> Vec<T> {
            queries.iter().zip(scores.chunks(self.items)).map(|(q, row)| take(q, row)).collect()
        };
        match &self.model {
            Model::Packed(system) => {
                let share = queries.len().div_ceil(self.threads).max(1);
                shared(queries, share, |queries| {
                    let mut workspace = system.workspace_at(self.pace);
                    let of = (self.settings, self.timeline);
                    judge(queries, &scores(system, of, data, queries, &mut workspace))
                })
            }
            Model::Attention(reader) => {
                // What is read together must not depend on the number of threads.
                let share = queries.len().div_ceil(self.threads).next_multiple_of(attention::ROWS);
                shared(queries, share.max(1), |queries| {
                    let len = self.input_len;
                    let warp = TimeWarp::of(self.settings);
                    let batch = batch_of(data, queries, queries.len(), len, warp);
                    let mut scores = vec![0.0; queries.len() * self.items];
                    let states = reader.states(&batch);
                    reader.scores(&states, &mut scores);
                    if let (Some(timeline), Some(lift)) = (self.timeline, reader.lift()) {
                        lift.apply(timeline, &moments(data, queries), &states, &mut scores);
                    }
                    judge(queries, &scores)
                })
            }
        }
    }
}

/// ‖a − b‖ / ‖b‖.
fn relative_change(a: &[f32], b: &[f32]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| {
        values.map(|value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
    };
    let change = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    change / norm(&mut b.iter().copied()).max(1e-6)
}

/// Do `part` of every `share` of `queries`, each on a thread of its own; results in their order.
fn shared<T: Send>(
    queries: &[Query],
    share: usize,
    part: impl Fn(&[Query]) -> Vec<T> + Sync,
) -> Vec<T> {
    let part = &part;
    std::thread::scope(|scope| {
        let mut parts = queries.chunks(share);
        let first = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|queries| scope.spawn(move || part(queries))).collect();
        let mut results = part(first);
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// What is asked, as item dynamics see it.
fn moments<'a>(data: &'a Dataset, queries: &[Query]) -> Vec<Moment<'a>> {
    let moment = |query: &Query| {
        let history = query.start..query.target;
        Moment::at(&data.item[history.clone()], &data.time[history], data.time[query.target])
    };
    queries.iter().map(moment).collect()
}

/// Scores of all items for `queries`, `[Q, N]`, on one core; lifted by the item dynamics that are
/// given.
pub fn scores(
    system: &PackedSystem1,
    (settings, timeline): (&ModelSettings, Option<&Timeline>),
    data: &Dataset,
    queries: &[Query],
    workspace: &mut Workspace,
) -> Vec<f32> {
    let states = states(system, settings, data, queries, workspace);
    let mut scores = vec![0.0; queries.len() * system.items()];
    system.scores(workspace, &states, &mut scores);
    if let (Some(timeline), Some(lift)) = (timeline, system.lift()) {
        lift.apply(timeline, &moments(data, queries), &states, &mut scores);
    }
    scores
}

/// States that `queries` are scored from, `[Q, H]`.
pub fn states(
    system: &PackedSystem1,
    settings: &ModelSettings,
    data: &Dataset,
    queries: &[Query],
    workspace: &mut Workspace,
) -> Vec<f32> {
    let histories: Vec<Vec<Step>> = queries
        .iter()
        .map(|query| {
            let history = query.start..query.target;
            steps(system.warp(), &data.item[history.clone()], &data.time[history], None)
        })
        .collect();
    let rows: Vec<&[Step]> = histories.iter().map(Vec::as_slice).collect();
    let mut states = vec![0.0; queries.len() * system.hidden()];
    system.advance(workspace, &mut states, &rows);
    if settings.query_gap {
        let warp = system.warp();
        let gap = |query: &Query| data.time[query.target] - data.time[query.target - 1];
        let gaps: Vec<f32> = queries.iter().map(|query| warp.model_time(gap(query))).collect();
        system.flow(workspace, &mut states, &gaps);
    }
    states
}

/// A history (Unix milliseconds, never falling) as steps of the model. `after` is the time of the
/// event before the first, where the state goes on from one.
pub fn steps(warp: TimeWarp, items: &[u32], times: &[i64], after: Option<i64>) -> Vec<Step> {
    let mut before = after;
    items
        .iter()
        .zip(times)
        .map(|(&item, &time)| {
            let dt = before.map_or(0.0, |before| warp.model_time(time - before));
            before = Some(time);
            Step { dt, item }
        })
        .collect()
}
