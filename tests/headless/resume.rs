//! A training killed at any moment goes on to the same end, and leaves nothing unreadable.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::program::{json, program};

/// About three seconds of training, with dropout, so that random numbers count.
const ARGUMENTS: &[&str] = &[
    "train",
    "--model",
    "rk4",
    "--set",
    "model.hidden=16",
    "--set",
    "model.dropout=0.2",
    "--set",
    "training.epochs=6",
    "--set",
    "training.batch_size=128",
    "--set",
    "model.max_substeps=1",
    // Checkpoints come often, so that kills fall before, between and inside them.
    "--set",
    "training.checkpoint_seconds=0.2",
    "--set",
    "ablation.group=killed",
];

fn only_run(runs: &Path) -> PathBuf {
    let mut found = std::fs::read_dir(runs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("config.toml").exists());
    let run = found.next().expect("a run folder");
    assert!(found.next().is_none(), "one run only");
    run
}

/// Weights and metadata: the file is compared as a whole.
fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model.safetensors")).expect("the model is there")
}

#[test]
fn killed_and_resumed_it_ends_bit_identical() {
    let undisturbed = tempfile::tempdir().unwrap();
    let whole = json(undisturbed.path(), ARGUMENTS);

    let killed = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for milliseconds in [150, 900, 1400, 400, 2000] {
        let list = json(killed.path(), &["runs", "list"]);
        let interrupted = list["runs"].as_array().unwrap().first().map(|run| {
            assert_ne!(run["state"], "running", "{run}");
            run["run"].as_str().unwrap().to_owned()
        });
        let mut command = program(killed.path());
        match &interrupted {
            Some(run) => command.args(["train", "--resume", run]),
            None => command.args(ARGUMENTS),
        };
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(milliseconds));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
        let list = json(killed.path(), &["runs", "list"]);
        let runs = list["runs"].as_array().unwrap();
        if runs.iter().any(|run| run["state"] == "done") {
            break;
        }
        assert!(runs.iter().all(|run| run["state"] == "interrupted"), "{list}");
    }
    assert!(kills >= 2, "the machine was too fast to be killed twice");
    let run = only_run(killed.path());
    if !run.join("summary.json").exists() {
        let id = run.file_name().unwrap().to_str().unwrap();
        json(killed.path(), &["train", "--resume", id]);
    }
    assert!(weights(&run) == weights(&only_run(undisturbed.path())), "the weights differ");
    let resumed = json(killed.path(), &["runs", "show", "latest"]);
    assert_eq!(resumed["hr10"]["mean"], whole["hr10"]);
    assert_eq!(resumed["ndcg10"]["mean"], whole["ndcg10"]);
    assert_eq!(resumed["train_loss"], whole["train_loss"]);

    // The log has every step once, in order.
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let steps: Vec<u64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|record| record["kind"] == "step")
        .map(|record| record["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn a_stop_is_heard_within_a_second_and_can_be_resumed() {
    let runs = tempfile::tempdir().unwrap();
    let child = program(runs.path())
        .args(ARGUMENTS)
        .args(["--set", "training.epochs=500"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let asked = std::time::Instant::now();
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("--resume"), "{errors}");
    assert!(only_run(runs.path()).join("checkpoint/state.safetensors").exists());
}

/// An ablation that is killed is finished by one command, with the table of all its runs.
#[test]
fn a_killed_ablation_is_finished_as_one() {
    let runs = tempfile::tempdir().unwrap();
    let mut child = program(runs.path())
        .args(["ablation", "--models", "gru,rk4", "--seeds", "1", "--set", "ablation.group=g"])
        .args(crate::program::TINY)
        .args(["--set", "training.epochs=60", "--set", "training.checkpoint_seconds=0.2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert!(child.try_wait().unwrap().is_none(), "the machine was too fast to be killed");
    child.kill().unwrap();
    child.wait().unwrap();
    let table = json(runs.path(), &["ablation", "--resume", "latest"]);
    for model in ["gru", "rk4"] {
        let row = table["rows"].as_array().unwrap().iter().find(|row| row["model"] == model);
        let row = row.unwrap_or_else(|| panic!("{model} is missing: {table}"));
        assert!(row["latency_ms"]["single"].as_f64().unwrap() > 0.0, "{row}");
    }
    let list = json(runs.path(), &["runs", "list"]);
    assert!(list["runs"].as_array().unwrap().iter().all(|run| run["state"] == "done"), "{list}");
}
