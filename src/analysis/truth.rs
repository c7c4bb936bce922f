//! The attractors found on the built-in set, held against the generator's own.

use super::states::Pooled;
use super::{Landmark, Subject, Truth, TruthMatch};
use crate::data::drift::DriftTruth;
use crate::dynamics::attractor::{Pca, Readout, match_points};

/// States that the reading is judged on, at most; evenly taken.
const JUDGED: usize = 2000;

/// Match the attractors among `points` with the true ones; `None` where nothing can be fitted.
///
/// A state is read through what the model would recommend there: the mean of the items' true
/// places, weighted by their probabilities. A map fitted to the states themselves would have to
/// extrapolate, for an attractor is where a state would be long after its last event.
pub fn compare(
    subject: &Subject,
    truth: &DriftTruth,
    pooled: &Pooled,
    pca: &Pca,
    points: &[Landmark],
) -> Option<Truth> {
    let hidden = pca.mean.len();
    let (mut states, mut places) = (Vec::new(), Vec::new());
    for (state, before) in pooled.states.chunks_exact(hidden).zip(&pooled.before) {
        if let Some(place) = before.and_then(|event| truth.state.get(event)) {
            states.extend_from_slice(state);
            places.push(*place);
        }
    }
    let read = |state: &[f64]| place(subject, truth, state);
    let attractors = points.iter().filter(|point| point.kind.is_stable());
    let found: Vec<[f64; 2]> = attractors.map(|point| read(&point.state)).collect();
    let matches = match_points(&found, &truth.attractors)
        .into_iter()
        .map(|(found_at, truth_at, distance)| TruthMatch {
            found: found_at,
            truth: truth_at,
            place: found[found_at],
            distance,
        })
        .collect();
    let every = places.len().div_ceil(JUDGED).max(1);
    let judged = states.chunks_exact(hidden).zip(&places).step_by(every);
    let judged: Vec<([f64; 2], [f64; 2])> =
        judged.map(|(state, place)| (read(state), *place)).collect();
    Some(Truth {
        r2: r2(&judged),
        attractors: truth.attractors.clone(),
        positions: positions(truth, &states, &places, pca)?,
        matches,
    })
}

/// Where the model would look for the next item from `state`, `[H]`.
fn place(subject: &Subject, truth: &DriftTruth, state: &[f64]) -> [f64; 2] {
    let state: Vec<f32> = state.iter().map(|&value| value as f32).collect();
    let all = truth.item_place.len();
    let mut at = [0.0, 0.0];
    for (item, probability) in subject.glance(&state, (&[], &[], 0), all).best {
        for (at, place) in at.iter_mut().zip(truth.item_place[item as usize]) {
            *at += f64::from(probability) * place;
        }
    }
    at
}

/// Share of the variance of the true places (second) that the readings (first) explain.
fn r2(pairs: &[([f64; 2], [f64; 2])]) -> f64 {
    let n = pairs.len().max(1) as f64;
    let mean = [0, 1].map(|axis| pairs.iter().map(|(_, place)| place[axis]).sum::<f64>() / n);
    let square = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let missed: f64 = pairs.iter().map(|&(read, place)| square(read, place)).sum();
    let whole: f64 = pairs.iter().map(|&(_, place)| square(mean, place)).sum();
    if whole > 0.0 { 1.0 - missed / whole } else { 0.0 }
}

/// Where the true attractors would lie along the principal components: the way back, fitted two
/// components at a time.
fn positions(
    truth: &DriftTruth,
    states: &[f64],
    places: &[[f64; 2]],
    pca: &Pca,
) -> Option<Vec<Vec<f64>>> {
    let projected: Vec<Vec<f64>> =
        states.chunks_exact(pca.mean.len()).map(|state| pca.project(state)).collect();
    let flat: Vec<f64> = places.iter().flatten().copied().collect();
    let kept = pca.components.len();
    let mut positions = vec![vec![0.0; kept]; truth.attractors.len()];
    for first in (0..kept).step_by(2) {
        let second = (first + 1).min(kept - 1);
        let pairs: Vec<[f64; 2]> =
            projected.iter().map(|position| [position[first], position[second]]).collect();
        let back = Readout::fit(&flat, 2, &pairs)?;
        for (position, place) in positions.iter_mut().zip(&truth.attractors) {
            let at = back.place(place);
            (position[first], position[second]) = (at[0], at[1]);
        }
    }
    Some(positions)
}

#[cfg(test)]
mod tests {
    use super::r2;

    #[test]
    fn r2_is_1_for_the_truth_and_0_for_its_mean() {
        let places = [[0.0, 1.0], [2.0, 3.0], [4.0, 2.0]];
        assert_eq!(r2(&places.map(|place| (place, place))), 1.0);
        assert!(r2(&places.map(|place| ([2.0, 2.0], place))).abs() < 1e-12);
        // Off by 1 in x everywhere: 3 of a variance of 8 + 2.
        let off = places.map(|[x, y]| ([x + 1.0, y], [x, y]));
        assert!((r2(&off) - 0.7).abs() < 1e-12);
    }
}
