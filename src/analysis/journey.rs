//! One history's way through a landscape.

use super::Subject;
use crate::dynamics::attractor::{Path, Pca, path};
use crate::settings::Solver;

const MS_PER_DAY: f64 = 86_400_000.0;
/// Points of the flow between two events, at most.
const SAMPLES: usize = 48;

/// A history, and the states that the model takes it through. Days count from the first event.
#[derive(Debug, Clone, PartialEq)]
pub struct Journey {
    pub user_id: String,
    pub solver: Solver,
    pub items: Vec<u32>,
    /// Unix milliseconds, never falling.
    pub times: Vec<i64>,
    /// In the order of time: after each event its state, then the flow up to the next.
    pub spots: Vec<Spot>,
    /// One for each event.
    pub visits: Vec<Visit>,
    /// Largest relative change of a state that halving the solver's steps makes.
    pub halving_error: f64,
    /// Finite-time Lyapunov exponent, jumps included.
    pub lyapunov_per_day: Option<f64>,
}

/// A state on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    pub days: f64,
    /// The last event before it.
    pub event: usize,
    /// Along the principal components that are kept.
    pub position: Vec<f64>,
    /// `[H]`.
    pub state: Vec<f32>,
}

/// An event on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    pub item: u32,
    pub days: f64,
    /// Along the principal components that are kept: before the event and after it.
    pub before: Vec<f64>,
    pub after: Vec<f64>,
    /// Index into [`Journey::spots`] of the state right after it.
    pub spot: usize,
}

impl Journey {
    /// The last events of `user` that the model sees, integrated by `solver`; `None` for a user
    /// without events, or where the run has no field for that solver.
    pub fn of(subject: &Subject, pca: &Pca, solver: Solver, user: usize) -> Option<Self> {
        let history = subject.model.data.history(user);
        let from = history.len().saturating_sub(subject.model.split.input_len);
        let (items, times) = (&history.item[from..], &history.time[from..]);
        let id = subject.model.data.user_ids.get(user)?;
        Self::through(subject, pca, solver, id, items, times)
    }

    /// Any history; the same otherwise.
    pub fn through(
        subject: &Subject,
        pca: &Pca,
        solver: Solver,
        user_id: &str,
        items: &[u32],
        times: &[i64],
    ) -> Option<Self> {
        let (&first, &last) = (times.first()?, times.last()?);
        let exact = subject.integrated_by(solver)?;
        let warp = subject.warp();
        let path: Path = path(exact, warp, items, times, last, SAMPLES);
        let days = |ms: f64| (ms - first as f64) / MS_PER_DAY;
        let spots = path.points.iter().map(|point| Spot {
            days: days(point.time_ms),
            event: point.event,
            position: pca.project(&point.state),
            state: point.state.iter().map(|&value| value as f32).collect(),
        });
        let visits = path.events.iter().map(|jump| Visit {
            item: jump.item,
            days: days(jump.time_ms as f64),
            before: pca.project(&jump.before),
            after: pca.project(&jump.after),
            spot: jump.first_point,
        });
        Some(Self {
            user_id: user_id.to_owned(),
            solver,
            items: items.to_vec(),
            times: times.to_vec(),
            spots: spots.collect(),
            visits: visits.collect(),
            halving_error: path.halving_error,
            lyapunov_per_day: path.lyapunov_per_day,
        })
    }

    /// Days from the first event to the last.
    pub fn span(&self) -> f64 {
        self.spots.last().map_or(0.0, |spot| spot.days)
    }

    /// The last spot at or before `days`.
    pub fn spot_at(&self, days: f64) -> usize {
        self.spots.partition_point(|spot| spot.days <= days).saturating_sub(1)
    }

    /// Where the state is at `days`: between two spots of one gap, on the line between them.
    pub fn position_at(&self, days: f64) -> Option<Vec<f64>> {
        let at = self.spot_at(days);
        let from = self.spots.get(at)?;
        let Some(to) = self.spots.get(at + 1).filter(|to| to.event == from.event) else {
            return Some(from.position.clone());
        };
        let share = ((days - from.days) / (to.days - from.days).max(f64::MIN_POSITIVE)).min(1.0);
        let between = from.position.iter().zip(&to.position);
        Some(between.map(|(from, to)| from + share * (to - from)).collect())
    }

    /// How irregular the gaps are: their standard deviation over their mean. 0 without gaps.
    pub fn irregularity(times: &[i64]) -> f64 {
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
        if mean <= 0.0 {
            return 0.0;
        }
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        variance.sqrt() / mean
    }

    /// As CSV: time, event, item and position of every spot.
    pub fn to_csv(&self, subject: &Subject) -> String {
        let mut text = String::from("days,event,item");
        let kept = self.spots.first().map_or(0, |spot| spot.position.len());
        (1..=kept).for_each(|component| text.push_str(&format!(",pc{component}")));
        text.push('\n');
        for spot in &self.spots {
            let item = &subject.model.data.item_ids[self.items[spot.event] as usize];
            // Ids may hold anything.
            let item = item.replace('"', "\"\"");
            text.push_str(&format!("{:.6},{},\"{item}\"", spot.days, spot.event + 1));
            spot.position.iter().for_each(|value| text.push_str(&format!(",{value:.6}")));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn irregularity_is_the_coefficient_of_variation_of_the_gaps() {
        assert_eq!(Journey::irregularity(&[]), 0.0);
        assert_eq!(Journey::irregularity(&[5, 5]), 0.0);
        assert_eq!(Journey::irregularity(&[0, 10, 20]), 0.0);
        // Gaps 1 and 3: mean 2, deviation 1.
        assert_eq!(Journey::irregularity(&[0, 1, 4]), 0.5);
    }
}
