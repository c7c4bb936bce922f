//! Robustness: the same models on histories whose times are jittered or shuffled, or whose events
//! are partly lost.

mod perturb;

use super::catalog::{About, Measured};
use super::subjects::Subjects;
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::evaluation::{Comparison, Estimate, compare, holm, mean_metric};
use crate::figures::Color;
use crate::jobs::Context;
use crate::runs::p_text;
use crate::training::evaluate::{PerQuery, per_query};
use perturb::{Perturbation, perturb};

pub const ABOUT: About = About {
    word: "robustness",
    title: "Robustness",
    asks: "How much of a model's quality hangs on the exact times, their order and every event?",
    claim: "",
    source: "",
    preset: "experiment-studies",
    needs_run: true,
    takes: "seconds a run",
};

/// A model under one perturbation at one strength.
struct Measurement {
    model: usize,
    kind: Perturbation,
    strength: f64,
    hr10: Estimate,
    ndcg10: Estimate,
    /// NDCG@10 less that of the histories as they are, paired over queries and seeds.
    change: Comparison,
}

/// A model's metrics, a seed each.
type Seeds = Vec<PerQuery>;

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let subjects = Subjects::load(inputs, context)?;
    let seed = inputs.config.experiment.seed as u64;
    let (plain, measured) = measure(&subjects, seed, context)?;
    Ok(Measured {
        findings: findings(&subjects, &plain, &measured, seed),
        data: subjects.record(),
        run: Some(subjects.named.clone()),
        device: subjects.label.clone(),
        files: Vec::new(),
    })
}

/// HR@10 and NDCG@10 of each model on the histories as they are, and of every perturbation.
fn measure(
    subjects: &Subjects,
    seed: u64,
    context: &Context<Event>,
) -> Result<(Vec<Seeds>, Vec<Measurement>), ExperimentError> {
    let (data, queries) = (&*subjects.prepared.data, &subjects.prepared.split.test);
    let rank = |data: &_, queries: &[_]| -> Result<Vec<Seeds>, ExperimentError> {
        let of = |run| Ok(per_query(&subjects.ranks(run, data, queries, context)?));
        subjects.models.iter().map(|model| model.seeds.iter().map(of).collect()).collect()
    };
    let steps: Vec<(Perturbation, f64)> = Perturbation::ALL
        .into_iter()
        .flat_map(|kind| kind.strengths().iter().map(move |&strength| (kind, strength)))
        .collect();
    context.progress(Some(0.05), "Ranking with the histories as they are");
    let plain = rank(data, queries)?;
    let mut measured = Vec::new();
    for (place, &(kind, strength)) in steps.iter().enumerate() {
        let share = (place + 1) as f32 / (steps.len() + 1) as f32;
        context.progress(Some(share), format!("{} at {strength}", kind.title()));
        let (data, queries) = perturb(data, queries, kind, strength, seed);
        for (model, (seeds, before)) in rank(&data, &queries)?.iter().zip(&plain).enumerate() {
            let (hit, ndcg) = (values(seeds, |one| &one.hit), values(seeds, |one| &one.ndcg));
            measured.push(Measurement {
                model,
                kind,
                strength,
                hr10: mean_metric(&hit),
                ndcg10: mean_metric(&ndcg),
                change: compare(&ndcg, &values(before, |one| &one.ndcg)),
            });
        }
    }
    Ok((plain, measured))
}

/// One metric, `[seed][query]`.
fn values(seeds: &Seeds, of: impl Fn(&PerQuery) -> &Vec<f64>) -> Vec<Vec<f64>> {
    seeds.iter().map(|seed| of(seed).clone()).collect()
}

fn findings(subjects: &Subjects, plain: &[Seeds], measured: &[Measurement], seed: u64) -> Findings {
    let raw: Vec<f64> = measured.iter().map(|one| one.change.p.unwrap_or(1.0)).collect();
    let corrected = holm(&raw);
    let whole: Vec<Estimate> =
        plain.iter().map(|seeds| mean_metric(&values(seeds, |one| &one.ndcg))).collect();
    let mut rows = Vec::new();
    for (index, model) in subjects.models.iter().enumerate() {
        let hit = mean_metric(&values(&plain[index], |one| &one.hit));
        let row = Row::new(format!("{}, as it is", model.title));
        rows.push(row.estimate("hr10", &hit).estimate("ndcg10", &whole[index]));
        for (one, p) in measured.iter().zip(&corrected).filter(|(one, _)| one.model == index) {
            rows.push(
                Row::new(format!("{}, {}", model.title, one.kind.text(one.strength)))
                    .estimate("hr10", &one.hr10)
                    .estimate("ndcg10", &one.ndcg10)
                    .with("change", one.change.delta, one.change.ci95)
                    .with("p", *p, None),
            );
        }
    }
    let n = subjects.prepared.split.test.len();
    Findings {
        headline: headline(subjects, measured),
        columns: vec![
            Column::new("hr10", "HR@10", Measure::Metric),
            Column::new("ndcg10", "NDCG@10", Measure::Metric),
            Column::new("change", "Change in NDCG@10", Measure::Metric),
            Column::new("p", "p (Holm)", Measure::Chance),
        ],
        rows,
        facts: facts(subjects, measured, &corrected),
        figure: Figure {
            title: format!("NDCG@10 under perturbed histories: {}", subjects.text()),
            x: "strength: σ of the log gap; share of gaps shuffled; share of events lost".to_owned(),
            y: "NDCG@10".to_owned(),
            curves: curves(subjects, &whole, measured),
            ..Figure::default()
        },
        method: format!(
            "{n} test queries (protocol {}) of {}: {}, ranked again with perturbed histories; the \
             item and the moment asked for stay. Jitter: every gap times a lognormal factor of mean \
             1 and the σ given. Shuffle: the given share of a history's gaps, the one to the request \
             among them, change places. Loss: each event is lost with the given chance, but one \
             event stays. Times never run backwards. Seed {seed}: stronger perturbations go further \
             along the same draws. Changes are paired with the histories as they are, over queries \
             and seeds; p after Holm's correction for all rows.",
            subjects.prepared.split.protocol.word(),
            subjects.named,
            subjects.text(),
        ),
        limits: "The models were trained on histories as they are: a model trained with noise would \
                 be more robust. One draw of each perturbation. A model that does not read times is \
                 untouched by jitter and shuffling, which is no merit."
            .to_owned(),
        ..Findings::default()
    }
}

