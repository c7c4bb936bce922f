//! What a training tells its steps.

use crate::data::drift::{DriftOptions, drift};
use crate::dynamics::device::DeviceChoice;
use crate::jobs::{Context, Control, detached};
use crate::runs::{MetricRecord, RunStore, RunSummary};
use crate::settings::Config;
use crate::training::{Plan, Prepared, TrainEvent, ablation};

/// What one epoch of these settings comes to, where the world moves on by a share of what the protocol
/// says.
fn trained(settings: &[&str], share: i64) -> RunSummary {
    trained_with_metrics(settings, share).0
}

/// The same, and what was measured on the way.
fn trained_with_metrics(settings: &[&str], share: i64) -> (RunSummary, Vec<MetricRecord>) {
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
    let summary = store.list()[0].summary.clone().unwrap();
    let metrics = store.metrics(&summary.run).unwrap();
    (summary, metrics)
}

#[test]
fn validation_is_that_of_the_weights_that_are_kept() {
    for keep in [true, false] {
        let keep_best = format!("training.keep_best={keep}");
        // Too fast to get better for long.
        let fast = ["ablation.models=gru", "training.epochs=6", "training.learning_rate=1"];
        let (summary, metrics) = trained_with_metrics(&[&fast[..], &[&keep_best]].concat(), 1);
        let valid: Vec<f64> = metrics
            .iter()
            .filter_map(|record| match record {
                MetricRecord::Epoch { valid_ndcg10, .. } => Some(*valid_ndcg10),
                MetricRecord::Step { .. } => None,
            })
            .collect();
        assert_eq!(valid.len(), 6);
        assert!(valid.iter().any(|value| *value > valid[5]), "{valid:?}");
        assert_eq!(summary.valid_ndcg10, valid[summary.best_epoch - 1]);
        assert_eq!(summary.best_epoch == 6, !keep);
    }
}

#[test]
fn halving_the_steps_changes_rk4_far_less_than_euler() {
    // Also where a gap is far shorter than the longest step: that one step is halved too.
    let error = |solver: &str| {
        let models = format!("ablation.models={solver}");
        trained(&[&models, "model.max_step=100"], 1).step_halving_error
    };
    assert_eq!((error("gru"), error("sasrec")), (0.0, 0.0));
    let euler = error("euler");
    assert!(euler > 1e-4, "{euler}");
    assert!(error("rk4") < 0.1 * euler, "{} {euler}", error("rk4"));
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
