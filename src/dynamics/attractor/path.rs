//! A history as the model runs through it: jumps at events, flow between them.

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::flow::is_closed_form;
use super::lyapunov::{Factor, Step, log_growth, velocity};
use super::{distance, norm};
use crate::dynamics::warp::TimeWarp;
use crate::settings::Solver;

const MS_PER_DAY: f64 = 86_400_000.0;
/// Fewest points of a gap, however short it is beside the longest.
const FEWEST: usize = 3;

/// A history as the model runs through it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// In the order of time: after each event its state, then the flow up to the next.
    pub points: Vec<PathPoint>,
    /// One for each event.
    pub events: Vec<Jump>,
    /// Largest ‖z_h − z_{h/2}‖ / ‖z_{h/2}‖ of all gaps at their ends, from the same state before
    /// the gap: what halving the solver's steps changes. 0 for the GRU.
    pub halving_error: f64,
    /// Finite-time Lyapunov exponent per day: ln of the most that a small change of the state
    /// after the first event has grown at the end, jumps included, over the time that took.
    /// `None` for fewer than two events, without any time, or where every change vanishes.
    pub lyapunov_per_day: Option<f64>,
}

/// One point of the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Unix milliseconds.
    pub time_ms: f64,
    /// The last event before it, as an index into [`Path::events`].
    pub event: usize,
    /// `[H]`.
    pub state: Vec<f64>,
}

/// What an event did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jump {
    /// Dense index, from 0.
    pub item: u32,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// The state before, `[H]`.
    pub before: Vec<f64>,
    /// The state after, `[H]`.
    pub after: Vec<f64>,
    /// Index into [`Path::points`] of the state right after it.
    pub first_point: usize,
}

/// Run `items` at `times_ms` (Unix milliseconds, never falling) through the model, from the zero
/// state, and flow on to `until_ms` if that is later than the last event.
///
/// A gap gets at most `samples` points after its event's (at least one; fewer where it is short
/// beside the longest), evenly in model time, the last at its end. They lie on the model's own
/// steps: on a line within an Euler step, on the cubic Hermite curve within an RK4 step (Hairer,
/// Nørsett & Wanner, Solving Ordinary Differential Equations I, §II.6), on the formula itself within a
/// closed form. A GRU stays where it is.
///
/// # Panics
/// Where an item is not below N.
pub fn path(
    model: &Exact,
    warp: TimeWarp,
    items: &[u32],
    times_ms: &[i64],
    until_ms: i64,
    samples: usize,
) -> Path {
    let events: Vec<(u32, i64)> = items.iter().copied().zip(times_ms.iter().copied()).collect();
    let ends = events.iter().skip(1).map(|&(_, time)| time).chain([until_ms]);
    let gaps: Vec<i64> = events.iter().zip(ends).map(|(&(_, time), end)| end - time).collect();
    let model_times: Vec<f32> = gaps.iter().map(|&gap| warp.model_time(gap)).collect();
    let longest = model_times.iter().copied().fold(0.0, f32::max);

    let mut path = Path::default();
    let mut factors = Vec::new();
    let mut h = vec![0.0; model.hidden()];
    for (event, &(item, time_ms)) in events.iter().enumerate() {
        let before = h.clone();
        let change = model.update(item, &mut h);
        // The exponent begins after the first event: before it all histories are at 0.
        if event > 0 {
            factors.push(Factor::Event(change));
        }
        let (after, first_point) = (h.clone(), path.points.len());
        path.events.push(Jump { item, time_ms, before, after: after.clone(), first_point });
        path.points.push(PathPoint { time_ms: time_ms as f64, event, state: after });

        let (gap, dt) = (gaps[event].max(0), model_times[event]);
        if dt <= 0.0 {
            continue;
        }
        let share = f64::from(dt / longest);
        let wanted = (samples as f64 * share).ceil() as usize;
        let count = wanted.max(FEWEST).min(samples).max(1);
        let shares: Vec<f64> = (1..=count).map(|k| k as f64 / count as f64).collect();
        let mut halved = h.clone();
        model.flow(&mut halved, dt, 2);
        let states = flow(model, &mut h, dt, &shares, &mut factors);
        for (state, share) in states.into_iter().zip(shares) {
            let time_ms = time_ms as f64 + warp.part(gap as f64, share);
            path.points.push(PathPoint { time_ms, event, state });
        }
        let error = distance(&h, &halved) / norm(&halved).max(f64::MIN_POSITIVE);
        path.halving_error = path.halving_error.max(error);
    }
    let days: f64 = gaps.iter().map(|&gap| gap.max(0) as f64 / MS_PER_DAY).sum();
    if events.len() > 1 && days > 0.0 {
        let growth = log_growth(model, &factors);
        path.lyapunov_per_day = growth.map(|growth| growth / days).filter(|rate| rate.is_finite());
    }
    path
}

/// Flow `h` over `dt`; the states at `shares` of the way (rising, the last 1).
fn flow(
    model: &Exact,
    h: &mut [f64],
    dt: f32,
    shares: &[f64],
    factors: &mut Vec<Factor>,
) -> Vec<Vec<f64>> {
    let mut states = Vec::with_capacity(shares.len());
    let mut left = shares.iter().map(|share| share.min(1.0)).peekable();
    let (count, length) = model.steps(dt, 1);
    if let Some(field) = model.field() {
        for index in 0..count {
            let start = h.to_vec();
            let step = Step::take(model.solver(), field, h, length);
            // Only a curve needs the slope at its end.
            let curved = matches!(model.solver(), Solver::Rk4 | Solver::GruOde);
            let end_slope = curved.then(|| velocity(field, h));
            let ends = (index + 1) as f64 / count as f64;
            while let Some(share) = left.next_if(|share| *share < ends) {
                let within = (share * count as f64 - index as f64).clamp(0.0, 1.0);
                if is_closed_form(model.solver()) {
                    let mut state = start.clone();
                    model.step(&mut state, within * length);
                    states.push(state);
                    continue;
                }
                states.push(match (step.slope(), &end_slope) {
                    (Some(first), Some(last)) => hermite(&start, first, h, last, length, within),
                    _ => line(&start, h, within),
                });
            }
            factors.push(Factor::Step(step));
            // A share that falls on the end of a step, and on the end of the gap, is what it is.
            while left.next_if(|share| *share <= ends).is_some() {
                states.push(h.to_vec());
            }
        }
    }
    states.extend(left.map(|_| h.to_vec()));
    states
}

fn line(start: &[f64], end: &[f64], at: f64) -> Vec<f64> {
    start.iter().zip(end).map(|(start, end)| start + at * (end - start)).collect()
}

/// The cubic with these ends and slopes, at the share `at` of a step of `length`.
fn hermite(
    start: &[f64],
    first: &[f64],
    end: &[f64],
    last: &[f64],
    length: f64,
    at: f64,
) -> Vec<f64> {
    let rest = 1.0 - at;
    let (from, to) = (rest * rest * (1.0 + 2.0 * at), at * at * (3.0 - 2.0 * at));
    let (leave, arrive) = (length * at * rest * rest, -length * at * at * rest);
    let each = start.iter().zip(end).zip(first.iter().zip(last));
    each.map(|((start, end), (first, last))| {
        from * start + to * end + leave * first + arrive * last
    })
    .collect()
}

#[cfg(test)]
mod tests;
