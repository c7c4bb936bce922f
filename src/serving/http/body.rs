//! From a request's bytes to what they say.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::{Instant, timeout, timeout_at};

use super::app::error;
use super::limits::Limits;
use crate::serving::RequestError;

/// How much of a body that is too large is read on, and how long: a client that is cut off while
/// it sends often never reads the answer.
const DISCARDED: u64 = 16 << 20;
const DISCARDING: Duration = Duration::from_secs(1);
/// Longest part of a message that may come from the request.
const QUOTED: usize = 300;

/// Read the request's JSON before `deadline`.
///
/// # Errors
/// [`RequestError`]: 400 for what is no JSON, 408 past the deadline, 411 without a length, 413 over
/// the limit, 415 for another type, 422 for JSON that does not fit.
pub async fn read<T: DeserializeOwned>(
    request: Request,
    limits: &Limits,
    deadline: Instant,
) -> Result<T, RequestError> {
    let size = limits.body / 1024;
    let wanted = Wanted {
        content: "a JSON object",
        most: limits.body,
        over: format!("over {size} KiB (server.body_limit); send a shorter history"),
        check: check_type,
    };
    let bytes = bytes(request, &wanted, limits, deadline).await?;
    if std::str::from_utf8(&bytes).is_err() {
        let message = "the body is not UTF-8 text, which JSON is";
        return Err(error(StatusCode::BAD_REQUEST, "invalid_json", message));
    }
    let read = serde_json::from_slice(&bytes).map_err(|error| explain(&error, &bytes))?;
    // serde takes a list for the fields in their order, which nobody means.
    if bytes.trim_ascii_start().starts_with(b"[") {
        let message = "the body is a list; send a JSON object, as `/openapi.json` describes it";
        return Err(error(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", message));
    }
    Ok(read)
}

/// Read the request's body as the bytes of a file of at most `most` bytes, whatever type it claims,
/// before `deadline`.
///
/// # Errors
/// As [`read`], but for what its content could be.
pub async fn read_file(
    request: Request,
    most: usize,
    limits: &Limits,
    deadline: Instant,
) -> Result<Bytes, RequestError> {
    let wanted = Wanted {
        content: "the bytes of the file",
        most,
        over: format!("over {} MiB, which is the most", most >> 20),
        check: check_plain,
    };
    Ok(bytes(request, &wanted, limits, deadline).await?.into())
}

/// What a body must be.
struct Wanted {
    content: &'static str,
    /// In bytes.
    most: usize,
    /// What is said of a larger one.
    over: String,
    check: fn(&HeaderMap) -> Result<(), RequestError>,
}

async fn bytes(
    request: Request,
    wanted: &Wanted,
    limits: &Limits,
    deadline: Instant,
) -> Result<Vec<u8>, RequestError> {
    let (head, body) = request.into_parts();
    let declared = body.size_hint().exact();
    if declared == Some(0) {
        let content = wanted.content;
        return Err(if head.headers.contains_key(CONTENT_LENGTH) {
            empty(wanted)
        } else {
            let message = format!("the request has no body; send {content} with `Content-Length`");
            error(StatusCode::LENGTH_REQUIRED, "length_required", message)
        });
    }
    if declared.is_some_and(|bytes| bytes > wanted.most as u64) {
        // Who expects 100 (Continue) has not sent the body and need not.
        let sent = !head.headers.contains_key(EXPECT);
        return Err(too_large(wanted, sent.then_some(body)).await);
    }
    (wanted.check)(&head.headers)?;
    let collected = timeout_at(deadline, collect(body, wanted, declared)).await;
    collected.map_err(|_| {
        let message =
            format!("the body did not arrive within {} s (server.timeout)", seconds(limits));
        error(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    })?
}

fn empty(wanted: &Wanted) -> RequestError {
    let message = format!("the body is empty; send {}", wanted.content);
    error(StatusCode::BAD_REQUEST, "empty_body", message)
}

/// The request timeout as people write it.
pub fn seconds(limits: &Limits) -> f64 {
    limits.timeout.as_secs_f64()
}

/// Only JSON, and only as it is. A browser sends this type to another origin only after it asked,
/// which no route here allows.
fn check_type(headers: &HeaderMap) -> Result<(), RequestError> {
    let given = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = given.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !essence.eq_ignore_ascii_case(b"application/json") {
        let message = "the body's type is not JSON; send `Content-Type: application/json`";
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
    }
    check_plain(headers)
}

/// Only what is not compressed.
fn check_plain(headers: &HeaderMap) -> Result<(), RequestError> {
    let encoding = headers.get(CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes());
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "compressed bodies are not read; send it without `Content-Encoding`";
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded", message));
    }
    Ok(())
}

async fn collect(
    body: Body,
    wanted: &Wanted,
    declared: Option<u64>,
) -> Result<Vec<u8>, RequestError> {
    let expected = declared.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(0));
    let mut bytes = Vec::with_capacity(expected.min(wanted.most));
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|cause| {
            let message = format!("the body ended early or is badly framed: {cause}");
            error(StatusCode::BAD_REQUEST, "broken_body", message)
        })?;
        if bytes.len() + chunk.len() > wanted.most {
            return Err(too_large(wanted, Some(Body::from_stream(stream))).await);
        }
        bytes.extend_from_slice(&chunk);
    }
    // Of a body in chunks that is known only now.
    if bytes.is_empty() { Err(empty(wanted)) } else { Ok(bytes) }
}

