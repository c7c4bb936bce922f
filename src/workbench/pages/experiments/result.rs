//! A result: headline, table with the original's claim beside, figure, what else was found, method
//! and limits; a tall table comes last.

use std::path::{Path, PathBuf};

use eframe::egui::{self, Rect, RichText, Ui, pos2, vec2};

use super::{figure, table};
use crate::experiments::{About, ExperimentResult, ExperimentStore};
use crate::workbench::commands::Command;
use crate::workbench::session::Session;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Tone, button, card, notice, page_scroll, split_right};

/// The figure and the notes are at least this tall.
const LOWER: f32 = 320.0;

/// Of a row of the figure, where it has rows, and of what is around them.
const ROW: f32 = 5.0 * UNIT;
const AROUND: f32 = 31.0 * UNIT;

/// A table of more rows than this comes after the figure, which would be out of sight below it.
const TALL: usize = 10;

/// Draw over `rect`; what does not fit scrolls. Returns what is to be done with one of its files.
pub fn ui(
    ui: &mut Ui,
    rect: Rect,
    about: &About,
    result: &ExperimentResult,
    session: &Session,
) -> Option<Command> {
    let store = session.store.as_ref().ok().map(ExperimentStore::beside);
    let files: Vec<PathBuf> = store.iter().flat_map(|store| store.files_of(result)).collect();
    let mut asked = None;
    let mut child = ui.new_child(egui::UiBuilder::new().id_salt("result").max_rect(rect));
    child.shrink_clip_rect(rect);
    page_scroll(&mut child, "result", |ui| {
        let findings = &result.findings;
        let width = ui.available_width();
        let first = ui.cursor().min;
        let mut top = first;
        let tall = findings.rows.len() > TALL;
        let mut height = height_of(ui, &findings.headline, width - 8.0 * UNIT) + 14.0 * UNIT;
        if !findings.simulated.is_empty() {
            height += height_of(ui, &findings.simulated, width - 14.0 * UNIT) + 7.0 * UNIT;
        }
        let table = table::height(findings);
        height += if tall { -2.0 * UNIT } else { table };
        let place = Rect::from_min_size(top, vec2(width, height));
        card(ui, place, "experiment table", None, |ui| {
            heading(ui, about, result);
            if !tall {
                ui.add_space(UNIT);
                table::ui(ui, findings);
            }
        });
        top.y += height + 3.0 * UNIT;
        // Of what is seen before anything is scrolled.
        let left_over = rect.height() - (top.y - first.y);
        let rows = findings.figure.y_ticks.len() as f32;
        let least = LOWER.max(ROW * rows + AROUND);
        let lower = Rect::from_min_size(top, vec2(width, left_over.max(least)));
        let (left, right) = split_right(lower, (width * 0.38).clamp(260.0, 520.0));
        card(ui, left, "experiment figure", Some(&findings.figure.title), |ui| {
            figure::ui(ui, &findings.figure);
        });
        card(ui, right, "experiment notes", Some("How it was measured"), |ui| {
            page_scroll(ui, "notes", |ui| asked = notes(ui, result, &files));
        });
        let mut end = lower.bottom();
        if tall {
            let place = pos2(top.x, end + 3.0 * UNIT);
            let place = Rect::from_min_size(place, vec2(width, table + 12.0 * UNIT));
            card(ui, place, "experiment rows", Some("Table"), |ui| table::ui(ui, findings));
            end = place.bottom();
        }
        let whole = Rect::from_min_max(first, pos2(place.right(), end));
        ui.allocate_rect(whole, egui::Sense::hover());
    });
    asked
}

/// The answer, the question, and what of it is simulated.
fn heading(ui: &mut Ui, about: &About, result: &ExperimentResult) {
    let findings = &result.findings;
    let text = RichText::new(&findings.headline).font(theme::semibold(15.0));
    ui.label(text.color(palette(ui).strong));
    let asked = if about.is_of_the_readme() {
        format!("{} Original: {}.", about.asks, about.claim)
    } else {
        about.asks.to_owned()
    };
    let asked = RichText::new(asked).small().color(palette(ui).muted);
    ui.add(egui::Label::new(asked).truncate());
    if !findings.simulated.is_empty() {
        ui.add_space(UNIT);
        let text = format!("Simulated: {}", findings.simulated);
        notice(ui, palette(ui).warning, &text);
    }
}

fn height_of(ui: &Ui, text: &str, width: f32) -> f32 {
    let color = palette(ui).text;
    ui.painter().layout(text.to_owned(), theme::semibold(15.0), color, width).size().y
}

fn notes(ui: &mut Ui, result: &ExperimentResult, files: &[PathBuf]) -> Option<Command> {
    let findings = &result.findings;
    ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
    for fact in &findings.facts {
        ui.label(RichText::new(fact).color(palette(ui).text));
    }
    let asked = files_ui(ui, files);
    for (title, text) in [("Method", &findings.method), ("Limits", &findings.limits)] {
        ui.add_space(UNIT);
        ui.label(RichText::new(title).font(theme::semibold(theme::BODY)).color(palette(ui).strong));
        ui.label(RichText::new(text).color(palette(ui).muted));
    }
    ui.add_space(UNIT);
    ui.label(RichText::new(result.provenance()).small().color(palette(ui).muted));
    let command = egui::Label::new(RichText::new(&result.command).monospace().small());
    ui.add(command.wrap().selectable(true));
    asked
}

/// The adapters that a result left, and where; each can be put on the running server.
fn files_ui(ui: &mut Ui, files: &[PathBuf]) -> Option<Command> {
    let folder = files.first()?.parent().unwrap_or(Path::new(""));
    ui.add_space(UNIT);
    let title = RichText::new("Files").font(theme::semibold(theme::BODY));
    ui.label(title.color(palette(ui).strong));
    let mut asked = None;
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        ui.horizontal(|ui| {
            ui.label(RichText::new(name).color(palette(ui).text));
            let help = "Merge it into the weights that the running server answers with";
            if button(ui, "Put on live server", Tone::Plain, true, help).clicked() {
                asked = Some(Command::PutAdapter(file.clone()));
            }
        });
    }
    let folder = RichText::new(folder.display().to_string()).monospace().small();
    ui.add(egui::Label::new(folder).wrap().selectable(true));
    asked
}
