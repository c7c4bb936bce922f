//! Routing accuracy: who can tell on which requests System 2 does better than System 1?
//!
//! Requests are cut in two halves by chance. Thresholds and the learned router come from the first
//! half; every number is of the second.

mod learned;
mod methods;
#[cfg(test)]
mod tests;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::catalog::{About, Measured};
use super::efficiency::measured;
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::evaluation::{
    auprc, aurc, auroc, best_threshold, bootstrap, frontier, ndcg, risk_coverage, wilson,
};
use crate::jobs::Context;
use crate::serving::ServedModel;
use crate::serving::replay::{Replay, Replayed};
use crate::settings::{Config, ReasonerKind};
use methods::{Method, Scored};

pub const ABOUT: About = About {
    word: "routing",
    title: "Routing accuracy",
    asks: "Who can tell on which requests System 2 does better than System 1?",
    claim: "MLP 0.681, neural ODE 0.865",
    source: "three toy templates and two hand formulas with a random generator; a fixed rule that \
             its table leaves out scores 1.000",
    preset: "experiment-routing",
    needs_run: true,
    takes: "seconds with the mock",
};

const FEWEST: usize = 100;
/// Most points of a curve in the figure.
const POINTS: usize = 200;

/// A measure of some of the test requests, drawn with repetition.
type Drawn<'a> = dyn Fn(&[usize]) -> Option<f64> + 'a;

/// The requests of one half, and what became of them.
pub(super) struct Cases<'a> {
    requests: Vec<&'a Replayed>,
    /// System 2 does better: a higher NDCG@10.
    label: Vec<bool>,
    /// NDCG@10 of both systems.
    quality: [Vec<f64>; 2],
}

impl<'a> Cases<'a> {
    fn new(requests: Vec<&'a Replayed>) -> Self {
        let quality =
            [0, 1].map(|system| requests.iter().map(|one| ndcg(one.rank[system], 10)).collect());
        let [first, second]: &[Vec<f64>; 2] = &quality;
        let label = first.iter().zip(second).map(|(first, second)| second > first).collect();
        Self { requests, label, quality }
    }

    fn base_rate(&self) -> f64 {
        let positive = self.label.iter().filter(|label| **label).count();
        positive as f64 / self.label.len().max(1) as f64
    }
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let entry = inputs.run(context)?;
    let model = ServedModel::load(&inputs.store, &entry, context)?;
    let replay = Replay::ask(&model, &inputs.config, inputs.config.experiment.requests, context)?;
    if replay.requests.len() < FEWEST {
        let found = replay.requests.len();
        return Err(ExperimentError::TooFew { found, needed: FEWEST });
    }
    let findings = judge(&model, &replay, &inputs.config, context)?;
    measured(findings, &entry, &model)
}

