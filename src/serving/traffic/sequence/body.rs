//! Bodies as DeepM3's clients write them.

use crate::serving::traffic::Person;
use crate::serving::wire::{ItemId, RecommendRequest};

/// `person`'s history under the name `user_id`, with times in Unix seconds; asked for the moment
/// `query_ms`, or for that of the last event.
pub fn of_person(user_id: String, person: &Person, query_ms: Option<i64>) -> Vec<u8> {
    let events = person.items.len().min(person.times.len());
    let items = person.items[person.items.len() - events..].iter();
    let times = person.times[person.times.len() - events..].iter();
    json(&RecommendRequest {
        user_id,
        recent_items: items.map(|id| ItemId::of(id)).collect(),
        recent_timestamps: Some(times.map(|&ms| seconds(ms)).collect()),
        query_time: query_ms.map(seconds),
        ..RecommendRequest::default()
    })
}

pub fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Text and finite numbers always serialise; were it otherwise, the server would refuse the empty
/// body and the report would count it.
pub fn json(request: &RecommendRequest) -> Vec<u8> {
    serde_json::to_vec(request).unwrap_or_default()
}
