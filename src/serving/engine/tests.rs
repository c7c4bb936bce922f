//! An untrained model on a small built-in set answers as well as any.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::adapter::{Adapter, Kind, Size};
use crate::dynamics::parameters::{self, Matrix};
use crate::jobs::{self, Context, Control};
use crate::reasoning::BreakerState;
use crate::routing::{Force, Limit, Path, Reason};
use crate::serving::telemetry::Served;
use crate::serving::wire::{ItemId, RecommendRequest, RecommendResponse};
use crate::settings::{ItemDynamics, LimitMode, ReasonerKind, RouterSettings, Solver};
use crate::training::Prepared;
use crate::training::adapter::{AdapterError, AdapterFile};

fn config() -> Config {
    let mut config = Config::load("drift").unwrap();
    config.model.hidden = 8;
    config.model.solver = Solver::Rk4;
    config.reasoner.mock_latency = false;
    config
}

fn model(seed: u64) -> Arc<ServedModel> {
    let config = config();
    let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
    let data = drift(DriftOptions { users: 80, items: 60, ..Default::default() }, || Ok(()));
    let prepared = Prepared::from_dataset(&data.unwrap(), &config, &context).unwrap();
    let weights = parameters::initial(&config.model, prepared.data.items(), seed);
    let name = format!("seed {seed}");
    Arc::new(ServedModel::new(&name, &config, weights, prepared, &context).unwrap())
}

/// An adapter of a model's GRU, its parts moved by `by`, as a file, and the weights that it merges to.
fn adapter(model: &ServedModel, kind: Kind, by: f32) -> (Vec<u8>, Vec<Matrix>) {
    let names = ["gru.w_input", "gru.w_hidden"].map(str::to_owned).to_vec();
    let adapter = Adapter::new(kind, Size { rank: 2, alpha: 4.0 }, names);
    let mut parts = adapter.initial(&model.weights, 3);
    for part in parts.iter_mut().filter(|part| part.name.ends_with("up")) {
        part.values.iter_mut().for_each(|value| *value += by);
    }
    let bytes = AdapterFile::encode(&adapter, &parts, &model.weights, "a test").unwrap();
    (bytes, adapter.merge(&model.weights, &parts))
}

fn engine(config: Config, model: Arc<ServedModel>) -> Arc<Engine> {
    Engine::start(EngineOptions { model, config, impressions: None, threads: 2 }).unwrap()
}

/// The first `events` events of a history that depends on the user.
fn asks(user: usize, events: usize) -> RecommendRequest {
    let items = (0..events).map(|event| ItemId::Number((1 + (7 * user + 3 * event) % 60) as i64));
    let times = (0..events).map(|event| 0.05 * (event * (1 + user % 5)) as f64);
    RecommendRequest {
        user_id: format!("user {user}"),
        recent_items: items.collect(),
        recent_times: Some(times.collect()),
        ..Default::default()
    }
}

fn items(response: &RecommendResponse) -> Vec<String> {
    response.data.recommendations.iter().map(|one| one.item.to_string()).collect()
}

fn scores(response: &RecommendResponse) -> Vec<f64> {
    response.data.recommendations.iter().map(|one| one.score).collect()
}

#[tokio::test]
async fn a_history_that_grew_is_answered_as_if_it_were_new() {
    let model = model(1);
    let (resumed, cold) = (engine(config(), model.clone()), engine(config(), model));
    for user in 0..5 {
        for events in [3, 4, 9] {
            let request = asks(user, events);
            let ours = resumed.recommend(request.clone(), Force::Fast).await.unwrap();
            // Another name, so that nothing is known of the user.
            let stranger = RecommendRequest { user_id: format!("{user}/{events}"), ..request };
            let fresh = cold.recommend(stranger, Force::Fast).await.unwrap();
            assert_eq!(items(&ours), items(&fresh), "user {user}, {events} events");
            for (ours, fresh) in scores(&ours).iter().zip(scores(&fresh)) {
                assert!((ours - fresh).abs() < 1e-6, "{ours} {fresh}");
            }
            assert_eq!(ours.data.meta.entropy, fresh.data.meta.entropy);
        }
    }
}

