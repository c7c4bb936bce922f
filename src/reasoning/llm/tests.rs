//! The client against a local server that answers well, badly, slowly or never.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use axum::{Router, extract::State};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::reasoning::{BreakerState, Candidate, Chosen, Seen};

const KEY: &str = "sk-very-secret";

/// What the server does with one request.
#[derive(Debug, Clone)]
enum Reply {
    /// Status, a header, and the body.
    Status(u16, Option<(&'static str, String)>, String),
    HalfBody,
    Never,
}

/// Plays its script, the last reply again and again, and keeps what it was sent.
#[derive(Debug, Default)]
struct Script {
    replies: Mutex<Vec<Reply>>,
    received: Mutex<Vec<(HeaderMap, Value)>>,
}

impl Script {
    fn received(&self) -> Vec<(HeaderMap, Value)> {
        self.received.lock().unwrap().clone()
    }
}

async fn reply(
    State(script): State<Arc<Script>>,
    headers: HeaderMap,
    body: String,
) -> Response<Body> {
    let body = serde_json::from_str(&body).unwrap();
    script.received.lock().unwrap().push((headers, body));
    let next = {
        let mut replies = script.replies.lock().unwrap();
        if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
    };
    let (status, header, body) = match next {
        Reply::Never => std::future::pending().await,
        Reply::HalfBody => {
            let half = [Ok("{\"choices\": [{\"mess"), Err(std::io::Error::other("cut"))];
            (200, None, Body::from_stream(stream::iter(half)))
        }
        Reply::Status(status, header, body) => (status, header, Body::from(body)),
    };
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(body).unwrap()
}

async fn serve(replies: &[Reply]) -> (SocketAddr, Arc<Script>) {
    let script = Arc::new(Script { replies: Mutex::new(replies.to_vec()), ..Script::default() });
    let app = Router::new().route("/v1/chat/completions", post(reply)).with_state(script.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, script)
}

fn settings(address: SocketAddr) -> ReasonerSettings {
    ReasonerSettings {
        base_url: format!("http://{address}/v1"),
        model: "test-model".to_owned(),
        key_variable: "TEST_KEY".to_owned(),
        timeout: 10.0,
        retries: 2,
        breaker_failures: 3,
        breaker_seconds: 0.5,
        input_price: 1.0,
        output_price: 10.0,
        ..Default::default()
    }
}

/// For tests that wait for timeouts, or between attempts.
fn hasty(address: SocketAddr) -> ReasonerSettings {
    ReasonerSettings { timeout: 0.3, ..settings(address) }
}

fn llm_with(settings: &ReasonerSettings) -> Llm {
    let names: Arc<[String]> = ["Drama".to_owned()].into();
    Llm::with_variables(settings, names, |name| (name == "TEST_KEY").then(|| KEY.to_owned()))
        .unwrap()
}

async fn llm(replies: &[Reply]) -> (Llm, Arc<Script>) {
    let (address, script) = serve(replies).await;
    (llm_with(&settings(address)), script)
}

async fn hasty_llm(replies: &[Reply]) -> (Llm, Arc<Script>) {
    let (address, script) = serve(replies).await;
    (llm_with(&hasty(address)), script)
}

/// Candidates `10` to `14`; asks for three.
fn request() -> ReasonRequest {
    let candidate = |item: u32| Candidate {
        item,
        id: (10 + item).to_string(),
        title: Some(format!("Film {item}")),
        genres: vec![0],
        probability: 0.2,
    };
    let seen =
        Seen { item: 7, id: "7".to_owned(), title: None, genres: Vec::new(), time_ms: 86_400_000 };
    ReasonRequest {
        user_id: "u".to_owned(),
        history: vec![seen],
        candidates: (0..5).map(candidate).collect(),
        count: 3,
        within: None,
    }
}

/// A chat completion that says `content`, counted as 100 and 20 tokens.
fn says(content: &str) -> Reply {
    let body = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    });
    Reply::Status(200, None, body.to_string())
}

fn ranks(ids: &[&str]) -> Reply {
    let ranking: Vec<Value> = ids.iter().map(|id| json!({"id": id, "reason": "because"})).collect();
    says(&json!({"profile": "p", "evidence": "e", "ranking": ranking}).to_string())
}

