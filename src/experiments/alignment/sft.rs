//! Supervised fine-tuning: the answers' tokens made likely, flaws and all.

use super::imperfect::{Stream, example};
use super::learner::Learner;
use super::settings::AlignmentSettings;
use crate::jobs::Cancelled;
use crate::language::transformer::{Example, Pass, Transformer};

/// Steps of the linear warm-up.
const WARM_UP: usize = 60;

/// One step, as it was.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SftPoint {
    /// From 1.
    pub step: usize,
    /// Mean over answer tokens of −ln probability.
    pub loss: f64,
}

/// Train from scratch. `tell` hears of every step and may stop it.
///
/// # Errors
/// That of `tell`.
pub fn train(
    settings: &AlignmentSettings,
    tell: impl FnMut(SftPoint) -> Result<(), Cancelled>,
) -> Result<Transformer, Cancelled> {
    let model = Transformer::new(settings.shape(), settings.seed);
    let steps = settings.sft_steps;
    let rate = |step: usize| {
        let warm = (step as f64 / WARM_UP as f64).min(1.0);
        // Half a cosine, down to a twentieth.
        let along = std::f64::consts::PI * step as f64 / steps as f64;
        settings.sft_rate * warm * (0.525 + 0.475 * along.cos())
    };
    on(settings, model, Stream::Sft, steps, rate, tell)
}

/// Train `model` on, for as many steps as DPO has, at the rate that fine-tuning ended with.
///
/// # Errors
/// That of `tell`.
pub fn more(
    settings: &AlignmentSettings,
    model: Transformer,
    tell: impl FnMut(SftPoint) -> Result<(), Cancelled>,
) -> Result<Transformer, Cancelled> {
    let rate = |_| settings.sft_rate / 20.0;
    on(settings, model, Stream::MoreSft, settings.dpo_steps, rate, tell)
}

fn on(
    settings: &AlignmentSettings,
    model: Transformer,
    stream: Stream,
    steps: usize,
    rate: impl Fn(usize) -> f64,
    mut tell: impl FnMut(SftPoint) -> Result<(), Cancelled>,
) -> Result<Transformer, Cancelled> {
    let mut learner = Learner::new(model);
    let batch = settings.sft_batch;
    for step in 1..=steps {
        let places = (step - 1) * batch..step * batch;
        let examples: Vec<Example> = places.map(|place| example(settings, stream, place)).collect();
        let tokens: usize = examples.iter().map(|one| one.tokens.len() - one.answer).sum();
        let share = 1.0 / tokens as f32;
        let losses = learner.step(&examples, 1, rate(step), |_, pass: &Pass| {
            let each = pass.log_probabilities();
            let loss: f64 = each.iter().map(|&one| -f64::from(one)).sum();
            (loss, vec![-share; each.len()])
        });
        tell(SftPoint { step, loss: losses.iter().sum::<f64>() / tokens as f64 })?;
    }
    Ok(learner.model)
}
