//! Ablation: GRU, Euler and RK4 under one config, each evaluated as it was trained, over several
//! seeds and beside two baselines that only count.

use super::catalog::{About, Measured};
use super::inputs::epoch_kept;
use super::parts::Parts;
use super::{
    Column, Curve, Event, ExperimentError, ExperimentStore, Figure, Findings, Inputs, Measure, Row,
    event,
};
use crate::figures::model_color;
use crate::jobs::Context;
use crate::runs::{
    AblationTable, ComparisonRow, RunEntry, RunState, RunSummary, TableRow, metric_text,
    model_title, p_text,
};
use crate::settings::{Config, Solver};
use crate::training::{self, Plan, Prepared, TrainEvent, ablation};

pub const ABOUT: About = About {
    word: "ablation",
    title: "Ablation",
    asks: "Does a state that flows between events predict better than one that waits?",
    claim: "HR@10 / NDCG@10 on MovieLens-1M: GRU 0.0637 / 0.0403, Euler 0.0546 / 0.0318, RK4 \
            0.0631 / 0.0368",
    source: "real trainings of one seed, but every model is evaluated with the RK4 solver",
    preset: "drift",
    needs_run: false,
    takes: "about a minute",
};

pub fn run(inputs: &Inputs, context: &Context<Event>) -> Result<Measured, ExperimentError> {
    let training = event::training(context, [0.0, 1.0]);
    let prepared = Prepared::load(&inputs.config, &training)?;
    let store = ExperimentStore::beside(&inputs.store);
    let key = format!("{}{}", inputs.config.to_toml(), prepared.record.fingerprint);
    let parts = Parts::new(&store, ABOUT.word, &key);
    // The runs keep themselves; what is kept here is which they are.
    let plan =
        parts.part("group", || Ok(Plan::from_config(&inputs.config, inputs.device.clone())?.group));
    let mut config = inputs.config.clone();
    config.ablation.group = plan?;
    let plan = Plan::from_config(&config, inputs.device.clone())?;
    let started: Vec<RunEntry> = of_group(inputs, &plan.group);
    let table = if started.is_empty() {
        ablation::run(&plan, &prepared, &inputs.store, &training)?
    } else {
        resume(inputs, &plan, &prepared, &started, &training)?
    };
    parts.clear();
    Ok(Measured {
        findings: findings(&table, &config),
        data: prepared.record.clone(),
        run: None,
        device: table.device.clone(),
        files: Vec::new(),
    })
}

/// Runs of a group in the order of their plan.
fn of_group(inputs: &Inputs, group: &str) -> Vec<RunEntry> {
    let mut entries = inputs.store.list();
    entries.retain(|entry| entry.settings().is_some_and(|config| config.ablation.group == group));
    entries.reverse();
    entries
}

/// Finish the runs of a plan that was stopped.
fn resume(
    inputs: &Inputs,
    plan: &Plan,
    prepared: &Prepared,
    started: &[RunEntry],
    context: &Context<TrainEvent>,
) -> Result<AblationTable, ExperimentError> {
    for entry in started {
        if entry.state == RunState::Interrupted {
            let dir = inputs.store.open_run(&entry.id)?;
            let config: Config = dir.read_config()?;
            context.progress(None, format!("Going on with {}", entry.id));
            training::resume(dir, &config, prepared, &inputs.device, context)?;
        }
    }
    let finished: Vec<RunSummary> =
        of_group(inputs, &plan.group).into_iter().filter_map(|entry| entry.summary).collect();
    Ok(AblationTable::of_stored(&inputs.store, &finished)?)
}

fn findings(table: &AblationTable, config: &Config) -> Findings {
    let rows = table.rows.iter().map(row).collect();
    let baselines: Vec<String> = table
        .comparisons
        .iter()
        .filter(|row| row.metric == "ndcg10" && is_model(&row.a) && !is_model(&row.b))
        .filter(|row| !(row.delta > 0.0 && row.p_adjusted.is_some_and(|p| p < 0.05)))
        .map(|row| {
            let worse = row.delta < 0.0 && row.p_adjusted.is_some_and(|p| p < 0.05);
            let (verb, so) = if worse {
                ("is behind", ": counting alone says more there")
            } else {
                ("is not shown to beat", "")
            };
            format!(
                "{} {verb} {} (NDCG@10 {:+.4}, p {}){so}.",
                model_title(&row.a),
                model_title(&row.b),
                row.delta,
                p_text(row.p_adjusted)
            )
        })
        .collect();
    let pairs = table.comparisons.iter().filter(|row| between_models(row)).map(|row| {
        format!(
            "{} − {}: NDCG@10 {:+.4}{}, p {} after Holm's correction.",
            model_title(&row.a),
            model_title(&row.b),
            row.delta,
            row.ci95.map_or(String::new(), |[low, high]| format!(" ({low:+.4} … {high:+.4})")),
            p_text(row.p_adjusted)
        )
    });
    Findings {
        headline: headline(table),
        columns: vec![
            Column::new("hr10", "HR@10", Measure::Metric),
            Column::new("ndcg10", "NDCG@10", Measure::Metric),
            Column::new("batch64_ms", "Batch of 64 (ms)", Measure::Number),
            Column::new("single_ms", "One request (ms)", Measure::Number),
            Column::new("train_seconds", "Training (s)", Measure::Number),
            Column::new("seeds", "Seeds", Measure::Count),
        ],
        rows,
        facts: pairs.chain(baselines).collect(),
        figure: figure(table),
        method: format!(
            "Protocol {}, {} test queries, full ranking of all items; {} a model, each \
             evaluated with the solver it was trained with, {}. 95 % \
             intervals are {}; tests are paired and corrected for how many there are.",
            table.protocol,
            table.rows.first().map_or(0, |row| row.n),
            match config.ablation.seeds {
                1 => "one seed".to_owned(),
                seeds => format!("{seeds} seeds"),
            },
            epoch_kept(config),
            if table.has_one_seed_only() {
                "over queries alone, of these trainings: another seed may turn a difference around"
            } else {
                "clustered over seeds and queries"
            },
        ),
        limits:
            "One data set and one size of model. The original's numbers are from MovieLens-1M, \
                 which is not shipped: compare the differences between models, not the levels."
                .to_owned(),
        simulated: String::new(),
        ..Findings::default()
    }
}

