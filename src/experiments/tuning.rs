//! Tuning: a search for good settings over a declared space, judged on validation only, with the
//! winner tested once.

use super::catalog::{About, Measured};
use super::parts::Parts;
use super::{
    Column, Event, ExperimentError, ExperimentStore, Figure, Findings, Inputs, Measure, Row, event,
};
use crate::figures::{Parallel, ParallelAxis, ParallelLine};
use crate::jobs::{self, Context};
use crate::runs::metric_text;
use crate::settings::{Axis, Config, Kind, Range, Schedule, Space, TuningMethod, Value};
use crate::training::tuning::{self, Cuts, Search, Status, Trial, TuneError, TuneEvent};

pub const ABOUT: About = About {
    word: "tuning",
    title: "Tuning",
    asks: "Which settings are best on validation, and what does the best of them reach on test?",
    claim: "",
    source: "",
    preset: "experiment-tuning",
    needs_run: false,
    takes: "about a minute",
};

/// Rows of the table; all trials are in the figure and in `search.json`.
const SHOWN: usize = 12;

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let config = &inputs.config;
    // Before any data is loaded: a space that cannot be searched is refused at once.
    Space::parse(&config.tuning.space).map_err(TuneError::from)?;
    let training = event::training(context, [0.0, 0.02]);
    let cuts = Cuts::load(config, &training)?;
    let fingerprint = &cuts.prepared().record.fingerprint;
    let store = ExperimentStore::beside(&inputs.store);
    let parts = Parts::new(&store, ABOUT.word, &format!("{}{fingerprint}", config.to_toml()));
    // The search keeps itself; what is kept here is which it is.
    let group = match config.ablation.group.as_str() {
        "" => parts.part("group", || Ok(Search::fresh_group()))?,
        named => named.to_owned(),
    };
    let search = if Search::exists(&inputs.store, &group) {
        let begun = Search::load(&inputs.store, &group)?;
        begun.check_settings(config)?;
        // Its data may have moved.
        Search { config: begun.config.clone().on_data_of(config), ..begun }
    } else {
        Search::new(config, &group, fingerprint)?
    };
    context.send(Event::Message(format!(
        "search {group}: {} trials; `deepm3 tune --resume {group}` goes on where it is stopped",
        search.trials.len()
    )));
    let search = tuning::run(search, &cuts, &inputs.store, &inputs.device, &telling(context))?;
    parts.clear();
    let file = serde_json::to_vec_pretty(&search).map_err(|error| ExperimentError::File {
        path: "search.json".into(),
        reason: error.to_string(),
    })?;
    let mut files = vec![("search.json".to_owned(), file)];
    if let Some(best) = search.best_trial() {
        files.push(("best.toml".to_owned(), search.preset_of(best)?.to_toml().into_bytes()));
    }
    Ok(Measured {
        findings: findings(&search)?,
        data: cuts.prepared().record.clone(),
        run: search.tested.as_ref().map(|tested| tested.run.clone()),
        device: search.tested.as_ref().map_or(String::new(), |tested| tested.device.clone()),
        files,
    })
}

/// A context for the search: a line for each trial that got further, and the figure so far.
fn telling(context: &Context<Event>) -> Context<TuneEvent> {
    let outer = context.clone();
    let told = std::sync::Mutex::new(std::collections::BTreeMap::new());
    jobs::detached(context.control().clone(), move |progress, events| {
        if !progress.message.is_empty() {
            outer.progress(progress.fraction, progress.message.clone());
        }
        for event in events {
            match event {
                TuneEvent::Epoch { .. } => {}
                TuneEvent::Message(text) => outer.send(Event::Message(text)),
                TuneEvent::Judged(search) => {
                    let Ok(mut told) = told.lock() else { continue };
                    for trial in search.trials.iter().filter(|trial| trial.rungs > 0) {
                        let Some(score) = trial.valid_ndcg10 else { continue };
                        if told.insert(trial.trial, trial.rungs) != Some(trial.rungs) {
                            outer.send(Event::Message(format!(
                                "trial {:>3}  {:>3} epochs  validation NDCG@10 {score:.4}  {}",
                                trial.trial,
                                trial.epochs,
                                values_text(trial)
                            )));
                        }
                    }
                    if let Ok(figure) = figure(&search) {
                        outer.send(Event::Figure(Box::new(figure)));
                    }
                }
            }
        }
    })
}

