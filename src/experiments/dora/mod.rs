//! DoRA: a source model that never learned to predict one domain is brought to it by adapters, by its
//! head alone, and as a whole: what is gained there, and what is forgotten elsewhere?

mod keep;
mod learn;
mod shift;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::catalog::{About, Measured};
use super::parts::Parts;
use super::{
    Column, Curve, Event, ExperimentError, ExperimentStore, Figure, Findings, Inputs, Measure, Row,
};
use crate::dynamics::parameters;
use crate::evaluation::mean_over;
use crate::figures::Color;
use crate::jobs::Context;
use crate::settings::{Config, Head, ItemDynamics, Protocol, Targets};
use crate::training::Prepared;
use keep::keep;
use learn::{Method, Setting};
use shift::Shift;

pub const ABOUT: About = About {
    word: "dora",
    title: "DoRA fine-tuning",
    asks: "What does adapting to a new domain gain there, and what does it forget elsewhere?",
    claim: "DoRA fine-tuning, without a number",
    source: "there is a file for it with no training loop",
    preset: "experiment-dora",
    needs_run: false,
    takes: "half a minute",
};

/// What one source model became, method by method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outcome {
    /// NDCG@10 on the source and on the target domain, for each of [`Method::ALL`].
    ndcg: Vec<[f64; 2]>,
    /// The same before, and after each epoch.
    paths: Vec<Vec<[f64; 2]>>,
    trained: Vec<usize>,
    seconds: Vec<f64>,
    source_seconds: f64,
    /// Mean loss of its last epoch, in nats.
    source_loss: f64,
    /// Of the first seed, its source model as a file.
    source: Option<Vec<u8>>,
    /// Of the first seed, its adapters as files.
    files: Vec<(String, Vec<u8>)>,
}

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let mut config = inputs.config.clone();
    if config.model.solver.is_attention() {
        return Err(ExperimentError::NoState(config.model.solver.title()));
    }
    // Adapters need a head of its own, and the domains need targets at every position.
    config.model.head = Head::Linear;
    config.model.targets = Targets::All;
    config.model.dropout = 0.0;
    // An adapter changes the state's own scores; what the world wants now stays as it is.
    config.model.item_dynamics = ItemDynamics::None;
    config.model.learn_time_scale = false;
    config.evaluation.protocol = Protocol::LeaveOneOut;
    let prepared = Prepared::load(&config, context)?;
    let shift = Shift::new(&prepared, &config.adapter)?;
    let store = ExperimentStore::beside(&inputs.store);
    let key = format!("{}{}", config.to_toml(), prepared.record.fingerprint);
    let parts = Parts::new(&store, ABOUT.word, &key);
    let go_on = || context.checkpoint();

    let first = config.training.seed as u64;
    let seeds: Vec<u64> = (first..first + config.adapter.seeds as u64).collect();
    let mut outcomes = Vec::new();
    for (place, &seed) in seeds.iter().enumerate() {
        let share = |step: usize| {
            let steps = Method::ALL.len() + 1;
            Some((place * steps + step) as f32 / (seeds.len() * steps) as f32)
        };
        let outcome = parts.part(&format!("seed-{seed}"), || {
            let tell = |method: Method, epoch: usize, ndcg: f64| {
                let curve = format!("{}, target, seed {seed}", method.title());
                context.send(Event::Point { curve, at: [epoch as f64, ndcg] });
            };
            let setting = Setting {
                config: &config,
                prepared: &prepared,
                shift: &shift,
                go_on: &go_on,
                tell: &tell,
            };
            one(&setting, seed, place == 0, &|step, what| {
                context.progress(share(step), format!("Seed {seed}: {what}"));
            })
        })?;
        outcomes.push(outcome);
    }
    let (mut files, mut run) = (Vec::new(), None);
    if let Some(first) = outcomes.first_mut() {
        files = std::mem::take(&mut first.files);
        if let Some(source) = first.source.take() {
            let of = (&config, &prepared, &shift);
            run = Some(keep(&inputs.store, of, first, &source, context)?);
        }
    }
    parts.clear();
    let mut findings = findings(&config, &prepared, &shift, &outcomes);
    findings.facts.extend(run.as_ref().map(|run| {
        format!(
            "The source model of seed {first} is run {run}; its adapters are files of this result. \
             Put one on the model live with `deepm3 serve --run {run} --adapter FILE`, or make a \
             run of both with `deepm3 runs merge {run} --adapter FILE`."
        )
    }));
    Ok(Measured {
        findings,
        data: prepared.record.clone(),
        run,
        device: "CPU: source models in fused kernels, adaptation in tensors".to_owned(),
        files,
    })
}

