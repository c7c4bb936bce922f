//! Fields whose fixed points are known.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::dynamics::attractor::exact::step;
use crate::dynamics::attractor::match_points;
use crate::dynamics::attractor::testing::{
    Embedded, Planar, chaotic, drift, ghost, hopf, learned_drift, random_field, random_states,
    spiral, two_wells,
};
use crate::settings::Solver;

fn all(field: &dyn VectorField, states: &[f64]) -> FixedPoints {
    find(field, states, &Options::default(), &|_, _| Ok(())).unwrap()
}

/// A truth: place in the plane, kind, eigenvalues in the plane.
type Truth = ([f64; 2], Kind, [[f64; 2]; 2]);

/// The field in the plane and inside of R^16: what is found is exactly the truth.
fn check(planar: Planar, half: f64, truth: impl Fn(bool) -> Vec<Truth>) {
    for (field, inside) in [(Embedded::plane(planar), false), (Embedded::new(planar, 16, 5), true)]
    {
        let found = all(&field, &field.states(400, half, 6));
        let truth = truth(inside);
        assert_eq!(found.points.len(), truth.len(), "{:?}", found.points);
        for (place, kind, values) in truth {
            let place = field.lift(&place);
            let far = |point: &&FixedPoint| distance(&point.position, &place);
            let point = found.points.iter().min_by(|a, b| far(a).total_cmp(&far(b))).unwrap();
            assert!(far(&point) < 1e-4, "{place:?}: {:?}", point.position);
            assert_eq!(point.kind, kind);
            assert!(point.residual <= 1e-8);
            let mut left: Vec<[f64; 2]> = values.into_iter().chain(field.rest()).collect();
            assert_eq!(left.len(), point.eigenvalues.len());
            for value in &point.eigenvalues {
                let off = |other: &[f64; 2]| (value[0] - other[0]).hypot(value[1] - other[1]);
                let near = (0..left.len()).min_by(|&a, &b| off(&left[a]).total_cmp(&off(&left[b])));
                assert!(off(&left.swap_remove(near.unwrap())) < 1e-4, "{value:?}");
            }
            let slowest = -point.eigenvalues[0][0];
            assert_eq!(point.relaxation, kind.is_stable().then(|| 1.0 / slowest));
        }
        let stable = found.points.iter().filter(|point| point.kind.is_stable()).count();
        assert!(found.points[..stable].windows(2).all(|p| p[0].basin_share >= p[1].basin_share));
        let shares: f64 = found.points.iter().map(|point| point.basin_share).sum();
        let caught = found.basin.iter().flatten().count() as f64 / found.basin.len() as f64;
        assert!((shares - caught).abs() < 1e-9);
    }
}

#[test]
fn two_wells_and_the_saddle_between_them() {
    let real = |a: f64, b: f64| [[a, 0.0], [b, 0.0]];
    check(two_wells, 1.6, |_| {
        vec![
            ([-1.0, 0.0], Kind::StableNode, real(-1.0, -2.0)),
            ([1.0, 0.0], Kind::StableNode, real(-1.0, -2.0)),
            ([0.0, 0.0], Kind::Saddle, real(1.0, -1.0)),
        ]
    });
    let field = Embedded::new(two_wells, 16, 5);
    let states = field.states(300, 1.6, 7);
    let found = all(&field, &states);
    assert_eq!(found.basin.len(), 300);
    for (state, basin) in states.chunks_exact(16).zip(&found.basin) {
        let x = field.own(state)[0];
        let well = field.own(&found.points[basin.unwrap()].position)[0];
        assert!(x * well > 0.0 || x.abs() < 1e-2, "{x} {well}");
    }
}

#[test]
fn a_stable_spiral_draws_everything() {
    check(spiral, 1.0, |_| vec![([0.3, -0.2], Kind::StableSpiral, [[-0.4, 1.1], [-0.4, -1.1]])]);
    let field = Embedded::new(spiral, 16, 5);
    let found = all(&field, &field.states(200, 1.0, 7));
    assert_eq!(found.points[0].basin_share, 1.0);
}

#[test]
fn a_limit_cycle_is_nobodys_basin() {
    // With directions that contract, the point inside of the cycle is a saddle.
    check(hopf, 1.2, |inside| {
        let kind = if inside { Kind::Saddle } else { Kind::UnstableSpiral };
        vec![([0.0, 0.0], kind, [[0.5, 1.0], [0.5, -1.0]])]
    });
    let field = Embedded::new(hopf, 16, 5);
    let found = all(&field, &field.states(200, 1.2, 7));
    assert!(found.basin.iter().all(Option::is_none));
}

