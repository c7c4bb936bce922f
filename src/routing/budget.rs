//! What System 2 may take: a token bucket, a share of the requests, and dollars an hour.

use super::decision::Limit;
use super::spending::Spending;
use crate::settings::RouterSettings;

/// Slack for sums such as 10 × 0.1 that are due and fall short by rounding. Never minted: what is
/// taken is taken in full, and the balance may stand at −1e-9.
const ROUNDING: f64 = 1e-9;
/// Requests whose share may be saved up and escalated at once.
const SHARE_WINDOW: f64 = 20.0;

/// All mutable state of the budget. `now` is seconds on any monotonic clock; an earlier `now` than
/// one seen before counts as that one.
///
/// - *Rate*: a token bucket. It starts full; over any time t, escalations ≤ capacity + rate · t.
/// - *Share*: every request earns `share` of a credit, up to a burst of max(1, ⌈20 · share⌉), and
///   an escalation costs one. It starts with one; over any n requests in a row, escalations ≤
///   burst + share · n. A share of 0 escalates nothing.
/// - *Cost*: an escalation reserves its expected cost, which [`Budget::settle`] replaces by the
///   actual one. Reserved and settled dollars of any 60 minutes stay within the cap as long as no
///   call costs more than was expected; one that does is counted in full, so the cap is passed by
///   at most that excess, and further calls wait until it leaves the hour.
///
/// These bounds hold for limits that are enforced. What passes an observed limit, or is forced,
/// still takes what is there, down to zero.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Latest time seen; tokens are accrued up to it.
    clock: f64,
    tokens: f64,
    credits: f64,
    requests: u64,
    escalated: u64,
    spending: Spending,
}

/// The state of the budget in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Levels {
    /// Tokens in the bucket, 0 to `capacity`.
    pub tokens: f64,
    pub capacity: f64,
    /// Escalated of all requests that were decided so far, 0 to 1; 0 before the first.
    pub share: f64,
    /// Dollars of the last 60 to 61 minutes, reservations included.
    pub hour_cost: f64,
    pub requests: u64,
    pub escalated: u64,
}

/// What one escalation took: to be settled when its cost is known, or refunded when System 2 was
/// not called after all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reservation {
    /// When, on the budget's clock.
    pub at: f64,
    /// Dollars reserved.
    pub cost: f64,
    /// Tokens taken: 1, or less where the bucket did not hold one and did not have to.
    tokens: f64,
    /// Credits of the share cap taken, likewise.
    credits: f64,
}

impl Budget {
    /// A full bucket and a clean slate.
    pub fn new(settings: &RouterSettings, now: f64) -> Self {
        let now = if now.is_finite() { now } else { 0.0 };
        Self {
            clock: now,
            tokens: settings.capacity,
            credits: burst(settings.share).min(1.0),
            requests: 0,
            escalated: 0,
            spending: Spending::new(now),
        }
    }

    /// Its levels at `now`, changing nothing.
    pub fn levels(&self, settings: &RouterSettings, now: f64) -> Levels {
        let now = self.not_before(now);
        Levels {
            tokens: self.tokens_at(settings, now).max(0.0),
            capacity: settings.capacity,
            share: self.escalated as f64 / self.requests.max(1) as f64,
            hour_cost: self.spending.total(now),
            requests: self.requests,
            escalated: self.escalated,
        }
    }

    /// Change settings at `now`: tokens accrue at the old rate up to now and at the new one from
    /// then on. Nothing is lost or minted, only clamped to a smaller capacity or burst.
    pub fn apply(&mut self, old: &RouterSettings, new: &RouterSettings, now: f64) {
        self.accrue(old, now);
        self.tokens = self.tokens.min(new.capacity);
        self.credits = self.credits.min(burst(new.share));
    }

    /// Replace the cost reserved at `at`, a [`Reservation`]'s, by the actual one, in the minute it
    /// was reserved in; nothing where that has left the hour. Costs that are negative or not
    /// finite count as 0.
    pub fn settle(&mut self, at: f64, expected: f64, actual: f64) {
        if at.is_finite() {
            self.spending.correct(at, dollars(actual) - dollars(expected));
        }
    }

    /// Give back all that an escalation took, for a call that was never made. The request still
    /// counts as one.
    pub fn refund(&mut self, settings: &RouterSettings, reservation: &Reservation) {
        self.tokens = (self.tokens + reservation.tokens).min(settings.capacity);
        self.credits = (self.credits + reservation.credits).min(burst(settings.share));
        self.escalated = self.escalated.saturating_sub(1);
        self.settle(reservation.at, reservation.cost, 0.0);
    }

    /// A request arrives: time passes, and it earns its share.
    pub(super) fn arrive(&mut self, settings: &RouterSettings, now: f64) {
        self.accrue(settings, now);
        self.credits = (self.credits + settings.share).min(burst(settings.share));
        self.requests += 1;
    }

