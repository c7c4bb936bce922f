//! The table of a result: a number and its interval under it in each cell, the claim under the name.

use eframe::egui::{self, Align, Color32, FontId, Pos2, Sense, Stroke, Ui, pos2, vec2};

use crate::experiments::{Findings, Measure, Row, Value};
use crate::workbench::theme::{self, UNIT, palette};

const HEADER: f32 = 9.0 * UNIT;
const ROW: f32 = 9.5 * UNIT;
/// Between two columns.
const GAP: f32 = 2.5 * UNIT;
/// Widest name or claim before it is cut.
const WIDEST: f32 = 210.0;

/// The height of all of it, the scroll bar of a narrow place included.
pub fn height(findings: &Findings) -> f32 {
    HEADER + ROW * findings.rows.len() as f32 + 3.0 * UNIT
}

/// A cell: what is written first and what under it.
struct Text {
    first: String,
    second: String,
}

fn value_text(measure: Measure, value: Option<&Value>) -> Text {
    let Some(value) = value else { return Text { first: "–".to_owned(), second: String::new() } };
    let plain = |number| measure.text(&Value { value: number, ci95: None });
    // Where both ends are written, one place less says enough.
    let end = |number: f64| match measure {
        Measure::Metric => format!("{number:.3}"),
        Measure::Share => format!("{:.1}", 100.0 * number),
        Measure::Number | Measure::Count | Measure::Chance => plain(number),
    };
    let second = match value.ci95 {
        None => String::new(),
        Some([low, high]) => {
            let even = ((high - value.value) - (value.value - low)).abs() <= 0.02 * (high - low);
            if even {
                format!("± {}", plain((high - low) / 2.0))
            } else {
                format!("{} … {}", end(low), end(high))
            }
        }
    };
    Text { first: plain(value.value), second }
}

/// Draw it over the width there is; where that is too little it scrolls sideways.
pub fn ui(ui: &mut Ui, findings: &Findings) {
    let name_font = FontId::proportional(theme::BODY);
    let measure_width = |ui: &Ui, text: &str, font: FontId| {
        ui.painter().layout_no_wrap(text.to_owned(), font, Color32::WHITE).size().x
    };
    let widest = |ui: &Ui, texts: &mut dyn Iterator<Item = &str>| {
        texts.map(|text| measure_width(ui, text, name_font.clone())).fold(0.0, f32::max)
    };
    let claims = findings.rows.iter().map(claim);
    let claims = claims
        .map(|claim| measure_width(ui, &claim, FontId::proportional(theme::SMALL)))
        .fold(0.0, f32::max);
    let names = widest(ui, &mut findings.rows.iter().map(|row| row.name.as_str()));
    let names = names.max(claims).min(WIDEST);
    let columns: Vec<f32> = findings
        .columns
        .iter()
        .map(|column| {
            let cells = findings.rows.iter().map(|row| {
                let text = value_text(column.measure, row.cells.get(&column.key));
                measure_width(ui, &text.first, theme::figures(12.5)).max(measure_width(
                    ui,
                    &text.second,
                    theme::figures(10.5),
                ))
            });
            // Titles break between words.
            let words = column.title.split(' ');
            let words =
                words.map(|word| measure_width(ui, word, FontId::proportional(theme::SMALL)));
            cells.chain(words).fold(44.0, f32::max)
        })
        .collect();
    let needed = names + columns.iter().sum::<f32>() + GAP * (columns.len() + 2) as f32;
    egui::ScrollArea::horizontal().id_salt("experiment table").auto_shrink([false, true]).show(
        ui,
        |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            // What is left over goes to the numbers.
            let spare = (ui.available_width() - needed).max(0.0) / columns.len().max(1) as f32;
            let widths: Vec<f32> = columns.iter().map(|width| width + spare).collect();
            let table = Table { findings, names, widths, width: ui.available_width().max(needed) };
            table.header(ui);
            for row in &findings.rows {
                table.row(ui, row);
            }
        },
    );
}

