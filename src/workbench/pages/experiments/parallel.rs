//! Parallel coordinates on the screen: point at a line to read it, drag along an axis to keep the
//! lines that cross it there.

use eframe::egui::{self, Align2, Color32, FontId, Id, Pos2, Rect, Sense, Stroke, Ui, pos2, vec2};

use crate::figures::Parallel;
use crate::workbench::charts::plot;
use crate::workbench::theme::{self, UNIT, palette};

/// Room above for names, below and at the sides for ticks.
const TOP: f32 = 11.0 * UNIT;
const BOTTOM: f32 = 3.0 * UNIT;
const SIDE: f32 = 16.0 * UNIT;
/// How near the pointer must be to a line to read it.
const NEAR: f32 = 12.0;
/// How far at either side of an axis it can be taken hold of.
const GRIP: f32 = 3.0 * UNIT;

/// The stretches of axes that lines must cross, in heights from 0 to 1.
type Brushes = Vec<Option<[f32; 2]>>;

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, title: &str, figure: &Parallel) {
    let axes = figure.axes.len();
    let hint = "Drag along an axis to keep the trials that cross it there; click it to keep all.";
    ui.label(egui::RichText::new(hint).small().color(palette(ui).muted));
    let space = ui.available_size().max(vec2(200.0, 160.0));
    let (rect, response) = ui.allocate_exact_size(space, Sense::hover());
    let place = Place { rect, axes };
    let id = ui.scope_id().with(("brushes", title));
    let mut brushes: Brushes = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    brushes.resize(axes, None);
    for (axis, stretch) in brushes.iter_mut().enumerate() {
        brush(ui, &place, axis, stretch);
    }
    ui.data_mut(|data| data.insert_temp(id, brushes.clone()));

    let ranking = figure.ranking();
    let ways: Vec<Vec<Pos2>> = figure.lines.iter().map(|line| way(figure, line, &place)).collect();
    let kept = |line: usize| {
        brushes.iter().enumerate().all(|(axis, stretch)| {
            let Some([low, high]) = stretch else { return true };
            let value = figure.lines[line].values.get(axis).copied().flatten();
            let height = value.and_then(|value| figure.height(axis, value)).map(|h| h as f32);
            height.is_some_and(|height| (*low..=*high).contains(&height))
        })
    };
    let pointed = response.hover_pos().and_then(|pointer| {
        let distance = |line: usize| {
            let pairs = ways[line].windows(2);
            let far = pairs.map(|pair| to_segment(pointer, pair[0], pair[1]));
            far.fold(f32::INFINITY, f32::min)
        };
        let near = ranking.iter().filter(|&&line| kept(line)).map(|&line| (distance(line), line));
        near.filter(|(far, _)| *far < NEAR).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, line)| line)
    });

    frame(ui, figure, &place);
    let quiet = palette(ui).muted;
    for (rank, &line) in ranking.iter().enumerate().rev() {
        let whole = ways[line].len() == axes;
        let color = if whole { color_of(ui, rank, ranking.len()) } else { quiet };
        let faded = pointed.is_some() || !kept(line);
        let (width, share) = match (whole, rank, faded) {
            (true, 0, false) => (3.0, 1.0),
            (true, _, false) => (1.6, 0.8),
            (false, _, false) => (1.0, 0.4),
            (_, _, true) => (1.0, if kept(line) { 0.3 } else { 0.08 }),
        };
        let stroke = Stroke::new(width, color.gamma_multiply(share));
        ui.painter().line(ways[line].clone(), stroke);
    }
    if let Some(line) = pointed {
        let rank = ranking.iter().position(|&other| other == line).unwrap_or(0);
        let color = color_of(ui, rank, ranking.len());
        ui.painter().line(ways[line].clone(), Stroke::new(3.0, color));
        for &at in &ways[line] {
            ui.painter().circle(at, 4.0, color, Stroke::new(1.5, palette(ui).card));
        }
        plot::tooltip(&response, &told(figure, line));
    }
    ticks(ui, figure, &place, &brushes);
    let said = format!("{title}, parallel coordinates of {} trials", figure.lines.len());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, said.clone()));
}

/// Where the axes stand.
struct Place {
    rect: Rect,
    axes: usize,
}

impl Place {
    fn across(&self, axis: usize) -> f32 {
        let gaps = self.axes.saturating_sub(1).max(1) as f32;
        self.rect.left() + SIDE + (self.rect.width() - 2.0 * SIDE) * axis as f32 / gaps
    }

    fn top(&self) -> f32 {
        self.rect.top() + TOP
    }

    fn foot(&self) -> f32 {
        self.rect.bottom() - BOTTOM
    }

