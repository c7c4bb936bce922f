//! Seconds of the last quarter of an hour, ten seconds of the last six hours.

use std::collections::VecDeque;

use super::slot::Slot;

/// Seconds kept one by one.
pub const FINE: i64 = 900;
/// Seconds kept in all, in steps of [`STEP`].
pub const COARSE: i64 = 21_600;
/// Seconds in a coarse step.
pub const STEP: i64 = 10;
/// Threads that read the clock at once arrive in any order; further back than so many seconds,
/// the clock itself was set back.
const LATE: i64 = 10;

/// The second that is being counted. It never goes back, although the system's clock may.
#[derive(Debug)]
pub struct Present {
    slot: Slot,
    /// Added to the system's clock, to make up for its being set back.
    ahead: i64,
}

impl Present {
    pub fn new(second: i64) -> Self {
        Self { slot: Slot::new(second), ahead: 0 }
    }

    /// Go on to a second of the system's clock. Returns the slot that is over, if anything
    /// happened in it.
    pub fn advance(&mut self, clock: i64) -> Option<Slot> {
        let begins = self.slot.begins;
        if clock + self.ahead < begins - LATE {
            self.ahead = begins - clock;
        }
        let second = clock + self.ahead;
        if second <= begins {
            return None;
        }
        let over = std::mem::replace(&mut self.slot, Slot::new(second));
        (!over.is_empty()).then_some(over)
    }

    pub fn second(&self) -> i64 {
        self.slot.begins
    }

    pub fn slot(&mut self) -> &mut Slot {
        &mut self.slot
    }
}

/// The slots that are over, oldest first; those in which nothing happened are left out.
/// At most 900 seconds and 2,160 steps of ten: 5 MiB.
#[derive(Debug)]
pub struct Past {
    /// Second of the start.
    began: i64,
    fine: VecDeque<Slot>,
    coarse: VecDeque<Slot>,
    /// The coarse step that is not over.
    filling: Slot,
}

fn step_of(second: i64) -> i64 {
    second.div_euclid(STEP) * STEP
}

fn push(slots: &mut VecDeque<Slot>, mut slot: Slot, span: i64) {
    let oldest = slot.begins - span;
    while slots.front().is_some_and(|first| first.begins <= oldest) {
        slots.pop_front();
    }
    slot.close();
    slots.push_back(slot);
}

impl Past {
    pub fn new(second: i64) -> Self {
        Self {
            began: second,
            fine: VecDeque::with_capacity(FINE as usize),
            coarse: VecDeque::with_capacity((COARSE / STEP) as usize),
            filling: Slot::new(step_of(second)),
        }
    }

    /// Keep a second that is over; they come in order.
    pub fn push(&mut self, slot: Slot) {
        self.settle(slot.begins);
        self.filling.add(&slot);
        push(&mut self.fine, slot, FINE);
    }

    /// Close the coarse step if it is over at this second.
    pub fn settle(&mut self, second: i64) {
        let step = step_of(second);
        if step > self.filling.begins {
            let over = std::mem::replace(&mut self.filling, Slot::new(step));
            if !over.is_empty() {
                push(&mut self.coarse, over, COARSE);
            }
        }
    }

    pub fn began(&self) -> i64 {
        self.began
    }

    /// Slots of `step` seconds (1 or [`STEP`]) that begin at `from` or later and before `to`.
    pub fn slots(&self, step: i64, from: i64, to: i64) -> impl Iterator<Item = &Slot> {
        let slots = if step == 1 { &self.fine } else { &self.coarse };
        let first = slots.partition_point(|slot| slot.begins < from);
        slots.iter().skip(first).take_while(move |slot| slot.begins < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(second: i64, rejected: u32) -> Slot {
        Slot { rejected, ..Slot::new(second) }
    }

    fn rejected(past: &Past, step: i64, from: i64, to: i64) -> Vec<(i64, u32)> {
        past.slots(step, from, to).map(|slot| (slot.begins, slot.rejected)).collect()
    }

    #[test]
    fn seconds_add_up_to_tens() {
        let mut past = Past::new(1003);
        for second in [1003, 1004, 1009, 1010, 1025] {
            past.push(slot(second, 1));
        }
        assert_eq!(rejected(&past, 10, 0, 2000), [(1000, 3), (1010, 1)]);
        past.settle(1029);
        assert_eq!(rejected(&past, 10, 0, 2000).len(), 2, "1020 to 1030 is not over");
        past.settle(1030);
        assert_eq!(rejected(&past, 10, 0, 2000), [(1000, 3), (1010, 1), (1020, 1)]);
        assert_eq!(rejected(&past, 1, 1004, 1010), [(1004, 1), (1009, 1)]);
    }

    #[test]
    fn hours_wrap_in_bounded_memory() {
        let begin = 1_800_000_000;
        let mut past = Past::new(begin);
        let rooms = |past: &Past| [past.fine.capacity(), past.coarse.capacity()];
        let before = rooms(&past);
        let bytes = before.iter().sum::<usize>() * size_of::<Slot>();
        assert!(bytes <= 5 << 20, "{bytes}");
        for hour in 1..=30 {
            let end = begin + hour * 3600;
            for second in end - 3600..end {
                past.push(slot(second, 1));
            }
            past.settle(end);
            assert_eq!(rooms(&past), before, "nothing grows");
            assert_eq!(past.fine.len() as i64, FINE);
            assert_eq!(past.fine.front().map(|slot| slot.begins), Some(end - FINE));
            let steps = (hour * 360).min(COARSE / STEP);
            assert_eq!(past.coarse.len() as i64, steps);
            assert_eq!(past.coarse.front().map(|slot| slot.begins), Some(end - steps * STEP));
            assert!(past.coarse.iter().all(|slot| slot.rejected == 10));
        }
    }

    #[test]
    fn a_long_silence_forgets() {
        let mut past = Past::new(0);
        past.push(slot(0, 1));
        past.push(slot(50_000, 2));
        past.settle(50_010);
        assert_eq!(rejected(&past, 1, 0, 60_000), [(50_000, 2)]);
        assert_eq!(rejected(&past, 10, 0, 60_000), [(50_000, 2)]);
    }

    #[test]
    fn latecomers_count_in_the_present_second() {
        let mut present = Present::new(100);
        present.slot().rejected = 1;
        assert_eq!(present.advance(101).map(|over| over.begins), Some(100));
        assert!(present.advance(99).is_none());
        assert_eq!(present.second(), 101);
    }

    #[test]
    fn an_empty_second_is_not_kept() {
        let mut present = Present::new(100);
        assert!(present.advance(101).is_none());
        assert_eq!(present.second(), 101);
    }

    #[test]
    fn time_goes_on_when_the_clock_is_set_back() {
        let mut present = Present::new(10_000);
        present.slot().rejected = 1;
        assert!(present.advance(6400).is_none());
        assert_eq!(present.second(), 10_000);
        assert_eq!(present.advance(6401).map(|over| over.begins), Some(10_000));
        assert_eq!(present.second(), 10_001);
    }
}
