//! The plots: uncertainty with a threshold to drag, reliability, quality against escalation.

use eframe::egui::{self, Align2, Color32, CursorIcon, FontId, Sense, Stroke, Ui, vec2};
use egui_plot::{Bar, BarChart, HLine, Line, LineStyle, PlotPoint, PlotPoints};

use crate::evaluation::{Frontier, Reliability};
use crate::serving::replay::{Operating, Replay};
use crate::settings::RouterSettings;
use crate::workbench::charts::plot::{self, Ticks, View};
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::pill;

const BARS: usize = 50;
/// How near the pointer must be to take the line, in points.
const GRIP: f32 = 10.0;

/// What the upper plot shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Measure {
    #[default]
    Entropy,
    Conflict,
    Reliability,
}

/// The histogram of one uncertainty, its threshold a line to drag; or the reliability diagram.
pub fn uncertainty(
    ui: &mut Ui,
    replay: &Replay,
    router: &mut RouterSettings,
    measure: &mut Measure,
) {
    ui.horizontal(|ui| {
        for (choice, name, help) in [
            (Measure::Entropy, "Entropy", "How undecided System 1 is: 0 sure, 1 lost"),
            (
                Measure::Conflict,
                "Conflict",
                "How far the predicted genres are from the user's own: 0 the same, 1 disjoint",
            ),
            (
                Measure::Reliability,
                "Reliability",
                "Whether System 1's probabilities come true, before and after calibration",
            ),
        ] {
            let enabled = choice != Measure::Conflict || replay.has_conflict;
            ui.add_enabled_ui(enabled, |ui| {
                if pill(ui, name, *measure == choice, None, help).clicked() {
                    *measure = choice;
                }
            });
        }
        let hint = match *measure {
            Measure::Reliability => "",
            Measure::Entropy | Measure::Conflict => "Drag the line",
        };
        ui.label(egui::RichText::new(hint).small().color(palette(ui).muted));
    });
    match *measure {
        Measure::Entropy => {
            let values: Vec<f64> =
                replay.requests.iter().map(|request| request.uncertainty.entropy).collect();
            let axis = "entropy (0 sure, 1 lost)";
            threshold_plot(ui, "Entropy", axis, &values, &mut router.entropy);
        }
        Measure::Conflict => {
            let values: Vec<f64> =
                replay.requests.iter().filter_map(|request| request.uncertainty.conflict).collect();
            let axis = "conflict (0 the user's own genres, 1 none of them)";
            threshold_plot(ui, "Conflict", axis, &values, &mut router.conflict);
        }
        Measure::Reliability => reliability(ui, &replay.before, &replay.after),
    }
}

fn threshold_plot(ui: &mut Ui, name: &str, axis: &str, values: &[f64], threshold: &mut f64) {
    let palette = palette(ui);
    let mut counts = [0usize; BARS];
    for value in values {
        counts[((value * BARS as f64) as usize).min(BARS - 1)] += 1;
    }
    let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let view = View { x: (0.0, 1.0), y: (0.0, highest * 1.18) };
    let bars: Vec<Bar> = counts
        .iter()
        .enumerate()
        .map(|(place, &count)| {
            let center = (place as f64 + 0.5) / BARS as f64;
            let color = if center > *threshold { palette.system2 } else { palette.accent };
            Bar::new(center, count as f64)
                .width(0.88 / BARS as f64)
                .fill(color)
                .stroke(Stroke::NONE)
        })
        .collect();
    let shown = plot::frame(ui, name, [axis, "held-out requests"], Ticks::default())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            plot.bar_chart(BarChart::new(name, bars).allow_hover(false));
        });
    let frame = *shown.transform.frame();
    let at = |value: f64| shown.transform.position_from_point(&PlotPoint::new(value, 0.0)).x;
    let response = ui.interact(frame, ui.scope_id().with(("threshold", name)), Sense::drag());
    if let Some(pointer) = response.interact_pointer_pos() {
        let value = shown.transform.value_from_position(pointer).x.clamp(0.0, 1.0);
        *threshold = (value * 200.0).round() / 200.0;
    }
    let near = response.hover_pos().is_some_and(|pos| (pos.x - at(*threshold)).abs() < GRIP);
    if near || response.dragged() {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    let over = values.iter().filter(|value| **value > *threshold).count();
    let share = 100.0 * over as f64 / values.len().max(1) as f64;
    let x = at(*threshold);
    let line = [egui::pos2(x, frame.top() + 6.0), egui::pos2(x, frame.bottom())];
    ui.painter().line_segment(line, Stroke::new(2.0, palette.strong));
    let text = format!("{threshold:.2} · {share:.1} %");
    tag(ui, egui::pos2(x, frame.top()), frame, &text);
    response.widget_info(|| egui::WidgetInfo::slider(true, *threshold, format!("{name} line")));
}

