//! Flows that relax towards a place: dz/dt = a(z)⊙(g(z) − z), exactly (f64).

use super::affine::Affine;
use super::field::{VectorField, narrow, widen};

/// dz/dt = a(z)⊙(g(z) − z) with a > 0; see [`crate::dynamics::flow`].
///
/// GRU-ODE integrates it. CfC and decay cross a gap in one evaluation, which draws the state by the
/// share 1 − exp(−a·dt) of the way to g: for short gaps that is this field, and for gaps of any length
/// it stays where this field rests, at g(z) = z, and nowhere else. So the fixed points are those of
/// the model exactly. How fast states come to them, and how basins are cut, is that of many short
/// gaps; for decay one long gap is the same, for CfC nearly.
pub struct Relaxation {
    hidden: usize,
    kind: Kind,
}

enum Kind {
    /// The sums of the gates r, u, n: `[H]` to `[3H]`.
    GruOde(Affine),
    /// The backbone, `[H]` to `[2H]`, and the sums of g and f, `[2H]` to `[2H]`.
    Cfc { inner: Affine, outer: Affine },
    /// Rates and rest, `[H]` each.
    Decay { rates: Vec<f64>, rest: Vec<f64> },
}

/// The velocity at a point and what its derivatives are made of.
pub(super) struct Linearisation {
    /// `[H]`.
    pub velocity: Vec<f64>,
    /// Its derivative by z itself, `[H]`.
    direct: Vec<f64>,
    /// 1 − tanh² of the backbone, `[2H]`; empty where there is none.
    backbone: Vec<f64>,
    /// Its derivative by each of the K sums of a unit, `[K·H]`.
    sums: Vec<f64>,
}

impl Relaxation {
    /// The field of GRU-ODE, from its `[H, 3H]` and `[3H]`.
    pub fn gru_ode(weight: &[f32], bias: &[f32]) -> Self {
        Self { hidden: bias.len() / 3, kind: Kind::GruOde(Affine::new(weight, bias)) }
    }

    /// CfC, from its `[H, 2H]`, `[2H]`, `[2H, 2H]` and `[2H]`.
    pub fn cfc(w_in: &[f32], b_in: &[f32], w_out: &[f32], b_out: &[f32]) -> Self {
        let (inner, outer) = (Affine::new(w_in, b_in), Affine::new(w_out, b_out));
        Self { hidden: b_in.len() / 2, kind: Kind::Cfc { inner, outer } }
    }

    /// Decay, from w and m, `[H]` each.
    pub fn decay(rate: &[f32], rest: &[f32]) -> Self {
        let rates = rate.iter().map(|&rate| softplus(f64::from(rate))).collect();
        let rest = rest.iter().map(|&rest| f64::from(rest)).collect();
        Self { hidden: rate.len(), kind: Kind::Decay { rates, rest } }
    }

