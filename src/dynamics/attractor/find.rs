//! Fixed points of a field, their stability and their basins.
//!
//! After Sussillo & Barak (2013), Opening the black box: low-dimensional dynamics in
//! high-dimensional recurrent neural networks: minimise q = ½‖f‖² from many visited states. Here
//! the visited states also flow forward, which finds whatever draws them, and shows its basin.

use serde::{Deserialize, Serialize};

use super::basin::{self, Fate, Flow, Trap};
use super::eigenvalues::eigenvalues;
use super::field::VectorField;
use super::merge::leaders;
use super::minimise::{self, minimise};
use super::parallel::{Watch, each};
use super::polish::{Goal, Polished, polish};
use super::sample::Sample;
use super::stability::{Kind, relaxation};
use super::{distance, norm};
use crate::jobs::Cancelled;

/// How fixed points are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Visited states to start from, at most.
    pub starts: usize,
    /// Noise on a second copy of each start, as a share of the states' standard deviation.
    pub jitter: f64,
    /// ‖f‖ after polishing up to which a point is fixed.
    pub tolerance: f64,
    /// Fixes which states are drawn, and the noise.
    pub seed: u64,
    /// Threads to use; 0 is one a core. They change the time it takes and nothing else.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { starts: 2000, jitter: 0.5, tolerance: 1e-8, seed: 0, threads: 0 }
    }
}

/// A fixed point of the field, or a slow one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FixedPoint {
    /// What kind of point it is.
    pub kind: Kind,
    /// ‖f‖ there, per unit of model time.
    pub residual: f64,
    /// Eigenvalues of the Jacobian there, `[H]` of `[re, im]`, per unit of model time; the largest
    /// real part first.
    pub eigenvalues: Vec<[f64; 2]>,
    /// Model time in which the slowest mode shrinks to 1/e, 1/|Re λ|; stable points only.
    pub relaxation: Option<f64>,
    /// Share of the visited starts that flow to it, 0..=1; 0 for what is not stable.
    pub basin_share: f64,
    /// `[H]`.
    pub position: Vec<f64>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FixedPoints {
    /// Stable ones, the largest basin first; then saddles and unstable ones, the least unstable
    /// first; slow ones last, the slowest first.
    pub points: Vec<FixedPoint>,
    /// Rows of the given states that were started from, rising: all usable ones, or a draw of
    /// them.
    pub starts: Vec<usize>,
    /// For each of `starts` the stable point that it flows to, as an index into `points`; `None`
    /// where it reaches none in time, as on a limit cycle, or leaves the data.
    pub basin: Vec<Option<usize>>,
    /// Points that were found and dropped, for they lie far from all that was visited.
    pub far: usize,
}

/// Fixed points within this many radii of each other are one.
const SAME: f64 = 1e-3;
/// So are slow points, which lie in flat valleys.
const SAME_SLOW: f64 = 0.1;
/// Candidates within this many radii of each other are one.
const SAME_CANDIDATE: f64 = 0.01;
/// A slow point is slower than this share of the usual speed.
const SLOW: f64 = 0.1;
/// Candidates that are polished before looking whether that still brings anything new.
const WAVE: usize = 16;
/// Steps of polishing at H = 128 after which no more are begun: since anything new was found, and
/// in all.
const STEPS: [f64; 2] = [600.0, 4000.0];
/// Distance at which a stable point holds a state, in radii, and at most in distances to the
/// nearest other fixed point.
const REACH: [f64; 2] = [0.02, 0.1];

