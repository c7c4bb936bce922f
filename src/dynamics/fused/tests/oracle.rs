//! System 1's loss in f64, as the formulas stand, one row at a time.

use crate::dynamics::batch::Batch;
use crate::dynamics::flow;
use crate::dynamics::fused::Dropout;
use crate::dynamics::solver::Pace;
use crate::settings::{Head, ModelSettings, Solver, Targets};

type Vector = Vec<f64>;

/// x·W + b.
fn affine(x: &[f64], weight: &[f64], bias: &[f64]) -> Vector {
    let mut out = bias.to_vec();
    for (x, row) in x.iter().zip(weight.chunks_exact(bias.len())) {
        out.iter_mut().zip(row).for_each(|(out, w)| *out += x * w);
    }
    out
}

fn axpy(z: &[f64], h: f64, k: &[f64]) -> Vector {
    z.iter().zip(k).map(|(z, k)| z + h * k).collect()
}

fn masked(x: &[f64], mask: Option<&[f32]>, row: usize) -> Vector {
    match mask {
        Some(mask) => {
            x.iter().zip(&mask[row * x.len()..]).map(|(x, &m)| x * f64::from(m)).collect()
        }
        None => x.to_vec(),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// z moved by 1 − exp(−rate·dt) of the way to `towards`.
fn drawn(z: &[f64], towards: &[f64], rates: &[f64], dt: f64) -> Vector {
    let each = z.iter().zip(towards).zip(rates);
    each.map(|((z, to), rate)| to + (z - to) * (-rate * dt).exp()).collect()
}

fn velocity(settings: &ModelSettings, field: &[Vector], z: &[f64]) -> Vector {
    if settings.solver == Solver::GruOde {
        let (size, sums) = (z.len(), affine(z, &field[0], &field[1]));
        return (0..size)
            .map(|j| {
                let (r, u) = (sigmoid(sums[j]), sigmoid(sums[size + j]));
                (1.0 - u) * ((r * sums[2 * size + j]).tanh() - z[j])
            })
            .collect();
    }
    let inner: Vector = affine(z, &field[0], &field[1]).into_iter().map(f64::tanh).collect();
    let outer = affine(&inner, &field[2], &field[3]);
    outer.iter().zip(z).map(|(o, z)| o.tanh() - settings.decay * z).collect()
}

fn step(settings: &ModelSettings, field: &[Vector], z: &[f64], h: f64) -> Vector {
    let f = |z: &[f64]| velocity(settings, field, z);
    match settings.solver {
        Solver::Gru | Solver::SasRec | Solver::TiSasRec => z.to_vec(),
        Solver::Euler => axpy(z, h, &f(z)),
        Solver::Decay => {
            let rates: Vector = field[0].iter().map(|&w| softplus(w)).collect();
            drawn(z, &field[1], &rates, h)
        }
        Solver::Cfc => {
            let inner: Vector =
                affine(z, &field[0], &field[1]).into_iter().map(f64::tanh).collect();
            let heads = affine(&inner, &field[2], &field[3]);
            let (towards, rates) = heads.split_at(z.len());
            let towards: Vector = towards.iter().map(|g| g.tanh()).collect();
            let rates: Vector = rates.iter().map(|&f| softplus(f)).collect();
            drawn(z, &towards, &rates, h)
        }
        Solver::Rk4 | Solver::GruOde => {
            let k1 = f(z);
            let k2 = f(&axpy(z, h / 2.0, &k1));
            let k3 = f(&axpy(z, h / 2.0, &k2));
            let k4 = f(&axpy(z, h, &k3));
            (0..z.len()).map(|j| z[j] + h / 6.0 * (k1[j] + 2.0 * (k2[j] + k3[j]) + k4[j])).collect()
        }
    }
}

fn update(weights: &[Vector], x: &[f64], h: &[f64]) -> Vector {
    let size = h.len();
    let (i, s) = (affine(x, &weights[1], &weights[2]), affine(h, &weights[3], &weights[4]));
    (0..size)
        .map(|j| {
            let r = sigmoid(i[j] + s[j]);
            let z = sigmoid(i[size + j] + s[size + j]);
            let n = (i[2 * size + j] + r * s[2 * size + j]).tanh();
            (1.0 - z) * n + z * h[j]
        })
        .collect()
}

/// ln Σ eˣ − the target's x, over all items.
fn cross_entropy(
    settings: &ModelSettings,
    items: usize,
    weights: &[Vector],
    h: &[f64],
    target: usize,
) -> f64 {
    let bias = &weights[weights.len() - 1];
    let scores = match settings.head {
        Head::Linear => affine(h, &weights[weights.len() - 2], bias),
        Head::Tied => (0..items)
            .map(|item| {
                let row = &weights[0][(item + 1) * h.len()..];
                bias[item] + h.iter().zip(row).map(|(h, e)| h * e).sum::<f64>()
            })
            .collect(),
    };
    let most = scores.iter().copied().fold(f64::MIN, f64::max);
    most + scores.iter().map(|s| (s - most).exp()).sum::<f64>().ln() - scores[target]
}

/// Model time of a gap: of its days, where the scale is among the weights.
fn model_time(settings: &ModelSettings, weights: &[Vector], gap: (f64, f32)) -> f64 {
    if !settings.learns_time_scale() {
        return f64::from(gap.1);
    }
    let theta = weights[5 + flow::weights(settings.solver).len()][0];
    let scale = settings.time_scale * (3.0 * theta).exp();
    scale * (gap.0 / scale).ln_1p()
}

/// Mean cross entropy over the targets. `days` is the length of each gap.
pub fn loss(
    settings: &ModelSettings,
    items: usize,
    weights: &[Vector],
    (batch, days): (&Batch, &[f64]),
    dropout: Option<&Dropout>,
) -> f64 {
    let size = settings.hidden;
    let every = settings.targets == Targets::All;
    let (mut total, mut counted) = (0.0, 0usize);
    for row in 0..batch.rows {
        let mut h = vec![0.0; size];
        for position in 0..batch.len {
            let at = position * batch.rows + row;
            let last = position + 1 == batch.len;
            let item = batch.items[at] as usize;
            if item > 0 {
                let x = &weights[0][item * size..(item + 1) * size];
                h = update(weights, &masked(x, dropout.map(|d| &d.input[..]), at), &h);
            }
            let before = h.clone();
            if settings.solver != Solver::Gru && (settings.query_gap || !last) {
                let dt = model_time(settings, weights, (days[at], batch.dt[at]));
                let (count, _) = Pace::of(settings).over(dt as f32);
                let field = &weights[5..5 + flow::weights(settings.solver).len()];
                for _ in 0..count {
                    h = step(settings, field, &h, dt / count as f64);
                }
            }
            if batch.targets[at] > 0 && (every || last) {
                let state = if settings.query_gap { &h } else { &before };
                let state =
                    masked(state, dropout.map(|d| &d.state[..]), if every { at } else { row });
                let target = batch.targets[at] as usize - 1;
                total += cross_entropy(settings, items, weights, &state, target);
                counted += 1;
            }
        }
    }
    total / counted.max(1) as f64
}