/// One source model and what every method makes of it.
fn one(
    setting: &Setting<'_>,
    seed: u64,
    keep_files: bool,
    say: &dyn Fn(usize, &str),
) -> Result<Outcome, ExperimentError> {
    say(0, "training the source model");
    let begun = std::time::Instant::now();
    let (source, source_loss) = setting.source(seed)?;
    let source_seconds = begun.elapsed().as_secs_f64();
    let mut outcome = Outcome {
        ndcg: Vec::new(),
        paths: Vec::new(),
        trained: Vec::new(),
        seconds: Vec::new(),
        source_seconds,
        source_loss,
        source: None,
        files: Vec::new(),
    };
    if keep_files {
        let named = source.iter().map(|matrix| (matrix.name.clone(), matrix));
        outcome.source = Some(crate::training::checkpoint::encode(named, Default::default())?);
    }
    for (place, method) in Method::ALL.into_iter().enumerate() {
        say(place + 1, method.title());
        let adapted = setting.adapt(method, &source, seed)?;
        outcome.ndcg.push(adapted.path.last().copied().unwrap_or_default());
        outcome.paths.push(adapted.path);
        outcome.trained.push(adapted.trained);
        outcome.seconds.push(adapted.seconds);
        if let Some(file) = adapted.adapter.filter(|_| keep_files) {
            let name = method.title().to_lowercase();
            outcome.files.push((format!("adapter-{name}.safetensors"), file));
        }
    }
    Ok(outcome)
}