/// Fixed points of `field` near `states`, visited states as `[R, H]` row-major; those that are
/// not finite are skipped.
///
/// At H = 128 and 2,000 starts it takes a few seconds on two cores, whatever the field, for every
/// part has a limit on its work; at H = 512 less than half a minute. So a rich field may have more
/// points than are found here. The result is the same for any number of threads. `go_on` is told the fraction done and what is being done, every
/// few milliseconds, by any thread.
///
/// # Errors
/// [`Cancelled`] soon after `go_on` says so.
pub fn find(
    field: &dyn VectorField,
    states: &[f64],
    options: &Options,
    go_on: &(dyn Fn(f32, &str) -> Result<(), Cancelled> + Sync),
) -> Result<FixedPoints, Cancelled> {
    if field.dim() == 0 {
        return Ok(FixedPoints::default());
    }
    let sample = Sample::new(states, field.dim(), options);
    let watch = Watch::new(go_on, options.threads);
    let [rounds, more_rounds] = basin::ROUNDS;

    let stage = watch.stage([0.0, 0.3], rounds, "Following the flow from visited states");
    let mut flow = Flow::new(field, &sample);
    flow.run(field, rounds, None, &stage)?;

    let stage = watch.stage([0.3, 0.55], minimise::ROUNDS, "Looking for slow places");
    let from = thinned(sample.jittered(options), field.dim());
    let low = minimise(field, from, &sample, &flow, &stage)?;

    let candidates = candidates(&flow, low, &sample);
    let goal = Goal { tolerance: options.tolerance, speed: flow.speed, longest: sample.radius };
    let (found, mut far) = settle(field, candidates, goal, &sample, &watch)?;
    let mut points = describe(field, found, options.tolerance, &watch)?;
    sort(&mut points);
    assign(field, &mut flow, &points, more_rounds, &sample, &watch)?;

    // A narrow basin can be missed: what flows to nothing known ends near what was missed.
    let missed = missed(&flow, &sample);
    let (found, more_far) = settle(field, missed, goal, &sample, &watch)?;
    let known = |new: &Polished| {
        let near = |point: &FixedPoint| distance(&point.position, &new.position);
        points.iter().any(|point| near(point) <= SAME_SLOW * sample.radius)
    };
    let new: Vec<Polished> = found.into_iter().filter(|new| !known(new)).collect();
    far += more_far;
    if !new.is_empty() {
        points.append(&mut describe(field, new, options.tolerance, &watch)?);
        sort(&mut points);
        // Captured rows know points by their old places, so all begin again.
        flow = Flow::new(field, &sample);
        let stage = watch.stage([0.8, 0.85], rounds, "Following the flow once more");
        flow.run(field, rounds, None, &stage)?;
        assign(field, &mut flow, &points, more_rounds, &sample, &watch)?;
    }
    Ok(by_basin(points, &flow, sample, far))
}

/// Attractors first, the slowest first; then the other kinds.
fn sort(points: &mut [FixedPoint]) {
    points.sort_by(|a, b| {
        let key = |point: &FixedPoint| match point.kind {
            Kind::Slow => point.residual,
            _ => point.eigenvalues.first().map_or(0.0, |value| value[0]),
        };
        a.kind.rank().cmp(&b.kind.rank()).then(key(a).total_cmp(&key(b)))
    });
}

/// Let the starts flow to the stable ones of `points`.
fn assign(
    field: &dyn VectorField,
    flow: &mut Flow,
    points: &[FixedPoint],
    rounds: usize,
    sample: &Sample,
    watch: &Watch,
) -> Result<(), Cancelled> {
    let traps = traps(points, sample.radius);
    if traps.is_empty() {
        return Ok(());
    }
    let stage = watch.stage([0.85, 1.0], rounds, "Assigning visited states to attractors");
    flow.wake();
    flow.run(field, rounds, Some(&traps), &stage)
}

/// Where states are that flow to nothing known, each place once and not many: a limit cycle has
/// states everywhere.
fn missed(flow: &Flow, sample: &Sample) -> Vec<Vec<f32>> {
    let near = |&row: &usize| {
        let state: Vec<f64> = flow.state(row).iter().map(|&value| f64::from(value)).collect();
        state.iter().all(|value| value.is_finite()) && !sample.is_far(&state)
    };
    let mut rows = flow.rows(Fate::Moving);
    rows.extend(flow.rows(Fate::Lost).into_iter().filter(near));
    let flat: Vec<f32> = rows.iter().flat_map(|&row| flow.state(row)).copied().collect();
    let leader = leaders(&flat, sample.dim, (SAME_CANDIDATE * sample.radius) as f32);
    let distinct = (0..rows.len()).filter(|&index| leader[index] == index);
    distinct.take(WAVE).map(|index| flow.state(rows[index]).to_vec()).collect()
}