/// A label on the line, kept inside the plot.
fn tag(ui: &Ui, at: egui::Pos2, frame: egui::Rect, text: &str) {
    let palette = palette(ui);
    let font = FontId::proportional(theme::SMALL);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, palette.card);
    let size = galley.size() + vec2(4.0 * UNIT, UNIT);
    let half = size.x / 2.0;
    let center = at.x.clamp(frame.left() + half, (frame.right() - half).max(frame.left() + half));
    let rect = egui::Rect::from_center_size(egui::pos2(center, at.y + size.y / 2.0), size);
    ui.painter().rect_filled(rect, 3.0, palette.strong);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, palette.card);
}

fn reliability(ui: &mut Ui, before: &Reliability, after: &Reliability) {
    let palette = palette(ui);
    let points = |reliability: &Reliability| -> Vec<PlotPoint> {
        let bins = reliability.bins.iter().filter(|bin| bin.count > 0);
        bins.map(|bin| PlotPoint::new(bin.confidence, bin.accuracy)).collect()
    };
    let (raw, calibrated) = (points(before), points(after));
    let most = raw
        .iter()
        .chain(&calibrated)
        .map(|point| point.x.max(point.y))
        .fold(0.05f64, f64::max)
        .min(1.0)
        * 1.08;
    let view = View { x: (0.0, most), y: (0.0, most) };
    let axes = ["probability given to the first item", "share that came true"];
    let ideal = [PlotPoint::new(0.0, 0.0), PlotPoint::new(most, most)];
    let shown = plot::frame(ui, "Reliability", axes, Ticks::default())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            let line = |points, color| {
                Line::new("", PlotPoints::Borrowed(points)).color(color).allow_hover(false)
            };
            let dashed = LineStyle::Dashed { length: 6.0 };
            plot.line(line(&ideal, palette.muted).style(dashed).width(1.0));
            plot.line(line(&raw, palette.warning).width(1.5));
            plot.line(line(&calibrated, palette.accent).width(2.0));
        });
    let frame = *shown.transform.frame();
    for (row, (color, name, ece)) in
        [(palette.accent, "calibrated", after.ece), (palette.warning, "before", before.ece)]
            .into_iter()
            .enumerate()
    {
        let at = frame.left_top() + vec2(3.0 * UNIT, 2.0 * UNIT + 18.0 * row as f32);
        ui.painter().circle_filled(at + vec2(0.0, 6.0), UNIT, color);
        label(
            ui,
            at + vec2(2.0 * UNIT, 6.0),
            Align2::LEFT_CENTER,
            &format!("{name}, ECE {ece:.3}"),
        );
    }
    shown
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Reliability, chart"));
}

fn label(ui: &Ui, at: egui::Pos2, align: Align2, text: &str) {
    let font = FontId::proportional(theme::SMALL);
    ui.painter().text(at, align, text, font, palette(ui).muted);
}

