use super::learned::Mlp;
use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::parameters;
use crate::jobs::{self, Control};
use crate::training::Prepared;

fn context() -> Context<Event> {
    jobs::detached(Control::default(), |_, _| ())
}

/// An untrained model on the built-in set: which of its requests gain from System 2 is all but
/// chance to it.
fn untrained() -> (ServedModel, Config) {
    let mut config = Config::load("drift").unwrap();
    config.model.hidden = 8;
    config.experiment.resamples = 200;
    let options = DriftOptions { users: 600, items: 60, ..Default::default() };
    let data = drift(options, || Ok(())).unwrap();
    let prepared = Prepared::from_dataset(&data, &config, &context()).unwrap();
    let weights = parameters::initial(&config.model, prepared.data.items(), 3);
    (ServedModel::new("test", &config, weights, prepared, &context()).unwrap(), config)
}

#[test]
fn the_oracle_is_perfect_bounds_every_other_and_a_random_score_knows_nothing() {
    let (model, config) = untrained();
    let replay = Replay::run(&model, &config, &context()).unwrap();
    let findings = judge(&model, &replay, &config, &context()).unwrap();
    let of = |name: &str, key: &str| findings.row(name).unwrap().value(key);
    assert_eq!((of("Oracle", "accuracy"), of("Oracle", "auroc")), (Some(1.0), Some(1.0)));
    let random = of("Random", "auroc").unwrap();
    assert!((random - 0.5).abs() < 0.1, "{random}");
    let (fast, slow) =
        (of("Always fast", "accuracy").unwrap(), of("Always slow", "accuracy").unwrap());
    assert!((fast + slow - 1.0).abs() < 1e-12, "one is the base rate, the other the rest");
    assert_eq!(of("Always fast", "escalated"), Some(0.0));
    // No order of requests recovers more of the gap, or keeps fewer risks, than the oracle's.
    for row in &findings.rows {
        if let (Some(apgr), Some(best)) = (row.value("apgr"), of("Oracle", "apgr")) {
            assert!(apgr <= best + 1e-9, "{}", row.name);
        }
        if let (Some(aurc), Some(best)) = (row.value("aurc"), of("Oracle", "aurc")) {
            assert!(aurc >= best - 1e-9, "{}", row.name);
        }
    }
    assert!(of("MLP", "decision_us").unwrap() > 0.0);
}

#[test]
fn the_mlp_learns_what_can_be_learned_and_nothing_from_noise() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |n: usize| -> Vec<Vec<f32>> {
        use rand::RngExt;
        (0..n).map(|_| (0..4).map(|_| random.random::<f32>()).collect()).collect()
    };
    let (learn, held, test) = (draw(400), draw(200), draw(400));
    // Not linear: the first two inputs on the same side.
    let rule = |rows: &[Vec<f32>]| -> Vec<bool> {
        rows.iter().map(|row| (row[0] > 0.5) == (row[1] > 0.5)).collect()
    };
    let mlp = Mlp::train((&learn, &rule(&learn)), (&held, &rule(&held)), 1, &context()).unwrap();
    let learned = auroc(&mlp.scores(&test), &rule(&test)).unwrap();
    assert!(learned > 0.9, "{learned}");
    let mut noise = |n: usize| -> Vec<bool> { draw(n).iter().map(|row| row[0] > 0.5).collect() };
    let (ours, theirs, other) = (noise(400), noise(200), noise(400));
    let mlp = Mlp::train((&learn, &ours), (&held, &theirs), 1, &context()).unwrap();
    let learned = auroc(&mlp.scores(&test), &other).unwrap();
    assert!((learned - 0.5).abs() < 0.1, "{learned}");
}

#[test]
fn the_logit_of_the_mlp_has_the_sign_of_what_it_says() {
    // Two cases told apart by their only input: the logits lie on both sides of 0.
    let cases = (&[vec![-1.0], vec![1.0]][..], &[false, true][..]);
    let mlp = Mlp::train(cases, cases, 1, &context()).unwrap();
    assert!(mlp.score(&[-1.0]) < 0.0 && mlp.score(&[1.0]) > 0.0);
}
