//! Ingredients: the model as it is set, and the same with one ingredient taken away or exchanged at a
//! time, over several seeds: which of them carry it, and which could go?

mod list;
mod words;

use std::sync::{Mutex, PoisonError};

use super::catalog::{About, Measured};
use super::inputs::epoch_kept;
use super::parts::Parts;
use super::{Column, Event, ExperimentError, ExperimentStore, Findings, Inputs, Measure, Row};
use crate::data::import::ImportOptions;
use crate::data::load;
use crate::evaluation::{Comparison, compare, holm, mean_metric};
use crate::figures::{Color, model_color};
use crate::jobs::{self, Context};
use crate::runs::{RunStore, model_title};
use crate::settings::{AblationSettings, Config, Targets};
use crate::training::evaluate::per_query;
use crate::training::several::{self, Tested, Wanted};
use crate::training::{Plan, Prepared, TrainError, TrainEvent};

pub use list::{INGREDIENTS, asked};
use words::{facts, figure, headline};

pub const ABOUT: About = About {
    word: "ingredients",
    title: "Ingredients",
    asks: "What does each ingredient of a model contribute?",
    claim: "",
    source: "",
    preset: "experiment-ingredients",
    needs_run: false,
    takes: "about a minute",
};

const TITLE: &str = "The full model";

/// What a row of the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Ingredient,
    /// Another model.
    Rival,
    /// It only counts.
    Baseline,
}

/// A model to train.
struct Variant {
    title: String,
    kind: Kind,
    config: Config,
    color: Color,
}

/// What was measured of a row.
struct Judged {
    title: String,
    kind: Kind,
    color: Color,
    /// `[seed][query]`; a baseline has one seed.
    hit: Vec<Vec<f64>>,
    ndcg: Vec<Vec<f64>>,
    /// Mean over seeds; none of what is not trained.
    seconds: Option<f64>,
}

/// A row beside the full model: NDCG@10 less that of the full model, and its p after Holm.
struct Compared {
    change: Comparison,
    p: Option<f64>,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let full = Config {
        // Its trainings are nobody's group.
        ablation: AblationSettings {
            group: String::new(),
            models: inputs.config.model.solver.word().to_owned(),
            ..inputs.config.ablation.clone()
        },
        ..inputs.config.clone()
    };
    // Before any data is loaded: an unknown word is refused at once.
    let (variants, absent) = variants(&full)?;
    let seeds = Plan::from_config(&full, inputs.device.clone())?.seeds;
    let cuts = Cuts::load(&full, &variants, context)?;
    let (prepared, store) = (&cuts.first, ExperimentStore::beside(&inputs.store));
    let key = format!("{}{}", full.to_toml(), prepared.record.fingerprint);
    let parts = Parts::new(&store, ABOUT.word, &key);
    // Its trainings lie with its parts: they are no runs of the user's, and go with it.
    let runs = RunStore::open(Some(&parts.dir().join("runs")))?;
    let wanted: Vec<Wanted> = variants
        .iter()
        .flat_map(|variant| seeds.iter().map(move |&seed| (variant, seed)))
        .map(|(variant, seed)| {
            let mut config = variant.config.clone();
            config.training.seed = seed as usize;
            let prepared = cuts.of(config.model.targets);
            Wanted { config, prepared, label: format!("s{seed}") }
        })
        .collect();
    let board = Board { variants: &variants, seeds: &seeds, ranks: Mutex::default() };
    let tell = |place: usize, tested: &Tested| board.note(place, tested, context);
    let mut results =
        several::train(&wanted, &runs, &inputs.device, &telling(context), &tell)?.into_iter();
    let (mut judged, mut left_out) = (Vec::new(), Vec::new());
    let mut device = String::new();
    for variant in &variants {
        // All of its seeds are taken, whether or not one of them failed.
        let own: Vec<_> = results.by_ref().take(seeds.len()).collect();
        let own: Result<Vec<Tested>, TrainError> = own.into_iter().collect();
        match own {
            Ok(own) => {
                if let Some(first) = own.first().filter(|_| device.is_empty()) {
                    device.clone_from(&first.summary.device);
                }
                judged.push(variant.judged(&own));
            }
            Err(error) if variant.kind == Kind::Full => return Err(error.into()),
            Err(error) => left_out.push(format!("{} is left out: {error}.", variant.title)),
        }
    }
    judged.extend(counted(prepared));
    if !absent.is_empty() {
        let words = absent.join(", ");
        left_out.push(format!("Of what was asked for, the full model has none of: {words}."));
    }
    let findings = findings(&full, prepared, &judged, left_out);
    parts.clear();
    Ok(Measured { findings, data: prepared.record.clone(), run: None, device, files: Vec::new() })
}

