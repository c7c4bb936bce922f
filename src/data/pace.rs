//! Asking at an even pace whether to go on.

use crate::jobs::Cancelled;

/// Most work between two questions, in steps of about one event each: some milliseconds.
pub(super) const STEPS: usize = 1 << 16;

/// Asks before the first step and then about once in [`STEPS`]: a stop is heard at once, and asking
/// costs nothing beside the work.
pub(super) struct Pace<F> {
    go_on: F,
    /// Steps since the last question.
    done: usize,
}

impl<F: FnMut() -> Result<(), Cancelled>> Pace<F> {
    pub fn new(go_on: F) -> Self {
        Self { go_on, done: STEPS }
    }

    /// To be called before `steps` of work, at most [`STEPS`] where they can be divided.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    #[inline]
    pub fn step(&mut self, steps: usize) -> Result<(), Cancelled> {
        self.done += steps;
        if self.done < STEPS {
            return Ok(());
        }
        self.done = 0;
        (self.go_on)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_at_once_and_then_now_and_again() {
        let mut asked = 0;
        let mut pace = Pace::new(|| {
            asked += 1;
            if asked < 4 { Ok(()) } else { Err(Cancelled) }
        });
        let steps = (0..).take_while(|_| pace.step(1).is_ok()).count();
        assert_eq!(steps, 3 * STEPS);
    }
}
