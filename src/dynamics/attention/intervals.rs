//! The times between the events of a history as rows of TiSASRec's tables.
//!
//! The paper divides by the shortest time between two events of a user, which is known only when
//! the whole history is: a position would learn of events that come after it. Here it is the
//! shortest so far, which is the same where the last position asks. It also leaves everything at
//! the longest interval where two of a user's events are seconds apart and the others months, which
//! is why the logarithmic scale is the default.

use crate::dynamics::warp::TimeWarp;
use crate::settings::{IntervalScale, ModelSettings};

/// What the logarithmic scale reaches to, in seconds: ten years.
const LONGEST: f64 = 10.0 * 365.25 * 86_400.0;

/// How times become rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intervals {
    warp: TimeWarp,
    scale: IntervalScale,
    /// The row of all longer intervals.
    longest: f64,
    /// Whether a position asks at the time of the event after it instead of its own.
    at_query: bool,
}

impl Intervals {
    pub fn new(settings: &ModelSettings) -> Self {
        Self {
            warp: TimeWarp::of(settings),
            scale: settings.interval_scale,
            longest: settings.intervals as f64,
            at_query: settings.query_gap,
        }
    }

    /// Rows for one history, `[events, events]`, of which row i reads the first i + 1: from `dt`,
    /// model time from each event to the next, the last one to the query.
    pub fn rows(&self, dt: impl Iterator<Item = f32>, out: &mut Vec<u32>) {
        let gaps: Vec<f64> = dt.map(|dt| self.warp.seconds(dt)).collect();
        let mut times = Vec::with_capacity(gaps.len());
        let mut now = 0.0;
        for gap in &gaps {
            times.push(now);
            now += gap;
        }
        let mut shortest = f64::INFINITY;
        for (place, time) in times.iter().enumerate() {
            let asked = if self.at_query { time + gaps[place] } else { *time };
            let known = if self.at_query { place + 1 } else { place };
            let newest = known.checked_sub(1).map_or(0.0, |newest| gaps[newest]);
            if newest > 0.0 {
                shortest = shortest.min(newest);
            }
            out.extend(times[..=place].iter().map(|other| self.row(asked - other, shortest)));
            out.resize(out.len() + times.len() - place - 1, 0);
        }
    }

    /// The row of `seconds`, where `shortest` is the unit.
    fn row(&self, seconds: f64, shortest: f64) -> u32 {
        let row = match self.scale {
            // To the nearest, as the authors' code does: the times of equal gaps add up to a
            // hair less than their multiples.
            IntervalScale::Shortest => (seconds / shortest).round(),
            IntervalScale::Logarithmic => {
                (seconds.ln_1p() * self.longest / LONGEST.ln_1p()).round()
            }
        };
        // Also where nothing is known of the unit yet, or of the time.
        if row > 0.0 { row.min(self.longest) as u32 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Warp;

    const DAY: i64 = 86_400_000;

    fn rows(settings: &ModelSettings, gaps: &[i64]) -> Vec<Vec<u32>> {
        let mut out = Vec::new();
        let dt = gaps.iter().map(|&gap| TimeWarp::of(settings).model_time(gap));
        Intervals::new(settings).rows(dt, &mut out);
        let rows = out.chunks_exact(gaps.len()).enumerate();
        rows.map(|(place, row)| row[..=place].to_vec()).collect()
    }

    fn shortest(warp: Warp) -> ModelSettings {
        let interval_scale = IntervalScale::Shortest;
        ModelSettings { warp, interval_scale, intervals: 5, ..Default::default() }
    }

    #[test]
    fn equal_gaps_are_told_apart_as_positions_are() {
        for &warp in Warp::ALL {
            for gap in [1_000, 7 * DAY / 3, 40 * DAY] {
                let found = rows(&shortest(warp), &[gap; 4]);
                assert_eq!(found, [vec![0], vec![1, 0], vec![2, 1, 0], vec![3, 2, 1, 0]]);
            }
        }
    }

    #[test]
    fn the_unit_is_the_shortest_so_far_and_the_longest_is_clipped() {
        let found = rows(&shortest(Warp::Linear), &[6 * DAY, 2 * DAY, 100 * DAY, 0]);
        assert_eq!(found, [vec![0], vec![1, 0], vec![4, 1, 0], vec![5, 5, 5, 0]]);
        // Without any time between events all intervals are none.
        let found = rows(&shortest(Warp::Linear), &[0, 0, 9 * DAY]);
        assert_eq!(found, [vec![0], vec![0, 0], vec![0, 0, 0]]);
        // Where the query's time counts, it is the one that asks.
        let settings = ModelSettings { query_gap: true, ..shortest(Warp::Linear) };
        assert_eq!(rows(&settings, &[3 * DAY, DAY]), [vec![1], vec![4, 1]]);
    }

    #[test]
    fn the_logarithmic_scale_tells_seconds_from_days_from_months() {
        let settings = ModelSettings { intervals: 64, ..Default::default() };
        let found = rows(&settings, &[5_000, DAY, 60 * DAY, 9000 * DAY, 0]);
        let last = &found[4];
        assert!(last.is_sorted_by(|a, b| a >= b));
        assert_eq!((last[0], last[4]), (64, 0));
        // Five seconds beside months are nothing; alone they are told from none.
        let months = &found[3];
        assert!(months[0] == months[1] && months[3] == 0);
        let (seconds, day) = (found[1][0], found[2][1]);
        assert!(0 < seconds && seconds < day && day < months[2]);
    }
}
