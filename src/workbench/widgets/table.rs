//! A small table of text: aligned columns, quiet lines. For run lists that scroll and sort, see
//! the Compare page.

use eframe::egui::{self, Align, Align2, Color32, Rect, Sense, Stroke, Ui, pos2, vec2};

use crate::workbench::theme::{self, UNIT, palette};

/// A column: its title, how its cells are aligned, and its share of the width.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    pub title: &'a str,
    pub align: Align,
    /// Relative to the other columns.
    pub weight: f32,
}

impl<'a> Column<'a> {
    /// Text, aligned left.
    pub fn text(title: &'a str, weight: f32) -> Self {
        Self { title, align: Align::Min, weight }
    }

    /// Figures, aligned right.
    pub fn figure(title: &'a str, weight: f32) -> Self {
        Self { title, align: Align::Max, weight }
    }
}

/// What stands in a cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub text: String,
    /// In tabular figures.
    pub figures: bool,
    pub color: Option<Color32>,
    /// A dot before the text.
    pub dot: Option<Color32>,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn figure(text: impl Into<String>) -> Self {
        Self { text: text.into(), figures: true, ..Self::default() }
    }

    pub fn color(mut self, color: Color32) -> Self {
        self.color = Some(color);
        self
    }

    pub fn dot(mut self, color: Color32) -> Self {
        self.dot = Some(color);
        self
    }
}

/// Rows of cells under a header, over the whole width. Texts too long for their column end in `…`
/// and show in full when pointed at.
pub fn grid_table(ui: &mut Ui, columns: &[Column<'_>], rows: &[Vec<Cell>]) {
    let palette = palette(ui);
    let width = ui.available_width();
    let total: f32 = columns.iter().map(|column| column.weight).sum();
    let row_height = 7.5 * UNIT;
    let header: Vec<Cell> =
        columns.iter().map(|column| Cell::text(column.title).color(palette.muted)).collect();
    ui.spacing_mut().item_spacing.y = 0.0;
    for (index, row) in std::iter::once(&header).chain(rows).enumerate() {
        let (rect, response) = ui.allocate_exact_size(vec2(width, row_height), Sense::hover());
        if index > 0 && response.hovered() {
            ui.painter().rect_filled(rect, 2.0, palette.control.gamma_multiply(0.5));
        }
        let stroke = Stroke::new(1.0, palette.line);
        ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, stroke);
        let mut x = rect.left();
        for (column, cell) in columns.iter().zip(row) {
            let cell_width = width * column.weight / total;
            let area = Rect::from_min_size(pos2(x, rect.top()), vec2(cell_width, row_height))
                .shrink2(vec2(1.5 * UNIT, 0.0));
            x += cell_width;
            paint_cell(ui, area, column.align, cell);
        }
    }
}

fn paint_cell(ui: &mut Ui, area: Rect, align: Align, cell: &Cell) {
    let palette = palette(ui);
    let mut area = area;
    if let Some(color) = cell.dot {
        let center = pos2(area.left() + UNIT, area.center().y);
        ui.painter().circle_filled(center, UNIT, color);
        area.min.x += 4.0 * UNIT;
    }
    let font =
        if cell.figures { theme::figures(12.5) } else { egui::FontId::proportional(theme::BODY) };
    let color = cell.color.unwrap_or(palette.text);
    let mut job = egui::text::LayoutJob::simple_singleline(cell.text.clone(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(area.width());
    let galley = ui.painter().layout_job(job);
    let elided = galley.elided;
    let anchor = if align == Align::Max { Align2::RIGHT_CENTER } else { Align2::LEFT_CENTER };
    let at = anchor.anchor_size(anchor.pos_in_rect(&area), galley.size());
    ui.painter().galley(at.min, galley, color);
    let id = ui.scope_id().with((area.min.x as i32, area.min.y as i32, "cell"));
    let response = ui.interact(area, id, Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, cell.text.as_str()));
    if elided {
        response.on_hover_text(cell.text.as_str());
    }
}