/// Fixed points of a planar field, by Newton's method from every point of a fine grid.
fn by_grid(planar: Planar, half: f64) -> Vec<Truth> {
    let mut truth: Vec<Truth> = Vec::new();
    for cell in 0..121 * 121 {
        let at = |index: usize| half * (index as f64 / 60.0 - 1.0);
        let mut z = [at(cell % 121), at(cell / 121)];
        let mut last = planar(z);
        for _ in 0..60 {
            let (f, [[a, b], [c, d]]) = last;
            let det = a * d - b * c;
            z = [z[0] - (d * f[0] - b * f[1]) / det, z[1] - (a * f[1] - c * f[0]) / det];
            last = planar(z);
        }
        let (f, [[a, b], [c, d]]) = last;
        let known = |t: &Truth| (t.0[0] - z[0]).hypot(t.0[1] - z[1]) < 1e-6;
        let inside = z.iter().all(|v| v.abs() <= half);
        if !inside || f[0].hypot(f[1]) > 1e-10 || truth.iter().any(known) {
            continue;
        }
        let (mean, det) = ((a + d) / 2.0, a * d - b * c);
        let square = mean * mean - det;
        let values = if square < 0.0 {
            [[mean, (-square).sqrt()], [mean, -(-square).sqrt()]]
        } else {
            [[mean + square.sqrt(), 0.0], [mean - square.sqrt(), 0.0]]
        };
        truth.push((z, Kind::of(&values), values));
    }
    truth
}

#[test]
fn the_field_of_the_built_in_set() {
    let truth = by_grid(drift, 3.0);
    let count = |kind| truth.iter().filter(|t| t.1 == kind).count();
    assert_eq!(count(Kind::StableSpiral), 4);
    assert!(count(Kind::Saddle) >= 3);
    check(drift, 3.0, |inside| {
        let mut truth = by_grid(drift, 3.0);
        for (_, kind, values) in &mut truth {
            if inside && values[0][0] > 0.0 {
                *kind = Kind::Saddle;
            }
            // The remainder decays at 1, slower than some spirals.
            if inside && values[0][0] < -1.0 {
                *kind = Kind::StableNode;
            }
        }
        truth
    });
    // Well inside of a basin: beside its centre.
    let field = Embedded::new(drift, 16, 5);
    let mut states = field.states(300, 3.0, 8);
    let spirals: Vec<[f64; 2]> =
        truth.iter().filter(|t| t.1 == Kind::StableSpiral).map(|t| t.0).collect();
    for place in &spirals {
        states.extend(field.lift(&[place[0] + 0.15, place[1] - 0.15, 0.1]));
    }
    let found = all(&field, &states);
    for (place, basin) in spirals.iter().zip(&found.basin[300..]) {
        let point = &found.points[basin.unwrap()];
        assert!(distance(&point.position, &field.lift(place)) < 1e-4);
    }
    assert!(found.basin.iter().all(Option::is_some));
}

#[test]
fn a_ghost_is_slow_and_not_fixed() {
    for field in [Embedded::plane(ghost), Embedded::new(ghost, 16, 5)] {
        let found = all(&field, &field.states(300, 1.0, 6));
        assert_eq!(found.points.len(), 1, "{:?}", found.points);
        let point = &found.points[0];
        assert_eq!((point.kind, point.relaxation), (Kind::Slow, None));
        assert!((point.residual - 1e-3).abs() < 1e-6, "{}", point.residual);
        assert!(norm(&point.position) < 1e-2);
        assert!(found.basin.iter().all(Option::is_none));
    }
}

#[test]
fn points_far_from_the_data_are_counted_and_dropped() {
    let field = Embedded::new(two_wells, 16, 5);
    // States about the right well only, none near the left one.
    let mut states = field.states(200, 0.05, 6);
    let well = field.lift(&[1.0]);
    for state in states.chunks_exact_mut(16) {
        state.iter_mut().zip(&well).for_each(|(state, well)| *state = well + 0.1 * *state);
    }
    let found = all(&field, &states);
    assert_eq!(found.points.len(), 1);
    assert!((found.points[0].basin_share - 1.0).abs() < 1e-9);
}

#[test]
fn threads_and_odd_states_change_nothing() {
    let field = random_field(24, 4.0, 1);
    let mut states = random_states(150, 24, 2);
    let run = |threads, states: &[f64]| {
        let options = Options { threads, starts: 100, ..Options::default() };
        find(&field, states, &options, &|_, _| Ok(())).unwrap()
    };
    let one = run(1, &states);
    assert_eq!((one.starts.len(), one.basin.len()), (100, 100));
    assert_eq!(one, run(3, &states));
    // States that are not finite are as good as absent.
    states.extend([f64::NAN; 24]);
    states.extend([f64::INFINITY; 24]);
    states.extend([1e200; 24]);
    assert_eq!(one, run(2, &states));
    assert!(run(1, &[]).points.is_empty());
    assert_eq!(run(1, &states[..24]).basin.len(), 1);
    run(1, &states[150 * 24..]);
    let same: Vec<f64> = states[..24].repeat(40);
    run(1, &same);
}

