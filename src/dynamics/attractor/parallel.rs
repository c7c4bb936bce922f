//! Work spread over threads that can be stopped, and how far it is.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::dynamics::fused::pool;
use crate::jobs::Cancelled;

/// Whoever started the work is asked at most this often whether to go on.
const ASK_MS: u64 = 15;

/// Tells how far the work is, and hears whether it is to go on.
pub(super) type GoOn<'a> = &'a (dyn Fn(f32, &str) -> Result<(), Cancelled> + Sync);

/// [`GoOn`], asked now and then by any thread.
pub(super) struct Watch<'a> {
    go_on: GoOn<'a>,
    started: Instant,
    /// When it is to be asked next, in milliseconds after the start.
    due: AtomicU64,
    cancelled: AtomicBool,
    pub threads: usize,
}

impl<'a> Watch<'a> {
    /// `threads` of 0 are all there are.
    pub fn new(go_on: GoOn<'a>, threads: usize) -> Self {
        let threads = pool::threads(threads);
        let (due, cancelled) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { go_on, started: Instant::now(), due, cancelled, threads }
    }

    fn ask(&self, fraction: f32, message: &str) -> Result<(), Cancelled> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Cancelled);
        }
        let now = self.started.elapsed().as_millis() as u64;
        let due = self.due.load(Ordering::Relaxed);
        let mine = now >= due
            && self
                .due
                .compare_exchange(due, now + ASK_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            (self.go_on)(fraction, message)
                .inspect_err(|Cancelled| self.cancelled.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    /// A part of the work that takes the fraction `from..to` and has `total` ticks.
    pub fn stage<'w>(
        &'w self,
        [from, to]: [f32; 2],
        total: usize,
        message: &'static str,
    ) -> Stage<'w, 'a> {
        Stage { watch: self, from, to, total: total.max(1), done: AtomicUsize::new(0), message }
    }
}

/// A part of the work; see [`Watch::stage`].
pub(super) struct Stage<'w, 'a> {
    pub watch: &'w Watch<'a>,
    from: f32,
    to: f32,
    total: usize,
    done: AtomicUsize,
    message: &'static str,
}

impl Stage<'_, '_> {
    /// `ticks` more are done.
    ///
    /// # Errors
    /// [`Cancelled`] when the work is to stop.
    pub fn tick(&self, ticks: usize) -> Result<(), Cancelled> {
        let done = self.done.fetch_add(ticks, Ordering::Relaxed) + ticks;
        let share = (done as f32 / self.total as f32).min(1.0);
        self.watch.ask(self.from + (self.to - self.from) * share, self.message)
    }
}

/// Do `work` on each of `items`, on up to `threads` threads. What is done to one must not depend
/// on the others, so that the result does not depend on the number of threads.
///
/// # Errors
/// The first of `work`; the rest of the items are then left alone.
pub(super) fn each<T: Send>(
    threads: usize,
    items: &mut [T],
    work: impl Fn(&mut T) -> Result<(), Cancelled> + Sync,
) -> Result<(), Cancelled> {
    let helpers = threads.min(items.len()).saturating_sub(1);
    let queue = Mutex::new(items.iter_mut());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(item) = next() {
            work(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        // A helper that cannot be started leaves its work to the others.
        let helpers: Vec<_> = (0..helpers)
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mut outcome = run();
        for helper in helpers {
            match helper.join() {
                Ok(theirs) => outcome = outcome.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_an_error_ends_it() {
        for threads in [0, 1, 4] {
            let mut items = vec![0; 100];
            each(threads, &mut items, |item| {
                *item += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(items, [1; 100]);
            let stopped = each(threads, &mut items, |item| {
                *item += 1;
                Err(Cancelled)
            });
            assert_eq!(stopped, Err(Cancelled));
            // A thread stops at its first.
            assert!(items.iter().filter(|&&item| item == 2).count() <= threads.max(1));
        }
    }

    #[test]
    fn once_stopped_it_stays_stopped_and_fractions_lie_in_the_stage() {
        let calls = AtomicUsize::new(0);
        let go_on = |fraction: f32, message: &str| {
            assert!((0.25..=0.75).contains(&fraction) && message == "working");
            calls.fetch_add(1, Ordering::Relaxed);
            Err(Cancelled)
        };
        let watch = Watch::new(&go_on, 1);
        let stage = watch.stage([0.25, 0.75], 2, "working");
        assert_eq!(stage.tick(5), Err(Cancelled));
        assert_eq!(stage.tick(1), Err(Cancelled));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
