//! An untrained model on the built-in set is enough to see that both systems are asked rightly.

use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::parameters;
use crate::evaluation::fit_temperature;
use crate::jobs::{self, Control};
use crate::routing::Path;
use crate::settings::{LimitMode, RouterMode, RouterSettings, Solver};
use crate::training::scorer::Scorer;
use crate::training::{Prepared, evaluate};

fn context() -> Context<()> {
    jobs::detached(Control::default(), |_, _| ())
}

fn config(mask_seen: bool) -> Config {
    let mut config = Config::load("drift").unwrap();
    config.model.hidden = 8;
    config.model.solver = Solver::Rk4;
    config.evaluation.mask_seen = mask_seen;
    config
}

fn served(config: &Config) -> ServedModel {
    let options = DriftOptions { users: 120, items: 60, ..Default::default() };
    let data = drift(options, || Ok(())).unwrap();
    let prepared = Prepared::from_dataset(&data, config, &context()).unwrap();
    let weights = parameters::initial(&config.model, prepared.data.items(), 3);
    ServedModel::new("test", config, weights, prepared, &context()).unwrap()
}

#[test]
fn system_1_ranks_as_evaluation_does() {
    for mask_seen in [false, true] {
        let config = config(mask_seen);
        let model = served(&config);
        let replay = Replay::run(&model, &config, &context()).unwrap();
        let weights = parameters::initial(&config.model, model.data.items(), 3);
        let mut queries = model.split.test.clone();
        queries.sort_by_key(|query| model.data.time[query.target]);
        let sizes = (model.data.items(), model.split.input_len);
        let scorer = Scorer::new(&config.model, sizes, &weights, 1);
        let expected =
            evaluate::ranks(&scorer, &model.data, &queries, &config.evaluation, || Ok(())).unwrap();
        let ours: Vec<u32> = replay.requests.iter().map(|request| request.rank[0]).collect();
        // Scores that agree to 1e-5 may still swap two neighbours.
        let same = ours.iter().zip(&expected).filter(|(a, b)| a.abs_diff(**b) <= 1).count();
        assert_eq!(same, expected.len(), "{ours:?}\n{expected:?}");
    }
}

#[test]
fn the_temperature_is_that_of_the_items_that_compete() {
    for mask_seen in [false, true] {
        let config = config(mask_seen);
        let model = served(&config);
        let weights = parameters::initial(&config.model, model.data.items(), 3);
        let sizes = (model.data.items(), model.split.input_len);
        let scorer = Scorer::new(&config.model, sizes, &weights, 1);
        let data = &model.data;
        let scores: Vec<f32> = scorer
            .each(data, &model.split.valid, |query, scores| {
                let mut scores = scores.to_vec();
                let target = data.item[query.target];
                for seen in &data.item[data.offsets[query.user]..query.target] {
                    if mask_seen && *seen != target {
                        scores[*seen as usize] = f32::NEG_INFINITY;
                    }
                }
                scores
            })
            .concat();
        let targets: Vec<u32> =
            model.split.valid.iter().map(|query| data.item[query.target]).collect();
        let expected = fit_temperature(&scores, data.items(), &targets).value;
        let ours = model.temperature.value;
        assert!((ours - expected).abs() < 1e-3 * expected, "{mask_seen}: {ours} {expected}");
    }
}

#[test]
fn a_forced_path_gives_that_systems_quality_and_no_budget_gives_none() {
    let config = config(false);
    let model = served(&config);
    let replay = Replay::run(&model, &config, &context()).unwrap();
    let at = |mode, share| {
        let settings = RouterSettings { mode, share, ..config.router.clone() };
        replay.operating(&settings, 20.0).unwrap()
    };
    let fast = at(RouterMode::Fast, 1.0);
    assert_eq!((fast.escalated, fast.cost_per_1000), (0.0, 0.0));
    assert_eq!(fast.quality, fast.system1);
    let slow = at(RouterMode::Slow, 0.0);
    assert_eq!(slow.escalated, 1.0);
    assert_eq!(slow.quality, slow.system2);
    assert!(slow.cost_per_1000 > 0.0 && slow.mean_latency_ms >= 200.0);
    // An untrained model is lost about everything.
    let denied = at(RouterMode::Auto, 0.0);
    assert_eq!(denied.uncertain, 1.0);
    // The share cap starts with one credit.
    assert!(denied.escalated <= 1.0 / denied.requests as f64);
    assert!((denied.escalated + denied.denied - 1.0).abs() < 1e-12);
}

