//! Good answers, statuses, redirects, mirrors, and who may download at all.

use std::time::{Duration, Instant};

use deepm3::data::download::{DownloadError, Options, download_with};
use deepm3::jobs::{Control, detached};

use crate::desk::{Desk, body, entry, known, options, unknown};
use crate::server::{Reply, Server};

#[test]
fn a_good_file_arrives_with_its_manifest_and_is_not_fetched_twice() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |_| Reply::ok(&sent, "\"a\""));
    let desk = Desk::new();
    let entry = entry(vec![known(server.url("/ratings.dat"), &body)]);
    assert!(!entry.is_downloaded(desk.path()));

    let folder = desk.get(&entry).unwrap();
    assert_eq!(folder, entry.folder(desk.path()));
    assert_eq!(desk.file("ratings.dat"), body);
    assert!(entry.is_downloaded(desk.path()));
    assert!(!desk.path().join("toy.part").exists(), "the staging folder was left behind");

    desk.get(&entry).unwrap();
    assert_eq!(server.requests().len(), 1);
    let progress = desk.progress.lock().unwrap();
    assert!(progress.iter().any(|p| p.message.contains("of 3.0 MB")), "{progress:?}");
}

#[test]
fn without_agreement_nothing_is_asked_of_the_network() {
    let server = Server::start(|_| Reply::ok(b"x", "\"a\""));
    let data = tempfile::tempdir().unwrap();
    let entry = entry(vec![unknown(server.url("/"))]);
    let context = detached::<()>(Control::default(), |_, _| {});
    let error = download_with(&entry, data.path(), &options(), &context).unwrap_err();
    assert!(matches!(error, DownloadError::LicenceNotAgreed { .. }));
    let message = error.to_string();
    assert!(message.contains("Test terms") && message.contains("https://example.org/terms"));
    assert!(server.requests().is_empty());
}

#[test]
fn not_found_is_not_tried_again_and_points_to_the_homepage() {
    let server = Server::start(|_| Reply::empty("404 Not Found", &[]));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap_err();
    assert!(matches!(error, DownloadError::Status { .. }), "{error}");
    assert!(error.to_string().contains("homepage"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_busy_server_is_asked_again_after_the_time_it_names() {
    let server = Server::start(|request| match request.number {
        0 => Reply::empty("503 Service Unavailable", &["retry-after: 1"]),
        _ => Reply::ok(b"1::1::1::1", "\"a\""),
    });
    let desk = Desk::new();
    let patient = Options { max_backoff: Duration::from_secs(10), ..options() };
    let start = Instant::now();
    desk.get_with(&entry(vec![unknown(server.url("/f"))]), &patient).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_long_retry_after_is_bounded() {
    let server = Server::start(|request| match request.number {
        0 => Reply::empty("429 Too Many Requests", &["retry-after: 86400"]),
        _ => Reply::ok(b"1::1::1::1", "\"a\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap();
}

#[test]
fn redirects_are_followed() {
    let server = Server::start(|request| match request.path() {
        "/old" => Reply::empty("302 Found", &["location: /new"]),
        _ => Reply::ok(b"1::1::1::1", "\"a\""),
    });
    let desk = Desk::new();
    desk.get(&entry(vec![unknown(server.url("/old"))])).unwrap();
    assert_eq!(desk.file("ratings.dat"), b"1::1::1::1");
}

#[test]
fn redirects_in_circles_end() {
    let server = Server::start(|_| Reply::empty("302 Found", &["location: /again"]));
    let desk = Desk::new();
    let error = desk.get(&entry(vec![unknown(server.url("/"))])).unwrap_err();
    assert!(error.to_string().contains("in circles"), "{error}");
}

#[test]
fn a_mirror_steps_in_for_a_publisher_that_is_down() {
    let body = body();
    let sent = body.clone();
    let server = Server::start(move |request| match request.path() {
        "/gone" => Reply::empty("404 Not Found", &[]),
        _ => Reply::ok(&sent, "\"a\""),
    });
    let desk = Desk::new();
    let mut source = known(server.url("/gone"), &body);
    source.urls.push(server.url("/mirror"));
    desk.get(&entry(vec![source])).unwrap();
    assert_eq!(desk.file("ratings.dat"), body);
}

#[test]
fn two_downloads_of_one_set_do_not_mix() {
    let server = Server::start(|_| Reply::stall(&[0; 5000], "\"a\"", 10));
    let desk = Desk::new();
    let entry = entry(vec![unknown(server.url("/f"))]);
    let other = desk.control.clone();
    let patient = Options { stall_timeout: Duration::from_secs(60), ..options() };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| desk.get_with(&entry, &patient));
        while server.requests().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let context = detached::<()>(Control::default(), |_, _| {});
        let second = download_with(&entry, desk.path(), &options(), &context);
        assert!(matches!(second, Err(DownloadError::Busy { .. })), "{second:?}");
        other.cancel();
        assert!(matches!(first.join().unwrap(), Err(DownloadError::Cancelled(_))));
    });
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_made_says_where() {
    let server = Server::start(|_| Reply::ok(b"x", "\"a\""));
    let desk = Desk::new();
    std::fs::write(desk.path().join("toy.part"), b"a file in the way").unwrap();
    let error = desk.get(&entry(vec![unknown(server.url("/f"))])).unwrap_err();
    assert!(matches!(error, DownloadError::Disk { .. }), "{error}");
    assert!(error.to_string().contains("toy.part"), "{error}");
}
