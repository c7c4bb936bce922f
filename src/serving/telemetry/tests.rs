//! The whole of it: answers in, metrics and frames out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::reasoning::BreakerState;
use crate::routing::{Limit, Path, Reason};
use crate::serving::wire::{
    ItemId, Meta, RecommendData, RecommendRequest, RecommendResponse, Recommendation,
};
use crate::settings::ReasonerKind;

/// Second at which the tests begin.
const START: i64 = 1_800_000_000;

static REQUEST: LazyLock<Arc<RecommendRequest>> = LazyLock::new(|| {
    Arc::new(RecommendRequest {
        user_id: "ann".to_owned(),
        recent_items: vec![ItemId::Number(7), ItemId::Text("x".to_owned())],
        recent_times: Some(vec![0.1, 0.2]),
        ..RecommendRequest::default()
    })
});

/// An answer of System 1 at a second.
pub fn observation(id: u128, second: i64) -> Observation {
    let impression = Uuid::from_u128(id);
    let meta = Meta {
        routing_decision: Path::FastPath,
        reason: Reason::Confident,
        entropy: 0.25,
        conflict: Some(0.5),
        explanation: String::new(),
        denied_by: None,
        over: Vec::new(),
        tokens: 1.0,
        model: "run-1".to_owned(),
        adapter: None,
        cached: false,
        latency_ms: 1.0,
        reasoner: None,
        warnings: Vec::new(),
    };
    let recommendation = Recommendation {
        item: ItemId::Number(3),
        title: None,
        score: 0.75,
        reason: "first".to_owned(),
    };
    let response = RecommendResponse {
        status: "success".to_owned(),
        impression_id: impression,
        strategy: "Adaptive_ODE_Agent".to_owned(),
        latency: "1.00ms".to_owned(),
        data: RecommendData {
            user_id: "ann".to_owned(),
            reasoning_source: Path::FastPath,
            meta,
            trace: Vec::new(),
            recommendations: vec![recommendation],
        },
    };
    Observation {
        at: Timestamp::from_second(second).unwrap(),
        impression,
        user_id: "ann".to_owned(),
        served: Served::Fast,
        reason: Reason::Confident,
        trigger: None,
        denied_by: None,
        latency: Duration::from_millis(1),
        entropy: 0.25,
        conflict: Some(0.5),
        tokens: 1.0,
        reasoner: None,
        request: REQUEST.clone(),
        response: Arc::new(response),
    }
}

/// An answer of System 2, or of System 1 where that failed.
pub fn reasoned(id: u128, second: i64, error: Option<&'static str>) -> Observation {
    Observation {
        served: if error.is_none() { Served::Slow } else { Served::Fast },
        reason: Reason::Uncertain,
        trigger: Some(Reason::Uncertain),
        latency: Duration::from_millis(800),
        tokens: 0.25,
        reasoner: Some(ReasonerUse {
            kind: ReasonerKind::Mock,
            latency: Duration::from_millis(799),
            prompt_tokens: 1000,
            completion_tokens: 100,
            cost: 0.002,
            invented_items: 2,
            attempts: 1,
            error,
        }),
        ..observation(id, second)
    }
}

/// An answer of the cache, with the bucket's level of long ago.
fn cached(id: u128, second: i64) -> Observation {
    Observation {
        served: Served::Cache,
        reason: Reason::Cache,
        latency: Duration::from_micros(20),
        tokens: 99.0,
        ..observation(id, second)
    }
}

fn denied(id: u128, second: i64) -> Observation {
    Observation {
        reason: Reason::BudgetExhausted,
        trigger: Some(Reason::Conflict),
        denied_by: Some(Limit::Rate),
        tokens: 0.5,
        ..observation(id, second)
    }
}

fn gauges(tokens: f64) -> Gauges {
    Gauges {
        tokens,
        share: 0.05,
        hour_cost: 0.25,
        breaker: BreakerState::HalfOpen,
        in_flight: 3,
        cache_entries: 17,
        impressions_lost: 3,
    }
}

/// Telemetry, and its clock.
fn telemetry() -> (Arc<Telemetry>, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(START));
    let told = clock.clone();
    let now = move || Timestamp::from_second(told.load(Ordering::SeqCst)).unwrap();
    (Telemetry::with_clock(now), clock)
}

