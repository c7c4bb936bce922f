//! The portrait: field, visited states, ways, fixed points, and the state that moves.

use eframe::egui::{
    self, Align2, Color32, FontId, Mesh, Painter, Pos2, Response, Shape, Stroke, Ui, pos2, vec2,
};
use egui_plot::{PlotPoint, PlotTransform};

use super::AttractorPage;
use super::marks::{Mark, attractor, cross, diamond, time_color};
use super::work::Opened;
use crate::analysis::{Journey, Landscape, View};
use crate::dynamics::attractor::Slice;
use crate::workbench::charts::plot::{self, Ticks};
use crate::workbench::format;
use crate::workbench::theme::{self, Palette, UNIT, palette};
use crate::workbench::widgets::escape_pressed;

/// How near the pointer must be to something, in points.
const NEAR: f32 = 12.0;

/// Something that can be pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Event(usize),
    Point(usize),
    Truth(usize),
}

/// Painting in the units of the axes.
struct Canvas<'a> {
    painter: Painter,
    transform: &'a PlotTransform,
    axes: [usize; 2],
    palette: &'a Palette,
}

impl Canvas<'_> {
    fn at(&self, [x, y]: [f64; 2]) -> Pos2 {
        self.transform.position_from_point(&PlotPoint::new(x, y))
    }

    fn place(&self, position: &[f64]) -> Pos2 {
        self.at(self.axes.map(|axis| position.get(axis).copied().unwrap_or(f64::NAN)))
    }
}

/// Colours of basins; after the last the first comes again.
fn basin_color(palette: &Palette, index: usize) -> Color32 {
    let colors =
        [palette.accent, palette.good, palette.system2, palette.error, palette.gru, palette.rk4];
    colors[index % colors.len()]
}