    /// The field at `z`; of a closed form the mean velocity over a gap of `length`, which is the
    /// field for none.
    pub(super) fn linearise(&self, z: &[f64], length: f64) -> Linearisation {
        let hidden = self.hidden;
        match &self.kind {
            Kind::GruOde(gates) => {
                let mut sums = vec![0.0; 3 * hidden];
                gates.apply(z, &mut sums);
                let (mut velocity, mut direct) = (vec![0.0; hidden], vec![0.0; hidden]);
                for j in 0..hidden {
                    let (update_at, new_at) = (hidden + j, 2 * hidden + j);
                    let (r, u) = (sigmoid(sums[j]), sigmoid(sums[update_at]));
                    let n = (r * sums[new_at]).tanh();
                    let by_new = (1.0 - u) * (1.0 - n * n);
                    velocity[j] = (1.0 - u) * (n - z[j]);
                    direct[j] = u - 1.0;
                    sums[j] = by_new * sums[new_at] * r * (1.0 - r);
                    sums[update_at] = -velocity[j] * u;
                    sums[new_at] = by_new * r;
                }
                Linearisation { velocity, direct, backbone: Vec::new(), sums }
            }
            Kind::Cfc { inner, outer } => {
                let mut backbone = vec![0.0; 2 * hidden];
                let mut sums = vec![0.0; 2 * hidden];
                inner.apply(z, &mut backbone);
                backbone.iter_mut().for_each(|value| *value = value.tanh());
                outer.apply(&backbone, &mut sums);
                backbone.iter_mut().for_each(|value| *value = 1.0 - *value * *value);
                let (mut velocity, mut direct) = (vec![0.0; hidden], vec![0.0; hidden]);
                for j in 0..hidden {
                    let (g, f) = (sums[j].tanh(), sums[hidden + j]);
                    let [rate, slope] = mean_rate(softplus(f), length);
                    velocity[j] = rate * (g - z[j]);
                    direct[j] = -rate;
                    sums[j] = rate * (1.0 - g * g);
                    sums[hidden + j] = (g - z[j]) * slope * sigmoid(f);
                }
                Linearisation { velocity, direct, backbone, sums }
            }
            Kind::Decay { rates, rest } => {
                let rate = |&rate: &f64| mean_rate(rate, length)[0];
                let direct: Vec<f64> = rates.iter().map(|r| -rate(r)).collect();
                let each = direct.iter().zip(z).zip(rest);
                let velocity = each.map(|((direct, z), rest)| direct * (z - rest)).collect();
                Linearisation { velocity, direct, backbone: Vec::new(), sums: Vec::new() }
            }
        }
    }

    /// J·v.
    pub(super) fn push(&self, at: &Linearisation, v: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = at.direct.iter().zip(v).map(|(direct, v)| direct * v).collect();
        let mut sums = vec![0.0; at.sums.len()];
        match &self.kind {
            Kind::GruOde(gates) => gates.differential(v, &mut sums),
            Kind::Cfc { inner, outer } => {
                let mut backbone = vec![0.0; at.backbone.len()];
                inner.differential(v, &mut backbone);
                backbone.iter_mut().zip(&at.backbone).for_each(|(value, slope)| *value *= slope);
                outer.differential(&backbone, &mut sums);
            }
            Kind::Decay { .. } => {}
        }
        for (sums, slopes) in sums.chunks_exact(self.hidden).zip(at.sums.chunks_exact(self.hidden))
        {
            for ((out, sum), slope) in out.iter_mut().zip(sums).zip(slopes) {
                *out += sum * slope;
            }
        }
        out
    }

    /// Jᵀ·w.
    pub(super) fn pull(&self, at: &Linearisation, w: &[f64]) -> Vec<f64> {
        let by_sums: Vec<f64> = at.sums.iter().zip(w.iter().cycle()).map(|(s, w)| s * w).collect();
        let mut out = vec![0.0; self.hidden];
        match &self.kind {
            Kind::GruOde(gates) => gates.transposed(&by_sums, &mut out),
            Kind::Cfc { inner, outer } => {
                let mut backbone = vec![0.0; at.backbone.len()];
                outer.transposed(&by_sums, &mut backbone);
                backbone.iter_mut().zip(&at.backbone).for_each(|(value, slope)| *value *= slope);
                inner.transposed(&backbone, &mut out);
            }
            Kind::Decay { .. } => {}
        }
        for ((out, direct), w) in out.iter_mut().zip(&at.direct).zip(w) {
            *out += direct * w;
        }
        out
    }
}

impl VectorField for Relaxation {
    fn dim(&self) -> usize {
        self.hidden
    }

    fn velocity(&self, z: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.linearise(z, 0.0).velocity);
    }

    fn jacobian(&self, z: &[f64], out: &mut [f64]) {
        let at = self.linearise(z, 0.0);
        let mut unit = vec![0.0; self.hidden];
        for (i, row) in out.chunks_exact_mut(self.hidden).enumerate() {
            unit[i] = 1.0;
            row.copy_from_slice(&self.pull(&at, &unit));
            unit[i] = 0.0;
        }
    }

    fn gradients(&self, z: &[f32], velocity: &mut [f32], gradient: &mut [f32]) {
        let mut wide = vec![0.0; self.hidden];
        for ((z, velocity), gradient) in z
            .chunks_exact(self.hidden)
            .zip(velocity.chunks_exact_mut(self.hidden))
            .zip(gradient.chunks_exact_mut(self.hidden))
        {
            widen(z, &mut wide);
            let at = self.linearise(&wide, 0.0);
            narrow(&at.velocity, velocity);
            narrow(&self.pull(&at, &at.velocity), gradient);
        }
    }
}

