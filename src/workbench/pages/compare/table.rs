//! The run table: sticky first columns, sorted by a click on a heading.

use eframe::egui::{self, Align, Align2, Color32, FontId, Rect, Role, Sense, Ui, WidgetInfo, vec2};
use egui_table::{CellInfo, Column, HeaderCellInfo, HeaderRow, Table, TableDelegate};

use super::columns::{self, Better, ColumnChoice, ColumnInfo};
use super::rows::Row;
use crate::workbench::theme::{self, UNIT, palette};

const ROW: f32 = 7.5 * UNIT;

/// What a click adds to what is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Add {
    /// The line alone is selected.
    Nothing,
    /// With Ctrl or Cmd.
    One,
    /// With Shift: all lines from the one that was clicked before.
    UpTo,
}

/// What the user did.
#[derive(Debug, Default)]
pub struct Answer {
    /// A line was clicked.
    pub clicked: Option<(usize, Add)>,
    /// A heading was clicked.
    pub sort: Option<String>,
}

/// What the table draws.
pub struct Runs<'a> {
    pub rows: &'a [Row],
    pub shown: &'a [ColumnInfo],
    pub choice: &'a ColumnChoice,
    pub selected: &'a [String],
    /// The line that others are compared with.
    pub baseline: Option<&'a Row>,
    pub answer: Answer,
}

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, mut runs: Runs<'_>) -> Answer {
    let id = |name: &str| egui::Id::unique(("run table", name.to_owned()));
    let sticky = [("model", 135.0), ("seed", 60.0)];
    let column = |name: &str, width: f32| Column::new(width).id(id(name)).range(width..=600.0);
    let mut widths: Vec<Column> = sticky.iter().map(|(name, width)| column(name, *width)).collect();
    widths.extend(runs.shown.iter().map(|shown| column(&shown.id, shown.width)));
    // Another choice of columns is another table: its widths are worked out anew.
    let salt: Vec<&str> = runs.shown.iter().map(|column| column.id.as_str()).collect();
    Table::new()
        .id_salt(("run table", salt))
        .num_rows(runs.rows.len() as u64)
        .columns(widths)
        .num_sticky_cols(sticky.len())
        .headers([HeaderRow::new(ROW)])
        .auto_size_mode(egui_table::AutoSizeMode::OnParentResize)
        .show(ui, &mut runs);
    runs.answer
}

impl Runs<'_> {
    /// Id, title and whether it holds figures, of a column of the table.
    fn column(&self, index: usize) -> (&str, &str, bool) {
        match index {
            0 => ("model", "Model", false),
            1 => ("seed", "Seed", true),
            _ => self.shown.get(index - 2).map_or(("", "", false), |column| {
                (column.id.as_str(), column.title.as_str(), column.figures)
            }),
        }
    }
}

impl TableDelegate for Runs<'_> {
    fn header_cell_ui(&mut self, ui: &mut Ui, cell: &HeaderCellInfo) {
        let palette = palette(ui);
        let (id, title, figures) = self.column(cell.group_index);
        let rect = ui.max_rect();
        let mut response = ui.interact(rect, ui.scope_id().with("heading"), Sense::click());
        if let Some(column) = cell.group_index.checked_sub(2).and_then(|at| self.shown.get(at)) {
            response = response.on_hover_text(&column.about);
        }
        let sorted = self.choice.sort == id;
        let text = match (sorted, self.choice.descending) {
            (true, true) => format!("{title} ↓"),
            (true, false) => format!("{title} ↑"),
            (false, _) => title.to_owned(),
        };
        let color = if sorted || response.hovered() { palette.strong } else { palette.muted };
        paint(ui, rect, figures, &text, FontId::proportional(theme::BODY), color, None);
        let stroke = egui::Stroke::new(1.0, palette.line);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, stroke);
        response
            .widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Sort by {title}")));
        if response.clicked() {
            self.answer.sort = Some(id.to_owned());
        }
    }

    fn row_ui(&mut self, ui: &mut Ui, row_nr: u64) {
        let palette = palette(ui);
        let index = row_nr as usize;
        let Some(row) = self.rows.get(index) else { return };
        let rect = ui.max_rect();
        let response = ui.interact(rect, ui.scope_id().with("row"), Sense::click());
        let fill = if self.selected.iter().any(|key| key == row.key()) {
            palette.selected
        } else if response.hovered() {
            palette.control.gamma_multiply(0.6)
        } else {
            Color32::TRANSPARENT
        };
        ui.painter().rect_filled(rect, 0.0, fill);
        let stroke = egui::Stroke::new(1.0, palette.line);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, stroke);
        let name = format!("Run {} seed {}, {}", row.title(), row.seed_text(), row.key());
        response.widget_info(|| WidgetInfo::labeled(Role::Row, true, &name));
        if response.clicked() {
            let add = ui.input(|input| match input.modifiers {
                modifiers if modifiers.shift => Add::UpTo,
                modifiers if modifiers.command => Add::One,
                _ => Add::Nothing,
            });
            self.answer.clicked = Some((index, add));
        }
    }

    fn cell_ui(&mut self, ui: &mut Ui, cell: &CellInfo) {
        let palette = palette(ui);
        let Some(row) = self.rows.get(cell.row_nr as usize) else { return };
        let (id, _, figures) = self.column(cell.col_nr);
        let rect = ui.max_rect();
        let value = columns::value(row, id);
        let font = if figures { theme::figures(12.5) } else { FontId::proportional(theme::BODY) };
        if id == "model" {
            let color = row.solver.map_or(palette.error, |solver| palette.solver(solver));
            let mark = if self.baseline.is_some_and(|baseline| baseline.key() == row.key()) {
                format!("{} · baseline", value.text)
            } else {
                value.text
            };
            paint(ui, rect, false, &mark, font, palette.strong, Some(color));
            return;
        }
        let color = match id {
            "state" => state_color(palette, row),
            _ => palette.text,
        };
        let delta = self.delta(row, id, value.number);
        match delta {
            Some((text, good)) => {
                let color = match good {
                    Some(true) => palette.good,
                    Some(false) => palette.warning,
                    None => palette.muted,
                };
                paint(ui, rect, figures, &text, font, color, None);
            }
            None => paint(ui, rect, figures, &value.text, font, color, None),
        }
        let why = match (&row.state, &row.origin) {
            _ if id != "state" => None,
            (crate::runs::RunState::Broken(why), _) => Some(why.clone()),
            (_, Some(origin)) => Some(format!("Its weights come from {origin}")),
            _ => None,
        };
        if let Some(why) = why {
            let response = ui.interact(rect, ui.scope_id().with("why"), Sense::hover());
            response.on_hover_text(why);
        }
    }

    fn default_row_height(&self) -> f32 {
        ROW
    }
}

