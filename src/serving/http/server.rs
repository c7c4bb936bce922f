//! A server's life: bind, serve, stop.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::app::{App, Stop};
use super::backend::Backend;
use super::connection::Door;
use super::guard::Guards;
use super::host::Hosts;
use super::limits::Limits;
use super::token::Token;
use crate::serving::Engine;
use crate::settings::ServerSettings;

/// Ports after a taken one that are tried for a free one.
const TRIED: u16 = 100;
/// For the answers of requests that were cut off to go out.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("port {port} is taken by another program; {}", advice(*free))]
    Taken { port: u16, free: Option<u16> },
    #[error("port {0} does not exist; choose 0 to 65535 (server.port)")]
    NoSuchPort(usize),
    #[error("port {0} needs more rights than this program has; choose 1024 or more (server.port)")]
    Forbidden(u16),
    #[error("the address `{host}` leads nowhere: {cause}; use 127.0.0.1 (server.host)")]
    Unknown { host: String, cause: io::Error },
    #[error(
        "this machine has no address {0}; use 127.0.0.1, one of its own, or 0.0.0.0 for all \
         (server.host)"
    )]
    Foreign(IpAddr),
    #[error("the token must be visible ASCII without spaces; leave it unset to get a random one")]
    Token,
    #[error("{address} could not be opened: {cause}")]
    Io { address: SocketAddr, cause: io::Error },
}

fn advice(free: Option<u16>) -> String {
    match free {
        Some(port) => format!("{port} is free (server.port)"),
        None => "choose another (server.port), or 0 for any free one".to_owned(),
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Requests that were not done within the deadline; they were answered 503.
    pub aborted: usize,
}

/// A server that is running. Dropping it stops it too, without waiting for it.
pub struct Server {
    address: SocketAddr,
    token: Option<Arc<Token>>,
    stop: Stop,
    deadline: Duration,
    task: JoinHandle<()>,
}

impl Server {
    /// Open the port and serve on the current runtime. A server that others than this machine can
    /// reach gets a random token where none is given. The address and the limits stay as they are
    /// in `settings` until it stops.
    ///
    /// # Errors
    /// [`BindError`], which says what to change.
    pub async fn bind<B: Backend>(
        backend: Arc<B>,
        settings: &ServerSettings,
        token: Option<String>,
    ) -> Result<Self, BindError> {
        let token = token.map(|text| Token::given(text).ok_or(BindError::Token)).transpose()?;
        let (listener, address) = open(settings).await?;
        let alone = address.ip().is_loopback();
        let token = token.or_else(|| (!alone).then(Token::random)).map(Arc::new);
        let limits = Limits::of(settings);
        let hosts = Hosts::of(settings.host.trim(), address);
        let app = Arc::new(App::new(backend, hosts, token.clone(), limits));
        let (stop, deadline) = (app.stop.clone(), app.limits.shutdown);
        let door = Door::new(listener, app.limits.clone(), stop.asked.clone());
        let serve = axum::serve(door, Guards::new(app))
            .with_graceful_shutdown(stop.asked.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            // Never an error: the listener meets its own.
            let _ = serve.await;
        });
        Ok(Self { address, token, stop, deadline, task })
    }

    /// Where it listens, with the port it was given where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The token that requests must carry, where one is wanted.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref().map(Token::as_str)
    }

    /// Take no new requests, let those accepted finish within the settings' deadline, and cut off
    /// the rest.
    pub async fn stop(mut self) -> Stopped {
        self.stop.asked.cancel();
        if timeout(self.deadline, &mut self.task).await.is_err() {
            self.stop.overdue.cancel();
            if timeout(LAST_WORDS, &mut self.task).await.is_err() {
                self.task.abort();
            }
        }
        Stopped { aborted: self.stop.aborted.load(Ordering::Relaxed) }
    }
}

impl Server {
    /// [`Self::stop`], and the calls that `engine`, which it is put around, still makes for nobody; how many
    /// requests were cut off.
    pub async fn stop_with(self, engine: &Engine) -> usize {
        let stopped = self.stop().await;
        // Where the deadline has cut some off, nothing is waited for again.
        let unfinished = if stopped.aborted == 0 { engine.finish_calls().await } else { 0 };
        stopped.aborted + unfinished
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.asked.cancel();
    }
}

async fn open(settings: &ServerSettings) -> Result<(TcpListener, SocketAddr), BindError> {
    let port = u16::try_from(settings.port).map_err(|_| BindError::NoSuchPort(settings.port))?;
    let host = settings.host.trim();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let unknown = |cause| BindError::Unknown { host: host.to_owned(), cause };
    let found = lookup_host((bare, port)).await.map_err(unknown)?;
    // Where a name has both, IPv4: what clients that know one of them know.
    let address = found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| unknown(io::Error::from(ErrorKind::NotFound)))?;
    let refused = |cause: io::Error| match cause.kind() {
        ErrorKind::AddrInUse => BindError::Taken { port, free: free_after(address) },
        ErrorKind::AddrNotAvailable => BindError::Foreign(address.ip()),
        ErrorKind::PermissionDenied => BindError::Forbidden(port),
        _ => BindError::Io { address, cause },
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// The next port that could be opened instead.
fn free_after(address: SocketAddr) -> Option<u16> {
    let first = address.port().checked_add(1)?;
    (first..=first.saturating_add(TRIED))
        .find(|port| std::net::TcpListener::bind((address.ip(), *port)).is_ok())
}
