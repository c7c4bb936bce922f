//! Step size: the same weights with a finer and a coarser solver. Where the answers change, the model
//! is its solver's error as much as its field.

use super::catalog::{About, Measured};
use super::subjects::{Subject, Subjects, Trained};
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::dynamics::solver::Pace;
use crate::dynamics::warp::TimeWarp;
use crate::evaluation::{Comparison, Estimate, compare, holm, mean_metric, rank};
use crate::jobs::Context;
use crate::routing;
use crate::training::evaluate::{batch_of, per_query};

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

/// The steps as multiples of those trained with, the coarsest first.
const RUNGS: [Rung; 6] = [
    Rung::Coarser(4),
    Rung::Coarser(2),
    Rung::Trained,
    Rung::Finer(2),
    Rung::Finer(4),
    Rung::Finer(8),
];
/// Queries whose gaps are looked at together.
const CHUNK: usize = 1024;
/// Items whose order counts.
const TOP: usize = 10;

/// Other steps than those trained with, or these.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rung {
    /// Up to so many times as long, where a gap has several.
    Coarser(usize),
    Trained,
    /// Each cut into so many.
    Finer(usize),
}

impl Rung {
    fn pace(self, trained: Pace) -> Pace {
        match self {
            Self::Coarser(times) => trained.coarser(times),
            Self::Trained => trained,
            Self::Finer(times) => trained.finer(times),
        }
    }

    /// Length of a step over that of one trained with.
    fn factor(self) -> f64 {
        match self {
            Self::Coarser(times) => times as f64,
            Self::Trained => 1.0,
            Self::Finer(times) => 1.0 / times as f64,
        }
    }

    /// How it is called.
    fn name(self) -> String {
        match self {
            Self::Trained => "as trained".to_owned(),
            Self::Coarser(times) => format!("steps × {times}"),
            Self::Finer(times) => format!("steps ÷ {times}"),
        }
    }
}

