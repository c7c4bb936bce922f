//! Everything at once: bursts, strangers, long and short histories, disorder, unknown items.

use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Arrival, Sequence, body};
use crate::serving::traffic::Person;
use crate::serving::wire::{ItemId, RecommendRequest};
use crate::settings::TrafficSettings;

/// The rate swings between these multiples of the one set, equally likely on a log scale; their
/// mean is (3 − 0.2) / ln 15 ≈ 1.03.
const SLOWEST: f64 = 0.2;
const FASTEST: f64 = 3.0;
/// Seconds from one swing to the next.
const EPISODE: std::ops::Range<f64> = 0.5..3.0;
const LONGEST_HISTORY: usize = 40;
/// Share of the requests with times out of order, with two equal times, with an unknown item.
const ODD: f64 = 0.1;
/// Mean gap between two events of a history.
const MEAN_GAP_MS: f64 = 86_400_000.0;
/// DeepM3's unit of time.
const UNIT_MS: f64 = 10.0 * 86_400_000.0;

/// A Poisson process whose rate changes every few seconds, each request by another invented user
/// with a random history of the catalogue's items.
pub fn chaotic(settings: &TrafficSettings, people: &Arc<[Person]>, label: String) -> Sequence {
    let mut items: Vec<&String> = people.iter().flat_map(|person| &person.items).collect();
    items.sort_unstable();
    items.dedup();
    let times = || people.iter().flat_map(|person| &person.times).copied();
    let arrivals = Chaos {
        random: ChaCha8Rng::seed_from_u64(settings.seed as u64),
        items: items.into_iter().map(|id| ItemId::of(id)).collect(),
        span: (times().min().unwrap_or(0), times().max().unwrap_or(0)),
        rate: settings.rate,
        seconds: settings.seconds,
        label,
        clock: 0.0,
        episode_end: 0.0,
        swing: 1.0,
        sent: 0,
    };
    Sequence { warm_up: Vec::new(), arrivals: Box::new(arrivals) }
}

struct Chaos {
    random: ChaCha8Rng,
    /// Every item of anyone, once.
    items: Vec<ItemId>,
    /// First and last time of anyone.
    span: (i64, i64),
    rate: f64,
    seconds: f64,
    label: String,
    /// Seconds since the start.
    clock: f64,
    episode_end: f64,
    /// Rate of this episode over the one set.
    swing: f64,
    sent: u64,
}

impl Iterator for Chaos {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            if self.clock >= self.episode_end {
                let share: f64 = self.random.random();
                self.swing = SLOWEST * (FASTEST / SLOWEST).powf(share);
                self.episode_end = self.clock + self.random.random_range(EPISODE);
            }
            let gap = self.exponential(1.0 / (self.rate * self.swing));
            if self.clock + gap <= self.episode_end {
                self.clock += gap;
                break;
            }
            // A Poisson process has no memory: it begins anew at the new rate.
            self.clock = self.episode_end;
            if self.clock >= self.seconds {
                return None;
            }
        }
        if self.clock >= self.seconds {
            return None;
        }
        let due = Duration::from_secs_f64(self.clock);
        let body = body::json(&self.request());
        self.sent += 1;
        Some(Arrival { due, body, paired: false })
    }
}

impl Chaos {
    fn exponential(&mut self, mean: f64) -> f64 {
        // 1 − u is in (0, 1], so the logarithm is finite.
        let share: f64 = self.random.random();
        -(1.0 - share).ln() * mean
    }

    fn request(&mut self) -> RecommendRequest {
        let length = self.random.random_range(1..=LONGEST_HISTORY);
        let mut time = self.random.random_range(self.span.0..=self.span.1);
        let mut times = Vec::with_capacity(length);
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            times.push(time);
            time += self.exponential(MEAN_GAP_MS) as i64;
            let any = self.random.random_range(0..self.items.len().max(1));
            items.extend(self.items.get(any).cloned());
        }
        // People without a single event have no items to draw from.
        times.truncate(items.len());
        let first = times.first().copied().unwrap_or(0);
        if self.random.random_bool(ODD) {
            times.shuffle(&mut self.random);
        }
        if let (true, [.., before, last]) = (self.random.random_bool(ODD), times.as_mut_slice()) {
            *last = *before;
        }
        if let (true, [.., last]) = (self.random.random_bool(ODD), items.as_mut_slice()) {
            *last = ItemId::Text(format!("no-such-item-{}", self.sent));
        }
        // Half the clients keep time in DeepM3's units since their first event.
        let units = self.random.random_bool(0.5);
        let relative = || times.iter().map(|&ms| (ms - first) as f64 / UNIT_MS).collect();
        let absolute = || times.iter().map(|&ms| body::seconds(ms)).collect();
        RecommendRequest {
            user_id: format!("chaotic-{}-{}", self.label, self.sent),
            recent_items: items,
            recent_times: units.then(relative),
            recent_timestamps: (!units).then(absolute),
            ..RecommendRequest::default()
        }
    }
}
