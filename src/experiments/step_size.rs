//! Step size: the same weights with a finer and a coarser solver. Where the answers change, the model
//! is its solver's error as much as its field.

use super::catalog::{About, Measured};
use super::subjects::{Subject, Subjects, Trained};
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::evaluation::{Comparison, Estimate, compare, mean_metric, rank};
use crate::jobs::Context;
use crate::routing;
use crate::settings::ModelSettings;
use crate::training::evaluate::per_query;

pub const ABOUT: About = About {
    word: "step-size",
    title: "Step size",
    asks: "Does a model's answer hang on the step of its solver?",
    claim: "",
    source: "",
    preset: "experiment-studies",
    needs_run: true,
    takes: "seconds a run",
};

/// The longest step as a multiple of the one trained with, the coarsest first.
const FACTORS: [f64; 6] = [4.0, 2.0, 1.0, 0.5, 0.25, 0.125];
/// Items whose order counts.
const TOP: usize = 10;

/// A model under one step.
struct Stepped {
    factor: f64,
    settings: ModelSettings,
    hr10: Estimate,
    ndcg10: Estimate,
    /// NDCG@10 less that with the steps trained with.
    change: Comparison,
    /// Largest change of any score of any query, in nats; scores are logits.
    largest: f64,
    /// Mean share of the ten best items that are among the ten best still.
    kept: f64,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let subjects = Subjects::load(inputs, context)?;
    let mut stepped = Vec::new();
    for (place, model) in subjects.models.iter().enumerate() {
        let share = place as f32 / subjects.models.len() as f32;
        context.progress(Some(share), format!("{} at {} steps", model.title, FACTORS.len()));
        stepped.push(measure(&subjects, model, context)?);
    }
    Ok(Measured {
        findings: findings(&subjects, &stepped),
        data: subjects.record(),
        run: Some(subjects.named.clone()),
        device: subjects.label.clone(),
        files: Vec::new(),
    })
}

/// `settings` with its longest step times `factor`, and as many substeps allowed as that takes:
/// below 1 every gap is cut into 1 / factor times the pieces. `None` where the result would be the
/// same steps.
fn with_steps(settings: &ModelSettings, factor: f64) -> Option<ModelSettings> {
    let most = (settings.max_substeps as f64 / factor).round().max(1.0) as usize;
    // One substep already: it cannot be longer.
    if factor > 1.0 && settings.max_substeps == 1 {
        return None;
    }
    let max_step = settings.max_step * factor;
    Some(ModelSettings { max_step, max_substeps: most, ..settings.clone() })
}

/// A seed's answers with some steps.
struct Answers {
    ranks: Vec<u32>,
    largest: f64,
    kept: f64,
}

fn measure(
    subjects: &Subjects,
    model: &Subject,
    context: &Context<Event>,
) -> Result<Vec<Stepped>, ExperimentError> {
    let Some(first) = model.seeds.first() else { return Ok(Vec::new()) };
    let ladder: Vec<(f64, ModelSettings)> = FACTORS
        .into_iter()
        .filter_map(|factor| Some((factor, with_steps(&first.config.model, factor)?)))
        .collect();
    // `answers[seed][step]`.
    let mut answers = Vec::new();
    for run in &model.seeds {
        answers.push(ask(subjects, run, &ladder, context)?);
    }
    let metrics = |step: usize, of: fn(&[u32]) -> Vec<f64>| -> Vec<Vec<f64>> {
        answers.iter().map(|seed: &Vec<Answers>| of(&seed[step].ranks)).collect()
    };
    let ndcg = |step: usize| metrics(step, |ranks| per_query(ranks).ndcg);
    let own = ladder.iter().position(|(factor, _)| *factor == 1.0).unwrap_or(0);
    let stepped = ladder.iter().enumerate().map(|(step, (factor, settings))| {
        let mean = |of: fn(&Answers) -> f64| {
            answers.iter().map(|seed| of(&seed[step])).sum::<f64>() / answers.len() as f64
        };
        Stepped {
            factor: *factor,
            settings: settings.clone(),
            hr10: mean_metric(&metrics(step, |ranks| per_query(ranks).hit)),
            ndcg10: mean_metric(&ndcg(step)),
            change: compare(&ndcg(step), &ndcg(own)),
            largest: answers.iter().map(|seed| seed[step].largest).fold(0.0, f64::max),
            kept: mean(|one| one.kept),
        }
    });
    Ok(stepped.collect())
}

