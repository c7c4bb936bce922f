//! What a training tells its steps.

use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::device::DeviceChoice;
use crate::jobs::{Context, Control, detached};
use crate::runs::RunStore;
use crate::settings::Config;
use crate::training::{Plan, Prepared, TrainEvent, ablation};

/// Training loss of a GRU over one epoch, where the world moves on by a share of what the protocol says.
fn loss(protocol: &str, dynamics: &str, share: i64) -> f64 {
    let mut config = Config::default();
    for setting in [
        "model.hidden=4",
        "training.epochs=1",
        "training.batch_size=16",
        "ablation.seeds=1",
        "ablation.models=gru",
        &format!("evaluation.protocol={protocol}"),
        &format!("model.item_dynamics={dynamics}"),
    ] {
        config.set_text(setting).unwrap();
    }
    let context: Context<TrainEvent> = detached(Control::default(), |_, _| ());
    let options = DriftOptions { users: 60, items: 40, ..DriftOptions::default() };
    let raw = drift(options, || Ok(())).unwrap();
    let mut prepared = Prepared::from_dataset(&raw, &config, &context).unwrap();
    prepared.split.moves_on *= share;
    let folder = tempfile::tempdir().unwrap();
    let store = RunStore::open(Some(folder.path())).unwrap();
    let plan = Plan::from_config(&config, DeviceChoice::Cpu).unwrap();
    ablation::run(&plan, &prepared, &store, &context).unwrap();
    store.list()[0].summary.as_ref().unwrap().train_loss
}

#[test]
fn item_dynamics_learn_what_an_old_timeline_is_worth_where_requests_come_after_the_cut() {
    assert_ne!(loss("temporal", "both", 1), loss("temporal", "both", 0));
    assert_eq!(loss("temporal", "both", 1), loss("temporal", "both", 1));
    assert_eq!(loss("temporal", "none", 1), loss("temporal", "none", 0));
    assert_eq!(loss("leave-one-out", "both", 1), loss("leave-one-out", "both", 0));
}
