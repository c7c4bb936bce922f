//! Above the table: the page's heading, the filter, the columns, and what can be exported.

use eframe::egui::{self, RichText, Ui};

use super::ComparePage;
use super::columns::{self, ColumnChoice, ColumnInfo};
use crate::runs::{RunState, TRASH_DAYS};
use crate::workbench::commands::{Command, ExportFormat, tooltip};
use crate::workbench::session::Session;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{
    Tone, button, combo, list_row, page_header, pill, primary, text_field,
};

impl ComparePage {
    /// Title, sentence and the actions on what is selected.
    pub(super) fn header(&self, ui: &mut Ui, session: &mut Session) {
        let selected = self.selected_rows();
        let any = !selected.is_empty();
        let stopped = selected.iter().filter(|row| row.state == RunState::Interrupted);
        let stopped: Vec<String> = stopped.flat_map(|row| row.runs.clone()).collect();
        let sentence = self.sentence();
        page_header(ui, "Compare", &sentence, |ui| {
            export_menu(ui, session);
            let delete_help =
                format!("Delete; can be undone, and stays in the trash for {TRASH_DAYS} days");
            let help = tooltip(ui.ctx(), &Command::DeleteRuns, &delete_help);
            if button(ui, "Delete", Tone::Danger, any, &help).clicked() {
                session.ask(Command::DeleteRuns);
            }
            let archived = any && selected.iter().all(|row| row.archived);
            let (label, help) = if archived {
                ("Unarchive", "Take out of the archive")
            } else {
                ("Archive", "Keep out of the way")
            };
            let help = tooltip(ui.ctx(), &Command::ArchiveRuns, help);
            if button(ui, label, Tone::Plain, any, &help).clicked() {
                session.ask(Command::ArchiveRuns);
            }
            let pinned = self.baseline.is_some();
            let label = if pinned { "Unpin baseline" } else { "Pin baseline" };
            let help = "Show the other runs as differences to the selected one";
            let help = tooltip(ui.ctx(), &Command::PinBaseline, help);
            if button(ui, label, Tone::Plain, pinned || selected.len() == 1, &help).clicked() {
                session.ask(Command::PinBaseline);
            }
            let help = "Losses and validation curves, on the Train page";
            if button(ui, "Curves", Tone::Plain, any, help).clicked() {
                session.ask(Command::ShowCurves(self.selected_runs()));
            }
            match (stopped.len(), session.unfinished.clone()) {
                (0, Some(unfinished)) if !any => unfinished.offer(ui, session),
                (0, _) => {}
                (count, _) => {
                    let help = "Go on from the last checkpoint, on the Train page";
                    let text = match count {
                        1 => "Resume run".to_owned(),
                        count => format!("Resume {count} runs"),
                    };
                    if primary(ui, &text, true, help).clicked() {
                        session.ask(Command::ResumeRuns(stopped));
                    }
                }
            }
        });
    }

    fn sentence(&self) -> String {
        let entries = &self.listing.entries;
        if entries.is_empty() {
            return "Every run is kept here once something was trained".to_owned();
        }
        let done = entries.iter().filter(|entry| entry.state == RunState::Done).count();
        let interrupted =
            entries.iter().filter(|entry| entry.state == RunState::Interrupted).count();
        let more =
            if interrupted > 0 { format!(", {interrupted} to resume") } else { String::new() };
        format!("{done} finished of {} runs{more}", entries.len())
    }

    /// The filter and how runs are listed.
    pub(super) fn toolbar(&mut self, ui: &mut Ui, session: &mut Session) {
        let mut changed = false;
        ui.horizontal(|ui| {
            let field = text_field(ui, "Filter runs", &mut self.filter, 220.0);
            if self.filter.is_empty() {
                let at = field.rect.left_center() + egui::vec2(8.0, 0.0);
                let font = egui::FontId::proportional(13.0);
                let color = palette(ui).muted;
                ui.painter().text(at, egui::Align2::LEFT_CENTER, "Filter runs", font, color);
            }
            changed |= field.changed();
            let choice = &mut session.kept.columns;
            let help = "Runs that differ only in their seed as one line, mean ± 95 % interval";
            if pill(ui, "Group seeds", choice.grouped, None, help).clicked() {
                choice.grouped = !choice.grouped;
                changed = true;
            }
            if pill(ui, "Archived", choice.archived, None, "Show archived runs too").clicked() {
                choice.archived = !choice.archived;
                changed = true;
            }
            column_menu(ui, choice);
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let text = match (self.selected.len(), &self.baseline) {
                    (0, None) => "Click a run; Shift or Ctrl for more".to_owned(),
                    (0, Some(_)) => "Differences to the baseline".to_owned(),
                    (n, _) => format!("{n} selected"),
                };
                ui.label(RichText::new(text).small().color(palette(ui).muted));
            });
        });
        if changed {
            self.arrange(session);
        }
    }
}

/// The columns that were chosen, in their order.
pub fn shown_columns(choice: &ColumnChoice) -> Vec<ColumnInfo> {
    let all = columns::all();
    let find = |id: &String| all.iter().find(|column| column.id == *id).cloned();
    choice.shown.iter().filter_map(find).collect()
}

fn column_menu(ui: &mut Ui, choice: &mut ColumnChoice) {
    combo(ui, "Columns", "Columns", |ui| {
        ui.set_min_width(240.0);
        for column in columns::all() {
            let mut on = choice.shown.contains(&column.id);
            if ui.checkbox(&mut on, &column.title).on_hover_text(&column.about).changed() {
                if on {
                    choice.shown.push(column.id);
                } else {
                    choice.shown.retain(|id| *id != column.id);
                }
            }
        }
    });
}

fn export_menu(ui: &mut Ui, session: &mut Session) {
    combo(ui, "Export", "Export…", |ui| {
        ui.set_min_width(260.0);
        for (format, label, help) in [
            (ExportFormat::Csv, "Runs as CSV…", "Lines and columns as shown, plain numbers"),
            (ExportFormat::Markdown, "Tables as Markdown…", "The ablation, and lines as shown"),
            (ExportFormat::Png, "Plot as PNG…", "Quality against latency"),
            (ExportFormat::Svg, "Plot as SVG…", "Quality against latency"),
        ] {
            if list_row(ui, label, "", false, help).clicked() {
                session.ask(Command::Export(format));
                ui.close();
            }
        }
    });
}