/// The full model and what becomes of it, each different from all before; and the words of
/// `study.ingredients` that it has nothing of.
fn variants(full: &Config) -> Result<(Vec<Variant>, Vec<&'static str>), ExperimentError> {
    let asked = asked(&full.study.ingredients)?;
    let color = model_color(full.model.solver.word());
    let title = TITLE.to_owned();
    let mut variants = vec![Variant { title, kind: Kind::Full, config: full.clone(), color }];
    let mut absent = Vec::new();
    for one in asked {
        let mut config = full.clone();
        match (one.change)(&mut config) {
            Some(title) => {
                let kind = if one.rival { Kind::Rival } else { Kind::Ingredient };
                let own = if one.rival { config.model.solver.word() } else { "" };
                let color = model_color(own);
                variants.push(Variant { title: title.to_owned(), kind, config, color });
            }
            // Where none is named, all that are there are meant.
            None if full.study.ingredients.trim().is_empty() => {}
            None => absent.push(one.word),
        }
    }
    Ok((variants, absent))
}

/// The data, cut as the variants need it: `model.targets` decides the training sequences. The
/// held-out queries are the same.
struct Cuts {
    first: Prepared,
    other: Option<(Targets, Prepared)>,
}

impl Cuts {
    fn load(
        full: &Config,
        variants: &[Variant],
        context: &Context<Event>,
    ) -> Result<Self, ExperimentError> {
        let options = ImportOptions::from_settings(&full.data).map_err(TrainError::from)?;
        let raw = load(&full.data.source, &options, context).map_err(TrainError::from)?;
        let first = Prepared::from_dataset(&raw, full, context)?;
        let targets = full.model.targets;
        let another = variants.iter().find(|variant| variant.config.model.targets != targets);
        let cut = |variant: &Variant| -> Result<(Targets, Prepared), TrainError> {
            let prepared = Prepared::from_dataset(&raw, &variant.config, context)?;
            Ok((variant.config.model.targets, prepared))
        };
        Ok(Self { first, other: another.map(cut).transpose()? })
    }

    fn of(&self, targets: Targets) -> &Prepared {
        let other = self.other.as_ref().filter(|(own, _)| *own == targets);
        other.map_or(&self.first, |(_, prepared)| prepared)
    }
}

/// A context for the trainings: what they say, and how far they are.
fn telling(context: &Context<Event>) -> Context<TrainEvent> {
    let outer = context.clone();
    jobs::detached(context.control().clone(), move |progress, events| {
        if !progress.message.is_empty() {
            outer.progress(progress.fraction, progress.message.clone());
        }
        for event in events {
            if let TrainEvent::Message(text) = event {
                outer.send(Event::Message(text));
            }
        }
    })
}

/// What is there so far, for the figure while it grows.
struct Board<'a> {
    variants: &'a [Variant],
    seeds: &'a [u64],
    /// By the place of the training.
    ranks: Mutex<Vec<(usize, Vec<u32>)>>,
}

impl Board<'_> {
    fn note(&self, place: usize, tested: &Tested, context: &Context<Event>) {
        let count = self.seeds.len().max(1);
        let variant = &self.variants[place / count];
        context.send(Event::Message(format!(
            "{}, seed {}: NDCG@10 {:.4}, {:.1} s",
            variant.title,
            tested.summary.seed,
            tested.summary.ndcg10.mean,
            tested.summary.train_seconds
        )));
        let mut known = self.ranks.lock().unwrap_or_else(PoisonError::into_inner);
        known.push((place, tested.ranks.clone()));
        let whole = |index: usize| -> Option<Judged> {
            let mut own: Vec<&(usize, Vec<u32>)> =
                known.iter().filter(|(place, _)| place / count == index).collect();
            own.sort_by_key(|(place, _)| *place);
            let ranks = own.iter().map(|(_, ranks)| ranks.as_slice());
            (own.len() == count).then(|| self.variants[index].with_ranks(ranks, None))
        };
        let judged: Vec<Judged> = (0..self.variants.len()).filter_map(whole).collect();
        if judged.len() > 1 && judged[0].kind == Kind::Full {
            let figure = figure(&judged, &beside_the_full(&judged), "");
            context.send(Event::Figure(Box::new(figure)));
        }
    }
}

