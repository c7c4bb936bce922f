//! Curves over the last minutes or hours, up to now: lines with gaps, or stacked bands, and a
//! read-out at the pointer.

use eframe::egui::{self, Align2, Color32, FontId, Mesh, Shape, Stroke, Ui, pos2};
use egui_plot::{Line, LineStyle, PlotPoint, PlotPoints, PlotTransform, Points};

use super::lines::paint_rows;
use super::plot::{self, Ticks, View};
use crate::workbench::format;
use crate::workbench::theme::{self, UNIT, palette};

/// Height of a plot over that of its highest value: the legend needs room.
const ROOM: f64 = 1.3;

/// One curve: a value for each step, NaN where there is none.
pub struct Trace<'a> {
    pub name: &'a str,
    pub color: Color32,
    pub values: &'a [f64],
    /// Goes with the trace before it, and is not in the legend.
    pub dashed: bool,
}

/// How values become heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0 to the largest, and at least to this.
    Linear(f64),
    /// Decimal logarithm, over what there is.
    Log,
    /// One on top of the other, each filled.
    Stacked,
}

/// What a chart says of itself.
pub struct Labels<'a> {
    /// Accessible name, and key of the plot.
    pub name: &'a str,
    pub y: &'a str,
    /// A value at the pointer, with its unit.
    pub value: fn(f64) -> String,
}

/// Draw over the space that is left. `seconds` is when each step was, negative, up to now;
/// `cursor` is what is pointed at, shared between charts.
pub fn chart(
    ui: &mut Ui,
    labels: &Labels<'_>,
    (seconds, span): (&[f64], f64),
    traces: &[Trace<'_>],
    scale: Scale,
    cursor: &mut Option<f64>,
) {
    let heights = heights(traces, scale);
    let (low, high) = extent(&heights, scale);
    let view = View { x: (-span, 0.0), y: (low, high) };
    let marks = marks(span);
    let ticks = Ticks { x: Some(&marks), log_y: scale == Scale::Log, ..Ticks::default() };
    let shown = plot::frame(ui, labels.name, ["time before now", labels.y], ticks)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .show(ui, |plot| {
            view.apply(plot);
            if scale == Scale::Stacked {
                return;
            }
            for (trace, heights) in traces.iter().zip(&heights) {
                let (lines, lonely) = pieces(seconds, heights);
                for points in lines {
                    let line = Line::new("", PlotPoints::Owned(points))
                        .color(trace.color)
                        .width(1.6)
                        .allow_hover(false);
                    let dashed = LineStyle::Dashed { length: 5.0 };
                    plot.line(if trace.dashed { line.style(dashed) } else { line });
                }
                if !lonely.is_empty() {
                    let points = Points::new("", PlotPoints::Owned(lonely));
                    plot.points(points.color(trace.color).radius(2.0).allow_hover(false));
                }
            }
        });
    if scale == Scale::Stacked {
        paint_stack(ui, &shown.transform, seconds, &heights, traces);
    }
    legend(ui, *shown.transform.frame(), traces);
    let pointed = shown.response.hover_pos().filter(|at| shown.transform.frame().contains(*at));
    if let Some(pointer) = pointed {
        *cursor = Some(shown.transform.value_from_position(pointer).x);
    }
    if let Some(x) = *cursor {
        read_out(ui, &shown.transform, labels, seconds, traces, x, pointed.is_some());
    }
    shown.response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Image, true, format!("{}, chart", labels.name))
    });
}

/// Where each value is drawn.
fn heights(traces: &[Trace<'_>], scale: Scale) -> Vec<Vec<f64>> {
    let mut heights: Vec<Vec<f64>> = Vec::with_capacity(traces.len());
    for trace in traces {
        let below = heights.last().map(Vec::as_slice);
        let height = |(at, &value): (usize, &f64)| match scale {
            Scale::Linear(_) => value,
            Scale::Log => value.max(1e-9).log10(),
            Scale::Stacked => value.max(0.0) + below.map_or(0.0, |below| below[at]),
        };
        // `max` turns NaN into a number, so it is put back.
        let keep = |(at, value): (usize, &f64)| {
            if value.is_nan() && scale != Scale::Stacked { f64::NAN } else { height((at, value)) }
        };
        heights.push(trace.values.iter().enumerate().map(keep).collect());
    }
    heights
}

fn extent(heights: &[Vec<f64>], scale: Scale) -> (f64, f64) {
    let finite = || heights.iter().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(0.0, f64::max));
    match scale {
        Scale::Linear(least) => (0.0, high.max(least) * ROOM),
        Scale::Stacked => (0.0, high.max(1.0) * ROOM),
        Scale::Log if low.is_finite() => {
            let high = finite().fold(f64::NEG_INFINITY, f64::max).max(low.floor() + 1.0);
            (low.floor(), low.floor() + (high - low.floor()) * ROOM)
        }
        Scale::Log => (-1.0, 3.0),
    }
}

/// Runs of at least two values, and values that stand alone.
fn pieces(seconds: &[f64], heights: &[f64]) -> (Vec<Vec<PlotPoint>>, Vec<PlotPoint>) {
    let (mut lines, mut lonely) = (Vec::new(), Vec::new());
    let mut piece: Vec<PlotPoint> = Vec::new();
    let mut end = |piece: &mut Vec<PlotPoint>| match piece.len() {
        0 => {}
        1 => lonely.append(piece),
        _ => lines.push(std::mem::take(piece)),
    };
    for (&x, &y) in seconds.iter().zip(heights) {
        if y.is_finite() {
            piece.push(PlotPoint::new(x, y));
        } else {
            end(&mut piece);
        }
    }
    end(&mut piece);
    (lines, lonely)
}

