//! Model time, which the flow runs over, and the calendar behind it.

use crate::settings::{ModelSettings, Warp};

const MS_PER_DAY: f64 = 86_400_000.0;
/// Days of one unit of linear model time, as DeepM3 has it.
const LINEAR_DAYS: f64 = 10.0;

/// How a gap becomes model time: a tenth of its days, or κ·ln(1 + days/κ). The latter counts a gap
/// that is short against κ in days and a longer one by its logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeWarp {
    warp: Warp,
    /// κ, in days.
    scale: f64,
}

impl TimeWarp {
    /// DeepM3's.
    pub const LINEAR: Self = Self { warp: Warp::Linear, scale: 1.0 };

    /// That of a model.
    pub const fn of(settings: &ModelSettings) -> Self {
        Self { warp: settings.warp, scale: settings.time_scale }
    }

    /// Model time of a gap; a clock that runs backwards counts as none.
    pub fn model_time(self, gap_ms: i64) -> f32 {
        let days = gap_ms.max(0) as f32 / MS_PER_DAY as f32;
        match self.warp {
            Warp::Linear => days / LINEAR_DAYS as f32,
            Warp::Log1p => self.scale as f32 * (days / self.scale as f32).ln_1p(),
        }
    }

    /// The days of a gap of so much model time.
    pub fn days(self, model_time: f64) -> f64 {
        match self.warp {
            Warp::Linear => model_time * LINEAR_DAYS,
            Warp::Log1p => self.scale * (model_time / self.scale).exp_m1(),
        }
    }

    /// The same in seconds, to the digits that f32 has.
    pub fn seconds(self, model_time: f32) -> f64 {
        self.days(f64::from(model_time)) * MS_PER_DAY / 1e3
    }

    /// How far into a gap a `share` of its model time lies, both in milliseconds.
    pub fn part(self, gap_ms: f64, share: f64) -> f64 {
        if share >= 1.0 {
            return gap_ms;
        }
        match self.warp {
            Warp::Linear => gap_ms * share,
            Warp::Log1p => {
                let whole = (gap_ms / MS_PER_DAY / self.scale).ln_1p();
                self.scale * (share * whole).exp_m1() * MS_PER_DAY
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn log1p(scale: f64) -> TimeWarp {
        TimeWarp { warp: Warp::Log1p, scale }
    }

    #[test]
    fn a_clock_that_runs_backwards_counts_as_no_gap() {
        for warp in [TimeWarp::LINEAR, log1p(1.0), log1p(7.0)] {
            assert_eq!((warp.model_time(-5), warp.model_time(0)), (0.0, 0.0));
        }
    }

    #[test]
    fn model_time_by_hand() {
        assert_eq!(TimeWarp::LINEAR.model_time(25 * DAY), 2.5);
        assert_eq!(log1p(1.0).model_time(DAY), 1f32.ln_1p());
        // 7·ln 2: a week by the scale of a week.
        assert!((log1p(7.0).model_time(7 * DAY) - 4.852_03).abs() < 1e-4);
        // Short gaps count in days, whatever the scale.
        assert!((log1p(30.0).model_time(DAY / 10) - 0.1).abs() < 1e-3);
    }

    #[test]
    fn model_time_leads_back_to_the_gap() {
        for warp in [TimeWarp::LINEAR, log1p(0.1), log1p(1.0), log1p(7.0)] {
            for gap in [60_000, DAY / 3, DAY, 40 * DAY] {
                let seconds = warp.seconds(warp.model_time(gap));
                assert!((seconds / (gap as f64 / 1e3) - 1.0).abs() < 1e-4, "{warp:?} {gap}");
                let half = warp.part(gap as f64, 0.5);
                let there = warp.model_time(half as i64);
                assert!((there / warp.model_time(gap) - 0.5).abs() < 1e-3, "{warp:?} {gap}");
            }
        }
    }
}
