//! `deepm3 attractors`: the fixed points of a run's field, and a user's way among them.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::arguments::{AttractorOptions, Common, Usage};
use super::live::run_named;
use super::output;
use crate::analysis::{Journey, Landscape, Subject, SurveyOptions, View, portrait, survey};
use crate::figures::{self, Theme};
use crate::runs::write_atomic;
use crate::training::TrainEvent;
use crate::workbench::format;

/// Pixels of a PNG for each of the picture's own.
const SCALE: f32 = 2.0;

pub fn attractors(options: &AttractorOptions, common: &Common) -> Result<()> {
    let context = output::context::<TrainEvent>(common, |_| ())?;
    let (store, entry) = run_named(options.run.as_deref(), common, &context)?;
    let asked = SurveyOptions { starts: options.starts, seed: options.seed.into() };
    let subject = Subject::load(&store, &entry, &context)?;
    let kept = (!options.fresh).then(|| Landscape::kept(&store, &entry.id, asked)).flatten();
    let landscape = match kept {
        Some(landscape) => landscape,
        None => {
            let landscape = survey(&subject, asked, &context)?;
            if let Err(error) = landscape.keep(&store) {
                note!("the analysis is not kept for the next time: {error}");
            }
            landscape
        }
    };
    let journey = match &options.user {
        Some(id) => {
            let user = subject.user(id).map_err(|error| Usage(error.to_string()))?;
            let journey = Journey::of(&subject, &landscape.pca, landscape.solver, user);
            Some(journey.with_context(|| format!("user `{id}` has no events"))?)
        }
        None => None,
    };
    write_files(options, &subject, &landscape, journey.as_ref())?;
    if common.json {
        return output::json(&to_json(&landscape, journey.as_ref())?);
    }
    print(&landscape, journey.as_ref());
    Ok(())
}

fn write_files(
    options: &AttractorOptions,
    subject: &Subject,
    landscape: &Landscape,
    journey: Option<&Journey>,
) -> Result<()> {
    let axes = plane(&options.plane, landscape.explained_variance.len())?;
    let journeys: Vec<Journey> = journey.into_iter().cloned().collect();
    let view = View::whole(landscape, axes).with_ways(&journeys);
    let view = View { theme: Theme::Dark, ..view };
    let svg = || portrait(subject, landscape, &journeys, view).to_svg();
    let write = |path: &Path, bytes: &[u8]| {
        write_atomic(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
    };
    if let Some(path) = &options.png {
        write(path, &figures::to_png(&svg(), SCALE)?)?;
    }
    if let Some(path) = &options.svg {
        write(path, svg().as_bytes())?;
    }
    if let Some(path) = &options.csv {
        let Some(journey) = journey else {
            bail!(Usage("--csv writes a user's way; say whose with --user".to_owned()));
        };
        write(path, journey.to_csv(subject).as_bytes())?;
    }
    Ok(())
}

/// `1,2` as indices from 0.
fn plane(text: &str, kept: usize) -> Result<[usize; 2]> {
    let wrong = || {
        Usage(format!(
            "--plane {text} names no two different components; write two of 1 to {kept}, as in 1,2"
        ))
    };
    let numbers: Vec<usize> =
        text.split(',').map(|part| part.trim().parse().unwrap_or(0)).collect();
    match numbers[..] {
        [x, y] if x != y && (1..=kept).contains(&x) && (1..=kept).contains(&y) => {
            Ok([x - 1, y - 1])
        }
        _ => Err(wrong().into()),
    }
}

/// The landscape without the states of the picture, which are many and drawn only.
fn to_json(landscape: &Landscape, journey: Option<&Journey>) -> Result<Value> {
    let mut value = serde_json::to_value(landscape)?;
    if let Some(object) = value.as_object_mut() {
        object.remove("visited");
        object.remove("pca");
        if let Some(journey) = journey {
            object.insert(
                "user".to_owned(),
                json!({
                    "id": journey.user_id,
                    "events": journey.visits.len(),
                    "span_days": journey.span(),
                    "lyapunov_per_day": journey.lyapunov_per_day,
                    "halving_error": journey.halving_error,
                }),
            );
        }
    }
    Ok(value)
}

fn print(landscape: &Landscape, journey: Option<&Journey>) {
    println!(
        "{}: H = {}, {} states of {} held-out users",
        landscape.run, landscape.hidden, landscape.states, landscape.users
    );
    let shares: Vec<String> = landscape
        .explained_variance
        .iter()
        .map(|share| format!("{:.1} %", 100.0 * share))
        .collect();
    println!("explained variance: {}", shares.join(", "));
    if landscape.fixed_points.is_empty() {
        match landscape.solver {
            crate::settings::Solver::Gru => {
                println!("a GRU does not flow between events, so it has no attractors");
            }
            _ => println!("no fixed point near the states that were visited"),
        }
    } else {
        println!("\n     kind             relaxes in     basin   residual  theme");
        for point in &landscape.fixed_points {
            let relaxes = point.relaxation_days.map_or("–".to_owned(), |days| {
                match format::is_long(days) {
                    true => "> 20 years".to_owned(),
                    false => format!("{days:.1} days"),
                }
            });
            let basin = match point.kind.is_stable() {
                true => format!("{:.1} %", 100.0 * point.basin_share),
                false => "–".to_owned(),
            };
            println!(
                "{:<4} {:<16} {relaxes:>11} {basin:>9}   {:>8.1e}  {}",
                point.name,
                point.kind.title(),
                point.residual,
                point.theme
            );
        }
    }
    if let Some(caveat) = landscape.caveat() {
        println!("\n{caveat}");
    }
    println!(
        "\nmedian user span {:.1} days; {:.1} % of visited states reach no attractor",
        landscape.median_span_days,
        100.0 * landscape.undecided_share
    );
    if let Some(rate) = landscape.lyapunov_per_day {
        println!("Lyapunov exponent {rate:+.4} per day (median of users, jumps included)");
    }
    println!("halving the solver's steps changes a state by {:.2e}", landscape.halving_error);
    if let Some(control) = &landscape.control {
        println!(
            "untrained field: {} attractors, {} other points",
            control.attractors, control.others
        );
    }
    if let Some(truth) = &landscape.truth {
        println!("\ntrue places can be read off the state with R² = {:.3}", truth.r2);
        for one in &truth.matches {
            let at = truth.attractors[one.truth];
            println!(
                "{} lies {:.3} from the true attractor at ({:.2}, {:.2})",
                landscape.fixed_points[one.found].name, one.distance, at[0], at[1]
            );
        }
        let missed = truth.attractors.len() - truth.matches.len();
        if missed > 0 {
            println!("{missed} true attractors have no counterpart");
        }
    }
    if let Some(journey) = journey {
        println!(
            "\nuser {}: {} events over {:.1} days",
            journey.user_id,
            journey.visits.len(),
            journey.span()
        );
    }
    println!("\nanalysed in {:.1} s", landscape.seconds);
}