/// Score every test query with the steps trained with and with those of `ladder`.
fn ask(
    subjects: &Subjects,
    run: &Trained,
    ladder: &[(f64, ModelSettings)],
    context: &Context<Event>,
) -> Result<Vec<Answers>, ExperimentError> {
    let (data, queries) = (&subjects.prepared.data, &subjects.prepared.split.test);
    let own = subjects.scorer(run, &run.config.model);
    let others: Vec<_> =
        ladder.iter().map(|(_, settings)| subjects.scorer(run, settings)).collect();
    let empty = || Answers { ranks: Vec::new(), largest: 0.0, kept: 0.0 };
    let mut answers: Vec<Answers> = ladder.iter().map(|_| empty()).collect();
    let rows = own.rows(run.config.evaluation.batch_size);
    // The scores of one batch are held at a time: all of them would not find room.
    for chunk in queries.chunks(rows) {
        let whole =
            |scorer| subjects.each((run, scorer), chunk, context, |_, scores| scores.to_vec());
        let reference = whole(&own)?;
        let best: Vec<Vec<u32>> = reference.iter().map(|scores| top(scores)).collect();
        for (scorer, answers) in others.iter().zip(&mut answers) {
            let scored = whole(scorer)?;
            for (place, (scores, query)) in scored.iter().zip(chunk).enumerate() {
                let differences = scores.iter().zip(&reference[place]).map(|(a, b)| (a - b).abs());
                // Items that are not ranked score −∞ in both.
                let finite = differences.filter(|difference| difference.is_finite());
                answers.largest = f64::from(finite.fold(answers.largest as f32, f32::max));
                let (now, before) = (top(scores), &best[place]);
                let same = now.iter().filter(|item| before.contains(item)).count();
                answers.kept += same as f64 / before.len().max(1) as f64;
                answers.ranks.push(rank(scores, data.item[query.target] as usize, &[]));
            }
        }
    }
    for answers in &mut answers {
        answers.kept /= queries.len().max(1) as f64;
    }
    Ok(answers)
}

fn top(scores: &[f32]) -> Vec<u32> {
    routing::top(scores, TOP)
}

/// How a step is called.
fn name(factor: f64) -> String {
    match factor {
        1.0 => "as trained".to_owned(),
        factor if factor > 1.0 => format!("steps × {factor}"),
        factor => format!("steps ÷ {}", 1.0 / factor),
    }
}

fn takes_steps(stepped: &[Stepped]) -> bool {
    stepped.iter().any(|one| one.largest > 0.0)
}

fn findings(subjects: &Subjects, stepped: &[Vec<Stepped>]) -> Findings {
    let with_steps = || {
        let both = subjects.models.iter().zip(stepped);
        both.filter(|(_, stepped)| takes_steps(stepped))
    };
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for (model, stepped) in with_steps() {
        for one in stepped {
            let row = Row::new(format!("{}, {}", model.title, name(one.factor)))
                .with("max_step", one.settings.max_step, None)
                .with("max_substeps", one.settings.max_substeps as f64, None)
                .estimate("hr10", &one.hr10)
                .estimate("ndcg10", &one.ndcg10);
            let row = match one.factor {
                1.0 => row,
                _ => row
                    .with("change", one.change.delta, one.change.ci95)
                    .with("largest", one.largest, None)
                    .with("kept", one.kept, None),
            };
            rows.push(row);
        }
        let points = stepped.iter().map(|one| [one.settings.max_step, one.ndcg10.mean]).collect();
        let band = stepped.iter().map(|one| one.ndcg10.ci95.unwrap_or([one.ndcg10.mean; 2]));
        let line = Curve::line(&model.title, model.color, points);
        curves.push(Curve { band: Some(band.collect()), ..line });
    }
    Findings {
        headline: headline(&with_steps().collect::<Vec<_>>()),
        columns: vec![
            Column::new("max_step", "Longest step (model time)", Measure::Number),
            Column::new("max_substeps", "Substeps, at most", Measure::Count),
            Column::new("hr10", "HR@10", Measure::Metric),
            Column::new("ndcg10", "NDCG@10", Measure::Metric),
            Column::new("change", "Change in NDCG@10", Measure::Metric),
            Column::new("largest", "Largest change of a score (nats)", Measure::Number),
            Column::new("kept", "Ten best kept", Measure::Share),
        ],
        rows,
        facts: facts(subjects, stepped),
        figure: Figure {
            title: format!("NDCG@10 by the solver's longest step: {}", subjects.text()),
            x: "longest step (model time)".to_owned(),
            x_log: true,
            y: "NDCG@10 and its 95 % interval".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "{} test queries (protocol {}) of {}: {}, scored with the trained weights and other steps \
             of the same solver: model.max_step times and model.max_substeps over the factor, so that \
             half the step cuts every gap into twice the pieces. Changes are paired with the steps \
             trained with; scores are logits, so a change of one nat is a factor of e in the odds.",
            subjects.prepared.split.test.len(),
            subjects.prepared.split.protocol.word(),
            subjects.named,
            subjects.text(),
        ),
        limits: "Only the step of evaluation changes: a model trained with finer steps is another \
                 model. A metric that stays while scores change says that the order near the top is \
                 robust, not that the trajectory is right."
            .to_owned(),
        ..Findings::default()
    }
}

