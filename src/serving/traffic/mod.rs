//! Generated requests for trying a server out: bounded, reproducible, and only on this machine
//! unless told otherwise.
//!
//! Arrivals are open-loop: every request has a moment at which it is due, whether or not the ones
//! before it were answered, and its latency counts from that moment. A slow server therefore shows
//! as latency instead of silently slowing its clients down (coordinated omission; Tene, "How NOT
//! to measure latency", 2013). Two bounds hold: at most `traffic.concurrency` requests are in
//! flight, and requests still waiting for a connection after `traffic.seconds` are not sent.
//!
//! | part | what it is |
//! |---|---|
//! | `sequence` | who asks what, and when: a pure function of settings, people and seed |
//! | `target` | where requests go, and that it is this machine |
//! | `client` | one request over a kept connection, and what its answer says |
//! | `generator` | pacing, connections, pause, stop |
//! | `tally`, `report` | counting while it runs, and the result |

mod client;
mod error;
mod generator;
mod report;
mod sequence;
mod tally;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::settings::TrafficSettings;

pub use error::TrafficError;
pub use generator::run;
pub use report::{Latency, TrafficReport};
pub use tally::TrafficTick;

/// What to send where.
#[derive(Clone)]
pub struct TrafficPlan {
    /// Address of the server, such as `http://127.0.0.1:8000`.
    pub target: String,
    /// Pattern, rate, duration, connections and seed.
    pub settings: TrafficSettings,
    /// Whose histories are sent; never empty in a plan that works.
    pub people: Arc<[Person]>,
    /// Sent as `Authorization: Bearer`, where the server asks for one.
    pub token: Option<String>,
    /// Whether the target may be another machine.
    pub allow_remote: bool,
}

/// A real user as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user_id: String,
    /// The catalogue's own ids, oldest first.
    pub items: Vec<String>,
    /// When each item was taken, in Unix milliseconds; as many as `items`.
    pub times: Vec<i64>,
    /// When this user asked, in Unix milliseconds.
    pub query_time: i64,
}
