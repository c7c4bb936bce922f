//! Start the program and read what it says.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program with its runs in `runs`, on the CPU, without progress.
pub fn program(runs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deepm3"));
    command
        .args(["--device", "cpu", "--quiet", "--runs"])
        .arg(runs)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null());
    command
}

/// Run it to its end.
pub fn run(runs: &Path, arguments: &[&str]) -> Output {
    program(runs).args(arguments).output().expect("the program starts")
}

/// Run it with `--json` and parse the one object it must print.
pub fn json(runs: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = program(runs).args(arguments).arg("--json").output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Settings that make a training take about a second.
pub const TINY: &[&str] = &[
    "--set",
    "model.hidden=8",
    "--set",
    "training.epochs=2",
    "--set",
    "training.batch_size=256",
    "--set",
    "model.max_substeps=1",
];
