use super::*;
use crate::data::Dataset;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::device::DeviceChoice;
use crate::jobs::{Context, Control, detached};
use crate::runs::{MetricRecord, RunState, RunStore};
use crate::settings::{Config, Value};
use crate::training::trainer::lost::lose_device;
use crate::training::{Plan, Prepared, ablation};

/// Nine trials of at most nine epochs: rungs of 9, 3 and 1.
fn config() -> Config {
    let mut config = Config::default();
    for setting in [
        "model.solver=euler",
        "model.query_gap=true",
        "training.epochs=9",
        "training.batch_size=16",
        "training.checkpoint_seconds=0",
        "tuning.trials=9",
        "tuning.space=training.learning_rate=1e-3..1e-1 log, model.hidden=4|8, model.dropout=0..0.3",
    ] {
        config.set_text(setting).unwrap();
    }
    config
}

fn data() -> Dataset {
    let options = DriftOptions { users: 80, items: 30, ..DriftOptions::default() };
    drift(options, || Ok(())).unwrap()
}

fn quiet() -> Context<TuneEvent> {
    detached(Control::default(), |_, _| ())
}

fn prepared(config: &Config) -> Prepared {
    Prepared::from_dataset(&data(), config, &quiet()).unwrap()
}

/// A store, and where it is while it lives.
fn store() -> (tempfile::TempDir, RunStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(Some(folder.path())).unwrap();
    (folder, store)
}

fn begin(config: &Config, group: &str, prepared: &Prepared) -> Search {
    Search::new(config, group, &prepared.record.fingerprint).unwrap()
}

fn go(search: Search, prepared: Prepared, store: &RunStore) -> Result<Search, TuneError> {
    run(search, &Cuts::of(prepared), store, &DeviceChoice::Cpu, &quiet())
}

/// What must not depend on when it was done, and in how many parts.
fn essence(search: &Search) -> Vec<Trial> {
    let timeless = |trial: &Trial| Trial { run: None, seconds: 0.0, ..trial.clone() };
    search.trials.iter().map(timeless).collect()
}

#[test]
fn halving_keeps_the_best_third_of_each_rung_and_tests_only_the_winner() {
    let ((_folder, store), config) = (store(), config());
    let prepared = prepared(&config);
    let search = go(begin(&config, "halving", &prepared), prepared, &store).unwrap();

    let trained = |epochs: usize| -> Vec<&Trial> {
        search.trials.iter().filter(|trial| trial.epochs == epochs).collect()
    };
    assert_eq!([trained(1).len(), trained(3).len(), trained(9).len()], [6, 2, 1]);
    assert!(trained(1).iter().chain(&trained(3)).all(|trial| trial.status == Status::Dropped));
    let best = search.best_trial().unwrap();
    assert_eq!((best.status, best.epochs, best.rungs), (Status::Best, 9, 3));

    // Whoever was dropped was no better than whoever went on, at the epochs of that rung.
    let best_until = |trial: &Trial, epochs: usize| {
        let metrics = store.metrics(trial.run.as_ref().unwrap()).unwrap();
        let scores = metrics.iter().filter_map(|record| match record {
            MetricRecord::Epoch { epoch, valid_ndcg10, .. } if *epoch <= epochs => {
                Some(*valid_ndcg10)
            }
            _ => None,
        });
        scores.fold(f64::NEG_INFINITY, f64::max)
    };
    for epochs in [1, 3] {
        let survivors = search.trials.iter().filter(|trial| trial.epochs > epochs);
        let worst = survivors.map(|trial| best_until(trial, epochs)).fold(f64::INFINITY, f64::min);
        for dropped in trained(epochs) {
            assert!(best_until(dropped, epochs) <= worst, "{dropped:?}");
            assert_eq!(dropped.valid_ndcg10, Some(best_until(dropped, epochs)));
        }
    }

    // Trials are runs of one group; those that are out are put away and were never tested.
    for trial in &search.trials {
        let entry = store.find(trial.run.as_ref().unwrap()).unwrap();
        assert_eq!(entry.settings().unwrap().ablation.group, "halving");
        let won = trial.status == Status::Best;
        assert_eq!(entry.archived, !won);
        assert_eq!(entry.state == RunState::Done, won);
        assert_eq!(entry.path.join("ranks.csv").exists(), won);
    }
    let tested = search.tested.as_ref().unwrap();
    let summary = store.find(&tested.run).unwrap().summary.unwrap();
    assert_eq!(tested.ndcg10, summary.ndcg10);
    assert_eq!(Search::load(&store, "halving").unwrap(), search);
}

