//! The left column: the sets that can be loaded, and the filters.

use std::path::Path;

use eframe::egui::{Label, RichText, Ui};

use super::DataPage;
use crate::workbench::commands::Command;
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Tone, button, icon_button, list_row, progress_bar, section, setting_row,
};

impl DataPage {
    pub(super) fn sources_ui(&mut self, ui: &mut Ui, session: &mut Session) {
        ui.spacing_mut().item_spacing.y = UNIT / 2.0;
        let current = session.config.data.source.clone();
        heading(ui, "Built in");
        let help = "Users whose interest flows in a known field, observed at irregular times";
        if list_row(ui, "drift", "generated", current == "drift", help).clicked() {
            session.ask(Command::Load("drift".to_owned()));
        }

        let recent = session.kept.recent.clone();
        if !recent.is_empty() {
            section(ui, "Recent");
            for path in &recent {
                let name = Path::new(path).file_name().map(|name| name.to_string_lossy());
                let name = name.map_or_else(|| path.clone(), |name| name.into_owned());
                if list_row(ui, &name, "", *path == current, path).clicked() {
                    session.ask(Command::Load(path.clone()));
                }
            }
        }

        section(ui, "Catalogue");
        for offer in &self.offers {
            let entry = &offer.entry;
            let busy = self.downloading.is_running() && self.download_name == entry.name;
            let detail = match (busy, offer.downloaded, entry.download_bytes()) {
                (true, ..) => "downloading".to_owned(),
                (_, true, _) => format!("{} events", format::count(entry.events)),
                (_, false, Some(size)) => format!("{} ↓", format::bytes(size)),
                (_, false, None) => "download".to_owned(),
            };
            let help = format!(
                "About {} events. {}{}",
                format::count(entry.events),
                entry.clock,
                if offer.downloaded { "" } else { "\nClick to download; the licence shows first." }
            );
            let row = list_row(ui, &entry.title, &detail, entry.name == current, &help);
            if row.clicked() && !busy {
                let name = entry.name.clone();
                session.ask(if offer.downloaded {
                    Command::Load(name)
                } else {
                    Command::Download(name)
                });
            }
            if busy {
                self.download_progress(ui, session);
            }
        }

        section(ui, "Filters");
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        for key in ["data.min_user_events", "data.min_item_events", "data.k_core"] {
            setting_row(ui, &mut session.config, key);
        }
        ui.add_space(UNIT);
        ui.horizontal(|ui| {
            let ready = session.loaded.is_some() && !self.loading.is_running();
            let help = "Filter the loaded set again with these values";
            if button(ui, "Apply filters", Tone::Plain, ready, help).clicked() {
                session.ask(Command::ApplyFilters);
            }
        });
        Self::notes_ui(ui, session);
    }

    /// What a person should know of how the loaded file was read.
    fn notes_ui(ui: &mut Ui, session: &Session) {
        let Some(loaded) = &session.loaded else { return };
        let notes = &loaded.raw.report.notes;
        if notes.is_empty() {
            return;
        }
        section(ui, "How it was read");
        for note in notes {
            ui.add(Label::new(RichText::new(note).color(palette(ui).muted)).wrap());
        }
    }

    fn download_progress(&self, ui: &mut Ui, session: &mut Session) {
        let Some(running) = self.downloading.running() else { return };
        ui.horizontal(|ui| {
            ui.add_space(2.0 * UNIT);
            let width = ui.available_width() - 9.0 * UNIT;
            progress_bar(ui, width, running.progress.fraction, "Download progress");
            if icon_button(ui, "×", "Cancel download").clicked() {
                session.ask(Command::StopLoading);
            }
        });
        ui.horizontal(|ui| {
            ui.add_space(2.0 * UNIT);
            let text = RichText::new(&running.progress.message).small().color(palette(ui).muted);
            ui.label(text);
        });
    }
}

fn heading(ui: &mut Ui, title: &str) {
    let text = RichText::new(title)
        .text_style(crate::workbench::theme::card_title())
        .color(palette(ui).strong);
    ui.label(text);
}
