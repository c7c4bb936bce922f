//! The decision itself, and the same behind a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::budget::{Budget, Levels, Reservation};
use super::decision::{Ask, Decision, Force, Limit, Path, Reason, Uncertainty};
use crate::settings::{LimitMode, RouterMode, RouterSettings};

/// Decide who answers: feature flag → uncertainty → breaker → budget. Pure in its arguments.
///
/// A forced request keeps to its path: System 2 even over the budget, though it takes from it, and
/// System 1 only where the breaker is open. Otherwise entropy over its threshold asks for
/// System 2, else conflict over its threshold; an entropy that is not finite counts as 1, a
/// conflict that is not as not available. Then an open breaker denies, then the first enforced
/// limit that is over.
pub fn decide(settings: &RouterSettings, budget: &mut Budget, ask: &Ask, now: f64) -> Decision {
    budget.arrive(settings, now);
    let uncertainty = ask.uncertainty.usable();
    let force = match (ask.force, settings.mode) {
        (Force::No, RouterMode::Auto) => Force::No,
        (Force::No, RouterMode::Fast) => Force::Fast,
        (Force::No, RouterMode::Slow) => Force::Slow,
        (own, _) => own,
    };
    let trigger = match force {
        Force::No => trigger(settings, uncertainty),
        Force::Fast | Force::Slow => None,
    };
    let wanted = force == Force::Slow || trigger.is_some();

    let (mut denied_by, mut over) = (None, Vec::new());
    let (path, reason) = if !wanted {
        let reason = if force == Force::Fast { Reason::Forced } else { Reason::Confident };
        (Path::FastPath, reason)
    } else if ask.breaker_open {
        (Path::FastPath, Reason::BreakerOpen)
    } else {
        for &limit in Limit::ALL {
            if budget.is_over(settings, limit, ask.expected_cost) {
                if force == Force::No && mode(settings, limit) == LimitMode::Enforced {
                    denied_by = denied_by.or(Some(limit));
                } else {
                    over.push(limit);
                }
            }
        }
        match denied_by {
            Some(_) => (Path::FastPath, Reason::BudgetExhausted),
            None => (Path::SlowPath, trigger.unwrap_or(Reason::Forced)),
        }
    };
    let reserved = (path == Path::SlowPath).then(|| budget.take(ask.expected_cost));
    let Levels { tokens, share, hour_cost, .. } = budget.levels(settings, now);
    Decision {
        path,
        reason,
        trigger,
        denied_by,
        over,
        tokens,
        share,
        hour_cost,
        uncertainty,
        reserved,
    }
}

/// What asks for System 2, if anything does.
fn trigger(settings: &RouterSettings, uncertainty: Uncertainty) -> Option<Reason> {
    if uncertainty.entropy > settings.entropy {
        Some(Reason::Uncertain)
    } else if uncertainty.conflict.is_some_and(|conflict| conflict > settings.conflict) {
        Some(Reason::Conflict)
    } else {
        None
    }
}

fn mode(settings: &RouterSettings, limit: Limit) -> LimitMode {
    match limit {
        Limit::Rate => settings.rate_limit,
        Limit::Share => settings.share_limit,
        Limit::Cost => settings.cost_limit,
    }
}

/// [`decide`] for many threads, with settings that can change while it serves.
///
/// It has no clock of its own: every `now` is seconds on one monotonic clock. Threads may arrive
/// out of order; time then stands still, and never goes back.
#[derive(Debug)]
pub struct Router {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: RouterSettings,
    budget: Budget,
}

impl Router {
    /// A router with a full bucket.
    pub fn new(settings: RouterSettings, now: f64) -> Self {
        let budget = Budget::new(&settings, now);
        Self { state: Mutex::new(State { settings, budget }) }
    }

    /// Decide one request; see [`decide`].
    pub fn decide(&self, ask: &Ask, now: f64) -> Decision {
        let State { settings, budget } = &mut *self.lock();
        decide(settings, budget, ask, now)
    }

    /// Change the settings; see [`Budget::apply`].
    pub fn apply(&self, settings: RouterSettings, now: f64) {
        let state = &mut *self.lock();
        state.budget.apply(&state.settings, &settings, now);
        state.settings = settings;
    }

    /// The settings in force.
    pub fn settings(&self) -> RouterSettings {
        self.lock().settings.clone()
    }

    /// Replace the cost reserved at `at` by the actual one; see [`Budget::settle`].
    pub fn settle(&self, at: f64, expected: f64, actual: f64) {
        self.lock().budget.settle(at, expected, actual);
    }

    /// Give back what an escalation took whose call was never made; see [`Budget::refund`].
    pub fn refund(&self, reservation: &Reservation) {
        let State { settings, budget } = &mut *self.lock();
        budget.refund(settings, reservation);
    }

    /// The budget's levels at `now`.
    pub fn levels(&self, now: f64) -> Levels {
        let state = self.lock();
        state.budget.levels(&state.settings, now)
    }

    /// Every change under the lock is a few sums that cannot panic halfway, so a poisoned lock
    /// still guards a sound state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
