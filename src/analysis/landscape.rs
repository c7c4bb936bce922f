//! What is kept of an analysis: plain data, written beside the run.

use serde::{Deserialize, Serialize};

use super::SurveyOptions;
use crate::dynamics::attractor::{Kind, Pca};
use crate::runs::{RunError, RunStore};
use crate::settings::Solver;

/// What a run has learned near the states that its held-out users visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landscape {
    pub run: String,
    pub solver: Solver,
    /// H, the width of a state.
    pub hidden: usize,
    /// Held-out users whose states were pooled, and the states: before and after each event.
    pub users: usize,
    pub states: usize,
    /// States that fixed points were to be looked for from, those there were, and the seed of the
    /// draw.
    pub asked: usize,
    pub starts: usize,
    pub seed: u64,
    /// Of the pooled states.
    pub pca: Pca,
    /// Share of the variance of each principal component.
    pub explained_variance: Vec<f64>,
    /// Fixed points, attractors first, then slow points. Empty for the GRU, which has no field.
    pub fixed_points: Vec<Landmark>,
    /// Points that were found and dropped, for they lie far from all that was visited.
    pub far: usize,
    /// Visited states and the attractor that each flows to.
    pub visited: Vec<Start>,
    /// Share of the visited states that reach no attractor in time.
    pub undecided_share: f64,
    /// From the first to the last event of the pooled users, in days: the median.
    pub median_span_days: f64,
    /// Finite-time Lyapunov exponent per day, jumps included: the median of up to 100 users.
    pub lyapunov_per_day: Option<f64>,
    /// What halving the solver's steps changes along those users' ways: the median of their
    /// largest relative change.
    pub halving_error: f64,
    /// The same analysis of the field before training.
    pub control: Option<Control>,
    /// On the built-in set: how near the attractors are to the true ones.
    pub truth: Option<Truth>,
    pub seconds: f64,
    pub version: String,
}

/// A fixed point, or a slow one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Landmark {
    /// `A`, `B`, … in the order of the list.
    pub name: String,
    pub kind: Kind,
    /// ‖f‖ there, per unit of model time.
    pub residual: f64,
    /// Eigenvalues of the Jacobian, real and imaginary part, the slowest to decay first.
    pub eigenvalues: Vec<[f64; 2]>,
    /// Days in which the slowest mode shrinks to 1/e; attractors only. With the `log1p` warp, of
    /// one gap.
    pub relaxation_days: Option<f64>,
    /// Share of the visited states that flow to it.
    pub basin_share: f64,
    /// Along the principal components that are kept.
    pub position: Vec<f64>,
    /// The whole state, `[H]`.
    pub state: Vec<f64>,
    /// What System 1 would recommend there: what the interest is.
    pub top_items: Vec<Item>,
    /// The genre that its top items have in common, or the first item's title.
    pub theme: String,
}

/// An item that scores high.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub item: String,
    pub title: Option<String>,
    /// Calibrated.
    pub probability: f32,
}

/// A visited state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Along the principal components that are kept.
    pub position: Vec<f32>,
    /// Index into [`Landscape::fixed_points`].
    pub basin: Option<usize>,
}

/// The field before training, analysed from the same states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    pub attractors: usize,
    pub others: usize,
    /// Of the attractor with the largest basin.
    pub relaxation_days: Option<f64>,
}

/// The attractors found against those of the generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Share of the variance of the true places that can be read off the pooled states, through
    /// what the model would recommend there.
    pub r2: f64,
    /// Attractors of the generator's field.
    pub attractors: Vec<[f64; 2]>,
    /// Where they would lie along the principal components.
    pub positions: Vec<Vec<f64>>,
    /// One to one, with the least total distance.
    pub matches: Vec<TruthMatch>,
}

/// An attractor that was found and the true one it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthMatch {
    /// Index into [`Landscape::fixed_points`].
    pub found: usize,
    /// Index into [`Truth::attractors`].
    pub truth: usize,
    /// Where the one that was found lies, read in the same way.
    pub place: [f64; 2],
    /// In the generator's units; the attractors lie 3 to 4 apart.
    pub distance: f64,
}

impl Landscape {
    /// What must be said of the fixed points of a model that integrates no field.
    pub fn caveat(&self) -> Option<&'static str> {
        match self.solver {
            Solver::Gru
            | Solver::Euler
            | Solver::Rk4
            | Solver::GruOde
            | Solver::SasRec
            | Solver::TiSasRec => None,
            Solver::Decay => Some(
                "Decay is linear: every state goes to the one rest, each unit at a rate of its own.",
            ),
            Solver::Cfc => Some(
                "CfC crosses a gap by a formula. Where it rests is exact; how fast states come there \
                 and the basins are those of many short gaps.",
            ),
        }
    }

    /// The one kept with run `id`, where it was made with these options by this version. One that
    /// cannot be read counts as none: it is made anew.
    pub fn kept(store: &RunStore, id: &str, options: SurveyOptions) -> Option<Self> {
        let bytes = store.analysis(id).ok()??;
        let landscape: Self = serde_json::from_slice(&bytes).ok()?;
        let same = landscape.asked == options.starts && landscape.seed == options.seed;
        (same && landscape.version == env!("CARGO_PKG_VERSION")).then_some(landscape)
    }

    /// Keep it with its run.
    ///
    /// # Errors
    /// [`RunError`] where it cannot be written.
    pub fn keep(&self, store: &RunStore) -> Result<(), RunError> {
        // Numbers and texts can always be written.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        store.write_analysis(&self.run, &bytes)
    }

    /// The attractors: the first of the fixed points.
    pub fn attractors(&self) -> &[Landmark] {
        let count = self.fixed_points.iter().take_while(|point| point.kind.is_stable()).count();
        &self.fixed_points[..count]
    }
}

/// A, B, … Z, AA, AB, …
pub fn name(mut index: usize) -> String {
    let mut name = String::new();
    loop {
        // Below 26, so a letter.
        name.insert(0, char::from(b'A' + (index % 26) as u8));
        if index < 26 {
            return name;
        }
        index = index / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_go_on_after_z() {
        assert_eq!([0, 25, 26, 27, 52].map(name), ["A", "Z", "AA", "AB", "BA"]);
    }
}