/// NDCG@10 against the share of requests sent to System 2. Dragging the point moves the entropy
/// threshold.
pub fn quality(
    ui: &mut Ui,
    replay: &Replay,
    frontier: &Frontier,
    router: &mut RouterSettings,
    at: &Operating,
) {
    let palette = palette(ui);
    let points = |curve: &[[f64; 2]]| -> Vec<PlotPoint> {
        curve.iter().map(|[x, y]| PlotPoint::new(100.0 * x, *y)).collect()
    };
    let (router_curve, oracle) = (points(&frontier.router), points(&frontier.oracle));
    let random = [PlotPoint::new(0.0, frontier.system1), PlotPoint::new(100.0, frontier.system2)];
    let all = || router_curve.iter().chain(&oracle).chain(&random).map(|point| point.y);
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.14).max(1e-4);
    let view = View { x: (0.0, 100.0), y: (low - room, high + room) };
    let axes = ["share of requests sent to System 2 (%)", "NDCG@10 (held-out)"];
    let shown = plot::frame(ui, "Quality against escalation", axes, Ticks::default())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            let dashed = LineStyle::Dashed { length: 7.0 };
            for y in [frontier.system1, frontier.system2] {
                let line = HLine::new("", y).color(palette.muted.gamma_multiply(0.7));
                plot.hline(line.style(dashed).width(1.0).allow_hover(false));
            }
            let line = |points, color: Color32, width| {
                let line = Line::new("", PlotPoints::Borrowed(points));
                line.color(color).width(width).allow_hover(false)
            };
            plot.line(line(&random, palette.muted.gamma_multiply(0.8), 1.0));
            let dotted = LineStyle::Dotted { spacing: 6.0 };
            plot.line(line(&oracle, palette.good, 1.5).style(dotted));
            plot.line(line(&router_curve, palette.system2, 2.5));
        });
    let frame = *shown.transform.frame();
    let place = |x: f64, y: f64| shown.transform.position_from_point(&PlotPoint::new(x, y));
    let right = frame.right() - 2.0 * UNIT;
    let level = |y: f64| egui::pos2(right, place(0.0, y).y);
    let mut names = vec![
        (level(frontier.system1), "System 1 only".to_owned(), palette.muted),
        (level(frontier.system2), "System 2 always (mock)".to_owned(), palette.muted),
    ];
    if let Some(peak) = oracle.iter().max_by(|a, b| a.y.total_cmp(&b.y)) {
        names.push((place(peak.x, peak.y), "oracle".to_owned(), palette.muted));
    }
    let quarter = 0.75 * frontier.system1 + 0.25 * frontier.system2;
    names.push((place(25.0, quarter), "random".to_owned(), palette.muted));
    if at.uncertain > at.escalated {
        // Where the threshold alone would be, without the budget.
        let wanted = on_curve(&frontier.router, at.uncertain);
        let ring = place(100.0 * at.uncertain, wanted);
        ui.painter().circle_stroke(ring, 5.5, Stroke::new(1.5, palette.system2));
        names.push((ring, format!("{wanted:.4} without the budget"), palette.muted));
    }
    let point = place(100.0 * at.escalated, at.quality.ndcg10.mean);
    ui.painter().circle(point, 6.5, palette.strong, Stroke::new(1.5, palette.card));
    let text = format!("{:.4} at {:.1} %", at.quality.ndcg10.mean, 100.0 * at.escalated);
    names.push((point, text, palette.strong));
    let mut lines = Vec::new();
    for curve in [&router_curve[..], &oracle, &random] {
        let on_screen: Vec<egui::Pos2> =
            curve.iter().map(|point| place(point.x, point.y)).collect();
        lines.extend(on_screen.windows(2).map(|ends| [ends[0], ends[1]]));
    }
    for y in [frontier.system1, frontier.system2] {
        lines.push([place(0.0, y), place(100.0, y)]);
    }
    plot::place_names(ui, frame, names, &lines);

    let response = ui.interact(frame, ui.scope_id().with("operating point"), Sense::drag());
    if let Some(pointer) = response.interact_pointer_pos() {
        let share = shown.transform.value_from_position(pointer).x.clamp(0.0, 100.0) / 100.0;
        router.entropy = threshold_for(replay, share);
    }
    if response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    response
        .on_hover_text(
            "Drag to choose which share is uncertain: it sets the entropy threshold. The budget \
             may keep the point to the left of the pointer.",
        )
        .widget_info(|| egui::WidgetInfo::slider(true, 100.0 * at.escalated, "Operating point"));
}

/// The height of a curve (share, quality) at `share`.
fn on_curve(curve: &[[f64; 2]], share: f64) -> f64 {
    let after = curve.partition_point(|point| point[0] < share).min(curve.len().saturating_sub(1));
    let (Some(&[x1, y1]), Some(&[x0, y0])) = (curve.get(after), curve.get(after.saturating_sub(1)))
    else {
        return f64::NAN;
    };
    if x1 > x0 { y0 + (y1 - y0) * ((share - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { y1 }
}

/// The entropy threshold that leaves `share` of the requests above it.
fn threshold_for(replay: &Replay, share: f64) -> f64 {
    let mut entropies: Vec<f64> =
        replay.requests.iter().map(|request| request.uncertainty.entropy).collect();
    entropies.sort_unstable_by(|a, b| b.total_cmp(a));
    let place = (share * entropies.len() as f64).round() as usize;
    match entropies.get(place) {
        Some(entropy) => entropy.clamp(0.0, 1.0),
        None => 0.0,
    }
}
