//! What the page asks in a dialog: agreement to a licence, and a path.

use eframe::egui::{self, RichText, Ui};

use super::DataPage;
use crate::data::catalog;
use crate::workbench::commands::Command;
use crate::workbench::format;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{Tone, button, dialog, primary, text_field};

impl DataPage {
    /// The licence of a set, to be agreed to before it is downloaded.
    pub(super) fn licence_dialog(&mut self, ui: &mut Ui, session: &mut Session) {
        let Some(entry) = self.agreeing.clone() else { return };
        let (mut agreed, mut closed) = (false, false);
        let modal = dialog(ui.ctx(), "licence", 480.0, |ui| {
            let palette = palette(ui);
            ui.label(RichText::new(format!("Download {}", entry.title)).heading());
            ui.add_space(UNIT);
            let size = entry.download_bytes().map(format::bytes);
            let about = format!(
                "About {} users, {} items and {} events{}. {}",
                format::count(entry.users),
                format::count(entry.items),
                format::count(entry.events),
                size.map(|size| format!("; {size} to download")).unwrap_or_default(),
                entry.clock,
            );
            ui.label(RichText::new(about).color(palette.text));
            ui.add_space(2.0 * UNIT);
            ui.label(RichText::new("Licence").strong());
            ui.label(RichText::new(&entry.licence.summary).color(palette.text));
            ui.hyperlink_to(&entry.licence.name, &entry.licence.url);
            ui.add_space(2.0 * UNIT);
            ui.label(RichText::new("To cite").strong());
            ui.label(RichText::new(&entry.citation).small().color(palette.muted));
            ui.add_space(3.0 * UNIT);
            ui.horizontal(|ui| {
                agreed = primary(ui, "Agree and download", true, "").clicked();
                closed = button(ui, "Cancel", Tone::Plain, true, "").clicked();
            });
        });
        if agreed {
            self.agreeing = None;
            let recorded = catalog::data_dir().map(|folder| entry.agree(&folder));
            match recorded {
                Some(Err(error)) => session.toasts.error(error.to_string()),
                Some(Ok(())) | None => self.download(&entry.name, session),
            }
        } else if closed || modal.should_close() {
            self.agreeing = None;
        }
    }

    /// “Open by path”.
    pub(super) fn path_dialog(&mut self, ui: &mut Ui, session: &mut Session) {
        let Some(typed) = &mut self.typing else { return };
        let (mut open, mut closed) = (false, false);
        let modal = dialog(ui.ctx(), "open by path", 480.0, |ui| {
            ui.label(RichText::new("Open by path").heading());
            ui.label(
                RichText::new("A file, a folder, a name of the catalogue, or drift.")
                    .color(palette(ui).muted),
            );
            ui.add_space(UNIT);
            let field = text_field(ui, "Path or name", typed, f32::INFINITY);
            let entered = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
            if !entered {
                field.request_focus();
            }
            ui.add_space(2.0 * UNIT);
            ui.horizontal(|ui| {
                let ready = !typed.trim().is_empty();
                open = primary(ui, "Open", ready, "").clicked() || (entered && ready);
                closed = button(ui, "Cancel", Tone::Plain, true, "").clicked();
            });
        });
        if open {
            let source = typed.trim().to_owned();
            self.typing = None;
            session.ask(Command::of_file(source));
        } else if closed || modal.should_close() {
            self.typing = None;
        }
    }
}
