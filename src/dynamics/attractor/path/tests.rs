//! Ways that can be worked out otherwise.

use super::*;
use crate::dynamics::attractor::exact::step;
use crate::dynamics::parameters::{self, Matrix};
use crate::settings::{ModelSettings, Warp};

const DAY: i64 = 86_400_000;

fn settings(solver: Solver) -> ModelSettings {
    ModelSettings { solver, hidden: 10, max_step: 0.5, max_substeps: 6, ..Default::default() }
}

fn model(settings: &ModelSettings) -> Exact {
    let mut weights = parameters::initial(settings, 9, 4);
    for matrix in weights.iter_mut().filter(|matrix| matrix.name.starts_with("field.")) {
        matrix.values.iter_mut().for_each(|value| *value *= 3.0);
    }
    Exact::new(settings, 9, &weights)
}

const ITEMS: [u32; 4] = [3, 1, 8, 0];
const TIMES: [i64; 4] = [100 * DAY, 103 * DAY, 103 * DAY, 121 * DAY];

#[test]
fn jumps_and_flow_are_those_of_the_model() {
    for &solver in Solver::WITH_STATE {
        for &warp in Warp::ALL {
            let settings = ModelSettings { warp, time_scale: 7.0, ..settings(solver) };
            let (model, warp) = (model(&settings), TimeWarp::of(&settings));
            let until = 130 * DAY;
            let path = path(&model, warp, &ITEMS, &TIMES, until, 7);
            let mut h = vec![0.0; 10];
            for event in 0..4 {
                let jump = &path.events[event];
                assert_eq!((jump.item, jump.time_ms), (ITEMS[event], TIMES[event]));
                assert!(distance(&jump.before, &h) < 1e-12);
                model.event(ITEMS[event], &mut h);
                assert!(distance(&jump.after, &h) < 1e-12);
                assert_eq!(path.points[jump.first_point].state, jump.after);
                let end = TIMES.get(event + 1).copied().unwrap_or(until);
                model.flow(&mut h, warp.model_time(end - TIMES[event]), 1);
                let next = path.events.get(event + 1).map_or(path.points.len(), |j| j.first_point);
                let points = &path.points[jump.first_point..next];
                assert!(points.iter().all(|point| point.event == event));
                assert!(distance(&points[points.len() - 1].state, &h) < 1e-12);
                assert_eq!(points[points.len() - 1].time_ms, end as f64);
                assert!(points.len() <= 8);
                // No time, no flow.
                assert_eq!(points.len() == 1, event == 1);
            }
            assert!(path.points.windows(2).all(|p| p[0].time_ms <= p[1].time_ms));
            // A linear equation is solved exactly whatever the steps.
            match solver {
                Solver::Gru => assert_eq!(path.halving_error, 0.0),
                Solver::Decay => assert!(path.halving_error < 1e-12),
                _ => assert!(path.halving_error > 1e-9, "{solver:?} {}", path.halving_error),
            }
            assert!(path.lyapunov_per_day.is_some());
        }
    }
}

#[test]
fn the_last_event_ends_it_where_no_later_time_is_asked_for() {
    let model = model(&settings(Solver::Rk4));
    let path = path(&model, TimeWarp::LINEAR, &ITEMS, &TIMES, TIMES[3], 7);
    assert_eq!(path.points.last().unwrap().state, path.events[3].after);
    assert_eq!(path.events[3].first_point, path.points.len() - 1);
}

#[test]
fn points_lie_on_the_steps_of_the_solver() {
    for solver in [Solver::Euler, Solver::Rk4] {
        let settings = ModelSettings { max_step: 0.2, max_substeps: 3, ..settings(solver) };
        let model = model(&settings);
        let ahead = |steps: usize, length: f64| {
            let mut h = model_after(&model);
            for _ in 0..steps {
                step(solver, model.field().unwrap(), &mut h, length);
            }
            h
        };
        // 0.6 of model time: three steps of 0.2, and four points a step.
        let path = path(&model, TimeWarp::LINEAR, &[2], &[0], 6 * DAY, 12);
        assert_eq!(path.points.len(), 13);
        let state = |index: usize| &path.points[index].state[..];
        for steps in 0..=3 {
            assert!(distance(state(4 * steps), &ahead(steps, 0.2)) < 1e-6);
        }
        // Straight within an Euler step; a curve near the exact flow within an RK4 step.
        let off_the_line = distance(state(6), &line(state(4), state(8), 0.5));
        let off_the_flow = distance(state(6), &ahead(300, 0.3 / 300.0));
        match solver {
            Solver::Euler => assert!(off_the_line < 1e-9),
            _ => assert!(off_the_flow < 0.05 * off_the_line, "{off_the_flow} {off_the_line}"),
        }
    }
}

