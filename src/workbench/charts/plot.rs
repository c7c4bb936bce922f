//! One frame for every plot: quiet grid, small labels, round ticks.

use eframe::egui::{
    Color32, FontId, PopupAnchor, Pos2, Rect, Response, RichText, Stroke, Tooltip, Ui, Vec2, pos2,
    vec2,
};
use egui_plot::{AxisHints, GridInput, GridMark, Plot, PlotBounds, PlotUi};

use crate::figures::{Label, place_labels};
use crate::workbench::format;
use crate::workbench::theme::{self, palette};

/// What part of the plane is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    pub x: (f64, f64),
    pub y: (f64, f64),
}

impl View {
    /// Show exactly this part.
    pub fn apply(self, plot: &mut PlotUi<'_>) {
        let bounds = PlotBounds::from_min_max([self.x.0, self.y.0], [self.x.1, self.y.1]);
        plot.set_plot_bounds(bounds);
    }
}

/// How an axis is labelled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ticks<'a> {
    /// Positions and labels on x; `None` for round numbers.
    pub x: Option<&'a [(f64, String)]>,
    /// The same on y.
    pub y: Option<&'a [(f64, String)]>,
    /// y is drawn as its decimal logarithm.
    pub log_y: bool,
    /// x is drawn as its decimal logarithm.
    pub log_x: bool,
}

/// A plot over the space that is left, in the look of the theme.
pub fn frame<'a>(ui: &Ui, name: &str, axes: [&str; 2], ticks: Ticks<'a>) -> Plot<'a> {
    let palette = palette(ui);
    let small = FontId::proportional(theme::SMALL);
    let label = |text: &str| RichText::new(text).font(small.clone()).color(palette.muted);
    let (marks, rows) = (ticks.x, ticks.y);
    let short = marks.map(|names| shortened(ui, names, &small));
    let named = |names: &[(f64, String)], value: f64| {
        let name = names.iter().find(|(at, _)| *at == value);
        name.map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let x_axis = AxisHints::new_x()
        .label(label(axes[0]))
        .tick_label_font(small.clone())
        .tick_label_color(palette.muted)
        .formatter(move |mark, range| match &short {
            Some(names) => named(names, mark.value),
            None if ticks.log_x => format::number(10f64.powf(mark.value)),
            None => tick_label(mark.value, range.end() - range.start()),
        });
    let y_axis = AxisHints::new_y()
        .label(label(axes[1]))
        .tick_label_font(small.clone())
        .tick_label_color(palette.muted)
        .min_thickness(44.0)
        .formatter(move |mark, range| match rows {
            Some(names) => named(names, mark.value),
            None if ticks.log_y => log_label(mark.value, range.end() - range.start()),
            None => tick_label(mark.value, range.end() - range.start()),
        });
    Plot::new(name)
        .min_size(vec2(40.0, 40.0))
        // Half of a label of the last mark stands beyond it.
        .width((ui.available_width() - 3.0 * theme::UNIT).max(40.0))
        .show_background(false)
        .grid_color(palette.grid)
        .set_margin_fraction(Vec2::ZERO)
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis])
        .x_grid_spacer(move |input| match marks {
            Some(marks) => marks.iter().map(|(at, _)| mark(*at)).collect(),
            None if ticks.log_x => log_marks(input),
            None => round_marks(&input, 80.0),
        })
        .y_grid_spacer(move |input| match rows {
            Some(names) => names.iter().map(|(at, _)| mark(*at)).collect(),
            None if ticks.log_y => log_marks(input),
            // A low plot needs a second mark as well, or nobody knows its scale.
            None => {
                let all = [48.0, 32.0, 22.0].map(|apart| round_marks(&input, apart));
                let enough = all.iter().position(|marks| marks.len() > 1).unwrap_or(2);
                all.into_iter().nth(enough).unwrap_or_default()
            }
        })
        .label_formatter(|_| None)
        .show_x(false)
        .show_y(false)
        .show_crosshair(false)
        .allow_scroll(false)
        .allow_double_click_reset(false)
}

/// Names side by side along x, in several lines or cut off where they would lie over each other.
fn shortened(ui: &Ui, names: &[(f64, String)], font: &FontId) -> Vec<(f64, String)> {
    let room = (ui.available_width() - 60.0) / names.len().max(1) as f32 - 2.0 * theme::UNIT;
    let width = |text: &str| {
        ui.painter().layout_no_wrap(text.to_owned(), font.clone(), Color32::PLACEHOLDER).size().x
    };
    let cut = |word: &str| {
        let mut end = word.chars().count();
        let mut text = word.to_owned();
        while end > 1 && width(&text) > room {
            end -= 1;
            text = word.chars().take(end).collect::<String>() + "…";
        }
        text
    };
    let fit = |name: &String| match width(name) > room {
        true => name.split_whitespace().map(cut).collect::<Vec<_>>().join("\n"),
        false => name.clone(),
    };
    names.iter().map(|(at, name)| (*at, fit(name))).collect()
}

