//! More than the server takes: requests at once, slow answers, slow clients.

use tokio::time::Duration;

use super::{ASKED, Running, WAITING, settings};
use crate::settings::ServerSettings;

#[tokio::test]
async fn what_is_too_much_at_once_is_shed() {
    let running = Running::start(&ServerSettings { concurrency: 1, ..settings() }).await;
    let mut first = running.line().await;
    let asked = tokio::spawn(async move { first.post("/recommend", "", WAITING).await });
    running.stub.one_entered().await;

    let mut second = running.line().await;
    let answer = second.post("/recommend", "", ASKED).await;
    answer.is_error(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("1"));
    second.get("/nowhere").await.is_error(503, "overloaded");
    assert_eq!(second.get("/health").await.status, 200, "watchers still get through");
    assert_eq!(second.get("/metrics").await.status, 200);

    running.stub.gate.add_permits(1);
    assert_eq!(asked.await.unwrap().status, 200);
    assert_eq!(second.post("/recommend", "", ASKED).await.status, 200, "there is room again");
}

#[tokio::test]
async fn a_client_that_leaves_makes_room() {
    let running = Running::start(&ServerSettings { concurrency: 1, ..settings() }).await;
    let mut first = running.line().await;
    let lines = format!(
        "POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{WAITING}",
        WAITING.len()
    );
    first.write(lines).await;
    running.stub.one_entered().await;
    drop(first);
    let mut second = running.line().await;
    while second.post("/recommend", "", ASKED).await.status == 503 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_504() {
    let running = Running::start(&ServerSettings { timeout: 0.3, ..settings() }).await;
    let mut line = running.line().await;
    line.post("/recommend", "", WAITING).await.is_error(504, "answer_timeout");
    assert_eq!(line.post("/recommend", "", ASKED).await.status, 200);
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let running = Running::start(&ServerSettings { timeout: 0.3, ..settings() }).await;
    for before in [0, 2] {
        let mut line = running.line().await;
        for _ in 0..before {
            assert_eq!(line.get("/health").await.status, 200);
        }
        line.write("GET /health HTTP/1.1\r\nHost: localhost\r\n").await;
        assert!(line.read().await.is_none(), "after {before} requests");
    }
    let mut line = running.line().await;
    // Each byte is in time; all of them together are not.
    let head = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(2000));
    for byte in head.bytes() {
        if !line.write([byte]).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(line.read().await.is_none());
}

#[tokio::test]
async fn an_idle_connection_outlives_a_heads_time() {
    let running = Running::start(&ServerSettings { timeout: 0.2, ..settings() }).await;
    let mut line = running.line().await;
    assert_eq!(line.get("/health").await.status, 200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(line.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let running = Running::start(&ServerSettings { timeout: 0.3, ..settings() }).await;
    let mut line = running.line().await;
    // Without reading a single answer: once the buffers of both ends are full, the server waits for
    // the client, and no longer than it must.
    let asked = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while line.write(&asked).await {}
    assert_eq!(running.line().await.get("/health").await.status, 200, "others are served");
}