fn headline(models: &[(&Subject, &Vec<Stepped>)]) -> String {
    let parts = models.iter().filter_map(|(model, stepped)| {
        let finest = stepped.last()?;
        let sure = finest.change.p.is_some_and(|p| p < 0.05);
        Some(format!(
            "{} with {}: NDCG@10 {:+.4}{}, {:.0} % of the ten best kept",
            model.title,
            name(finest.factor),
            finest.change.delta,
            if sure { "" } else { " (not distinguishable from chance)" },
            100.0 * finest.kept,
        ))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return "No model looked at takes steps: none has a flow that a solver integrates."
            .to_owned();
    }
    parts.join("; ") + "."
}

fn facts(subjects: &Subjects, stepped: &[Vec<Stepped>]) -> Vec<String> {
    let mut facts = Vec::new();
    for (model, stepped) in subjects.models.iter().zip(stepped) {
        if !takes_steps(stepped) {
            facts.push(format!("{} takes no steps: no score changes.", model.title));
            continue;
        }
        if stepped.first().is_some_and(|one| one.factor == 1.0) {
            facts.push(format!(
                "{} takes one step a gap as trained (model.max_substeps is 1): it cannot take longer \
                 ones.",
                model.title
            ));
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::subjects::testing;
    use crate::experiments::{Experiment, perform};

    #[test]
    fn halved_steps_allow_twice_the_pieces_and_one_step_cannot_be_longer() {
        let settings = ModelSettings { max_step: 1.0, max_substeps: 4, ..ModelSettings::default() };
        let of = |factor| with_steps(&settings, factor).map(|s| (s.max_step, s.max_substeps));
        assert_eq!(of(0.5), Some((0.5, 8)));
        assert_eq!(of(2.0), Some((2.0, 2)));
        assert_eq!(of(1.0), Some((1.0, 4)));
        let one = ModelSettings { max_substeps: 1, ..settings };
        assert!(with_steps(&one, 2.0).is_none());
        assert_eq!(with_steps(&one, 0.25).unwrap().max_substeps, 4);
    }

    #[test]
    fn a_model_without_a_flow_takes_no_steps_and_one_with_a_flow_does() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = testing::trained(folder.path(), "gru,euler", 1);
        let result = perform(Experiment::StepSize, &inputs, &testing::quiet()).unwrap();
        let findings = &result.findings;
        assert!(findings.facts.contains(&"GRU takes no steps: no score changes.".to_owned()));
        assert!(findings.row("GRU, as trained").is_none());
        let trained = findings.row("Euler, as trained").unwrap().value("ndcg10").unwrap();
        let summary = inputs
            .store
            .list()
            .into_iter()
            .find_map(|entry| entry.summary.filter(|summary| summary.model == "euler"));
        assert_eq!(trained, summary.unwrap().ndcg10.mean);
        let largest =
            |name: &str| findings.row(&format!("Euler, {name}")).unwrap().value("largest").unwrap();
        assert!(largest("steps ÷ 2") > 0.0);
        // Euler converges: each halving moves the scores by less than the one before.
        let [two, four, eight] = ["steps ÷ 2", "steps ÷ 4", "steps ÷ 8"].map(largest);
        assert!(eight - four < four - two && four - two < two, "{two} {four} {eight}");
        assert_eq!(findings.figure.curves.len(), 1);
    }
}