/// What the strongest of each perturbation costs, from the model that loses least to the one that
/// loses most.
fn headline(subjects: &Subjects, measured: &[Measurement]) -> String {
    let parts = Perturbation::ALL.into_iter().filter_map(|kind| {
        let strongest = *kind.strengths().last()?;
        let mut own: Vec<&Measurement> =
            measured.iter().filter(|one| one.kind == kind && one.strength == strongest).collect();
        own.sort_by(|a, b| b.change.delta.total_cmp(&a.change.delta));
        let text = |one: &Measurement| {
            format!("{:+.4} ({})", one.change.delta, subjects.models[one.model].title)
        };
        let (least, most) = (own.first()?, own.last()?);
        let cost = match own.len() {
            1 => format!("{:+.4}", least.change.delta),
            _ => format!("{} to {}", text(least), text(most)),
        };
        Some(format!("{}: {cost}", kind.text(strongest)))
    });
    format!("Change in NDCG@10: {}.", parts.collect::<Vec<_>>().join("; "))
}

fn facts(subjects: &Subjects, measured: &[Measurement], corrected: &[f64]) -> Vec<String> {
    let mut facts = Vec::new();
    for (index, model) in subjects.models.iter().enumerate() {
        for kind in Perturbation::ALL {
            let own = || {
                let both = measured.iter().zip(corrected);
                both.filter(move |(one, _)| one.model == index && one.kind == kind)
            };
            if own().all(|(one, _)| one.change.delta == 0.0 && one.change.p == Some(1.0)) {
                facts.push(format!("{}: {} changes nothing.", model.title, kind.title()));
                continue;
            }
            // The first strength from which on every loss is one.
            let costs = |(one, p): &(&Measurement, &f64)| one.change.delta < 0.0 && **p < 0.05;
            let held = own().count() - own().rev().take_while(costs).count();
            let felt = own().nth(held);
            facts.push(match felt {
                Some((one, p)) => format!(
                    "{}: {} costs quality from {} on (NDCG@10 {:+.4}, p {}).",
                    model.title,
                    kind.title(),
                    one.strength,
                    one.change.delta,
                    p_text(Some(*p)),
                ),
                None => format!(
                    "{}: no loss by {} is distinguishable from chance.",
                    model.title,
                    kind.title()
                ),
            });
        }
    }
    facts
}

/// A line for each model and perturbation, from strength 0; with its interval where there is one
/// model only, for several would hide each other.
fn curves(subjects: &Subjects, whole: &[Estimate], measured: &[Measurement]) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (index, model) in subjects.models.iter().enumerate() {
        for (place, kind) in Perturbation::ALL.into_iter().enumerate() {
            let own = measured.iter().filter(|one| one.model == index && one.kind == kind);
            let estimates: Vec<(f64, &Estimate)> = std::iter::once((0.0, &whole[index]))
                .chain(own.map(|one| (one.strength, &one.ndcg10)))
                .collect();
            let points = estimates.iter().map(|(at, of)| [*at, of.mean]).collect();
            let band = estimates.iter().map(|(_, of)| of.ci95.unwrap_or([of.mean; 2])).collect();
            let alone = subjects.models.len() == 1;
            let name = match alone {
                true => kind.title().to_owned(),
                false => format!("{}, {}", model.title, kind.title()),
            };
            let line = Curve::line(name, color(model.color, place, alone), points);
            curves.push(Curve { band: alone.then_some(band), ..line });
        }
    }
    curves
}

/// One model: a colour a perturbation. Several: the model's own, lighter and darker.
fn color(of_model: Color, place: usize, alone: bool) -> Color {
    const APART: [Color; 3] =
        [Color(0x4c, 0x9b, 0xe8), Color(0xe6, 0x9f, 0x00), Color(0xcc, 0x79, 0xa7)];
    if alone {
        return APART[place % APART.len()];
    }
    match place {
        0 => of_model,
        1 => of_model.toward(Color(0xff, 0xff, 0xff), 0.45),
        _ => of_model.toward(Color(0, 0, 0), 0.4),
    }
}

#[cfg(test)]
mod tests;