impl AttractorPage {
    pub(super) fn plot(&mut self, ui: &mut Ui, opened: &Opened) {
        let Some(view) = self.view() else { return };
        let landscape = &opened.landscape;
        let labels = view.axes.map(|axis| View::axis_label(landscape, axis));
        let axes = [labels[0].as_str(), labels[1].as_str()];
        let bounds = plot::View {
            x: (view.extent[0][0], view.extent[0][1]),
            y: (view.extent[1][0], view.extent[1][1]),
        };
        let shown = plot::frame(ui, "Phase portrait", axes, Ticks::default())
            .show(ui, |plot| bounds.apply(plot));
        let (response, transform) = (shown.response, shown.transform);
        self.follow_zoom(ui, &response, &transform);
        let frame = *transform.frame();
        let canvas = Canvas {
            painter: ui.painter().with_clip_rect(frame),
            transform: &transform,
            axes: view.axes,
            palette: palette(ui),
        };
        let overlays = self.overlays;
        if let Some((of, Some(slice))) = &self.sliced
            && of.axes == view.axes
        {
            if overlays.shading {
                canvas.shading(slice);
            }
            if overlays.field {
                canvas.field(slice);
            }
        }
        if overlays.others || overlays.basins {
            canvas.visited(landscape, overlays.basins);
        }
        if let Some(unedited) = self.drawn.as_ref().and_then(|drawn| drawn.unedited.as_ref()) {
            canvas.plain_way(unedited, canvas.palette.muted.gamma_multiply(0.7));
        }
        for other in self.journeys().iter().skip(1) {
            canvas.plain_way(other, canvas.palette.solver(other.solver));
        }
        if let Some(journey) = self.journeys().first() {
            canvas.way(journey, self.clock.at(journey.span()), self.edits.event);
        }
        canvas.fixed_points(landscape, self.side.selected);
        if let Some(journey) = self.journeys().first() {
            canvas.state(journey, self.clock.at(journey.span()));
        }
        self.legend(ui, &canvas);
        self.point_at(&response, &canvas, opened);
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Image, true, "Phase portrait, plot")
        });
    }

    /// Keep what the user dragged or zoomed to; a double click shows everything again.
    fn follow_zoom(&mut self, ui: &Ui, response: &Response, transform: &PlotTransform) {
        let zoomed = response.contains_pointer() && ui.input(egui::InputState::zoom_delta) != 1.0;
        if response.dragged() || response.drag_stopped() || zoomed {
            let (min, max) = (transform.bounds().min(), transform.bounds().max());
            self.zoom = Some([[min[0], max[0]], [min[1], max[1]]]);
        }
        if response.double_clicked() {
            self.zoom = None;
        }
    }

    /// Which line and which mark is what.
    fn legend(&self, ui: &Ui, canvas: &Canvas<'_>) {
        let mut names: Vec<(Mark, String)> = Vec::new();
        let several = self.journeys().len() > 1;
        for (index, journey) in self.journeys().iter().enumerate() {
            names.push(match index {
                0 => {
                    let days = format!("the user's way, day 0 to {:.0}", journey.span());
                    let trained = format!("{}, as trained: {days}", journey.solver.title());
                    (Mark::Way, if several { trained } else { days })
                }
                _ => {
                    let color = canvas.palette.solver(journey.solver);
                    (Mark::Dot(color), journey.solver.title().to_owned())
                }
            });
        }
        if self.drawn.as_ref().is_some_and(|drawn| drawn.unedited.is_some()) {
            names.push((Mark::Dot(canvas.palette.muted), "what happened".to_owned()));
        }
        if let Some(opened) = &self.opened {
            let points = &opened.landscape.fixed_points;
            if points.iter().any(|point| point.kind.is_stable()) {
                names.push((Mark::Ring, "attractor".to_owned()));
            }
            if points.iter().any(|point| !point.kind.is_stable()) {
                names.push((Mark::Cross, "other fixed point".to_owned()));
            }
            if opened.landscape.truth.is_some() {
                names.push((Mark::Diamond, "true attractor of the generator".to_owned()));
            }
        }
        let frame = *canvas.transform.frame();
        let font = FontId::proportional(theme::SMALL);
        let lay_out =
            |name: String| ui.painter().layout_no_wrap(name, font.clone(), canvas.palette.text);
        let rows: Vec<_> = names.into_iter().map(|(mark, name)| (mark, lay_out(name))).collect();
        let widest = rows.iter().map(|(_, galley)| galley.size().x).fold(0.0, f32::max);
        let size = vec2(widest + 9.5 * UNIT, (4.5 * rows.len() as f32 + 1.0) * UNIT);
        let ground = egui::Rect::from_min_size(frame.left_top() + vec2(UNIT, UNIT), size);
        ui.painter().rect_filled(ground, 3.0, canvas.palette.card.gamma_multiply(0.8));
        for (row, (mark, galley)) in rows.into_iter().enumerate() {
            let at = ground.left_top() + vec2(4.0 * UNIT, (2.75 + 4.5 * row as f32) * UNIT);
            let anchor = at + vec2(4.0 * UNIT, 0.0);
            let rect = Align2::LEFT_CENTER.anchor_size(anchor, galley.size());
            mark.paint(ui.painter(), at, canvas.palette);
            ui.painter().galley(rect.min, galley, canvas.palette.text);
        }
        let hint = "drag to move, Ctrl + wheel to zoom, double click for all";
        let galley = ui.painter().layout_no_wrap(hint.to_owned(), font, canvas.palette.muted);
        let at = frame.right_bottom() - vec2(2.0 * UNIT, 2.0 * UNIT) - galley.size();
        let ground = egui::Rect::from_min_size(at, galley.size()).expand(3.0);
        ui.painter().rect_filled(ground, 3.0, canvas.palette.card.gamma_multiply(0.8));
        ui.painter().galley(at, galley, canvas.palette.muted);
    }

    fn point_at(&mut self, response: &Response, canvas: &Canvas<'_>, opened: &Opened) {
        if escape_pressed(&response.ctx) {
            self.side.selected = None;
        }
        let Some(pointer) = response.hover_pos() else { return };
        let landscape = &opened.landscape;
        let journey = self.journeys().first();
        let events = journey.into_iter().flat_map(|journey| journey.visits.iter().enumerate());
        let events = events.map(|(at, visit)| (Target::Event(at), canvas.place(&visit.after)));
        let points = landscape.fixed_points.iter().enumerate();
        let points = points.map(|(at, point)| (Target::Point(at), canvas.place(&point.position)));
        let truth = landscape.truth.iter().flat_map(|truth| truth.positions.iter().enumerate());
        let truth = truth.map(|(at, position)| (Target::Truth(at), canvas.place(position)));
        let nearest = points
            .chain(events)
            .chain(truth)
            .map(|(target, at)| (target, at.distance(pointer)))
            .filter(|(_, distance)| *distance < NEAR)
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((target, _)) = nearest else {
            if response.clicked() {
                self.side.selected = None;
            }
            return;
        };
        plot::tooltip(response, &self.words(target, opened));
        if response.clicked() {
            match target {
                Target::Event(at) => {
                    self.edits.event = at;
                    if let Some(visit) = self.journeys().first().and_then(|j| j.visits.get(at)) {
                        (self.clock.days, self.clock.playing) = (visit.days, false);
                    }
                    self.side.selected = None;
                }
                Target::Point(at) => {
                    self.side.selected = (self.side.selected != Some(at)).then_some(at);
                }
                Target::Truth(_) => {}
            }
        }
    }

    fn words(&self, target: Target, opened: &Opened) -> String {
        let data = &opened.subject.model.data;
        match target {
            Target::Event(at) => {
                let Some(visit) = self.journeys().first().and_then(|j| j.visits.get(at)) else {
                    return String::new();
                };
                format!(
                    "Event {}, day {:.1}\n{}\nClick to edit it",
                    at + 1,
                    visit.days,
                    data.item_title(visit.item as usize)
                )
            }
            Target::Point(at) => {
                let point = &opened.landscape.fixed_points[at];
                let mut text = format!("{}: {}", point.name, point.kind.title());
                if let Some(days) = point.relaxation_days {
                    let time = format::duration(days * 86_400.0);
                    let share = format::percent(point.basin_share);
                    text.push_str(&format!("\nrelaxes in {time}, draws {share} of visited states"));
                }
                for item in point.top_items.iter().take(5) {
                    let title = item.title.as_deref().unwrap_or(&item.item);
                    text.push_str(&format!("\n{:.1} %  {title}", 100.0 * item.probability));
                }
                text
            }
            Target::Truth(at) => {
                let truth = opened.landscape.truth.as_ref();
                let matched = truth
                    .and_then(|truth| truth.matches.iter().find(|one| one.truth == at))
                    .map(|one| {
                        let name = &opened.landscape.fixed_points[one.found].name;
                        format!(
                            "\nmatched with {name}, {:.2} away in the truth's plane",
                            one.distance
                        )
                    });
                let matched = matched.unwrap_or_else(|| "\nnot found by this model".to_owned());
                format!("An attractor of the generator, mapped into this plane{matched}")
            }
        }
    }
}

