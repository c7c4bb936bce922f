//! The circuit breaker (Nygard 2018, *Release It!*, §5.2): after enough failures in a row an
//! endpoint is left alone for a while, then tried with a single request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether calls pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They are refused: the wait is not over, or the one trial is under way.
    Open,
    /// The wait is over: the next call is the trial.
    HalfOpen,
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a breaker shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerView {
    pub state: BreakerState,
    /// Failures in a row.
    pub failures: u32,
    /// Time until a trial is allowed. `None` unless open, and while the trial is under way.
    pub retry_in: Option<Duration>,
}

/// Counts failures; all methods take the time, so that nothing here has a clock.
#[derive(Debug)]
pub(super) struct Breaker {
    /// So many failures in a row open it.
    limit: u32,
    wait: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    failures: u32,
    /// Counts the phases, so that a call admitted in an earlier one does not judge this one.
    phases: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Closed,
    Waiting {
        until: Instant,
    },
    /// The trial is under way; `until` is when the wait before it ended.
    Trying {
        until: Instant,
    },
}

/// Leave to make one call. Dropped without a verdict (the caller gave up) it counts for nothing.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    phase: u64,
    trial: bool,
    judged: bool,
}

impl Breaker {
    pub fn new(limit: usize, wait: Duration) -> Self {
        let inner = Inner { phase: Phase::Closed, failures: 0, phases: 0 };
        Self { limit: u32::try_from(limit).unwrap_or(u32::MAX), wait, inner: Mutex::new(inner) }
    }

    /// Leave to make a call, or how long to wait for it: unknown while a trial is under way.
    pub fn admit(&self, now: Instant) -> Result<Permit<'_>, Option<Duration>> {
        let mut inner = self.lock();
        let trial = match inner.phase {
            Phase::Closed => false,
            Phase::Waiting { until } if now >= until => {
                inner.enter(Phase::Trying { until });
                true
            }
            Phase::Waiting { until } => return Err(Some(until - now)),
            Phase::Trying { .. } => return Err(None),
        };
        Ok(Permit { breaker: self, phase: inner.phases, trial, judged: false })
    }

    pub fn view(&self, now: Instant) -> BreakerView {
        let inner = self.lock();
        let (state, retry_in) = match inner.phase {
            Phase::Closed => (BreakerState::Closed, None),
            Phase::Waiting { until } if now >= until => (BreakerState::HalfOpen, None),
            Phase::Waiting { until } => (BreakerState::Open, Some(until - now)),
            // Open to everyone but the trial.
            Phase::Trying { .. } => (BreakerState::Open, None),
        };
        BreakerView { state, failures: inner.failures, retry_in }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.phases += 1;
    }
}

impl Permit<'_> {
    /// Whether this call is the one that tries if the endpoint is back.
    pub fn is_trial(&self) -> bool {
        self.trial
    }

    pub fn succeeded(mut self) {
        self.judged = true;
        let mut inner = self.breaker.lock();
        if inner.phases == self.phase {
            inner.failures = 0;
            if self.trial {
                inner.enter(Phase::Closed);
            }
        }
    }

    pub fn failed(mut self, now: Instant) {
        self.judged = true;
        let mut inner = self.breaker.lock();
        if inner.phases == self.phase {
            inner.failures = inner.failures.saturating_add(1);
            if self.trial || inner.failures >= self.breaker.limit {
                inner.enter(Phase::Waiting { until: now + self.breaker.wait });
            }
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.trial && !self.judged {
            let mut inner = self.breaker.lock();
            if let Phase::Trying { until } = inner.phase
                && inner.phases == self.phase
            {
                // Nothing was learnt, so the next call may try: the wait is over already.
                inner.enter(Phase::Waiting { until });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(30);

    fn state(breaker: &Breaker, now: Instant) -> BreakerState {
        breaker.view(now).state
    }

    /// A breaker that three failures have just opened.
    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::new(3, WAIT);
        for failures in 0..3 {
            assert_eq!(state(&breaker, now), BreakerState::Closed, "after {failures} failures");
            breaker.admit(now).unwrap().failed(now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_the_wait_counts_down() {
        let now = Instant::now();
        let breaker = open(now);
        let view = breaker.view(now + WAIT / 3);
        assert_eq!(view.state, BreakerState::Open);
        assert_eq!(view.failures, 3);
        assert_eq!(view.retry_in, Some(WAIT - WAIT / 3));
        assert_eq!(breaker.admit(now + WAIT / 3).unwrap_err(), Some(WAIT - WAIT / 3));
    }

    #[test]
    fn a_success_starts_the_count_anew() {
        let now = Instant::now();
        let breaker = Breaker::new(2, WAIT);
        for _ in 0..5 {
            breaker.admit(now).unwrap().failed(now);
            assert_eq!(breaker.view(now).failures, 1);
            breaker.admit(now).unwrap().succeeded();
        }
        assert_eq!(state(&breaker, now), BreakerState::Closed);
    }

    #[test]
    fn after_the_wait_exactly_one_trial_passes() {
        let now = Instant::now();
        let breaker = open(now);
        let later = now + WAIT;
        assert_eq!(state(&breaker, later), BreakerState::HalfOpen);
        let trial = breaker.admit(later).unwrap();
        assert!(trial.is_trial());
        assert_eq!(breaker.admit(later).unwrap_err(), None);
        let view = breaker.view(later);
        assert_eq!((view.state, view.retry_in), (BreakerState::Open, None));
        trial.succeeded();
        let view = breaker.view(later);
        assert_eq!((view.state, view.failures), (BreakerState::Closed, 0));
        assert!(!breaker.admit(later).unwrap().is_trial());
    }

    #[test]
    fn a_failed_trial_opens_it_for_the_whole_wait_again() {
        let now = Instant::now();
        let breaker = open(now);
        let later = now + WAIT;
        breaker.admit(later).unwrap().failed(later);
        assert_eq!(breaker.view(later).retry_in, Some(WAIT));
        assert_eq!(state(&breaker, later + WAIT), BreakerState::HalfOpen);
    }

    #[test]
    fn a_trial_given_up_leaves_the_next_one_its_chance() {
        let now = Instant::now();
        let breaker = open(now);
        let now = now + WAIT;
        drop(breaker.admit(now).unwrap());
        assert_eq!(state(&breaker, now), BreakerState::HalfOpen);
        assert!(breaker.admit(now).unwrap().is_trial());
    }

    #[test]
    fn a_call_from_before_judges_nothing() {
        let now = Instant::now();
        let breaker = Breaker::new(1, WAIT);
        let (slow, slower) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        breaker.admit(now).unwrap().failed(now);
        slow.succeeded();
        assert_eq!(state(&breaker, now), BreakerState::Open, "it was sent before the failures");
        let later = now + WAIT;
        let trial = breaker.admit(later).unwrap();
        slower.failed(later);
        trial.succeeded();
        assert_eq!(state(&breaker, later), BreakerState::Closed);
    }

    #[test]
    fn of_many_threads_one_gets_the_trial() {
        let now = Instant::now();
        let breaker = open(now);
        let trials = std::thread::scope(|scope| {
            let ask = || breaker.admit(now + WAIT).map(std::mem::forget).is_ok();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().then_some(())).count()
        });
        assert_eq!(trials, 1);
    }
}
