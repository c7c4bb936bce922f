//! Model time, which the flow runs over, and the calendar behind it.

use super::parameters::Matrix;
use crate::settings::{ModelSettings, Warp};

const MS_PER_DAY: f64 = 86_400_000.0;
/// Days of one unit of linear model time, as DeepM3 has it.
const LINEAR_DAYS: f64 = 10.0;
/// Name of the parameter θ that κ is learned through, `[1, 1]`, from 0.
pub const TIME_SCALE: &str = "warp.scale";
/// κ = κ₀·exp(STRETCH·θ). Adam moves a weight by about the learning rate a step, however steep the
/// loss: ln κ moves three times as fast, by an e-fold or two in a short training. Faster, it shakes
/// with every batch, and every flow with it.
const STRETCH: f64 = 3.0;
/// κ stays within these days whatever θ is, so that model time stays a number.
const SCALES: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

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

    /// That of a model before it has learned anything.
    pub const fn of(settings: &ModelSettings) -> Self {
        Self { warp: settings.warp, scale: settings.time_scale }
    }

    /// That of a model with these weights: κ is among them where it is learned.
    pub fn learned(settings: &ModelSettings, weights: &[Matrix]) -> Self {
        let scale = weights.iter().find(|matrix| matrix.name == TIME_SCALE);
        Self::at(settings, scale.and_then(|scale| scale.values.first().copied()))
    }

    /// That of a model with θ among its weights, or without.
    pub fn at(settings: &ModelSettings, theta: Option<f32>) -> Self {
        let start = Self::of(settings);
        let stretched = |theta| start.scale * (STRETCH * f64::from(theta)).exp();
        let within = |scale: f64| scale.clamp(*SCALES.start(), *SCALES.end());
        Self { scale: theta.map_or(start.scale, |theta| within(stretched(theta))), ..start }
    }

    /// κ, in days; none in linear time.
    pub fn scale(self) -> Option<f64> {
        (self.warp == Warp::Log1p).then_some(self.scale)
    }

    /// Derivative by θ of the model time of a gap that has so much:
    /// STRETCH·∂/∂ln κ of κ·ln(1 + days/κ).
    pub fn by_theta(self, model_time: f32) -> f64 {
        let time = f64::from(model_time);
        match self.warp {
            Warp::Linear => 0.0,
            Warp::Log1p => STRETCH * (time + self.scale * (-time / self.scale).exp_m1()),
        }
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
    fn the_learned_scale_stretches_the_one_set_and_stays_a_number() {
        let settings = ModelSettings { warp: Warp::Log1p, time_scale: 7.0, ..Default::default() };
        assert_eq!(TimeWarp::at(&settings, None), log1p(7.0));
        assert_eq!(TimeWarp::at(&settings, Some(0.0)), log1p(7.0));
        let double = TimeWarp::at(&settings, Some(std::f32::consts::LN_2 / 3.0));
        assert!((double.scale().unwrap() - 14.0).abs() < 1e-4);
        for theta in [-100.0, 100.0] {
            let time = TimeWarp::at(&settings, Some(theta)).model_time(30 * DAY);
            assert!((0.0..=30.0).contains(&time), "{time}");
        }
        let theta = |value| Matrix { name: TIME_SCALE.into(), shape: [1, 1], values: vec![value] };
        let learned = TimeWarp::learned(&settings, &[theta(0.1)]);
        assert_eq!(learned, TimeWarp::at(&settings, Some(0.1)));
        assert_eq!(TimeWarp::learned(&settings, &[]), log1p(7.0));
    }

    #[test]
    fn the_derivative_by_theta_is_that_of_finite_differences() {
        let settings = ModelSettings { warp: Warp::Log1p, time_scale: 3.0, ..Default::default() };
        for days in [0.01, 0.5, 3.0, 200.0] {
            let time = |theta: f64| {
                let scale = 3.0 * (STRETCH * theta).exp();
                scale * (days / scale).ln_1p()
            };
            let numeric = (time(0.2 + 1e-6) - time(0.2 - 1e-6)) / 2e-6;
            let ours = TimeWarp::at(&settings, Some(0.2)).by_theta(time(0.2) as f32);
            assert!((ours - numeric).abs() < 1e-4 * numeric, "{days}: {ours} {numeric}");
        }
        assert_eq!(TimeWarp::LINEAR.by_theta(2.0), 0.0);
        assert_eq!(log1p(3.0).by_theta(0.0), 0.0);
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
