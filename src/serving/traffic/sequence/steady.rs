//! Equally spaced requests in which a few fixed users come back.

use std::sync::Arc;

use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Arrival, Sequence, body, evenly, planned};
use crate::serving::traffic::Person;
use crate::settings::TrafficSettings;

/// Users who come back, at most.
const FIXED_USERS: usize = 8;

/// Strictly in turn a fixed user and a brand-new one.
///
/// The fixed users' requests are in the cache before the first counted one and the new users'
/// never are, so the hit rate is one half in whatever order the answers come, as long as the
/// cache holds that many answers for that long.
pub fn mixed(settings: &TrafficSettings, people: &Arc<[Person]>, label: &str) -> Sequence {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed as u64);
    let fixed = fixed_users(people, &mut random);
    let warm_up = fixed.clone();
    let pairs = (planned(settings) / 2).max(1);
    let (people, rate, prefix) = (people.clone(), settings.rate, format!("new-{label}"));
    let arrivals = (0..2 * pairs).map(move |index| {
        let turn = index / 2;
        let due = evenly(index, rate);
        if index % 2 == 0 {
            let body = fixed[(turn % fixed.len() as u64) as usize].clone();
            return Arrival { due, body, paired: false };
        }
        let person = &people[random.random_range(0..people.len())];
        let body = body::of_person(format!("{prefix}-{turn}"), person, None);
        Arrival { due, body, paired: true }
    });
    Sequence { warm_up, arrivals: Box::new(arrivals) }
}

/// Fixed users alone, in turn: after each one's first request all hit the cache.
pub fn stable(settings: &TrafficSettings, people: &Arc<[Person]>) -> Sequence {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed as u64);
    let fixed = fixed_users(people, &mut random);
    let rate = settings.rate;
    let arrivals = (0..planned(settings)).map(move |index| {
        let body = fixed[(index % fixed.len() as u64) as usize].clone();
        Arrival { due: evenly(index, rate), body, paired: false }
    });
    Sequence { warm_up: Vec::new(), arrivals: Box::new(arrivals) }
}

/// The one request of each fixed user.
fn fixed_users(people: &[Person], random: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    sample(random, people.len(), FIXED_USERS.min(people.len()))
        .into_iter()
        .map(|index| body::of_person(people[index].user_id.clone(), &people[index], None))
        .collect()
}