impl Variant {
    fn judged(&self, seeds: &[Tested]) -> Judged {
        let seconds: f64 = seeds.iter().map(|seed| seed.summary.train_seconds).sum();
        let mean = seconds / seeds.len().max(1) as f64;
        self.with_ranks(seeds.iter().map(|seed| seed.ranks.as_slice()), Some(mean))
    }

    fn with_ranks<'a>(
        &self,
        seeds: impl Iterator<Item = &'a [u32]>,
        seconds: Option<f64>,
    ) -> Judged {
        let (hit, ndcg) = seeds
            .map(|ranks| {
                let metrics = per_query(ranks);
                (metrics.hit, metrics.ndcg)
            })
            .unzip();
        let (title, kind, color) = (self.title.clone(), self.kind, self.color);
        Judged { title, kind, color, hit, ndcg, seconds }
    }
}

/// The baselines, which only count and have no seeds.
fn counted(prepared: &Prepared) -> impl Iterator<Item = Judged> {
    prepared.baselines.iter().map(|(baseline, ranks)| {
        let metrics = per_query(ranks);
        Judged {
            title: format!("{} (baseline)", model_title(baseline.word())),
            kind: Kind::Baseline,
            color: model_color(baseline.word()),
            hit: vec![metrics.hit],
            ndcg: vec![metrics.ndcg],
            seconds: None,
        }
    })
}

/// Every row after the first, which is the full model, paired with it over queries and seeds.
fn beside_the_full(judged: &[Judged]) -> Vec<Compared> {
    let Some((full, others)) = judged.split_first() else { return Vec::new() };
    let changes: Vec<Comparison> =
        others.iter().map(|one| compare(&one.ndcg, &full.ndcg)).collect();
    // What could not be tested is no test.
    let tested: Vec<f64> = changes.iter().filter_map(|change| change.p).collect();
    let mut corrected = holm(&tested).into_iter();
    let with_p = changes.into_iter().map(|change| {
        let p = change.p.and_then(|_| corrected.next());
        Compared { change, p }
    });
    with_p.collect()
}

fn findings(
    full: &Config,
    prepared: &Prepared,
    judged: &[Judged],
    left_out: Vec<String>,
) -> Findings {
    let compared = beside_the_full(judged);
    let none = std::iter::once(None);
    let rows = judged.iter().zip(none.chain(compared.iter().map(Some))).map(|(one, beside)| {
        let row = Row::new(&one.title)
            .estimate("hr10", &mean_metric(&one.hit))
            .estimate("ndcg10", &mean_metric(&one.ndcg))
            .with("train_seconds", one.seconds.unwrap_or(f64::NAN), None);
        let Some(Compared { change, p }) = beside else { return row };
        row.with("change", change.delta, change.ci95).with("p", p.unwrap_or(f64::NAN), None)
    });
    let seeds = full.ablation.seeds;
    Findings {
        headline: headline(judged, &compared),
        columns: vec![
            Column::new("hr10", "HR@10", Measure::Metric),
            Column::new("ndcg10", "NDCG@10", Measure::Metric),
            Column::new("change", "Change in NDCG@10", Measure::Metric),
            Column::new("p", "p (Holm)", Measure::Chance),
            Column::new("train_seconds", "Training (s)", Measure::Number),
        ],
        rows: rows.collect(),
        facts: facts(judged, &compared).into_iter().chain(left_out).collect(),
        figure: figure(judged, &compared, &prepared.record.name),
        method: format!(
            "The full model is {} as it is set; each variant has one ingredient taken away or \
             exchanged and every other setting as it is. {seeds} {} a model, {}; protocol {}, {} test \
             queries, full ranking of all items. Changes are paired with the full model over queries and seeds; 95 % intervals are clustered over both, and \
             p is corrected for all rows (Holm). Baselines count and have no seeds.",
            full.model.solver.title(),
            if seeds == 1 { "seed" } else { "seeds" },
            epoch_kept(full),
            prepared.split.protocol.word(),
            prepared.split.test.len(),
        ),
        limits: "One ingredient at a time: of two that do the same work each looks dispensable \
                 while the other is there. The other settings were chosen for the full model, and a \
                 variant might do better with its own. These are test queries: choose a model on \
                 validation."
            .to_owned(),
        ..Findings::default()
    }
}

#[cfg(test)]
mod tests;
