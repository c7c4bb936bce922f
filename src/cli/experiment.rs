//! `deepm3 experiment NAME | list | report`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::arguments::{Common, ExperimentOptions, Usage};
use super::config::located;
use super::output;
use crate::experiments::{
    Event, Experiment, ExperimentError, ExperimentResult, ExperimentStore, Inputs, Report, perform,
};
use crate::figures::Theme;
use crate::runs::{RunStore, write_atomic};
use crate::settings::Config;

pub fn experiment(options: &ExperimentOptions, common: &Common) -> Result<()> {
    let store = RunStore::open(common.runs.as_deref())?;
    match options.name.as_str() {
        "list" => list(&ExperimentStore::beside(&store), common),
        "report" => report(&ExperimentStore::beside(&store), options, common),
        name => {
            let experiment = name.parse().map_err(|error: ExperimentError| {
                Usage(format!("{error}; `list` shows them, `report` writes them up"))
            })?;
            one(experiment, store, options, common)
        }
    }
}

fn list(store: &ExperimentStore, common: &Common) -> Result<()> {
    let latest = store.latest();
    let of = |one: Experiment| latest.iter().find(|(known, _)| *known == one).map(|(_, r)| r);
    if common.json {
        let rows: Vec<_> = Experiment::ALL
            .into_iter()
            .map(|one| {
                let (about, result) = (one.about(), of(one));
                json!({
                    "experiment": about.word, "title": about.title, "asks": about.asks,
                    "claim": about.claim, "claim_source": about.source, "preset": about.preset,
                    "needs_run": about.needs_run, "result": result.map(|result| &result.id),
                    "finished": result.map(|result| result.finished),
                    "headline": result.map(|result| &result.findings.headline),
                })
            })
            .collect();
        return output::json(&json!({ "experiments": rows, "directory": store.dir() }));
    }
    for one in Experiment::ALL {
        let about = one.about();
        println!("{:<12} {}", about.word, about.asks);
        if about.is_of_the_readme() {
            println!("{:<12} original: {}", "", about.claim);
            println!("{:<12}           ({})", "", about.source);
        }
        match of(one) {
            Some(result) => println!(
                "{:<12} {}: {}",
                "",
                result.finished.strftime("%Y-%m-%d %H:%M UTC"),
                result.findings.headline
            ),
            None => println!("{:<12} not run yet; takes {}", "", about.takes),
        }
    }
    Ok(())
}

fn one(
    experiment: Experiment,
    store: RunStore,
    options: &ExperimentOptions,
    common: &Common,
) -> Result<()> {
    let mut config = Config::load(options.preset.as_deref().unwrap_or(experiment.about().preset))?;
    for assignment in &options.set {
        config.set_text(assignment)?;
    }
    options.data.apply(&mut config)?;
    // Before the work is done.
    let output = match &options.output {
        Some(path) => {
            output::check_folder("--output", path)?;
            Some((path, format_of(path)?))
        }
        None => None,
    };
    if options.run.is_some() && !experiment.about().needs_run {
        return Err(Usage(format!(
            "`{}` trains its own models and takes no --run; choose its data with --data",
            experiment.word()
        ))
        .into());
    }
    config.data.source = located(&config.data.source);
    let of_data = |assignment: &String| assignment.trim_start().starts_with("data.");
    let names_data = options.data.is_given() || options.set.iter().any(of_data);
    if names_data && experiment.about().needs_run {
        return Err(Usage(format!(
            "`{}` looks at a finished run, on the data that it was trained on, and takes no other: name \
             the run with --run (`deepm3 runs list` shows them), or train one on that data first",
            experiment.word()
        ))
        .into());
    }
    let quiet = common.quiet;
    let context = output::context::<Event>(common, move |event| match event {
        Event::Message(text) if !quiet => note!("{text}"),
        Event::Point { curve, at: [x, y] } if !quiet => note!("{curve}: {x:.0}  {y:.4}"),
        _ => {}
    })?;
    let inputs = Inputs { store, run: options.run.clone(), config, device: common.device.clone() };
    let results = ExperimentStore::beside(&inputs.store);
    let result = perform(experiment, &inputs, &context).map_err(|error| {
        if error.is_cancelled() {
            anyhow::anyhow!("stopped; the same command goes on from what is finished")
        } else {
            error.into()
        }
    })?;
    if let Some((path, format)) = output {
        write(path, &format(&result)?)?;
        if !quiet {
            note!("written to {}", path.display());
        }
    }
    if common.json {
        println!("{}", result.to_json()?);
        return Ok(());
    }
    print(&result);
    for path in results.files_of(&result) {
        println!("file: {}", path.display());
    }
    Ok(())
}

fn print(result: &ExperimentResult) {
    let findings = &result.findings;
    println!("{}\n\n{}", findings.headline, findings.table_text());
    if !findings.simulated.is_empty() {
        println!("simulated: {}", findings.simulated);
    }
    for fact in &findings.facts {
        println!("- {fact}");
    }
    println!("\nmethod: {}\nlimits: {}\n{}", findings.method, findings.limits, result.provenance());
}

/// A result as the bytes of a file.
type Format = fn(&ExperimentResult) -> Result<Vec<u8>>;

/// The ending says the format.
fn format_of(path: &Path) -> Result<Format> {
    Ok(match path.extension().and_then(|ending| ending.to_str()) {
        Some("md") => |result| Ok(result.to_markdown().into_bytes()),
        Some("csv") => |result| Ok(result.to_csv().into_bytes()),
        Some("json") => |result| Ok(result.to_json()?.into_bytes()),
        Some("svg") => |result| Ok(result.findings.figure.to_svg(Theme::Light).into_bytes()),
        Some("png") => |result| Ok(result.to_png(Theme::Light)?),
        _ => bail!(Usage("the output must end in .md, .csv, .json, .svg or .png".to_owned())),
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes).with_context(|| format!("{} could not be written", path.display()))
}

fn report(store: &ExperimentStore, options: &ExperimentOptions, common: &Common) -> Result<()> {
    let report = Report::of(store)?;
    let stem = options.output.clone().unwrap_or_else(|| "deepm3-report.html".into());
    let (markdown, html) = (stem.with_extension("md"), stem.with_extension("html"));
    write(&markdown, report.to_markdown().as_bytes())?;
    write(&html, report.to_html().as_bytes())?;
    if common.json {
        return output::json(
            &json!({ "markdown": markdown, "html": html, "experiments": report.len() }),
        );
    }
    println!("{} experiments: {} and {}", report.len(), markdown.display(), html.display());
    Ok(())
}