#[test]
fn points_of_a_closed_form_are_the_form_itself() {
    for solver in [Solver::Decay, Solver::Cfc] {
        let model = model(&settings(solver));
        let path = path(&model, TimeWarp::LINEAR, &[2], &[0], 60 * DAY, 12);
        for (index, point) in path.points.iter().enumerate() {
            let mut h = model_after(&model);
            model.flow(&mut h, 6.0 * index as f32 / 12.0, 1);
            assert!(distance(&point.state, &h) < 1e-6, "{solver:?} {index}");
        }
    }
}

/// The state after item 2 on its own.
fn model_after(model: &Exact) -> Vec<f64> {
    let mut h = vec![0.0; model.hidden()];
    model.event(2, &mut h);
    h
}

#[test]
fn a_cubic_is_its_own_hermite_curve() {
    let (z, dz) =
        (|t: f64| vec![t * t * t - t, 2.0 * t * t], |t: f64| vec![3.0 * t * t - 1.0, 4.0 * t]);
    let (from, length) = (0.4, 1.5);
    for at in [0.0, 0.3, 0.8, 1.0] {
        let ends = (from, from + length);
        let curve = hermite(&z(ends.0), &dz(ends.0), &z(ends.1), &dz(ends.1), length, at);
        assert!(distance(&curve, &z(from + at * length)) < 1e-12);
    }
}

#[test]
fn halving_the_steps_of_euler_halves_its_error() {
    let error = |max_step: f64| {
        let settings = ModelSettings { max_step, max_substeps: 64, ..settings(Solver::Euler) };
        path(&model(&settings), TimeWarp::LINEAR, &[2, 5], &[0, 12 * DAY], 12 * DAY, 4)
            .halving_error
    };
    let order = (error(0.05) / error(0.025)).log2();
    assert!((order - 1.0).abs() < 0.1, "{order}");
}

/// A field that is −λz near 0 and a GRU that keeps the share `keep` of the state: every update
/// from 0 stays at 0, where all of it is linear.
fn linear(settings: &ModelSettings, rate: f32, gate: f32) -> Exact {
    let h = settings.hidden;
    let zeros = |matrix: Matrix| Matrix { values: vec![0.0; matrix.values.len()], ..matrix };
    let mut weights: Vec<Matrix> =
        parameters::initial(settings, 9, 1).into_iter().map(zeros).collect();
    weights[4].values[h..2 * h].fill(gate);
    for j in 0..h {
        weights[5].values[j * 2 * h + j] = 1.0;
        weights[7].values[j * h + j] = -rate;
    }
    Exact::new(settings, 9, &weights)
}

#[test]
fn the_exponent_of_a_linear_flow_is_its_rate() {
    let settings = ModelSettings { max_step: 0.05, max_substeps: 64, ..settings(Solver::Rk4) };
    // A gate that keeps everything: only the flow is left, 0.7 per unit, which is ten days.
    let model = linear(&settings, 0.7, 60.0);
    let kept = path(&model, TimeWarp::LINEAR, &ITEMS, &TIMES, TIMES[3], 5);
    assert!((kept.lyapunov_per_day.unwrap() + 0.07).abs() < 1e-6, "{:?}", kept.lyapunov_per_day);
    // A gate that keeps half: three of the four jumps halve what the first left.
    let model = linear(&settings, 0.7, 0.0);
    let halved = path(&model, TimeWarp::LINEAR, &ITEMS, &TIMES, TIMES[3], 5);
    let expected = -0.07 + 3.0 * 0.5f64.ln() / 21.0;
    assert!((halved.lyapunov_per_day.unwrap() - expected).abs() < 1e-6);
    // A field that drives apart.
    let model = linear(&settings, -0.4, 60.0);
    let apart = path(&model, TimeWarp::LINEAR, &ITEMS, &TIMES, TIMES[3], 5);
    assert!((apart.lyapunov_per_day.unwrap() - 0.04).abs() < 1e-6);
    for (items, times) in [(&ITEMS[..1], &TIMES[..1]), (&[], &[]), (&ITEMS[..2], &[5, 5][..])] {
        let path = path(&model, TimeWarp::LINEAR, items, times, 5, 5);
        assert_eq!(path.lyapunov_per_day, None);
    }
}

/// How long it takes; by hand, with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn time_of_a_long_path() {
    let settings = ModelSettings::default();
    let model = Exact::new(&settings, 50, &parameters::initial(&settings, 50, 4));
    let items: Vec<u32> = (0..20).collect();
    let times: Vec<i64> = (0..20).map(|event| event * 3 * DAY).collect();
    let started = std::time::Instant::now();
    let path = path(&model, TimeWarp::LINEAR, &items, &times, 70 * DAY, 16);
    println!("H 128, 20 events: {:?}, {:?}", started.elapsed(), path.lyapunov_per_day);
}