#[tokio::test]
async fn the_cache_knows_user_history_path_and_settings() {
    let engine = engine(config(), model(1));
    let cached = async |request: RecommendRequest, force| {
        engine.recommend(request, force).await.unwrap().data.meta.cached
    };
    assert!(!cached(asks(1, 4), Force::Fast).await);
    assert!(cached(asks(1, 4), Force::Fast).await);
    assert!(!cached(asks(1, 5), Force::Fast).await, "another history");
    assert!(!cached(asks(1, 4), Force::Slow).await, "another path");
    let other = RecommendRequest { user_id: "other".to_owned(), ..asks(1, 4) };
    assert!(!cached(other, Force::Fast).await, "another user");
    let later = RecommendRequest { query_time: Some(9.0), ..asks(1, 4) };
    assert!(!cached(later, Force::Fast).await, "another moment");
    let strict = RouterSettings { entropy: 0.2, ..Default::default() };
    engine.configure(&Config { router: strict, ..config() }).unwrap();
    assert!(!cached(asks(1, 4), Force::Fast).await, "other settings");
    let none =
        Config { server: ServerSettings { cache_size: 0, ..Default::default() }, ..config() };
    engine.configure(&none).unwrap();
    for _ in 0..2 {
        assert!(!cached(asks(1, 4), Force::Fast).await, "the cache is off");
    }
}

#[test]
fn models_are_swapped_under_load_without_losing_a_request() {
    let models = [model(1), model(2)];
    let engine = engine(config(), models[0].clone());
    let done = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = Vec::new();
        for client in 0..8usize {
            let (engine, done) = (engine.clone(), done.clone());
            clients.push(tokio::spawn(async move {
                let mut by = [0usize; 2];
                let mut asked = 0;
                while !done.load(Ordering::Relaxed) {
                    let request = asks(client + 8 * (asked % 20), 3 + asked % 7);
                    let answer = engine.recommend(request, Force::No).await.unwrap();
                    assert_eq!(answer.data.recommendations.len(), 10);
                    by[usize::from(answer.data.meta.model == "seed 2")] += 1;
                    asked += 1;
                }
                by
            }));
        }
        for swap in 1..=40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            engine.replace(models[swap % 2].clone(), &config()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        let mut by = [0, 0];
        for client in clients {
            let counts = client.await.unwrap();
            by = [by[0] + counts[0], by[1] + counts[1]];
        }
        assert!(by[0] > 0 && by[1] > 0, "both models answered: {by:?}");
    });
    // What was cached under one model is not served under another.
    engine.replace(models[1].clone(), &config()).unwrap();
    let answer = runtime.block_on(engine.recommend(asks(3, 5), Force::Fast)).unwrap();
    assert_eq!((answer.data.meta.model.as_str(), answer.data.meta.cached), ("seed 2", false));
}

#[tokio::test]
async fn a_budget_spent_degrades_to_system_1_and_says_so() {
    let mut config = config();
    config.router = RouterSettings {
        entropy: 0.0,
        rate: 0.001,
        capacity: 2.0,
        share: 1.0,
        share_limit: LimitMode::Observed,
        cost_limit: LimitMode::Observed,
        ..Default::default()
    };
    let engine = engine(config, model(1));
    let mut reasons = Vec::new();
    for user in 0..4 {
        let answer = engine.recommend(asks(user, 4), Force::No).await.unwrap();
        assert_eq!(answer.data.recommendations.len(), 10);
        reasons.push((answer.data.meta.reason, answer.data.meta.denied_by));
    }
    let denied = (Reason::BudgetExhausted, Some(Limit::Rate));
    assert_eq!(&reasons[..2], &[(Reason::Uncertain, None); 2]);
    assert_eq!(&reasons[2..], &[denied; 2]);
    let totals = engine.telemetry().totals();
    assert_eq!(
        (totals.served[Served::Fast as usize], totals.served[Served::Slow as usize]),
        (2, 2)
    );
    assert!(engine.levels().hour_cost > 0.0, "the mock's simulated cost counts");
}

