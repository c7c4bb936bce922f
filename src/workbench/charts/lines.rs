//! The line chart: mean and band per series, zoom, and a read-out of every series at the pointer.

use eframe::egui::{
    self, Align2, Color32, CornerRadius, FontId, Mesh, Rect, Shape, Stroke, StrokeKind, Ui, pos2,
    vec2,
};
use egui_plot::{Line, PlotPoint, PlotPoints, PlotTransform};

use super::curves::{Along, Band, Curve, thin_band, thin_line};
use super::plot::{self, Ticks, View};
use crate::workbench::format;
use crate::workbench::theme::{self, UNIT, palette};

/// Curves that belong together: the seeds of one model.
#[derive(Debug, Clone, Default)]
pub struct Series {
    pub name: String,
    pub color: Color32,
    pub hidden: bool,
    pub curves: Vec<Curve>,
}

/// How a chart shows its series.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct LineOptions {
    pub along: Along,
    /// 0..=0.99, see [`Curve::smooth`].
    pub smoothing: f64,
    pub log_y: bool,
    /// Every seed on its own instead of the mean and its band.
    pub every_seed: bool,
}

impl Default for LineOptions {
    fn default() -> Self {
        Self { along: Along::Epoch, smoothing: 0.6, log_y: false, every_seed: false }
    }
}

/// What a chart measures.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Accessible name, and key of the zoom.
    pub name: &'a str,
    pub y: &'a str,
}

/// A line chart: what was worked out for the last frame, kept until something changes.
#[derive(Debug, Default)]
pub struct LineChart {
    caches: Vec<Cache>,
    zoom: Option<View>,
}

#[derive(Debug, Default)]
struct Cache {
    /// Points of all curves, options, and number of curves behind `bands`.
    key: Option<(usize, LineOptions, usize)>,
    bands: Vec<Band>,
    extents: Vec<Extents>,
    /// What the thinned lines below were made for.
    thinned: Option<(View, usize)>,
    lines: Vec<Vec<PlotPoint>>,
    /// x, low, high; empty where there is no band to show.
    outline: Vec<[f64; 3]>,
}

/// How far a band reaches.
#[derive(Debug, Clone, Copy)]
struct Extents {
    right: f64,
    mean: (f64, f64),
    whole: (f64, f64),
}

impl Extents {
    fn of(band: &Band) -> Option<Self> {
        Some(Self { right: *band.x.last()?, mean: band.mean_extent()?, whole: band.extent()? })
    }
}