    /// Whether `limit` denies an escalation of this expected cost now.
    pub(super) fn is_over(&self, settings: &RouterSettings, limit: Limit, cost: f64) -> bool {
        match limit {
            Limit::Rate => self.tokens < 1.0 - ROUNDING,
            Limit::Share => self.credits < 1.0 - ROUNDING,
            Limit::Cost => {
                let spent = self.spending.total(self.clock);
                spent + dollars(cost) > settings.cost_per_hour + ROUNDING
            }
        }
    }

    /// Escalate: take a token, a credit and the expected cost.
    pub(super) fn take(&mut self, cost: f64) -> Reservation {
        let cost = dollars(cost);
        let reservation = Reservation {
            at: self.clock,
            cost,
            tokens: take_one(&mut self.tokens),
            credits: take_one(&mut self.credits),
        };
        self.spending.add(self.clock, cost);
        self.escalated += 1;
        reservation
    }

    fn accrue(&mut self, settings: &RouterSettings, now: f64) {
        let now = self.not_before(now);
        self.tokens = self.tokens_at(settings, now);
        self.clock = now;
    }

    fn tokens_at(&self, settings: &RouterSettings, now: f64) -> f64 {
        (self.tokens + settings.rate * (now - self.clock)).min(settings.capacity)
    }

    /// Time never goes backwards, and a time that is no number does not pass.
    fn not_before(&self, now: f64) -> f64 {
        if now.is_finite() { now.max(self.clock) } else { self.clock }
    }
}

/// Take 1 from `level`, or what is there where that is less; returns what was taken.
fn take_one(level: &mut f64) -> f64 {
    let taken = if *level < 1.0 - ROUNDING { level.max(0.0) } else { 1.0 };
    *level -= taken;
    taken
}

/// Most credits that may be saved up.
fn burst(share: f64) -> f64 {
    if share > 0.0 { (share * SHARE_WINDOW - ROUNDING).ceil().max(1.0) } else { 0.0 }
}

