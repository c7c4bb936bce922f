//! How a small change of the state grows along a history: the finite-time Lyapunov exponent.

use super::exact::{EventLinearisation, Exact};
use super::field::VectorField;
use super::flow::{Flow, Linearisation};
use super::norm;
use crate::settings::Solver;

/// Passes over the history, at most, with one back between two: the error of the growth falls with the
/// fourth power of the ratio of the two largest singular values each time.
const PASSES: usize = 200;
/// Change of the growth from one pass to the next that ends them, of the growth or of 1, whichever is more.
const SETTLED: f64 = 1e-8;

/// What a part of the way does to a small change of the state it starts from.
pub(super) enum Factor {
    Event(EventLinearisation),
    Step(Step),
}

/// One step of a solver, with the flow linearised wherever it was evaluated.
pub(super) struct Step {
    length: f64,
    /// One for Euler and closed forms, four for RK4.
    stages: Vec<Linearisation>,
}

impl Step {
    /// Take a step of `length` from `z`, `[H]`, in place.
    pub fn take(solver: Solver, field: &Flow, z: &mut [f64], length: f64) -> Self {
        // A stage is evaluated at z plus its reach times the slope before it.
        let (reaches, weights): (&[f64], &[f64]) = match solver {
            Solver::Gru | Solver::SasRec | Solver::TiSasRec => (&[], &[]),
            Solver::Euler | Solver::Decay | Solver::Cfc => (&[0.0], &[1.0]),
            Solver::Rk4 | Solver::GruOde => {
                (&[0.0, 0.5, 0.5, 1.0], &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0])
            }
        };
        let mut stages: Vec<Linearisation> = Vec::with_capacity(reaches.len());
        for reach in reaches {
            let mut point = z.to_vec();
            if let Some(before) = stages.last() {
                add(&mut point, reach * length, before.velocity());
            }
            stages.push(field.linearise(solver, &point, length));
        }
        for (stage, weight) in stages.iter().zip(weights) {
            add(z, weight * length, stage.velocity());
        }
        Self { length, stages }
    }

    /// f where the step began; `None` for the GRU.
    pub fn slope(&self) -> Option<&[f64]> {
        self.stages.first().map(Linearisation::velocity)
    }

    /// The derivative of the step, applied to `v`: each stage's slope moves with the one before.
    fn push(&self, field: &Flow, v: &[f64]) -> Vec<f64> {
        let h = self.length;
        let mut out = v.to_vec();
        match &self.stages[..] {
            [only] => add(&mut out, h, &field.push(only, v)),
            [first, second, third, last] => {
                let ahead = |reach: f64, d: &[f64]| {
                    let mut point = v.to_vec();
                    add(&mut point, reach, d);
                    point
                };
                let d1 = field.push(first, v);
                let d2 = field.push(second, &ahead(h / 2.0, &d1));
                let d3 = field.push(third, &ahead(h / 2.0, &d2));
                let d4 = field.push(last, &ahead(h, &d3));
                for (weight, d) in [(1.0, d1), (2.0, d2), (2.0, d3), (1.0, d4)] {
                    add(&mut out, weight * h / 6.0, &d);
                }
            }
            _ => {}
        }
        out
    }

    /// Its transpose, applied to `w`.
    fn pull(&self, field: &Flow, w: &[f64]) -> Vec<f64> {
        let h = self.length;
        let mut out = w.to_vec();
        match &self.stages[..] {
            [only] => add(&mut out, h, &field.pull(only, w)),
            [first, second, third, last] => {
                let mut behind: Vec<f64> = Vec::new();
                let stages = [(last, 1.0, 0.0), (third, 2.0, h), (second, 2.0, h / 2.0)];
                for (stage, weight, reach) in stages.into_iter().chain([(first, 1.0, h / 2.0)]) {
                    let mut e: Vec<f64> = w.iter().map(|w| weight * h / 6.0 * w).collect();
                    add(&mut e, reach, &behind);
                    behind = field.pull(stage, &e);
                    add(&mut out, 1.0, &behind);
                }
            }
            _ => {}
        }
        out
    }
}

fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

/// ln ‖M‖₂ with M the product of `factors`, the first applied first: by how much the small change
/// that grows most has grown. `None` where all changes vanish or it is not finite.
///
/// The power iteration on MᵀM, on vectors only and scaled after each factor, so that neither H²
/// numbers are needed nor a long history overflows.
pub(super) fn log_growth(model: &Exact, factors: &[Factor]) -> Option<f64> {
    // A start that no symmetry of the weights is likely to be perpendicular to.
    let mut v: Vec<f64> = (0..model.hidden()).map(|j| 1.0 + 0.5 * (j as f64 * 1.7).sin()).collect();
    normalise(&mut v)?;
    let mut growth = 0.0;
    for pass in 0..PASSES {
        let before = std::mem::take(&mut growth);
        for factor in factors {
            v = match factor {
                Factor::Event(event) => model.push_event(event, &v),
                Factor::Step(step) => model.field().map_or(v.clone(), |field| step.push(field, &v)),
            };
            growth += normalise(&mut v)?;
        }
        if pass > 0 && f64::abs(growth - before) <= SETTLED * f64::max(1.0, growth.abs()) {
            break;
        }
        for factor in factors.iter().rev() {
            v = match factor {
                Factor::Event(event) => model.pull_event(event, &v),
                Factor::Step(step) => model.field().map_or(v.clone(), |field| step.pull(field, &v)),
            };
            normalise(&mut v)?;
        }
    }
    Some(growth)
}

/// Scale to length 1; the logarithm of the length it had.
fn normalise(v: &mut [f64]) -> Option<f64> {
    let length = norm(v);
    v.iter_mut().for_each(|value| *value /= length);
    (length > 0.0 && length.is_finite()).then(|| length.ln())
}

/// f at `z`, `[H]`.
pub(super) fn velocity(field: &Flow, z: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; z.len()];
    field.velocity(z, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;
    use crate::dynamics::parameters;
    use crate::settings::ModelSettings;
    use nalgebra::DMatrix;

    #[test]
    fn it_is_the_norm_of_the_product_of_all_derivatives() {
        for &solver in Solver::WITH_STATE.iter().filter(|&&solver| solver != Solver::Gru) {
            let settings = ModelSettings { hidden: 6, solver, ..Default::default() };
            let model = Exact::new(&settings, 4, &parameters::initial(&settings, 4, 3));
            let field = model.field().unwrap();
            let way = |z: &mut Vec<f64>| -> Vec<Factor> {
                let mut factors = Vec::new();
                for item in 0..4 {
                    factors.push(Factor::Event(model.update(item, z)));
                    factors.push(Factor::Step(Step::take(solver, field, z, 1.3)));
                }
                factors
            };
            let start = random_states(1, 6, 2);
            let factors = way(&mut start.clone());
            // Differences of the whole way, one axis at a time.
            let columns = (0..6).flat_map(|j| {
                let (mut up, mut down) = (start.clone(), start.clone());
                up[j] += 1e-5;
                down[j] -= 1e-5;
                way(&mut up);
                way(&mut down);
                up.into_iter().zip(down).map(|(up, down)| (up - down) / 2e-5).collect::<Vec<_>>()
            });
            let product = DMatrix::from_iterator(6, 6, columns);
            let largest = product.singular_values().max();
            let ours = log_growth(&model, &factors).unwrap();
            // As far as differences tell.
            assert!((ours - largest.ln()).abs() < 1e-6, "{solver:?}: {ours} {}", largest.ln());
        }
    }
}