fn paint_stack(
    ui: &Ui,
    transform: &PlotTransform,
    seconds: &[f64],
    heights: &[Vec<f64>],
    traces: &[Trace<'_>],
) {
    let painter = ui.painter().with_clip_rect(*transform.frame());
    let ground = vec![0.0; seconds.len()];
    for (at, (heights_of, trace)) in heights.iter().zip(traces).enumerate() {
        let below = if at == 0 { &ground } else { &heights[at - 1] };
        let mut mesh = Mesh::default();
        for (step, (&x, (&low, &high))) in
            seconds.iter().zip(below.iter().zip(heights_of)).enumerate()
        {
            for y in [low, high] {
                let place = transform.position_from_point(&PlotPoint::new(x, y));
                mesh.colored_vertex(place, trace.color.gamma_multiply(0.75));
            }
            if step > 0 {
                let first = 2 * step as u32 - 2;
                mesh.add_triangle(first, first + 1, first + 2);
                mesh.add_triangle(first + 1, first + 2, first + 3);
            }
        }
        painter.add(Shape::mesh(mesh));
    }
}

/// Names along the top of the plot, wrapped onto as many lines as they need.
fn legend(ui: &Ui, frame: egui::Rect, traces: &[Trace<'_>]) {
    let palette = palette(ui);
    let font = FontId::proportional(theme::SMALL);
    let start = frame.left() + 2.0 * UNIT;
    let (mut x, mut y) = (start, frame.top() + 2.0 * UNIT);
    for trace in traces.iter().filter(|trace| !trace.dashed) {
        let galley =
            ui.painter().layout_no_wrap(trace.name.to_owned(), font.clone(), palette.muted);
        let width = galley.size().x + 6.0 * UNIT;
        if x + width > frame.right() && x > start {
            (x, y) = (start, y + 4.0 * UNIT);
        }
        ui.painter().circle_filled(pos2(x + 2.0, y), 3.5, trace.color);
        let rect = Align2::LEFT_CENTER.anchor_size(pos2(x + 2.5 * UNIT, y), galley.size());
        ui.painter().galley(rect.min, galley, palette.muted);
        x += width;
    }
}

fn read_out(
    ui: &Ui,
    transform: &PlotTransform,
    labels: &Labels<'_>,
    seconds: &[f64],
    traces: &[Trace<'_>],
    x: f64,
    with_values: bool,
) {
    let frame = *transform.frame();
    let at = transform.position_from_point(&PlotPoint::new(x, 0.0)).x;
    if !frame.x_range().contains(at) {
        return;
    }
    let stroke = Stroke::new(1.0, palette(ui).muted.gamma_multiply(0.6));
    ui.painter().vline(at, frame.y_range(), stroke);
    if !with_values {
        return;
    }
    let after = seconds.partition_point(|&second| second < x);
    let near = |step: usize| seconds.get(step).map_or(f64::INFINITY, |second| (second - x).abs());
    let before = after.saturating_sub(1);
    let step = if near(before) < near(after) { before } else { after };
    let rows: Vec<(Color32, &str, String)> = traces
        .iter()
        .filter_map(|trace| Some((trace, trace.values.get(step).filter(|value| !value.is_nan())?)))
        .map(|(trace, &value)| (trace.color, trace.name, (labels.value)(value)))
        .collect();
    if !rows.is_empty() {
        let title = format!("{} ago", format::duration(-seconds[step]));
        paint_rows(ui, frame, at, &title, &rows);
    }
}

/// Round times before now.
fn marks(span: f64) -> Vec<(f64, String)> {
    let step = match span {
        span if span <= 60.0 => 15.0,
        span if span <= 300.0 => 60.0,
        span if span <= 900.0 => 300.0,
        _ => 3600.0,
    };
    // A label at the far end would lie on the one of the other axis.
    (0..(span / step).ceil() as i64)
        .map(|index| {
            let before = index as f64 * step;
            let label = match index {
                0 => "now".to_owned(),
                _ => format!("−{}", format::tick_duration(before)),
            };
            (-before, label)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(values: &[f64]) -> Trace<'_> {
        Trace { name: "", color: Color32::WHITE, values, dashed: false }
    }

    #[test]
    fn a_gap_ends_a_line_and_a_lonely_value_is_a_point() {
        let seconds = [-5.0, -4.0, -3.0, -2.0, -1.0];
        let (lines, lonely) = pieces(&seconds, &[1.0, 2.0, f64::NAN, 3.0, f64::NAN]);
        assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
        assert_eq!(lonely.iter().map(|point| point.x).collect::<Vec<_>>(), [-2.0]);
    }

    #[test]
    fn a_stack_adds_up_and_counts_nothing_where_nothing_is_known() {
        let traces = [trace(&[1.0, 2.0]), trace(&[f64::NAN, 3.0])];
        assert_eq!(heights(&traces, Scale::Stacked), [[1.0, 2.0], [1.0, 5.0]]);
        assert_eq!(extent(&heights(&traces, Scale::Stacked), Scale::Stacked), (0.0, 5.0 * ROOM));
    }

    #[test]
    fn logarithms_keep_their_gaps() {
        let traces = [trace(&[10.0, f64::NAN])];
        let heights = heights(&traces, Scale::Log);
        assert!((heights[0][0] - 1.0).abs() < 1e-12 && heights[0][1].is_nan());
    }

    #[test]
    fn marks_end_now() {
        assert_eq!(marks(60.0).len(), 4);
        assert_eq!(marks(300.0)[0], (0.0, "now".to_owned()));
        assert_eq!(marks(21_600.0).last().map(|mark| mark.0), Some(-18_000.0));
    }
}
