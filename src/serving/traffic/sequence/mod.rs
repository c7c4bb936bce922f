//! Who asks what, and when: a pure function of settings, people and seed, made one request at a
//! time so that a long run takes no more memory than a short one.

mod body;
mod chaotic;
mod replay;
mod steady;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::Person;
use crate::settings::{TrafficPattern, TrafficSettings};

/// One request to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// When it is due, counted from the start; never falls from one arrival to the next.
    pub due: Duration,
    /// A `RecommendRequest` as JSON.
    pub body: Vec<u8>,
    /// Belongs to the arrival before it: a run is not cut between the two.
    pub paired: bool,
}

/// What a run sends.
pub struct Sequence {
    /// Requests to be answered from the cache before the run begins; not counted.
    pub warm_up: Vec<Vec<u8>>,
    pub arrivals: Box<dyn Iterator<Item = Arrival> + Send>,
}

/// The requests that `settings` ask for, with the histories of `people`.
///
/// `run` becomes part of every invented user's name. A run repeated with the same seed sends the
/// same histories at the same moments, and its new users are new to the server all the same.
/// Without people there is nothing to send.
pub fn sequence(settings: &TrafficSettings, people: &Arc<[Person]>, run: &str) -> Sequence {
    let label = format!("{}-{run}", settings.seed);
    if people.is_empty() {
        return Sequence { warm_up: Vec::new(), arrivals: Box::new(std::iter::empty()) };
    }
    match settings.pattern {
        TrafficPattern::Mixed => steady::mixed(settings, people, &label),
        TrafficPattern::Stable => steady::stable(settings, people),
        TrafficPattern::Chaotic => chaotic::chaotic(settings, people, label),
        TrafficPattern::Replay => replay::replay(settings, people),
    }
}

/// Requests that fit into the duration at the rate, at least one.
fn planned(settings: &TrafficSettings) -> u64 {
    ((settings.rate * settings.seconds).round() as u64).max(1)
}

/// The moment of request `index` where all are equally spaced.
fn evenly(index: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(index as f64 / rate)
}