#[test]
fn an_observed_limit_denies_nothing_and_an_enforced_one_holds() {
    let config = config(false);
    let model = served(&config);
    let replay = Replay::run(&model, &config, &context()).unwrap();
    let observed = RouterSettings {
        rate_limit: LimitMode::Observed,
        share_limit: LimitMode::Observed,
        cost_limit: LimitMode::Observed,
        ..config.router.clone()
    };
    let open = replay.operating(&observed, 20.0).unwrap();
    assert_eq!((open.escalated, open.denied), (open.uncertain, 0.0));
    let enforced = RouterSettings { rate_limit: LimitMode::Enforced, rate: 1.0, ..observed };
    let outcomes = replay.route(&enforced, 20.0);
    let escalated = outcomes.iter().filter(|o| o.path == Path::SlowPath).count() as f64;
    let seconds = (outcomes.len() - 1) as f64 / 20.0;
    assert!(escalated <= enforced.capacity + enforced.rate * seconds, "{escalated} in {seconds} s");
    assert!(escalated >= (enforced.rate * seconds).floor(), "{escalated} in {seconds} s");
}

#[test]
fn the_same_run_replays_to_the_same_decisions_and_can_be_stopped() {
    let config = config(false);
    let model = served(&config);
    let decisions = || {
        let replay = Replay::run(&model, &config, &context()).unwrap();
        let all = replay.requests.iter();
        all.map(|request| (request.uncertainty, request.rank)).collect::<Vec<_>>()
    };
    assert_eq!(decisions(), decisions());
    let control = Control::default();
    control.cancel();
    let stopped = jobs::detached::<()>(control, |_, _| ());
    assert!(matches!(Replay::run(&model, &config, &stopped), Err(ServeError::Cancelled(_))));
}

#[test]
fn a_reasoner_that_is_really_asked_ranks_as_the_mock_does_and_takes_its_time() {
    let mut config = config(true);
    config.reasoner.mock_latency = false;
    let model = served(&config);
    let at_once = Replay::run(&model, &config, &context()).unwrap();
    let asked = Second::reasoner(&model, &config).unwrap();
    assert!(asked.is_slow());
    let asked = Replay::with(&model, &config, MOST, asked, &context()).unwrap();
    assert_eq!(asked.requests.len(), at_once.requests.len());
    for (asked, expected) in asked.requests.iter().zip(&at_once.requests) {
        // It is asked for ten items; behind those System 1's order stays.
        if expected.rank[1] <= 10 {
            assert_eq!(asked.rank[1], expected.rank[1]);
        } else {
            assert!(asked.rank[1] > 10);
        }
        assert!(!asked.failed && asked.tokens[0] > 0 && asked.tokens[1] > 0);
        // Measured, and not the 0.2 s that the simulation takes at least.
        assert!(asked.latency_ms[1] > asked.latency_ms[0]);
    }
    let few = Replay::ask(&model, &config, 10, &context()).unwrap();
    assert!(few.requests.len() <= 10);
}

#[test]
fn a_cancelled_replay_does_not_wait_for_its_answer() {
    let config = config(true);
    let model = served(&config);
    let control = Control::default();
    control.cancel();
    let context: Context<()> = jobs::detached(control, |_, _| ());
    let second = Second::reasoner(&model, &config).unwrap();
    let stopped = Replay::with(&model, &config, MOST, second, &context);
    assert!(matches!(stopped, Err(ServeError::Cancelled(_))));
}
