//! Held-out people as they really came, faster or slower.

use std::sync::Arc;
use std::time::Duration;

use super::{Arrival, Sequence, body, planned};
use crate::serving::traffic::Person;
use crate::settings::TrafficSettings;

/// The first people by query time, as many as fit into the duration, then the same again if there
/// are fewer.
///
/// The gaps between them are the real ones, scaled so that one pass takes as long as its requests
/// take at the rate set; the wait before the next pass is the mean gap. The seed changes nothing.
pub fn replay(settings: &TrafficSettings, people: &Arc<[Person]>) -> Sequence {
    let mut order: Vec<usize> = (0..people.len()).collect();
    order.sort_by_key(|&index| people[index].query_time);
    order.truncate(usize::try_from(planned(settings)).unwrap_or(usize::MAX));
    let moments = moments(&order, people, settings.rate);
    let (people, seconds) = (people.clone(), settings.seconds);
    let pass = order.len() as f64 / settings.rate;
    let arrivals = (0_u64..)
        .map(move |count| {
            let length = order.len() as u64;
            let (round, place) = (count / length, (count % length) as usize);
            let due = round as f64 * pass + moments[place];
            (due, order[place])
        })
        .take_while(move |(due, _)| *due < seconds)
        .map(move |(due, index)| {
            let person = &people[index];
            let query = Some(person.query_time);
            let body = body::of_person(person.user_id.clone(), person, query);
            Arrival { due: Duration::from_secs_f64(due), body, paired: false }
        });
    Sequence { warm_up: Vec::new(), arrivals: Box::new(arrivals) }
}

/// Seconds from the start of a pass to each of `order`; evenly where all asked at one moment.
fn moments(order: &[usize], people: &[Person], rate: f64) -> Vec<f64> {
    let time = |place: usize| people[order[place]].query_time as f64;
    let gaps = order.len().saturating_sub(1) as f64;
    let span = time(order.len() - 1) - time(0);
    (0..order.len())
        .map(|place| {
            let share =
                if span > 0.0 { (time(place) - time(0)) / span } else { place as f64 / gaps };
            if gaps > 0.0 { share * gaps / rate } else { 0.0 }
        })
        .collect()
}
