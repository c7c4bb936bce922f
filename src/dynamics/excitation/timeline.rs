//! All events that count, in the order of time, and what they say at any moment.

use std::cell::Cell;

use pulp::Arch;

use super::MS_PER_DAY;
use super::company::Company;
use super::features::{FEATURES, Look, TIES};
use super::half_life::{self, HALF_LIVES};
use super::intensity::{Intensities, PowersOfTwo};
use super::sums::Sums;
use crate::settings::ItemDynamics;

/// An item of the history counts half for every so many events after it.
const HISTORY_HALF_LIFE: f32 = 8.0;
/// Last items of a history whose followers count.
const FOLLOWED: usize = 3;
/// Ties of late count half for every so many days after the event that made them, and those older
/// than `LATELY` half-lives not at all.
const TIE_DAYS: f64 = 7.0;
const LATELY: f64 = 8.0;
/// Half-lives of a late tie in a millisecond.
const FADE: f32 = (1.0 / (TIE_DAYS * MS_PER_DAY)) as f32;
/// Late ties at a time.
const CHUNK: usize = 64;

thread_local! {
    // Room for sums over all items, used again from look to look: empty between them.
    static RAISED: Cell<Sums<HALF_LIVES>> = Cell::default();
    static TIED: Cell<Sums<TIES>> = Cell::default();
}

/// What has been known for longer than this, and nothing since, is out of date.
const CURRENT: i64 = MS_PER_DAY as i64;

/// An event on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Unix milliseconds.
    pub time: i64,
    pub item: u32,
}

/// What is asked at a moment: the user's events so far, in time order, and the time of the request.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub items: &'a [u32],
    /// Milliseconds, of whatever clock the user's events have.
    pub times: &'a [i64],
    /// The time of the request on that clock, and on the timeline's, which is in Unix milliseconds:
    /// the same for users whose events have a calendar.
    pub asked: i64,
    pub query: i64,
    /// Milliseconds before the request in which what others did is not known: a model learns with it
    /// what a timeline that nobody keeps up to date is worth.
    pub behind: i64,
}

impl<'a> Moment<'a> {
    /// Of a user whose events have a calendar.
    pub const fn at(items: &'a [u32], times: &'a [i64], query: i64) -> Self {
        Self { items, times, asked: query, query, behind: 0 }
    }
}

/// Item dynamics over a stream of events, which may go on.
pub struct Timeline {
    arch: Arch,
    items: usize,
    item: Vec<u32>,
    /// Never falling.
    time: Vec<i64>,
    intensities: Intensities,
    company: Company,
    half_lives: [f64; HALF_LIVES],
}

