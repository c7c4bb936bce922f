//! What item embeddings begin as: random numbers, or factors of how often items share users, which a
//! training then goes on from. A model that starts there has learned from little data already what a
//! random start takes most of its epochs for.

mod factors;
mod together;

use super::Prepared;
use crate::dynamics::parameters::Matrix;
use crate::jobs::{Cancelled, Context};
use crate::settings::{EmbeddingStart, TrainingSettings};

use together::Together;

/// Replace the rows of the embedding, the first of `parameters`, as `settings` say. Only events that
/// may be trained on count. The rows keep the size that random ones have, and items that share no user
/// with any other keep their random rows.
///
/// # Errors
/// [`Cancelled`].
pub fn begin<E>(
    parameters: &mut [Matrix],
    prepared: &Prepared,
    settings: &TrainingSettings,
    context: &Context<E>,
) -> Result<(), Cancelled> {
    let ([embedding, ..], EmbeddingStart::Factors) = (parameters, settings.embedding) else {
        return Ok(());
    };
    context.progress(None, "Factorising which items share users");
    let hidden = embedding.shape[1];
    // The first row is the padding's.
    let rows = &mut embedding.values[hidden..];
    let histories = prepared.known_histories().map(|(items, _)| items);
    let together = Together::new(prepared.data.items(), histories);
    context.checkpoint()?;
    let seed = settings.seed as u64;
    let factors = factors::of(&together, hidden, seed, || context.checkpoint())?;
    let size = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let pairs = || rows.chunks_exact(hidden).zip(factors.chunks_exact(hidden));
    let known = pairs().filter(|(_, factors)| size(factors) > 0.0);
    let (random, found) = known.fold((0.0, 0.0), |sums, (random, factors)| {
        (sums.0 + size(random), sums.1 + size(factors))
    });
    let scale = (random / found).sqrt() as f32;
    for (row, factors) in rows.chunks_exact_mut(hidden).zip(factors.chunks_exact(hidden)) {
        if size(factors) > 0.0 {
            row.iter_mut().zip(factors).for_each(|(row, factor)| *row = scale * factor);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
