//! Bodies that break off, stall or change, and the next try.

use std::path::Path;
use std::time::{Duration, Instant};

use deepm3::data::download::{DownloadError, Options, download_with};
use deepm3::jobs::{Control, detached};

use crate::desk::{Desk, body, entry, known, options, unknown};
use crate::server::{Reply, Server};

#[test]
fn a_stalled_server_is_left_and_continued_at_the_same_byte() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::stall(&sent, "\"a\"", 1_000_000),
        _ => Reply::ranged(request, &sent, "\"a\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![known(server.url("/f"), &body)])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].from(), Some(1_000_000));
    assert_eq!(requests[1].header("if-range"), Some("\"a\""));
}

#[test]
fn a_truncated_body_is_continued() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::cut(&sent, "\"a\"", 500_000),
        _ => Reply::ranged(request, &sent, "\"a\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_body_that_is_always_truncated_is_given_up_with_what_came_kept() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |_| Reply::cut(&sent, "\"a\"", 2_000_000));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![known(server.url("/f"), &body)])).unwrap_err();
    assert!(matches!(error, DownloadError::Network { .. }), "{error}");
    assert!(error.to_string().contains("what was received is kept"), "{error}");
    assert!(!desk.path().join("toy").exists());
    assert_eq!(desk.part(), body[..2_000_000]);
    // One that made headway, then as many in vain as allowed.
    assert!(server.requests().len() <= 5, "{}", server.requests().len());
}

#[test]
fn a_new_version_on_the_server_starts_over() {
    let (old, new) = (body(), body().into_iter().rev().collect::<Vec<_>>());
    let (first, then) = (old.clone(), new.clone());
    let server = Server::start(move |request| match request.number {
        0 => Reply::cut(&first, "\"old\"", 1_000_000),
        _ => Reply::ranged(request, &then, "\"new\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![known(server.url("/f"), &new)])).unwrap();
    assert_eq!(server.requests()[1].header("if-range"), Some("\"old\""));
    assert_eq!(desk.file("ratings.dat"), new);
}

#[test]
fn a_server_that_continues_at_the_wrong_place_is_not_believed() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match (request.number, request.from()) {
        (0, _) => Reply::cut(&sent, "\"a\"", 1_000_000),
        (_, Some(_)) => {
            let headers = ["content-range: bytes 0-2999999/3000000".to_owned()];
            Reply::new("206 Partial Content", &headers, &sent)
        }
        (_, None) => Reply::ok(&sent, "\"a\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
}

#[test]
fn a_range_past_the_end_starts_over() {
    let server = Server::start(move |request| match (request.number, request.from()) {
        (0, _) => Reply::cut(&[7; 5000], "\"a\"", 4000),
        (_, Some(_)) => Reply::empty("416 Range Not Satisfiable", &["content-range: bytes */3000"]),
        (_, None) => Reply::ok(&[8; 3000], "\"b\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap();
    assert_eq!(desk.file("ratings.dat"), [8; 3000]);
}

#[test]
fn a_cancel_is_honoured_within_a_second_while_the_server_stalls() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |_| Reply::stall(&sent, "\"a\"", 1_000_000));
    let desk = Desk::new();
    let control = desk.control.clone();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        control.cancel();
        Instant::now()
    });
    let patient = Options { stall_timeout: Duration::from_secs(60), ..options() };
    let error = desk.get_with(&entry(vec![known(server.url("/f"), &body)]), &patient).unwrap_err();
    let waited = canceller.join().unwrap().elapsed();
    assert!(matches!(error, DownloadError::Cancelled(_)), "{error}");
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!(desk.part(), body[..1_000_000]);
}

#[test]
fn a_download_stopped_half_way_completes_with_identical_bytes() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::stall(&sent, "\"a\"", 1_500_000),
        _ => Reply::ranged(request, &sent, "\"a\""),
    });
    let entry = entry(vec![known(server.url("/f"), &body)]);
    let desk = Desk::new();
    let impatient = Options { retries: 0, ..options() };
    desk.get_with(&entry, &impatient).unwrap_err();
    assert_eq!(desk.part().len(), 1_500_000);

    desk.get(&entry).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
    assert_eq!(server.requests()[1].from(), Some(1_500_000));
}

/// Tells the process below what to do; it is this test binary once more.
const VICTIM: &str = "DEEPM3_TEST_DOWNLOAD";

#[test]
fn a_download_in_a_process_that_is_to_be_killed() {
    let Ok(task) = std::env::var(VICTIM) else {
        return;
    };
    let (url, data) = task.split_once('|').unwrap();
    let entry = entry(vec![known(url.to_owned(), &body())]);
    let patient = Options { stall_timeout: Duration::from_secs(60), ..options() };
    let context = detached::<()>(Control::default(), |_, _| {});
    let _ = download_with(&entry, Path::new(data), &patient, &context);
}

#[test]
fn a_download_whose_process_was_killed_completes_with_identical_bytes() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match request.number {
        0 => Reply::stall(&sent, "\"a\"", 1_500_000),
        _ => Reply::ranged(request, &sent, "\"a\""),
    });
    let desk = Desk::new();
    let entry = entry(vec![known(server.url("/f"), &body)]);
    entry.agree(desk.path()).unwrap();
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "resume::a_download_in_a_process_that_is_to_be_killed"])
        .env(VICTIM, format!("{}|{}", server.url("/f"), desk.path().display()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while desk.part().len() < 1_500_000 {
        assert!(start.elapsed() < Duration::from_secs(20), "the other process does nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(!desk.path().join("toy").exists());

    desk.get(&entry).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
    assert_eq!(server.requests()[1].from(), Some(1_500_000));
}

#[test]
fn without_a_validator_the_bytes_are_fetched_anew() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| {
        let all = if request.number == 0 { 1_000_000 } else { sent.len() };
        Reply::new("200 OK", &[format!("content-length: {}", sent.len())], &sent[..all])
    });
    let desk = Desk::new();
    desk.get(&entry(vec![known(server.url("/f"), &body)])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
    assert_eq!(server.requests()[1].from(), None);
}

#[test]
fn a_body_of_unnamed_length_that_ends_early_is_not_taken_for_whole() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| {
        let all = if request.number == 0 { 1_000_000 } else { sent.len() };
        Reply::new("200 OK", &[], &sent[..all])
    });
    let desk = Desk::new();
    desk.get(&entry(vec![known(server.url("/f"), &body)])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
}