/// Prometheus' text format, read strictly: value by series, type by name.
fn parse(text: &str) -> (HashMap<String, f64>, HashMap<String, String>) {
    let (mut series, mut types) = (HashMap::new(), HashMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.split_once(' ').is_some_and(|(_, words)| words.ends_with('.')), "{line}");
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, word) = of.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&word), "{line}");
            assert!(
                types.insert(name.to_owned(), word.to_owned()).is_none(),
                "{line} is there twice"
            );
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            assert!(name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()), "{line}");
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            assert!(types.contains_key(name) || of.is_some_and(|of| types[of] == "histogram"));
            let value: f64 = value.parse().unwrap();
            assert!(series.insert(key.to_owned(), value).is_none(), "{key} is there twice");
        }
    }
    (series, types)
}

#[test]
fn metrics_by_their_names() {
    let (telemetry, _clock) = telemetry();
    for observation in [
        observation(1, START),
        observation(2, START),
        denied(3, START),
        cached(4, START),
        reasoned(5, START, None),
        reasoned(6, START, Some("timeout")),
    ] {
        telemetry.observe(Arc::new(observation));
    }
    telemetry.rejected(422, "lengths_differ");
    telemetry.rejected(422, "lengths_differ");
    telemetry.feedback("click");
    telemetry.gauges(gauges(0.75));
    let (series, types) = parse(&telemetry.text());

    let expected = [
        // DeepM3's.
        ("api_requests_total{strategy=\"fast_path\"}", 4.0),
        ("api_requests_total{strategy=\"slow_path\"}", 1.0),
        ("api_requests_total{strategy=\"cache\"}", 1.0),
        ("cache_operations_total{status=\"hit\"}", 1.0),
        ("cache_operations_total{status=\"miss\"}", 5.0),
        ("api_response_latency_seconds_count{strategy=\"fast_path\"}", 4.0),
        ("api_response_latency_seconds_bucket{strategy=\"fast_path\",le=\"0.0008\"}", 0.0),
        ("api_response_latency_seconds_bucket{strategy=\"fast_path\",le=\"0.001\"}", 3.0),
        ("api_response_latency_seconds_bucket{strategy=\"fast_path\",le=\"+Inf\"}", 4.0),
        ("api_response_latency_seconds_bucket{strategy=\"cache\",le=\"0.0001\"}", 1.0),
        ("api_response_latency_seconds_sum{strategy=\"slow_path\"}", 0.8),
        // Ours.
        ("router_decisions_total{reason=\"confident\"}", 2.0),
        ("router_decisions_total{reason=\"uncertain\"}", 2.0),
        ("router_decisions_total{reason=\"budget_exhausted\"}", 1.0),
        ("router_decisions_total{reason=\"cache\"}", 1.0),
        ("router_decisions_total{reason=\"forced\"}", 0.0),
        ("router_denied_total{limit=\"rate\"}", 1.0),
        ("router_denied_total{limit=\"share\"}", 0.0),
        ("router_denied_total{limit=\"cost\"}", 0.0),
        ("router_entropy_count", 5.0),
        ("router_entropy_bucket{le=\"0.2\"}", 0.0),
        ("router_entropy_bucket{le=\"0.25\"}", 5.0),
        ("router_tokens", 0.75),
        ("router_share", 0.05),
        ("router_hour_cost_dollars", 0.25),
        ("reasoner_requests_total{kind=\"mock\",outcome=\"ok\"}", 1.0),
        ("reasoner_requests_total{kind=\"mock\",outcome=\"timeout\"}", 1.0),
        ("reasoner_requests_total{kind=\"llm\",outcome=\"ok\"}", 0.0),
        ("reasoner_latency_seconds_count{kind=\"mock\"}", 2.0),
        ("reasoner_tokens_total{direction=\"prompt\",kind=\"mock\"}", 2000.0),
        ("reasoner_tokens_total{direction=\"completion\",kind=\"mock\"}", 200.0),
        ("reasoner_tokens_total{direction=\"prompt\",kind=\"llm\"}", 0.0),
        ("reasoner_cost_dollars_total{kind=\"mock\"}", 0.004),
        ("reasoner_invented_items_total{kind=\"mock\"}", 4.0),
        ("reasoner_breaker_state", 1.0),
        ("api_rejected_total{code=\"lengths_differ\",status=\"422\"}", 2.0),
        ("api_rejected_total{code=\"overloaded\",status=\"503\"}", 0.0),
        ("api_feedback_total{action=\"click\"}", 1.0),
        ("api_feedback_total{action=\"purchase\"}", 0.0),
        ("api_in_flight", 3.0),
        ("cache_entries", 17.0),
        ("impressions_lost", 3.0),
        ("process_start_time_seconds", START as f64),
        (concat!("deepm3_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ];
    for (key, value) in expected {
        assert_eq!(series.get(key), Some(&value), "{key}");
    }
    for (name, word) in [
        ("api_response_latency_seconds", "histogram"),
        ("cache_operations_total", "counter"),
        ("api_requests_total", "counter"),
        ("router_tokens", "gauge"),
        ("reasoner_cost_dollars_total", "counter"),
    ] {
        assert_eq!(types[name], word, "{name}");
    }
}

#[test]
fn numbers_that_are_none_spoil_nothing() {
    let (telemetry, _clock) = telemetry();
    let mut odd = reasoned(1, START, None);
    odd.entropy = f64::NAN;
    odd.reasoner.iter_mut().for_each(|used| used.cost = f64::NAN);
    telemetry.observe(Arc::new(odd));
    telemetry.observe(Arc::new(reasoned(2, START, None)));
    let (series, _) = parse(&telemetry.text());
    assert_eq!(series["router_entropy_sum"], 0.25);
    assert_eq!(series["reasoner_cost_dollars_total{kind=\"mock\"}"], 0.002);
    assert_eq!(telemetry.totals().reasoners[ReasonerKind::Mock as usize].cost, 0.002);
}

/// `left` and `right` are the same to a rounding, NaN included.
fn same(left: &[f64], right: &[f64]) -> bool {
    let close = |(a, b): (&f64, &f64)| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-12;
    left.len() == right.len() && left.iter().zip(right).all(close)
}

#[test]
fn a_frame_by_hand() {
    let (telemetry, clock) = telemetry();
    for second in [0, 2] {
        clock.store(START + second, Ordering::SeqCst);
        for id in 0..3 {
            telemetry.observe(Arc::new(observation(id, START + second)));
        }
        telemetry.observe(Arc::new(cached(3, START + second)));
        telemetry.rejected(400, "invalid_json");
    }
    telemetry.gauges(gauges(0.75));
    telemetry.observe(Arc::new(reasoned(9, START + 3, None)));
    // Not over, so not shown.
    telemetry.observe(Arc::new(observation(10, START + 4)));
    clock.store(START + 4, Ordering::SeqCst);

    let view = telemetry.live(Window::Minute);
    let gap = f64::NAN;
    let tail = |values: &[f64]| values[54..].to_vec();
    assert_eq!(view.seconds.len(), 60);
    assert!(same(&tail(&view.seconds), &[-5.5, -4.5, -3.5, -2.5, -1.5, -0.5]));
    assert!(view.requests[..56].iter().all(|value| value.is_nan()), "before the start");
    assert!(same(&tail(&view.requests), &[gap, gap, 4.0, 0.0, 4.0, 1.0]));
    assert!(same(&tail(&view.rejected), &[gap, gap, 1.0, 0.0, 1.0, 0.0]));
    assert!(same(&tail(&view.hit_rate), &[gap, gap, 0.25, gap, 0.25, 0.0]));
    // A level that the cache remembers is not the bucket's.
    assert!(same(&tail(&view.tokens), &[gap, gap, 1.0, gap, 0.75, 0.25]));
    assert!(same(&tail(&view.share), &[gap, gap, gap, gap, 0.05, gap]));
    assert!(same(&tail(&view.hour_cost), &[gap, gap, gap, gap, 0.25, gap]));
    let confident = &view.decisions[Reason::Confident as usize];
    assert!(same(&tail(confident), &[gap, gap, 3.0, 0.0, 3.0, 0.0]));
    let slow = &view.paths[Served::Slow as usize];
    assert!(same(&tail(&slow.requests), &[gap, gap, 0.0, 0.0, 0.0, 1.0]));
    assert!(slow.p99_ms[58].is_nan());
    assert!((slow.p99_ms[59] / 800.0 - 1.0).abs() < RELATIVE_ERROR);
    let fast = &view.paths[Served::Fast as usize];
    assert!((fast.p50_ms[56] - 1.0).abs() < RELATIVE_ERROR);

    // The server is 4 s old: rates are over these, not over 10 s.
    assert_eq!(view.current.requests, 9.0 / 4.0);
    assert_eq!(view.current.rejected, 0.5);
    assert_eq!(view.current.hit_rate, Some(2.0 / 9.0));
    assert_eq!(view.current.decisions[Reason::Cache as usize], 0.5);
    assert_eq!(view.current.paths[Served::Fast as usize].requests, 1.5);
    let p50 = view.current.paths[Served::Cache as usize].p50_ms.unwrap();
    assert!((p50 / 0.02 - 1.0).abs() < RELATIVE_ERROR, "{p50}");
    assert!((view.current.cost_per_hour - 0.002 / 4.0 * 3600.0).abs() < 1e-9);
    assert_eq!(view.whole, view.current);

    assert_eq!(view.totals.requests(), 10);
    assert_eq!(view.totals.rejected, 2);
    assert_eq!(view.totals.hit_rate(), Some(0.2));
    let mock = view.totals.reasoners[ReasonerKind::Mock as usize];
    assert_eq!((mock.calls, mock.failed, mock.prompt_tokens), (1, 0, 1000));
}

#[test]
fn windows_over_hours() {
    let (telemetry, clock) = telemetry();
    for second in 0..30_000 {
        telemetry.observe(Arc::new(observation(second as u128, START + second)));
        clock.store(START + second + 1, Ordering::SeqCst);
        if second % 3571 == 0 {
            telemetry.live(Window::SixHours);
        }
    }
    for (window, points) in Window::ALL.into_iter().zip([60, 300, 900, 2160]) {
        let view = telemetry.live(window);
        assert_eq!(view.seconds.len(), points);
        assert!(view.requests.iter().all(|rate| *rate == 1.0), "{window:?}");
        assert_eq!(view.whole.requests, 1.0);
        let p50 = view.whole.paths[Served::Fast as usize].p50_ms.unwrap();
        assert!((p50 - 1.0).abs() < RELATIVE_ERROR, "{p50}");
    }
    assert_eq!(telemetry.live(Window::Minute).totals.requests(), 30_000);

    clock.store(START + 100_000, Ordering::SeqCst);
    let view = telemetry.live(Window::SixHours);
    assert!(view.requests.iter().all(|rate| *rate == 0.0), "silence is nought");
    assert_eq!(view.current, Rates::default());
}

#[test]
fn recent_and_known_are_bounded() {
    let (telemetry, _clock) = telemetry();
    for id in 0..2000 {
        telemetry.observe(Arc::new(observation(id, START)));
    }
    let ids = |limit| -> Vec<u128> {
        telemetry.recent(limit).iter().map(|one| one.impression.as_u128()).collect()
    };
    assert_eq!(ids(3), [1999, 1998, 1997]);
    assert_eq!(ids(10_000).len(), 500);
    assert_eq!(ids(500)[499], 1500);
    assert!(telemetry.knows(Uuid::from_u128(0)));
    assert!(!telemetry.knows(Uuid::from_u128(2000)));
}

#[test]
fn threads_lose_nothing() {
    const THREADS: u128 = 64;
    const EACH: u128 = 300;
    let (telemetry, clock) = telemetry();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (telemetry, clock) = (&telemetry, &clock);
            scope.spawn(move || {
                for turn in 0..EACH {
                    let id = thread * EACH + turn;
                    let second = START + (turn / 40) as i64;
                    clock.fetch_max(second, Ordering::SeqCst);
                    telemetry.observe(Arc::new(match id % 4 {
                        0 => observation(id, second),
                        1 => denied(id, second),
                        2 => cached(id, second),
                        _ => reasoned(id, second, None),
                    }));
                    telemetry.rejected(429, "slow_down");
                    if turn % 50 == 0 {
                        telemetry.live(Window::SixHours);
                        telemetry.text();
                    }
                }
            });
        }
    });
    let all = (THREADS * EACH) as u64;
    let quarter = all / 4;
    let totals = telemetry.totals();
    assert_eq!(totals.served, [2 * quarter, quarter, quarter]);
    assert_eq!(totals.rejected, all);
    assert_eq!(totals.reasoners[ReasonerKind::Mock as usize].prompt_tokens, 1000 * quarter);
    let (series, _) = parse(&telemetry.text());
    for (key, count) in [
        ("api_requests_total{strategy=\"fast_path\"}", 2 * quarter),
        ("api_response_latency_seconds_count{strategy=\"slow_path\"}", quarter),
        ("router_denied_total{limit=\"rate\"}", quarter),
        ("cache_operations_total{status=\"hit\"}", quarter),
        ("api_rejected_total{code=\"slow_down\",status=\"429\"}", all),
    ] {
        assert_eq!(series[key], count as f64, "{key}");
    }
    clock.store(START + 60, Ordering::SeqCst);
    let view = telemetry.live(Window::Minute);
    let counted: f64 = view.requests.iter().filter(|rate| !rate.is_nan()).sum();
    assert_eq!(counted, all as f64);
    assert!(view.requests.iter().all(|rate| !rate.is_nan()));
}
