//! Connections that keep to their time.
//!
//! hyper waits for a client as long as it takes; [`Connection`] ends the wait when a head trickles
//! in (slow loris), when nothing is asked for long, and when an answer is not read.

use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::limits::Limits;

/// Where connections come in, up to a number at once.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    limits: Limits,
    stopping: CancellationToken,
}

impl Door {
    pub fn new(listener: TcpListener, limits: Limits, stopping: CancellationToken) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(limits.connections)), limits, stopping }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Never closed, so there is always a place in the end.
        let place = self.places.clone().acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!("TCP_NODELAY was refused for {from}: {error}");
                    }
                    let connection =
                        Connection::new(stream, place, &self.limits, self.stopping.clone());
                    return (connection, from);
                }
                // The client's own affair.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionRefused
                            | ErrorKind::ConnectionAborted
                            | ErrorKind::ConnectionReset
                    ) => {}
                // Most often too many open files: some will close.
                Err(error) => {
                    tracing::warn!("no connection could be accepted: {error}");
                    sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a request to begin.
    Idle { until: Instant },
    /// A request's head has begun.
    Head { until: Instant },
    /// A request is being answered, under its own timeout.
    Busy,
}

/// The phase of a connection, told by both of its ends: bytes and requests.
pub struct Activity {
    phase: Mutex<Phase>,
    idle: Duration,
    head: Duration,
}

impl Activity {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came in.
    fn heard(&self) {
        let mut phase = self.phase();
        if let Phase::Idle { .. } = *phase {
            *phase = Phase::Head { until: Instant::now() + self.head };
        }
    }

    /// A request is being answered for as long as the result lives.
    pub fn busy(self: &Arc<Self>) -> Busy {
        *self.phase() = Phase::Busy;
        Busy(self.clone())
    }
}

/// See [`Activity::busy`].
pub struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.phase() = Phase::Idle { until: Instant::now() + self.0.idle };
    }
}

/// A client's connection.
pub struct Connection {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Wakes the reader. Set to the phase's end or before it: moving it at each request would cost
    /// more than waking too early once in a while.
    patience: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    unread: Duration,
    /// Runs while the client does not read.
    unread_for: Option<Pin<Box<Sleep>>>,
    /// Given back when the connection closes.
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(
        stream: TcpStream,
        place: Option<OwnedSemaphorePermit>,
        limits: &Limits,
        stopping: CancellationToken,
    ) -> Self {
        let until = Instant::now() + limits.idle;
        let phase = Mutex::new(Phase::Idle { until });
        Self {
            stream,
            activity: Arc::new(Activity { phase, idle: limits.idle, head: limits.head }),
            patience: Box::pin(sleep_until(until)),
            stopping: Box::pin(stopping.cancelled_owned()),
            unread: limits.unread,
            unread_for: None,
            _place: place,
        }
    }

    pub fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    /// There is nothing to read: for how long may that be so?
    fn wait_to_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let phase = *self.activity.phase();
        let until = match phase {
            Phase::Busy => return Poll::Pending,
            Phase::Idle { until } | Phase::Head { until } => until,
        };
        // Half a head is no request that was accepted. Idle connections are hyper's to close.
        if matches!(phase, Phase::Head { .. }) && self.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        if until < self.patience.deadline() {
            self.patience.as_mut().reset(until);
        }
        loop {
            ready!(self.patience.as_mut().poll(cx));
            if Instant::now() >= until {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            self.patience.as_mut().reset(until);
        }
    }

    /// Pass on a write, unless the client has not read for too long.
    fn wait_to_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.unread_for = None;
            return written;
        }
        let unread_for = self.unread_for.get_or_insert_with(|| Box::pin(sleep(self.unread)));
        unread_for.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.activity.heard();
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.wait_to_read(cx),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait_to_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wait_to_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
