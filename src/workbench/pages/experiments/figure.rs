//! The figure of a result, and the curves of an experiment at work.

use eframe::egui::{self, Color32, Stroke, Ui};
use egui_plot::{FilledArea, Line, PlotPoint, PlotPoints};

use super::parallel;
use crate::experiments::{Curve, Figure};
use crate::figures::{Color, model_color};
use crate::settings::Solver;
use crate::workbench::charts::plot::{self, Ticks, View};
use crate::workbench::format;
use crate::workbench::theme::{self, Palette, UNIT, palette};

/// How near the pointer must be to a point to name it.
const NEAR: f32 = 16.0;

/// Colours of live curves, told apart by colour-blind eyes.
const LIVE: [[u8; 3]; 6] = [
    [0x4c, 0x9b, 0xe8],
    [0xe6, 0x9f, 0x00],
    [0x2d, 0xb5, 0xa3],
    [0xcc, 0x79, 0xa7],
    [0xd5, 0x5e, 0x00],
    [0x8f, 0x7e, 0xe6],
];

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, figure: &Figure) {
    if let Some(lines) = &figure.parallel {
        return parallel::ui(ui, &figure.title, lines);
    }
    let across = |x: f64| if figure.x_log { x.max(1e-12).log10() } else { x };
    let [x, y] = [&figure.x_ticks, &figure.y_ticks]
        .map(|names| (!names.is_empty()).then_some(names.as_slice()));
    let ticks = Ticks { x, y, log_x: figure.x_log, ..Ticks::default() };
    draw(ui, &figure.title, [&figure.x, &figure.y], ticks, &figure.curves, &across);
}

/// Curves so far, by epoch.
pub fn live(ui: &mut Ui, curves: &[(String, Vec<[f64; 2]>)]) {
    let curves: Vec<Curve> = curves
        .iter()
        .zip(LIVE.iter().cycle())
        .map(|((name, points), &[r, g, b])| {
            Curve::line(name, crate::figures::Color(r, g, b), points.clone())
        })
        .collect();
    draw(ui, "Learning so far", ["epoch", "NDCG@10"], Ticks::default(), &curves, &|x| x);
}

/// A model's colour is that of the theme, as on the other pages; other curves have their own.
fn color_of(palette: &Palette, curve: &Curve) -> Color32 {
    let [r, g, b] = curve.color;
    let model = Solver::ALL.iter().find(|solver| {
        let Color(own_r, own_g, own_b) = model_color(solver.word());
        [own_r, own_g, own_b] == curve.color
    });
    model.map_or(Color32::from_rgb(r, g, b), |&solver| palette.solver(solver))
}

fn draw(
    ui: &mut Ui,
    name: &str,
    axes: [&str; 2],
    ticks: Ticks<'_>,
    curves: &[Curve],
    across: &dyn Fn(f64) -> f64,
) {
    legend(ui, curves);
    let rows = ticks.y.is_some();
    let view = view_of(curves, across, ticks.x.is_some(), rows);
    let palette = palette(ui);
    let color = |curve: &Curve| color_of(palette, curve);
    let shown = plot::frame(ui, name, axes, ticks)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            for curve in curves {
                let points: Vec<[f64; 2]> =
                    curve.points.iter().map(|&[x, y]| [across(x), y]).collect();
                match (&curve.band, &curve.labels) {
                    (Some(band), None) => {
                        let of = |end: usize| band.iter().map(|ends| ends[end]).collect::<Vec<_>>();
                        let xs: Vec<f64> = points.iter().map(|point| point[0]).collect();
                        let area = FilledArea::new("", &xs, &of(0), &of(1))
                            .fill_color(color(curve).gamma_multiply(0.18))
                            .allow_hover(false);
                        plot.add(area);
                    }
                    (Some(band), Some(_)) => {
                        for (point, ends) in points.iter().zip(band) {
                            let end = |place: usize| match rows {
                                true => [across(ends[place]), point[1]],
                                false => [point[0], ends[place]],
                            };
                            let bar = vec![end(0), end(1)];
                            let bar = Line::new("", PlotPoints::from(bar))
                                .color(color(curve).gamma_multiply(0.55))
                                .width(1.5)
                                .allow_hover(false);
                            plot.line(bar);
                        }
                    }
                    (None, _) => {}
                }
                if curve.labels.is_none() {
                    let line = Line::new(curve.name.as_str(), PlotPoints::from(points))
                        .color(color(curve))
                        .width(1.8)
                        .allow_hover(false);
                    plot.line(line);
                }
            }
        });
    let place =
        |&[x, y]: &[f64; 2]| shown.transform.position_from_point(&PlotPoint::new(across(x), y));
    let frame = *shown.transform.frame();
    dots(ui, curves, &place, frame);
    let pointer = shown.response.hover_pos();
    let near = pointer.and_then(|pointer| {
        curves
            .iter()
            .flat_map(|curve| curve.points.iter().map(move |point| (curve, point)))
            .map(|(curve, point)| (place(point).distance(pointer), curve, point))
            .filter(|(distance, ..)| *distance < NEAR)
            .min_by(|a, b| a.0.total_cmp(&b.0))
    });
    if let Some((_, curve, &[x, y])) = near {
        let named = ticks.x.and_then(|names| names.iter().find(|(at, _)| *at == x));
        let across = named.map_or_else(|| format::number(x), |(_, name)| name.clone());
        let text = match rows {
            true => format!("{}\n{across}", curve.name),
            false => format!("{}\n{across} · {}", curve.name, format::number(y)),
        };
        plot::tooltip(&shown.response, &text);
    }
    shown.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, format!("{name}, chart"))
    });
}