fn values_text(trial: &Trial) -> String {
    let parts = trial.values.iter().map(|(key, value)| {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        format!("{name} {value}")
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn findings(search: &Search) -> Result<Findings, TuneError> {
    let space = Space::parse(&search.config.tuning.space)?;
    let mut shown: Vec<&Trial> = search.trials.iter().collect();
    let score = |trial: &Trial| trial.valid_ndcg10.unwrap_or(f64::NEG_INFINITY);
    // Those that got furthest first: scores after fewer epochs are not of the same race.
    shown.sort_by(|a, b| {
        let of = |trial: &Trial| (trial.status == Status::Best, trial.rungs);
        of(b).cmp(&of(a)).then(score(b).total_cmp(&score(a)))
    });
    shown.truncate(SHOWN);
    let numbers = space.axes.iter().filter(|axis| is_number(axis));
    let columns = numbers
        .map(|axis| {
            let whole = matches!(axis.setting.kind, Kind::Integer { .. });
            let measure = if whole { Measure::Count } else { Measure::Number };
            Column::new(axis.setting.key, axis.setting.label, measure)
        })
        .chain([
            Column::new("epochs", "Epochs", Measure::Count),
            Column::new("valid_hr10", "HR@10, validation", Measure::Metric),
            Column::new("valid_ndcg10", "NDCG@10, validation", Measure::Metric),
            Column::new("seconds", "Training (s)", Measure::Number),
            Column::new("test_hr10", "HR@10, test", Measure::Metric),
            Column::new("test_ndcg10", "NDCG@10, test", Measure::Metric),
        ]);
    let rows = shown.into_iter().map(|trial| row(search, &space, trial));
    let best = search.best_trial();
    Ok(Findings {
        headline: headline(search),
        columns: columns.collect(),
        rows: rows.collect(),
        facts: facts(search),
        figure: figure(search)?,
        method: method(search),
        limits: limits(search),
        found: best.map(|trial| trial.values.clone()).unwrap_or_default(),
        ..Findings::default()
    })
}

fn is_number(axis: &Axis) -> bool {
    match &axis.range {
        Range::Choices(values) => {
            values.iter().all(|value| matches!(value, Value::Integer(_) | Value::Number(_)))
        }
        Range::Integer { .. } | Range::Number { .. } => true,
    }
}

fn row(search: &Search, space: &Space, trial: &Trial) -> Row {
    let words = space.axes.iter().filter(|axis| !is_number(axis));
    let words = words.filter_map(|axis| trial.values.get(axis.setting.key));
    let words: Vec<String> = words.map(Value::to_string).collect();
    let mut name = format!("Trial {}", trial.trial);
    for part in words.iter().map(String::as_str).chain(match trial.status {
        Status::Best => Some("chosen"),
        Status::Failed => Some("failed"),
        _ => None,
    }) {
        name.push_str(&format!(", {part}"));
    }
    let mut row = Row::new(name)
        .with("epochs", trial.epochs as f64, None)
        .with("valid_hr10", trial.valid_hr10.unwrap_or(f64::NAN), None)
        .with("valid_ndcg10", trial.valid_ndcg10.unwrap_or(f64::NAN), None)
        .with("seconds", trial.seconds, None);
    for (key, value) in &trial.values {
        match value {
            Value::Integer(value) => row = row.with(key, *value as f64, None),
            Value::Number(value) => row = row.with(key, *value, None),
            Value::Switch(_) | Value::Text(_) => {}
        }
    }
    match &search.tested {
        Some(tested) if trial.status == Status::Best => {
            row.estimate("test_hr10", &tested.hr10).estimate("test_ndcg10", &tested.ndcg10)
        }
        _ => row,
    }
}

fn headline(search: &Search) -> String {
    let (Some(best), Some(tested)) = (search.best_trial(), &search.tested) else {
        return "No trial could be trained.".to_owned();
    };
    format!(
        "Trial {} of {}: {}. NDCG@10 {:.4} on validation, {} on test.",
        best.trial,
        search.trials.len(),
        values_text(best),
        best.valid_ndcg10.unwrap_or(f64::NAN),
        metric_text(tested.ndcg10.mean, tested.ndcg10.ci95)
    )
}

fn facts(search: &Search) -> Vec<String> {
    let count = |status: Status| search.trials.iter().filter(|one| one.status == status).count();
    let epochs: usize = search.trials.iter().map(|trial| trial.epochs).sum();
    let most = search.config.training.epochs * search.trials.len();
    let mut facts = vec![format!(
        "{epochs} epochs were trained in all; all trials to the end would have been {most}."
    )];
    let failed = count(Status::Failed);
    if failed > 0 {
        let first = search.trials.iter().find(|trial| trial.status == Status::Failed);
        let first = first.map_or("", |trial| trial.failure.as_str());
        facts.push(format!("{failed} trials failed; the first said: {first}."));
    }
    let mut final_scores: Vec<f64> = search
        .trials
        .iter()
        .filter(|trial| matches!(trial.status, Status::Best | Status::Finished))
        .filter_map(|trial| trial.valid_ndcg10)
        .collect();
    final_scores.sort_by(|a, b| b.total_cmp(a));
    if let [first, second, ..] = final_scores.as_slice() {
        facts.push(format!("The second best is {:.4} behind on validation.", first - second));
    }
    let trials = search.trials.len();
    let small = trials < search.config.tuning.trials;
    if small {
        facts.push(format!("The space has {trials} points only: each was tried once."));
    }
    facts
}

fn method(search: &Search) -> String {
    let settings = &search.config.tuning;
    let how = match settings.method {
        TuningMethod::Random => format!(
            "{} points were drawn and each was trained for {} epochs (random search, Bergstra & \
             Bengio 2012).",
            search.trials.len(),
            search.config.training.epochs
        ),
        TuningMethod::Halving => {
            let rungs =
                search.rungs.iter().map(|rung| format!("{} to epoch {}", rung.trials, rung.epochs));
            format!(
                "Successive halving (Jamieson & Talwalkar 2016; the budgets of a bracket of Li et \
                 al. 2018): {}; at each rung the best 1/{} went on from their checkpoints.",
                rungs.collect::<Vec<_>>().join(", "),
                settings.reduction
            )
        }
    };
    format!(
        "{how} Space: {}; seed {}. Trials were judged by NDCG@10 on the validation queries{}; no \
         test query was scored before the choice was made, and then only for the chosen trial.",
        settings.space,
        settings.seed,
        if search.config.training.keep_best { ", at their best epoch" } else { "" },
    )
}

fn limits(search: &Search) -> String {
    let mut text =
        "The best of many validation scores is better than it is by luck: read the test \
                    score. One training seed a trial; settings that start slowly are dropped early \
                    by halving."
            .to_owned();
    if search.config.training.schedule != Schedule::Constant && search.rungs.len() > 1 {
        text.push_str(
            " The learning rate's schedule is laid over all epochs, so early rungs compare trials \
             whose rate has not come down yet.",
        );
    }
    text
}

/// A line a trial; trials without a score yet end before the last axis.
fn figure(search: &Search) -> Result<Figure, TuneError> {
    let config: &Config = &search.config;
    let space = Space::parse(&config.tuning.space)?;
    let mut axes: Vec<ParallelAxis> = space.axes.iter().map(axis).collect();
    let thinned = search.rungs.len() > 1;
    if thinned {
        axes.push(ParallelAxis {
            label: "Epochs".to_owned(),
            ends: [0.0, config.training.epochs as f64],
            log: false,
            words: Vec::new(),
        });
    }
    let scores = || search.trials.iter().filter_map(|trial| trial.valid_ndcg10);
    let ends = [scores().fold(f64::INFINITY, f64::min), scores().fold(f64::NEG_INFINITY, f64::max)];
    axes.push(ParallelAxis {
        label: "Validation NDCG@10".to_owned(),
        ends: if ends[0] <= ends[1] { ends } else { [0.0, 1.0] },
        log: false,
        words: Vec::new(),
    });
    let lines = search.trials.iter().map(|trial| {
        let values = space
            .axes
            .iter()
            .map(|axis| trial.values.get(axis.setting.key).and_then(|value| place(axis, value)));
        let epochs = thinned.then(|| (trial.epochs > 0).then_some(trial.epochs as f64));
        ParallelLine {
            name: format!("Trial {}, {}", trial.trial, trial.status.word()),
            values: values.chain(epochs).chain([trial.valid_ndcg10]).collect(),
        }
    });
    Ok(Figure {
        title: format!("{} trials and what they reached on validation", search.trials.len()),
        x: "setting".to_owned(),
        y: "value".to_owned(),
        parallel: Some(Parallel { lines: lines.collect(), axes }),
        ..Figure::default()
    })
}

fn axis(of: &Axis) -> ParallelAxis {
    let log_of_setting = matches!(
        of.setting.kind,
        Kind::Integer { logarithmic: true, .. } | Kind::Number { logarithmic: true, .. }
    );
    let (ends, log, words) = match &of.range {
        Range::Integer { low, high, log } => ([*low as f64, *high as f64], *log, Vec::new()),
        Range::Number { low, high, log } => ([*low, *high], *log, Vec::new()),
        Range::Choices(values) if is_number(of) => {
            let numbers = || values.iter().filter_map(|value| place(of, value));
            let ends = [
                numbers().fold(f64::INFINITY, f64::min),
                numbers().fold(f64::NEG_INFINITY, f64::max),
            ];
            (ends, log_of_setting && ends[0] > 0.0, Vec::new())
        }
        Range::Choices(values) => {
            let words = values.iter().map(Value::to_string).collect();
            ([0.0, values.len().saturating_sub(1) as f64], false, words)
        }
    };
    let unit = of.setting.unit;
    let label = of.setting.label;
    let label = if unit.is_empty() { label.to_owned() } else { format!("{label} ({unit})") };
    ParallelAxis { label, ends, log, words }
}

/// Where a value stands on its axis: itself, or its place among the words.
fn place(axis: &Axis, value: &Value) -> Option<f64> {
    match (value, &axis.range) {
        (Value::Integer(value), _) => Some(*value as f64),
        (Value::Number(value), _) => Some(*value),
        (word, Range::Choices(words)) => {
            words.iter().position(|other| other == word).map(|place| place as f64)
        }
        _ => None,
    }
}
