//! The API over a real socket, around a stand-in for the engine.

mod access;
mod adapter;
mod bodies;
mod client;
mod description;
mod life;
mod load;
mod routes;
mod stub;

use std::sync::Arc;

use super::Server;
use crate::settings::ServerSettings;
use client::Line;
use stub::Stub;

/// The least that is a request.
const ASKED: &str =
    r#"{"user_id": "demo_user", "recent_items": [1, 2], "recent_times": [0.1, 0.2]}"#;

/// A request whose answer waits for the stub's gate.
const WAITING: &str = r#"{"user_id": "wait", "recent_items": []}"#;

/// Any free port of the loopback.
fn settings() -> ServerSettings {
    ServerSettings { port: 0, ..ServerSettings::default() }
}

/// A server and what it is built around.
struct Running {
    server: Server,
    stub: Arc<Stub>,
}

impl Running {
    async fn start(settings: &ServerSettings) -> Self {
        Self::with_token(settings, None).await
    }

    async fn with_token(settings: &ServerSettings, token: Option<&str>) -> Self {
        let stub = Arc::new(Stub::default());
        let server = Server::bind(stub.clone(), settings, token.map(str::to_owned)).await.unwrap();
        Self { server, stub }
    }

    /// A new connection.
    async fn line(&self) -> Line {
        Line::open(self.server.address()).await
    }
}
