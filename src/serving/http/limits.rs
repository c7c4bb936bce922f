//! How much of everything one client may take.

use std::time::Duration;

use crate::settings::ServerSettings;

/// Longest time for a request's head to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// Longest time that a connection may stay open without a request.
const IDLE: Duration = Duration::from_secs(75);
/// Longest time that a client may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(30);
/// As good as no limit, and no overflow of the clock.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Connections beside those that the requests at once need: idle ones, and those shed.
const SPARE_CONNECTIONS: usize = 1024;

/// The server section's limits, as they were when the server started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests at once.
    pub concurrency: usize,
    /// Open connections; more wait in the system's queue.
    pub connections: usize,
    /// Largest body, in bytes.
    pub body: usize,
    /// From the end of a request's head to its answer.
    pub timeout: Duration,
    /// How long a stop waits for what was accepted.
    pub shutdown: Duration,
    /// For a head to arrive, from its first byte.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// Without the client reading on.
    pub unread: Duration,
}

impl Limits {
    pub fn of(settings: &ServerSettings) -> Self {
        let seconds = |value| Duration::try_from_secs_f64(value).unwrap_or(LONGEST).min(LONGEST);
        let timeout = seconds(settings.timeout);
        Self {
            concurrency: settings.concurrency.max(1),
            connections: settings.concurrency.saturating_add(SPARE_CONNECTIONS),
            body: settings.body_limit.saturating_mul(1024),
            timeout,
            shutdown: seconds(settings.shutdown),
            head: HEAD.min(timeout),
            idle: IDLE,
            unread: UNREAD.min(timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_bytes_and_durations() {
        let settings = ServerSettings::default();
        let limits = Limits::of(&settings);
        assert_eq!(limits.body, 256 * 1024);
        assert_eq!(limits.timeout, Duration::from_secs(60));
        assert_eq!((limits.head, limits.unread), (HEAD, UNREAD));

        let quick =
            Limits::of(&ServerSettings { timeout: 0.5, concurrency: 0, ..settings.clone() });
        assert_eq!(quick.head, Duration::from_millis(500), "a head is part of the request");
        assert_eq!(quick.concurrency, 1);

        let endless = Limits::of(&ServerSettings { timeout: f64::MAX, ..settings });
        assert_eq!(endless.timeout, LONGEST);
    }
}