impl Runs<'_> {
    /// The difference to the baseline, and whether it is a gain; none where the two mean different
    /// things.
    fn delta(&self, row: &Row, id: &str, number: Option<f64>) -> Option<(String, Option<bool>)> {
        let baseline = self.baseline.filter(|baseline| baseline.key() != row.key())?;
        let better = self.shown.iter().find(|column| column.id == id)?.better;
        if better == Better::Neither {
            return None;
        }
        // Time is time, whatever a run was judged on.
        let quality = !matches!(id, "time" | "batch64" | "single");
        let comparable = match (&row.judged, &baseline.judged) {
            (Some(of_row), Some(of_baseline)) => of_row.is_comparable(of_baseline),
            _ => false,
        };
        if quality && !comparable {
            return None;
        }
        let delta = number? - columns::value(baseline, id).number?;
        let text = match id {
            "time" => format!("{delta:+.1} s"),
            "batch64" | "single" => format!("{delta:+.2}"),
            _ => format!("{delta:+.4}"),
        };
        let good = (delta != 0.0).then_some((delta > 0.0) == (better == Better::More));
        Some((text, good))
    }
}

fn state_color(palette: &theme::Palette, row: &Row) -> Color32 {
    use crate::runs::RunState;
    match row.state {
        RunState::Done => palette.good,
        RunState::Waiting => palette.muted,
        RunState::Running => palette.accent,
        RunState::Interrupted => palette.warning,
        RunState::Broken(_) => palette.error,
    }
}

fn paint(
    ui: &Ui,
    rect: Rect,
    figures: bool,
    text: &str,
    font: FontId,
    color: Color32,
    dot: Option<Color32>,
) {
    let mut area = rect.shrink2(vec2(2.0 * UNIT, 0.0));
    if let Some(dot) = dot {
        let center = egui::pos2(area.left() + UNIT, area.center().y);
        ui.painter().circle_filled(center, UNIT, dot);
        area.min.x += 4.0 * UNIT;
    }
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(area.width().max(0.0));
    let galley = ui.painter().layout_job(job);
    let align = if figures { Align::Max } else { Align::Min };
    let anchor = Align2([align, Align::Center]);
    let at = anchor.anchor_size(anchor.pos_in_rect(&area), galley.size());
    ui.painter().galley(at.min, galley, color);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Solver;
    use crate::workbench::pages::compare::rows::sample;

    #[test]
    fn quality_is_compared_only_where_it_was_judged_alike() {
        let row = |id: &str, mrr: f64| Row {
            mrr: Some(mrr),
            train_seconds: Some(10.0 * mrr),
            ..sample(id, Solver::Rk4)
        };
        let (baseline, like, mut masked) = (row("a", 0.2), row("b", 0.3), row("c", 0.3));
        if let Some(judged) = &mut masked.judged {
            judged.mask_seen = true;
        }
        let shown: Vec<ColumnInfo> = columns::all();
        let runs = Runs {
            rows: &[],
            shown: &shown,
            choice: &ColumnChoice::default(),
            selected: &[],
            baseline: Some(&baseline),
            answer: Answer::default(),
        };
        assert_eq!(runs.delta(&like, "mrr", like.mrr), Some(("+0.1000".to_owned(), Some(true))));
        assert_eq!(runs.delta(&masked, "mrr", masked.mrr), None);
        let slower = Some(("+1.0 s".to_owned(), Some(false)));
        assert_eq!(runs.delta(&masked, "time", masked.train_seconds), slower);
    }
}
