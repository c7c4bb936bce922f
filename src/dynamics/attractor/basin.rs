//! Where visited states flow to: many rows integrated side by side, each with steps of its own.
//!
//! The pair of orders 3 and 2 of Bogacki & Shampine (1989), whose last slope is the next step's
//! first. A field may be stiff: the error estimate then shortens the steps until they are stable.
//! Rows that come together have the same future, for the field is autonomous, and go on as one.

use super::field::VectorField;
use super::merge::leaders;
use super::parallel::{Stage, each};
use super::sample::Sample;

/// Rows that one thread moves together.
const ROWS: usize = 64;
/// Steps between two looks at where the rows are.
const ROUND: usize = 8;
/// Rounds at most before the fixed points are known, and after.
pub(super) const ROUNDS: [usize; 2] = [16, 16];
/// Model time after which a row is given up.
const HORIZON: f32 = 1000.0;
/// Error of a step, in radii of the data.
const ERROR: f32 = 2e-4;
/// Rows within this many radii of each other are one.
const SAME: f32 = 1e-3;
/// Distance from the data's centre, in distances of the farthest start, at which a row has left.
const GONE: f64 = 4.0;
/// Speed, as a share of the median at the starts, below which a row may have arrived.
const AT_REST: f32 = 1e-4;

/// What has become of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Moving,
    /// So slow that it may be at a fixed point.
    Resting,
    /// At the stable point with this index.
    Captured(usize),
    /// It left the data, or its time is over.
    Lost,
    /// It goes the way of this row.
    Follows(usize),
}

/// A stable fixed point and how near a row must come to be its own, `[H]`.
pub(super) struct Trap {
    pub position: Vec<f32>,
    pub reach: f32,
}

/// All starts on their way.
pub(super) struct Flow {
    dim: usize,
    pub fate: Vec<Fate>,
    /// Where they are, `[S, H]`.
    pub states: Vec<f32>,
    /// f there, `[S, H]`.
    slopes: Vec<f32>,
    /// Length of the next step, `[S]`.
    steps: Vec<f32>,
    /// Model time since the start, `[S]`.
    times: Vec<f32>,
    error: f32,
    same: f32,
    rest: f32,
    centre: Vec<f32>,
    gone: f32,
    /// Median speed at the starts.
    pub speed: f64,
}

