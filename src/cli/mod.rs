//! The headless commands: the same engine as the window, for scripts and CI.
//!
//! Results go to stdout (a table, or one JSON object with `--json`), progress to stderr. Exit code
//! 0 is done, 1 failed, 2 wrong usage.

/// A line on stderr. Nobody need read it, so it is no failure where it cannot be written: a training
/// outlives the terminal that it was started from.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod arguments;
mod attractors;
mod bench;
mod config;
mod data;
mod devices;
mod experiment;
mod live;
mod output;
mod reference;
mod runs;
mod scale;
mod train;
mod tune;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::jobs::panic_message;
use arguments::{Arguments, Command, Usage};

/// What the standard library says when stdout cannot be written, before the reason.
const NOT_PRINTED: &str = "failed printing to stdout: ";
/// The reasons where its reader went away, as Unix and Windows number them: `deepm3 runs list | head` is no
/// failure of ours.
const READER_LEFT: [&str; 3] = ["(os error 32)", "(os error 109)", "(os error 232)"];

/// Run the program; the exit code says how it went.
pub fn main() -> ExitCode {
    let started = std::time::Instant::now();
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("DEEPM3_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error")),
        )
        .init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.to_string().contains(NOT_PRINTED) {
            usual(panic);
        }
    }));
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&arguments, started)));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            let Some((_, reason)) = message.split_once(NOT_PRINTED) else {
                return ExitCode::FAILURE;
            };
            if READER_LEFT.iter().any(|left| reason.contains(left)) {
                return ExitCode::SUCCESS;
            }
            note!("error: the result could not be written: {reason}");
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            note!("error: {}", causes(&error));
            let usage = error.is::<Usage>() || error.is::<crate::settings::SettingError>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

fn run(arguments: &Arguments, started: std::time::Instant) -> Result<()> {
    let common = &arguments.common;
    match &arguments.command {
        None => window(common, started),
        Some(Command::Devices) => devices::list(common),
        Some(Command::Data(command)) => data::run(command, common),
        Some(Command::Train(options)) => train::train(options, common),
        Some(Command::Ablation(options)) => train::ablation(options, common),
        Some(Command::Tune(options)) => tune::tune(options, common),
        Some(Command::Evaluate(options)) => train::evaluate(options, common),
        Some(Command::Runs(command)) => runs::run(command, common),
        Some(Command::Serve(options)) => live::serve(options, common),
        Some(Command::Recommend(options)) => live::recommend(options, common),
        Some(Command::Route(options)) => live::route(options, common),
        Some(Command::Attractors(options)) => attractors::attractors(options, common),
        Some(Command::Traffic(options)) => live::traffic(options, common),
        Some(Command::Experiment(options)) => experiment::experiment(options, common),
        Some(Command::Bench(options)) => bench::bench(options, common),
        Some(Command::Settings) => output::settings(common),
    }
}

/// The error and its causes, each once: many messages hold their cause already.
fn causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Open the window, or explain what to do where there is no display.
fn window(common: &arguments::Common, started: std::time::Instant) -> Result<()> {
    let has_display = cfg!(not(target_os = "linux"))
        || ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let headless = "the same engine runs without a window: `deepm3 ablation` compares six \
                    models on the built-in data, `deepm3 --help` lists all commands";
    if !has_display {
        anyhow::bail!(
            "no display was found (neither DISPLAY nor WAYLAND_DISPLAY is set); {headless}"
        );
    }
    crate::workbench::run(crate::workbench::Options {
        runs: common.runs.clone(),
        data: None,
        device: common.device.clone(),
        started: Some(started),
    })
    .map_err(|error| anyhow::anyhow!("the window could not be opened: {error}; {headless}"))
}
