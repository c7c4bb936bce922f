//! Trainings that were stopped, and the button that goes on with them.

use eframe::egui::Ui;

use super::commands::Command;
use super::session::Session;
use super::widgets::primary;
use crate::runs::{RunEntry, RunState, RunStore};
use crate::settings::Solver;
use crate::training::Left;
use crate::training::tuning::Search;

/// What is left of the trainings that were stopped last.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// Ids, by seed and model; of finished ones those without latency.
    runs: Vec<String>,
    interrupted: usize,
    /// Runs of the plan.
    of: usize,
}

impl Unfinished {
    /// Of the newest plan among `entries`, newest first, of which a run is interrupted; a search goes on
    /// by itself.
    pub fn find(entries: &[RunEntry], store: &RunStore) -> Option<Self> {
        let group = |entry: &RunEntry| entry.settings().map(|of| of.ablation.group.clone());
        let stopped = |entry: &&RunEntry| entry.state == RunState::Interrupted && !entry.archived;
        let mut groups = entries.iter().filter(stopped).filter_map(group);
        let newest = groups.find(|group| !Search::exists(store, group))?;
        let plan = || entries.iter().filter(|entry| group(entry).as_ref() == Some(&newest));
        let mut left: Vec<Left> =
            plan().filter(|entry| !entry.archived).filter_map(Left::of).collect();
        left.sort_by_key(|Left { config, .. }| {
            let model = Solver::ALL.iter().position(|solver| *solver == config.model.solver);
            (config.training.seed, model)
        });
        Some(Self {
            runs: left.into_iter().map(|left| left.run).collect(),
            interrupted: plan().filter(stopped).count(),
            of: plan().count(),
        })
    }

    /// The button that goes on with them.
    pub fn offer(&self, ui: &mut Ui, session: &mut Session) {
        let Self { runs, interrupted, of } = self;
        let (text, help) = match of {
            1 => ("Resume run".to_owned(), "Go on from its last checkpoint".to_owned()),
            _ => (
                format!("Resume {interrupted} of {of} runs"),
                "The trainings that were stopped last go on from their checkpoints, side by side"
                    .to_owned(),
            ),
        };
        if primary(ui, &text, true, &help).clicked() {
            session.ask(Command::ResumeRuns(runs.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Config;

    #[test]
    fn the_newest_plan_that_was_stopped_is_offered_in_the_order_of_seeds_and_models() {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(folder.path())).unwrap();
        assert_eq!(Unfinished::find(&store.list(), &store), None);
        let create = |group: &str, solver, seed| {
            let mut config = Config::default();
            config.ablation.group = group.to_owned();
            (config.model.solver, config.training.seed) = (solver, seed);
            store.create("run", &config).unwrap().id().to_owned()
        };
        create("older", Solver::Gru, 1);
        // Runs of one second come in any order.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ids = [(Solver::Rk4, 2), (Solver::Gru, 2), (Solver::Rk4, 1)]
            .map(|(solver, seed)| create("newer", solver, seed));
        let found = Unfinished::find(&store.list(), &store).unwrap();
        let [rk4_2, gru_2, rk4_1] = ids;
        assert_eq!(found, Unfinished { runs: vec![rk4_1, gru_2, rk4_2], interrupted: 3, of: 3 });
    }
}
