//! Calibration: whether a model's probabilities mean what they say, before and after a temperature
//! that is fitted on the validation queries.

use super::catalog::{About, Measured};
use super::subjects::{Subjects, Trained};
use super::{Column, Curve, Event, ExperimentError, Figure, Findings, Inputs, Measure, Row};
use crate::data::split::Query;
use crate::evaluation::{
    Comparison, Estimate, Reliability, bootstrap, compare, fit_temperature, holm, mean_metric,
    mean_over, reliability, t_975,
};
use crate::figures::Color;
use crate::jobs::Context;
use crate::routing::softmax;
use crate::runs::p_text;

pub const ABOUT: About = About {
    word: "calibration",
    title: "Calibration",
    asks: "Do a model's probabilities mean what they say, and does a temperature mend them?",
    claim: "",
    source: "",
    preset: "experiment-studies",
    needs_run: true,
    takes: "seconds a run",
};

/// Bins of a reliability diagram, as many predictions in each.
const BINS: usize = 15;
/// Validation scores held at once, at most: 256 MiB.
const SCORES: usize = 1 << 26;
const DIAGONAL: Color = Color(0x8b, 0x93, 0xa1);

/// What a model says of one test query.
struct Said {
    /// Probability of the best item, and whether that is what was taken.
    confidence: f64,
    correct: bool,
    /// −ln of the probability of what was taken, in nats; infinite where it was given none.
    nll: f64,
}

/// A seed at one temperature, a query each.
type Answers = Vec<Said>;

/// A model over its seeds, at temperature 1 and at its own.
struct Calibrated {
    title: String,
    color: Color,
    /// Of each seed.
    temperatures: Vec<f64>,
    /// Validation queries that each temperature was fitted on.
    fitted_on: usize,
    sides: [Side; 2],
    /// NLL after less before, paired.
    change: Comparison,
}

