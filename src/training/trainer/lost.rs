//! A device that is lost in the middle of a training: for tests, on machines that lose none.
//!
//! burn tells of a lost device where values are read back, so that is where it is lost here.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{ExecutionError, TensorReadError};

use super::Training;

/// What is to be lost: the group of the training, and the step from which on reading fails.
static LOSSES: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

/// Let the next training of `group` lose its device at `step`, once: resumed, it has another one.
pub(crate) fn lose_device(group: &str, step: u64) {
    LOSSES.lock().unwrap_or_else(PoisonError::into_inner).push((group.to_owned(), step));
}

/// What `training` reads, or what burn says once the device is gone.
pub(super) fn read_back<T>(
    training: &Training<'_>,
    read: Result<T, TensorReadError>,
) -> Result<T, TensorReadError> {
    let mut losses = LOSSES.lock().unwrap_or_else(PoisonError::into_inner);
    let due = losses.iter().position(|(group, step)| {
        *group == training.task.config.ablation.group && training.position.step >= *step
    });
    match due {
        Some(due) => {
            losses.swap_remove(due);
            Err(ExecutionError::device_poisoned("the test took it away").into())
        }
        None => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::drift::{DriftOptions, drift};
    use crate::dynamics::device::DeviceChoice;
    use crate::jobs::{Context, Control, detached};
    use crate::runs::{QueryRank, RunState, RunStore};
    use crate::settings::Config;
    use crate::training::checkpoint::{Checkpoint, decode};
    use crate::training::{Plan, Prepared, TrainError, TrainEvent, ablation, resume};

    fn context() -> Context<TrainEvent> {
        detached(Control::default(), |_, _| ())
    }

    fn config(group: &str, model: &str) -> Config {
        let mut config = Config::default();
        for setting in [
            "model.hidden=4",
            // So that random numbers count.
            "model.dropout=0.2",
            "training.epochs=2",
            "training.batch_size=16",
            "training.averaging=4",
            // So that a start that comes again would show.
            "training.embedding=factors",
            // Saved after every step.
            "training.checkpoint_seconds=0",
            "ablation.seeds=1",
        ] {
            config.set_text(setting).unwrap();
        }
        config.ablation.models = model.to_owned();
        config.ablation.group = group.to_owned();
        config
    }

    fn train(
        store: &RunStore,
        [group, model]: [&str; 2],
        prepared: &Prepared,
    ) -> Result<Vec<QueryRank>, TrainError> {
        let plan = Plan::from_config(&config(group, model), DeviceChoice::Cpu)?;
        ablation::run(&plan, prepared, store, &context())?;
        Ok(store.ranks(&store.list()[0].id)?)
    }

    #[test]
    fn a_lost_device_keeps_the_run_and_the_cpu_takes_it_to_the_same_end() {
        let options = DriftOptions { users: 60, items: 40, ..DriftOptions::default() };
        let raw = drift(options, || Ok(())).unwrap();
        let prepared = Prepared::from_dataset(&raw, &config("", "rk4"), &context())
            .expect("enough users for a split");
        for model in ["rk4", "sasrec", "tisasrec"] {
            lost_and_resumed(model, &prepared);
        }
    }

    fn lost_and_resumed(model: &str, prepared: &Prepared) {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| RunStore::open(Some(&folder.path().join(name))).unwrap();
        let weights = |store: &RunStore| {
            let bytes = store.model(&store.list()[0].id).unwrap();
            let (mut matrices, _) = decode(&bytes).unwrap();
            matrices.sort_by(|a, b| a.name.cmp(&b.name));
            matrices
        };
        let whole = open("undisturbed");
        let undisturbed = train(&whole, ["device kept", model], prepared).unwrap();

        let store = open("disturbed");
        let group = &format!("device lost by {model}");
        lose_device(group, 3);
        let error = train(&store, [group, model], prepared).unwrap_err();
        assert!(error.is_device(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("poisoned") && text.contains("--device cpu"), "{text}");

        let entries = store.list();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].state, RunState::Interrupted);
        let dir = store.open_run(&entries[0].id).unwrap();
        let saved = Checkpoint::decode(&dir.read_checkpoint().unwrap().unwrap()).unwrap();
        // Two steps were saved; the third was lost with the device.
        assert_eq!(saved.position.step, 2);

        let config = dir.read_config().unwrap();
        resume(dir, &config, prepared, &DeviceChoice::Cpu, &context()).unwrap();
        assert_eq!(store.list()[0].state, RunState::Done);
        assert_eq!(store.ranks(&entries[0].id).unwrap(), undisturbed);
        // To the bit; what is said beside the weights names the group.
        assert!(weights(&store) == weights(&whole), "{model}");
    }
}
