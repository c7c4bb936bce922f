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
        .args(["--set", "training.epochs=300", "--set", "training.checkpoint_seconds=0.2"])
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

/// A group's name given twice: its runs go on each on its own split, and a resume that is refused leaves
/// a run as it was.
#[test]
fn a_run_goes_on_with_its_own_data_and_split() {
    let runs = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, step: usize| {
        let path = folder.path().join(name);
        let mut text = String::from("user,item,time\n");
        for user in 0..60 {
            for event in 0..12 {
                let item = (step * user + event * (1 + user % 3)) % 25;
                text.push_str(&format!(
                    "{user},{item},{}\n",
                    1_600_000_000 + 86_400 * (20 * event + user)
                ));
            }
        }
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (one, other) = (file("one.csv", 7), file("other.csv", 5));
    let train = |protocol: &'static str, epochs: &'static str| {
        let mut arguments = vec!["train", "--model", "gru", "--data", &one];
        arguments.extend(["--protocol", protocol, "--set", "ablation.group=twice"]);
        arguments.extend(crate::program::TINY);
        // Nothing gets better for long here, and an early end would leave no checkpoint to find.
        arguments.extend(["--set", epochs, "--set", "training.patience=0"]);
        arguments.extend(["--set", "training.checkpoint_seconds=0"]);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = program(runs.path()).args(train("readme", "training.epochs=1")).output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let mut child = program(runs.path())
        .args(train("leave-one-out", "training.epochs=1000"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let interrupted = || {
        let entries = std::fs::read_dir(runs.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.join("checkpoint/state.safetensors").exists())
    };
    let begun = std::time::Instant::now();
    while interrupted().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = interrupted().expect("it was killed before its end");
    let id = folder.file_name().unwrap().to_str().unwrap().to_owned();

    let before = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let refused = crate::program::run(runs.path(), &["train", "--resume", &id, "--data", &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(before, std::fs::read_to_string(folder.join("config.toml")).unwrap());

    // There is no table of both, which is said once both are trained.
    let told = crate::program::run(runs.path(), &["ablation", "--resume", "twice"]);
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(errors.contains("different protocols"), "{errors}");
    let summary = json(runs.path(), &["runs", "show", &id]);
    // Every user is tested; the other's split tests a fifth of them.
    assert_eq!(summary["hr10"]["n"], 60, "{summary}");
    assert_eq!(before, std::fs::read_to_string(folder.join("config.toml")).unwrap());
}
