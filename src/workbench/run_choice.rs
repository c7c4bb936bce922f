//! Which finished run a page looks at.

use eframe::egui::Ui;

use super::background::Background;
use super::session::Session;
use super::widgets::combo;
use crate::runs::{RunEntry, RunState};

/// Letters of an id that fit the box.
const FITS: usize = 27;

/// Finished runs, newest first, and the one that was chosen of them.
#[derive(Default)]
pub struct RunChoice {
    runs: Vec<RunEntry>,
    listing: Background<Vec<RunEntry>>,
    /// Of the last listing; runs are listed again when it differs.
    listed: Option<u64>,
    /// Id of the run chosen; if empty or gone, the newest that no experiment made for itself.
    chosen: String,
}

impl RunChoice {
    /// Keep the list up to date; called each frame while the page is shown.
    pub fn logic(&mut self, session: &mut Session) {
        if let Some(runs) = self.listing.poll_or_tell(&mut session.toasts) {
            self.runs = runs;
        }
        if self.listed == Some(session.runs_changed) || self.listing.is_running() {
            return;
        }
        let Ok(store) = session.store.clone() else { return };
        self.listed = Some(session.runs_changed);
        let work = move |_: &crate::jobs::Context<()>| {
            // A model without a state can be compared, but not served or analysed.
            let has_state = |entry: &RunEntry| {
                entry.settings().is_none_or(|config| !config.model.solver.is_attention())
            };
            let finished = |entry: &RunEntry| {
                entry.state == RunState::Done && !entry.archived && has_state(entry)
            };
            Ok(store.list().into_iter().filter(finished).collect())
        };
        if let Err(message) = self.listing.start(&session.ctx, "Listing runs", work) {
            session.toasts.error(message);
        }
    }

    /// The run chosen, or the newest.
    pub fn run(&self) -> Option<&RunEntry> {
        let chosen = self.runs.iter().find(|entry| entry.id == self.chosen);
        chosen
            .or_else(|| self.runs.iter().find(|entry| !entry.is_of_an_experiment()))
            .or_else(|| self.runs.first())
    }

    /// Whether the list is known and has no run.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.listed.is_some() && !self.listing.is_running()
    }

    pub fn is_listing(&self) -> bool {
        self.listing.is_running()
    }

    /// List the runs again.
    pub fn refresh(&mut self) {
        self.listed = None;
    }

    /// A combobox of the runs. Returns whether another one was chosen.
    pub fn ui(&mut self, ui: &mut Ui) -> bool {
        let current = self.run().map(|entry| entry.id.clone()).unwrap_or_default();
        let title = |entry: &RunEntry| match &entry.summary {
            Some(summary) => format!("{} · {}", summary.data.name, entry.id),
            None => entry.id.clone(),
        };
        let mut shown: String = current.chars().take(FITS).collect();
        if shown.len() < current.len() {
            shown.pop();
            shown.push('…');
        }
        let mut picked = None;
        combo(ui, "Run", &shown, |ui| {
            ui.set_min_width(380.0);
            for entry in &self.runs {
                if ui.selectable_label(entry.id == current, title(entry)).clicked() {
                    picked = Some(entry.id.clone());
                    ui.close();
                }
            }
        });
        match picked {
            Some(picked) if picked != current => {
                self.chosen = picked;
                true
            }
            _ => false,
        }
    }
}
