//! Against an f64 forward written from the formulas, its finite differences, and by hand.

mod oracle;

use pulp::Arch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Attention, Reader, Task};
use crate::dynamics::batch::Batch;
use crate::dynamics::fused::step::Scoring;
use crate::dynamics::fused::weights::Named;
use crate::dynamics::fused::{
    Dropout, Fused, FusedAdam, Negatives, SparseGradients, Update, head, plan,
};
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, IntervalScale, ModelSettings, Solver, Targets};

const DAY: i64 = 86_400_000;
const BOTH: [Solver; 2] = [Solver::SasRec, Solver::TiSasRec];

/// A model, a batch, masks.
struct Case {
    settings: ModelSettings,
    items: usize,
    weights: Vec<Matrix>,
    batch: Batch,
    dropout: Option<Dropout>,
}

impl Case {
    /// Random weights and histories of random lengths, the first one full, the second one empty.
    fn random(settings: ModelSettings, [items, rows, len]: [usize; 3], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = parameters::initial(&settings, items, seed);
        for value in weights.iter_mut().skip(1).flat_map(|matrix| &mut matrix.values) {
            *value += 0.4 * (rng.random::<f32>() - 0.5);
        }
        let mut batch = Batch::empty(rows, len);
        for row in 0..rows {
            let count = match row {
                0 => len,
                1 => 0,
                _ => rng.random_range(0..=len),
            };
            let history: Vec<u32> = (0..count).map(|_| rng.random_range(0..items as u32)).collect();
            let gaps = [0, 7_000, DAY, 3 * DAY, 90 * DAY];
            let mut time = 0;
            let times: Vec<i64> = (0..count)
                .map(|_| {
                    time += gaps[rng.random_range(0..gaps.len())];
                    time
                })
                .collect();
            let next = rng.random_range(0..items as u32);
            batch.put(row, &history, &times, time + DAY, Some(next), TimeWarp::of(&settings));
        }
        // Some positions are not asked about.
        for position in (1..len - 1).step_by(3) {
            batch.targets[position * rows] = 0;
        }
        let dropout = (settings.dropout > 0.0).then(|| {
            let kept = (1.0 / (1.0 - settings.dropout)) as f32;
            let mut mask = |rows: usize| {
                (0..rows * settings.hidden)
                    .map(|_| if rng.random::<f64>() < settings.dropout { 0.0 } else { kept })
                    .collect()
            };
            Dropout { input: mask(rows * len), state: mask(2 * settings.blocks * rows * len) }
        });
        Self { settings, items, weights, batch, dropout }
    }

    fn values(&self) -> Vec<Vec<f32>> {
        self.weights.iter().map(|matrix| matrix.values.clone()).collect()
    }

    fn fused(&self, threads: usize) -> (f64, Vec<Vec<f32>>) {
        let weights = self.values();
        let mut gradients: Vec<Vec<f32>> =
            weights.iter().map(|values| vec![f32::NAN; values.len()]).collect();
        let mut fused = Fused::new(&self.settings, self.items, threads);
        let mut run = || {
            let dropout = self.dropout.as_ref();
            fused.loss_and_gradients(&weights, &self.batch, dropout, &mut gradients)
        };
        // Twice: what a step leaves in the buffers must not matter to the next.
        let first = run();
        assert_eq!(first.to_bits(), run().to_bits());
        (first, gradients)
    }

    fn exact(&self, weights: &[Vec<f64>]) -> f64 {
        oracle::loss(&self.settings, self.items, weights, &self.batch, self.dropout.as_ref())
    }

    fn wide(&self) -> Vec<Vec<f64>> {
        let wide = |matrix: &Matrix| matrix.values.iter().map(|&v| f64::from(v)).collect();
        self.weights.iter().map(wide).collect()
    }
}

