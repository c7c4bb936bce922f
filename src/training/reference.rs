//! A finished model's flow integrated to a tolerance: what its own steps leave out.
//!
//! The model is run in f64 once for each solver that its weights serve, with the run's own steps, and
//! once with [`tsit5`](crate::dynamics::tsit5) as the reference. What differs between the ways is how
//! gaps are crossed and nothing else.

use super::evaluate::excluded;
use crate::data::Dataset;
use crate::data::split::Query;
use crate::dynamics::attractor::Exact;
use crate::dynamics::flow;
use crate::dynamics::parameters::Matrix;
use crate::dynamics::tsit5::{self, Stuck, Tolerance, Work};
use crate::dynamics::warp::TimeWarp;
use crate::evaluation::rank;
use crate::jobs::Cancelled;
use crate::settings::{Config, ItemDynamics, Solver};

/// How the queries come out when gaps are crossed in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// `None` for the reference.
    pub solver: Option<Solver>,
    /// Ranks of the targets, in the order of the queries.
    pub ranks: Vec<u32>,
    /// Largest difference of any item's score from the reference's.
    pub largest_difference: f64,
    /// Evaluations of the field for a gap that is not zero, on average.
    pub evaluations_a_gap: f64,
    /// Steps that were tried and taken again shorter; only the reference does that.
    pub rejected: u64,
}