/// Every nth of `states`, `[R, H]`: an evaluation costs H², so that wide fields get fewer descents.
fn thinned(states: Vec<f32>, dim: usize) -> Vec<f32> {
    let most = (4000.0 * scale(dim)).max(500.0) as usize;
    let every = (states.len() / dim).div_ceil(most).max(1);
    states.chunks_exact(dim).step_by(every).flatten().copied().collect()
}

/// States to polish, the most promising first and each place once: where the flow came to rest,
/// then what is low. No more than half of them are of the first sort while there are others: about
/// a weakly attracting point rows come to rest in many places.
fn candidates(flow: &Flow, low: Vec<Vec<f32>>, sample: &Sample) -> Vec<Vec<f32>> {
    let resting = flow.rows(Fate::Resting).into_iter().map(|row| (true, flow.state(row).to_vec()));
    let all: Vec<_> = resting.chain(low.into_iter().map(|low| (false, low))).collect();
    let flat: Vec<f32> = all.iter().flat_map(|(_, state)| state).copied().collect();
    let leader = leaders(&flat, sample.dim, (SAME_CANDIDATE * sample.radius) as f32);
    let distinct = all.into_iter().enumerate().filter(|(index, _)| leader[*index] == *index);
    let (mut resting, mut low): (Vec<_>, Vec<_>) =
        distinct.map(|(_, candidate)| candidate).partition(|(resting, _)| *resting);
    let most = most_candidates(sample.dim);
    let rest = resting.split_off(resting.len().min(most / 2));
    resting.append(&mut low);
    resting.extend(rest);
    resting.truncate(most);
    resting.into_iter().map(|(_, state)| state).collect()
}

/// A polish costs H³, so that wide fields get fewer.
fn most_candidates(dim: usize) -> usize {
    ((256.0 * scale(dim)) as usize).clamp(8, 512)
}

/// How much less can be done than at H = 128 of what costs H² or H³.
fn scale(dim: usize) -> f64 {
    (128.0 / dim as f64).powi(2)
}

/// Polish candidates; what they lead to near the data, each once, and how many lie far from it.
fn settle(
    field: &dyn VectorField,
    candidates: Vec<Vec<f32>>,
    goal: Goal,
    sample: &Sample,
    watch: &Watch,
) -> Result<(Vec<Polished>, usize), Cancelled> {
    let stage = watch.stage([0.55, 0.8], candidates.len(), "Polishing with Newton's method");
    let (mut near, mut far): (Vec<Polished>, Vec<Polished>) = (Vec::new(), Vec::new());
    let (mut idle, mut spent) = (0, 0);
    let [most_idle, most] = STEPS.map(|steps| steps * scale(sample.dim).min(4.0));
    for wave in candidates.chunks(WAVE.min(most_candidates(sample.dim) / 4)) {
        let mut wave: Vec<_> = wave.iter().map(|start| (start, None)).collect();
        each(watch.threads, &mut wave, |(start, polished)| {
            *polished = Some(polish(field, start, goal, || stage.tick(0))?);
            stage.tick(1)
        })?;
        for polished in wave.into_iter().filter_map(|(_, polished)| polished) {
            idle += polished.steps;
            spent += polished.steps;
            let fixed = polished.residual <= goal.tolerance;
            let slow = polished.stationary && polished.residual <= SLOW * goal.speed;
            if !fixed && !slow {
                continue;
            }
            let is_far = sample.is_far(&polished.position);
            let known = if is_far { &mut far } else { &mut near };
            let same = |other: &&mut Polished| {
                let both_fixed = fixed && other.residual <= goal.tolerance;
                let reach = if both_fixed { SAME } else { SAME_SLOW } * sample.radius;
                distance(&other.position, &polished.position) <= reach
            };
            match known.iter_mut().find(same) {
                // A fixed point replaces a slow one near it.
                Some(other) if polished.residual < other.residual => *other = polished,
                Some(_) => {}
                None => {
                    known.push(polished);
                    idle = if is_far { idle } else { 0 };
                }
            }
        }
        if idle as f64 > most_idle || spent as f64 > most {
            break;
        }
    }
    Ok((near, far.len()))
}

