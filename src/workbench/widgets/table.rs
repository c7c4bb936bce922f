//! Tables of text: aligned columns, quiet lines; a small one, and a long one whose rows are picked.
//! For run lists that sort, see the Compare page.

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

const ROW_HEIGHT: f32 = 7.5 * UNIT;

/// Rows of cells under a header, over the whole width. Texts too long for their column end in `…`
/// and show in full when pointed at.
pub fn grid_table(ui: &mut Ui, columns: &[Column<'_>], rows: &[Vec<Cell>]) {
    let hovered = palette(ui).control.gamma_multiply(0.5);
    ui.spacing_mut().item_spacing.y = 0.0;
    header(ui, columns);
    for row in rows {
        let size = vec2(ui.available_width(), ROW_HEIGHT);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        if response.hovered() {
            ui.painter().rect_filled(rect, 2.0, hovered);
        }
        paint_row(ui, rect, columns, row);
    }
}

/// `count` rows that can be clicked, under a header that stays; only those in view are made.
/// Returns the row that was clicked.
pub fn pick_table(
    ui: &mut Ui,
    name: &str,
    columns: &[Column<'_>],
    count: usize,
    selected: Option<usize>,
    mut row: impl FnMut(usize) -> Vec<Cell>,
) -> Option<usize> {
    let palette = palette(ui);
    let mut clicked = None;
    ui.spacing_mut().item_spacing.y = 0.0;
    header(ui, columns);
    let scroll = egui::ScrollArea::vertical().id_salt(name).auto_shrink([false, false]);
    // What lies below keeps its place, however little room there is.
    scroll.min_scrolled_height(0.0).show_rows(ui, ROW_HEIGHT, count, |ui, shown| {
        for index in shown {
            let size = vec2(ui.available_width(), ROW_HEIGHT);
            let (rect, response) = ui.allocate_exact_size(size, Sense::click());
            let fill = match (selected == Some(index), response.hovered()) {
                (true, _) => palette.selected,
                (false, true) => palette.control.gamma_multiply(0.6),
                (false, false) => Color32::TRANSPARENT,
            };
            ui.painter().rect_filled(rect, 2.0, fill);
            let cells = row(index);
            let text = cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" ");
            paint_row(ui, rect, columns, &cells);
            response.widget_info(|| {
                let chosen = selected == Some(index);
                egui::WidgetInfo::selected(egui::Role::Row, true, chosen, &text)
            });
            if response.clicked() {
                clicked = Some(index);
            }
        }
    });
    clicked
}

fn header(ui: &mut Ui, columns: &[Column<'_>]) {
    let muted = palette(ui).muted;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::hover());
    let titles: Vec<Cell> =
        columns.iter().map(|column| Cell::text(column.title).color(muted)).collect();
    paint_row(ui, rect, columns, &titles);
}

fn paint_row(ui: &mut Ui, rect: Rect, columns: &[Column<'_>], cells: &[Cell]) {
    let total: f32 = columns.iter().map(|column| column.weight).sum();
    let stroke = Stroke::new(1.0, palette(ui).line);
    ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, stroke);
    let mut x = rect.left();
    for (column, cell) in columns.iter().zip(cells) {
        let width = rect.width() * column.weight / total;
        let area = Rect::from_min_size(pos2(x, rect.top()), vec2(width, rect.height()))
            .shrink2(vec2(1.5 * UNIT, 0.0));
        x += width;
        paint_cell(ui, area, column.align, cell);
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
