//! Dollars spent in the last hour.

/// Seconds of one slot.
const SLOT: f64 = 60.0;
/// One slot more than an hour, so that the slots in the window cover any 60 minutes that end now.
const SLOTS: i64 = 61;

/// Dollars by the minute. The sum over the window covers the last 60 to 61 minutes: it may count
/// a dollar up to a minute too long, never too short.
#[derive(Debug, Clone)]
pub(super) struct Spending {
    /// The slot of minute `m` is at `m mod 61`; all lie in `newest − 60 ..= newest`.
    slots: [f64; SLOTS as usize],
    /// The latest minute written to.
    newest: i64,
    /// Sum of `slots`.
    total: f64,
}

impl Spending {
    pub fn new(now: f64) -> Self {
        Self { slots: [0.0; SLOTS as usize], newest: minute(now), total: 0.0 }
    }

    /// Dollars in the window that ends at `now`.
    pub fn total(&self, now: f64) -> f64 {
        let past = minute(now).saturating_sub(self.newest);
        if past <= 0 {
            return self.total;
        }
        let first = (self.newest - SLOTS + 1).saturating_add(past);
        (first..=self.newest).map(|minute| self.slots[slot(minute)]).sum()
    }

    /// Count `dollars` (0 or more) at `now`.
    pub fn add(&mut self, now: f64, dollars: f64) {
        self.advance(minute(now));
        self.slots[slot(self.newest)] += dollars;
        self.sum();
    }

    /// Change what was counted at `at` by `dollars`; nothing where that has left the window.
    pub fn correct(&mut self, at: f64, dollars: f64) {
        let minute = minute(at);
        if minute <= self.newest && minute > self.newest - SLOTS {
            let slot = &mut self.slots[slot(minute)];
            // Subtraction may leave a rounding error below 0.
            *slot = (*slot + dollars).max(0.0);
            self.sum();
        }
    }

    fn advance(&mut self, minute: i64) {
        let past = minute.saturating_sub(self.newest).clamp(0, SLOTS);
        for stale in 1..=past {
            self.slots[slot(minute - past + stale)] = 0.0;
        }
        self.newest = self.newest.max(minute);
    }

    /// Added up anew each time, so that rounding does not build up over months.
    fn sum(&mut self) {
        self.total = self.slots.iter().sum();
    }
}

/// The minute that a finite time lies in. Bounded so that a window's ends can be counted from it.
fn minute(now: f64) -> i64 {
    ((now / SLOT).floor() as i64).clamp(i64::MIN / 2, i64::MAX / 2)
}

fn slot(minute: i64) -> usize {
    minute.rem_euclid(SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_counts_for_an_hour_and_at_most_a_minute_more() {
        let mut spending = Spending::new(0.0);
        spending.add(59.0, 2.0);
        assert_eq!(spending.total(59.0), 2.0);
        assert_eq!(spending.total(59.0 + 3600.0), 2.0);
        assert_eq!(spending.total(61.0 * 60.0), 0.0);
        // Looking ahead forgot nothing.
        assert_eq!(spending.total(60.0), 2.0);
    }

    #[test]
    fn minutes_leave_one_by_one() {
        let mut spending = Spending::new(0.0);
        for minute in 0..61 {
            spending.add(60.0 * f64::from(minute), 1.0);
        }
        assert_eq!(spending.total(3600.0), 61.0);
        assert_eq!(spending.total(3660.0), 60.0);
        spending.add(3660.0, 0.5);
        assert_eq!(spending.total(3660.0), 60.5);
        assert_eq!(spending.total(1e9), 0.0);
        spending.add(1e9, 0.25);
        assert_eq!(spending.total(1e9), 0.25);
    }

    #[test]
    fn a_correction_meets_its_own_minute_or_nothing() {
        let mut spending = Spending::new(-100.0);
        spending.add(-90.0, 1.0);
        spending.add(30.0, 1.0);
        spending.correct(-90.0, -0.75);
        assert_eq!(spending.total(30.0), 1.25);
        // The first minute leaves first.
        assert_eq!(spending.total(-120.0 + 61.0 * 60.0), 1.0);
        spending.add(7200.0, 0.0);
        spending.correct(30.0, 5.0);
        spending.correct(1e12, 5.0);
        assert_eq!(spending.total(7200.0), 0.0);
        spending.correct(7200.0, -3.0);
        assert_eq!(spending.total(7200.0), 0.0);
    }

    #[test]
    fn times_at_the_edge_of_numbers_do_not_overflow() {
        let mut spending = Spending::new(f64::MIN);
        spending.add(0.0, 1.0);
        spending.add(f64::MAX, 1.0);
        assert_eq!(spending.total(f64::MAX), 1.0);
    }
}
