//! Who may ask: Host headers and tokens.

use super::{ASKED, Running, settings};
use crate::settings::ServerSettings;

const ROUTES: [&str; 8] = [
    "PUT /adapter",
    "DELETE /adapter",
    "GET /",
    "GET /health",
    "GET /metrics",
    "GET /openapi.json",
    "POST /recommend",
    "GET /nowhere",
];

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let running = Running::start(&settings()).await;
    let port = running.server.address().port();
    let foreign = [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1:{}\r\n", port ^ 1),
        format!("Host: [::1]junk:{port}\r\n"),
        format!("Host: [::1]:{port}junk\r\n"),
        format!("Host: localhost:{port}@evil.example\r\n"),
        "Host:\r\n".to_owned(),
        "Host: \t \r\n".to_owned(),
        String::new(),
        format!("Host: localhost:{port}\r\nHost: evil.example\r\n"),
        format!("Host: localhost:{port}\r\nHost: localhost:{port}\r\n"),
        format!("Host: evil.example\r\nX-Forwarded-Host: localhost:{port}\r\n"),
        format!("Host: evil.example\r\nForwarded: host=localhost:{port}\r\n"),
        "Host: ev\u{ef}l.example\r\n".to_owned(),
    ];
    for host in &foreign {
        for route in ROUTES {
            let mut line = running.line().await;
            line.write(format!("{route} HTTP/1.1\r\n{host}\r\n")).await;
            line.read().await.unwrap().is_error(403, "foreign_host");
        }
    }
    assert_eq!(running.stub.counted().len(), foreign.len() * ROUTES.len());
}

#[tokio::test]
async fn http_1_0_without_a_host_and_a_foreign_target_are_refused() {
    let running = Running::start(&settings()).await;
    let address = running.server.address();
    for request in [
        "GET /health HTTP/1.1\r\n\r\n".to_owned(),
        "GET http://evil.example/health HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET http://evil.example/health HTTP/1.1\r\nHost: {address}\r\n\r\n"),
        format!("CONNECT evil.example:443 HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    ] {
        let mut line = running.line().await;
        line.write(&request).await;
        line.read().await.unwrap().is_error(403, "foreign_host");
    }
    for request in [
        "GET /health HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET http://{address}/health HTTP/1.1\r\nHost: {address}\r\n\r\n"),
        format!("GET /health HTTP/1.0\r\nHost: localhost:{}\r\n\r\n", address.port()),
        "GET /health HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n".to_owned(),
        format!("GET /health HTTP/1.1\r\nHost: [::1]:{}\r\n\r\n", address.port()),
    ] {
        let mut line = running.line().await;
        line.write(&request).await;
        assert_eq!(line.read().await.unwrap().status, 200, "{request}");
    }
    let mut line = running.line().await;
    line.write(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert_eq!(line.read().await.unwrap().status, 404, "a target without a path");
}

#[tokio::test]
async fn a_token_is_wanted_on_every_route_after_the_host() {
    let running = Running::with_token(&settings(), Some("s3cret")).await;
    assert_eq!(running.server.token(), Some("s3cret"));
    for route in ROUTES {
        let mut line = running.line().await;
        let answer = line.ask(route, "", "").await;
        answer.is_error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"deepm3\""));
        line.ask(route, "Authorization: Bearer s3cre\r\n", "").await.is_error(401, "unauthorized");
        line.ask(route, "Authorization: Basic czNjcmV0\r\n", "")
            .await
            .is_error(401, "unauthorized");
        line.write(format!("{route} HTTP/1.1\r\nHost: evil.example\r\n\r\n")).await;
        line.read().await.unwrap().is_error(403, "foreign_host");
    }
    let mut line = running.line().await;
    let answer = line.post("/recommend", "Authorization: Bearer s3cret\r\n", ASKED).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_server_on_all_addresses_has_a_token_and_takes_any_name() {
    let wide = ServerSettings { host: "0.0.0.0".to_owned(), ..settings() };
    let running = Running::start(&wide).await;
    let token = running.server.token().unwrap().to_owned();
    assert_eq!(token.len(), 32);
    let port = running.server.address().port();
    let mut line = super::Line::open(([127, 0, 0, 1], port).into()).await;
    let health = |host: &str, token: &str| {
        format!("GET /health HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    line.write(health("box.example:80", &token)).await;
    assert_eq!(line.read().await.unwrap().status, 200);
    line.write(health("box.example:80", "guess")).await;
    line.read().await.unwrap().is_error(401, "unauthorized");
    line.write(health("[::1]junk", &token)).await;
    line.read().await.unwrap().is_error(403, "foreign_host");
}
