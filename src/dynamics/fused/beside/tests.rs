use super::Surroundings;
use crate::dynamics::batch::Batch;
use crate::dynamics::excitation::{Moment, Timeline};
use crate::dynamics::fused::Fused;
use crate::dynamics::packed::{PackedSystem1, Step};
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::TimeWarp;
use crate::settings::{Head, ItemDynamics, ModelSettings, Solver, Targets};

const HOUR: i64 = 3_600_000;
const ITEMS: usize = 700;

fn settings(targets: Targets, head: Head) -> ModelSettings {
    ModelSettings {
        solver: Solver::Gru,
        hidden: 6,
        item_dynamics: ItemDynamics::Both,
        targets,
        head,
        ..Default::default()
    }
}

/// Initial weights with the state's and the clock's say in the item dynamics.
fn weights(settings: &ModelSettings) -> Vec<Matrix> {
    let mut weights = parameters::initial(settings, ITEMS, 3);
    let says =
        |matrix: &&mut Matrix| ["items.by_state", "items.by_clock"].contains(&matrix.name.as_str());
    for matrix in weights.iter_mut().filter(says) {
        for (place, value) in matrix.values.iter_mut().enumerate() {
            *value = 0.3 * (place as f32).sin();
        }
    }
    weights
}

/// User `user`'s events.
fn history(user: usize) -> (Vec<u32>, Vec<i64>) {
    let place = |place: usize| ((user * 31 + place * place * 7) % ITEMS) as u32;
    let times = (0..7).map(|place| (user as i64 + 5 * place) * HOUR);
    ((0..7).map(place).collect(), times.collect())
}

fn timeline() -> Timeline {
    let users: Vec<_> = (0..200).map(history).collect();
    Timeline::new(ITEMS, users.iter().map(|(items, times)| (items.as_slice(), times.as_slice())))
}

fn batch() -> Batch {
    let mut batch = Batch::empty(20, 6);
    for row in 0..20 {
        let (items, times) = history(9 * row);
        batch.put(row, &items[..6], &times[..6], times[6], Some(items[6]), TimeWarp::LINEAR);
    }
    batch
}

fn run(
    settings: &ModelSettings,
    weights: &[Vec<f32>],
    mask_seen: bool,
    threads: usize,
) -> (f64, Vec<Vec<f32>>) {
    let timeline = timeline();
    let around = Surroundings { timeline: Some(&timeline), behind: &[], mask_seen };
    beside(settings, weights, around, threads)
}

fn beside(
    settings: &ModelSettings,
    weights: &[Vec<f32>],
    around: Surroundings<'_>,
    threads: usize,
) -> (f64, Vec<Vec<f32>>) {
    let mut gradients: Vec<Vec<f32>> = weights.iter().map(|v| vec![f32::NAN; v.len()]).collect();
    let mut fused = Fused::new(settings, ITEMS, threads);
    let loss = fused.loss_beside(weights, &batch(), None, around, &mut gradients);
    (loss, gradients)
}

fn values(weights: Vec<Matrix>) -> Vec<Vec<f32>> {
    weights.into_iter().map(|matrix| matrix.values).collect()
}

#[test]
fn gradients_are_the_differences_of_the_loss() {
    for (targets, head, mask_seen) in [
        (Targets::All, Head::Tied, true),
        (Targets::All, Head::Linear, false),
        (Targets::Last, Head::Linear, true),
    ] {
        let settings = settings(targets, head);
        let weights = values(weights(&settings));
        let (_, gradients) = run(&settings, &weights, mask_seen, 1);
        for (place, gradient) in gradients.iter().enumerate() {
            let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!(norm > 0.0 && norm.is_finite(), "parameter {place}");
            let moved = |by: f64| {
                let mut weights = weights.clone();
                for (value, g) in weights[place].iter_mut().zip(gradient) {
                    *value += (by * f64::from(*g) / norm) as f32;
                }
                run(&settings, &weights, mask_seen, 1).0
            };
            let numeric = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((numeric - norm).abs() < 1e-2 * norm + 1e-4, "{place}: {numeric} {norm}");
        }
    }
}

#[test]
fn training_scores_as_serving_does_and_threads_change_nothing() {
    let settings = settings(Targets::Last, Head::Tied);
    let weights = weights(&settings);
    let packed = PackedSystem1::new(&settings, ITEMS, &weights);
    let (timeline, batch) = (timeline(), batch());
    let mut workspace = packed.workspace();
    for mask_seen in [false, true] {
        let mut expected = 0.0;
        for row in 0..20 {
            let (items, times) = history(9 * row);
            let steps: Vec<Step> = items[..6].iter().map(|&item| Step { dt: 0.0, item }).collect();
            let mut state = vec![0.0; 6];
            packed.advance(&mut workspace, &mut state, &[&steps]);
            let mut scores = vec![0.0; ITEMS];
            packed.scores(&mut workspace, &state, &mut scores);
            let plain = scores.clone();
            let moment = Moment::at(&items[..6], &times[..6], times[6]);
            packed.lift().unwrap().apply(&timeline, &[moment], &state, &mut scores);
            assert_ne!(plain, scores);
            let out = |item: usize| {
                mask_seen && item != items[6] as usize && items[..6].contains(&(item as u32))
            };
            let total: f64 = (0..ITEMS)
                .filter(|&item| !out(item))
                .map(|item| f64::from(scores[item]).exp())
                .sum();
            expected += total.ln() - f64::from(scores[items[6] as usize]);
        }
        let values = values(weights.clone());
        let (loss, gradients) = run(&settings, &values, mask_seen, 1);
        assert!((loss - expected / 20.0).abs() < 1e-5 * loss, "{loss} {}", expected / 20.0);
        assert_eq!(batch.rows, 20);
        let (again, others) = run(&settings, &values, mask_seen, 3);
        assert!(loss.to_bits() == again.to_bits() && gradients == others);
    }
}

#[test]
fn a_state_whose_timeline_is_behind_knows_nothing_of_what_others_did_since() {
    for targets in [Targets::All, Targets::Last] {
        let settings = settings(targets, Head::Tied);
        let weights = values(weights(&settings));
        let (timeline, nothing) = (timeline(), Timeline::new(ITEMS, std::iter::empty()));
        let loss = |timeline: &Timeline, behind: &[i64]| {
            let around = Surroundings { timeline: Some(timeline), behind, mask_seen: false };
            beside(&settings, &weights, around, 1).0
        };
        let known = loss(&timeline, &[]);
        assert_eq!(loss(&timeline, &[0; 6 * 20]), known);
        let unknown = loss(&timeline, &[i64::MAX; 6 * 20]);
        assert_eq!(unknown, loss(&nothing, &[]), "{targets:?}");
        assert_ne!(unknown, known);
        // The last event of one history alone.
        let mut behind = [0; 6 * 20];
        behind[5 * 20 + 4] = i64::MAX;
        let one = loss(&timeline, &behind);
        assert!(one != known && one != unknown, "{targets:?}");
    }
}