fn dollars(cost: f64) -> f64 {
    if cost.is_finite() { cost.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rate: f64, capacity: f64, share: f64) -> RouterSettings {
        RouterSettings { rate, capacity, share, ..RouterSettings::default() }
    }

    fn tokens(budget: &Budget, settings: &RouterSettings, now: f64) -> f64 {
        budget.levels(settings, now).tokens
    }

    #[test]
    fn tokens_accrue_up_to_the_capacity_and_time_never_goes_back() {
        let settings = settings(0.5, 3.0, 1.0);
        let mut budget = Budget::new(&settings, 100.0);
        for _ in 0..3 {
            budget.arrive(&settings, 100.0);
            budget.take(0.0);
        }
        assert_eq!(tokens(&budget, &settings, 100.0), 0.0);
        assert_eq!(tokens(&budget, &settings, 101.0), 0.5);
        assert_eq!(tokens(&budget, &settings, 1e6), 3.0);
        for backwards in [99.0, f64::NEG_INFINITY, f64::NAN, f64::INFINITY] {
            budget.arrive(&settings, backwards);
            assert_eq!(tokens(&budget, &settings, backwards), 0.0);
        }
        assert_eq!(tokens(&budget, &settings, 104.0), 2.0);
    }

    #[test]
    fn an_empty_level_is_taken_to_zero_and_not_below() {
        let settings = settings(1.0, 1.0, 1.0);
        let mut budget = Budget::new(&settings, 0.0);
        budget.take(0.0);
        budget.accrue(&settings, 0.25);
        assert_eq!(budget.take(0.0).tokens, 0.25);
        assert_eq!(budget.take(0.0).tokens, 0.0);
        assert_eq!(tokens(&budget, &settings, 0.25), 0.0);
        assert_eq!(budget.levels(&settings, 0.25).escalated, 3);
    }

    #[test]
    fn rounding_neither_delays_nor_mints() {
        // Ten requests a tenth of a second apart at one token a second: 10 × 0.1 < 1 in binary.
        let settings = settings(1.0, 1.0, 0.1);
        let mut budget = Budget::new(&settings, 0.0);
        budget.take(0.0);
        for request in 1..=10 {
            budget.arrive(&settings, f64::from(request) * 0.1);
        }
        assert!(!budget.is_over(&settings, Limit::Rate, 0.0));
        assert!(!budget.is_over(&settings, Limit::Share, 0.0));
        let taken = budget.take(0.0);
        assert_eq!((taken.tokens, taken.credits), (1.0, 1.0));
        assert!(budget.is_over(&settings, Limit::Rate, 0.0));
    }

    #[test]
    fn the_burst_of_a_share_is_what_twenty_requests_earn() {
        for (share, expected) in
            [(0.0, 0.0), (0.001, 1.0), (0.05, 1.0), (0.1, 2.0), (0.51, 11.0), (0.55, 11.0)]
        {
            assert_eq!(burst(share), expected, "{share}");
        }
        assert_eq!(burst(1.0), 20.0);
        // The first credit is there at once; the rest must be earned.
        assert_eq!(Budget::new(&settings(1.0, 1.0, 0.5), 0.0).credits, 1.0);
        assert_eq!(Budget::new(&settings(1.0, 1.0, 0.0), 0.0).credits, 0.0);
    }

    #[test]
    fn new_settings_neither_lose_nor_mint() {
        let slow = settings(0.5, 10.0, 1.0);
        let mut budget = Budget::new(&slow, 0.0);
        for _ in 0..10 {
            budget.take(0.0);
        }
        // Four seconds at half a token, then two at three tokens.
        let fast = settings(3.0, 20.0, 1.0);
        budget.apply(&slow, &fast, 4.0);
        assert_eq!(tokens(&budget, &fast, 4.0), 2.0);
        assert_eq!(tokens(&budget, &fast, 6.0), 8.0);
        // Applied again and again at one moment changes nothing.
        for _ in 0..100 {
            budget.apply(&fast, &slow, 6.0);
            budget.apply(&slow, &fast, 6.0);
        }
        assert_eq!(tokens(&budget, &fast, 6.0), 8.0);
        // A smaller bucket spills, and a larger one does not fill itself.
        let small = settings(0.0, 5.0, 1.0);
        budget.apply(&fast, &small, 6.0);
        assert_eq!(tokens(&budget, &small, 100.0), 5.0);
        budget.apply(&small, &settings(0.0, 50.0, 1.0), 100.0);
        assert_eq!(tokens(&budget, &settings(0.0, 50.0, 1.0), 1e6), 5.0);
    }

    #[test]
    fn saved_shares_spill_when_the_share_is_lowered() {
        let (some, none) = (settings(1.0, 1.0, 0.5), settings(1.0, 1.0, 0.0));
        let mut budget = Budget::new(&some, 0.0);
        assert!(!budget.is_over(&some, Limit::Share, 0.0));
        budget.apply(&some, &none, 0.0);
        budget.apply(&none, &some, 0.0);
        assert!(budget.is_over(&some, Limit::Share, 0.0));
    }

    #[test]
    fn settling_replaces_the_reserved_cost_in_its_minute() {
        let settings = RouterSettings { cost_per_hour: 1.0, ..settings(1.0, 10.0, 1.0) };
        let mut budget = Budget::new(&settings, 0.0);
        let first = budget.take(0.6);
        assert!(budget.is_over(&settings, Limit::Cost, 0.6));
        budget.accrue(&settings, 600.0);
        budget.settle(first.at, first.cost, 0.25);
        assert_eq!(budget.levels(&settings, 600.0).hour_cost, 0.25);
        assert!(!budget.is_over(&settings, Limit::Cost, 0.75));
        // It leaves with the minute it was reserved in, not the one it was settled in.
        assert_eq!(budget.levels(&settings, 3660.0).hour_cost, 0.0);
    }

    #[test]
    fn a_call_dearer_than_expected_is_counted_in_full_and_stops_the_next() {
        let settings = RouterSettings { cost_per_hour: 1.0, ..settings(1.0, 10.0, 1.0) };
        let mut budget = Budget::new(&settings, 0.0);
        let dear = budget.take(0.5);
        budget.settle(dear.at, dear.cost, 1.5);
        assert_eq!(budget.levels(&settings, 0.0).hour_cost, 1.5);
        assert!(budget.is_over(&settings, Limit::Cost, 0.0));
        budget.accrue(&settings, 3660.0);
        assert!(!budget.is_over(&settings, Limit::Cost, 1.0));
    }

    #[test]
    fn costs_that_are_no_amount_count_as_nothing() {
        let settings = settings(1.0, 10.0, 1.0);
        let mut budget = Budget::new(&settings, 0.0);
        for broken in [f64::NAN, f64::INFINITY, -1.0] {
            let reservation = budget.take(broken);
            budget.settle(reservation.at, broken, broken);
            budget.settle(f64::NAN, 0.0, 1.0);
        }
        assert_eq!(budget.levels(&settings, 0.0).hour_cost, 0.0);
    }

    #[test]
    fn a_refund_gives_back_what_was_taken_and_no_more() {
        let settings = settings(0.0, 1.0, 1.0);
        let mut budget = Budget::new(&settings, 0.0);
        let before = budget.levels(&settings, 0.0);
        let first = budget.take(0.2);
        let second = budget.take(0.2);
        // The second found nothing and returns nothing.
        budget.refund(&settings, &second);
        assert_eq!(tokens(&budget, &settings, 0.0), 0.0);
        budget.refund(&settings, &first);
        let after = budget.levels(&settings, 0.0);
        assert!(after.hour_cost.abs() < 1e-12);
        assert_eq!(Levels { hour_cost: 0.0, ..after }, before);
    }
}
