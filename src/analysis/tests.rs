//! An untrained model on a small built-in set: the parts must fit together.

use super::states::pool;
use super::*;
use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::attractor::{self, Pca};
use crate::dynamics::parameters;
use crate::jobs::{self, Context, Control};
use crate::runs::RunStore;
use crate::serving::ServedModel;
use crate::settings::{Config, Solver};
use crate::training::Prepared;

fn context() -> Context<()> {
    jobs::detached(Control::default(), |_, _| ())
}

fn subject(solver: Solver) -> Subject {
    let mut config = Config::load("drift").unwrap();
    config.model.hidden = 8;
    config.model.solver = solver;
    config.model.decay = 1.0;
    let options = DriftOptions { users: 60, items: 40, ..Default::default() };
    let data = drift(options, || Ok(())).unwrap();
    let prepared = Prepared::from_dataset(&data, &config, &context()).unwrap();
    let weights = parameters::initial(&config.model, prepared.data.items(), 3);
    let model = ServedModel::new("test", &config, weights.clone(), prepared, &context()).unwrap();
    Subject::new(model, &weights)
}

const FEW: SurveyOptions = SurveyOptions { starts: 200, seed: 1 };

#[test]
fn pooled_states_are_those_on_the_users_ways() {
    let subject = subject(Solver::Rk4);
    let pooled = pool(&subject, &context()).unwrap();
    let data = &subject.model.data;
    assert_eq!(pooled.states.len(), pooled.before.len() * 8);
    // The first user's states: right after an event, right before the next, and so on.
    let query = subject.model.split.test[0];
    let range = query.start..query.target + 1;
    let (items, times) = (&data.item[range.clone()], &data.time[range.clone()]);
    let last = *times.last().unwrap();
    let path = attractor::path(&subject.exact, subject.warp(), items, times, last, 1);
    let befores: Vec<usize> = pooled
        .before
        .iter()
        .enumerate()
        .filter(|(_, event)| event.is_some_and(|event| range.contains(&event)))
        .map(|(row, _)| row)
        .collect();
    assert_eq!(befores.len(), items.len() - 1, "the first event has no state before it");
    for (jump, row) in path.events[1..].iter().zip(befores) {
        let ours = &pooled.states[row * 8..(row + 1) * 8];
        for (ours, exact) in ours.iter().zip(&jump.before) {
            assert!((ours - exact).abs() < 1e-4, "{ours} {exact}");
        }
    }
}

#[test]
fn a_survey_finds_the_place_of_rest_and_is_kept_with_its_run() {
    let subject = subject(Solver::Rk4);
    let landscape = survey(&subject, FEW, &context()).unwrap();
    let attractors = landscape.attractors();
    assert!(!attractors.is_empty(), "a decaying field rests somewhere");
    let shares: f64 = attractors.iter().map(|point| point.basin_share).sum();
    assert!((shares + landscape.undecided_share - 1.0).abs() < 1e-9);
    let mut speed = vec![0.0; 8];
    let field = subject.exact.field().unwrap();
    attractor::VectorField::velocity(field, &attractors[0].state, &mut speed);
    assert!(speed.iter().all(|value| value.abs() < 1e-8), "it does not rest: {speed:?}");
    // λ = 1 is a rate of at least 1/e in about ten days, unless the learned part holds against it.
    assert!(attractors[0].relaxation_days.unwrap() > 1.0);
    let truth = landscape.truth.as_ref().unwrap();
    assert_eq!(truth.attractors.len(), 4);
    assert!(truth.r2 < 0.9, "an untrained model cannot know where its users are");

    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(Some(folder.path())).unwrap();
    let run = store.create("rk4", &subject.model.config).unwrap().id().to_owned();
    let landscape = Landscape { run: run.clone(), ..landscape };
    assert_eq!(Landscape::kept(&store, &run, FEW), None);
    landscape.keep(&store).unwrap();
    assert_eq!(Landscape::kept(&store, &run, FEW), Some(landscape));
    assert_eq!(Landscape::kept(&store, &run, SurveyOptions { seed: 2, ..FEW }), None);
    store.write_analysis(&run, b"{ torn").unwrap();
    assert_eq!(Landscape::kept(&store, &run, FEW), None, "what cannot be read is made anew");
}

#[test]
fn a_survey_stops_when_it_is_told_to() {
    let control = Control::default();
    let context: Context<()> = jobs::detached(control.clone(), |_, _| ());
    control.cancel();
    let stopped = survey(&subject(Solver::Euler), FEW, &context);
    assert!(matches!(stopped, Err(AnalysisError::Cancelled(_))));
}

#[test]
fn a_gru_has_states_and_no_attractors() {
    let subject = subject(Solver::Gru);
    let landscape = survey(&subject, FEW, &context()).unwrap();
    assert!(landscape.fixed_points.is_empty() && landscape.control.is_none());
    assert!(!landscape.visited.is_empty());
    assert!(subject.integrated_by(Solver::Rk4).is_none(), "there is no field to integrate");
    let journey = Journey::of(&subject, &landscape.pca, Solver::Gru, 0).unwrap();
    assert_eq!(journey.halving_error, 0.0);
}

#[test]
fn solvers_share_the_jumps_and_differ_in_the_flow() {
    let subject = subject(Solver::Rk4);
    let pooled = pool(&subject, &context()).unwrap();
    let pca = Pca::fit(&pooled.states, 8, 2);
    let of = |solver| Journey::of(&subject, &pca, solver, 0).unwrap();
    let (rk4, euler, gru) = (of(Solver::Rk4), of(Solver::Euler), of(Solver::Gru));
    assert_eq!(rk4.visits[0].after, gru.visits[0].after);
    assert_ne!(rk4.visits[1].before, gru.visits[1].before);
    assert_ne!(rk4.visits[1].before, euler.visits[1].before);
    assert_eq!(gru.visits[1].before, gru.visits[0].after, "a GRU waits where it is");
    // Between two spots the state is on the line between them.
    let (a, b) = (&rk4.spots[0], &rk4.spots[1]);
    let middle = rk4.position_at((a.days + b.days) / 2.0).unwrap();
    assert!((middle[0] - (a.position[0] + b.position[0]) / 2.0).abs() < 1e-12);
    assert_eq!(rk4.position_at(1e9).unwrap(), rk4.spots.last().unwrap().position);
    let lines = rk4.to_csv(&subject).lines().count();
    assert_eq!(lines, rk4.spots.len() + 1);
}

#[test]
fn an_unknown_user_is_told_the_nearest() {
    let subject = subject(Solver::Rk4);
    assert_eq!(subject.user("7").unwrap(), subject.user("7").unwrap());
    let error = subject.user("sixty").unwrap_err().to_string();
    assert!(error.contains("did you mean"), "{error}");
}