/// Why there is no reference.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error(
        "{model} crosses a gap by a formula and integrates no field, so there are no steps that a reference could refine; choose a run with euler, rk4 or gru-ode"
    )]
    NoField { model: &'static str },
    #[error(
        "the scores of this run follow from item dynamics as well, which the reference leaves out; choose a run with model.item_dynamics=none"
    )]
    ItemDynamics,
    #[error(transparent)]
    Stuck(#[from] Stuck),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Rank `queries` in every way: the solvers of the run's weights, its own first, then the reference.
/// `weights` are fitted to the model of `config`. `go_on` is asked between queries.
///
/// # Errors
/// [`ReferenceError`].
pub fn compare(
    config: &Config,
    weights: &[Matrix],
    data: &Dataset,
    queries: &[Query],
    tolerance: Tolerance,
    threads: usize,
    go_on: impl Fn() -> Result<(), Cancelled> + Sync,
) -> Result<Vec<Way>, ReferenceError> {
    let own = config.model.solver;
    if !own.takes_steps() {
        return Err(ReferenceError::NoField { model: own.title() });
    }
    if config.model.item_dynamics != ItemDynamics::None {
        return Err(ReferenceError::ItemDynamics);
    }
    let same = |solver: &&Solver| flow::weights(**solver) == flow::weights(own) && **solver != own;
    let solvers: Vec<Solver> =
        std::iter::once(own).chain(Solver::WITH_STATE.iter().filter(same).copied()).collect();
    let models: Vec<Exact> = solvers
        .iter()
        .map(|&solver| {
            let mut settings = config.model.clone();
            settings.solver = solver;
            Exact::new(&settings, data.items(), weights)
        })
        .collect();
    let warp = TimeWarp::learned(&config.model, weights);
    let run = Run { config, data, models: &models, tolerance, warp };
    let share = queries.len().div_ceil(threads.max(1)).max(1);
    let part = |queries: &[Query]| -> Result<Tally, ReferenceError> {
        let mut tally = Tally::new(models.len());
        for query in queries {
            go_on()?;
            run.one(query, &mut tally)?;
        }
        Ok(tally)
    };
    let parts = std::thread::scope(|scope| {
        let parts: Vec<_> =
            queries.chunks(share).map(|queries| scope.spawn(move || part(queries))).collect();
        let joined = parts.into_iter().map(|part| match part.join() {
            Ok(tally) => tally,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?;
    let mut all = Tally::new(models.len());
    parts.into_iter().for_each(|part| all.add(part));
    Ok(all.ways(&solvers))
}

struct Run<'a> {
    config: &'a Config,
    data: &'a Dataset,
    models: &'a [Exact],
    tolerance: Tolerance,
    warp: TimeWarp,
}

/// What has been counted, for each model and last for the reference.
struct Tally {
    ranks: Vec<Vec<u32>>,
    differences: Vec<f64>,
    evaluations: Vec<u64>,
    gaps: u64,
    rejected: u64,
}

impl Run<'_> {
    fn one(&self, query: &Query, tally: &mut Tally) -> Result<(), ReferenceError> {
        let Self { config, data, models, tolerance, warp } = self;
        let Some(first) = models.first() else { return Ok(()) };
        let target = data.item[query.target] as usize;
        let seen = excluded(data, query, config.evaluation.mask_seen);
        let history = query.start..query.target;
        let mut states = vec![vec![0.0; first.hidden()]; models.len() + 1];
        for event in history {
            states.iter_mut().for_each(|state| first.event(data.item[event], state));
            if event + 1 == query.target && !config.model.query_gap {
                break;
            }
            let dt = warp.model_time(data.time[event + 1] - data.time[event]);
            if dt <= 0.0 {
                continue;
            }
            tally.gaps += 1;
            for (place, (model, state)) in models.iter().zip(&mut states).enumerate() {
                model.flow(state, dt, 1);
                tally.evaluations[place] += model.evaluations(dt) as u64;
            }
            if let (Some(field), Some(state)) = (first.field(), states.last_mut()) {
                let mut work = Work::default();
                tsit5::integrate(field, state, f64::from(dt), *tolerance, &mut work)?;
                tally.evaluations[models.len()] += work.evaluations;
                tally.rejected += work.rejected;
            }
        }
        let mut scores = vec![Vec::new(); states.len()];
        for (state, scores) in states.iter().zip(&mut scores) {
            first.scores(state, scores);
        }
        let reference = scores.last().cloned().unwrap_or_default();
        for (place, scores) in scores.iter().enumerate() {
            tally.ranks[place].push(rank(scores, target, &seen));
            let off = scores.iter().zip(&reference).map(|(a, b)| f64::from((a - b).abs()));
            tally.differences[place] = off.fold(tally.differences[place], f64::max);
        }
        Ok(())
    }
}

impl Tally {
    fn new(models: usize) -> Self {
        Self {
            ranks: vec![Vec::new(); models + 1],
            differences: vec![0.0; models + 1],
            evaluations: vec![0; models + 1],
            gaps: 0,
            rejected: 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.ranks.iter_mut().zip(other.ranks).for_each(|(all, more)| all.extend(more));
        let differences = self.differences.iter_mut().zip(other.differences);
        differences.for_each(|(all, more)| *all = all.max(more));
        self.evaluations.iter_mut().zip(other.evaluations).for_each(|(all, more)| *all += more);
        self.gaps += other.gaps;
        self.rejected += other.rejected;
    }

    fn ways(self, solvers: &[Solver]) -> Vec<Way> {
        let (gaps, last) = (self.gaps.max(1) as f64, solvers.len());
        let each = self.ranks.into_iter().zip(self.differences).zip(self.evaluations).enumerate();
        each.map(|(place, ((ranks, largest_difference), evaluations))| Way {
            solver: solvers.get(place).copied(),
            ranks,
            largest_difference,
            evaluations_a_gap: evaluations as f64 / gaps,
            rejected: if place == last { self.rejected } else { 0 },
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::drift::{DriftOptions, drift};
    use crate::dynamics::parameters;
    use crate::jobs::{Context, Control, detached};
    use crate::training::Prepared;

    fn ways(solver: Solver, settings: &[&str], relative: f64) -> Result<Vec<Way>, ReferenceError> {
        let mut config = Config::default();
        config.set_text(&format!("model.solver={}", solver.word())).unwrap();
        for setting in ["model.hidden=12", "model.query_gap=true"].iter().chain(settings) {
            config.set_text(setting).unwrap();
        }
        let raw = drift(DriftOptions { users: 24, ..DriftOptions::default() }, || Ok(())).unwrap();
        let context: Context<()> = detached(Control::default(), |_, _| ());
        let prepared = Prepared::from_dataset(&raw, &config, &context).unwrap();
        let weights = parameters::initial(&config.model, prepared.data.items(), 3);
        let tolerance = Tolerance { relative, absolute: relative };
        let (data, queries) = (&prepared.data, &prepared.split.test);
        compare(&config, &weights, data, queries, tolerance, 2, || Ok(()))
    }

    #[test]
    fn finer_steps_come_nearer_to_the_reference() {
        let own = |way: &[Way]| way[0].largest_difference;
        let coarse = ways(Solver::Euler, &["model.max_step=0.1", "model.max_substeps=8"], 1e-9);
        let fine = ways(Solver::Euler, &["model.max_step=0.05", "model.max_substeps=16"], 1e-9);
        let (coarse, fine) = (coarse.unwrap(), fine.unwrap());
        let ratio = own(&coarse) / own(&fine);
        assert!((1.7..2.3).contains(&ratio), "{ratio}");
        // Both solvers of the field, and the reference, which differs from itself by nothing.
        let solvers: Vec<_> = coarse.iter().map(|way| way.solver).collect();
        assert_eq!(solvers, [Some(Solver::Euler), Some(Solver::Rk4), None]);
        assert!(coarse[1].largest_difference < 0.01 * own(&coarse));
        assert_eq!(coarse[2].largest_difference, 0.0);
        assert!((coarse[1].evaluations_a_gap - 4.0 * coarse[0].evaluations_a_gap).abs() < 1e-9);
        assert!(coarse.iter().all(|way| way.ranks.len() == 24));
    }

    #[test]
    fn a_tighter_tolerance_costs_more_evaluations() {
        let cost = |relative| ways(Solver::GruOde, &[], relative).unwrap()[1].evaluations_a_gap;
        assert!(cost(1e-9) > cost(1e-3));
    }

    #[test]
    fn what_integrates_nothing_is_refused_with_a_reason() {
        for solver in [Solver::Gru, Solver::Decay, Solver::Cfc] {
            let error = ways(solver, &[], 1e-6).unwrap_err();
            assert!(error.to_string().starts_with(solver.title()), "{error}");
        }
        let lifted = ways(Solver::Euler, &["model.item_dynamics=both"], 1e-6);
        assert!(matches!(lifted, Err(ReferenceError::ItemDynamics)));
    }
}
