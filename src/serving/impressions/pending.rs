//! Lines on their way to the disk.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::serving::telemetry::locked;

/// Bytes that may wait.
pub const CAPACITY: usize = 16 << 20;
/// The writer waits this long for more lines…
const LINGER: Duration = Duration::from_millis(100);
/// …or until so many bytes are there.
const BATCH: usize = 256 << 10;
/// How long a full buffer may hold up a request.
const PATIENCE: Duration = Duration::from_millis(250);

/// A buffer of whole lines between the requests and the writer.
#[derive(Debug)]
pub struct Pending {
    capacity: usize,
    state: Mutex<State>,
    /// There are lines to write, or no more will come.
    filled: Condvar,
    /// There is room.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Requests waiting for room.
    waiting: usize,
    /// Waiting for room was in vain; nobody waits until there is some again.
    stalled: bool,
    closing: bool,
    lost: u64,
}

impl Pending {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), filled: Condvar::new(), emptied: Condvar::new() }
    }

    /// Append a line; waits for room for at most [`PATIENCE`], once in a row. A line longer than
    /// the whole buffer fits an empty one.
    pub fn push(&self, line: &[u8]) {
        let full = |state: &State| {
            !state.bytes.is_empty() && state.bytes.len() + line.len() > self.capacity
        };
        let mut state = locked(&self.state);
        if state.closing {
            state.lost += 1;
            return;
        }
        if full(&state) && !state.stalled {
            state.waiting += 1;
            let wait = |state: &mut State| full(state) && !state.stalled;
            state = self
                .emptied
                .wait_timeout_while(state, PATIENCE, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.waiting -= 1;
            if state.closing {
                self.filled.notify_one();
            }
        }
        if full(&state) {
            if !state.stalled {
                tracing::error!("the disk is too slow for the log of answers: lines are lost");
                state.stalled = true;
                self.emptied.notify_all();
            }
            state.lost += 1;
            return;
        }
        let before = state.bytes.len();
        state.bytes.extend_from_slice(line);
        if before == 0 || (before < BATCH && state.bytes.len() >= BATCH) {
            self.filled.notify_one();
        }
    }

    /// Take all lines into `batch`, which is empty, as soon as there are enough or the first has
    /// waited for [`LINGER`]. False once the buffer is closed and everything was taken.
    pub fn take(&self, batch: &mut Vec<u8>) -> bool {
        let idle =
            |state: &mut State| state.bytes.is_empty() && !(state.closing && state.waiting == 0);
        let few = |state: &mut State| state.bytes.len() < BATCH && !state.closing;
        let state = self
            .filled
            .wait_while(locked(&self.state), idle)
            .unwrap_or_else(PoisonError::into_inner);
        if state.bytes.is_empty() {
            return false;
        }
        let mut state = self
            .filled
            .wait_timeout_while(state, LINGER, few)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        std::mem::swap(&mut state.bytes, batch);
        state.stalled = false;
        self.emptied.notify_all();
        true
    }

    /// Wait for [`Pending::close`], but no longer than this; returns whether it was called.
    pub fn closes_within(&self, time: Duration) -> bool {
        self.filled
            .wait_timeout_while(locked(&self.state), time, |state| !state.closing)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .closing
    }

    /// Take no more lines.
    pub fn close(&self) {
        locked(&self.state).closing = true;
        self.filled.notify_one();
    }

    /// Bytes waiting, and lines lost.
    pub fn levels(&self) -> (usize, u64) {
        let state = locked(&self.state);
        (state.bytes.len(), state.lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_request_waits_for_room() {
        let pending = Arc::new(Pending::new(8));
        pending.push(b"1234567\n");
        let waiting = thread::spawn({
            let pending = pending.clone();
            move || pending.push(b"8\n")
        });
        while locked(&pending.state).waiting == 0 {
            thread::yield_now();
        }
        let mut batch = Vec::new();
        assert!(pending.take(&mut batch));
        waiting.join().unwrap();
        assert_eq!(batch, b"1234567\n");
        assert_eq!(pending.levels(), (2, 0));
    }

    #[test]
    fn a_line_that_waits_while_the_log_closes_is_written() {
        let pending = Arc::new(Pending::new(4));
        pending.push(b"123\n");
        let waiting = thread::spawn({
            let pending = pending.clone();
            move || pending.push(b"456\n")
        });
        while locked(&pending.state).waiting == 0 {
            thread::yield_now();
        }
        pending.close();
        pending.push(b"late\n");
        let (mut all, mut batch) = (Vec::new(), Vec::new());
        while pending.take(&mut batch) {
            all.append(&mut batch);
        }
        waiting.join().unwrap();
        assert_eq!(all, b"123\n456\n");
        assert_eq!(pending.levels(), (0, 1));
    }

    #[test]
    fn nobody_waits_twice_for_a_disk_that_takes_nothing() {
        let pending = Pending::new(4);
        pending.push(b"123\n");
        for lost in 1..=1000 {
            pending.push(b"4\n");
            assert_eq!(pending.levels(), (4, lost));
        }
        assert!(locked(&pending.state).stalled);
        assert!(pending.take(&mut Vec::new()));
        pending.push(b"5\n");
        assert_eq!(pending.levels(), (2, 1000));
    }

    #[test]
    fn a_line_longer_than_the_buffer_fits() {
        let pending = Pending::new(4);
        pending.push(b"12345678\n");
        assert_eq!(pending.levels(), (9, 0));
    }
}
