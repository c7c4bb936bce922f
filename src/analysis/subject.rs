//! A finished run opened for analysis.

use std::collections::HashMap;

use super::AnalysisError;
use crate::dynamics::attractor::Exact;
use crate::dynamics::excitation::Moment;
use crate::dynamics::parameters::{self, Matrix};
use crate::dynamics::warp::TimeWarp;
use crate::jobs::Context;
use crate::routing::Uncertainty;
use crate::runs::{RunEntry, RunStore};
use crate::serving::{ServedModel, best, uncertainty};
use crate::settings::{ModelSettings, Solver};

const MS_PER_DAY: f64 = 86_400_000.0;

/// A run's model with its data, in f32 for speed and in f64 for analysis. Immutable.
pub struct Subject {
    pub model: ServedModel,
    pub exact: Exact,
    /// The same weights integrated in other ways, for comparison.
    others: Vec<(Solver, Exact)>,
    users: HashMap<String, usize>,
}

/// What System 1 thinks at one state.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    pub uncertainty: Uncertainty,
    /// Item and calibrated probability, best first.
    pub best: Vec<(u32, f32)>,
}

impl Subject {
    /// Load the run and its data.
    ///
    /// # Errors
    /// [`AnalysisError`] for a run that is not finished, whose data cannot be loaded or whose
    /// weights do not fit.
    pub fn load<E>(
        store: &RunStore,
        entry: &RunEntry,
        context: &Context<E>,
    ) -> Result<Self, AnalysisError> {
        let model = ServedModel::load(store, entry, context)?;
        let weights = model.weights.clone();
        Ok(Self::new(model, &weights))
    }

    /// From a model in memory and its weights, fitted.
    pub fn new(model: ServedModel, weights: &[Matrix]) -> Self {
        let settings = &model.config.model;
        let items = model.data.items();
        let exact = Exact::new(settings, items, weights);
        let others = Solver::WITH_STATE
            .iter()
            .filter(|&&solver| solver != settings.solver)
            .filter_map(|&solver| Some((solver, integrated_by(solver, settings, items, weights)?)))
            .collect();
        let ids = model.data.user_ids.iter().enumerate();
        let users = ids.map(|(user, id)| (id.clone(), user)).collect();
        Self { exact, others, users, model }
    }

    /// The same weights with gaps integrated by `solver`, or not at all; `None` where the run's flow
    /// is no field that it could integrate.
    pub fn integrated_by(&self, solver: Solver) -> Option<&Exact> {
        if solver == self.exact.solver() {
            return Some(&self.exact);
        }
        self.others.iter().find(|(other, _)| *other == solver).map(|(_, exact)| exact)
    }

    /// The index of the user with this id.
    ///
    /// # Errors
    /// [`AnalysisError::UnknownUser`] with the nearest id.
    pub fn user(&self, id: &str) -> Result<usize, AnalysisError> {
        self.users.get(id).copied().ok_or_else(|| {
            let near = |known: &&String| strsim::damerau_levenshtein(known, id);
            let hint = self.users.keys().min_by_key(|known| (near(known), (*known).clone()));
            AnalysisError::UnknownUser { user: id.to_owned(), hint: hint.cloned() }
        })
    }

    /// Days of real time that `model_time` of flow from rest takes.
    pub fn days(&self, model_time: f64) -> f64 {
        self.warp().days(model_time)
    }

    /// How gaps become model time.
    pub fn warp(&self) -> TimeWarp {
        self.model.packed.warp()
    }

    /// What System 1 thinks at `state`, `[H]`, of a user with this history at this time; all items
    /// compete.
    pub fn glance(&self, state: &[f32], history: (&[u32], &[i64], i64), count: usize) -> Glance {
        let model = &self.model;
        let mut scores = vec![0.0; model.data.items()];
        model.packed.scores(&mut model.packed.workspace(), state, &mut scores);
        if let (Some(timeline), Some(lift)) = (model.timeline(), model.packed.lift()) {
            let moment = Moment::at(history.0, history.1, history.2);
            lift.apply(&timeline, &[moment], state, &mut scores);
        }
        let half_life = model.config.router.half_life;
        Glance {
            uncertainty: uncertainty(model, &scores, history, half_life),
            best: best(&scores, model.temperature.value, count),
        }
    }

    /// Time from the first to the last event of a user, in days.
    pub fn span_days(&self, user: usize) -> f64 {
        let history = self.model.data.history(user);
        match (history.time.first(), history.time.last()) {
            (Some(first), Some(last)) => (last - first) as f64 / MS_PER_DAY,
            _ => 0.0,
        }
    }
}

/// `None` where the other solver has a flow with other weights, or these have none.
fn integrated_by(
    solver: Solver,
    settings: &ModelSettings,
    items: usize,
    weights: &[Matrix],
) -> Option<Exact> {
    if settings.solver == Solver::Gru {
        return None;
    }
    let settings = ModelSettings { solver, ..settings.clone() };
    // What a GRU does not use, it leaves out.
    let kept = parameters::fit(&settings, items, weights.to_vec()).ok()?;
    Some(Exact::new(&settings, items, &kept))
}
