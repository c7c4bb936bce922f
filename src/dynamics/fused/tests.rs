//! Against an f64 forward written from the formulas, its finite differences, and by hand.

mod oracle;

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Dropout, Fused, FusedAdam, Update};
use crate::dynamics::batch::Batch;
use crate::dynamics::flow;
use crate::dynamics::parameters;
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, ModelSettings, Solver, Targets, Warp};

const MS_PER_DAY: f64 = 86_400_000.0;
/// Of one unit of linear model time.
const MS_PER_UNIT: f64 = 10.0 * MS_PER_DAY;

/// A model, a batch, masks.
struct Case {
    settings: ModelSettings,
    items: usize,
    weights: Vec<Vec<f32>>,
    batch: Batch,
    /// Length of each gap, `[L, B]`.
    days: Vec<f64>,
    dropout: Option<Dropout>,
}

impl Case {
    /// Random weights and histories of random lengths, with zero gaps, short and long ones.
    fn random(settings: ModelSettings, [items, rows, len]: [usize; 3], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let matrices = parameters::initial(&settings, items, seed);
        let mut weights: Vec<Vec<f32>> = matrices.into_iter().map(|m| m.values).collect();
        let hidden = settings.hidden;
        for value in weights.iter_mut().skip(1).flatten() {
            *value += 0.2 * (rng.random::<f32>() - 0.5);
        }
        let theta = settings.learns_time_scale().then(|| {
            let theta = &mut weights[5 + flow::weights(settings.solver).len()][0];
            *theta = 0.03;
            *theta
        });
        let warp = TimeWarp::at(&settings, theta);
        let mut batch = Batch::empty(rows, len);
        let mut days = vec![0.0; rows * len];
        let mut gap = |batch: &mut Batch, at: usize, gap: f32| {
            let whole = (f64::from(gap) * MS_PER_UNIT).round() as i64;
            days[at] = whole as f64 / MS_PER_DAY;
            batch.dt[at] = warp.model_time(whole);
        };
        for row in 0..rows {
            // The first row is full, the second all padding.
            let kept = match row {
                0 => len,
                1 => 0,
                _ => rng.random_range(0..=len),
            };
            for position in len - kept..len {
                let at = position * rows + row;
                batch.items[at] = rng.random_range(1..=items as i32);
                batch.targets[at] = rng.random_range(0..=items as i32);
                let gaps = [0.0, 0.05, 0.4, 1.3, 3.0 * rng.random::<f32>()];
                gap(&mut batch, at, gaps[rng.random_range(0..gaps.len())]);
            }
        }
        batch.targets[(len - 1) * rows] = 1;
        // No history looks like this, but the formulas say what it means: events missing in the
        // middle, and gaps before the first.
        if rows > 2 {
            for position in (0..len).step_by(2) {
                batch.items[position * rows + 2] = 0;
                gap(&mut batch, position * rows + 2, 0.7);
            }
        }
        let dropout = (settings.dropout > 0.0).then(|| {
            let kept = (1.0 / (1.0 - settings.dropout)) as f32;
            let mut mask = |rows: usize| {
                (0..rows * hidden)
                    .map(|_| if rng.random::<f64>() < settings.dropout { 0.0 } else { kept })
                    .collect()
            };
            let states = if settings.targets == Targets::All { rows * len } else { rows };
            Dropout { input: mask(rows * len), state: mask(states) }
        });
        Self { settings, items, weights, batch, days, dropout }
    }

    fn fused(&self, threads: usize) -> (f64, Vec<Vec<f32>>) {
        let mut gradients: Vec<Vec<f32>> =
            self.weights.iter().map(|values| vec![f32::NAN; values.len()]).collect();
        let mut fused = Fused::new(&self.settings, self.items, threads);
        let mut run = || {
            let dropout = self.dropout.as_ref();
            fused.loss_and_gradients(&self.weights, &self.batch, dropout, &mut gradients)
        };
        // Twice: what a step leaves in the buffers must not matter to the next.
        let first = run();
        assert_eq!(first.to_bits(), run().to_bits());
        (first, gradients)
    }