/// (1 − exp(−a·t)) / t and its derivative by a: a and 1 for no time.
fn mean_rate(rate: f64, length: f64) -> [f64; 2] {
    if length > 0.0 {
        [-(-rate * length).exp_m1() / length, (-rate * length).exp()]
    } else {
        [rate, 1.0]
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamics::attractor::testing::random_states;
    use crate::dynamics::flow;
    use crate::settings::Solver;

    const HIDDEN: usize = 7;

    fn all() -> Vec<(Solver, Relaxation)> {
        let made = |solver| {
            let weights: Vec<Vec<f32>> = flow::weights(solver)
                .iter()
                .enumerate()
                .map(|(place, weight)| {
                    let [rows, cols] = weight.shape(HIDDEN);
                    let values = random_states(rows, cols, 40 + place as u64);
                    values.into_iter().map(|value| value as f32).collect()
                })
                .collect();
            let relaxation = match solver {
                Solver::GruOde => Relaxation::gru_ode(&weights[0], &weights[1]),
                Solver::Cfc => Relaxation::cfc(&weights[0], &weights[1], &weights[2], &weights[3]),
                _ => Relaxation::decay(&weights[0], &weights[1]),
            };
            (solver, relaxation)
        };
        [Solver::GruOde, Solver::Cfc, Solver::Decay].map(made).into()
    }

    #[test]
    fn derivatives_are_the_limits_of_differences() {
        for (solver, field) in all() {
            for length in [0.0, 0.8, 30.0] {
                let z = random_states(1, HIDDEN, 3);
                let at = field.linearise(&z, length);
                let step = 1e-6;
                for j in 0..HIDDEN {
                    let (mut up, mut down, mut unit) = (z.clone(), z.clone(), vec![0.0; HIDDEN]);
                    up[j] += step;
                    down[j] -= step;
                    unit[j] = 1.0;
                    let (above, below) =
                        (field.linearise(&up, length), field.linearise(&down, length));
                    let pushed = field.push(&at, &unit);
                    let pulled = field.pull(&at, &unit);
                    for i in 0..HIDDEN {
                        let slope = (above.velocity[i] - below.velocity[i]) / (2.0 * step);
                        assert!((pushed[i] - slope).abs() < 1e-8, "{solver:?} {i} {j}");
                        let mut row = vec![0.0; HIDDEN];
                        row[i] = 1.0;
                        let other = field.push(&at, &row)[j];
                        assert!((pulled[i] - other).abs() < 1e-12, "{solver:?}");
                    }
                }
            }
            let (z, mut jacobian) = (random_states(1, HIDDEN, 4), vec![0.0; HIDDEN * HIDDEN]);
            field.jacobian(&z, &mut jacobian);
            let v = random_states(1, HIDDEN, 5);
            let pushed = field.push(&field.linearise(&z, 0.0), &v);
            for (row, pushed) in jacobian.chunks_exact(HIDDEN).zip(pushed) {
                let product: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
                assert!((product - pushed).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_state_within_one_stays_there_and_decay_rests_at_its_rest() {
        for (solver, field) in all() {
            let mut z = vec![0.99; HIDDEN];
            for step in 0..4000 {
                let length = if solver == Solver::GruOde { 0.05 } else { 1.0 };
                let at = field.linearise(&z, length);
                z.iter_mut().zip(&at.velocity).for_each(|(z, v)| *z += length * v);
                let bound = match &field.kind {
                    Kind::Decay { rest, .. } => rest.iter().fold(1.0f64, |m, r| m.max(r.abs())),
                    _ => 1.0,
                };
                assert!(z.iter().all(|z| z.abs() <= bound), "{solver:?} {step}");
            }
            if let Kind::Decay { rest, .. } = &field.kind {
                assert!(z.iter().zip(rest).all(|(z, rest)| (z - rest).abs() < 1e-9));
            }
        }
    }
}