/// The dots with their names, which `place` puts into the picture.
fn dots(ui: &Ui, curves: &[Curve], place: &dyn Fn(&[f64; 2]) -> egui::Pos2, frame: egui::Rect) {
    let (palette, painter) = (palette(ui), ui.painter());
    let (mut names, mut lines) = (Vec::new(), Vec::new());
    for curve in curves {
        let Some(texts) = &curve.labels else {
            let points = curve.points.windows(2);
            lines.extend(points.map(|ends| [place(&ends[0]), place(&ends[1])]));
            continue;
        };
        let color = color_of(palette, curve);
        for (index, point) in curve.points.iter().enumerate() {
            let at = place(point);
            let ring = Stroke::new(1.5, palette.card);
            painter.circle(at, 5.0, color, ring);
            if let Some([low, high]) = curve.band.as_ref().and_then(|band| band.get(index)) {
                lines.push([place(&[point[0], *high]), place(&[point[0], *low])]);
            }
            let text = texts.get(index).cloned().unwrap_or_default();
            names.push((at, text, palette.text));
        }
    }
    plot::place_names(ui, frame, names, &lines);
}

fn legend(ui: &mut Ui, curves: &[Curve]) {
    // Dots are named where they are.
    let mut lines: Vec<&Curve> = Vec::new();
    for curve in curves.iter().filter(|curve| curve.labels.is_none()) {
        // One that is drawn in several pieces is named once.
        if !lines.iter().any(|one| one.name == curve.name && one.color == curve.color) {
            lines.push(curve);
        }
    }
    if lines.is_empty() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(3.0 * UNIT, 0.0);
        for curve in lines {
            // Dot and name as one, so that no line breaks between them.
            let font = egui::FontId::proportional(theme::SMALL);
            let muted = palette(ui).muted;
            let galley = ui.painter().layout_no_wrap(curve.name.clone(), font, muted);
            let size = egui::vec2(galley.size().x + 3.0 * UNIT, 4.5 * UNIT);
            let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
            let color = color_of(palette(ui), curve);
            let dot = egui::pos2(rect.left() + UNIT, rect.center().y);
            ui.painter().circle_filled(dot, UNIT, color);
            let at = egui::pos2(rect.left() + 3.0 * UNIT, dot.y - galley.size().y / 2.0);
            ui.painter().galley(at, galley, muted);
        }
    });
}

/// All of it, with room around dots.
fn view_of(curves: &[Curve], across: &dyn Fn(f64) -> f64, named: bool, rows: bool) -> View {
    let over = |values: &mut dyn Iterator<Item = f64>| {
        values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
    };
    let points = || curves.iter().flat_map(|curve| &curve.points);
    // Along x where every dot has a row of its own.
    let bands = |rows: bool| {
        let bands = curves.iter().filter_map(|curve| curve.band.as_ref()).flatten().flatten();
        bands.copied().filter(move |_| rows)
    };
    let x = over(&mut points().map(|point| point[0]).chain(bands(rows)).map(across));
    let y = over(&mut points().map(|point| point[1]).chain(bands(!rows)));
    let dots = curves.iter().any(|curve| curve.labels.is_some());
    let widened = |(low, high): (f64, f64), share: f64| {
        if low > high {
            return (0.0, 1.0);
        }
        let room = ((high - low) * share).max(high.abs() * 0.01).max(1e-6);
        (low - room, high + room)
    };
    View { x: widened(x, if dots || named { 0.08 } else { 0.0 }), y: widened(y, 0.06) }
}