#[test]
fn it_stops_when_it_is_told_to_and_says_how_far_it_is() {
    let field = random_field(16, 2.0, 1);
    let states = random_states(200, 16, 2);
    let calls = AtomicUsize::new(0);
    let stopped = find(&field, &states, &Options::default(), &|_, _| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        if call > 0 { Err(Cancelled) } else { Ok(()) }
    });
    assert_eq!(stopped, Err(Cancelled));
    find(&field, &states, &Options::default(), &|fraction, message| {
        assert!((0.0..=1.0).contains(&fraction) && !message.is_empty());
        Ok(())
    })
    .unwrap();
}

/// A field as training leaves it: the fast path, a Jacobian of full rank, points near the truth's.
#[test]
fn a_learned_field_has_the_attractors_of_what_it_learned() {
    let dim = 48;
    let (field, truth) = learned_drift(dim, 3);
    let states = truth.states(600, 2.6, 4);
    let found = all(&field, &states);
    let spirals: Vec<[f64; 2]> = by_grid(drift, 3.0)
        .into_iter()
        .filter(|t| t.1 == Kind::StableSpiral)
        .map(|t| t.0)
        .collect();
    let stable: Vec<[f64; 2]> = found
        .points
        .iter()
        .filter(|point| point.kind.is_stable())
        .map(|point| truth.own(&point.position))
        .map(|own| [own[0], own[1]])
        .collect();
    let pairs = match_points(&stable, &spirals);
    assert_eq!((stable.len(), pairs.len()), (4, 4), "{stable:?}");
    assert!(pairs.iter().all(|(.., far)| *far < 0.3), "{pairs:?}");
    assert!(found.points.iter().any(|point| point.kind == Kind::Saddle));
    // Each start is where a careful integration of the same field puts it.
    let mut wrong = 0;
    for (start, basin) in found.starts.iter().zip(&found.basin).take(100) {
        let mut z = states[start * dim..][..dim].to_vec();
        for _ in 0..600 {
            step(Solver::Rk4, &field, &mut z, 0.05);
        }
        let near = |point: &FixedPoint| distance(&point.position, &z) < 0.05;
        let expected = found.points.iter().position(|point| point.kind.is_stable() && near(point));
        wrong += usize::from(*basin != expected);
    }
    assert!(wrong <= 1, "{wrong}");
}

/// How long it takes; by hand, with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn time_of_random_fields() {
    for hidden in [32, 128] {
        for gain in [1.0, 2.0, 4.0, 8.0] {
            let states: Vec<f64> =
                random_states(2000, hidden, 2).into_iter().map(|value| 0.5 * value).collect();
            time(&format!("H {hidden} ×{gain}"), &random_field(hidden, gain, 1), &states);
        }
    }
    for gain in [0.9, 1.5, 3.0] {
        let states = random_states(2000, 128, 2);
        time(&format!("H 128, chaos {gain}"), &chaotic(128, gain, 1), &states);
    }
    let (field, truth) = learned_drift(128, 3);
    time("H 128, learned", &field, &truth.states(2000, 2.6, 4));
    let states: Vec<f64> = random_states(2000, 512, 2).into_iter().map(|v| 0.5 * v).collect();
    time("H 512 ×2", &random_field(512, 2.0, 1), &states);
}

fn time(name: &str, field: &dyn VectorField, states: &[f64]) {
    let started = std::time::Instant::now();
    let last = std::sync::Mutex::new((started, String::new(), 0.0f64, String::new()));
    let found = find(field, states, &Options::default(), &|_, message| {
        let mut last = last.lock().unwrap();
        last.2 = last.2.max(last.0.elapsed().as_secs_f64());
        last.0 = std::time::Instant::now();
        if last.1 != message {
            let line = format!(" {:.2}", started.elapsed().as_secs_f64());
            last.3.push_str(&line);
            last.1 = message.to_owned();
        }
        Ok(())
    })
    .unwrap();
    let last = last.lock().unwrap();
    let count = |rank| found.points.iter().filter(|p| p.kind.rank() == rank).count();
    println!(
        "{name}: {:.2} s, silent for {:.3} s at most, stages at{}; {} stable, {} saddles, {} unstable, {} slow, {} far, {} caught",
        started.elapsed().as_secs_f64(),
        last.2,
        last.3,
        count(0),
        count(1),
        count(2) + count(3),
        count(4),
        found.far,
        found.basin.iter().flatten().count(),
    );
}
