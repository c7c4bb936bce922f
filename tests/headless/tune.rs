//! `deepm3 tune`: a search that is killed goes on, and leaves a preset that can be trained.

use std::process::Stdio;
use std::time::Duration;

use crate::program::{json, program, run};

const ARGUMENTS: &[&str] = &[
    "tune",
    "--space",
    "model.hidden=4|8, training.learning_rate=3e-3..5e-2 log",
    "--trials",
    "6",
    "--epochs",
    "4",
    "--set",
    "tuning.reduction=2",
    "--set",
    "training.checkpoint_seconds=0.1",
];

/// Trials without what differs from one time to the next.
fn trials(search: &serde_json::Value) -> Vec<serde_json::Value> {
    let mut trials = search["trials"].as_array().unwrap().clone();
    for trial in &mut trials {
        trial["seconds"].take();
        trial["run"].take();
    }
    trials
}

#[test]
fn killed_and_resumed_it_ends_with_the_same_trials_and_a_preset_that_trains() {
    let whole = tempfile::tempdir().unwrap();
    let undisturbed = json(whole.path(), ARGUMENTS);
    assert_eq!(undisturbed["rungs"].as_array().unwrap().len(), 3);
    assert_eq!(undisturbed["metric"], "valid_ndcg10");
    assert!(undisturbed["best"]["test_ndcg10"].is_number());
    assert_eq!(undisturbed["trials"].as_array().unwrap().len(), 6);

    let folder = tempfile::tempdir().unwrap();
    let preset = folder.path().join("best.toml");
    let preset = preset.to_str().unwrap();
    let mut begin = ARGUMENTS.to_vec();
    begin.extend(["--set", "ablation.group=killed"]);
    let resume = ["tune", "--resume", "killed", "--save", preset];
    let mut kills = 0;
    let noted = folder.path().join(".tuning").join("killed.json");
    for (turn, milliseconds) in [300, 400, 200].into_iter().enumerate() {
        let mut command = program(folder.path());
        command.args(if turn == 0 { begin.as_slice() } else { &resume });
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Before it is noted there is nothing to resume.
        while !noted.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(milliseconds));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills > 0, "the machine was too fast to be killed");
    let resumed = json(folder.path(), &resume);
    assert_eq!(trials(&resumed), trials(&undisturbed));
    assert_eq!(resumed["best"]["trial"], undisturbed["best"]["trial"]);
    assert_eq!(resumed["best"]["test_ndcg10"], undisturbed["best"]["test_ndcg10"]);

    // The preset is the winner's settings: training it gives the winner again.
    let trained = json(folder.path(), &["train", "--preset", preset]);
    assert_eq!(trained["ndcg10"], resumed["best"]["test_ndcg10"]);
    assert_eq!(trained["valid_ndcg10"], resumed["best"]["valid_ndcg10"]);
    // Trials that lost are out of the way.
    let listed = json(folder.path(), &["runs", "list"]);
    assert_eq!(listed["runs"].as_array().unwrap().len(), 2, "{listed}");
    let all = json(folder.path(), &["runs", "list", "--all"]);
    assert_eq!(all["runs"].as_array().unwrap().len(), 7);
}

#[test]
fn a_space_that_cannot_be_searched_is_wrong_usage() {
    let runs = tempfile::tempdir().unwrap();
    for (space, says) in [
        ("model.hiden=4|8", "model.hidden"),
        ("model.hidden=4|5000", "the nearest is 1024"),
        ("training.seed=1|2", "lucky seed"),
        ("data.max_len=10|20", "only settings of model.*"),
    ] {
        let output = run(runs.path(), &["tune", "--space", space]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
    let output = run(runs.path(), &["tune", "--resume", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is none yet"));
}
