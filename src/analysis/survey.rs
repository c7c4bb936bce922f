//! The analysis of a run, from its states to its landscape.

use std::time::Instant;

use super::landscape::name;
use super::states::{Pooled, pool};
use super::{AnalysisError, Control, Item, Landmark, Landscape, Start, Subject, truth};
use crate::dynamics::attractor::{self, Exact, FixedPoint, FixedPoints, Options, Pca};
use crate::dynamics::parameters;
use crate::jobs::Context;

/// Principal components that are kept.
const KEPT: usize = 6;
/// Items named at each point.
const TOP: usize = 10;
/// Users whose ways are measured.
const WAYS: usize = 100;
/// Visited states that are kept for the picture.
const PICTURED: usize = 4000;

/// How thorough an analysis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyOptions {
    /// Visited states that fixed points are looked for from.
    pub starts: usize,
    pub seed: u64,
}

impl Default for SurveyOptions {
    fn default() -> Self {
        Self { starts: 2000, seed: 1 }
    }
}

/// Analyse `subject`.
///
/// # Errors
/// [`AnalysisError::NoStates`] where there is no held-out request, [`AnalysisError::Cancelled`].
pub fn survey<E: Send>(
    subject: &Subject,
    options: SurveyOptions,
    context: &Context<E>,
) -> Result<Landscape, AnalysisError> {
    let begun = Instant::now();
    context.progress(None, "Pooling the states of held-out users");
    let pooled = pool(subject, context)?;
    let hidden = subject.exact.hidden();
    if pooled.states.is_empty() {
        return Err(AnalysisError::NoStates);
    }
    let pca = Pca::fit(&pooled.states, hidden, KEPT.min(hidden));
    context.checkpoint()?;
    let found = match subject.exact.field() {
        Some(field) => search(field, &pooled, options, (0.05, 0.65), "", context)?,
        None => FixedPoints::default(),
    };
    let control = control(subject, &pooled, options, context)?;
    context.progress(Some(0.95), "Measuring users' ways");
    let (lyapunov_per_day, halving_error) = ways(subject, &pooled, context)?;
    let fixed_points = landmarks(subject, &found, &pca);
    let truth = subject
        .model
        .data
        .truth
        .as_ref()
        .and_then(|truth| truth::compare(subject, truth, &pooled, &pca, &fixed_points));
    let visited = visited(&pooled, &found, &pca, options.seed);
    let undecided = found.basin.iter().filter(|basin| basin.is_none()).count();
    Ok(Landscape {
        run: subject.model.run.clone(),
        solver: subject.exact.solver(),
        hidden,
        users: pooled.users.len(),
        states: pooled.before.len(),
        asked: options.starts,
        starts: found.starts.len(),
        seed: options.seed,
        explained_variance: pca.explained.clone(),
        fixed_points,
        far: found.far,
        visited,
        undecided_share: undecided as f64 / found.basin.len().max(1) as f64,
        median_span_days: median(
            pooled.users.iter().map(|&user| subject.span_days(user)).collect(),
        )
        .unwrap_or(0.0),
        lyapunov_per_day,
        halving_error,
        control,
        truth,
        pca,
        seconds: begun.elapsed().as_secs_f64(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

fn search<E: Send>(
    field: &dyn attractor::VectorField,
    pooled: &Pooled,
    options: SurveyOptions,
    (from, to): (f32, f32),
    what: &str,
    context: &Context<E>,
) -> Result<FixedPoints, AnalysisError> {
    let options = Options { starts: options.starts, seed: options.seed, ..Options::default() };
    let told = |fraction: f32, message: &str| {
        context.progress(Some(from + (to - from) * fraction), format!("{message}{what}"));
        context.checkpoint()
    };
    Ok(attractor::find(field, &pooled.states, &options, &told)?)
}

/// The field as it was drawn before training, from the states of the trained model.
fn control<E: Send>(
    subject: &Subject,
    pooled: &Pooled,
    options: SurveyOptions,
    context: &Context<E>,
) -> Result<Option<Control>, AnalysisError> {
    let config = &subject.model.config;
    let items = subject.model.data.items();
    let weights = parameters::initial(&config.model, items, config.training.seed as u64);
    let untrained = Exact::new(&config.model, items, &weights);
    let Some(field) = untrained.field() else { return Ok(None) };
    let found = search(field, pooled, options, (0.65, 0.95), " (untrained field)", context)?;
    let attractors = found.points.iter().filter(|point| point.kind.is_stable()).count();
    let largest = found.points.first().filter(|point| point.kind.is_stable());
    Ok(Some(Control {
        attractors,
        others: found.points.len() - attractors,
        relaxation_days: largest.and_then(|point| point.relaxation).map(|t| subject.days(t)),
    }))
}

fn landmarks(subject: &Subject, found: &FixedPoints, pca: &Pca) -> Vec<Landmark> {
    let landmark = |(index, point): (usize, &FixedPoint)| {
        let state: Vec<f32> = point.position.iter().map(|&value| value as f32).collect();
        // Of nobody in particular, so without a history.
        let best = subject.glance(&state, (&[], &[], 0), TOP).best;
        Landmark {
            name: name(index),
            kind: point.kind,
            residual: point.residual,
            eigenvalues: point.eigenvalues.clone(),
            relaxation_days: point.relaxation.map(|time| subject.days(time)),
            basin_share: point.basin_share,
            position: pca.project(&point.position),
            state: point.position.clone(),
            theme: theme(subject, &best),
            top_items: best.into_iter().map(|(item, p)| item_of(subject, item, p)).collect(),
        }
    };
    found.points.iter().enumerate().map(landmark).collect()
}

fn item_of(subject: &Subject, item: u32, probability: f32) -> Item {
    let model = &subject.model;
    Item {
        item: model.data.item_ids[item as usize].clone(),
        title: model.title(item).map(str::to_owned),
        probability,
    }
}

/// The genre that most of the best items have, where more than half do; else the first's title.
fn theme(subject: &Subject, best: &[(u32, f32)]) -> String {
    let data = &subject.model.data;
    let mut counts = vec![0usize; data.genres.len()];
    for &(item, _) in best {
        for &genre in subject.model.genres_of(item) {
            counts[usize::from(genre)] += 1;
        }
    }
    let most = counts.iter().enumerate().max_by_key(|&(_, count)| count);
    match most {
        Some((genre, &count)) if 2 * count > best.len() => data.genres[genre].clone(),
        _ => best
            .first()
            .map_or_else(String::new, |&(item, _)| data.item_title(item as usize).to_owned()),
    }
}

/// The states of the picture: those that were started from, or, without a field, some of them.
fn visited(pooled: &Pooled, found: &FixedPoints, pca: &Pca, seed: u64) -> Vec<Start> {
    let hidden = pca.mean.len();
    let start = |row: usize, basin: Option<usize>| Start {
        position: pca
            .project(&pooled.states[row * hidden..(row + 1) * hidden])
            .into_iter()
            .map(|value| value as f32)
            .collect(),
        basin,
    };
    if !found.starts.is_empty() {
        let pairs = found.starts.iter().zip(&found.basin).take(PICTURED);
        return pairs.map(|(&row, &basin)| start(row, basin)).collect();
    }
    let rows = pooled.before.len();
    let every = rows.div_ceil(PICTURED / 2).max(1);
    // Another seed, another draw.
    (seed as usize % every..rows).step_by(every).map(|row| start(row, None)).collect()
}

/// Medians of the Lyapunov exponent and of the step-halving error.
fn ways<E>(
    subject: &Subject,
    pooled: &Pooled,
    context: &Context<E>,
) -> Result<(Option<f64>, f64), AnalysisError> {
    let every = pooled.users.len().div_ceil(WAYS).max(1);
    let (mut exponents, mut errors) = (Vec::new(), Vec::new());
    for &user in pooled.users.iter().step_by(every) {
        context.checkpoint()?;
        let history = subject.model.data.history(user);
        let from = history.len().saturating_sub(subject.model.split.input_len);
        let (items, times) = (&history.item[from..], &history.time[from..]);
        let Some(&last) = times.last() else { continue };
        let warp = subject.warp();
        let path = attractor::path(&subject.exact, warp, items, times, last, 1);
        exponents.extend(path.lyapunov_per_day);
        errors.push(path.halving_error);
    }
    Ok((median(exponents), median(errors).unwrap_or(0.0)))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
