//! The ceiling of the built-in set: how well its queries can be answered at all, by somebody who knows
//! how the set was made but not where its users are.
//!
//! A user is a point that moves in a known field, is drawn to each item it takes by a known share, and
//! takes items with known probabilities. Nothing else is random, so all that can be known of it is a
//! belief over where it began, carried along: this is the exact Bayesian filter of the set on a grid of
//! beginnings. Items are ranked by their probability under the belief at the time of the query, which
//! no ranking beats on average, neither in HR@10 nor in NDCG@10.

use std::collections::HashMap;

use crate::data::Dataset;
use crate::data::drift::{BEGIN, DriftField, DriftTruth, Tastes};
use crate::data::split::Query;
use crate::jobs::Cancelled;

const MS_PER_DAY: f64 = 86_400_000.0;
/// Distance of neighbours on the grid, and its half width: three deviations of where users begin. An
/// event leaves 15 % of any distance, so that after three of them the whole grid is a point.
const SPACING: f64 = 0.6;
const REACH: f64 = 3.0 * BEGIN;
/// Points nearer than this become one: far below the width of a taste.
const CELL: f64 = 0.02;
/// Points with less of the belief than this are let go.
const NEGLIGIBLE: f64 = 1e-7;
/// Longest step of the flow, in days.
const STEP_DAYS: f64 = 0.2;

/// How the filter sees the world.
pub struct Ceiling<'a> {
    truth: &'a DriftTruth,
    /// The field that it believes in: the true one, unless a test says otherwise.
    field: &'a DriftField,
    spacing: f64,
}

/// Points of the plane and how likely each is.
type Belief = Vec<([f64; 2], f64)>;

impl<'a> Ceiling<'a> {
    pub fn new(truth: &'a DriftTruth) -> Self {
        Self { truth, field: &truth.field, spacing: SPACING }
    }

    /// Natural logarithms of the probabilities of all items, `[N]`, at a query: from all that its user
    /// did before.
    pub fn scores(&self, data: &Dataset, query: &Query) -> Vec<f32> {
        let history = data.offsets[query.user]..query.target;
        let mut tastes = Tastes::new(self.truth);
        let mut belief = self.beginning();
        let mut points = Vec::new();
        for event in history {
            let item = data.item[event] as usize;
            for (z, weight) in &mut belief {
                tastes.go(*z);
                *weight *= tastes.chance(item);
            }
            normalise(&mut belief);
            // The last gap of the history ends at the query.
            let days = (data.time[event + 1] - data.time[event]) as f64 / MS_PER_DAY;
            points.clear();
            points.extend(belief.iter().map(|(z, _)| self.truth.after(*z, item)));
            self.field.flow_together(&mut points, days, STEP_DAYS);
            belief.iter_mut().zip(&points).for_each(|((z, _), point)| *z = *point);
            merge(&mut belief);
        }
        let mut sums = vec![0.0; data.items()];
        for (z, weight) in belief {
            tastes.go(z);
            sums.iter_mut().zip(tastes.chances()).for_each(|(sum, chance)| *sum += weight * chance);
        }
        logarithms(sums)
    }

    /// Scores of somebody who sees where the user is; `None` where that is not known.
    pub fn oracle(&self, query: &Query) -> Option<Vec<f32>> {
        let mut tastes = Tastes::new(self.truth);
        tastes.go(*self.truth.state.get(query.target)?);
        Some(logarithms(tastes.chances()))
    }

    /// Where users begin.
    fn beginning(&self) -> Belief {
        let most = (REACH / self.spacing).floor() as i32;
        let ticks = || (-most..=most).map(|tick| f64::from(tick) * self.spacing);
        let weight = |x: f64, y: f64| (-(x * x + y * y) / (2.0 * BEGIN * BEGIN)).exp();
        ticks().flat_map(|x| ticks().map(move |y| ([x, y], weight(x, y)))).collect()
    }

    /// What `judge` makes of the scores of every query, on `threads` threads, in the order of the
    /// queries. `go_on` is asked between queries.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn each<T: Send>(
        &self,
        data: &Dataset,
        queries: &[Query],
        threads: usize,
        judge: impl Fn(&Query, &[f32]) -> T + Sync,
        go_on: impl Fn() -> Result<(), Cancelled> + Sync,
    ) -> Result<Vec<T>, Cancelled> {
        let part = |queries: &[Query]| -> Result<Vec<T>, Cancelled> {
            let one = |query: &Query| {
                go_on()?;
                Ok(judge(query, &self.scores(data, query)))
            };
            queries.iter().map(one).collect()
        };
        let share = queries.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> =
                queries.chunks(share).map(|queries| scope.spawn(move || part(queries))).collect();
            let mut all = Vec::with_capacity(queries.len());
            for part in parts {
                match part.join() {
                    Ok(results) => all.extend(results?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }
}

/// Weights that sum to 1, without those that hardly count.
fn normalise(belief: &mut Belief) {
    let total: f64 = belief.iter().map(|(_, weight)| weight).sum();
    // Every item has a chance everywhere; this is for a belief that has underflowed all the same.
    if total <= 0.0 || !total.is_finite() {
        return;
    }
    belief.iter_mut().for_each(|(_, weight)| *weight /= total);
    belief.retain(|(_, weight)| *weight > NEGLIGIBLE);
}

/// Points of one cell become one at their mean.
fn merge(belief: &mut Belief) {
    let mut cells: HashMap<[i64; 2], usize> = HashMap::new();
    let mut merged: Belief = Vec::new();
    for &(z, weight) in &*belief {
        let cell = z.map(|value| (value / CELL).floor() as i64);
        match cells.get(&cell).and_then(|&place| merged.get_mut(place)) {
            Some((mean, sum)) => {
                *sum += weight;
                for (mean, z) in mean.iter_mut().zip(z) {
                    *mean += (z - *mean) * weight / *sum;
                }
            }
            None => {
                cells.insert(cell, merged.len());
                merged.push((z, weight));
            }
        }
    }
    *belief = merged;
}

/// Far items differ by less than f32 can tell near 0, but not in their logarithms.
fn logarithms(chances: impl IntoIterator<Item = f64>) -> Vec<f32> {
    chances.into_iter().map(|chance| chance.max(f64::MIN_POSITIVE).ln() as f32).collect()
}

#[cfg(test)]
mod tests;