/// A number of every seed as mean and 95 % interval over seeds.
fn over(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> crate::evaluation::Estimate {
    mean_over(&[outcomes.iter().map(of).collect()])
}

fn findings(config: &Config, prepared: &Prepared, shift: &Shift, outcomes: &[Outcome]) -> Findings {
    const FROZEN: usize = 0;
    let all = parameters::count(&config.model, prepared.data.items()) as f64;
    let gain = |o: &Outcome, method: usize| o.ndcg[method][1] - o.ndcg[FROZEN][1];
    let forgotten = |o: &Outcome, method: usize| o.ndcg[FROZEN][0] - o.ndcg[method][0];
    let mut rows = Vec::new();
    let (mut curves, mut dots) = (Vec::new(), Vec::new());
    for (place, method) in Method::ALL.into_iter().enumerate() {
        let trained = outcomes.first().map_or(0, |outcome| outcome.trained[place]) as f64;
        let mut row = Row::new(method.title())
            .estimate("target_ndcg10", &over(outcomes, |o| o.ndcg[place][1]))
            .estimate("source_ndcg10", &over(outcomes, |o| o.ndcg[place][0]))
            .with("trainable", trained / all, None);
        if method == Method::Dora {
            row = row.claimed("no number");
        }
        if place != FROZEN {
            let (gained, lost) =
                (over(outcomes, |o| gain(o, place)), over(outcomes, |o| forgotten(o, place)));
            row = row
                .estimate("gain", &gained)
                .estimate("forgetting", &lost)
                .estimate("seconds", &over(outcomes, |o| o.seconds[place]));
            let at = [lost.mean, gained.mean];
            curves.push(Curve::line(
                format!("{} by epoch", method.title()),
                color(method),
                path(outcomes, place),
            ));
            dots.push(Curve::dot(method.title(), color(method), at, gained.ci95));
        }
        rows.push(row);
    }
    let place = |method| Method::ALL.iter().position(|one| *one == method).unwrap_or(FROZEN);
    let (lora, dora, full) = (place(Method::Lora), place(Method::Dora), place(Method::Full));
    let against = |other: usize, name: &str| {
        let gain = over(outcomes, |o| gain(o, dora) - gain(o, other));
        let lost = over(outcomes, |o| forgotten(o, dora) - forgotten(o, other));
        let text = |of: &crate::evaluation::Estimate| {
            let ends = of.ci95.map_or(String::new(), |[l, h]| format!(" ({l:+.4} … {h:+.4})"));
            format!("{:+.4}{ends}", of.mean)
        };
        format!(
            "DoRA − {name}, paired over seeds: gain {}, forgetting {}.",
            text(&gain),
            text(&lost)
        )
    };
    let gained = over(outcomes, |o| gain(o, dora));
    let lost = over(outcomes, |o| forgotten(o, dora));
    let works = gained.ci95.is_some_and(|[low, _]| low > 0.0);
    Findings {
        headline: format!(
            "DoRA {} {:+.4} NDCG@10 on the target domain and forgets {:.4} on the source, training \
             {:.1} % of the parameters; full fine-tuning gains {:+.4} and forgets {:.4}.",
            if works { "gains" } else { "does not distinguishably gain:" },
            gained.mean,
            lost.mean,
            100.0 * outcomes.first().map_or(0, |o| o.trained[dora]) as f64 / all,
            over(outcomes, |o| gain(o, full)).mean,
            over(outcomes, |o| forgotten(o, full)).mean,
        ),
        columns: vec![
            Column::new("target_ndcg10", "NDCG@10, target", Measure::Metric),
            Column::new("gain", "Gain on target", Measure::Metric),
            Column::new("source_ndcg10", "NDCG@10, source", Measure::Metric),
            Column::new("forgetting", "Forgetting on source", Measure::Metric),
            Column::new("trainable", "Trainable", Measure::Share),
            Column::new("seconds", "Seconds", Measure::Number),
        ],
        rows,
        facts: vec![
            against(lora, "LoRA"),
            against(full, "full fine-tuning"),
            format!(
                "Target domain: {}; {} test queries there, {} in the source domain.",
                shift.name,
                shift.test[1].len(),
                shift.test[0].len()
            ),
        ],
        figure: Figure {
            title: "What is gained against what is forgotten".to_owned(),
            x: "forgetting: loss of NDCG@10 on the source domain".to_owned(),
            x_log: false,
            y: "gain in NDCG@10 on the target domain".to_owned(),
            curves: curves.into_iter().chain(dots).collect(),
            ..Figure::default()
        },
        method: format!(
            "{} source models ({}, hidden {}) learn from every event but never predict one of the \
             target domain; each is then adapted for {} epochs with a loss on the target domain \
             alone, by every method with the same batches and Adam at {}. LoRA and DoRA have rank \
             {}, α {} on {}; DoRA's norm is held constant in the gradient (Liu et al. 2024). Mean \
             and 95 % t interval over seeds; full ranking of the last event of each user. The lines \
             of the figure go through the epochs.",
            outcomes.len(),
            config.model.solver.title(),
            config.model.hidden,
            config.adapter.epochs,
            config.adapter.learning_rate,
            config.adapter.rank,
            config.adapter.alpha,
            config.adapter.parts.word(),
        ),
        limits:
            "One learning rate for all methods: each might do better with its own. At this size \
                 of model a rank of 16 is not small. Intervals are over source models, not over \
                 users or domains. No replay of source data is mixed in, which would forget less."
                .to_owned(),
        ..Findings::default()
    }
}

/// Forgetting and gain of a method after each epoch, mean over seeds: the less forgotten for the same
/// gain, the better, whatever the learning rate.
fn path(outcomes: &[Outcome], method: usize) -> Vec<[f64; 2]> {
    let epochs = outcomes.iter().map(|outcome| outcome.paths[method].len()).min().unwrap_or(0);
    let mean = |of: &dyn Fn(&Outcome) -> f64| {
        outcomes.iter().map(of).sum::<f64>() / outcomes.len().max(1) as f64
    };
    (0..epochs)
        .map(|epoch| {
            let moved = |outcome: &Outcome, domain: usize| {
                let path = &outcome.paths[method];
                path[epoch][domain] - path[0][domain]
            };
            [mean(&|outcome| -moved(outcome, 0)), mean(&|outcome| moved(outcome, 1))]
        })
        .collect()
}

fn color(method: Method) -> Color {
    match method {
        Method::Frozen => Color(0x9a, 0xa3, 0xb2),
        Method::Head => Color(0xe6, 0x9f, 0x00),
        Method::Lora => Color(0x4c, 0x9b, 0xe8),
        Method::Dora => Color(0x2d, 0xb5, 0xa3),
        Method::Full => Color(0xcc, 0x79, 0xa7),
    }
}
