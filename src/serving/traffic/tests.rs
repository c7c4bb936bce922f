//! Whole runs against a local server that keeps answers as the real one does.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::jobs::{Context, Control, detached};
use crate::serving::wire::RecommendRequest;
use crate::settings::TrafficPattern;

/// A server on a runtime of its own, so that stopping it cuts its connections.
struct FakeServer {
    runtime: Option<tokio::runtime::Runtime>,
    address: SocketAddr,
}

impl FakeServer {
    fn start(app: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await
        });
        Self { runtime: Some(runtime), address }
    }

    fn plan(&self, pattern: TrafficPattern, rate: f64, seconds: f64) -> TrafficPlan {
        TrafficPlan {
            target: format!("http://{}", self.address),
            settings: TrafficSettings { pattern, rate, seconds, concurrency: 8, seed: 7 },
            people: people(),
            token: None,
            allow_remote: false,
        }
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn people() -> Arc<[Person]> {
    (0..20)
        .map(|person| Person {
            user_id: format!("person-{person}"),
            items: vec![format!("{person}"), "b".to_owned()],
            times: vec![1_000, 2_000],
            query_time: 3_000 + person * person,
        })
        .collect()
}

fn answer(cached: bool) -> Value {
    let (path, reason) = ("fast_path", if cached { "cache" } else { "confident" });
    json!({"status": "success", "data": {"reasoning_source": path, "recommendations": [],
        "meta": {"routing_decision": path, "reason": reason, "cached": cached, "warnings": []}}})
}

/// Answers that were given before come from the cache; `refuse_new` are not kept at first, as with
/// a full cache.
fn caching(refuse_new: bool) -> Router {
    type Asked = (String, String);
    let seen: Arc<Mutex<(HashSet<Asked>, HashSet<Asked>)>> = Arc::default();
    let handler = async move |Json(request): Json<RecommendRequest>| {
        let history = format!("{:?} {:?}", request.recent_items, request.recent_timestamps);
        let key = (request.user_id, history);
        let (once, kept) = &mut *seen.lock().unwrap();
        let cached = kept.contains(&key);
        if !refuse_new || !once.insert(key.clone()) {
            kept.insert(key);
        }
        Json(answer(cached))
    };
    Router::new().route("/recommend", post(handler))
}

fn unheard() -> Context<TrafficTick> {
    detached(Control::default(), |_, _| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_traffic_hits_the_cache_exactly_half_the_time() {
    for refuse_new in [false, true] {
        let server = FakeServer::start(caching(refuse_new));
        // Twice with one seed: the second run's new users are new as well.
        for _ in 0..2 {
            let plan = server.plan(TrafficPattern::Mixed, 2_000.0, 0.25);
            let report = run(&plan, &unheard()).await.unwrap();
            assert!(report.sent > 0 && report.sent <= 500 && report.sent % 2 == 0);
            assert_eq!((report.completed, report.failed), (report.sent, 0), "{report:?}");
            assert_eq!(report.hit_rate, Some(0.5));
            assert_eq!(report.reasons["cache"], report.reasons["confident"]);
            assert_eq!(report.latency_by_path["cache"].n, report.hits);
            assert_eq!(report.latency.unwrap().n, report.completed);
            assert!(report.bytes_sent > 0 && report.bytes_received > 0 && !report.stopped);
            assert!((8..=24).contains(&report.warm_up), "{}", report.warm_up);
        }
    }
}

#[tokio::test]
async fn every_pattern_runs_on_one_thread_too() {
    let server = FakeServer::start(caching(false));
    for &pattern in TrafficPattern::ALL {
        let report = run(&server.plan(pattern, 500.0, 0.4), &unheard()).await.unwrap();
        assert_eq!((report.completed, report.failed), (report.sent, 0), "{}", pattern.word());
        assert!(report.sent > 0, "{}", pattern.word());
        assert_eq!(report.pattern, pattern);
        match pattern {
            TrafficPattern::Chaotic => assert_eq!(report.hits, 0),
            // Eight users, at most eight of whose first requests overlap with their second.
            TrafficPattern::Stable => assert!(report.hits + 16 >= report.completed),
            TrafficPattern::Mixed | TrafficPattern::Replay => (),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_run_whose_server_never_answers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let handler = async move || {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<StatusCode>().await
    };
    let server = FakeServer::start(Router::new().route("/recommend", post(handler)));
    let control = Control::default();
    let (stop, ticks) = (control.clone(), Arc::new(Mutex::new(Vec::new())));
    let heard = ticks.clone();
    let context = detached(control, move |_, new: &mut dyn Iterator<Item = TrafficTick>| {
        for tick in new {
            if tick.sent > 0 {
                stop.cancel();
            }
            heard.lock().unwrap().push(tick);
        }
    });
    let plan = server.plan(TrafficPattern::Stable, 1_000.0, 10_000.0);
    let run = run(&plan, &context);
    let report = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    assert!(report.stopped);
    assert_eq!((report.completed, report.failed), (0, 0));
    // All connections were taken, and no more than these.
    assert!((1..=8).contains(&report.abandoned), "{}", report.abandoned);
    assert_eq!(report.abandoned, report.sent);
    assert!(asked.load(Ordering::SeqCst) <= 8);
    assert_eq!(report.hit_rate, None);
    assert!(report.to_text().contains("stopped early"));
    let ticks = ticks.lock().unwrap();
    assert!(ticks.iter().all(|tick| tick.in_flight == tick.sent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_during_warm_up_sends_nothing() {
    let handler = async || std::future::pending::<StatusCode>().await;
    let server = FakeServer::start(Router::new().route("/recommend", post(handler)));
    let control = Control::default();
    let stop = control.clone();
    let context = detached(control, move |progress, _| {
        if progress.message.starts_with("Warming") {
            stop.cancel();
        }
    });
    let plan = server.plan(TrafficPattern::Mixed, 1_000.0, 10_000.0);
    let run = run(&plan, &context);
    let report = tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    assert!(report.stopped && report.sent == 0 && report.warm_up > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_delays_and_loses_nothing() {
    let server = FakeServer::start(caching(false));
    let control = Control::default();
    let (pause, paused) = (control.clone(), AtomicUsize::new(0));
    let context = detached(control, move |_, ticks: &mut dyn Iterator<Item = TrafficTick>| {
        if ticks.count() > 0 && paused.fetch_add(1, Ordering::SeqCst) == 0 {
            pause.pause();
            let resume = pause.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                resume.resume();
            });
        }
    });
    let plan = server.plan(TrafficPattern::Stable, 100.0, 0.6);
    let report = run(&plan, &context).await.unwrap();
    assert!(!report.stopped);
    assert_eq!((report.sent, report.completed), (60, 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_is_counted_and_survived() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (half, reached) = std::sync::mpsc::channel();
    let handler = async move || {
        if asked.fetch_add(1, Ordering::SeqCst) == 50 {
            let _ = half.send(());
        }
        Json(answer(false))
    };
    let mut server = FakeServer::start(Router::new().route("/recommend", post(handler)));
    let plan = server.plan(TrafficPattern::Chaotic, 300.0, 2.0);
    let killer = std::thread::spawn(move || {
        reached.recv().unwrap();
        server.runtime.take().unwrap().shutdown_background();
    });
    let report = run(&plan, &unheard()).await.unwrap();
    killer.join().unwrap();
    assert!(report.completed > 0 && report.failed > 0, "{report:?}");
    assert_eq!(report.completed + report.failed, report.sent);
    assert_eq!(report.failures.values().sum::<u64>(), report.failed);
    for code in report.failures.keys() {
        assert!(["cannot_connect", "connection_lost"].contains(&code.as_str()), "{code}");
    }
    assert!(report.to_text().contains("the server went off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_counted_by_code_and_the_token_is_sent() {
    let handler = async |headers: axum::http::HeaderMap| {
        let authorised = headers.get("authorization").is_some_and(|value| value == "Bearer s3cret");
        match authorised {
            true => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"code": "overloaded"}))),
            false => (StatusCode::UNAUTHORIZED, Json(json!({"code": "unauthorized"}))),
        }
    };
    let server = FakeServer::start(Router::new().route("/recommend", post(handler)));
    let plan = server.plan(TrafficPattern::Mixed, 200.0, 0.1);
    let report = run(&plan, &unheard()).await.unwrap();
    assert_eq!(report.failures["401 unauthorized"], report.failed);
    assert!(report.to_text().contains("DEEPM3_TOKEN"));
    let plan = TrafficPlan { token: Some("s3cret".to_owned()), ..plan };
    let report = run(&plan, &unheard()).await.unwrap();
    assert_eq!(report.failures["503 overloaded"], report.failed);
    let plan = TrafficPlan { token: Some("two\nlines".to_owned()), ..plan };
    assert!(matches!(run(&plan, &unheard()).await, Err(TrafficError::BadToken)));
}

/// One connection, held by the first counted request for three ticks and more: the second one is
/// charged for its wait, and none after this pair is sent, since the time is over by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_slow_server_counts_as_latency() {
    const WARM_UP: usize = 8;
    let asked = Arc::new(AtomicUsize::new(0));
    let released = Arc::new(tokio::sync::Notify::new());
    let release = released.clone();
    let handler = async move || {
        let place = asked.fetch_add(1, Ordering::SeqCst);
        if place == WARM_UP {
            released.notified().await;
        }
        Json(answer(place < WARM_UP))
    };
    let server = FakeServer::start(Router::new().route("/recommend", post(handler)));
    let count = AtomicUsize::new(0);
    let context = detached(Control::default(), move |_, ticks| {
        let new = ticks.count();
        if new > 0 && count.fetch_add(new, Ordering::SeqCst) + new >= 4 {
            release.notify_one();
        }
    });
    let mut plan = server.plan(TrafficPattern::Mixed, 100.0, 0.5);
    plan.settings.concurrency = 1;
    let report = run(&plan, &context).await.unwrap();
    assert_eq!((report.sent, report.completed, report.warm_up), (2, 2, WARM_UP as u64));
    // Four ticks are three times 250 ms apart, and the slower half is both of two.
    let (latency, delay) = (report.latency.unwrap(), report.delay.unwrap());
    assert!(latency.p50_ms > 700.0 && delay.max_ms > 700.0, "{latency:?} {delay:?}");
}

#[tokio::test]
async fn what_cannot_begin_is_an_error() {
    let server = FakeServer::start(caching(false));
    let plan = server.plan(TrafficPattern::Mixed, 20.0, 0.1);
    let nobody = TrafficPlan { people: Vec::new().into(), ..plan.clone() };
    assert!(matches!(run(&nobody, &unheard()).await, Err(TrafficError::NoPeople)));
    let away = TrafficPlan { target: "http://192.0.2.1:8000".to_owned(), ..plan.clone() };
    assert!(matches!(run(&away, &unheard()).await, Err(TrafficError::NotLoopback { .. })));
    drop(server);
    // The socket closes when the runtime has gone, a moment later.
    let error = loop {
        match run(&plan, &unheard()).await {
            Err(error) => break error,
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert!(matches!(error, TrafficError::CannotConnect { .. }), "{error}");
}