    fn exact(&self, weights: &[Vec<f64>]) -> f64 {
        let gaps = (&self.batch, self.days.as_slice());
        oracle::loss(&self.settings, self.items, weights, gaps, self.dropout.as_ref())
    }

    fn wide(&self) -> Vec<Vec<f64>> {
        self.weights.iter().map(|list| list.iter().map(|&v| f64::from(v)).collect()).collect()
    }
}

/// Every combination of the options that change a formula.
fn combinations() -> Vec<ModelSettings> {
    let mut all = Vec::new();
    for &solver in Solver::WITH_STATE {
        for &head in Head::ALL {
            for &targets in Targets::ALL {
                for query_gap in [false, true] {
                    for (decay, max_substeps) in [(0.0, 1), (0.0, 3), (0.4, 4)] {
                        for (dropout, warp) in [(0.0, Warp::Linear), (0.3, Warp::Log1p)] {
                            all.push(ModelSettings {
                                solver,
                                head,
                                targets,
                                query_gap,
                                decay,
                                max_substeps,
                                max_step: 0.5,
                                dropout,
                                warp,
                                time_scale: 2.0,
                                learn_time_scale: true,
                                hidden: 4,
                                ..Default::default()
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn every_gradient_matches_finite_differences() {
    for (seed, settings) in combinations().into_iter().enumerate() {
        let case = Case::random(settings, [6, 3, 4], seed as u64);
        let (loss, gradients) = case.fused(1);
        let mut weights = case.wide();
        let exact = case.exact(&weights);
        let settings = &case.settings;
        assert!((loss - exact).abs() < 1e-5, "{settings:?}: {loss} {exact}");
        for (place, name) in parameters::names(settings).into_iter().enumerate() {
            let mut numeric = Vec::new();
            for at in 0..weights[place].len() {
                let value = weights[place][at];
                let mut moved = |by: f64| {
                    weights[place][at] = value + by;
                    case.exact(&weights)
                };
                numeric.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
                weights[place][at] = value;
            }
            let ours: Vec<f64> = gradients[place].iter().map(|&v| f64::from(v)).collect();
            let errors: Vec<f64> = ours.iter().zip(&numeric).map(|(a, b)| a - b).collect();
            let (error, size) = (norm(&errors), norm(&numeric));
            assert!(error <= 1e-4 * size + 1e-7, "{name}: {error} of {size}, {settings:?}");
        }
        assert!(gradients[0][..settings.hidden].iter().all(|&v| v == 0.0), "padding");
    }
}

/// More rows than a shard, more items than a block, more scored states than a chunk.
fn large(solver: Solver, head: Head, seed: u64) -> Case {
    let settings = ModelSettings {
        solver,
        head,
        hidden: 70,
        max_step: 0.5,
        max_substeps: 3,
        decay: 0.1,
        query_gap: true,
        dropout: 0.2,
        warp: Warp::Log1p,
        time_scale: 1.0,
        learn_time_scale: true,
        ..Default::default()
    };
    Case::random(settings, [1100, 37, 11], seed)
}

#[test]
fn large_shapes_match_the_f64_forward_along_the_gradient() {
    for &solver in Solver::WITH_STATE {
        for &head in Head::ALL {
            let case = large(solver, head, 5);
            assert!(case.batch.targets.iter().filter(|&&t| t > 0).count() > 128);
            let (loss, gradients) = case.fused(2);
            let weights = case.wide();
            let exact = case.exact(&weights);
            assert!((loss - exact).abs() < 1e-5, "{loss} {exact}");
            for (place, gradient) in gradients.iter().enumerate() {
                let gradient: Vec<f64> = gradient.iter().map(|&v| f64::from(v)).collect();
                let size = norm(&gradient);
                // Along the gradient itself the loss changes by |g|·ε.
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    for (value, g) in weights[place].iter_mut().zip(&gradient) {
                        *value += by * g / size;
                    }
                    case.exact(&weights)
                };
                let numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                assert!((numeric - size).abs() <= 1e-4 * size, "{place}: {numeric} {size}");
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for &solver in Solver::WITH_STATE {
        for &head in Head::ALL {
            let case = large(solver, head, 6);
            let (loss, gradients) = case.fused(1);
            for threads in [2, 3] {
                let (other, others) = case.fused(threads);
                assert_eq!(loss.to_bits(), other.to_bits());
                assert!(gradients == others, "{solver:?} {head:?} {threads}");
            }
        }
    }
}

#[test]
fn a_batch_without_targets_has_no_loss_and_no_gradient() {
    let mut case = large(Solver::Rk4, Head::Tied, 7);
    case.batch.targets.fill(0);
    let (loss, gradients) = case.fused(2);
    assert_eq!(loss, 0.0);
    assert!(gradients.iter().flatten().all(|&v| v == 0.0));
}

#[test]
fn zero_gaps_change_nothing_and_leave_the_field_without_a_gradient() {
    for &solver in Solver::WITH_STATE {
        let mut case = large(solver, Head::Linear, 8);
        case.batch.dt.fill(0.0);
        let (loss, gradients) = case.fused(1);
        let scale = usize::from(case.settings.learns_time_scale());
        let flow = 5..5 + flow::weights(solver).len() + scale;
        assert!(gradients[flow.clone()].iter().flatten().all(|&v| v == 0.0));
        case.settings.solver = Solver::Gru;
        case.weights.drain(flow);
        assert_eq!(case.fused(1).0.to_bits(), loss.to_bits());
    }
}

#[test]
fn cross_entropy_by_hand() {
    // All weights zero: the state is zero, and scores are the biases 0, ln 2, 0, with softmax
    // 1/4, 1/2, 1/4.
    let settings = ModelSettings {
        solver: Solver::Gru,
        hidden: 4,
        targets: Targets::Last,
        ..Default::default()
    };
    let mut case = Case::random(settings, [3, 2, 1], 1);
    case.weights.iter_mut().for_each(|values| values.fill(0.0));
    case.weights[6][1] = std::f32::consts::LN_2;
    case.batch.items = vec![1, 2];
    case.batch.targets = vec![1, 2];
    let (loss, gradients) = case.fused(1);
    assert!((loss - (4f64.ln() + 2f64.ln()) / 2.0).abs() < 1e-6, "{loss}");
    // Half of (1/4 − 1) + 1/4, 1/2 + (1/2 − 1), 1/4 + 1/4.
    for (ours, expected) in gradients[6].iter().zip([-0.25, 0.0, 0.25]) {
        assert!((ours - expected).abs() < 1e-7, "{ours} {expected}");
    }
}

#[test]
fn scores_far_apart_do_not_overflow() {
    let mut case = large(Solver::Gru, Head::Linear, 9);
    case.weights[6][700] = 1e4;
    let exact = case.exact(&case.wide());
    let (loss, gradients) = case.fused(1);
    assert!((loss - exact).abs() < 1e-5 * exact, "{loss} {exact}");
    assert!(gradients.iter().flatten().all(|v| v.is_finite()));
}

#[test]
fn a_weight_that_is_not_a_number_is_not_hidden() {
    let mut case = large(Solver::Gru, Head::Linear, 9);
    case.weights[5][3] = f32::NAN;
    let (loss, gradients) = case.fused(1);
    assert!(loss.is_nan() && gradients[5].iter().any(|v| v.is_nan()));
}

/// Adam, one value at a time.
struct Scalar {
    first: f64,
    second: f64,
}

#[test]
fn adam_follows_a_scalar_transcription() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // More than a chunk, and not a multiple of the lanes.
    let sizes = [40_003usize, 5];
    for (weight_decay, clip_norm) in [(0.0, 0.0), (0.1, 0.0), (0.0, 1.0), (0.3, 1e9)] {
        let mut draw = || -> Vec<Vec<f32>> {
            sizes.map(|size| (0..size).map(|_| rng.random::<f32>() - 0.5).collect()).to_vec()
        };
        let how = Update { learning_rate: 0.01, weight_decay, clip_norm };
        let mut weights = draw();
        let mut exact: Vec<f64> = weights.iter().flatten().map(|&v| f64::from(v)).collect();
        let mut states: Vec<Scalar> =
            exact.iter().map(|_| Scalar { first: 0.0, second: 0.0 }).collect();
        let mut adam = FusedAdam::new(&sizes);
        let (mut others, mut other) = (weights.clone(), FusedAdam::new(&sizes));
        for t in 1..=4i32 {
            let gradients = draw();
            let norm = adam.step(&mut weights, &gradients, how, 1);
            assert_eq!(norm.to_bits(), other.step(&mut others, &gradients, how, 3).to_bits());
            if t == 2 {
                // As through a checkpoint.
                let (first, second) = other.moments();
                other = FusedAdam::restore(
                    first.to_vec(),
                    second.to_vec(),
                    u64::from(t.unsigned_abs()),
                );
            }
            let wide: Vec<f64> = gradients.iter().flatten().map(|&v| f64::from(v)).collect();
            let length = self::norm(&wide);
            assert!((norm - length).abs() < 1e-9 * length);
            let scale = if clip_norm > 0.0 { (clip_norm / (length + 1e-6)).min(1.0) } else { 1.0 };
            for ((weight, g), state) in exact.iter_mut().zip(wide).zip(&mut states) {
                let g = g * scale;
                state.first = 0.9 * state.first + 0.1 * g;
                state.second = 0.999 * state.second + 0.001 * g * g;
                let corrected = state.first / (1.0 - 0.9f64.powi(t));
                let root = (state.second / (1.0 - 0.999f64.powi(t))).sqrt();
                *weight -= how.learning_rate * weight_decay * *weight;
                *weight -= how.learning_rate * corrected / (root + 1e-8);
            }
        }
        assert!(weights == others && adam.moments() == other.moments());
        for (ours, exact) in weights.iter().flatten().zip(&exact) {
            assert!((f64::from(*ours) - exact).abs() < 2e-6, "{ours} {exact}");
        }
    }
}

/// `cargo test --release -- --ignored --nocapture full_steps`
#[test]
#[ignore = "a measurement"]
fn full_steps_take_this_long() {
    for targets in [Targets::Last, Targets::All] {
        for (solver, head) in [
            (Solver::Gru, Head::Linear),
            (Solver::Euler, Head::Linear),
            (Solver::Rk4, Head::Linear),
            (Solver::Decay, Head::Linear),
            (Solver::Cfc, Head::Linear),
            (Solver::GruOde, Head::Linear),
            (Solver::Gru, Head::Tied),
        ] {
            let settings = ModelSettings { solver, head, targets, ..Default::default() };
            let (items, rows, len) = (3707, 64, 19);
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut batch = Batch::empty(rows, len);
            for at in 0..rows * len {
                batch.items[at] = rng.random_range(1..=items as i32);
                batch.targets[at] = rng.random_range(1..=items as i32);
                batch.dt[at] = rng.random();
            }
            let mut weights: Vec<Vec<f32>> =
                parameters::initial(&settings, items, 1).into_iter().map(|m| m.values).collect();
            let sizes: Vec<usize> = weights.iter().map(Vec::len).collect();
            let mut gradients: Vec<Vec<f32>> = sizes.iter().map(|&n| vec![0.0; n]).collect();
            let how = Update { learning_rate: 1e-3, weight_decay: 0.0, clip_norm: 1.0 };
            for threads in [1, 2] {
                let mut fused = Fused::new(&settings, items, threads);
                let mut adam = FusedAdam::new(&sizes);
                let (mut both, mut alone) = (Vec::new(), Vec::new());
                for _ in 0..60 {
                    let start = Instant::now();
                    fused.loss_and_gradients(&weights, &batch, None, &mut gradients);
                    let middle = start.elapsed();
                    adam.step(&mut weights, &gradients, how, threads);
                    both.push(start.elapsed().as_secs_f64() * 1e3);
                    alone.push(both[both.len() - 1] - middle.as_secs_f64() * 1e3);
                }
                both.sort_by(f64::total_cmp);
                alone.sort_by(f64::total_cmp);
                println!(
                    "{targets:?} {solver:?} {head:?}, {threads} threads: {:.2} ms (least {:.2}), of which Adam {:.2}",
                    both[30], both[0], alone[30]
                );
            }
        }
    }
}
