//! The experiment among the others: its question, and its rows and curves as a table and a figure.

use super::{Alignment, AlignmentError, AlignmentEvent, AlignmentSettings, Contender, Share, run};
use crate::experiments::catalog::{About, Measured};
use crate::experiments::parts::Parts;
use crate::experiments::{
    Column, Curve, Event, ExperimentError, ExperimentStore, Figure, Findings, Inputs, Measure, Row,
};
use crate::figures::Color;
use crate::jobs::{self, Context};
use crate::language::files;
use crate::runs::DataRecord;
use crate::settings::AlignmentSection;

pub const ABOUT: About = About {
    word: "alignment",
    title: "Alignment (DPO)",
    asks: "Does preferring its own good answers teach a model to keep to JSON and to instructions?",
    claim: "JSON errors 14 % → 0 %, override failures 10 % → 0 %",
    source: "a random generator; there is no model",
    preset: "experiment-alignment",
    needs_run: false,
    takes: "about five minutes",
};

const MARGIN: Color = Color(0x2d, 0xb5, 0xa3);
const CHOSEN: Color = Color(0x8f, 0x7e, 0xe6);
const LOSS: Color = Color(0x4c, 0x9b, 0xe8);
/// Steps that a drawn point is the mean of.
const SMOOTH: usize = 10;

pub fn experiment(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let settings = settings(&inputs.config.alignment);
    let store = ExperimentStore::beside(&inputs.store);
    // Fine-tuning is what takes long: a stopped run goes on from its weights.
    let key = serde_json::to_string(&settings).unwrap_or_default();
    let parts = Parts::new(&store, ABOUT.word, &key);
    let outer = context.clone();
    let inner = jobs::detached(context.control().clone(), move |progress, events| {
        if !progress.message.is_empty() {
            outer.progress(progress.fraction, progress.message.clone());
        }
        events.into_iter().filter_map(live).for_each(|event| outer.send(event));
    });
    let alignment = run(&settings, parts.dir(), &inner).map_err(|error| match error {
        AlignmentError::Cancelled(cancelled) => ExperimentError::Cancelled(cancelled),
        error => ExperimentError::Alignment(error),
    })?;
    let mut findings = findings(&alignment);
    if let Some(folder) = files::default_folder() {
        super::publish(parts.dir(), &folder).map_err(AlignmentError::from)?;
        findings.facts.push(
            "The aligned model answers for System 2 where reasoner.kind is local.".to_owned(),
        );
    }
    parts.clear();
    let data = DataRecord {
        name: "generated prompts".to_owned(),
        users: 0,
        items: 0,
        events: settings.held_out as u64,
        fingerprint: format!("seed {}", settings.seed),
    };
    let device = "CPU, kernels of our own".to_owned();
    Ok(Measured { findings, data, run: None, device, files: Vec::new() })
}

fn settings(section: &AlignmentSection) -> AlignmentSettings {
    AlignmentSettings {
        seed: section.seed as u64,
        sft_steps: section.sft_steps,
        pair_prompts: section.pair_prompts,
        pair_samples: section.pair_samples,
        dpo_steps: section.dpo_steps,
        dpo_rate: section.dpo_rate,
        beta: section.beta,
        cut_rejected: section.cut_rejected,
        temperature: section.temperature,
        held_out: section.held_out,
        ..AlignmentSettings::default()
    }
}

/// A live curve's point, every few steps.
fn live(event: AlignmentEvent) -> Option<Event> {
    let point = |curve: &str, step: usize, y: f64| {
        step.is_multiple_of(SMOOTH)
            .then(|| Event::Point { curve: curve.to_owned(), at: [step as f64, y] })
    };
    match event {
        AlignmentEvent::Sft(at) => point("fine-tuning loss (nats a token)", at.step, at.loss),
        AlignmentEvent::Dpo(at) => point("DPO reward margin", at.step, at.margin),
        AlignmentEvent::MoreSft(at) => point("baseline's loss (nats a token)", at.step, at.loss),
        AlignmentEvent::Drawn(drawn) => Some(Event::Message(format!(
            "{} of {} answers of the model's own are good: {} pairs",
            drawn.good, drawn.answers, drawn.pairs
        ))),
        AlignmentEvent::Row(row) => Some(Event::Message(format!(
            "{}: JSON errors {}, override failures {}",
            row.contender.title(),
            told(&row.json_errors),
            told(&row.override_failures)
        ))),
    }
}

fn told(share: &Share) -> String {
    format!(
        "{:.1} % ({:.1}–{:.1}, {} of {})",
        100.0 * share.rate,
        100.0 * share.low,
        100.0 * share.high,
        share.count,
        share.n
    )
}