impl LineChart {
    /// Draw over the space that is left. `end` is how far x is known to go; `cursor` is the x that
    /// is pointed at, shared between charts.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        labels: Labels<'_>,
        series: &mut [Series],
        options: LineOptions,
        end: Option<f64>,
        cursor: &mut Option<f64>,
    ) {
        self.caches.resize_with(series.len(), Cache::default);
        for (cache, series) in self.caches.iter_mut().zip(series.iter_mut()) {
            cache.update(series, options);
        }
        let view = self.zoom.unwrap_or_else(|| self.everything(series, options, end));
        let columns = (ui.available_width() * ui.pixels_per_point()) as usize;
        for cache in &mut self.caches {
            cache.thin(view, columns.clamp(16, 4096), options.log_y);
        }

        let axes = [x_label(options.along), labels.y];
        let ticks = Ticks { log_y: options.log_y, ..Ticks::default() };
        let shown = plot::frame(ui, labels.name, axes, ticks).show(ui, |plot| {
            view.apply(plot);
            for (cache, series) in self.caches.iter().zip(series.iter()) {
                if series.hidden {
                    continue;
                }
                let fade = if options.every_seed && cache.lines.len() > 1 { 0.75 } else { 1.0 };
                for points in &cache.lines {
                    let line = Line::new(series.name.as_str(), PlotPoints::Borrowed(points))
                        .color(series.color.gamma_multiply(fade))
                        .width(if options.every_seed { 1.3 } else { 1.8 })
                        .allow_hover(false);
                    plot.line(line);
                }
            }
        });

        let (response, transform) = (shown.response, shown.transform);
        for (cache, series) in self.caches.iter().zip(series.iter()) {
            if !series.hidden {
                paint_band(ui, &transform, &cache.outline, series.color);
            }
        }
        self.follow_zoom(ui, &response, &transform);
        if let Some(pointer) = response.hover_pos().filter(|at| transform.frame().contains(*at)) {
            *cursor = Some(transform.value_from_position(pointer).x);
        }
        if let Some(x) = *cursor {
            self.read_out(ui, &transform, series, options, x, response.hovered());
        }
        response.widget_info(|| {
            egui::WidgetInfo::labeled(egui::Role::Image, true, format!("{}, chart", labels.name))
        });
    }

    /// The view over everything there is, with a little room above and below.
    fn everything(&self, series: &[Series], options: LineOptions, end: Option<f64>) -> View {
        let shown = self.caches.iter().zip(series).filter(|(_, series)| !series.hidden);
        let extents: Vec<Extents> =
            shown.flat_map(|(cache, _)| cache.extents.iter().copied()).collect();
        let right = extents.iter().map(|extents| extents.right).fold(0.0, f64::max);
        let over = |of: fn(&Extents) -> (f64, f64)| {
            extents.iter().map(of).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        };
        let (mut low, mut high) = over(|extents| extents.mean).unwrap_or((0.0, 1.0));
        if let Some((band_low, band_high)) = over(|extents| extents.whole) {
            // Two seeds make an interval many times wider than the curves: they must stay readable.
            let most = 0.35 * (high - low);
            (low, high) = (band_low.max(low - most), band_high.min(high + most));
        }
        let (low, high) = if options.log_y {
            let high = log(high);
            (log(low).max(high - 12.0), high)
        } else {
            (low, high)
        };
        let room = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-9);
        let end = end.unwrap_or(0.0).max(right);
        View { x: (0.0, if end > 0.0 { end } else { 1.0 }), y: (low - room, high + room) }
    }

    /// Keep what the user dragged or zoomed to; a double click shows everything again.
    fn follow_zoom(&mut self, ui: &Ui, response: &egui::Response, transform: &PlotTransform) {
        let zoomed = response.contains_pointer() && ui.input(egui::InputState::zoom_delta) != 1.0;
        if response.dragged() || response.drag_stopped() || zoomed {
            let (min, max) = (transform.bounds().min(), transform.bounds().max());
            self.zoom = Some(View { x: (min[0], max[0]), y: (min[1], max[1]) });
        }
        if response.double_clicked() {
            self.zoom = None;
        }
    }

    /// Show everything again.
    pub fn reset_zoom(&mut self) {
        self.zoom = None;
    }

    /// Whether only a part is shown.
    pub fn is_zoomed(&self) -> bool {
        self.zoom.is_some()
    }

    fn read_out(
        &self,
        ui: &Ui,
        transform: &PlotTransform,
        series: &[Series],
        options: LineOptions,
        x: f64,
        with_values: bool,
    ) {
        let palette = palette(ui);
        let frame = *transform.frame();
        let at = transform.position_from_point(&PlotPoint::new(x, 0.0)).x;
        if !frame.x_range().contains(at) {
            return;
        }
        let painter = ui.painter().with_clip_rect(frame.expand(4.0));
        painter.vline(at, frame.y_range(), Stroke::new(1.0, palette.muted.gamma_multiply(0.6)));
        let mut rows = Vec::new();
        for (cache, series) in self.caches.iter().zip(series) {
            if series.hidden {
                continue;
            }
            for (value, half) in cache.bands.iter().filter_map(|band| band.at(x)) {
                let y = if options.log_y { log(value) } else { value };
                let dot = transform.position_from_point(&PlotPoint::new(x, y));
                painter.circle(dot, 3.5, series.color, Stroke::new(1.5, palette.card));
                let spread = if half > 0.0 { format!(" ± {half:.4}") } else { String::new() };
                rows.push((series.color, series.name.as_str(), format!("{value:.4}{spread}")));
            }
        }
        // Twenty seeds would fill the chart: the dots then have to do.
        if with_values && !rows.is_empty() && rows.len() <= 10 {
            paint_rows(ui, frame, at, &x_text(options.along, x), &rows);
        }
    }
}

impl Cache {
    fn update(&mut self, series: &mut Series, options: LineOptions) {
        let points = series.curves.iter().map(Curve::len).sum();
        // The y axis is applied when thinning.
        let options = LineOptions { log_y: false, ..options };
        let key = Some((points, options, series.curves.len()));
        if self.key == key {
            return;
        }
        let only_grown = self.key.is_some_and(|(before, was, curves)| {
            before <= points && was == options && curves == series.curves.len()
        });
        self.key = key;
        self.thinned = None;
        for curve in &mut series.curves {
            curve.smooth(options.smoothing);
        }
        let curves: Vec<&Curve> = series.curves.iter().collect();
        let alone = options.every_seed || curves.len() == 1;
        // A line of one curve only gets longer; a mean can change all along.
        let follows = |band: &Band, curve: &Curve| band.x.len() <= curve.len();
        let grow = only_grown
            && alone
            && self.bands.iter().zip(&curves).all(|(band, curve)| follows(band, curve));
        if grow {
            for (band, curve) in self.bands.iter_mut().zip(&curves) {
                band.follow(curve, options.along);
            }
        } else if alone {
            let over = |curve: &&Curve| Band::over(&[*curve], options.along);
            self.bands = curves.iter().map(over).collect();
        } else {
            self.bands = vec![Band::over(&curves, options.along)];
        }
        self.extents = self.bands.iter().filter_map(Extents::of).collect();
    }