fn status(status: u16) -> Reply {
    Reply::Status(status, None, "{}".to_owned())
}

fn chosen(ranking: &[Chosen]) -> Vec<usize> {
    ranking.iter().map(|chosen| chosen.candidate).collect()
}

#[tokio::test]
async fn a_good_answer_is_ranked_counted_and_paid() {
    let (llm, script) = llm(&[ranks(&["12", "10", "14"])]).await;
    let estimate = llm.expected_cost();
    assert!(estimate > 0.0);
    let reasoned = llm.reason(&request()).await.unwrap();
    assert_eq!(chosen(&reasoned.ranking), [2, 0, 4]);
    assert_eq!(reasoned.ranking[0].reason, "because");
    let steps: Vec<&str> = reasoned.steps.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(steps, ["profile", "candidates", "evidence", "decision"]);
    let usage = reasoned.usage;
    assert!(!usage.simulated);
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.attempts), (100, 20, 1));
    assert!((usage.cost - 300e-6).abs() < 1e-12, "100 at $1 and 20 at $10 a million");
    assert_eq!(llm.expected_cost(), usage.cost);
    assert_eq!(llm.breaker().state, BreakerState::Closed);

    let (headers, body) = script.received().remove(0);
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(body["model"], "test-model");
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let told: Value =
        serde_json::from_str(body["messages"][1]["content"].as_str().unwrap()).unwrap();
    assert_eq!(told["candidates"][2]["id"], "12");
    assert_eq!(told["history"][0]["id"], "7");
}

#[tokio::test]
async fn invented_and_repeated_items_are_dropped_and_filled_up() {
    let (llm, _) = llm(&[ranks(&["99", "13", "13", "Alien"])]).await;
    let reasoned = llm.reason(&request()).await.unwrap();
    assert_eq!(chosen(&reasoned.ranking), [3, 0, 1]);
    assert!(reasoned.ranking[1].reason.contains("System 1's first choice"));
    assert_eq!(reasoned.usage.invented_items, 2);
}

#[tokio::test]
async fn only_invented_items_are_no_answer_but_cost_as_much() {
    let (llm, script) = llm(&[ranks(&["98", "99"])]).await;
    let error = llm.reason(&request()).await.unwrap_err();
    assert_eq!(error.code(), "invalid_answer");
    let usage = error.usage();
    assert_eq!((usage.invented_items, usage.attempts, usage.prompt_tokens), (2, 1, 100));
    assert_eq!(script.received().len(), 1, "the same question has the same answer");
}