fn findings(alignment: &Alignment) -> Findings {
    let settings = &alignment.settings;
    let rows = alignment.rows.iter().map(|row| {
        let claimed = match row.contender {
            Contender::Sft => "14 % and 10 %",
            Contender::Dpo => "0 % and 0 %",
            _ => "",
        };
        let with = |cells: Row, key: &str, share: &Share| {
            cells.with(key, share.rate, Some([share.low, share.high]))
        };
        let mut cells = Row::new(row.contender.title()).claimed(claimed);
        cells = with(cells, "json_errors", &row.json_errors);
        cells = with(cells, "schema_errors", &row.schema_errors);
        cells = with(cells, "override_failures", &row.override_failures);
        cells = with(cells, "invented", &row.invented);
        cells = with(cells, "good", &row.good);
        with(cells, "fits", &row.fits)
    });
    // The intervals are in the table.
    let of = |contender: Contender, pick: fn(&super::Row) -> &Share| {
        let rate = alignment.row(contender).map_or(f64::NAN, |row| pick(row).rate);
        format!("{:.1}\u{a0}%", 100.0 * rate)
    };
    let before_after = |pick: fn(&super::Row) -> &Share| {
        format!("{} → {}", of(Contender::Sft, pick), of(Contender::Dpo, pick))
    };
    let last = alignment.dpo.last();
    let [first_chosen, last_chosen] =
        [alignment.dpo.first(), last].map(|point| point.map_or(f64::NAN, |point| point.chosen));
    Findings {
        headline: format!(
            "JSON errors {}; overrides ignored {}.",
            before_after(|row| &row.json_errors),
            before_after(|row| &row.override_failures)
        ),
        columns: vec![
            Column::new("json_errors", "JSON errors", Measure::Share),
            Column::new("schema_errors", "Not of the schema", Measure::Share),
            Column::new("override_failures", "Overrides ignored", Measure::Share),
            Column::new("invented", "Invented items", Measure::Share),
            Column::new("good", "Nothing to find fault with", Measure::Share),
            Column::new("fits", "Taste first", Measure::Share),
        ],
        rows: rows.collect(),
        facts: vec![
            format!(
                "{} of {} answers that the fine-tuned model gave to {} prompts were good; they made {} pairs.",
                alignment.drawn.good, alignment.drawn.answers, alignment.drawn.prompts, alignment.drawn.pairs
            ),
            format!(
                "The log-probability of the chosen answers went from {first_chosen:.2} to {last_chosen:.2} nats, and the reward margin to {:.2}.",
                last.map_or(f64::NAN, |point| point.margin)
            ),
            format!(
                "{} parameters; fine-tuning {:.0} s, pairs {:.0} s, DPO {:.0} s, the baseline of more steps {:.0} s, judging {:.0} s.",
                alignment.parameters,
                alignment.seconds.sft,
                alignment.seconds.pairs,
                alignment.seconds.dpo,
                alignment.seconds.more_sft,
                alignment.seconds.evaluation
            ),
        ],
        figure: figure(alignment),
        method: format!(
            "A decoder-only transformer is fine-tuned for {} steps on answers of which a known share is spoilt, then taught by DPO (β {}, frozen reference, summed log-probabilities{}) for {} steps on pairs of its own sampled answers. {} held-out prompts of templates that no training prompt had are answered at temperature {} and read by a strict parser; intervals are Wilson's at 95 %. Overrides count among answers that parse.",
            settings.sft_steps,
            settings.beta,
            if settings.cut_rejected {
                ", a rejected answer up to where it leaves the chosen one"
            } else {
                ""
            },
            settings.dpo_steps,
            settings.held_out,
            settings.temperature,
        ),
        limits: "A model of a third of a million parameters on generated prompts of at most ten candidates, whose taste is marked: it shows what the method does, not what a large model would. Held-out prompts combine phrases in ways not seen in training; each phrase was seen."
            .to_owned(), ..Findings::default() }
}

/// Means of a few steps each, against the step.
fn figure(alignment: &Alignment) -> Figure {
    let line = |name: &str, color, pick: fn(&super::DpoPoint) -> f64| {
        let points = alignment.dpo.chunks(SMOOTH).map(|chunk| {
            let mean = chunk.iter().map(pick).sum::<f64>() / chunk.len() as f64;
            [chunk[chunk.len() - 1].step as f64, mean]
        });
        Curve::line(name, color, points.collect())
    };
    Figure {
        title: "DPO: what the pairs' answers are worth to the model".to_owned(),
        x: "DPO step".to_owned(),
        x_log: false,
        y: "nats".to_owned(),
        curves: vec![
            line("reward margin", MARGIN, |point| point.margin),
            line("log-probability of the chosen answer", CHOSEN, |point| point.chosen),
            line("loss", LOSS, |point| point.loss),
        ],
        ..Figure::default()
    }
}
