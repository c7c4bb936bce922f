//! Item dynamics kept current while a model serves: events of the histories that come in, and what
//! users click and buy, move the intensities at once. Requests without a calendar say nothing of when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// Answers that users may react to.
pub struct Pulse(Cache<Uuid, Arc<Shown>>);

impl Pulse {
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(ANSWERS).time_to_live(KEPT).build())
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
            self.0.insert(impression, Arc::new(shown));
        }
    }

    /// A user took `item` from the answer `impression` of this model: it counts once, at the time that was
    /// asked for and as much later as it came.
    pub fn taken(&self, model: &ServedModel, generation: u64, impression: Uuid, item: u32) {
        let shown = self.0.get(&impression);
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
            count(timeline, Event { time, item }, &asked.items);
        });
    }
}

/// Count the events of a history that came after `since`, the last one that is known of its user.
pub fn noted(model: &ServedModel, asked: &Asked, since: Option<i64>) {
    if !asked.calendar {
        return;
    }
    let new = asked.times.partition_point(|&time| since.is_some_and(|since| time <= since));
    if new == asked.times.len() {
        return;
    }
    model.with_timeline(|timeline| {
        for place in new..asked.items.len() {
            let event = Event { time: asked.times[place], item: asked.items[place] };
            count(timeline, event, &asked.items[..place]);
        }
    });
}

/// Events arrive a little out of order: what is late by up to an hour counts as of the last one.
/// Older ones are history, which training has seen. Clocks may be fast by up to an hour as well: not by
/// more, or events of now would count as old ones for as long.
fn count(timeline: &mut Timeline, event: Event, before: &[u32]) {
    let last = timeline.last().unwrap_or(event.time);
    let soon = jiff::Timestamp::now().as_millisecond() + HOUR_MS;
    if event.time >= last - HOUR_MS && event.time <= soon.max(last) {
        timeline.push(Event { time: event.time.max(last), ..event }, before);
    }
}