fn is_model(word: &str) -> bool {
    word.split(' ').next().is_some_and(|word| word.parse::<Solver>().is_ok())
}

fn between_models(row: &ComparisonRow) -> bool {
    row.metric == "ndcg10" && is_model(&row.a) && is_model(&row.b)
}

fn headline(table: &AblationTable) -> String {
    let real: Vec<String> = table
        .comparisons
        .iter()
        .filter(|row| between_models(row) && row.p_adjusted.is_some_and(|p| p < 0.05))
        .map(|row| {
            let (better, worse) = if row.delta > 0.0 { (&row.a, &row.b) } else { (&row.b, &row.a) };
            format!("{} beats {}", model_title(better), model_title(worse))
        })
        .collect();
    let best = table.best_by_validation().map(|row| {
        format!(
            "Best on validation: {}, NDCG@10 {}. ",
            model_title(&row.model),
            metric_text(row.ndcg10.mean, row.ndcg10.ci95)
        )
    });
    let verdict = if real.is_empty() {
        "No difference between the models is distinguishable from chance.".to_owned()
    } else if table.has_one_seed_only() {
        format!("Distinguishable, of these trainings with one seed: {}.", real.join(", "))
    } else {
        format!("Distinguishable: {}.", real.join(", "))
    };
    best.unwrap_or_default() + &verdict
}

fn row(row: &TableRow) -> Row {
    let claimed = match row.solver {
        Some(Solver::Gru) => "0.0637 / 0.0403, 14.18 ms",
        Some(Solver::Euler) => "0.0546 / 0.0318, 13.84 ms",
        Some(Solver::Rk4) => "0.0631 / 0.0368, 14.88 ms",
        // Nobody claimed anything for what the original does not have.
        Some(Solver::Decay | Solver::Cfc | Solver::GruOde | Solver::SasRec | Solver::TiSasRec)
        | None => "",
    };
    // What a row is, is said where it could be taken for a model.
    let title = if row.ceiling { row.title() } else { model_title(&row.model) };
    let mut cells = Row::new(title)
        .claimed(claimed)
        .with("hr10", row.hr10.mean, row.hr10.ci95)
        .with("ndcg10", row.ndcg10.mean, row.ndcg10.ci95);
    if let Some(latency) = &row.latency_ms {
        cells = cells.with("batch64_ms", latency.batch64, None);
        cells = cells.with("single_ms", latency.single, None);
    }
    if let Some(seconds) = row.train_seconds {
        cells = cells.with("train_seconds", seconds, None);
    }
    if row.solver.is_none() { cells } else { cells.with("seeds", row.seeds as f64, None) }
}

/// Quality by model, the baselines as levels across.
fn figure(table: &AblationTable) -> Figure {
    let models: Vec<&TableRow> = table.rows.iter().filter(|row| row.latency_ms.is_some()).collect();
    let latency = |row: &TableRow| row.latency_ms.as_ref().map_or(f64::NAN, |cell| cell.batch64);
    let ends = models
        .iter()
        .map(|row| latency(row))
        .fold([f64::INFINITY, 0.0], |[low, high], at| [f64::min(low, at), f64::max(high, at)]);
    let ends = if ends[0] < ends[1] { ends } else { [ends[1] * 0.9, ends[1] * 1.1] };
    let levels = table.rows.iter().filter(|row| row.baseline || row.ceiling).map(|row| {
        let points = ends.map(|at| [at, row.ndcg10.mean]).to_vec();
        Curve::line(row.title(), model_color(&row.model), points)
    });
    let dots = models.iter().map(|row| {
        let color = model_color(row.solver.map_or("", Solver::word));
        let at = [latency(row), row.ndcg10.mean];
        Curve::dot(model_title(&row.model), color, at, row.ndcg10.ci95)
    });
    Figure {
        title: format!("Quality against latency: {}, {}", table.data.name, table.protocol),
        x: "latency, median of a batch of 64 (ms)".to_owned(),
        x_log: false,
        y: "NDCG@10 and its 95 % interval".to_owned(),
        curves: levels.chain(dots).collect(),
        ..Figure::default()
    }
}

#[cfg(test)]
mod tests;
