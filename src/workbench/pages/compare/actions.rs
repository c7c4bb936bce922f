//! What is done to runs: archive, delete and their way back, and the tables written to files.

use std::path::Path;

use eframe::egui;

use super::{ComparePage, columns, scatter, toolbar};
use crate::figures;
use crate::runs::{RunError, RunStore, TRASH_DAYS, write_atomic};
use crate::workbench::commands::{Command, ExportFormat};
use crate::workbench::session::Session;

/// Something that was done to runs: what to say, and how to take it back.
pub struct Done {
    pub text: String,
    pub undo: Option<Command>,
}

impl ComparePage {
    /// Do something to runs off the UI thread.
    fn work(
        &mut self,
        session: &mut Session,
        name: &str,
        work: impl FnOnce(&RunStore) -> Result<Done, String> + Send + 'static,
    ) {
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        if self.working.is_running() {
            return session.toasts.info("One thing at a time: the last action is not done yet.");
        }
        if let Err(message) = self.working.start(&session.ctx, name, move |_| work(&store)) {
            session.toasts.error(message);
        }
    }

    /// Archive what is selected, or take it out of the archive where all of it is there.
    pub(super) fn archive(&mut self, session: &mut Session) {
        let ids = self.selected_runs();
        if ids.is_empty() {
            return;
        }
        let back = self.selected_rows().iter().all(|row| row.archived);
        if back {
            session.ask(Command::UnarchiveRuns(ids));
            return;
        }
        self.work(session, "Archiving", move |store| {
            each(&ids, |id| store.archive(id))?;
            let text = count_text(ids.len(), "archived");
            Ok(Done { text, undo: Some(Command::UnarchiveRuns(ids)) })
        });
    }

    pub(super) fn unarchive(&mut self, ids: Vec<String>, session: &mut Session) {
        self.work(session, "Unarchiving", move |store| {
            each(&ids, |id| store.unarchive(id))?;
            Ok(Done { text: count_text(ids.len(), "back from the archive"), undo: None })
        });
    }

    /// Delete what is selected.
    pub(super) fn delete(&mut self, session: &mut Session) {
        let ids = self.selected_runs();
        if ids.is_empty() {
            return;
        }
        self.selected.clear();
        self.work(session, "Deleting", move |store| {
            each(&ids, |id| store.delete(id))?;
            let them = if ids.len() == 1 { "it" } else { "them" };
            let text = count_text(ids.len(), "deleted");
            let text = format!("{text} The trash keeps {them} for {TRASH_DAYS} days.");
            Ok(Done { text, undo: Some(Command::RestoreRuns(ids)) })
        });
    }

    pub(super) fn restore(&mut self, ids: Vec<String>, session: &mut Session) {
        self.work(session, "Restoring", move |store| {
            each(&ids, |id| store.restore(id))?;
            Ok(Done { text: count_text(ids.len(), "brought back"), undo: None })
        });
    }

    /// Write tables or the plot to a file.
    pub(super) fn export(&mut self, format: ExportFormat, path: &Path, session: &mut Session) {
        let rows = self.rows.clone();
        let shown = toolbar::shown_columns(&session.kept.columns);
        let ablation = self.ablation.as_ref().map(|ablation| ablation.table.clone());
        let dark = session.ctx.theme() == egui::Theme::Dark;
        let figure = scatter::figure(&self.comparable(), dark);
        let path = path.to_owned();
        self.work(session, "Exporting", move |_| {
            let svg = || figure.to_svg();
            let bytes = match format {
                ExportFormat::Csv => columns::to_csv(&rows, &shown).into_bytes(),
                ExportFormat::Markdown => {
                    let runs = columns::to_markdown(&rows, &shown);
                    let ablation = ablation.map(|table| table.to_markdown() + "\n");
                    (ablation.unwrap_or_default() + &runs).into_bytes()
                }
                ExportFormat::Json | ExportFormat::Html => {
                    return Err("Runs are exported as CSV or Markdown, and their plot as PNG or \
                                SVG."
                        .to_owned());
                }
                ExportFormat::Svg => svg().into_bytes(),
                ExportFormat::Png => {
                    figures::to_png(&svg(), 2.0).map_err(|error| error.to_string())?
                }
            };
            write_atomic(&path, &bytes)
                .map_err(|error| format!("{} could not be written: {error}", path.display()))?;
            Ok(Done { text: format!("Written to {}", path.display()), undo: None })
        });
    }
}

fn each(ids: &[String], mut act: impl FnMut(&str) -> Result<(), RunError>) -> Result<(), String> {
    for id in ids {
        act(id).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn count_text(count: usize, what: &str) -> String {
    if count == 1 { format!("One run {what}.") } else { format!("{count} runs {what}.") }
}
