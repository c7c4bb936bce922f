//! The attractors found on the built-in set, held against the generator's own.

use super::states::Pooled;
use super::{Landmark, Truth, TruthMatch};
use crate::data::drift::DriftTruth;
use crate::dynamics::attractor::{Pca, Readout, match_points};

/// Match the attractors among `points` with the true ones; `None` where nothing can be fitted.
pub fn compare(
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
    let readout = Readout::fit(&states, hidden, &places)?;
    let attractors = points.iter().filter(|point| point.kind.is_stable());
    let found: Vec<[f64; 2]> = attractors.map(|point| readout.place(&point.state)).collect();
    let matches = match_points(&found, &truth.attractors)
        .into_iter()
        .map(|(found_at, truth_at, distance)| TruthMatch {
            found: found_at,
            truth: truth_at,
            place: found[found_at],
            distance,
        })
        .collect();
    Some(Truth {
        r2: readout.r2(),
        attractors: truth.attractors.clone(),
        positions: positions(truth, &states, &places, pca)?,
        matches,
    })
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