struct Table<'a> {
    findings: &'a Findings,
    names: f32,
    widths: Vec<f32>,
    width: f32,
}

impl Table<'_> {
    fn header(&self, ui: &mut Ui) {
        let (rect, _) = ui.allocate_exact_size(vec2(self.width, HEADER), Sense::hover());
        let muted = palette(ui).muted;
        let mut x = rect.left() + GAP / 2.0 + self.names + GAP;
        let small = || FontId::proportional(theme::SMALL);
        for (column, &width) in self.findings.columns.iter().zip(&self.widths) {
            let right = pos2(x + width, rect.bottom() - 1.5 * UNIT);
            write(ui, right, width, (&column.title, small(), muted));
            x += width + GAP;
        }
        let line = Stroke::new(1.0, palette(ui).line);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, line);
    }

    fn row(&self, ui: &mut Ui, row: &Row) {
        let palette = palette(ui);
        let (rect, response) = ui.allocate_exact_size(vec2(self.width, ROW), Sense::hover());
        if response.hovered() {
            ui.painter().rect_filled(rect, 2.0, palette.control.gamma_multiply(0.5));
        }
        let left = rect.left() + GAP / 2.0;
        let claim = claim(row);
        let body = FontId::proportional(theme::BODY);
        let name = (row.name.as_str(), body, palette.strong);
        if claim.is_empty() {
            line_of(ui, pos2(left, rect.center().y), 0.5, self.names, name);
        } else {
            let small = FontId::proportional(theme::SMALL);
            let middle = pos2(left, rect.center().y + 1.0);
            line_of(ui, middle, 1.0, self.names, name);
            line_of(ui, middle, 0.0, self.names, (&claim, small, palette.muted));
        }
        let mut x = left + self.names + GAP;
        let mut said = vec![row.name.clone()];
        for (column, &width) in self.findings.columns.iter().zip(&self.widths) {
            let text = value_text(column.measure, row.cells.get(&column.key));
            said.push(format!("{} {} {}", column.title, text.first, text.second));
            let right = x + width;
            let color = if text.first == "–" { palette.muted } else { palette.text };
            let figures = theme::figures(12.5);
            if text.second.is_empty() {
                let at = pos2(right, rect.center().y);
                ui.painter().text(at, egui::Align2::RIGHT_CENTER, &text.first, figures, color);
            } else {
                let at = pos2(right, rect.center().y + 1.0);
                ui.painter().text(at, egui::Align2::RIGHT_BOTTOM, &text.first, figures, color);
                let small = theme::figures(10.5);
                let muted = palette.muted;
                ui.painter().text(at, egui::Align2::RIGHT_TOP, &text.second, small, muted);
            }
            x = right + GAP;
        }
        if !claim.is_empty() {
            said.push(format!("original's claim {}", row.claimed));
        }
        let line = Stroke::new(1.0, palette.line);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, line);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Row, true, said.join("; ")));
    }
}

/// Text of at most two lines whose lower right corner is `at`.
fn write(ui: &Ui, at: Pos2, width: f32, (text, font, color): (&str, FontId, Color32)) {
    let mut job = egui::text::LayoutJob::simple(text.to_owned(), font, color, width + 1.0);
    job.halign = Align::Max;
    job.wrap.max_rows = 2;
    let galley = ui.painter().layout_job(job);
    let at = pos2(at.x, at.y - galley.size().y);
    ui.painter().galley(at, galley, color);
}

/// One line of text, cut where it is too long, that begins at `at` and stands above it by `above` of
/// its height.
fn line_of(
    ui: &Ui,
    at: Pos2,
    above: f32,
    width: f32,
    (text, font, color): (&str, FontId, Color32),
) {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(width + 1.0);
    let galley = ui.painter().layout_job(job);
    let at = pos2(at.x, at.y - above * galley.size().y);
    ui.painter().galley(at, galley, color);
}

/// What the original claims of a row, as it stands under its name.
fn claim(row: &Row) -> String {
    if row.claimed.is_empty() { String::new() } else { format!("Claim: {}", row.claimed) }
}