impl Timeline {
    /// From users' events: each user's in time order. Half-lives are learned from them.
    pub fn new<'a>(items: usize, users: impl Iterator<Item = (&'a [u32], &'a [i64])>) -> Self {
        let users: Vec<(&[u32], &[i64])> = users.collect();
        let mut order: Vec<(i64, u32, u32)> = Vec::new();
        for (user, (_, times)) in users.iter().enumerate() {
            let place = |(place, &time): (usize, &i64)| (time, user as u32, place as u32);
            order.extend(times.iter().enumerate().map(place));
        }
        order.sort_unstable();
        let event = |&(time, user, place): &(i64, u32, u32)| Event {
            time,
            item: users[user as usize].0[place as usize],
        };
        let half_lives = half_life::learn(items, order.iter().map(event));
        let mut timeline = Self {
            arch: Arch::new(),
            items,
            item: Vec::with_capacity(order.len()),
            time: Vec::with_capacity(order.len()),
            intensities: Intensities::new(items, half_lives),
            company: Company::new(items, order.len()),
            half_lives,
        };
        for entry in &order {
            let (_, user, place) = *entry;
            timeline.push(event(entry), &users[user as usize].0[..place as usize]);
        }
        timeline
    }

    /// Half-lives in days, rising.
    pub fn half_lives(&self) -> [f64; HALF_LIVES] {
        self.half_lives
    }

    /// Time of the last event, in Unix milliseconds.
    pub fn last(&self) -> Option<i64> {
        self.time.last().copied()
    }

    /// Another event, of a user who chose `before`, oldest first. Says whether it counts: one that
    /// is older than the last, or of no item of the catalogue, does not.
    pub fn push(&mut self, event: Event, before: &[u32]) -> bool {
        let Event { time, item } = event;
        let known = |item: u32| (item as usize) < self.items;
        if self.last().is_some_and(|last| time < last)
            || !known(item)
            || !before.iter().all(|&item| known(item))
        {
            return false;
        }
        self.intensities.grow(&self.item, &self.time, time);
        self.company.push(self.item.len(), item, before);
        self.item.push(item);
        self.time.push(time);
        true
    }

    /// Number of events that are known at a moment.
    fn known(&self, moment: &Moment<'_>) -> usize {
        let known = moment.query.saturating_sub(moment.behind);
        self.time.partition_point(|&time| time < known)
    }

    /// By how many milliseconds what is known at a moment is out of date: the time since a day after
    /// the last event known. Nothing happens then that anybody could know of, so that everything
    /// stays as it was: decay would take all items towards nothing alike, and with it the difference
    /// between what was wanted last and what was not. How far to trust that is for the
    /// [`clock`](Moment::clock) to say.
    pub fn stale(&self, moment: &Moment<'_>) -> i64 {
        self.stale_after(self.known(moment), moment.query)
    }

    /// The same at `query`, where so many `events` are known.
    fn stale_after(&self, events: usize, query: i64) -> i64 {
        let Some(last) = events.checked_sub(1) else { return 0 };
        (query.saturating_sub(self.time[last]) - CURRENT).max(0)
    }

    /// What the events before a moment say about every item.
    pub fn look(&self, moment: &Moment<'_>, parts: ItemDynamics) -> Look {
        let events = self.known(moment);
        let now = moment.query - self.stale_after(events, moment.query);
        let mut look = Look::default();
        if parts.intensity() {
            let mut sums = RAISED.take();
            sums.fit(self.items);
            let (item, time) = (&self.item, &self.time);
            look.base = self.intensities.at(self.arch, events, now, item, time, &mut sums);
            look.raise(self.arch, &mut sums, &self.intensities);
            RAISED.set(sums);
        }
        if parts.company() {
            let mut sums = TIED.take();
            sums.fit(self.items);
            self.ties(moment.items, events, now, &mut sums);
            look.tie(self.arch, &mut sums);
            TIED.set(sums);
        }
        look
    }

    /// What ties the items of a history to others, as of the first so many `events`, at `now`.
    fn ties(&self, history: &[u32], events: usize, now: i64, sums: &mut Sums<TIES>) {
        let lately = now - (LATELY * TIE_DAYS * MS_PER_DAY) as i64;
        let lately = self.time.partition_point(|&time| time < lately);
        for (back, &item) in history.iter().rev().enumerate() {
            let weight = (-(back as f32) / HISTORY_HALF_LIFE).exp2();
            let close = if back < FOLLOWED { 1.0 / (1.0 + back as f32) } else { 0.0 };
            let ties = self.company.of(item, events);
            let (old, late) = ties.split_at(ties.partition_point(|tie| tie.event() < lately));
            for tie in old {
                sums.add(tie.other, [tie.weight * weight, tie.next * close, 0.0, 0.0]);
            }
            for late in late.chunks(CHUNK) {
                // What is left of each.
                let mut fresh = [0.0; CHUNK];
                for (fresh, tie) in fresh.iter_mut().zip(late) {
                    *fresh = -((now - self.time[tie.event()]) as f32) * FADE;
                }
                self.arch.dispatch(PowersOfTwo { values: &mut fresh });
                for (tie, fresh) in late.iter().zip(fresh) {
                    let (ever, next) = (tie.weight * weight, tie.next * close);
                    sums.add(tie.other, [ever, next, ever * fresh, next * fresh]);
                }
            }
        }
    }

    /// Add the features of all items, times `weights`, to their `scores`.
    pub fn add(&self, look: &Look, weights: &[f32; FEATURES], scores: &mut [f32]) {
        /// Items at a time, so that what is kept stays in the nearest cache.
        const ITEMS: usize = 512;
        let mut kept = Vec::new();
        for (place, scores) in scores.chunks_mut(ITEMS).enumerate() {
            self.add_from(look, weights, place * ITEMS, scores, &mut kept);
        }
    }

    /// Add the features of items from `first` on, times `weights`, to their `scores`; `kept` is for
    /// [`Self::pull`].
    pub fn add_from(
        &self,
        look: &Look,
        weights: &[f32; FEATURES],
        first: usize,
        scores: &mut [f32],
        kept: &mut Vec<f32>,
    ) {
        look.add(self.arch, &self.intensities, weights, first, scores, kept);
    }

    /// Σ of the features of items from `first` on, times the `slopes` by their scores. `kept` is what
    /// [`Self::add_from`] has left for these items.
    pub fn pull(&self, look: &Look, slopes: &[f32], first: usize, kept: &[f32]) -> [f32; FEATURES] {
        look.pull(self.arch, slopes, first, kept)
    }

    /// The features of one item.
    pub fn of(&self, look: &Look, item: usize) -> [f32; FEATURES] {
        let mut kept = Vec::new();
        self.add_from(look, &[0.0; FEATURES], item, &mut [0.0], &mut kept);
        self.pull(look, &[1.0], item, &kept)
    }
}