#[tokio::test]
async fn a_dead_llm_degrades_to_system_1_and_opens_its_breaker() {
    // A port that nothing listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config();
    config.reasoner.kind = ReasonerKind::Llm;
    config.reasoner.base_url = format!("http://{closed}/v1");
    config.reasoner.retries = 0;
    config.reasoner.breaker_failures = 2;
    let engine = engine(config, model(1));
    let mut seen = Vec::new();
    for user in 0..3 {
        let answer = engine.recommend(asks(user, 4), Force::Slow).await.unwrap();
        assert_eq!(answer.data.reasoning_source, Path::FastPath);
        assert_eq!(answer.data.recommendations.len(), 10, "never an empty list");
        let warned = answer.data.meta.warnings.iter().any(|one| one.code == "reasoner_failed");
        let said = answer.data.meta.explanation.contains("this is System 1's");
        assert_eq!(said, warned, "{}", answer.data.meta.explanation);
        seen.push((answer.data.meta.reason, warned));
    }
    assert_eq!(seen[..2], [(Reason::Forced, true); 2]);
    assert_eq!(seen[2], (Reason::BreakerOpen, false));
    assert_eq!(engine.breaker().state, BreakerState::Open);
    assert!(engine.breaker().retry_in.is_some(), "the countdown");
    // Failures are not kept: the endpoint may be back.
    let again = engine.recommend(asks(0, 4), Force::Slow).await.unwrap();
    assert!(!again.data.meta.cached);
    assert_eq!(engine.levels().hour_cost, 0.0, "nothing was spent");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_finished_counted_and_kept() {
    let mut config = config();
    config.reasoner.mock_latency = true;
    let engine = engine(config, model(1));
    let asked = engine.recommend(asks(0, 4), Force::Slow);
    assert!(tokio::time::timeout(Duration::from_millis(20), asked).await.is_err());
    assert!(engine.levels().hour_cost > 0.0, "it is paid for");
    assert_eq!(engine.finish_calls().await, 0, "a stop waits for it");
    assert_eq!(engine.telemetry().totals().served[Served::Slow as usize], 1);
    let again = engine.recommend(asks(0, 4), Force::Slow).await.unwrap();
    assert!(again.data.meta.cached && again.data.reasoning_source == Path::SlowPath);
}

#[tokio::test]
async fn where_everything_was_seen_nothing_is_asked() {
    let mut config = config();
    config.evaluation.mask_seen = true;
    let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
    let data = drift(DriftOptions { users: 80, items: 12, ..Default::default() }, || Ok(()));
    let prepared = Prepared::from_dataset(&data.unwrap(), &config, &context).unwrap();
    let items = prepared.data.items();
    let weights = parameters::initial(&config.model, items, 1);
    let model = ServedModel::new("small", &config, weights, prepared, &context).unwrap();
    let engine = engine(config, Arc::new(model));
    let request = RecommendRequest {
        user_id: "all".to_owned(),
        recent_items: (1..=items as i64).map(ItemId::Number).collect(),
        recent_times: Some((0..items).map(|event| event as f64).collect()),
        ..Default::default()
    };
    for force in [Force::No, Force::Slow] {
        let answer = engine.recommend(request.clone(), force).await.unwrap();
        assert!(answer.data.recommendations.is_empty());
        assert_eq!(answer.data.reasoning_source, Path::FastPath);
        assert!(answer.data.meta.warnings.iter().any(|one| one.code == "few_candidates"));
    }
    assert_eq!(engine.levels().hour_cost, 0.0);
}

/// A model with item dynamics, and the time of the last event that it knows, in Unix seconds.
fn lively() -> (Arc<ServedModel>, f64) {
    let mut config = config();
    config.model.item_dynamics = ItemDynamics::Both;
    let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
    let data = drift(DriftOptions { users: 80, items: 60, ..Default::default() }, || Ok(()));
    let prepared = Prepared::from_dataset(&data.unwrap(), &config, &context).unwrap();
    let weights = parameters::initial(&config.model, prepared.data.items(), 1);
    let model = ServedModel::new("lively", &config, weights, prepared, &context).unwrap();
    let last = model.timeline().and_then(|timeline| timeline.last()).unwrap();
    (Arc::new(model), last as f64 / 1000.0)
}

#[tokio::test]
async fn what_users_do_moves_the_item_dynamics_at_once() {
    let (model, last) = lively();
    let mut config = config();
    config.server.cache_size = 0;
    let engine = engine(config.clone(), model);
    let id = |item: i64| ItemId::Number(item);
    let ask = |user: &str, items: &[i64], from: f64| RecommendRequest {
        user_id: user.to_owned(),
        recent_items: items.iter().map(|&item| id(item)).collect(),
        recent_timestamps: Some((0..items.len()).map(|place| from + place as f64).collect()),
        count: Some(60),
        ..Default::default()
    };
    // How a stranger who asks an hour later would find an item.
    let stranger = async |item: i64| {
        let mut request = ask("stranger", &[1], last + 1800.0);
        request.query_time = Some(last + 3600.0);
        let response = engine.recommend(request, Force::Fast).await.unwrap();
        let wanted = id(item).to_string();
        let mut all = response.data.recommendations.iter();
        all.find(|one| one.item.to_string() == wanted).map(|one| one.score).unwrap()
    };
    // The stranger's own event is news, once.
    stranger(40).await;
    let before = stranger(40).await;
    assert_eq!(before, stranger(40).await, "asking again changes nothing");
    for user in 0..5 {
        let history = ask(&format!("user {user}"), &[7, 40], last + 60.0 * f64::from(user));
        engine.recommend(history, Force::Fast).await.unwrap();
    }
    let after = stranger(40).await;
    assert!(after > 1.05 * before, "{before} {after}");
    // The same histories again are no news.
    engine.recommend(ask("user 4", &[7, 40], last + 240.0), Force::Fast).await.unwrap();
    assert_eq!(after, stranger(40).await);
    // Without a calendar nobody knows when it was.
    let mut undated = ask("undated", &[7, 40], 0.0);
    (undated.recent_times, undated.recent_timestamps) = (undated.recent_timestamps, None);
    engine.recommend(undated, Force::Fast).await.unwrap();
    assert_eq!(after, stranger(40).await);
    // Nor may a clock that is wrong stop the others'.
    let now = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    for fast in [now + 23.0 * 3600.0, 9e9] {
        engine.recommend(ask("from the future", &[40], fast), Force::Fast).await.unwrap();
    }
    assert_eq!(after, stranger(40).await);
    let before = stranger(41).await;
    for user in 10..15 {
        let history = ask(&format!("user {user}"), &[7, 41], last + 280.0 + f64::from(user));
        engine.recommend(history, Force::Fast).await.unwrap();
    }
    assert!(stranger(41).await > 1.05 * before, "the clock goes on");

    let shown = engine.recommend(ask("ann", &[7], last + 300.0), Force::Fast).await.unwrap();
    let feedback =
        |action| FeedbackRequest { impression_id: shown.impression_id, item: id(55), action };
    let unseen = stranger(55).await;
    engine.feedback(feedback(FeedbackAction::Dismiss)).unwrap();
    assert_eq!(unseen, stranger(55).await);
    engine.feedback(feedback(FeedbackAction::Click)).unwrap();
    let clicked = stranger(55).await;
    assert!(clicked > 1.05 * unseen, "{unseen} {clicked}");
    engine.feedback(feedback(FeedbackAction::Purchase)).unwrap();
    assert_eq!(clicked, stranger(55).await, "one item of an answer counts once");
    engine.recommend(ask("ann", &[7, 55], last + 300.0), Force::Fast).await.unwrap();
    assert_eq!(clicked, stranger(55).await, "nor does the history that tells of it");
    let shown = engine.recommend(ask("bob", &[7], last + 300.0), Force::Fast).await.unwrap();
    engine.recommend(ask("bob", &[7, 56], last + 300.0), Force::Fast).await.unwrap();
    let told = stranger(56).await;
    engine
        .feedback(FeedbackRequest {
            impression_id: shown.impression_id,
            item: id(56),
            action: FeedbackAction::Click,
        })
        .unwrap();
    assert_eq!(told, stranger(56).await, "nor feedback on what a history has told");
    // Another model may number its items differently: what the old one showed says nothing of them.
    let (model, _) = lively();
    engine.replace(model, &config).unwrap();
    stranger(50).await;
    let unseen = stranger(50).await;
    let late = FeedbackRequest {
        impression_id: shown.impression_id,
        item: id(50),
        action: FeedbackAction::Click,
    };
    engine.feedback(late).unwrap();
    assert_eq!(unseen, stranger(50).await);
}

#[tokio::test]
async fn a_request_without_a_time_is_asked_now_and_the_cache_tells_clocks_apart() {
    let (model, last) = lively();
    let engine = engine(config(), model);
    let empty = || RecommendRequest { user_id: "nobody".to_owned(), ..Default::default() };
    let answer =
        async |request: RecommendRequest| engine.recommend(request, Force::Fast).await.unwrap();
    let now = RecommendRequest { query_time: Some(last + 0.001), ..empty() };
    let now = scores(&answer(now).await);
    let long_ago = RecommendRequest { query_time: Some(0.0), ..empty() };
    assert_ne!(scores(&answer(long_ago).await), now);
    for (times, timestamps) in [(None, None), (Some(vec![]), None), (None, Some(vec![]))] {
        let request =
            RecommendRequest { recent_times: times, recent_timestamps: timestamps, ..empty() };
        assert_eq!(scores(&answer(request).await), now);
    }
    // Items that nobody knows still say when the user was there.
    let unknown = RecommendRequest {
        recent_items: vec![ItemId::Number(9999)],
        recent_timestamps: Some(vec![last + 0.001]),
        ..empty()
    };
    assert_eq!(scores(&answer(unknown).await), now);
}

#[tokio::test]
async fn what_came_before_the_window_is_not_recommended_again_where_seen_items_are_not() {
    for mask_seen in [true, false] {
        let mut config = config();
        config.data.max_len = 6;
        config.evaluation.mask_seen = mask_seen;
        let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
        let data = drift(DriftOptions { users: 80, items: 60, ..Default::default() }, || Ok(()));
        let prepared = Prepared::from_dataset(&data.unwrap(), &config, &context).unwrap();
        let weights = parameters::initial(&config.model, prepared.data.items(), 1);
        let model = ServedModel::new("masked", &config, weights, prepared, &context).unwrap();
        let engine = engine(config, Arc::new(model));
        let request = RecommendRequest { count: Some(60), ..asks(3, 20) };
        let seen: Vec<String> = request.recent_items.iter().map(ToString::to_string).collect();
        let answer = engine.recommend(request, Force::Fast).await.unwrap();
        assert!(answer.data.meta.warnings.iter().any(|one| one.code == "history_truncated"));
        let again = items(&answer).iter().filter(|item| seen.contains(item)).count();
        assert_eq!(again == 0, mask_seen, "{again} seen items");
    }
}

/// Whatever System 2 does with its time, the user has an answer within theirs.
#[tokio::test]
async fn a_system_2_that_takes_too_long_degrades_to_system_1_and_counts_as_failed() {
    // Connections are taken, and nothing is ever said.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config();
    config.server.timeout = 0.4;
    config.reasoner.kind = ReasonerKind::Llm;
    config.reasoner.base_url = format!("http://{}/v1", silent.local_addr().unwrap());
    config.reasoner.breaker_failures = 1;
    let deaf = engine(config.clone(), model(1));
    config.reasoner.kind = ReasonerKind::Mock;
    config.reasoner.mock_latency = true;
    config.reasoner.latency_mean = 2.0;
    let slow = engine(config, model(1));
    for engine in [&deaf, &slow] {
        let answer = engine.recommend(asks(1, 4), Force::Slow).await.unwrap();
        assert_eq!(answer.data.reasoning_source, Path::FastPath);
        let warnings = &answer.data.meta.warnings;
        let said = warnings.iter().find(|one| one.code == "reasoner_failed").unwrap();
        assert!(said.message.contains("raise server.timeout"), "{}", said.message);
    }
    assert_eq!(deaf.breaker().state, BreakerState::Open);
}

#[tokio::test]
async fn an_adapter_answers_as_the_merged_weights_and_leaves_no_trace() {
    let model = model(1);
    let engine = engine(config(), model.clone());
    let ask = async |user: usize, events: usize| {
        engine.recommend(asks(user, events), Force::Fast).await.unwrap()
    };
    let before = ask(1, 4).await;
    assert!(ask(1, 4).await.data.meta.cached);
    for kind in [Kind::Lora, Kind::Dora] {
        // One that changes nothing.
        let (identity, _) = adapter(&model, kind, 0.0);
        engine.adapt(Some(("identity", &identity))).unwrap();
        let same = ask(1, 4).await;
        assert!(!same.data.meta.cached, "another model, another cache");
        assert_eq!(items(&same), items(&before));
        assert!(scores(&same).iter().zip(scores(&before)).all(|(a, b)| (a - b).abs() < 1e-5));

        // One that changes much: as a model whose weights were so from the start.
        let (bytes, merged) = adapter(&model, kind, 0.5);
        let state = engine.adapt(Some(("strong", &bytes))).unwrap();
        let on = state.adapter.unwrap();
        assert_eq!((on.kind, on.changes.len(), on.domain.as_str()), (kind, 2, "a test"));
        assert_eq!(engine.health().adapter, Some(on.clone()));
        let context: Context<()> = jobs::detached(Control::default(), |_, _| ());
        let data = drift(DriftOptions { users: 80, items: 60, ..Default::default() }, || Ok(()));
        let prepared = Prepared::from_dataset(&data.unwrap(), &config(), &context).unwrap();
        let fresh = ServedModel::new("merged", &config(), merged, prepared, &context).unwrap();
        assert_eq!(engine.model().temperature.value, fresh.temperature.value);
        let fresh = self::engine(config(), Arc::new(fresh));
        // A history that grew since the change: nothing goes on from the old weights' state.
        for events in [4, 6] {
            let ours = ask(1, events).await;
            let theirs = fresh.recommend(asks(1, events), Force::Fast).await.unwrap();
            assert_eq!(items(&ours), items(&theirs));
            assert_eq!(scores(&ours), scores(&theirs));
            assert_eq!(ours.data.meta.adapter.as_deref(), Some(on.fingerprint.as_str()));
            assert_ne!(scores(&ours), scores(&before));
        }
    }
    // Settings may change under it.
    engine.configure(&config()).unwrap();
    assert!(engine.adapter().adapter.is_some());
    // Off again.
    assert_eq!(engine.adapt(None).unwrap().adapter, None);
    let after = ask(1, 4).await;
    assert_eq!((items(&after), scores(&after)), (items(&before), scores(&before)));
    assert!(after.data.meta.adapter.is_none() && engine.adapt(None).is_ok());
}

#[tokio::test]
async fn a_wrong_adapter_is_refused_and_the_old_one_keeps_serving() {
    let (ours, other) = (model(1), model(2));
    let engine = engine(config(), ours.clone());
    let (good, _) = adapter(&ours, Kind::Dora, 0.5);
    engine.adapt(Some(("good", &good))).unwrap();
    let before = engine.recommend(asks(1, 4), Force::Fast).await.unwrap();
    let (foreign, _) = adapter(&other, Kind::Dora, 0.5);
    let error = engine.adapt(Some(("foreign", &foreign))).unwrap_err();
    assert!(matches!(error, ServeError::Adapter(AdapterError::OtherWeights { .. })), "{error}");
    assert_eq!(RequestError::from(error).code, "other_model");
    let error = engine.adapt(Some(("none", b"nonsense"))).unwrap_err();
    assert_eq!(RequestError::from(error).code, "not_an_adapter");
    // Finite parts whose product is not.
    let (huge, _) = adapter(&ours, Kind::Lora, f32::MAX);
    assert_eq!(RequestError::from(engine.adapt(Some(("huge", &huge))).unwrap_err()).status, 422);
    let after = engine.recommend(asks(1, 4), Force::Fast).await.unwrap();
    assert!(after.data.meta.cached, "not even the cache was lost");
    assert_eq!(after.data.meta.adapter, before.data.meta.adapter);
    // A model with item dynamics takes none.
    let (lively, _) = lively();
    let (bytes, _) = adapter(&lively, Kind::Dora, 0.5);
    let engine = self::engine(config(), lively);
    let error = engine.adapt(Some(("lively", &bytes))).unwrap_err();
    assert!(matches!(error, ServeError::Adapter(AdapterError::ItemDynamics)), "{error}");
}

#[test]
fn adapters_are_swapped_under_load_and_every_answer_is_of_one_of_them() {
    let model = model(1);
    let mut config = config();
    config.server.cache_size = 0;
    let engine = engine(config, model.clone());
    let files: Vec<Vec<u8>> =
        [0.4, -0.4].iter().map(|&by| adapter(&model, Kind::Lora, by).0).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = |events| runtime.block_on(engine.recommend(asks(2, events), Force::Fast)).unwrap();
    // What each of them answers alone, by fingerprint.
    let mut known = Vec::new();
    for file in [None, Some(&files[0]), Some(&files[1])] {
        engine.adapt(file.map(|bytes| ("file", bytes.as_slice()))).unwrap();
        let answers: Vec<Vec<f64>> = (3..7).map(|events| scores(&ask(events))).collect();
        known.push((ask(3).data.meta.adapter, answers));
    }
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (engine, done, known) = (engine.clone(), done.clone(), known.clone());
            runtime.spawn(async move {
                let mut answered = 0;
                while !done.load(Ordering::Relaxed) {
                    let events = 3 + answered % 4;
                    let answer = engine.recommend(asks(2, events), Force::Fast).await.unwrap();
                    let of = known.iter().find(|(on, _)| *on == answer.data.meta.adapter);
                    let expected = &of.unwrap().1[events - 3];
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
                    assert!(scores(&answer).iter().zip(expected).all(near), "weights were mixed");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for swap in 0..20 {
        let file = (swap % 3 > 0).then(|| ("file", files[swap % 3 - 1].as_slice()));
        engine.adapt(file).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(runtime.block_on(client).unwrap() > 0);
    }
}