impl Canvas<'_> {
    /// Darker where the field mostly leaves the plane.
    fn shading(&self, slice: &Slice) {
        let (Some(first), Some(last)) = (slice.points.first(), slice.points.last()) else { return };
        let [left, right] = [self.at(first.at), self.at(last.at)];
        let half = vec2(
            (right.x - left.x) / (slice.columns.max(2) - 1) as f32 / 2.0,
            (left.y - right.y) / (slice.rows.max(2) - 1) as f32 / 2.0,
        );
        let mut mesh = Mesh::default();
        for point in &slice.points {
            let at = self.at(point.at);
            let strength = (point.out_of_plane as f32).clamp(0.0, 1.0).powi(2) * 0.85;
            let color = self.palette.line.gamma_multiply(strength);
            mesh.add_colored_rect(egui::Rect::from_min_max(at - half, at + half), color);
        }
        self.painter.add(Shape::mesh(mesh));
    }

    /// Arrows of equal length where the field is fast, shorter where it is slow.
    fn field(&self, slice: &Slice) {
        let (Some(first), Some(last)) = (slice.points.first(), slice.points.last()) else { return };
        let [left, right] = [self.at(first.at), self.at(last.at)];
        let step = ((right.x - left.x) / (slice.columns.max(2) - 1) as f32)
            .min((left.y - right.y) / (slice.rows.max(2) - 1) as f32);
        let on_screen = |at: [f64; 2], velocity: [f64; 2]| {
            self.at([at[0] + 1e-3 * velocity[0], at[1] + 1e-3 * velocity[1]]) - self.at(at)
        };
        let mut speeds: Vec<f32> =
            slice.points.iter().map(|p| on_screen(p.at, p.velocity).length()).collect();
        speeds.sort_unstable_by(f32::total_cmp);
        let usual = speeds.get(speeds.len() / 2).copied().unwrap_or(0.0).max(f32::MIN_POSITIVE);
        let color = self.palette.accent.gamma_multiply(0.55);
        let mut shapes = Vec::with_capacity(2 * slice.points.len());
        for point in &slice.points {
            let (at, velocity) = (self.at(point.at), on_screen(point.at, point.velocity));
            let speed = velocity.length();
            if speed <= 0.0 || !speed.is_finite() {
                continue;
            }
            let tip = at + velocity * (0.66 * step * (speed / usual).clamp(0.15, 1.0) / speed);
            shapes.push(Shape::line_segment([at, tip], Stroke::new(1.0, color)));
            shapes.push(Shape::circle_filled(tip, 1.4, color));
        }
        self.painter.extend(shapes);
    }

    fn visited(&self, landscape: &Landscape, basins: bool) {
        let quiet = self.palette.muted.gamma_multiply(0.35);
        let dots = landscape.visited.iter().map(|start| {
            let color = match start.basin {
                Some(basin) if basins => basin_color(self.palette, basin).gamma_multiply(0.6),
                _ => quiet,
            };
            let [x, y] = self.axes.map(|axis| f64::from(start.position[axis]));
            Shape::circle_filled(self.at([x, y]), 1.5, color)
        });
        self.painter.extend(dots);
    }

    /// A way in one colour, without markers.
    fn plain_way(&self, journey: &Journey, color: Color32) {
        for (event, visit) in journey.visits.iter().enumerate() {
            if event > 0 {
                self.jump(&visit.before, &visit.after, color.gamma_multiply(0.6));
            }
            let flow = journey.spots[visit.spot..].iter().take_while(|spot| spot.event == event);
            let points: Vec<Pos2> = flow.map(|spot| self.place(&spot.position)).collect();
            self.painter.add(Shape::line(points, Stroke::new(1.4, color)));
        }
    }

    fn jump(&self, before: &[f64], after: &[f64], color: Color32) {
        let ends = [self.place(before), self.place(after)];
        self.painter.extend(Shape::dashed_line(&ends, Stroke::new(1.0, color), 3.0, 3.0));
    }

    /// A way in the colours of time, strong up to `days` and faint after.
    fn way(&self, journey: &Journey, days: f64, chosen: usize) {
        let span = journey.span().max(f64::MIN_POSITIVE);
        let color = |at: f64| {
            let color = time_color(at / span);
            if at <= days { color } else { color.gamma_multiply(0.22) }
        };
        for (event, visit) in journey.visits.iter().enumerate() {
            if event > 0 {
                self.jump(&visit.before, &visit.after, color(visit.days).gamma_multiply(0.8));
            }
            let flow = journey.spots[visit.spot..].iter().take_while(|spot| spot.event == event);
            let points: Vec<(Pos2, f64)> =
                flow.map(|spot| (self.place(&spot.position), spot.days)).collect();
            for pair in points.windows(2) {
                let stroke = Stroke::new(2.2, color(pair[0].1));
                self.painter.line_segment([pair[0].0, pair[1].0], stroke);
            }
        }
        for (event, visit) in journey.visits.iter().enumerate() {
            let faint = visit.days > days;
            let edge = self.palette.strong.gamma_multiply(if faint { 0.3 } else { 1.0 });
            let (radius, width) = if event == chosen { (6.0, 2.2) } else { (4.5, 1.2) };
            let stroke = Stroke::new(width, edge);
            self.painter.circle(self.place(&visit.after), radius, color(visit.days), stroke);
        }
    }

    /// Where the state is now, with the arrow of the jump that is due next.
    fn state(&self, journey: &Journey, days: f64) {
        let Some(position) = journey.position_at(days) else { return };
        let at = self.place(&position);
        self.painter.circle_filled(at, 9.0, self.palette.strong.gamma_multiply(0.25));
        self.painter.circle(at, 5.0, self.palette.strong, Stroke::new(1.5, self.palette.card));
    }

    fn fixed_points(&self, landscape: &Landscape, selected: Option<usize>) {
        if let Some(truth) = &landscape.truth {
            for position in &truth.positions {
                diamond(&self.painter, self.place(position), 1.0, self.palette.warning);
            }
        }
        for (index, point) in landscape.fixed_points.iter().enumerate() {
            let at = self.place(&point.position);
            let chosen = selected == Some(index);
            let color = if chosen { self.palette.accent } else { self.palette.strong };
            let stable = point.kind.is_stable();
            if stable {
                attractor(&self.painter, at, 1.0, color);
            } else {
                cross(&self.painter, at, color.gamma_multiply(if chosen { 1.0 } else { 0.7 }));
            }
            if stable || chosen {
                let text = match stable {
                    true => format!("{} · {}", point.name, point.theme),
                    false => format!("{}, {}", point.name, point.kind.title()),
                };
                self.label(at, &text, color);
            }
        }
    }

    /// A name beside a place, on a quiet ground so that it can be read over arrows.
    fn label(&self, at: Pos2, text: &str, color: Color32) {
        let short: String = text.chars().take(34).collect();
        let galley = self.painter.layout_no_wrap(short, theme::semibold(12.5), color);
        let frame = self.transform.frame();
        let right = at.x + 16.0 + galley.size().x < frame.right();
        let x = if right { at.x + 15.0 } else { at.x - 15.0 - galley.size().x };
        let rect = egui::Rect::from_min_size(pos2(x, at.y - galley.size().y / 2.0), galley.size());
        self.painter.rect_filled(rect.expand(2.0), 3.0, self.palette.card.gamma_multiply(0.75));
        self.painter.galley(rect.min, galley, color);
    }
}
