//! How the learning rate moves over a training.

use crate::settings::Schedule;

/// Where the cosine ends, as a share of the full rate.
const FLOOR: f64 = 0.01;
/// Share of the steps that warm up.
const WARMUP: f64 = 0.1;

/// Learning rate at `step` of `total` (from 0).
pub fn learning_rate(schedule: Schedule, full: f64, step: u64, total: u64) -> f64 {
    let done = step as f64 / total.max(1) as f64;
    let cosine = |done: f64| {
        let half_wave = 0.5 * (1.0 + (std::f64::consts::PI * done.clamp(0.0, 1.0)).cos());
        full * (FLOOR + (1.0 - FLOOR) * half_wave)
    };
    match schedule {
        Schedule::Constant => full,
        Schedule::Cosine => cosine(done),
        Schedule::WarmupCosine if done < WARMUP => {
            let warm = (WARMUP * total as f64).max(1.0);
            full * ((step + 1) as f64 / warm).min(1.0)
        }
        Schedule::WarmupCosine => cosine((done - WARMUP) / (1.0 - WARMUP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_and_end_where_they_should() {
        let at = |schedule, step| learning_rate(schedule, 1.0, step, 100);
        assert_eq!(at(Schedule::Constant, 99), 1.0);
        assert_eq!(at(Schedule::Cosine, 0), 1.0);
        assert!((at(Schedule::Cosine, 100) - 0.01).abs() < 1e-12);
        assert_eq!(at(Schedule::WarmupCosine, 0), 0.1);
        assert_eq!(at(Schedule::WarmupCosine, 10), 1.0);
        assert!(at(Schedule::WarmupCosine, 60) < 0.6);
    }
}
