//! From bind to stop.

use std::sync::Arc;
use std::time::Duration;

use super::client::Line;
use super::stub::Stub;
use super::{ASKED, Running, Server, WAITING, settings};
use crate::serving::http::BindError;
use crate::settings::ServerSettings;

#[tokio::test]
async fn a_stop_finishes_what_was_accepted_and_takes_no_more() {
    let running = Running::start(&settings()).await;
    let address = running.server.address();
    let (mut accepted, mut idle, mut fresh, mut half) =
        (running.line().await, running.line().await, running.line().await, running.line().await);
    assert_eq!(idle.get("/health").await.status, 200);
    half.write("POST /recommend HTTP/1.1\r\n").await;
    let asked = tokio::spawn(async move { accepted.post("/recommend", "", WAITING).await });
    running.stub.one_entered().await;

    let Running { server, stub } = running;
    let stopped = tokio::spawn(server.stop());
    assert!(idle.read().await.is_none(), "idle connections are closed");
    assert!(fresh.read().await.is_none(), "so are those that never asked");
    assert!(half.read().await.is_none(), "half a head was not accepted");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "no new connections");
    assert!(!stopped.is_finished());

    stub.gate.add_permits(1);
    let answer = asked.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(stopped.await.unwrap().aborted, 0);
}

#[tokio::test]
async fn the_deadline_cuts_off_the_rest() {
    let running = Running::start(&ServerSettings { shutdown: 0.2, ..settings() }).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut line = running.line().await;
        waiting.push(tokio::spawn(async move { line.post("/recommend", "", WAITING).await }));
        running.stub.one_entered().await;
    }
    assert_eq!(running.server.stop().await.aborted, 3);
    for asked in waiting {
        asked.await.unwrap().is_error(503, "stopping");
    }
}

#[tokio::test]
async fn a_dropped_server_closes_its_port() {
    let Running { server, stub: _stub } = Running::start(&settings()).await;
    let address = server.address();
    drop(server);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stopped_server_gives_its_port_back() {
    let running = Running::start(&settings()).await;
    let port = running.server.address().port();
    assert_eq!(running.line().await.post("/recommend", "", ASKED).await.status, 200);
    running.server.stop().await;
    let again = Running::start(&ServerSettings { port: port.into(), ..settings() }).await;
    assert_eq!(again.line().await.get("/health").await.status, 200);
}

async fn refused(settings: ServerSettings, token: Option<&str>) -> BindError {
    let stub = Arc::new(Stub::default());
    let bound = Server::bind(stub, &settings, token.map(str::to_owned)).await;
    bound.err().expect("the server must not start")
}

#[tokio::test]
async fn a_taken_port_is_told_with_one_that_is_free() {
    let running = Running::start(&settings()).await;
    let port = running.server.address().port();
    let taken = ServerSettings { port: port.into(), ..settings() };
    let error = refused(taken.clone(), None).await;
    assert!(error.to_string().starts_with(&format!("port {port} is taken")), "{error}");
    let BindError::Taken { port: told, free: Some(free) } = error else { panic!("{error}") };
    assert_eq!(told, port);
    let next = Running::start(&ServerSettings { port: free.into(), ..taken }).await;
    assert_eq!(Line::open(next.server.address()).await.get("/health").await.status, 200);
}

#[tokio::test]
async fn addresses_that_cannot_be_are_told() {
    let at = |host: &str| ServerSettings { host: host.to_owned(), ..settings() };
    assert!(matches!(refused(at("192.0.2.1"), None).await, BindError::Foreign(_)));
    assert!(matches!(refused(at("no such host"), None).await, BindError::Unknown { .. }));
    assert!(matches!(refused(at(""), None).await, BindError::Unknown { .. }));
    let port = ServerSettings { port: 70_000, ..settings() };
    assert!(matches!(refused(port, None).await, BindError::NoSuchPort(70_000)));
    assert!(matches!(refused(settings(), Some("two words")).await, BindError::Token));
}

#[tokio::test]
async fn names_and_brackets_are_understood() {
    for host in ["localhost", " 127.0.0.1 ", "127.0.0.2"] {
        let named = ServerSettings { host: host.to_owned(), ..settings() };
        let running = Running::start(&named).await;
        assert!(running.server.address().ip().is_loopback(), "{host}");
        assert_eq!(running.server.token(), None);
        assert_eq!(running.line().await.get("/health").await.status, 200, "{host}");
    }
}
