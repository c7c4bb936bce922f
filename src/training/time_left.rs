//! How long a run still trains.

/// An estimate from the speed a run has had since this process first heard of it: what it took before
/// may have been on another machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeLeft {
    /// Steps, and seconds of training.
    first: Option<(u64, f64)>,
    last: (u64, f64),
}

impl TimeLeft {
    /// The run has done `step` steps in `seconds` of training.
    pub fn update(&mut self, step: u64, seconds: f64) {
        self.last = (step, seconds);
        self.first.get_or_insert(self.last);
    }

    /// Seconds of training until `steps` are done, validation aside; early stopping may make it less.
    pub fn seconds(&self, steps: u64) -> Option<f64> {
        let ((first, begun), (step, now)) = (self.first?, self.last);
        let done = step.checked_sub(first).filter(|&done| done > 0)?;
        Some((now - begun) / done as f64 * steps.saturating_sub(step) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_trained_here_counts() {
        let mut left = TimeLeft::default();
        assert_eq!(left.seconds(20), None);
        left.update(11, 100.0);
        assert_eq!(left.seconds(20), None);
        left.update(13, 104.0);
        assert_eq!(left.seconds(20), Some(14.0));
        left.update(21, 120.0);
        assert_eq!(left.seconds(20), Some(0.0));
    }
}
