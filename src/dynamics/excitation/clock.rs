//! The rhythm of a user: how long ago the last event was, and how long the gaps before it were; and
//! for how long nothing has been known of the others.

use super::features::FEATURES;
use super::timeline::Moment;

/// Times that a gap is compared with, in milliseconds: a minute, an hour, a day, a week and a
/// month.
const SCALES: [f32; 5] = [6e4, 3.6e6, 8.64e7, 6.048e8, 2.592e9];
/// The same for what a timeline is out of date by: a day, a week and a month.
const STALE: [f32; 3] = [8.64e7, 6.048e8, 2.592e9];
/// Numbers that tell a rhythm, and how far a timeline is out of date.
pub const CLOCK: usize = 2 * SCALES.len() + STALE.len();

impl Moment<'_> {
    /// g/(g + τ), from 0 to 1, of the gap g up to the request for every scale τ; then the same
    /// of the gaps between the events, averaged, 0 where there are none, and of the milliseconds by
    /// which the timeline is [`stale`](super::Timeline::stale).
    pub fn clock(&self, stale: i64) -> [f32; CLOCK] {
        let mut clock = [0.0; CLOCK];
        let (now, rest) = clock.split_at_mut(SCALES.len());
        let (before, out_of_date) = rest.split_at_mut(SCALES.len());
        add(out_of_date, &STALE, stale, 1.0);
        let last = self.times.last().copied().unwrap_or(self.asked);
        add(now, &SCALES, self.asked - last, 1.0);
        let share = 1.0 / self.times.len().saturating_sub(1).max(1) as f32;
        for pair in self.times.windows(2) {
            add(before, &SCALES, pair[1] - pair[0], share);
        }
        clock
    }
}

/// Add to `weights` what a clock says, through `by_clock`, `[CLOCK, FEATURES]`.
pub fn steer(weights: &mut [f32; FEATURES], by_clock: &[f32], clock: [f32; CLOCK]) {
    for (by, part) in by_clock.chunks_exact(FEATURES).zip(clock) {
        weights.iter_mut().zip(by).for_each(|(weight, by)| *weight += part * by);
    }
}

fn add(to: &mut [f32], scales: &[f32], gap: i64, share: f32) {
    let gap = gap.max(0) as f32;
    for (to, scale) in to.iter_mut().zip(scales) {
        *to += share * (gap / (gap + scale));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rhythm_tells_the_last_gap_from_the_ones_before() {
        let (minute, day) = (60_000, 86_400_000);
        let times = [0, minute, 2 * minute];
        let moment = Moment::at(&[1, 2, 3], &times, 2 * minute + day);
        let clock = moment.clock(7 * day);
        assert!((clock[2] - 0.5).abs() < 1e-6 && (clock[SCALES.len()] - 0.5).abs() < 1e-6);
        assert!((clock[2 * SCALES.len() + 1] - 0.5).abs() < 1e-6, "a week out of date");
        assert!(clock.iter().all(|part| (0.0..=1.0).contains(part)));
        assert_eq!(Moment::at(&[], &[], 5).clock(0), [0.0; CLOCK]);
        let back = Moment::at(&[1, 2], &[9, 3], 1);
        assert_eq!(back.clock(0), [0.0; CLOCK], "a clock that runs backwards counts as no gap");
    }
}