/// Eigenvalues and kinds.
fn describe(
    field: &dyn VectorField,
    found: Vec<Polished>,
    tolerance: f64,
    watch: &Watch,
) -> Result<Vec<FixedPoint>, Cancelled> {
    let stage = watch.stage([0.8, 0.85], found.len(), "Working out stability");
    let mut found: Vec<_> = found.into_iter().map(|polished| (polished, None)).collect();
    each(watch.threads, &mut found, |(polished, values)| {
        let jacobian = std::mem::take(&mut polished.jacobian);
        *values = eigenvalues(jacobian, field.dim(), || stage.tick(0))?;
        stage.tick(1)
    })?;
    // Without eigenvalues, which takes a Jacobian that is not finite, nothing can be said.
    let described = found.into_iter().filter_map(|(polished, values)| Some((polished, values?)));
    let point = |(polished, eigenvalues): (Polished, Vec<[f64; 2]>)| {
        let fixed = polished.residual <= tolerance;
        let kind = if fixed { Kind::of(&eigenvalues) } else { Kind::Slow };
        FixedPoint {
            kind,
            residual: polished.residual,
            relaxation: kind.is_stable().then(|| relaxation(&eigenvalues)).flatten(),
            eigenvalues,
            basin_share: 0.0,
            position: polished.position,
        }
    };
    Ok(described.map(point).collect())
}

/// What holds the states that flow to the stable ones of `points`, which come first.
fn traps(points: &[FixedPoint], radius: f64) -> Vec<Trap> {
    let stable = points.iter().take_while(|point| point.kind.is_stable());
    let trap = |(index, point): (usize, &FixedPoint)| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != index);
        let nearest = others
            .filter(|(_, other)| other.kind != Kind::Slow)
            .map(|(_, other)| distance(&point.position, &other.position))
            .fold(f64::INFINITY, f64::min);
        // States are f32: nothing comes nearer than their rounding.
        let least = 1e-5 * norm(&point.position);
        let reach = (REACH[0] * radius).min(REACH[1] * nearest).max(least) as f32;
        Trap { position: point.position.iter().map(|&value| value as f32).collect(), reach }
    };
    stable.enumerate().map(trap).collect()
}

/// Shares of the starts, and the stable points in their order.
fn by_basin(mut points: Vec<FixedPoint>, flow: &Flow, sample: Sample, far: usize) -> FixedPoints {
    let fate = |row| match flow.fate[flow.leader(row)] {
        Fate::Captured(point) => Some(point),
        _ => None,
    };
    let basin: Vec<Option<usize>> = (0..sample.len()).map(fate).collect();
    let share = 1.0 / sample.len().max(1) as f64;
    let mut counts = vec![0usize; points.len()];
    for point in basin.iter().flatten() {
        counts[*point] += 1;
    }
    for (point, count) in points.iter_mut().zip(&counts) {
        point.basin_share = *count as f64 * share;
    }
    // Only stable points, which come first, have a count: the sort is stable.
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|&index| (points[index].kind.rank(), std::cmp::Reverse(counts[index])));
    let mut place = vec![0; points.len()];
    for (new, &old) in order.iter().enumerate() {
        place[old] = new;
    }
    let basin = basin.into_iter().map(|point| point.map(|point| place[point])).collect();
    let mut sorted: Vec<(usize, FixedPoint)> = place.iter().copied().zip(points).collect();
    sorted.sort_by_key(|(place, _)| *place);
    let points = sorted.into_iter().map(|(_, point)| point).collect();
    FixedPoints { points, starts: sample.starts, basin, far }
}

#[cfg(test)]
mod tests;