#[test]
fn the_winner_is_to_the_rank_what_training_its_preset_gives() {
    let ((_folder, store), mut config) = (store(), config());
    // The schedule is laid over all epochs, so that pauses at rungs do not bend it.
    config.set_text("training.schedule=cosine").unwrap();
    let made = prepared(&config);
    let search = go(begin(&config, "paused", &made), made, &store).unwrap();
    let best = search.best_trial().unwrap();
    let preset = search.preset_of(best).unwrap();
    assert!(preset.ablation.group.is_empty());
    let mut again = Config::from_toml(&preset.to_toml(), "preset").unwrap();
    assert_eq!(again, preset);
    again.ablation.seeds = 1;
    let plan = Plan::from_config(&again, DeviceChoice::Cpu).unwrap();
    let context = detached(Control::default(), |_, _| ());
    ablation::run(&plan, &prepared(&again), &store, &context).unwrap();
    let plain = store.find("latest").unwrap().id;
    let tested = search.tested.unwrap().run;
    assert_ne!(plain, tested);
    assert_eq!(store.ranks(&plain).unwrap(), store.ranks(&tested).unwrap());
}

#[test]
fn the_test_queries_decide_nothing() {
    let config = config();
    let ((_a, honest), (_b, other)) = (store(), store());
    let made = prepared(&config);
    let first = go(begin(&config, "test", &made), made, &honest).unwrap();
    // One test query instead of eighty, and one that asks for something else.
    let mut made = prepared(&config);
    made.split.test.truncate(1);
    made.split.test[0].target -= 2;
    let second = go(begin(&config, "test", &made), made, &other).unwrap();
    assert_eq!(essence(&first), essence(&second));
    assert_ne!(first.tested.unwrap().ndcg10.n, second.tested.unwrap().ndcg10.n);
}