impl Flow {
    /// All rows at their starts.
    pub fn new(field: &dyn VectorField, sample: &Sample) -> Self {
        let dim = sample.dim;
        let states: Vec<f32> = sample.states.iter().map(|&value| value as f32).collect();
        let mut slopes = vec![0.0; states.len()];
        for (z, out) in states.chunks(ROWS * dim).zip(slopes.chunks_mut(ROWS * dim)) {
            field.velocities(z, out);
        }
        let speeds: Vec<f32> = slopes.chunks_exact(dim).map(length).collect();
        let mut sorted: Vec<f32> = speeds.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        let speed = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0).max(1e-6);
        let radius = sample.radius as f32;
        let steps = speeds.iter().map(|v| 0.05 * radius / v.max(0.05 * speed)).collect();
        Self {
            dim,
            fate: vec![Fate::Moving; sample.len()],
            times: vec![0.0; sample.len()],
            states,
            slopes,
            steps,
            error: ERROR * radius,
            same: SAME * radius,
            rest: AT_REST * speed,
            centre: sample.centre.iter().map(|&value| value as f32).collect(),
            gone: (GONE * sample.farthest) as f32,
            speed: f64::from(speed),
        }
    }

    /// Move on all that moves, for at most `rounds`; `traps` end it, and without any a low speed.
    ///
    /// # Errors
    /// [`Cancelled`](crate::jobs::Cancelled) when `stage` says so.
    pub fn run(
        &mut self,
        field: &dyn VectorField,
        rounds: usize,
        traps: Option<&[Trap]>,
        stage: &Stage,
    ) -> Result<(), crate::jobs::Cancelled> {
        for round in 0..rounds {
            self.look(traps);
            self.merge();
            let moving = self.rows(Fate::Moving);
            if moving.is_empty() {
                break;
            }
            let mut bundles: Vec<Bundle> =
                moving.chunks(ROWS).map(|rows| self.bundle(rows)).collect();
            each(stage.watch.threads, &mut bundles, |bundle| {
                for _ in 0..ROUND {
                    bundle.step(field, self.error);
                    stage.tick(0)?;
                }
                Ok(())
            })?;
            for bundle in &bundles {
                self.put_back(bundle);
            }
            stage.tick(if round + 1 < rounds { 1 } else { 0 })?;
        }
        self.look(traps);
        Ok(())
    }

    /// Rows with a fate.
    pub fn rows(&self, fate: Fate) -> Vec<usize> {
        (0..self.fate.len()).filter(|&row| self.fate[row] == fate).collect()
    }

    /// The row that `row` follows in the end, itself if none.
    pub fn leader(&self, mut row: usize) -> usize {
        while let Fate::Follows(other) = self.fate[row] {
            row = other;
        }
        row
    }

    pub fn state(&self, row: usize) -> &[f32] {
        &self.states[row * self.dim..][..self.dim]
    }

    /// Let rows that rest move on.
    pub fn wake(&mut self) {
        for fate in &mut self.fate {
            if *fate == Fate::Resting {
                *fate = Fate::Moving;
            }
        }
    }

    fn look(&mut self, traps: Option<&[Trap]>) {
        for row in self.rows(Fate::Moving) {
            let z = self.state(row);
            let slope = &self.slopes[row * self.dim..][..self.dim];
            let speed = length(slope);
            let away = between(z, &self.centre);
            self.fate[row] = if !speed.is_finite() || !away.is_finite() || away > self.gone {
                Fate::Lost
            } else if let Some(trap) = traps.and_then(|traps| caught(traps, z, slope)) {
                Fate::Captured(trap)
            } else if traps.is_none() && speed <= self.rest {
                Fate::Resting
            } else if self.times[row] >= HORIZON {
                Fate::Lost
            } else {
                continue;
            };
        }
    }

    fn merge(&mut self) {
        let moving = self.rows(Fate::Moving);
        let states: Vec<f32> = moving.iter().flat_map(|&row| self.state(row)).copied().collect();
        for (place, leader) in leaders(&states, self.dim, self.same).into_iter().enumerate() {
            if leader != place {
                self.fate[moving[place]] = Fate::Follows(moving[leader]);
            }
        }
    }

    fn bundle(&self, rows: &[usize]) -> Bundle {
        let wide = |values: &[f32]| -> Vec<f32> {
            rows.iter().flat_map(|&row| &values[row * self.dim..][..self.dim]).copied().collect()
        };
        let single = |values: &[f32]| -> Vec<f32> { rows.iter().map(|&row| values[row]).collect() };
        let size = rows.len() * self.dim;
        Bundle {
            dim: self.dim,
            rows: rows.to_vec(),
            states: wide(&self.states),
            slopes: [wide(&self.slopes), vec![0.0; size], vec![0.0; size], vec![0.0; size]],
            points: vec![0.0; size],
            steps: single(&self.steps),
            times: single(&self.times),
        }
    }

    fn put_back(&mut self, bundle: &Bundle) {
        for (place, &row) in bundle.rows.iter().enumerate() {
            let (from, to) = (place * self.dim, row * self.dim);
            self.states[to..][..self.dim].copy_from_slice(&bundle.states[from..][..self.dim]);
            self.slopes[to..][..self.dim].copy_from_slice(&bundle.slopes[0][from..][..self.dim]);
            self.steps[row] = bundle.steps[place];
            self.times[row] = bundle.times[place];
        }
    }
}

/// The trap that holds a row at `z` which moves along `slope`. Not every way to a stable point
/// comes nearer to it all the time, so very near it the direction no longer matters.
fn caught(traps: &[Trap], z: &[f32], slope: &[f32]) -> Option<usize> {
    traps.iter().position(|trap| {
        let far = between(z, &trap.position);
        if far > trap.reach {
            return false;
        }
        let toward: f32 =
            z.iter().zip(&trap.position).zip(slope).map(|((z, p), slope)| (p - z) * slope).sum();
        toward > 0.0 || far < 0.1 * trap.reach
    })
}

fn length(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}