fn judge(
    model: &ServedModel,
    replay: &Replay,
    config: &Config,
    context: &Context<Event>,
) -> Result<Findings, ExperimentError> {
    let seed = config.experiment.seed as u64;
    let mut order: Vec<usize> = (0..replay.requests.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let half = |places: &[usize]| {
        Cases::new(places.iter().map(|&place| &replay.requests[place]).collect())
    };
    let (learn, test) = order.split_at(order.len() / 2);
    let (learn, test) = (half(learn), half(test));

    let methods = Method::of(replay.has_conflict);
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for (place, &method) in methods.iter().enumerate() {
        context.checkpoint()?;
        let share = 0.7 + 0.3 * place as f32 / methods.len() as f32;
        context.progress(Some(share), format!("Judging: {}", method.title()));
        let scored = method.score(model, config, &learn, &test, context)?;
        rows.push(row(method, &scored, &test, config));
        if method.is_drawn() {
            let risk: Vec<f64> =
                test.label.iter().map(|&label| f64::from(u8::from(label))).collect();
            let curve = thinned(&risk_coverage(&scored.test, &risk));
            curves.push(Curve::line(method.title(), method.color(), curve));
        }
    }
    let simulated = replay.reasoner == ReasonerKind::Mock;
    Ok(Findings {
        headline: headline(&rows, test.base_rate()),
        simulated: if simulated {
            "System 2 is the mock; its ranking, and so every number here, is real.".to_owned()
        } else {
            String::new()
        },
        columns: vec![
            Column::new("accuracy", "Accuracy", Measure::Share),
            Column::new("escalated", "Escalated", Measure::Share),
            Column::new("auroc", "AUROC", Measure::Metric),
            Column::new("auprc", "AUPRC", Measure::Metric),
            Column::new("aurc", "AURC", Measure::Metric),
            Column::new("apgr", "APGR", Measure::Metric),
            Column::new("decision_us", "Decision (µs)", Measure::Number),
        ],
        facts: facts(&learn, &test),
        rows,
        figure: Figure {
            title: format!("Risk against coverage, {} test requests", test.label.len()),
            x: "coverage: share of requests that System 1 keeps".to_owned(),
            x_log: false,
            y: "risk: share where System 2 was better".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "Label: System 2's NDCG@10 is higher than System 1's on the request. {} held-out \
             requests of run {} were cut in two by chance; thresholds (most accurate) and the MLP \
             (state, history and uncertainty, {} inputs, 16 tanh units; trained on 70 % of that \
             half, stopped and cut on the rest) come from the first half, all numbers from the \
             second. Intervals: Wilson for the accuracy, percentile bootstrap \
             with {} resamples of the requests for the rest. Decision latency is the median time \
             from System 1's scores and state to the score of the method.",
            replay.requests.len(),
            replay.run,
            learned::inputs(model),
            config.experiment.resamples,
        ),
        limits: "One model and one System 2. Accuracy is a poor measure where few requests gain: \
                 never escalating has the accuracy of 1 − base rate; read AUROC and APGR. The \
                 intervals do not cover the choice of threshold or the training of the MLP. The \
                 oracle knows the answer and bounds what any router could do."
            .to_owned(),
        ..Findings::default()
    })
}

fn row(method: Method, scored: &Scored, test: &Cases<'_>, config: &Config) -> Row {
    let threshold = match method {
        Method::AlwaysFast => f64::INFINITY,
        Method::AlwaysSlow => f64::NEG_INFINITY,
        // It gains exactly where its score, the gain, is above 0.
        Method::Oracle => f64::MIN_POSITIVE,
        _ => best_threshold(&scored.learn, &scored.label).0,
    };
    let said: Vec<bool> = scored.test.iter().map(|&score| score >= threshold).collect();
    let right = said.iter().zip(&test.label).filter(|(said, label)| said == label).count() as u64;
    let n = test.label.len() as u64;
    let escalated = said.iter().filter(|said| **said).count() as f64 / n as f64;
    let mut row = Row::new(method.title())
        .claimed(method.claimed())
        .with("accuracy", right as f64 / n as f64, Some(wilson(right, n)))
        .with("escalated", escalated, None);
    if let Some(latency) = scored.decision_us {
        row = row.with("decision_us", latency, None);
    }
    if matches!(method, Method::AlwaysFast | Method::AlwaysSlow) {
        // Without an order among requests there is no curve.
        return row;
    }
    let [first, second] = &test.quality;
    let risk: Vec<f64> = test.label.iter().map(|&label| f64::from(u8::from(label))).collect();
    let pick = |values: &[f64], drawn: &[usize]| -> Vec<f64> {
        drawn.iter().map(|&index| values[index]).collect()
    };
    let labels = |drawn: &[usize]| -> Vec<bool> { drawn.iter().map(|&i| test.label[i]).collect() };
    let measures: [(&str, &Drawn<'_>); 4] = [
        ("auroc", &|drawn| auroc(&pick(&scored.test, drawn), &labels(drawn))),
        ("auprc", &|drawn| auprc(&pick(&scored.test, drawn), &labels(drawn))),
        ("aurc", &|drawn| aurc(&pick(&scored.test, drawn), &pick(&risk, drawn))),
        ("apgr", &|drawn| {
            frontier(&pick(&scored.test, drawn), &pick(first, drawn), &pick(second, drawn)).apgr
        }),
    ];
    let all: Vec<usize> = (0..test.label.len()).collect();
    for (key, measure) in measures {
        if let Some(value) = measure(&all) {
            let seed = config.experiment.seed as u64;
            let interval = bootstrap(all.len(), config.experiment.resamples, seed, measure);
            row = row.with(key, value, interval);
        }
    }
    row
}

fn headline(rows: &[Row], base_rate: f64) -> String {
    let bounds = [Method::Oracle.title(), Method::Random.title()];
    let best = rows
        .iter()
        .filter(|row| !bounds.contains(&row.name.as_str()))
        .filter_map(|row| Some((row, row.cells.get("auroc")?)))
        .max_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    let Some((best, auroc)) = best else {
        return "System 2 does better on none, or on all, of the test requests: there is nothing \
                to tell apart."
            .to_owned();
    };
    let of = format!("System 2 does better on {:.1} % of requests.", 100.0 * base_rate);
    let auroc_text = Measure::Metric.text(auroc);
    let accuracy = format!(
        "its accuracy of {:.1} % compares with {:.1} % for never escalating.",
        100.0 * best.value("accuracy").unwrap_or(f64::NAN),
        100.0 * (1.0 - base_rate),
    );
    if auroc.ci95.is_some_and(|[low, _]| low > 0.5) {
        format!(
            "{of} {} has the highest AUROC, {auroc_text}, above chance taken alone; {accuracy}",
            best.name
        )
    } else {
        format!(
            "{of} No router is shown to tell them apart better than chance: the best, {}, has an AUROC \
             of {auroc_text}; {accuracy}",
            best.name
        )
    }
}

fn facts(learn: &Cases<'_>, test: &Cases<'_>) -> Vec<String> {
    let [first, second] = &test.quality;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let worse = first.iter().zip(second).filter(|(first, second)| second < first).count();
    let mut facts = vec![
        format!(
            "Base rate: {:.1} % of {} test requests gain from System 2, {:.1} % lose ({} requests \
             were learned from).",
            100.0 * test.base_rate(),
            test.label.len(),
            100.0 * worse as f64 / test.label.len().max(1) as f64,
            learn.label.len(),
        ),
        format!(
            "NDCG@10 on the test requests: System 1 {:.4}, System 2 {:.4}.",
            mean(first),
            mean(second)
        ),
    ];
    if mean(second) <= mean(first) {
        facts.push(
            "System 2 is not better on the whole, so there is no gap to recover and no APGR."
                .to_owned(),
        );
    }
    facts
}

/// At most [`POINTS`] of a curve, evenly, the last among them. The risk of the first few requests is
/// that of one or two cases and left out.
fn thinned(curve: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let curve = &curve[curve.len() / 50..];
    let every = curve.len().div_ceil(POINTS).max(1);
    let last = curve.len().saturating_sub(1);
    let kept = curve.iter().enumerate().filter(|(place, _)| place % every == 0 || *place == last);
    kept.map(|(_, point)| *point).collect()
}