/// Every combination of the options that change a formula.
fn combinations() -> Vec<ModelSettings> {
    let mut all = Vec::new();
    for solver in BOTH {
        for &head in Head::ALL {
            for &targets in Targets::ALL {
                for (query_gap, interval_scale) in [
                    (false, IntervalScale::Shortest),
                    (true, IntervalScale::Shortest),
                    (true, IntervalScale::Logarithmic),
                ] {
                    for (blocks, heads, dropout) in [(1, 1, 0.0), (2, 2, 0.3), (2, 3, 0.0)] {
                        all.push(ModelSettings {
                            solver,
                            head,
                            targets,
                            query_gap,
                            interval_scale,
                            blocks,
                            heads,
                            dropout,
                            intervals: 7,
                            hidden: 6,
                            ..Default::default()
                        });
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
            // Of the positions, those within the window and one beyond.
            let size = if name.starts_with("positions") { 5 * 6 } else { weights[place].len() };
            let mut numeric = Vec::new();
            for at in 0..size {
                let value = weights[place][at];
                let mut moved = |by: f64| {
                    weights[place][at] = value + by;
                    case.exact(&weights)
                };
                numeric.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
                weights[place][at] = value;
            }
            let (own, beyond) = gradients[place].split_at(size);
            assert!(beyond.iter().all(|&v| v == 0.0), "{name}");
            let errors: Vec<f64> =
                own.iter().zip(&numeric).map(|(&a, b)| f64::from(a) - b).collect();
            let (error, size) = (norm(&errors), norm(&numeric));
            assert!(error <= 1e-4 * size + 2e-6, "{name}: {error} of {size}, {settings:?}");
            // A bias of all keys alike moves no attention; everything else moves something.
            assert!(size > 0.0 || settings.targets == Targets::Last, "{name}: {settings:?}");
        }
        assert!(gradients[0][..settings.hidden].iter().all(|&v| v == 0.0), "padding");
    }
}

/// More rows than a shard, more items than a block, more scored states than a chunk.
fn large(solver: Solver, head: Head, seed: u64) -> Case {
    let settings = ModelSettings {
        solver,
        head,
        hidden: 72,
        heads: 3,
        query_gap: true,
        dropout: 0.2,
        ..Default::default()
    };
    Case::random(settings, [1100, 37, 11], seed)
}

#[test]
fn large_shapes_match_the_f64_forward_along_the_gradient() {
    for solver in BOTH {
        let case = large(solver, Head::Tied, 5);
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
            assert!((numeric - size).abs() <= 1e-3 * size, "{place}: {numeric} {size}");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for solver in BOTH {
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
fn with_every_item_drawn_the_sampled_softmax_is_the_whole_one() {
    for solver in BOTH {
        let settings = ModelSettings { solver, hidden: 8, head: Head::Tied, ..Default::default() };
        let case = Case::random(settings, [30, 20, 5], 3);
        let (expected, whole) = case.fused(2);
        let negatives = Negatives { items: (0..30).collect(), log_expected: vec![0.0; case.items] };
        let mut sparse = SparseGradients::default();
        let mut fused = Fused::new(&case.settings, case.items, 2);
        let loss = fused.loss_and_sparse_gradients(
            &case.values(),
            &case.batch,
            None,
            &negatives,
            &mut sparse,
        );
        assert!((loss - expected).abs() < 1e-6 * expected, "{loss} {expected}");
        for (sparse, whole) in sparse.dense.iter().zip(&whole).skip(1) {
            for (a, b) in sparse.iter().zip(whole) {
                assert!((a - b).abs() < 2e-6 + 1e-4 * b.abs(), "{a} {b}");
            }
        }
    }
}

/// States after the last position, of a history of `items` a day apart, padded to `len`.
fn state(case: &Case, items: &[u32], times: &[i64], len: usize) -> Vec<f32> {
    let mut batch = Batch::empty(1, len);
    let query = times.last().copied().unwrap_or(0) + DAY;
    batch.put(0, items, times, query, None, TimeWarp::of(&case.settings));
    Reader::new(&case.settings, case.items, &case.weights).states(&batch)
}

#[test]
fn the_reader_gives_the_states_of_the_formulas_and_padding_moves_nothing() {
    for solver in BOTH {
        let settings =
            ModelSettings { solver, hidden: 12, heads: 2, query_gap: true, ..Default::default() };
        let case = Case::random(settings, [9, 5, 6], 4);
        let reader = Reader::new(&case.settings, case.items, &case.weights);
        let states = reader.states(&case.batch);
        for (row, state) in states.chunks_exact(12).enumerate() {
            let exact = oracle::last_state(&case.settings, &case.wide(), &case.batch, row);
            let exact = exact.unwrap_or_else(|| vec![0.0; 12]);
            for (ours, exact) in state.iter().zip(exact) {
                assert!((f64::from(*ours) - exact).abs() < 1e-4, "{solver:?} {row}");
            }
        }
        assert!(states[12..24].iter().all(|&v| v == 0.0), "an empty history");
        let times = [0, DAY, 5 * DAY];
        let short = state(&case, &[3, 1, 4], &times, 3);
        assert_eq!(short, state(&case, &[3, 1, 4], &times, 11));
        // Whatever the embedding of the padding holds.
        let mut other = Case::random(case.settings.clone(), [9, 5, 6], 4);
        other.weights[0].values[..12].fill(7.0);
        assert_eq!(short, state(&other, &[3, 1, 4], &times, 11));
    }
}

#[test]
fn a_later_event_does_not_reach_an_earlier_position() {
    for solver in BOTH {
        for &interval_scale in IntervalScale::ALL {
            let settings = ModelSettings {
                solver,
                interval_scale,
                hidden: 8,
                targets: Targets::All,
                ..Default::default()
            };
            let case = Case::random(settings, [9, 1, 5], 8);
            // The loss at the position before the last only, whose answer stays the same.
            let loss = |last: u32, time: i64| {
                let mut batch = Batch::empty(1, 5);
                let times = [0, DAY, 2 * DAY, 9 * DAY, time];
                batch.put(0, &[5, 2, 2, 7, last], &times, 99 * DAY, Some(1), TimeWarp::LINEAR);
                batch.targets.fill(0);
                batch.targets[3] = 4;
                let mut gradients = case.values();
                Fused::new(&case.settings, case.items, 1).loss_and_gradients(
                    &case.values(),
                    &batch,
                    None,
                    &mut gradients,
                )
            };
            let first = loss(0, 10 * DAY);
            assert_eq!(first.to_bits(), loss(8, 10 * DAY).to_bits(), "another item");
            assert_eq!(first.to_bits(), loss(0, 9 * DAY + 5).to_bits(), "another time");
        }
    }
}

#[test]
fn only_tisasrec_looks_at_the_clock() {
    for solver in BOTH {
        let settings = ModelSettings { solver, hidden: 8, ..Default::default() };
        let case = Case::random(settings, [9, 1, 5], 8);
        let of = |times: &[i64]| state(&case, &[1, 2, 3], times, 4);
        let even = of(&[0, DAY, 2 * DAY]);
        assert_eq!(even == of(&[0, DAY, 40 * DAY]), solver == Solver::SasRec);
        // In multiples of the shortest, equal gaps say the same whatever they are.
        let mut shortest = case;
        shortest.settings.interval_scale = IntervalScale::Shortest;
        let of = |times: &[i64]| state(&shortest, &[1, 2, 3], times, 4);
        assert_eq!(of(&[0, DAY, 2 * DAY]), of(&[0, 9 * DAY, 18 * DAY]));
    }
}

#[test]
fn a_batch_without_targets_has_no_loss_and_no_gradient() {
    let mut case = large(Solver::TiSasRec, Head::Tied, 7);
    case.batch.targets.fill(0);
    let (loss, gradients) = case.fused(2);
    assert_eq!(loss, 0.0);
    assert!(gradients.iter().flatten().all(|&v| v == 0.0));
}

/// Counts half the squares of the states, so that they are the derivatives as well.
struct Squares(Vec<f32>);

impl Scoring for Squares {
    fn score(
        &mut self,
        _: &mut head::Buffers,
        states: &mut [f32],
        _: &[plan::Shard],
        _: bool,
    ) -> f64 {
        states.iter().map(|&state| 0.5 * f64::from(state).powi(2)).sum()
    }

    fn embedding(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

#[test]
fn waves_add_up() {
    for solver in BOTH {
        let case = large(solver, Head::Tied, 9);
        let (settings, weights) = (&case.settings, case.values());
        let step = |most: usize| {
            let mut gradients: Vec<Vec<f32>> =
                weights.iter().map(|values| vec![f32::NAN; values.len()]).collect();
            let named = Named::new(settings, weights.iter().map(Vec::as_slice));
            let into = Named::new(settings, gradients.iter_mut().map(Vec::as_mut_slice));
            let mut scoring = Squares(vec![0.0; weights[0].len()]);
            let (batch, dropout) = (&case.batch, case.dropout.as_ref());
            let task = Task { arch: Arch::new(), settings, threads: 2, batch, dropout };
            let mut attention = Attention::default();
            attention.most = most;
            let (shards, mut head) = (plan::shards(settings, batch), head::Buffers::default());
            assert!(shards.len() > 2);
            let loss = attention.step(&task, &named, &shards, into.inner, &mut head, &mut scoring);
            gradients[0] = scoring.0;
            // The head's bias is not this step's.
            gradients.pop();
            (loss, gradients)
        };
        let (loss, gradients) = step(usize::MAX);
        let (in_waves, others) = step(1);
        assert!((loss - in_waves).abs() < 1e-9 * loss);
        for (gradient, other) in gradients.iter().flatten().zip(others.iter().flatten()) {
            assert!((gradient - other).abs() < 1e-4 + 1e-4 * gradient.abs(), "{gradient} {other}");
        }
    }
}

#[test]
fn a_deterministic_pattern_is_learned() {
    // Item i is followed by 3·i + 1 mod 20; whoever knows the last item knows the next.
    let next = |item: u32| (3 * item + 1) % 20;
    for solver in BOTH {
        let settings = ModelSettings {
            solver,
            hidden: 16,
            heads: 2,
            head: Head::Tied,
            targets: Targets::All,
            ..Default::default()
        };
        let mut weights = parameters::initial(&settings, 20, 1);
        let mut values: Vec<Vec<f32>> = weights.iter().map(|one| one.values.clone()).collect();
        let mut batch = Batch::empty(20, 6);
        for row in 0..20 {
            let mut items = vec![row as u32];
            (0..5).for_each(|_| items.push(next(items[items.len() - 1])));
            let times: Vec<i64> = (0..6).map(|place| place * DAY).collect();
            batch.put(row, &items, &times, 6 * DAY, Some(next(items[5])), TimeWarp::LINEAR);
        }
        let mut gradients = values.clone();
        let sizes: Vec<usize> = values.iter().map(Vec::len).collect();
        let (mut adam, mut fused) = (FusedAdam::new(&sizes), Fused::new(&settings, 20, 2));
        let how = Update { learning_rate: 1e-2, weight_decay: 0.0, clip_norm: 1.0 };
        let first = fused.loss_and_gradients(&values, &batch, None, &mut gradients);
        for _ in 0..150 {
            fused.loss_and_gradients(&values, &batch, None, &mut gradients);
            adam.step(&mut values, &gradients, how, 2);
        }
        let last = fused.loss_and_gradients(&values, &batch, None, &mut gradients);
        assert!(first > 2.0 && last < 0.1, "{solver:?}: {first} {last}");
        for (matrix, values) in weights.iter_mut().zip(values) {
            matrix.values = values;
        }
        // A history shorter than any seen, and its best item.
        let reader = Reader::new(&settings, 20, &weights);
        let mut asked = Batch::empty(1, 6);
        asked.put(
            0,
            &[4, next(4), next(next(4))],
            &[0, DAY, 2 * DAY],
            3 * DAY,
            None,
            TimeWarp::LINEAR,
        );
        let mut scores = vec![0.0; 20];
        reader.scores(&reader.states(&asked), &mut scores);
        let best = (0..20).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        assert_eq!(best, Some(next(next(next(4))) as usize), "{solver:?}");
    }
}