#[tokio::test]
async fn answers_that_are_not_of_the_schema_are_refused() {
    let completion = |text: &str| Reply::Status(200, None, text.to_owned());
    let cut = json!({"choices": [{"finish_reason": "length", "message": {"content": "{"}}]});
    let silent = json!({"choices": [{"message": {"content": null}}]});
    for (reply, word) in [
        (says("I like Alien"), "schema"),
        (says(r#"{"ranking": {"id": "10"}}"#), "schema"),
        (completion("<html>busy</html>"), "not JSON"),
        (completion("[1, 2]"), "not a chat completion"),
        (completion(r#"{"choices": []}"#), "no choices"),
        (completion(&cut.to_string()), "cut off"),
        (completion(&silent.to_string()), "empty"),
        (completion(&"x".repeat(2 << 20)), "longer than 1 MiB"),
    ] {
        let (llm, script) = llm(&[reply]).await;
        let error = llm.reason(&request()).await.unwrap_err();
        assert_eq!(error.code(), "invalid_answer", "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(script.received().len(), 1);
        assert!(error.usage().prompt_tokens > 0, "it was read, so it may be charged for");
    }
}

#[tokio::test]
async fn passing_failures_are_tried_again() {
    for trouble in
        [status(500), status(503), status(429), status(408), Reply::HalfBody, Reply::Never]
    {
        let (llm, script) = hasty_llm(&[trouble.clone(), ranks(&["10"])]).await;
        let reasoned = llm.reason(&request()).await.unwrap();
        assert_eq!(reasoned.usage.attempts, 2, "{trouble:?}");
        assert_eq!(script.received().len(), 2, "{trouble:?}");
        let read = matches!(trouble, Reply::HalfBody | Reply::Never);
        assert_eq!(
            reasoned.usage.prompt_tokens > 100,
            read,
            "{trouble:?}: all attempts are counted"
        );
        assert_eq!(llm.breaker().failures, 0);
    }
}

#[tokio::test]
async fn lasting_failures_are_not() {
    for (code, expected) in [
        (400, "bad_request"),
        (401, "unauthorized"),
        (402, "unauthorized"),
        (403, "unauthorized"),
        (404, "bad_request"),
        (307, "bad_request"),
    ] {
        let echo = json!({"error": {"message": format!("no {KEY} here")}}).to_string();
        let (llm, script) = llm(&[Reply::Status(code, None, echo)]).await;
        let error = llm.reason(&request()).await.unwrap_err();
        assert_eq!(error.code(), expected, "{code}");
        assert_eq!(script.received().len(), 1, "{code}");
        assert!(!format!("{error} {error:?} {llm:?}").contains("very-secret"), "{error}");
        assert_eq!(error.usage().prompt_tokens, 0, "a refusal is not charged");
    }
}

#[tokio::test]
async fn retries_end() {
    for (trouble, code) in [
        (status(500), "server_error"),
        (status(429), "rate_limited"),
        (Reply::HalfBody, "connection"),
        (Reply::Never, "timeout"),
    ] {
        let (llm, script) = hasty_llm(&[trouble]).await;
        let error = llm.reason(&request()).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.usage().attempts, 3);
        assert_eq!(script.received().len(), 3);
        assert_eq!(llm.breaker().failures, 1, "one call, one failure");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_within_the_timeout() {
    let hour = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let date = jiff::fmt::rfc2822::to_string(&hour.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
    for wait in ["3600".to_owned(), date] {
        let busy = Reply::Status(429, Some(("retry-after", wait)), "{}".to_owned());
        let (llm, _) = hasty_llm(&[busy, ranks(&["10"])]).await;
        let reasoned = llm.reason(&request()).await.unwrap();
        // The waits of its own are a quarter to half of the timeout.
        assert!(reasoned.usage.latency >= Duration::from_millis(300), "{:?}", reasoned.usage);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let llm = llm_with(&hasty(address));
    let error = llm.reason(&request()).await.unwrap_err();
    assert_eq!(error.code(), "connection");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert_eq!((error.usage().attempts, error.usage().prompt_tokens), (3, 0));
    let estimate = Llm::expected_cost(&llm);
    assert!(estimate > 0.0, "a call that reached nobody says nothing of what calls cost");
}

#[tokio::test]
async fn a_slow_answer_within_the_timeout_is_an_answer() {
    let slow = |body: &'static str| {
        let pieces = stream::unfold(body.as_bytes().chunks(200), |mut rest| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            rest.next().map(|piece| (Ok::<_, Infallible>(piece), rest))
        });
        Body::from_stream(pieces)
    };
    let Reply::Status(_, _, body) = ranks(&["10", "11", "12"]) else { unreachable!() };
    let body: &'static str = body.leak();
    let app = Router::new().fallback(move || async move { slow(body) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let reasoned = llm_with(&settings(address)).reason(&request()).await.unwrap();
    assert_eq!(chosen(&reasoned.ranking), [0, 1, 2]);
}

#[tokio::test]
async fn tokens_are_estimated_where_the_server_counts_none() {
    let content = json!({"ranking": [{"id": "10", "reason": "because"}]}).to_string();
    let body = json!({"choices": [{"message": {"content": content}}]}).to_string();
    let (llm, _) = llm(&[Reply::Status(200, None, body)]).await;
    let usage = llm.reason(&request()).await.unwrap().usage;
    assert_eq!(usage.prompt_tokens, Prompt::new(&request(), &llm.genre_names).tokens());
    assert_eq!(usage.completion_tokens, tokens(content.chars().count()));
}

#[tokio::test]
async fn the_breaker_spares_the_server_then_tries_once() {
    let (address, script) = serve(&[status(500)]).await;
    let llm = llm_with(&ReasonerSettings { retries: 0, ..hasty(address) });
    for _ in 0..3 {
        assert_eq!(llm.reason(&request()).await.unwrap_err().code(), "server_error");
    }
    let view = llm.breaker();
    assert_eq!((view.state, view.failures), (BreakerState::Open, 3));
    assert!(view.retry_in.unwrap() <= Duration::from_millis(500));
    let refused = llm.reason(&request()).await.unwrap_err();
    assert_eq!((refused.code(), refused.usage().attempts), ("breaker_open", 0));
    assert_eq!(script.received().len(), 3, "the server is left alone");

    tokio::time::sleep(Duration::from_millis(510)).await;
    assert_eq!(llm.breaker().state, BreakerState::HalfOpen);
    *script.replies.lock().unwrap() = vec![Reply::Never];
    let asked = request();
    let (trial, second) = tokio::join!(llm.reason(&asked), llm.reason(&asked));
    assert_eq!(trial.unwrap_err().code(), "timeout");
    assert_eq!(second.unwrap_err().code(), "breaker_open");
    assert_eq!(llm.breaker().state, BreakerState::Open);

    tokio::time::sleep(Duration::from_millis(510)).await;
    *script.replies.lock().unwrap() = vec![ranks(&["10"])];
    llm.reason(&request()).await.unwrap();
    assert_eq!(llm.breaker().state, BreakerState::Closed);
    assert_eq!(script.received().len(), 5);
}

#[tokio::test]
async fn a_trial_is_not_retried() {
    // Patient enough for a machine with other work: every attempt must arrive.
    let (address, script) = serve(&[status(500)]).await;
    let llm = llm_with(&ReasonerSettings { timeout: 5.0, ..settings(address) });
    for _ in 0..3 {
        llm.reason(&request()).await.unwrap_err();
    }
    let before = script.received().len();
    assert_eq!(before, 9);
    tokio::time::sleep(Duration::from_millis(510)).await;
    assert_eq!(llm.reason(&request()).await.unwrap_err().usage().attempts, 1);
    assert_eq!(script.received().len(), before + 1);
}

#[tokio::test]
async fn a_call_given_up_counts_as_no_failure() {
    let (llm, _) = llm(&[Reply::Never]).await;
    for _ in 0..5 {
        let asked = request();
        let given_up = tokio::time::timeout(Duration::from_millis(20), llm.reason(&asked)).await;
        assert!(given_up.is_err());
    }
    let view = llm.breaker();
    assert_eq!((view.state, view.failures), (BreakerState::Closed, 0));
}

#[tokio::test]
async fn a_call_ends_with_the_callers_patience_and_counts_as_failed() {
    // One that never answers, and one whose retries would take longer.
    for replies in [[Reply::Never], [status(503)]] {
        let (address, _) = serve(&replies).await;
        let settings = ReasonerSettings { breaker_failures: 1, retries: 10, ..settings(address) };
        let llm = llm_with(&settings);
        let within = Some(Duration::from_millis(200));
        let error = llm.reason(&ReasonRequest { within, ..request() }).await.unwrap_err();
        let ReasonError::Failed { failure, usage } = error else { panic!("{error}") };
        if let Reply::Never = replies[0] {
            assert!(failure.to_string().contains("raise server.timeout"), "{failure}");
            assert!(usage.cost > 0.0, "it may have read the prompt");
        }
        assert_eq!(llm.breaker().state, BreakerState::Open);
    }
}

#[tokio::test]
async fn where_there_is_nothing_to_choose_nobody_is_asked() {
    let (llm, script) = llm(&[status(500)]).await;
    let reasoned =
        llm.reason(&ReasonRequest { candidates: Vec::new(), ..request() }).await.unwrap();
    assert!(reasoned.ranking.is_empty());
    let reasoned = llm.reason(&ReasonRequest { count: 0, ..request() }).await.unwrap();
    assert_eq!(reasoned.usage, Usage::default());
    assert!(script.received().is_empty());
}

#[tokio::test]
async fn a_server_on_this_machine_needs_no_key() {
    let (address, script) = serve(&[ranks(&["10"])]).await;
    let llm = Llm::with_variables(&settings(address), Arc::new([]), |_| None).unwrap();
    llm.reason(&request()).await.unwrap();
    assert!(!script.received()[0].0.contains_key("authorization"));
}
