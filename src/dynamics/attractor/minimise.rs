//! Down q = ½‖f‖² from many states at once, as far as f32 gets cheaply.
//!
//! Gradient descent with the step lengths of Barzilai & Borwein (1988), each row its own, kept
//! from rising above its last few values (Grippo, Lampariello & Lucidi 1986). It brings a row into
//! the valley of a fixed point; q is often so ill-conditioned that the rest is left to Newton.

use super::basin::Flow;
use super::field::VectorField;
use super::merge::leaders;
use super::parallel::{Stage, each};
use super::sample::Sample;
use crate::jobs::Cancelled;

/// Rows that one thread moves together.
const ROWS: usize = 64;
/// Evaluations between two looks at where the rows are.
const ROUND: usize = 8;
/// Looks at most.
pub(super) const ROUNDS: usize = 8;
/// Rows within this many radii of each other are one.
const SAME: f64 = 1e-2;
/// Speed, as a share of the median at the starts, at which Newton can take over.
const ARRIVED: f64 = 1e-3;
/// Longest move, in radii: the tanh is flat far out, and nothing leads back.
const LONGEST: f64 = 0.25;
/// Values of q that a new one may not be above.
const MEMORY: usize = 4;

/// Descend from each row of `states`, `[R, H]`. Where that ends, `[H]` each, every place once,
/// the lowest first.
///
/// # Errors
/// [`Cancelled`] when `stage`, which gets at most [`ROUNDS`] ticks, says so.
pub(super) fn minimise(
    field: &dyn VectorField,
    states: Vec<f32>,
    sample: &Sample,
    flow: &Flow,
    stage: &Stage,
) -> Result<Vec<Vec<f32>>, Cancelled> {
    let dim = sample.dim;
    let same = (SAME * sample.radius) as f32;
    let longest = (LONGEST * sample.radius) as f32;
    let arrived = (0.5 * (ARRIVED * flow.speed).powi(2)) as f32;
    let mut moving: Vec<Row> = states.chunks_exact(dim).map(Row::new).collect();
    let mut done: Vec<Row> = Vec::new();
    for _ in 0..ROUNDS {
        if moving.is_empty() {
            break;
        }
        let mut bundles: Vec<&mut [Row]> = moving.chunks_mut(ROWS).collect();
        each(stage.watch.threads, &mut bundles, |rows| {
            let size = rows.len() * dim;
            let mut room = [vec![0.0; size], vec![0.0; size], vec![0.0; size]];
            for _ in 0..ROUND {
                descend(field, rows, &mut room, longest);
                stage.tick(0)?;
            }
            Ok(())
        })?;
        let (low, rest): (Vec<_>, Vec<_>) =
            moving.into_iter().filter(|row| row.q.is_finite()).partition(|row| row.q <= arrived);
        done.extend(low);
        moving = distinct(rest, dim, same);
        // A row that hardly gains any more is in a valley that is flat to f32.
        for row in &mut moving {
            row.stalled = row.q > 0.999 * row.before;
            row.before = row.q;
        }
        let (stalled, rest): (Vec<_>, Vec<_>) = moving.into_iter().partition(|row| row.stalled);
        done.extend(stalled);
        moving = rest;
        stage.tick(1)?;
    }
    done.extend(moving);
    Ok(distinct(done, dim, same).into_iter().map(|row| row.state).collect())
}

/// Each place once, by its lowest row; lowest first.
fn distinct(mut rows: Vec<Row>, dim: usize, same: f32) -> Vec<Row> {
    rows.sort_by(|a, b| a.q.total_cmp(&b.q));
    let states: Vec<f32> = rows.iter().flat_map(|row| &row.state).copied().collect();
    let leader = leaders(&states, dim, same);
    let rows = rows.into_iter().enumerate();
    rows.filter(|(index, _)| leader[*index] == *index).map(|(_, row)| row).collect()
}

/// One descent.
struct Row {
    state: Vec<f32>,
    /// ∇q there; empty before the first evaluation.
    gradient: Vec<f32>,
    q: f32,
    /// The last values of q.
    recent: [f32; MEMORY],
    /// Length of the next move along −∇q.
    step: f32,
    evaluations: usize,
    /// q at the last look.
    before: f32,
    stalled: bool,
}

