//! Bodies that are too long, too slow or not what they should be.

use super::{ASKED, Running, settings};
use crate::settings::ServerSettings;

#[tokio::test]
async fn bodies_that_are_no_request_are_told_apart() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    for (body, status, code) in [
        ("", 400, "empty_body"),
        ("{", 400, "invalid_json"),
        ("\u{feff}{}", 400, "invalid_json"),
        ("{}", 422, "invalid_body"),
        ("[1, 2]", 422, "invalid_body"),
        (r#"{"user_id": 7, "recent_items": []}"#, 422, "invalid_body"),
        (r#"{"user_id": "a", "recent_items": [18446744073709551615]}"#, 422, "invalid_body"),
        (
            r#"{"user_id": "a", "recent_items": [1], "recent_times": [1e999]}"#,
            422,
            "number_out_of_range",
        ),
        (r#"{"user_id": "a", "recent_items": [1], "recent_times": [NaN]}"#, 400, "invalid_json"),
    ] {
        line.post("/recommend", "", body).await.is_error(status, code);
    }
    let deep = format!(r#"{{"image_input": {}"#, "[".repeat(10_000));
    line.post("/recommend", "", &deep).await.is_error(400, "nested_too_deeply");
    line.post("/feedback", "", r#"{"impression_id": "7", "item": 1}"#)
        .await
        .is_error(422, "invalid_body");
}

#[tokio::test]
async fn a_length_and_a_type_are_wanted() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    let json = "Content-Type: application/json\r\n";
    line.ask("POST /recommend", json, "").await.is_error(411, "length_required");
    for lines in ["", "Content-Type: text/plain\r\n", "Content-Type: application/xml\r\n"] {
        let lines = format!("{lines}Content-Length: {}\r\n", ASKED.len());
        line.ask("POST /recommend", &lines, ASKED).await.is_error(415, "not_json");
    }
    line.post("/recommend", "Content-Encoding: gzip\r\n", ASKED).await.is_error(415, "encoded");

    let chunked = format!("{json}Transfer-Encoding: chunked\r\n");
    let body = format!("{:x}\r\n{ASKED}\r\n0\r\n\r\n", ASKED.len());
    assert_eq!(line.ask("POST /recommend", &chunked, &body).await.status, 200);
    line.ask("POST /recommend", &chunked, "zz\r\n").await.is_error(400, "broken_body");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_comes() {
    let running = Running::start(&ServerSettings { body_limit: 1, ..settings() }).await;
    let room = 1024 - ASKED.len();
    let fitting = format!("{ASKED}{}", " ".repeat(room));
    assert_eq!(running.line().await.post("/recommend", "", &fitting).await.status, 200);
    let over = format!("{fitting} ");
    running.line().await.post("/recommend", "", &over).await.is_error(413, "body_too_large");

    // More than the buffers of both ends hold: most clients send all of it before they read.
    let huge = " ".repeat(12 << 20);
    running.line().await.post("/recommend", "", &huge).await.is_error(413, "body_too_large");
    let chunk = format!("{:x}\r\n{huge}\r\n0\r\n\r\n", huge.len());
    let lines = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let answer = running.line().await.ask("POST /recommend", lines, &chunk).await;
    answer.is_error(413, "body_too_large");

    // Told before it is sent, where the client asks first.
    let lines = "Content-Type: application/json\r\nContent-Length: 999999999\r\n\
                 Expect: 100-continue\r\n";
    let answer = running.line().await.ask("POST /recommend", lines, "").await;
    answer.is_error(413, "body_too_large");
    let mut line = running.line().await;
    assert_eq!(line.post("/recommend", "", ASKED).await.status, 200, "the server lives");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let running = Running::start(&ServerSettings { timeout: 0.3, ..settings() }).await;
    let mut line = running.line().await;
    let lines = "Content-Type: application/json\r\nContent-Length: 100\r\n";
    line.ask("POST /recommend", lines, "{").await.is_error(408, "body_timeout");
    assert!(line.read().await.is_none(), "half a body leaves the connection of no use");
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let running = Running::start(&settings()).await;
    let mut line = running.line().await;
    let address = running.server.address();
    line.write(format!(
        "POST /recommend HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{"
    ))
    .await;
    drop(line);
    assert_eq!(running.line().await.post("/recommend", "", ASKED).await.status, 200);
}
