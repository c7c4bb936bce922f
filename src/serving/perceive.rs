//! What System 1's scores say: how sure it is, and which items are best.

use super::ServedModel;
use crate::routing::{self, Uncertainty};

/// Entropy of `scores`, and their conflict with a history (items, times in Unix milliseconds) that
/// is asked at `query`.
pub fn uncertainty(
    model: &ServedModel,
    scores: &[f32],
    (items, times, query): (&[u32], &[i64], i64),
    half_life: f64,
) -> Uncertainty {
    let temperature = model.temperature.value;
    let genres = model.genres();
    let profile = routing::profile(items, times, query, half_life, &genres);
    // Without a profile there is nothing to compare the prediction with.
    let conflict = profile.and_then(|profile| {
        let predicted = routing::predicted_mix(scores, temperature, &genres);
        routing::conflict(&predicted, Some(&profile))
    });
    Uncertainty { entropy: routing::entropy(scores, temperature), conflict }
}

/// The `count` best items and their calibrated probabilities, best first. Items scored −∞ are out.
pub fn best(scores: &[f32], temperature: f64, count: usize) -> Vec<(u32, f32)> {
    let softmax = routing::softmax(scores, temperature);
    routing::top(scores, count)
        .into_iter()
        .map(|item| {
            let scaled = f64::from(scores[item as usize]) / temperature;
            (item, (scaled - softmax.log_total).exp() as f32)
        })
        .collect()
}