/// A model before or after.
struct Side {
    nll: Estimate,
    accuracy: Estimate,
    confidence: f64,
    /// Mean over seeds.
    ece: f64,
    /// Of the queries, drawn again, and of the seeds.
    ece_ci95: Option<[f64; 2]>,
    /// Of all seeds' predictions together.
    diagram: Reliability,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let subjects = Subjects::load(inputs, context)?;
    let settings = &inputs.config.experiment;
    let mut models = Vec::new();
    let mut done = 0;
    for model in &subjects.models {
        let (mut temperatures, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let mut fitted_on = 0;
        for run in &model.seeds {
            let share = done as f32 / subjects.runs().max(1) as f32;
            context.progress(Some(share), format!("Calibrating {}", model.title));
            let (temperature, queries) = fit(&subjects, run, context)?;
            let [plain, scaled] = ask(&subjects, run, temperature, context)?;
            temperatures.push(temperature);
            before.push(plain);
            after.push(scaled);
            fitted_on = queries;
            done += 1;
        }
        let nll = |seeds: &[Answers]| over(seeds, |said| said.nll);
        let change = compare(&nll(&after), &nll(&before));
        let side = |seeds: &[Answers]| side(seeds, settings.resamples, settings.seed as u64);
        models.push(Calibrated {
            title: model.title.clone(),
            color: model.color,
            temperatures,
            fitted_on,
            sides: [side(&before), side(&after)],
            change,
        });
    }
    Ok(Measured {
        findings: findings(&subjects, &models, settings.resamples),
        data: subjects.record(),
        run: Some(subjects.named.clone()),
        device: subjects.label.clone(),
        files: Vec::new(),
    })
}

/// The temperature of a run, and how many validation queries decided it.
fn fit(
    subjects: &Subjects,
    run: &Trained,
    context: &Context<Event>,
) -> Result<(f64, usize), ExperimentError> {
    let (data, valid) = (&subjects.prepared.data, &subjects.prepared.split.valid);
    let most = (SCORES / data.items().max(1)).max(1);
    let queries: Vec<Query> =
        valid.iter().step_by(valid.len().div_ceil(most).max(1)).copied().collect();
    let scorer = subjects.scorer(run);
    let mut scores: Vec<f32> = Vec::with_capacity(queries.len() * data.items());
    for chunk in queries.chunks(scorer.rows(run.config.evaluation.batch_size)) {
        let rows = subjects.each((run, &scorer), chunk, context, |_, scores| scores.to_vec())?;
        rows.iter().for_each(|row| scores.extend_from_slice(row));
    }
    let targets: Vec<u32> = queries.iter().map(|query| data.item[query.target]).collect();
    let fitted = fit_temperature(&scores, data.items(), &targets);
    Ok((fitted.value, fitted.queries))
}

/// What a run says of the test queries at temperature 1 and at `temperature`.
fn ask(
    subjects: &Subjects,
    run: &Trained,
    temperature: f64,
    context: &Context<Event>,
) -> Result<[Answers; 2], ExperimentError> {
    let data = &subjects.prepared.data;
    let scorer = subjects.scorer(run);
    let said = subjects.each(
        (run, &scorer),
        &subjects.prepared.split.test,
        context,
        |query, scores| {
            let target = data.item[query.target];
            [1.0, temperature].map(|temperature| say(scores, target, temperature))
        },
    )?;
    let (mut plain, mut scaled) = (Vec::new(), Vec::new());
    for [before, after] in said {
        plain.push(before);
        scaled.push(after);
    }
    Ok([plain, scaled])
}

fn say(scores: &[f32], target: u32, temperature: f64) -> Said {
    let whole = softmax(scores, temperature);
    let log_share = |score: f32| f64::from(score) / temperature - whole.log_total;
    let own = scores.get(target as usize).copied().unwrap_or(f32::NEG_INFINITY);
    // A tie with another item is no correct answer: it counts against the model, as in ranking.
    let best = scores.iter().filter(|&&score| score >= own).count();
    Said { confidence: log_share(whole.max).exp(), correct: best == 1, nll: -log_share(own) }
}

/// A number of each query, `[seed][query]`.
fn over(seeds: &[Answers], of: impl Fn(&Said) -> f64) -> Vec<Vec<f64>> {
    seeds.iter().map(|seed| seed.iter().map(&of).collect()).collect()
}

fn side(seeds: &[Answers], resamples: usize, seed: u64) -> Side {
    let pairs = |answers: &Answers| -> Vec<(f64, bool)> {
        answers.iter().map(|said| (said.confidence, said.correct)).collect()
    };
    let of = |pairs: &[(f64, bool)]| reliability(pairs, BINS).ece;
    let all: Vec<(f64, bool)> = seeds.iter().flat_map(pairs).collect();
    let each: Vec<Vec<(f64, bool)>> = seeds.iter().map(pairs).collect();
    let confidences = over(seeds, |said| said.confidence);
    let eces: Vec<f64> = each.iter().map(|pairs| of(pairs)).collect();
    let mean =
        |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / each.len().max(1) as f64;
    let ece = mean(&mut eces.iter().copied());
    let mut sum = 0.0;
    // The same queries are drawn for all seeds: they were asked the same.
    let queries = each.first().map_or(0, Vec::len);
    let interval = bootstrap(queries, resamples, seed, |drawn| {
        let drawn = |pairs: &Vec<(f64, bool)>| -> Vec<_> {
            drawn.iter().map(|&index| pairs[index]).collect()
        };
        let resampled = mean(&mut each.iter().map(|pairs| of(&drawn(pairs))));
        sum += resampled;
        Some(resampled)
    });
    // Noise only makes an ECE larger, and resampling is noise.
    let added = sum / resamples.max(1) as f64 - ece;
    let between = between_seeds(&eces);
    let wider = |side: f64| side.max(0.0).hypot(between);
    Side {
        nll: mean_over(&over(seeds, |said| said.nll)),
        accuracy: mean_metric(&over(seeds, |said| f64::from(u8::from(said.correct)))),
        confidence: mean_over(&confidences).mean,
        ece,
        ece_ci95: interval.map(|[low, high]| {
            [
                (ece - wider(ece - (low - added))).max(0.0),
                (ece + wider(high - added - ece)).min(1.0),
            ]
        }),
        diagram: reliability(&all, BINS),
    }
}

/// Half-width of the 95 % interval of the mean over seeds (Student's t); 0 of one seed.
fn between_seeds(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let Some(t) = t_975(n - 1.0) else { return 0.0 };
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    t * (variance / n).sqrt()
}

const SIDES: [&str; 2] = ["as trained", "scaled"];

fn findings(subjects: &Subjects, models: &[Calibrated], resamples: usize) -> Findings {
    let mut rows = Vec::new();
    let mut curves = vec![];
    for model in models {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        for (place, side) in model.sides.iter().enumerate() {
            let temperature = if place == 0 { 1.0 } else { mean(&model.temperatures) };
            let row = Row::new(format!("{}, {}", model.title, SIDES[place]))
                .with("temperature", temperature, None)
                .estimate("nll", &side.nll)
                .with("ece", side.ece, side.ece_ci95)
                .with("confidence", side.confidence, None)
                .estimate("accuracy", &side.accuracy);
            rows.push(match place {
                0 => row,
                _ => row.with("change", model.change.delta, model.change.ci95),
            });
            let points: Vec<[f64; 2]> =
                side.diagram.bins.iter().map(|bin| [bin.confidence, bin.accuracy]).collect();
            let color = match place {
                0 => model.color.toward(Color(0x8b, 0x93, 0xa1), 0.6),
                _ => model.color,
            };
            curves.push(Curve::line(format!("{}, {}", model.title, SIDES[place]), color, points));
        }
    }
    // As far as the farthest bin goes in either direction.
    let corners = curves.iter().flat_map(|curve| &curve.points).flatten();
    let end = corners.fold(0.0_f64, |end, value| end.max(*value)).max(1e-3);
    let diagonal = Curve::line("calibrated", DIAGONAL, vec![[0.0, 0.0], [end, end]]);
    curves.insert(0, diagonal);
    let split = &subjects.prepared.split;
    Findings {
        headline: headline(models),
        columns: vec![
            Column::new("temperature", "Temperature", Measure::Number),
            Column::new("nll", "NLL (nats)", Measure::Metric),
            Column::new("change", "Change in NLL (nats)", Measure::Metric),
            Column::new("ece", "ECE", Measure::Metric),
            Column::new("confidence", "Mean confidence", Measure::Share),
            Column::new("accuracy", "Best item taken", Measure::Share),
        ],
        rows,
        facts: facts(models),
        figure: Figure {
            title: format!("Reliability of the best item: {}", subjects.text()),
            x: "confidence: probability of the best item".to_owned(),
            y: "share of queries where it was taken".to_owned(),
            curves,
            ..Figure::default()
        },
        method: format!(
            "{} test queries (protocol {}) of {}: {}. The temperature of each run (Guo et al. 2017) \
             minimises the negative log-likelihood of {} validation queries and never sees a test \
             query. ECE: {BINS} bins of as many predictions each, of the best item's probability \
             against how often it was taken; its interval is a bootstrap of the queries, the same for every \
             seed, with {resamples} resamples, moved down by what resampling adds to the mean, and joined \
             with the t interval of the mean over seeds where there are several (root of the sum of \
             squares).",
            split.test.len(),
            split.protocol.word(),
            subjects.named,
            subjects.text(),
            models.first().map_or(0, |model| model.fitted_on),
        ),
        limits: "ECE is of the best item only and is never quite 0 with finitely many queries: \
                 compare it before and after, not with 0. One temperature cannot mend a model that is \
                 too sure of some users and not sure enough of others. No ranking changes with the \
                 temperature. A served run fits its own, on at most 1,000 validation queries and judged \
                 with other bins: its numbers differ a little."
            .to_owned(),
        ..Findings::default()
    }
}

fn headline(models: &[Calibrated]) -> String {
    let parts = models.iter().map(|model| {
        let [before, after] = &model.sides;
        format!(
            "{}: ECE {:.4} as trained, {:.4} scaled; NLL {:.3} and {:.3}",
            model.title, before.ece, after.ece, before.nll.mean, after.nll.mean
        )
    });
    parts.collect::<Vec<_>>().join(". ") + "."
}

fn facts(models: &[Calibrated]) -> Vec<String> {
    let p: Vec<f64> = models.iter().map(|model| model.change.p.unwrap_or(1.0)).collect();
    models.iter().zip(holm(&p)).map(|(model, p)| fact(model, p)).collect()
}

/// `p` is corrected for the number of models.
fn fact(model: &Calibrated, p: f64) -> String {
    let too_sure = model.sides[0].confidence - model.sides[0].accuracy.mean;
    let side = if too_sure > 0.0 { "too sure" } else { "not sure enough" };
    let temperatures: Vec<String> =
        model.temperatures.iter().map(|value| format!("{value:.3}")).collect();
    format!(
        "{} is {side} of its best item as trained, by {:.1} points in the mean; temperature {}; NLL \
         {:+.4} nats, p {} after Holm's correction.",
        model.title,
        100.0 * too_sure.abs(),
        temperatures.join(", "),
        model.change.delta,
        p_text(Some(p)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::subjects::testing;
    use crate::experiments::{Experiment, perform};

    #[test]
    fn what_is_said_of_known_scores() {
        // Odds 3 : 1.
        let said = say(&[3f32.ln(), 0.0], 0, 1.0);
        assert!(said.correct && (said.confidence - 0.75).abs() < 1e-6);
        assert!((said.nll - (4.0_f64 / 3.0).ln()).abs() < 1e-6);
        let other = say(&[3f32.ln(), 0.0], 1, 1.0);
        assert!(!other.correct && (other.nll - 4f64.ln()).abs() < 1e-6);
        // Twice the temperature: the root of the odds.
        let flat = say(&[9f32.ln(), 0.0], 0, 2.0);
        assert!((flat.confidence - 0.75).abs() < 1e-6);
        assert!(!say(&[1.0, 1.0, 0.0], 0, 1.0).correct, "a tie is no answer");
        let excluded = say(&[1.0, f32::NEG_INFINITY], 0, 1.0);
        assert_eq!((excluded.confidence, excluded.nll), (1.0, 0.0));
    }

    /// Of a model that is calibrated, whose ECE is noise alone: resampled ones are larger.
    #[test]
    fn an_interval_holds_the_error_that_it_is_of() {
        let said = |query: usize| Said {
            confidence: 0.1 + 0.8 * (query % 50) as f64 / 50.0,
            correct: (query * 7919) % 1000 < 100 + 16 * (query % 50),
            nll: 1.0,
        };
        let side = side(&[(0..1500).map(said).collect()], 200, 7);
        let [low, high] = side.ece_ci95.unwrap();
        assert!(low < side.ece && side.ece < high, "{low} {} {high}", side.ece);
        assert!(low >= 0.0 && high < side.ece + 0.05, "{low} {} {high}", side.ece);
    }

    #[test]
    fn seeds_that_disagree_widen_the_interval_to_hold_them() {
        // Right in as many of a hundred as the seed says, and as sure each time.
        let seed = |right: usize| -> Answers {
            let said =
                |query: usize| Said { confidence: 0.3, correct: query % 100 < right, nll: 1.0 };
            (0..2000).map(said).collect()
        };
        let alike = side(&[seed(20), seed(20), seed(20)], 200, 7);
        let apart = side(&[seed(10), seed(20), seed(28)], 200, 7);
        let [low, high] = apart.ece_ci95.unwrap();
        // Errors of 0.2, 0.1 and 0.02; Student's t of two degrees of freedom.
        let mean: f64 = 0.32 / 3.0;
        let deviation = [0.2, 0.1, 0.02].map(|ece: f64| (ece - mean).powi(2)).iter().sum::<f64>();
        let half = 4.3027 * (deviation / 2.0 / 3.0).sqrt();
        assert!((apart.ece - mean).abs() < 0.01, "{}", apart.ece);
        assert!(high - apart.ece > half && low == 0.0, "{low} {high} {half}");
        let [low, high] = alike.ece_ci95.unwrap();
        assert!(high - low < 0.06, "{low} {high}");
    }

    #[test]
    fn the_temperature_is_fitted_on_validation_and_changes_no_ranking() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = testing::trained(folder.path(), "gru", 2);
        let result = perform(Experiment::Calibration, &inputs, &testing::quiet()).unwrap();
        let findings = &result.findings;
        let before = findings.row("GRU, as trained").unwrap();
        let after = findings.row("GRU, scaled").unwrap();
        // A ranking does not change with the temperature.
        assert_eq!(before.value("accuracy"), after.value("accuracy"));
        assert_eq!(before.value("temperature"), Some(1.0));
        assert!(findings.method.contains("never sees a test query"));
        assert_eq!(findings.figure.curves.len(), 3);

        // The temperature is the validation queries' alone: other test queries leave it as it is.
        let mut subjects = Subjects::load(&inputs, &testing::quiet()).unwrap();
        let context = testing::quiet();
        let fitted = fit(&subjects, &subjects.models[0].seeds[0], &context).unwrap();
        subjects.prepared.split.test.truncate(30);
        assert_eq!(fit(&subjects, &subjects.models[0].seeds[0], &context).unwrap(), fitted);
        subjects.prepared.split.valid.truncate(30);
        assert_ne!(fit(&subjects, &subjects.models[0].seeds[0], &context).unwrap(), fitted);
    }
}
