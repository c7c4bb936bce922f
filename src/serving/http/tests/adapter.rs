//! `/adapter`: which, another, none.

use super::{ASKED, Running, settings};
use crate::training::adapter::LARGEST;

#[tokio::test]
async fn an_adapter_is_put_on_told_and_taken_off() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    let on = |answer: &super::client::Answer| answer.json()["adapter"]["fingerprint"].clone();
    assert_eq!(on(&line.get("/adapter").await), serde_json::Value::Null);
    assert_eq!(on(&line.put("/adapter", "", "a file").await), "a file");
    // Whatever type it claims: a browser asks before it sends a PUT to another origin.
    let typed = "Content-Type: application/octet-stream\r\n";
    let answer = line.put("/adapter", typed, "another").await;
    assert_eq!((on(&answer), &answer.json()["model"]), ("another".into(), &"stub".into()));
    assert_eq!(on(&line.get("/adapter").await), "another");
    assert_eq!(line.get("/health").await.json()["adapter"]["fingerprint"], "another");
    for _ in 0..2 {
        assert_eq!(on(&line.ask("DELETE /adapter", "", "").await), serde_json::Value::Null);
    }
    assert!(running.stub.counted().is_empty());
}

#[tokio::test]
async fn what_is_no_adapter_of_the_model_is_refused_and_the_old_one_stays() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    line.put("/adapter", "", "the old one").await;
    line.put("/adapter", "", "other").await.is_error(422, "other_model");
    line.put("/adapter", "", "").await.is_error(400, "empty_body");
    line.ask("PUT /adapter", "", "").await.is_error(411, "length_required");
    line.put("/adapter", "Content-Encoding: gzip\r\n", "x").await.is_error(415, "encoded");
    line.put("/adapter", "", "panic").await.is_error(500, "internal");
    line.post("/adapter", "", "{}").await.is_error(405, "method_not_allowed");
    let lines = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", LARGEST + 1);
    let answer = running.line().await.ask("PUT /adapter", &lines, "").await;
    answer.is_error(413, "body_too_large");
    assert!(answer.body.contains("64 MiB"), "{}", answer.body);
    let mut line = running.line().await;
    assert_eq!(line.get("/adapter").await.json()["adapter"]["fingerprint"], "the old one");
}

#[tokio::test]
async fn one_change_at_a_time_while_requests_go_on() {
    let running = Running::start(&settings()).await;
    let (mut first, mut second) = (running.line().await, running.line().await);
    let address = running.server.address();
    // The first sends half of its file and holds on.
    let head = format!("PUT /adapter HTTP/1.1\r\nHost: {address}\r\nContent-Length: 6\r\n\r\nabc");
    first.write(head).await;
    let mut refused = second.put("/adapter", "", "x").await;
    for _ in 0..100 {
        if refused.status == 409 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        refused = second.put("/adapter", "", "x").await;
    }
    refused.is_error(409, "busy");
    // Who takes one off does not wait for whoever sends one.
    assert_eq!(second.ask("DELETE /adapter", "", "").await.status, 200);
    assert_eq!(second.post("/recommend", "", ASKED).await.status, 200);
    assert_eq!(second.get("/adapter").await.status, 200);
    first.write("def").await;
    let answer = first.read().await.unwrap();
    assert_eq!(answer.json()["adapter"]["fingerprint"], "abcdef");
}
