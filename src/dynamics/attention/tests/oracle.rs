//! The loss in f64, as the formulas stand, one history at a time.

use crate::dynamics::attention::intervals::Intervals;
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::Dropout;
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

fn norm(x: &[f64]) -> Vector {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean) / (variance + 1e-6).sqrt()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn masked(mut x: Vector, mask: Option<&[f32]>, row: usize) -> Vector {
    if let Some(mask) = mask {
        let size = x.len();
        x.iter_mut().zip(&mask[row * size..]).for_each(|(x, &m)| *x *= f64::from(m));
    }
    x
}

/// Places in the batch of the events of `row`, and the states after them.
fn states(
    settings: &ModelSettings,
    weights: &[Vector],
    batch: &Batch,
    dropout: Option<&Dropout>,
    row: usize,
) -> Vec<(usize, Vector)> {
    let (h, heads) = (settings.hidden, settings.heads);
    let size = h / heads;
    let places = (0..batch.len).map(|position| position * batch.rows + row);
    let events: Vec<usize> = places.filter(|&at| batch.items[at] > 0).collect();
    let timed = settings.solver == Solver::TiSasRec;
    let (tables, mut rest) = weights[1..].split_at(if timed { 4 } else { 1 });
    let mut between = Vec::new();
    Intervals::new(settings).rows(events.iter().map(|&at| batch.dt[at]), &mut between);
    let row_of = |table: &[f64], row: usize| table[row * h..(row + 1) * h].to_vec();
    let position = |at: usize| batch.len - 1 - at / batch.rows;
    let mut x: Vec<Vector> = events
        .iter()
        .map(|&at| {
            let mut x = row_of(&weights[0], batch.items[at] as usize);
            x.iter_mut().for_each(|x| *x *= (h as f64).sqrt());
            if !timed {
                add(&mut x, &row_of(&tables[0], position(at)));
            }
            masked(x, dropout.map(|d| &d.input[..]), at)
        })
        .collect();
    let every = batch.rows * batch.len;
    for block in 0..settings.blocks {
        let (of, others) = rest.split_at(10);
        rest = others;
        let mask = |x: Vector, half: usize, at: usize| {
            let row = (2 * block + half) * every + at;
            masked(x, dropout.map(|d| &d.state[..]), row)
        };
        let normed: Vec<Vector> = x.iter().map(|x| norm(x)).collect();
        for (i, &asks) in events.iter().enumerate() {
            let q = affine(&normed[i], &of[0], &of[1]);
            let mut mixed = vec![0.0; h];
            for head in 0..heads {
                let own = head * size..(head + 1) * size;
                let seen: Vec<(f64, Vector)> = (0..=i)
                    .map(|j| {
                        let kv = affine(&normed[j], &of[2], &of[3]);
                        let (mut key, mut value) = (kv[..h].to_vec(), kv[h..].to_vec());
                        if timed {
                            let interval = between[i * events.len() + j] as usize;
                            add(&mut key, &row_of(&tables[0], position(events[j])));
                            add(&mut value, &row_of(&tables[1], position(events[j])));
                            add(&mut key, &row_of(&tables[2], interval));
                            add(&mut value, &row_of(&tables[3], interval));
                        }
                        let score = dot(&q[own.clone()], &key[own.clone()]) / (size as f64).sqrt();
                        (score.exp(), value[own.clone()].to_vec())
                    })
                    .collect();
                let sum: f64 = seen.iter().map(|(weight, _)| weight).sum();
                for (weight, value) in seen {
                    for (mixed, value) in mixed[own.clone()].iter_mut().zip(value) {
                        *mixed += weight / sum * value;
                    }
                }
            }
            add(&mut x[i], &mask(affine(&mixed, &of[4], &of[5]), 0, asks));
        }
        for (x, &at) in x.iter_mut().zip(&events) {
            let up = affine(&norm(x), &of[6], &of[7]);
            let up: Vector = up.into_iter().map(|up| up.max(0.0)).collect();
            add(x, &mask(affine(&up, &of[8], &of[9]), 1, at));
        }
    }
    let last = |x: &Vector| -> Vector {
        norm(x).iter().zip(&rest[0]).zip(&rest[1]).map(|((x, g), b)| x * g + b).collect()
    };
    events.iter().copied().zip(x.iter().map(last)).collect()
}

/// The state after the last position of `row`; `None` where it has no event.
pub fn last_state(
    settings: &ModelSettings,
    weights: &[Vector],
    batch: &Batch,
    row: usize,
) -> Option<Vector> {
    states(settings, weights, batch, None, row).pop().map(|(_, state)| state)
}

/// Mean cross entropy over the targets.
pub fn loss(
    settings: &ModelSettings,
    items: usize,
    weights: &[Vector],
    batch: &Batch,
    dropout: Option<&Dropout>,
) -> f64 {
    let h = settings.hidden;
    let bias = &weights[weights.len() - 1];
    let (mut total, mut counted) = (0.0, 0usize);
    for row in 0..batch.rows {
        for (at, state) in states(settings, weights, batch, dropout, row) {
            let last = at / batch.rows + 1 == batch.len;
            let Some(target) = (batch.targets[at] as usize).checked_sub(1) else { continue };
            if settings.targets == Targets::Last && !last {
                continue;
            }
            let scores = match settings.head {
                Head::Linear => affine(&state, &weights[weights.len() - 2], bias),
                Head::Tied => (0..items)
                    .map(|item| bias[item] + dot(&state, &weights[0][(item + 1) * h..][..h]))
                    .collect(),
            };
            total += scores.iter().map(|s| s.exp()).sum::<f64>().ln() - scores[target];
            counted += 1;
        }
    }
    total / counted.max(1) as f64
}
