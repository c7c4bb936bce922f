//! Independent tasks on a few threads.
//!
//! A training step has ten phases, each a fraction of a millisecond: starting a thread for each
//! costs a tenth of the step, and waking one that sleeps still costs a fiftieth. The threads are kept
//! instead, and while a step is under way they look for its next phase for a moment before they sleep.

use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder, Yield};

/// One thread a core, started when first asked for; none where the system refuses. Apart from
/// rayon's own, so that nobody else's work stands before a step.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let builder = ThreadPoolBuilder::new().num_threads(threads(0));
    let pool = builder.thread_name(|place| format!("step-{place}")).build();
    pool.inspect_err(|error| tracing::warn!("training on one thread: {error}")).ok()
});

/// Threads that stay awake for a step: phases of a batch of usual size have no more tasks than a few.
const AWAKE: usize = 8;

/// `asked` threads, or one a core where it is 0.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => crate::dynamics::device::cores(),
        asked => asked,
    }
}

/// Do `work` on a thread of the pool, from where the phases of [`run`] begin at once; the others stay
/// awake for them. Where `asked` is one thread it stays here.
pub(crate) fn inside<R: Send>(asked: usize, work: impl FnOnce() -> R + Send) -> R {
    match &*POOL {
        Some(pool) if threads(asked) > 1 && pool.current_thread_index().is_none() => {
            pool.install(|| attended(threads(asked), work))
        }
        _ => work(),
    }
}

/// Do `work` here, while others of the pool's threads, up to `threads` with this one, stand by. Nobody
/// waits for these: what they find to do may be somebody else's whole step.
fn attended<R>(threads: usize, work: impl FnOnce() -> R) -> R {
    /// Ends the standing by, and where `work` panics as well.
    struct Over(Arc<AtomicBool>);
    impl Drop for Over {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = Over(Arc::default());
    let here = rayon::current_thread_index();
    for _ in 1..threads.min(AWAKE) {
        let over = Arc::clone(&over.0);
        rayon::spawn(move || {
            // This thread, which waits for a phase to end, does not stand by itself.
            if rayon::current_thread_index() != here {
                stand_by(&over);
            }
        });
    }
    work()
}

/// Do what the pool has to do until it is `over`, or has had nothing for a while.
fn stand_by(over: &AtomicBool) {
    let mut patience = Patience::default();
    while !over.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(Yield::Executed) {
            patience = Patience::default();
        } else if !patience.wait() {
            return;
        }
    }
}

/// Waits for what another thread is about to do.
#[derive(Default)]
struct Patience {
    waits: u32,
}

impl Patience {
    /// Waits that keep the core, and then lend it to whoever asks: together some hundredths of a
    /// millisecond, and about a millisecond.
    const SPINS: u32 = 64;
    const MOST: u32 = 1024;

    /// Wait for some hundreds of nanoseconds; whether to wait again.
    fn wait(&mut self) -> bool {
        self.waits += 1;
        if self.waits <= Self::SPINS {
            (0..16).for_each(|_| spin_loop());
        } else {
            std::thread::yield_now();
        }
        self.waits < Self::MOST
    }
}

/// Do both, at the same time where `asked` allows for two threads.
pub(super) fn join<A: Send, B: Send>(
    asked: usize,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    if threads(asked) > 1 && POOL.is_some() {
        inside(asked, || rayon::join(one, other))
    } else {
        (one(), other())
    }
}

/// Do every task once, on at most `asked` threads, this one among them, or one a core where it is 0.
/// Tasks are handed out in order; what a task computes must not depend on which thread took it.
pub(crate) fn run<T: Send>(asked: usize, tasks: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = threads(asked).min(tasks.len());
    if threads <= 1 || POOL.is_none() {
        return tasks.into_iter().for_each(work);
    }
    let queue = Mutex::new(tasks.into_iter());
    let busy = AtomicUsize::new(0);
    let labour = || {
        busy.fetch_add(1, Ordering::Relaxed);
        loop {
            // A statement of its own, so that the lock is released before the work.
            let task = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match task {
                Some(task) => work(task),
                None => break,
            }
        }
        busy.fetch_sub(1, Ordering::Relaxed);
    };
    inside(threads, || {
        rayon::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| labour());
            }
            labour();
            // The scope waits as well, and sees what the others wrote, but it goes to sleep sooner.
            let mut patience = Patience::default();
            while busy.load(Ordering::Relaxed) > 0 && patience.wait() {}
        });
    });
}

/// `all` things in as few shares of at most `most` as there can be, which differ by one at most.
pub(super) fn shares(all: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = all.div_ceil(most);
    (0..count).map(move |place| place * all / count..(place + 1) * all / count)
}

/// Cut `values` into consecutive pieces of the given lengths.
pub(crate) fn split<T>(
    mut values: &mut [T],
    lengths: impl Iterator<Item = usize>,
) -> Vec<&mut [T]> {
    lengths
        .map(|length| {
            let (piece, rest) = std::mem::take(&mut values).split_at_mut(length);
            values = rest;
            piece
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_done_once() {
        for threads in 1..5 {
            let mut done = [0u32; 23];
            run(threads, done.iter_mut().collect(), |count| *count += 1);
            assert_eq!(done, [1; 23]);
        }
        run(3, Vec::<u8>::new(), |_| unreachable!());
    }

    #[test]
    fn shares_are_even() {
        assert_eq!(shares(7, 3).collect::<Vec<_>>(), [0..2, 2..4, 4..7]);
        for (all, most) in (0..1100).flat_map(|all| [1, 32, 64, 128].map(|most| (all, most))) {
            let mut end = 0;
            for share in shares(all, most) {
                assert_eq!(share.start, end);
                end = share.end;
                let even = all / all.div_ceil(most);
                assert!((even..=even + 1).contains(&share.len()) && share.len() <= most);
            }
            assert_eq!(end, all);
        }
    }

    #[test]
    fn steps_of_several_callers_share_the_threads() {
        let step = || {
            let mut done = [0u32; 23];
            for phase in 1..=5 {
                run(0, done.iter_mut().collect(), |count| *count += 1);
                assert_eq!(done, [phase; 23]);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..200).for_each(|_| inside(0, step)));
            }
        });
    }

    #[test]
    fn a_panic_of_a_step_reaches_its_caller_and_the_next_step_runs() {
        let panicked = std::panic::catch_unwind(|| inside(0, || panic!("inside the step")));
        assert!(panicked.is_err());
        let panicked = std::panic::catch_unwind(|| {
            inside(0, || run(0, (0..9).collect(), |task| assert!(task < 5, "of a task")));
        });
        assert!(panicked.is_err());
        let sum = AtomicUsize::new(0);
        inside(0, || {
            run(0, vec![1, 2, 3], |n| {
                sum.fetch_add(n, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 6);
    }
}
