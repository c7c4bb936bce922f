//! The mapping editor: which column is what, over the first rows of the file.

use std::path::PathBuf;

use eframe::egui::{RichText, Ui};

use crate::data::import::{Format, ImportOptions, Mapping, Preview};
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Cell, Column, Tone, button, card, combo, grid_table, notice, page_scroll, primary, split_rows,
};

/// What is being mapped.
pub struct MappingEditor {
    pub path: PathBuf,
    options: ImportOptions,
    preview: Preview,
    mapping: Mapping,
}

/// What the user did in the editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    /// A column or the format was changed: look at the file again.
    Changed,
    Import,
    Close,
}

impl MappingEditor {
    pub fn new(path: PathBuf, options: ImportOptions, preview: Preview) -> Self {
        let mapping = preview.mapping.clone();
        Self { path, options, preview, mapping }
    }

    /// How to import with what is chosen.
    pub fn options(&self) -> ImportOptions {
        ImportOptions { mapping: Some(self.mapping.clone()), ..self.options.clone() }
    }

    fn is_complete(&self) -> bool {
        let mapping = &self.mapping;
        [&mapping.user, &mapping.item, &mapping.time].iter().all(|column| !column.is_empty())
    }
}

/// Draw the editor over the whole place.
pub fn editor_ui(ui: &mut Ui, editor: &mut MappingEditor, error: Option<&str>) -> Answer {
    let mut answer = Answer::Nothing;
    let name = editor.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem = editor.preview.problem.clone().or_else(|| error.map(str::to_owned));
    let height = if problem.is_some() { 248.0 } else { 184.0 };
    let (upper, lower) = split_rows(ui.available_rect_before_wrap(), height);
    card(ui, upper, "mapping", Some(&format!("Columns of {name}")), |ui| {
        if let Some(problem) = &problem {
            notice(ui, palette(ui).warning, problem);
        }
        ui.add_space(UNIT);
        ui.horizontal(|ui| {
            let columns = editor.preview.columns.clone();
            let mapping = &mut editor.mapping;
            let mut changed = column_choice(ui, "User", &columns, &mut mapping.user, false);
            changed |= column_choice(ui, "Item", &columns, &mut mapping.item, false);
            changed |= column_choice(ui, "Time", &columns, &mut mapping.time, false);
            let mut rating = mapping.rating.clone().unwrap_or_default();
            if column_choice(ui, "Rating", &columns, &mut rating, true) {
                mapping.rating = Some(rating).filter(|rating| !rating.is_empty());
                changed = true;
            }
            changed |= format_choice(ui, editor);
            if changed {
                answer = Answer::Changed;
            }
        });
        ui.add_space(UNIT);
        if let Some(time) = &editor.preview.time {
            let text = format!("Times are read as {}.", time);
            ui.label(RichText::new(text).color(palette(ui).muted));
        }
        ui.horizontal(|ui| {
            let help = "Read the whole file with these columns";
            if primary(ui, "Import with this mapping", editor.is_complete(), help).clicked() {
                answer = Answer::Import;
            }
            if button(ui, "Close mapping", Tone::Plain, true, "Keep what is loaded").clicked() {
                answer = Answer::Close;
            }
        });
    });
    card(ui, lower, "preview", Some("First rows of the file"), |ui| {
        page_scroll(ui, "preview rows", |ui| preview_rows(ui, editor));
    });
    answer
}

fn column_choice(
    ui: &mut Ui,
    label: &str,
    columns: &[String],
    chosen: &mut String,
    optional: bool,
) -> bool {
    let before = chosen.clone();
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = UNIT;
        ui.label(RichText::new(label).color(palette(ui).muted));
        let shown = if chosen.is_empty() { "none".to_owned() } else { chosen.clone() };
        combo(ui, &format!("{label} column"), &shown, |ui| {
            if optional {
                ui.selectable_value(chosen, String::new(), "none");
            }
            for column in columns {
                ui.selectable_value(chosen, column.clone(), column.as_str());
            }
        });
    });
    ui.add_space(2.0 * UNIT);
    *chosen != before
}

fn format_choice(ui: &mut Ui, editor: &mut MappingEditor) -> bool {
    let mut chosen = editor.options.format.unwrap_or(editor.preview.format);
    let before = chosen;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = UNIT;
        ui.label(RichText::new("Format").color(palette(ui).muted));
        combo(ui, "File format", &chosen.to_string(), |ui| {
            let separators = [b',', b';', b'|', b'\t'].map(Format::Delimited);
            for format in [Format::MovieLens, Format::RecBole].into_iter().chain(separators) {
                ui.selectable_value(&mut chosen, format, format.to_string());
            }
        });
    });
    if chosen != before {
        editor.options.format = Some(chosen);
    }
    chosen != before
}

fn preview_rows(ui: &mut Ui, editor: &MappingEditor) {
    let mapping = &editor.mapping;
    let role = |column: &str| match column {
        column if column == mapping.user => Some("user"),
        column if column == mapping.item => Some("item"),
        column if column == mapping.time => Some("time"),
        column if mapping.rating.as_deref() == Some(column) => Some("rating"),
        _ => None,
    };
    let titles: Vec<String> = editor
        .preview
        .columns
        .iter()
        .map(|column| match role(column) {
            Some(role) => format!("{column} · {role}"),
            None => column.clone(),
        })
        .collect();
    let columns: Vec<Column<'_>> = titles.iter().map(|title| Column::text(title, 1.0)).collect();
    let quiet = palette(ui).muted;
    let rows: Vec<Vec<Cell>> = editor
        .preview
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .zip(&editor.preview.columns)
                .map(|(text, column)| {
                    let cell = Cell::figure(text.as_str());
                    if role(column).is_some() { cell } else { cell.color(quiet) }
                })
                .collect()
        })
        .collect();
    grid_table(ui, &columns, &rows);
}
