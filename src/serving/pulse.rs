//! Item dynamics kept current while a model serves: events of the histories that come in, and what
//! users click and buy, move the intensities at once. Requests without a calendar say nothing of when.

use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use uuid::Uuid;

use super::ServedModel;
use super::request::Asked;
use crate::dynamics::excitation::{Event, Timeline};

const HOUR_MS: i64 = 3_600_000;
/// Answers that feedback is still connected with, at most, and for how long.
const ANSWERS: u64 = 20_000;
const KEPT: Duration = Duration::from_secs(3600);

/// What was asked for an answer.
struct Shown {
    /// Of the model that gave it: its items are numbered as that one numbers them.
    generation: u64,
    asked: Arc<Asked>,
    at: Instant,
    /// Items that counted already.
    counted: Mutex<Vec<u32>>,
}

/// A user's event on an item, under a model.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Act {
    generation: u64,
    user: String,
    item: u32,
    told: Told,
}

/// How an event became known.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    ByFeedback,
    ByHistory,
}

/// Answers that users may react to, and what they did of late: one click is told by `/feedback` and by
/// the next history alike, and counts once.
pub struct Pulse {
    answers: Cache<Uuid, Arc<Shown>>,
    /// Times that the events counted with.
    acts: Cache<Act, i64>,
}

impl Pulse {
    pub fn new() -> Self {
        Self { answers: latest(), acts: latest() }
    }

    /// Whether an act at `time` has counted already, told in the other way; one act answers for one.
    fn is_known(&self, act: &Act, time: i64) -> bool {
        let told = match act.told {
            Told::ByFeedback => Told::ByHistory,
            Told::ByHistory => Told::ByFeedback,
        };
        let other = Act { told, ..act.clone() };
        let known = self.acts.get(&other).is_some_and(|at| (at - time).abs() <= HOUR_MS);
        if known {
            self.acts.invalidate(&other);
        }
        known
    }

    /// Remember what the answer `impression` was for, where `model` has item dynamics.
    pub fn answered(
        &self,
        model: &ServedModel,
        generation: u64,
        impression: Uuid,
        asked: &Arc<Asked>,
    ) {
        if model.has_item_dynamics() {
            let (asked, at) = (asked.clone(), Instant::now());
            let shown = Shown { generation, asked, at, counted: Mutex::default() };
            self.answers.insert(impression, Arc::new(shown));
        }
    }

    /// A user took `item` from the answer `impression` of this model: it counts once, at the time that was
    /// asked for and as much later as it came.
    pub fn taken(&self, model: &ServedModel, generation: u64, impression: Uuid, item: u32) {
        let shown = self.answers.get(&impression);
        let Some(shown) = shown.filter(|shown| shown.generation == generation) else { return };
        {
            let mut counted = shown.counted.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.contains(&item) {
                return;
            }
            counted.push(item);
        }
        let later = i64::try_from(shown.at.elapsed().as_millis()).unwrap_or(0);
        let asked = &shown.asked;
        model.with_timeline(|timeline| {
            let last = timeline.last().unwrap_or(0);
            let time = if asked.calendar { asked.query + later } else { last };
            let user = asked.user.clone();
            let act = Act { generation, user, item, told: Told::ByFeedback };
            if !self.is_known(&act, time) && count(timeline, Event { time, item }, &asked.items) {
                self.acts.insert(act, time);
            }
        });
    }

    /// Count the events of a history that came after `since`, the last one that is known of its user.
    pub fn noted(&self, model: &ServedModel, generation: u64, asked: &Asked, since: Option<i64>) {
        if !asked.calendar {
            return;
        }
        let new = asked.times.partition_point(|&time| since.is_some_and(|since| time <= since));
        if new == asked.times.len() {
            return;
        }
        model.with_timeline(|timeline| {
            for place in new..asked.items.len() {
                let (time, item) = (asked.times[place], asked.items[place]);
                let user = asked.user.clone();
                let act = Act { generation, user, item, told: Told::ByHistory };
                if self.is_known(&act, time) {
                    continue;
                }
                if count(timeline, Event { time, item }, &asked.items[..place]) {
                    self.acts.insert(act, time);
                }
            }
        });
    }
}

/// What came last gives way last: nothing is read before it is needed, so that the cache's own choice would
/// be to take in nothing new once it is full.
fn latest<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder()
        .max_capacity(ANSWERS)
        .time_to_live(KEPT)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

/// Events arrive a little out of order: what is late by up to an hour counts as of the last one.
/// Older ones are history, which training has seen. Clocks may be fast by up to an hour as well: not by
/// more, or events of now would count as old ones for as long.
///
/// Says whether it counted.
fn count(timeline: &mut Timeline, event: Event, before: &[u32]) -> bool {
    let last = timeline.last().unwrap_or(event.time);
    let soon = jiff::Timestamp::now().as_millisecond() + HOUR_MS;
    let now = event.time >= last - HOUR_MS && event.time <= soon.max(last);
    now && timeline.push(Event { time: event.time.max(last), ..event }, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_however_many_came_before() {
        let cache: Cache<u64, ()> = latest();
        for key in 0..ANSWERS + 5000 {
            cache.insert(key, ());
            if key % 500 == 0 {
                cache.run_pending_tasks();
            }
        }
        cache.run_pending_tasks();
        assert!(cache.get(&0).is_none() && cache.entry_count() <= ANSWERS);
        assert!((ANSWERS + 4000..ANSWERS + 5000).all(|key| cache.get(&key).is_some()));
    }
}