    fn at(&self, axis: usize, height: f32) -> Pos2 {
        pos2(self.across(axis), self.foot() - (self.foot() - self.top()) * height)
    }

    fn height(&self, y: f32) -> f32 {
        ((self.foot() - y) / (self.foot() - self.top())).clamp(0.0, 1.0)
    }
}

/// Corners of a line, up to the first value that is not known.
fn way(figure: &Parallel, line: &crate::figures::ParallelLine, place: &Place) -> Vec<Pos2> {
    let known = line.values.iter().enumerate().map_while(|(axis, value)| {
        let height = figure.height(axis, (*value)?)?;
        Some(place.at(axis, height as f32))
    });
    known.collect()
}

/// Drag sets the stretch of an axis, a click drops it.
fn brush(ui: &Ui, place: &Place, axis: usize, stretch: &mut Option<[f32; 2]>) {
    let middle = place.across(axis);
    let grip = Rect::from_x_y_ranges(middle - GRIP..=middle + GRIP, place.top()..=place.foot());
    let id: Id = ui.scope_id().with(("brush", axis));
    let response = ui.interact(grip, id, Sense::click_and_drag());
    if response.clicked() {
        *stretch = None;
    }
    let pointer = response.interact_pointer_pos().filter(|_| response.dragged());
    if let Some(pointer) = pointer {
        let pressed = ui.input(|input| input.pointer.press_origin()).unwrap_or(pointer);
        let ends = [place.height(pressed.y), place.height(pointer.y)];
        *stretch = Some([ends[0].min(ends[1]), ends[0].max(ends[1])]);
    }
    response.on_hover_cursor(egui::CursorIcon::ResizeVertical);
}

fn frame(ui: &Ui, figure: &Parallel, place: &Place) {
    let grid = Stroke::new(1.5, palette(ui).grid);
    for axis in 0..figure.axes.len() {
        ui.painter().vline(place.across(axis), place.top()..=place.foot(), grid);
    }
}

/// Names, ticks and the brushed stretches, over the lines.
fn ticks(ui: &Ui, figure: &Parallel, place: &Place, brushes: &Brushes) {
    let palette = palette(ui);
    let painter = ui.painter();
    for (index, axis) in figure.axes.iter().enumerate() {
        let x = place.across(index);
        // In turn higher and lower, so that long names stay apart.
        let lift = if index % 2 == 0 { 7.5 * UNIT } else { 3.5 * UNIT };
        let at = pos2(x, place.top() - lift);
        let name = theme::semibold(theme::SMALL);
        painter.text(at, Align2::CENTER_CENTER, &axis.label, name, palette.strong);
        if let Some([low, high]) = brushes[index] {
            let (from, to) = (place.at(index, low), place.at(index, high));
            let bar = Rect::from_two_pos(from - vec2(4.0, 0.0), to + vec2(4.0, 0.0));
            painter.rect_filled(bar, 2.0, palette.accent.gamma_multiply(0.35));
        }
        for (height, label) in figure.ticks(index) {
            let at = place.at(index, height as f32);
            painter.hline(at.x - 3.0..=at.x + 3.0, at.y, Stroke::new(1.2, palette.muted));
            let font = FontId::proportional(theme::SMALL);
            // On its own ground, so that it can be read over the lines.
            let galley = painter.layout_no_wrap(label, font, palette.muted);
            let corner = pos2(at.x + 2.0 * UNIT, at.y - galley.size().y / 2.0);
            let under = Rect::from_min_size(corner, galley.size()).expand2(vec2(2.0, 0.0));
            painter.rect_filled(under, 2.0, palette.card.gamma_multiply(0.75));
            painter.galley(corner, galley, palette.muted);
        }
    }
}

fn told(figure: &Parallel, line: usize) -> String {
    let line = &figure.lines[line];
    let mut text = line.name.clone();
    for (index, axis) in figure.axes.iter().enumerate() {
        if let Some(value) = line.values.get(index).copied().flatten() {
            text.push_str(&format!("\n{}: {}", axis.label, figure.text(index, value)));
        }
    }
    text
}

fn color_of(ui: &Ui, rank: usize, of: usize) -> Color32 {
    if rank == 0 {
        // Dark enough on white, as everywhere.
        return palette(ui).euler;
    }
    let crate::figures::Color(r, g, b) = Parallel::color(rank, of);
    Color32::from_rgb(r, g, b)
}

fn to_segment(at: Pos2, from: Pos2, to: Pos2) -> f32 {
    let way = to - from;
    let along = ((at - from).dot(way) / way.length_sq().max(1e-6)).clamp(0.0, 1.0);
    at.distance(from + way * along)
}
