//! Which finished run a page looks at.

use eframe::egui::{Color32, TextStyle, Ui};

use super::background::Background;
use super::session::Session;
use super::widgets::combo;
use crate::runs::{RunEntry, RunState, model_title};

/// Finished runs, newest first, and the one that was chosen of them.
#[derive(Default)]
pub struct RunChoice {
    runs: Vec<RunEntry>,
    listing: Background<Vec<RunEntry>>,
    /// Of the last listing; runs are listed again when it differs.
    listed: Option<u64>,
    /// Id of the run chosen; if empty or gone, the newest that no experiment made for itself.
    chosen: String,
    /// Whether that is one with a flow, where there is any: the others have no field to look at.
    pub with_flow: bool,
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
        let flows = |entry: &&RunEntry| {
            entry.settings().is_some_and(|config| config.model.solver.flows())
                && !entry.is_of_an_experiment()
        };
        chosen
            .or_else(|| self.runs.iter().filter(|_| self.with_flow).find(flows))
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
            Some(summary) => format!(
                "{} seed {} · NDCG@10 {:.4} · {} · {}",
                model_title(&summary.model),
                summary.seed,
                summary.ndcg10.mean,
                summary.data.name,
                entry.id
            ),
            None => entry.id.clone(),
        };
        let shown = fitting(ui, &current);
        let hover = self.run().map(title);
        let mut picked = None;
        let response = combo(ui, "Run", &shown, |ui| {
            ui.set_min_width(480.0);
            for entry in &self.runs {
                if ui.selectable_label(entry.id == current, title(entry)).clicked() {
                    picked = Some(entry.id.clone());
                    ui.close();
                }
            }
        });
        if let Some(hover) = hover {
            response.on_hover_text(hover);
        }
        match picked {
            Some(picked) if picked != current => {
                self.chosen = picked;
                true
            }
            _ => false,
        }
    }
}

/// `id`, or its end where a box has no room for all of it: what tells runs apart comes last.
fn fitting(ui: &Ui, id: &str) -> String {
    let spacing = ui.spacing();
    let around = 2.0 * spacing.button_padding.x + spacing.icon_spacing + spacing.icon_width;
    let room = ui.available_width() - around;
    let font = TextStyle::Button.resolve(ui.style());
    let fits = |text: &str| {
        let galley = ui.painter().layout_no_wrap(text.to_owned(), font.clone(), Color32::WHITE);
        galley.rect.width() <= room
    };
    if fits(id) {
        return id.to_owned();
    }
    let mut ends = id.char_indices().skip(1).map(|(at, _)| format!("…{}", &id[at..]));
    ends.find(|end| fits(end)).unwrap_or_else(|| "…".to_owned())
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;

    use super::*;

    #[test]
    fn an_id_is_shown_whole_or_its_end() {
        let id = "20261128-145423-gru-ode-s42-5a0d";
        for (width, whole) in [(500.0, true), (160.0, false), (1.0, false)] {
            let mut shown = String::new();
            let mut harness = Harness::new_ui(|ui| {
                ui.set_max_width(width);
                shown = fitting(ui, id);
            });
            harness.run();
            drop(harness);
            assert_eq!(shown == id, whole, "{width} {shown}");
            if let Some(end) = shown.strip_prefix('…') {
                assert!(id.ends_with(end), "{shown}");
                assert!(width < 100.0 || end.ends_with("s42-5a0d"), "{shown}");
            }
        }
    }
}