    fn thin(&mut self, view: View, columns: usize, log_y: bool) {
        // The scale of y is told by the view only roughly, so it takes part in the key.
        let key = Some((view, columns * 2 + usize::from(log_y)));
        if self.thinned == key {
            return;
        }
        self.thinned = key;
        let (from, to) = view.x;
        let scale = |y: f64| if log_y { log(y) } else { y };
        self.lines = self
            .bands
            .iter()
            .map(|band| {
                thin_line(&band.x, &band.mean, from, to, columns / 2)
                    .into_iter()
                    .map(|[x, y]| PlotPoint::new(x, scale(y)))
                    .collect()
            })
            .collect();
        self.outline = match self.bands.as_slice() {
            [band] if band.low != band.high => thin_band(band, from, to, columns / 2)
                .into_iter()
                .map(|[x, low, high]| [x, scale(low), scale(high)])
                .collect(),
            _ => Vec::new(),
        };
    }
}

/// Decimal logarithm that stays finite at and below 0.
fn log(value: f64) -> f64 {
    value.max(1e-12).log10()
}

fn x_label(along: Along) -> &'static str {
    match along {
        Along::Step => "step",
        Along::Epoch => "epoch",
        Along::Clock => "training time (s)",
    }
}

fn x_text(along: Along, x: f64) -> String {
    match along {
        Along::Step => format!("step {}", format::count(x.max(0.0).round() as u64)),
        Along::Epoch => format!("epoch {x:.2}"),
        Along::Clock => format::duration(x),
    }
}

/// One mesh per band; egui_plot's own area allocates and tessellates more than is needed.
fn paint_band(ui: &Ui, transform: &PlotTransform, outline: &[[f64; 3]], color: Color32) {
    if outline.len() < 2 {
        return;
    }
    let color = color.gamma_multiply(0.18);
    let mut mesh = Mesh::default();
    mesh.reserve_vertices(outline.len() * 2);
    mesh.reserve_triangles((outline.len() - 1) * 2);
    for &[x, low, high] in outline {
        for y in [low, high] {
            mesh.colored_vertex(transform.position_from_point(&PlotPoint::new(x, y)), color);
        }
    }
    for index in 0..outline.len() as u32 - 1 {
        let first = 2 * index;
        mesh.add_triangle(first, first + 1, first + 2);
        mesh.add_triangle(first + 1, first + 2, first + 3);
    }
    ui.painter().with_clip_rect(*transform.frame()).add(Shape::mesh(mesh));
}

/// A small card beside the pointer.
pub fn paint_rows(ui: &Ui, frame: Rect, at: f32, title: &str, rows: &[(Color32, &str, String)]) {
    let palette = palette(ui);
    let small = FontId::proportional(theme::SMALL);
    let line = 4.5 * UNIT;
    let painter = ui.painter();
    let names: Vec<_> = rows
        .iter()
        .map(|row| painter.layout_no_wrap(row.1.to_owned(), small.clone(), palette.text))
        .collect();
    let values: Vec<_> = rows
        .iter()
        .map(|row| painter.layout_no_wrap(row.2.clone(), theme::figures(11.5), palette.strong))
        .collect();
    let widest = |galleys: &[std::sync::Arc<egui::Galley>]| {
        galleys.iter().map(|galley| galley.size().x).fold(0.0, f32::max)
    };
    let width = widest(&names) + widest(&values) + 10.0 * UNIT;
    let size = vec2(width.max(22.0 * UNIT), line * (rows.len() + 1) as f32 + 3.0 * UNIT);
    let x = if at + 3.0 * UNIT + size.x < frame.right() {
        at + 3.0 * UNIT
    } else {
        at - 3.0 * UNIT - size.x
    };
    let card = Rect::from_min_size(pos2(x, frame.top() + 2.0 * UNIT), size);
    let radius = CornerRadius::same(theme::CONTROL_RADIUS);
    let stroke = Stroke::new(1.0, palette.line);
    painter.rect(card, radius, palette.card, stroke, StrokeKind::Inside);
    let (left, right) = (card.left() + 2.5 * UNIT, card.right() - 2.5 * UNIT);
    let mut y = card.top() + 1.5 * UNIT + line / 2.0;
    painter.text(pos2(left, y), Align2::LEFT_CENTER, title, small, palette.muted);
    for ((row, name), value) in rows.iter().zip(names).zip(values) {
        y += line;
        painter.circle_filled(pos2(left + 3.0, y), 3.0, row.0);
        let baseline = |galley: &egui::Galley| y - galley.size().y / 2.0;
        let name_at = pos2(left + 3.0 * UNIT, baseline(&name));
        let value_at = pos2(right - value.size().x, baseline(&value));
        painter.galley(name_at, name, palette.text);
        painter.galley(value_at, value, palette.strong);
    }
}