async fn too_large(wanted: &Wanted, rest: Option<Body>) -> RequestError {
    if let Some(rest) = rest.filter(|rest| rest.size_hint().lower() <= DISCARDED) {
        let reading = rest.into_data_stream().scan(0, |read, chunk| {
            *read += chunk.map_or(DISCARDED, |chunk| chunk.len() as u64);
            std::future::ready((*read < DISCARDED).then_some(()))
        });
        // However it ends, the answer is the same.
        let _ = timeout(DISCARDING, reading.for_each(|()| std::future::ready(()))).await;
    }
    let message = format!("the body is {}", wanted.over);
    error(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

/// What is wrong with the JSON. serde_json counts a number that no `f64` can hold, and nesting that
/// is too deep for it, among the syntax errors and tells them apart only by their text; and a value of
/// another type where it wants one of a few words.
fn explain(cause: &serde_json::Error, bytes: &[u8]) -> RequestError {
    let said: String = cause.to_string().chars().take(QUOTED).collect();
    if said.starts_with("number out of range") {
        let message = format!("a number is too large to be one: {said}");
        return error(StatusCode::UNPROCESSABLE_ENTITY, "number_out_of_range", message);
    }
    if said.starts_with("recursion limit exceeded") {
        let message = format!("the JSON is nested too deeply: {said}");
        return error(StatusCode::BAD_REQUEST, "nested_too_deeply", message);
    }
    let valid = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if cause.classify() != Category::Data && !valid() {
        let message = format!("the body is no valid JSON: {said}");
        return error(StatusCode::BAD_REQUEST, "invalid_json", message);
    }
    let message = if said.contains("untagged enum ItemId") {
        format!(
            "an item's id must be text or a whole number from {} to {}, at line {} column {}",
            i64::MIN,
            i64::MAX,
            cause.line(),
            cause.column()
        )
    } else {
        format!("the body does not fit: {}; `/openapi.json` describes it", in_words(&said))
    };
    error(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", message)
}

/// What serde says without the names of our types.
fn in_words(said: &str) -> String {
    const EXPECTED: &str = "expected struct ";
    let mut said = said.replace("expected f64", "expected a number");
    said = said.replace("expected a sequence", "expected a list");
    if let Some(at) = said.find(EXPECTED) {
        let name = at + EXPECTED.len();
        let end = said[name..].find(' ').map_or(said.len(), |end| name + end);
        said.replace_range(at..end, "expected a JSON object");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::wire::{FeedbackAction, FeedbackRequest, RecommendRequest};

    fn refusal(json: &str) -> (u16, &'static str, String) {
        let cause = serde_json::from_str::<RecommendRequest>(json).unwrap_err();
        let refusal = explain(&cause, json.as_bytes());
        (refusal.status, refusal.code, refusal.message)
    }

    #[test]
    fn broken_json_is_400_and_json_that_does_not_fit_422() {
        for broken in ["", "{", "{\"user_id\": \"a\",}", "nul", "{\"user_id\": NaN}", "{} {}"] {
            let (status, code, _) = refusal(broken);
            let fits_not = broken == "{} {}";
            let expected = if fits_not { (422, "invalid_body") } else { (400, "invalid_json") };
            assert_eq!((status, code), expected, "{broken}");
        }
        for wrong in [
            "{\"user_id\": \"a\", \"count\": [1]}",
            "[]",
            "null",
            "{}",
            r#"{"user_id": 1, "recent_items": []}"#,
            r#"{"user_id": "a", "recent_items": "1"}"#,
            r#"{"user_id": "a", "recent_items": [true]}"#,
            r#"{"user_id": "a", "recent_items": [], "count": -1}"#,
            r#"{"user_id": "a", "recent_items": [], "count": -1.0}"#,
            r#"{"user_id": "a", "recent_items": [], "count": 5.5}"#,
            r#"{"user_id": "a", "user_id": "b", "recent_items": []}"#,
        ] {
            assert_eq!(refusal(wrong).0, 422, "{wrong}");
        }
        assert!(serde_json::from_str::<FeedbackRequest>(r#"{"impression_id": "x"}"#).is_err());
    }

    #[test]
    fn a_count_is_a_whole_number_however_it_is_written() {
        for (written, count) in [("5", Some(5)), ("5.0", Some(5)), ("5e0", Some(5)), ("null", None)]
        {
            let json = format!(r#"{{"user_id": "a", "recent_items": [], "count": {written}}}"#);
            let request: RecommendRequest = serde_json::from_str(&json).unwrap();
            assert_eq!(request.count, count, "{written}");
        }
    }

    #[test]
    fn an_action_is_one_of_three_words() {
        let id = uuid::Uuid::nil();
        let read = |action: &str| {
            let json = format!(r#"{{"impression_id": "{id}", "item": 1, "action": {action}}}"#);
            serde_json::from_str::<FeedbackRequest>(&json).map_err(|cause| {
                let refusal = explain(&cause, json.as_bytes());
                (refusal.status, refusal.message)
            })
        };
        assert_eq!(read(r#""purchase""#).unwrap().action, FeedbackAction::Purchase);
        assert_eq!(read("null").unwrap().action, FeedbackAction::Click);
        for wrong in [r#""like""#, r#"{"click": null}"#, "3", r#"["click"]"#] {
            assert_eq!(read(wrong).unwrap_err().0, 422, "{wrong}");
        }
        let (_, message) = read(r#""like""#).unwrap_err();
        assert!(message.contains("expected one of `click`, `dismiss`, `purchase`"), "{message}");
    }

    #[test]
    fn numbers_that_cannot_be_meant_are_422() {
        let infinite = r#"{"user_id": "a", "recent_items": [1], "recent_times": [1e999]}"#;
        assert_eq!(refusal(infinite).0, 422);
        assert_eq!(refusal(infinite).1, "number_out_of_range");
        for id in ["18446744073709551615", "1.5", "123456789012345678901234567890", "null"] {
            let json = format!(r#"{{"user_id": "a", "recent_items": [{id}]}}"#);
            let (status, code, message) = refusal(&json);
            assert_eq!((status, code), (422, "invalid_body"), "{id}");
            assert!(message.contains("whole number from -9223372036854775808"), "{message}");
        }
    }

    #[test]
    fn what_was_expected_is_said_in_words() {
        for (json, expected) in [
            ("5", "invalid type: integer `5`, expected a JSON object at line 1"),
            (r#"{"user_id": "a", "recent_items": [], "count": "x"}"#, "expected a whole number"),
        ] {
            let message = refusal(json).2;
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn deep_nesting_ends_at_a_limit() {
        let json = format!(r#"{{"image_input": {}"#, "[".repeat(100_000));
        assert_eq!(refusal(&json).1, "nested_too_deeply");
    }

    #[test]
    fn a_message_quotes_little_of_the_request() {
        let json = format!(r#"{{"user_id": "a", "recent_items": "{}"}}"#, "x".repeat(100_000));
        assert!(refusal(&json).2.len() < 2 * QUOTED);
    }

    #[test]
    fn only_plain_json_is_read() {
        let check = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            check_type(&headers).map_err(|error| error.code)
        };
        assert_eq!(check(&[("content-type", "application/json")]), Ok(()));
        assert_eq!(check(&[("content-type", "Application/JSON; charset=utf-8")]), Ok(()));
        assert_eq!(check(&[]), Err("not_json"));
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            assert_eq!(check(&[("content-type", other)]), Err("not_json"), "{other}");
        }
        let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
        assert_eq!(check(&gzip), Err("encoded"));
    }
}
