//! Independent tasks on a few threads.
//!
//! A training step has ten phases, each a fraction of a millisecond: starting a thread for each
//! costs a tenth of the step. The threads are kept instead, and look for the next phase for a
//! moment before they sleep.

use std::sync::{LazyLock, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// One thread a core, started when first asked for; none where the system refuses. Apart from
/// rayon's own, so that nobody else's work stands before a step.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let builder = ThreadPoolBuilder::new().num_threads(threads(0));
    let pool = builder.thread_name(|place| format!("step-{place}")).build();
    pool.inspect_err(|error| tracing::warn!("training on one thread: {error}")).ok()
});

/// `asked` threads, or one a core where it is 0.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => crate::dynamics::device::cores(),
        asked => asked,
    }
}

/// Do `work` on a thread of the pool, from where the phases of [`run`] begin at once. Where
/// `asked` is one thread it stays here.
pub(crate) fn inside<R: Send>(asked: usize, work: impl FnOnce() -> R + Send) -> R {
    match &*POOL {
        Some(pool) if threads(asked) > 1 && pool.current_thread_index().is_none() => {
            pool.install(work)
        }
        _ => work(),
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
    let labour = || {
        loop {
            // A statement of its own, so that the lock is released before the work.
            let task = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match task {
                Some(task) => work(task),
                None => return,
            }
        }
    };
    inside(threads, || {
        rayon::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| labour());
            }
            labour();
        });
    });
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
}
