//! What a training tells its steps.

use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::device::DeviceChoice;
use crate::jobs::{Context, Control, detached};
use crate::runs::{RunStore, RunSummary};
use crate::settings::Config;
use crate::training::{Plan, Prepared, TrainEvent, ablation};

/// What one epoch of these settings comes to, where the world moves on by a share of what the protocol
/// says.
fn trained(settings: &[&str], share: i64) -> RunSummary {
    let mut config = Config::default();
    let small = ["model.hidden=4", "training.epochs=1", "training.batch_size=16"];
    for setting in small.iter().chain(&["ablation.seeds=1"]).chain(settings) {
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
    store.list()[0].summary.clone().unwrap()
}

/// Training loss of a GRU.
fn loss(protocol: &str, dynamics: &str, share: i64) -> f64 {
    let protocol = format!("evaluation.protocol={protocol}");
    let dynamics = format!("model.item_dynamics={dynamics}");
    trained(&["ablation.models=gru", &protocol, &dynamics], share).train_loss
}

#[test]
fn item_dynamics_learn_what_an_old_timeline_is_worth_where_requests_come_after_the_cut() {
    assert_ne!(loss("temporal", "both", 1), loss("temporal", "both", 0));
    assert_eq!(loss("temporal", "both", 1), loss("temporal", "both", 1));
    assert_eq!(loss("temporal", "none", 1), loss("temporal", "none", 0));
    assert_eq!(loss("leave-one-out", "both", 1), loss("leave-one-out", "both", 0));
}

#[test]
fn a_time_scale_is_learned_where_there_is_one_and_a_state_that_flows() {
    let scale = |solver: &str, warp: &str, learn: bool| {
        let models = format!("ablation.models={solver}");
        let (warp, learn) =
            (format!("model.warp={warp}"), format!("model.learn_time_scale={learn}"));
        trained(&[&models, &warp, &learn, "model.time_scale=3"], 1).time_scale_days
    };
    for solver in ["euler", "rk4", "decay", "cfc", "gru-ode"] {
        let learned = scale(solver, "log1p", true).unwrap();
        assert!(learned != 3.0 && (0.1..90.0).contains(&learned), "{solver}: {learned}");
    }
    assert_eq!(scale("euler", "log1p", false), None);
    assert_eq!(scale("euler", "linear", true), None);
    assert_eq!(scale("gru", "log1p", true), None);
    assert_eq!(scale("tisasrec", "log1p", true), None);
}