/// A model under one step.
struct Stepped {
    rung: Rung,
    /// Steps of a gap that is not zero, on average over the histories of all queries and seeds.
    steps: f64,
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
        context.progress(Some(share), format!("{} at {} steps", model.title, RUNGS.len()));
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

/// Steps of a gap that is not zero under each of `paces`, on average over the gaps of the test queries'
/// histories and the runs; NaN where there is none.
fn steps_a_gap(subjects: &Subjects, runs: &[Trained], paces: &[Pace]) -> Vec<f64> {
    let (data, split) = (&subjects.prepared.data, &subjects.prepared.split);
    let (mut steps, mut gaps) = (vec![0usize; paces.len()], 0usize);
    for run in runs {
        // The scale of time may be learned, in each seed another.
        let warp = TimeWarp::learned(&run.config.model, &run.weights);
        let flowed = split.input_len - usize::from(!run.config.model.query_gap);
        for queries in split.test.chunks(CHUNK) {
            let batch = batch_of(data, queries, queries.len(), split.input_len, warp);
            for &gap in batch.dt[..flowed * queries.len()].iter().filter(|gap| **gap > 0.0) {
                gaps += 1;
                let each = steps.iter_mut().zip(paces);
                each.for_each(|(steps, pace)| *steps += pace.over(gap).0);
            }
        }
    }
    steps.into_iter().map(|steps| steps as f64 / gaps as f64).collect()
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
    let settings = &first.config.model;
    if !settings.solver.takes_steps() {
        return Ok(Vec::new());
    }
    let trained = Pace::of(settings);
    let steps = steps_a_gap(subjects, &model.seeds, &RUNGS.map(|rung| rung.pace(trained)));
    let mut ladder: Vec<(Rung, f64)> = RUNGS.into_iter().zip(steps).collect();
    // The nearest to those trained with, of coarser ones that take the same steps: with one step a gap none
    // can be longer.
    let own = ladder.iter().position(|(rung, _)| *rung == Rung::Trained).unwrap_or(0);
    for coarser in (0..own).rev() {
        if ladder[coarser].1 == ladder[coarser + 1].1 {
            ladder.remove(coarser);
        }
    }
    // `answers[seed][step]`.
    let mut answers = Vec::new();
    for run in &model.seeds {
        answers.push(ask(subjects, run, &ladder, context)?);
    }
    let metrics = |step: usize, of: fn(&[u32]) -> Vec<f64>| -> Vec<Vec<f64>> {
        answers.iter().map(|seed: &Vec<Answers>| of(&seed[step].ranks)).collect()
    };
    let ndcg = |step: usize| metrics(step, |ranks| per_query(ranks).ndcg);
    let own = ladder.iter().position(|(rung, _)| *rung == Rung::Trained).unwrap_or(0);
    let stepped = ladder.iter().enumerate().map(|(step, &(rung, steps))| {
        let mean = |of: fn(&Answers) -> f64| {
            answers.iter().map(|seed| of(&seed[step])).sum::<f64>() / answers.len() as f64
        };
        Stepped {
            rung,
            steps,
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
    ladder: &[(Rung, f64)],
    context: &Context<Event>,
) -> Result<Vec<Answers>, ExperimentError> {
    let (data, queries) = (&subjects.prepared.data, &subjects.prepared.split.test);
    let own = subjects.scorer(run);
    let trained = Pace::of(&run.config.model);
    let at = |rung: Rung| subjects.scorer(run).with_pace(rung.pace(trained));
    let others: Vec<_> = ladder.iter().map(|&(rung, _)| at(rung)).collect();
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

fn findings(subjects: &Subjects, stepped: &[Vec<Stepped>]) -> Findings {
    let with_steps = || {
        let both = subjects.models.iter().zip(stepped);
        both.filter(|(_, stepped)| !stepped.is_empty())
    };
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for (model, stepped) in with_steps() {
        for one in stepped {
            let row = Row::new(format!("{}, {}", model.title, one.rung.name()))
                .with("steps", one.steps, None)
                .estimate("hr10", &one.hr10)
                .estimate("ndcg10", &one.ndcg10);
            let row = match one.rung {
                Rung::Trained => row,
                _ => row
                    .with("change", one.change.delta, one.change.ci95)
                    .with("largest", one.largest, None)
                    .with("kept", one.kept, None),
            };
            rows.push(row);
        }
        let points = stepped.iter().map(|one| [one.rung.factor(), one.ndcg10.mean]).collect();
        let band = stepped.iter().map(|one| one.ndcg10.ci95.unwrap_or([one.ndcg10.mean; 2]));
        let line = Curve::line(&model.title, model.color, points);
        curves.push(Curve { band: Some(band.collect()), ..line });
    }
    Findings {
        headline: headline(&with_steps().collect::<Vec<_>>()),
        columns: vec![
            Column::new("steps", "Steps a gap", Measure::Number),
            Column::new("hr10", "HR@10", Measure::Metric),
            Column::new("ndcg10", "NDCG@10", Measure::Metric),
            Column::new("change", "Change in NDCG@10", Measure::Metric),
            Column::new("largest", "Largest change of a score (nats)", Measure::Number),
            Column::new("kept", "Ten best kept", Measure::Share),
        ],
        rows,
        facts: facts(subjects, stepped),
        figure: Figure {
            title: format!("NDCG@10 by the solver's steps: {}", subjects.text()),
            x: "length of a step over that of one trained with".to_owned(),
            x_log: true,
            y: "NDCG@10 and its 95 % interval".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "{} test queries (protocol {}) of {}: {}, scored with the trained weights and other steps \
             of the same solver. Divided, every step is cut into so many equal ones, however short the \
             gap; multiplied, the longest step is so many times as long and as many fewer are allowed, \
             which changes gaps of several steps only. Steps a gap are the mean over gaps that are not zero. \
             Changes are paired with the steps trained with; scores are logits, so a change of one nat \
             is a factor of e in the odds.",
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
    let finest = |stepped: &Vec<Stepped>| stepped.last().and_then(|finest| finest.change.p);
    let p: Vec<f64> = models.iter().map(|(_, stepped)| finest(stepped).unwrap_or(1.0)).collect();
    let corrected = holm(&p);
    let parts = models.iter().zip(&corrected).filter_map(|((model, stepped), p)| {
        let finest = stepped.last()?;
        let sure = *p < 0.05;
        Some(format!(
            "{} with {}: NDCG@10 {:+.4}{}, {:.1} % of the ten best kept",
            model.title,
            finest.rung.name(),
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
        match stepped.first() {
            None => facts.push(format!("{} takes no steps.", model.title)),
            Some(first) if first.rung == Rung::Trained => facts.push(format!(
                "{} takes one step a gap as trained: it cannot take longer ones.",
                model.title
            )),
            Some(_) => {}
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use crate::experiments::subjects::testing;
    use crate::experiments::{Experiment, perform};

    #[test]
    fn a_model_without_a_flow_takes_no_steps_and_one_with_a_flow_does() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = testing::trained(folder.path(), "gru,euler", 1);
        let result = perform(Experiment::StepSize, &inputs, &testing::quiet()).unwrap();
        let findings = &result.findings;
        assert!(findings.facts.contains(&"GRU takes no steps.".to_owned()));
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
        let trained = findings.row("Euler, as trained").unwrap().value("steps").unwrap();
        let finest = findings.row("Euler, steps ÷ 8").unwrap().value("steps").unwrap();
        assert!((finest - 8.0 * trained).abs() < 1e-9, "{trained} {finest}");
        assert_eq!(findings.figure.curves.len(), 1);
    }

    #[test]
    fn a_gap_of_one_step_is_cut_as_well_and_cannot_have_longer_ones() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than any gap.
        let inputs = testing::trained_with(folder.path(), "euler", 1, |config| {
            config.model.max_step = 100.0;
        });
        let result = perform(Experiment::StepSize, &inputs, &testing::quiet()).unwrap();
        let findings = &result.findings;
        assert!(
            findings.facts[0].starts_with("Euler takes one step a gap"),
            "{:?}",
            findings.facts
        );
        assert!(findings.row("Euler, steps × 2").is_none());
        assert_eq!(findings.row("Euler, as trained").unwrap().value("steps"), Some(1.0));
        for (name, steps) in [("steps ÷ 2", 2.0), ("steps ÷ 4", 4.0), ("steps ÷ 8", 8.0)] {
            let row = findings.row(&format!("Euler, {name}")).unwrap();
            assert_eq!(row.value("steps"), Some(steps));
            assert!(row.value("largest").unwrap() > 0.0, "{name}");
        }
    }
}
