//! What the routes answer.

use serde_json::json;

use super::{ASKED, Running, settings};

#[tokio::test]
async fn a_usual_client_gets_recommendations() {
    let running = Running::start(&settings()).await;
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/recommend", running.server.address());
    for (mode, source) in [("force_fast", "fast_path"), ("force_slow", "slow_path")] {
        let request = client
            .post(&url)
            .header("X-Demo-Mode", mode)
            .header("Content-Type", "application/json")
            .body(ASKED);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let json: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(json["data"]["reasoning_source"], source);
        assert_eq!(json["data"]["meta"]["reason"], "forced");
        assert_eq!(json["data"]["recommendations"][0]["item"], 101);
    }
    assert!(running.stub.counted().is_empty());
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    for _ in 0..3 {
        assert_eq!(line.post("/recommend", "", ASKED).await.json()["status"], "success");
        assert_eq!(line.get("/health").await.json()["status"], "ok");
        line.get("/nowhere").await.is_error(404, "unknown_route");
    }
}

#[tokio::test]
async fn metrics_health_feedback_and_the_index_answer() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    let metrics = line.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("up 1"));
    let feedback = json!({"impression_id": uuid::Uuid::nil(), "item": 101}).to_string();
    assert_eq!(line.post("/feedback", "", &feedback).await.json()["known_impression"], true);
    let index = line.get("/").await.json();
    let routes = index["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 8);
    for route in routes.iter().filter(|route| route["method"] == "GET") {
        assert_eq!(line.get(route["path"].as_str().unwrap()).await.status, 200, "{route}");
    }
}

#[tokio::test]
async fn unknown_routes_methods_and_modes_are_told() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    line.get("/recommend/").await.is_error(404, "unknown_route");
    line.get("/../etc/passwd").await.is_error(404, "unknown_route");

    let answer = line.get("/recommend").await;
    answer.is_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = line.ask("DELETE /health", "", "").await;
    answer.is_error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));

    // What a browser asks before it lets a foreign page send JSON here.
    let preflight = "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = line.ask("OPTIONS /recommend", preflight, "").await;
    answer.is_error(405, "method_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), None);

    let answer = line.post("/recommend", "X-Demo-Mode: auto\r\n", ASKED).await;
    answer.is_error(400, "unknown_demo_mode");
    assert!(answer.body.contains("force_fast") && answer.body.contains("force_slow"));
}

#[tokio::test]
async fn what_the_engine_refuses_keeps_its_status_and_every_error_is_counted() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    let body = r#"{"user_id": "fail", "recent_items": []}"#;
    line.post("/recommend", "", body).await.is_error(422, "lengths_differ");
    line.get("/nowhere").await.is_error(404, "unknown_route");
    let counted = [(422, "lengths_differ"), (404, "unknown_route")];
    assert_eq!(running.stub.counted(), counted);
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_lives() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    for _ in 0..3 {
        let body = r#"{"user_id": "panic", "recent_items": []}"#;
        line.post("/recommend", "", body).await.is_error(500, "internal");
        assert_eq!(line.post("/recommend", "", ASKED).await.status, 200);
    }
    assert_eq!(running.stub.counted(), [(500, "internal"); 3]);
}