impl Row {
    fn new(state: &[f32]) -> Self {
        Self {
            state: state.to_vec(),
            gradient: Vec::new(),
            q: f32::INFINITY,
            recent: [f32::NEG_INFINITY; MEMORY],
            step: 0.0,
            evaluations: 0,
            before: f32::INFINITY,
            stalled: false,
        }
    }

    /// Where q is wanted next.
    fn trial(&self, out: &mut [f32]) {
        out.copy_from_slice(&self.state);
        out.iter_mut().zip(&self.gradient).for_each(|(z, g)| *z -= self.step * g);
    }

    /// Take note of q and its gradient at `trial`.
    fn learn(&mut self, trial: &[f32], velocity: &[f32], gradient: &[f32], longest: f32) {
        let q = 0.5 * velocity.iter().map(|f| f * f).sum::<f32>();
        let highest = self.recent.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let square = gradient.iter().map(|g| g * g).sum::<f32>();
        if self.gradient.is_empty() {
            if !q.is_finite() {
                return;
            }
            // Where q is the square of a distance this step ends at its minimum.
            self.step = q / square;
            self.gradient = gradient.to_vec();
        } else if q <= highest {
            let (mut moved, mut turned) = (0.0, 0.0);
            for (((z, new), g), now) in
                self.state.iter().zip(trial).zip(&self.gradient).zip(gradient)
            {
                let (dz, dg) = (new - z, now - g);
                moved += dz * dz;
                turned += dz * dg;
            }
            // Where q is concave along the move there is no such length: go farther.
            self.step = if turned > 0.0 { moved / turned } else { 2.0 * self.step };
            self.gradient.copy_from_slice(gradient);
        } else {
            self.step *= 0.25;
            return;
        }
        self.state.copy_from_slice(trial);
        self.q = q;
        self.recent[self.evaluations % MEMORY] = q;
        self.evaluations += 1;
        let limit = longest / square.sqrt();
        // f32::min takes the limit also where the step is not a number.
        self.step = if limit.is_finite() { self.step.min(limit) } else { 0.0 };
    }
}

/// One evaluation of every row; `room` is `[R, H]` three times.
fn descend(field: &dyn VectorField, rows: &mut [Row], room: &mut [Vec<f32>; 3], longest: f32) {
    let dim = field.dim();
    let [trial, velocity, gradient] = room;
    for (row, trial) in rows.iter().zip(trial.chunks_exact_mut(dim)) {
        row.trial(trial);
    }
    field.gradients(trial, velocity, gradient);
    let each = trial.chunks_exact(dim).zip(velocity.chunks_exact(dim));
    let each = each.zip(gradient.chunks_exact(dim));
    for (row, ((trial, velocity), gradient)) in rows.iter_mut().zip(each) {
        row.learn(trial, velocity, gradient, longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::Options;
    use crate::dynamics::attractor::parallel::Watch;
    use crate::dynamics::attractor::testing::{Embedded, two_wells};

    #[test]
    fn descents_end_near_every_fixed_point_and_name_it_once() {
        let field = Embedded::new(two_wells, 8, 2);
        let sample = Sample::new(&field.states(200, 1.5, 3), 8, &Options::default());
        let flow = Flow::new(&field, &sample);
        let go_on = |_: f32, _: &str| Ok(());
        let watch = Watch::new(&go_on, 1);
        let starts = sample.jittered(&Options::default());
        assert_eq!(starts.len(), 400 * 8);
        let stage = watch.stage([0.0, 1.0], ROUNDS, "");
        let low = minimise(&field, starts, &sample, &flow, &stage).unwrap();
        let own: Vec<Vec<f64>> = low
            .iter()
            .map(|z| field.own(&z.iter().map(|&value| f64::from(value)).collect::<Vec<_>>()))
            .collect();
        for x in [-1.0, 0.0, 1.0] {
            let near = own.iter().filter(|own| {
                (own[0] - x).hypot(own[1]) < 0.02 && own[2..].iter().all(|v| v.abs() < 0.02)
            });
            assert_eq!(near.count(), 1, "{own:?}");
        }
    }
}