fn between(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

/// Some rows, taken out to be moved by one thread.
struct Bundle {
    dim: usize,
    rows: Vec<usize>,
    states: Vec<f32>,
    /// The four slopes of a step; the first is f at the states.
    slopes: [Vec<f32>; 4],
    points: Vec<f32>,
    steps: Vec<f32>,
    times: Vec<f32>,
}

impl Bundle {
    /// One step of every row, which stays where it is if the error is too large.
    fn step(&mut self, field: &dyn VectorField, tolerance: f32) {
        const POINTS: [[f32; 3]; 3] =
            [[0.5, 0.0, 0.0], [0.0, 0.75, 0.0], [2.0 / 9.0, 1.0 / 3.0, 4.0 / 9.0]];
        /// Third order less second.
        const ERROR: [f32; 4] = [-5.0 / 72.0, 1.0 / 12.0, 1.0 / 9.0, -1.0 / 8.0];
        let dim = self.dim;
        for (stage, weights) in POINTS.iter().enumerate() {
            let (known, next) = self.slopes.split_at_mut(stage + 1);
            for (row, &step) in self.steps.iter().enumerate() {
                let at = row * dim..(row + 1) * dim;
                let point = &mut self.points[at.clone()];
                point.copy_from_slice(&self.states[at.clone()]);
                for (slope, weight) in known.iter().zip(weights).filter(|(_, w)| **w != 0.0) {
                    let reach = step * weight;
                    let slope = &slope[at.clone()];
                    point.iter_mut().zip(slope).for_each(|(point, k)| *point += reach * k);
                }
            }
            field.velocities(&self.points, &mut next[0]);
        }
        let [first, second, third, last] = &mut self.slopes;
        for row in 0..self.rows.len() {
            let at = row * dim..(row + 1) * dim;
            let each = first[at.clone()].iter().zip(&second[at.clone()]);
            let each = each.zip(third[at.clone()].iter().zip(&last[at.clone()]));
            let square: f32 = each
                .map(|((a, b), (c, d))| ERROR[0] * a + ERROR[1] * b + ERROR[2] * c + ERROR[3] * d)
                .map(|error| error * error)
                .sum();
            let error = self.steps[row] * square.sqrt() / tolerance;
            if error <= 1.0 {
                self.times[row] += self.steps[row];
                self.states[at.clone()].copy_from_slice(&self.points[at.clone()]);
                first[at.clone()].copy_from_slice(&last[at]);
            }
            // An error that is not a number shortens the step as much as any.
            let factor = 0.9 * error.powf(-1.0 / 3.0);
            let factor = if factor >= 0.2 { factor.min(5.0) } else { 0.2 };
            self.steps[row] = (self.steps[row] * factor).min(0.05 * HORIZON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::Options;
    use crate::dynamics::attractor::parallel::Watch;
    use crate::dynamics::attractor::testing::{Embedded, hopf, two_wells};

    fn run(field: &Embedded, states: &[f64], traps: &[Trap]) -> Flow {
        let sample = Sample::new(states, field.dim(), &Options::default());
        let mut flow = Flow::new(field, &sample);
        let go_on = |_: f32, _: &str| Ok(());
        let watch = Watch::new(&go_on, 1);
        flow.run(field, 32, Some(traps), &watch.stage([0.0, 1.0], 32, "")).unwrap();
        flow
    }

    #[test]
    fn rows_are_caught_by_the_well_they_fall_into() {
        let field = Embedded::new(two_wells, 6, 1);
        let states = field.states(60, 1.5, 2);
        let trap = |x: f64| Trap {
            position: field.lift(&[x]).iter().map(|&value| value as f32).collect(),
            reach: 0.02,
        };
        let flow = run(&field, &states, &[trap(-1.0), trap(1.0)]);
        for (row, z) in states.chunks_exact(6).enumerate() {
            let expected = Fate::Captured(usize::from(field.own(z)[0] > 0.0));
            assert_eq!(flow.fate[flow.leader(row)], expected);
        }
    }

    #[test]
    fn a_limit_cycle_is_followed_with_the_tolerated_error() {
        let field = Embedded::plane(hopf);
        let flow = run(&field, &field.states(20, 1.0, 3), &[]);
        for row in flow.rows(Fate::Moving) {
            // From any start the radius becomes √½.
            assert!((length(flow.state(row)) - 0.5f32.sqrt()).abs() < 1e-2);
            assert!(flow.times[row] > 20.0);
        }
        assert!(!flow.rows(Fate::Moving).is_empty());
    }
}