#[test]
fn stopped_anywhere_it_goes_on_to_the_same_end() {
    let config = config();
    let ((_a, undisturbed), (_b, disturbed)) = (store(), store());
    let made = prepared(&config);
    let whole = go(begin(&config, "stopped", &made), made, &undisturbed).unwrap();
    let made = prepared(&config);
    let mut search = begin(&config, "stopped", &made);
    let cuts = Cuts::of(made);
    let mut stops = 0;
    let done = loop {
        let control = Control::default();
        let stop = control.clone();
        let news = std::sync::atomic::AtomicUsize::new(0);
        let context = detached(control, move |_, events| {
            for event in events {
                let counted = matches!(event, TuneEvent::Epoch { .. });
                if counted && news.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 4 {
                    stop.cancel();
                }
            }
        });
        match run(search, &cuts, &disturbed, &DeviceChoice::Cpu, &context) {
            Ok(done) => break done,
            Err(TuneError::Cancelled(_)) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(stops < 50, "it never ends");
        search = Search::load(&disturbed, "latest").unwrap();
    };
    assert!(stops >= 3, "{stops}");
    assert_eq!(essence(&done), essence(&whole));
    assert_eq!(done.best, whole.best);
    assert_eq!(disturbed.list().len(), 9, "no trial was begun twice");
    // An ended search is not run again.
    let again = run(done.clone(), &cuts, &disturbed, &DeviceChoice::Cpu, &quiet()).unwrap();
    assert_eq!(again, done);
    // Stopped before its test was noted, it looks that up and trains nothing.
    let untested = Search { tested: None, ..done.clone() };
    let again = run(untested, &cuts, &disturbed, &DeviceChoice::Cpu, &quiet()).unwrap();
    assert_eq!(again, done);
    assert!(matches!(Search::load(&disturbed, "latest"), Err(TuneError::NotFound { .. })));
}

#[test]
fn a_run_that_was_made_and_not_noted_is_found_again() {
    let ((_folder, store), config) = (store(), config());
    let made = prepared(&config);
    let search = begin(&config, "unnoted", &made);
    drop(store.create("trial-1", &search.config_of(&search.trials[0]).unwrap()).unwrap());
    let left = store.list()[0].id.clone();
    let done = go(search, made, &store).unwrap();
    assert_eq!(done.trials[0].run.as_ref(), Some(&left));
    assert_eq!(store.list().len(), 9);
}

#[test]
fn a_lost_device_stops_the_search_which_goes_on_elsewhere() {
    let config = config();
    let ((_a, undisturbed), (_b, disturbed)) = (store(), store());
    let made = prepared(&config);
    let whole = go(begin(&config, "tuned-kept", &made), made, &undisturbed).unwrap();
    lose_device("tuned-lost", 3);
    let made = prepared(&config);
    let error = go(begin(&config, "tuned-lost", &made), made, &disturbed).unwrap_err();
    assert!(matches!(&error, TuneError::Train(error) if error.is_device()), "{error}");
    let search = Search::load(&disturbed, "tuned-lost").unwrap();
    let done = go(search, prepared(&config), &disturbed).unwrap();
    assert_eq!(essence(&done), essence(&whole));
}

#[test]
fn random_search_trains_every_trial_to_the_end() {
    let ((_folder, store), mut config) = (store(), config());
    for setting in ["tuning.method=random", "tuning.trials=4", "training.epochs=2"] {
        config.set_text(setting).unwrap();
    }
    let made = prepared(&config);
    let search = go(begin(&config, "random", &made), made, &store).unwrap();
    assert!(search.trials.iter().all(|trial| trial.epochs == 2));
    let best = search.best_trial().unwrap().valid_ndcg10.unwrap();
    for trial in &search.trials {
        assert!(trial.valid_ndcg10.unwrap() <= best);
        let won = Some(trial.trial) == search.best;
        assert_eq!(trial.status, if won { Status::Best } else { Status::Finished });
        assert!(matches!(trial.values["model.hidden"], Value::Integer(4 | 8)));
    }
}

#[test]
fn what_cannot_be_searched_or_resumed_says_so() {
    let ((_folder, store), config) = (store(), config());
    let made = prepared(&config);
    for name in ["", "../x", ".hidden", "a b"] {
        let refused = Search::new(&config, name, "");
        assert!(matches!(refused, Err(TuneError::BadName(_))), "{name}");
    }
    let mut bad = config.clone();
    bad.tuning.space = "model.hiden=4".to_owned();
    let text = Search::new(&bad, "bad", "").unwrap_err().to_string();
    assert!(text.contains("model.hidden"), "{text}");

    let search = begin(&config, "mine", &made);
    search.save(&store).unwrap();
    let text = Search::load(&store, "yours").unwrap_err().to_string();
    assert!(text.contains("mine"), "{text}");
    let mut changed = config.clone();
    changed.tuning.seed = 9;
    let text = search.check_settings(&changed).unwrap_err().to_string();
    assert!(text.contains("tuning.seed") && text.contains("--resume mine"), "{text}");
    changed = config.clone();
    changed.training.parallel = 3;
    changed.router.entropy = 0.1;
    assert!(search.check_settings(&changed).is_ok());

    let elsewhere = Search { fingerprint: "other".to_owned(), ..search };
    let error = go(elsewhere, made, &store).unwrap_err();
    assert!(matches!(error, TuneError::OtherData { .. }), "{error}");
}
