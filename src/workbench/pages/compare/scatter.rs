//! Quality against latency: a dot a line of the table, with its interval. Only lines that
//! were judged alike share a plot: a metric means nothing across two sets or protocols.

use eframe::egui::{self, Color32, Stroke, Ui};
use egui_plot::{Line, PlotPoint, PlotPoints};

use super::rows::Row;
use crate::figures::{self, Axis, Chart, Color, Kind};
use crate::runs::{latency_text, metric_text};
use crate::settings::Solver;
use crate::workbench::charts::plot::{self, Ticks, View};
use crate::workbench::theme::palette;

const X: &str = "latency of one request, median (ms)";
const Y: &str = "NDCG@10";

/// A line that has both numbers.
struct Dot<'a> {
    row: &'a Row,
    latency: f64,
    ndcg10: f64,
    /// The interval; the mean twice where there is none.
    ends: [f64; 2],
}

fn dots<'a>(rows: &[&'a Row]) -> Vec<Dot<'a>> {
    rows.iter()
        .copied()
        .filter_map(|row| {
            let estimate = row.ndcg10?;
            let latency = row.latency?.1;
            let ends = estimate.ci95.unwrap_or([estimate.mean; 2]);
            (latency > 0.0).then_some(Dot { row, latency, ndcg10: estimate.mean, ends })
        })
        .collect()
}

/// Whether any line can be drawn.
pub fn is_empty(rows: &[&Row]) -> bool {
    dots(rows).is_empty()
}

/// Draw over the space that is left.
pub fn ui(ui: &mut Ui, rows: &[&Row], selected: &[String]) {
    let palette = palette(ui);
    let dots = dots(rows);
    let extent = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let room = ((high - low) * 0.12).max(high.abs() * 0.02).max(1e-6);
        (low - room, high + room)
    };
    let x = extent(&mut dots.iter().map(|dot| dot.latency));
    let y = extent(&mut dots.iter().flat_map(|dot| dot.ends));
    let view = View { x: (x.0.max(0.0), x.1), y };
    let bars: Vec<(Color32, Vec<PlotPoint>)> = dots
        .iter()
        .map(|dot| {
            let color = dot.row.solver.map_or(palette.muted, |solver| palette.solver(solver));
            (color, dot.ends.map(|y| PlotPoint::new(dot.latency, y)).to_vec())
        })
        .collect();
    let shown = plot::frame(ui, "Quality against latency", [X, Y], Ticks::default())
        .allow_drag(false)
        .allow_zoom(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            for (color, ends) in &bars {
                let line = Line::new("", PlotPoints::Borrowed(ends))
                    .color(color.gamma_multiply(0.55))
                    .width(1.5)
                    .allow_hover(false);
                plot.line(line);
            }
        });
    let at = |dot: &Dot<'_>| {
        shown.transform.position_from_point(&PlotPoint::new(dot.latency, dot.ndcg10))
    };
    let pointer = shown.response.hover_pos();
    let near = pointer.and_then(|pointer| {
        dots.iter()
            .map(|dot| (at(dot).distance(pointer), dot))
            .filter(|(distance, _)| *distance < 16.0)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, dot)| dot)
    });
    for (dot, (color, _)) in dots.iter().zip(&bars) {
        let chosen = selected.iter().any(|key| key == dot.row.key());
        let pointed = near.is_some_and(|near| near.row.key() == dot.row.key());
        let ring = if chosen { palette.strong } else { palette.card };
        let radius = if chosen || pointed { 6.5 } else { 5.0 };
        ui.painter().circle(at(dot), radius, *color, Stroke::new(1.5, ring));
    }
    if let Some(dot) = near {
        let text = format!(
            "{} seed {}\nNDCG@10 {}\n{} ms a request\n{}",
            dot.row.title(),
            dot.row.seed_text(),
            metric_text(dot.ndcg10, dot.row.ndcg10.and_then(|estimate| estimate.ci95)),
            latency_text(dot.latency),
            dot.row.key(),
        );
        plot::tooltip(&shown.response, &text);
    }
    shown.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, "Quality against latency, chart")
    });
}

/// The same as a picture.
pub fn figure(rows: &[&Row], dark: bool) -> Chart {
    let dots = dots(rows);
    let series = Solver::ALL
        .iter()
        .map(|solver| {
            let of: Vec<&Dot<'_>> =
                dots.iter().filter(|dot| dot.row.solver == Some(*solver)).collect();
            let color: Color = figures::model_color(solver.word());
            figures::Series {
                name: solver.title().to_owned(),
                color,
                points: of.iter().map(|dot| [dot.latency, dot.ndcg10]).collect(),
                band: Some(of.iter().map(|dot| (dot.ends[0], dot.ends[1])).collect()),
                kind: Kind::Dots { labels: Vec::new() },
            }
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    Chart {
        title: "Quality against latency".to_owned(),
        x: Axis { label: X.to_owned(), log: false },
        y: Axis { label: Y.to_owned(), log: false },
        series,
        theme: if dark { figures::Theme::Dark } else { figures::Theme::Light },
    }
}
