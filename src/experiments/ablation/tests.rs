use super::*;
use crate::dynamics::device::DeviceChoice;
use crate::experiments::{Experiment, perform};
use crate::jobs::{self, Control};
use crate::runs::RunStore;

fn inputs(folder: &std::path::Path) -> Inputs {
    let mut config = Config::load(ABOUT.preset).unwrap();
    config.model.hidden = 4;
    config.training.epochs = 2;
    config.training.parallel = 1;
    config.training.checkpoint_seconds = 0.0;
    config.ablation.models = "gru,euler".to_owned();
    config.ablation.seeds = 1;
    let store = RunStore::open(Some(folder)).unwrap();
    Inputs { store, run: None, config, device: DeviceChoice::Cpu }
}

#[test]
fn a_stopped_ablation_goes_on_with_its_runs_and_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs(folder.path());
    let control = Control::default();
    let stop = control.clone();
    // Stopped when the first epoch of the first model is done.
    let context = jobs::detached(control, move |_, events| {
        for event in events {
            if matches!(event, Event::Point { .. }) {
                stop.cancel();
            }
        }
    });
    assert!(perform(Experiment::Ablation, &inputs, &context).unwrap_err().is_cancelled());
    let ids = || {
        let mut ids: Vec<String> = inputs.store.list().into_iter().map(|run| run.id).collect();
        ids.sort();
        ids
    };
    let started = ids();
    assert_eq!(started.len(), 2, "both runs can be resumed");

    let context = jobs::detached(Control::default(), |_, _| ());
    let result = perform(Experiment::Ablation, &inputs, &context).unwrap();
    assert_eq!(ids(), started, "no run was started anew");
    let gru = result.findings.row("GRU").unwrap();
    assert!(gru.claimed.contains("0.0637") && gru.value("ndcg10").is_some());
    assert!(result.findings.row("Popularity").is_some());
    let store = ExperimentStore::beside(&inputs.store);
    assert_eq!(store.list(), std::slice::from_ref(&result));
    // Two epochs of four units are a broken model: it is not said to have learned, nor is one seed said
    // to stand for others.
    let facts = &result.findings.facts;
    assert!(facts.iter().any(|fact| fact.contains("is behind") || fact.contains("is not shown")));
    assert!(result.findings.method.contains("another seed may turn"), "{}", result.findings.method);
    for file in ["table.md", "table.csv", "figure.svg", "config.toml"] {
        assert!(store.dir().join(&result.id).join(file).is_file(), "{file}");
    }
    // Run again, it starts anew: nothing is left of the parts.
    assert!(!inputs.store.dir().join(".experiments/.parts").read_dir().unwrap().any(|_| true));
}
