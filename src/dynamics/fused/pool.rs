//! Independent tasks on a few threads.

use std::sync::{Mutex, PoisonError};

/// `asked` threads, or one a core where it is 0.
pub(crate) fn threads(asked: usize) -> usize {
    match asked {
        0 => crate::dynamics::device::cores(),
        asked => asked,
    }
}

/// Do every task once, on at most `threads` threads, this one among them. Tasks are handed out in
/// order; what a task computes must not depend on which thread took it.
pub(crate) fn run<T: Send>(threads: usize, tasks: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = threads.min(tasks.len());
    if threads <= 1 {
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
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(labour);
        }
        labour();
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