/// Write names, each of a place and in a colour, where they lie over no line and no other name: beside
/// their places, or with a line to them. One without text keeps its place free.
pub fn place_names(ui: &Ui, frame: Rect, names: Vec<(Pos2, String, Color32)>, lines: &[[Pos2; 2]]) {
    let pair = |at: Pos2| [f64::from(at.x), f64::from(at.y)];
    let at = |[x, y]: [f64; 2]| pos2(x as f32, y as f32);
    let (painter, font) = (ui.painter(), FontId::proportional(theme::SMALL));
    let (mut labels, mut galleys) = (Vec::new(), Vec::new());
    for (dot, text, color) in names {
        let galley = painter.layout_no_wrap(text, font.clone(), color);
        let size = [galley.size().x, galley.size().y].map(f64::from);
        labels.push(Label { dot: pair(dot), size });
        galleys.push((galley, color));
    }
    let lines: Vec<_> = lines.iter().map(|ends| ends.map(pair)).collect();
    let places = place_labels(&labels, &lines, [pair(frame.min), pair(frame.max)]);
    for (place, (galley, color)) in places.into_iter().zip(galleys) {
        if galley.text().is_empty() {
            continue;
        }
        if let Some(line) = place.leader {
            painter.line_segment(line.map(at), Stroke::new(1.0, palette(ui).muted));
        }
        painter.galley(at(place.area[0]), galley, color);
    }
}

/// A tooltip at the pointer, at once: what is pointed at in a plot changes all the time.
pub fn tooltip(response: &Response, text: &str) {
    let (ctx, layer) = (response.ctx.clone(), response.layer_id);
    Tooltip::always_open(ctx, layer, response.id.with("pointed at"), PopupAnchor::Pointer)
        .gap(12.0)
        .show(|ui| ui.label(text));
}

/// A mark drawn at full strength: egui_plot fades marks by how far apart they say they are.
fn mark(value: f64) -> GridMark {
    GridMark { value, step_size: f64::MAX.sqrt() }
}

/// Marks at multiples of 1, 2 or 5 times a power of ten, at least `apart` points apart.
fn round_marks(input: &GridInput, apart: f64) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    // egui_plot's smallest step stands for 8 points on the screen.
    let step = round_up(input.base_step_size / 8.0 * apart);
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last.min(first + 100)).map(|index| mark(index as f64 * step)).collect()
}

/// Marks where a decimal logarithm stands for a round number.
fn log_marks(input: GridInput) -> Vec<GridMark> {
    let (from, to) = input.bounds;
    if to - from < 0.3 {
        return round_marks(&input, 48.0);
    }
    let parts: &[f64] = if to - from > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let decades = (from.floor() as i64)..=(to.ceil() as i64).min(from.floor() as i64 + 40);
    // egui_plot's smallest step stands for 8 points on the screen; a label needs 20.
    let every = (20.0 * input.base_step_size / 8.0).ceil().max(1.0) as usize;
    decades
        .step_by(every)
        .flat_map(|decade| parts.iter().map(move |part| decade as f64 + part.log10()))
        .filter(|at| (from..=to).contains(at))
        .map(mark)
        .collect()
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `value`.
pub fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|part| part * power)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(10.0 * power)
}

fn tick_label(value: f64, span: f64) -> String {
    // Enough places for steps of about a tenth of what is shown.
    let places = (1.0 - (span / 4.0).log10().floor()).clamp(0.0, 8.0) as usize;
    if span >= 8.0 && value >= 1000.0 {
        return format::count(value.round() as u64);
    }
    let text = format!("{value:.*}", if span >= 8.0 { 0 } else { places });
    if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { text }
}

/// The number that a decimal logarithm stands for: as short as `0.001`, `2` and `1,000` where whole
/// decades are shown.
fn log_label(value: f64, span: f64) -> String {
    let number = 10f64.powf(value);
    let decade = (value + 1e-9).floor();
    match (-decade).clamp(0.0, 8.0) as usize {
        places if span >= 0.3 && (-5.0..3.0).contains(&decade) => format!("{number:.places$}"),
        _ => format::number(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(marks: Vec<GridMark>) -> Vec<f64> {
        marks.into_iter().map(|mark| mark.value).collect()
    }

    #[test]
    fn marks_are_round_and_inside() {
        let input = GridInput { bounds: (0.0, 10.0), base_step_size: 10.0 / 400.0 * 8.0 };
        assert_eq!(values(round_marks(&input, 80.0)), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    }

    #[test]
    fn logarithmic_marks_are_round_numbers() {
        let input = GridInput { bounds: (0.0, 1.0), base_step_size: 0.01 };
        let numbers: Vec<_> =
            values(log_marks(input)).iter().map(|at| 10f64.powf(*at).round()).collect();
        assert_eq!(numbers, [1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn labels_of_decades_are_short() {
        let label = |number: f64| log_label(number.log10(), 4.0);
        let shown = [0.0001, 0.001, 0.05, 1.0, 2.0, 500.0, 1000.0, 20_000.0].map(label);
        assert_eq!(shown, ["0.0001", "0.001", "0.05", "1", "2", "500", "1,000", "20,000"]);
        assert_eq!(log_label(4.35f64.log10(), 0.1), "4.35");
    }

    #[test]
    fn labels_have_the_places_their_steps_need() {
        assert_eq!(tick_label(0.05, 0.2), "0.050");
        assert_eq!(tick_label(7.8, 2.4), "7.80");
        assert_eq!(tick_label(4.0, 10.0), "4");
        assert_eq!(tick_label(40_000.0, 90_000.0), "40,000");
    }
}
