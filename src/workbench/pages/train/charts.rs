//! The curves of a training: the bar above them, the loss and the quality on the validation queries.

use eframe::egui::{self, RichText, Ui};

use crate::workbench::charts::curves::{Along, Curve};
use crate::workbench::charts::lines::{Labels, LineChart, LineOptions, Series};
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Scale, SliderRange, card, columns, empty_state, icon_button, pill, split_rows, value_slider,
};

/// Width of what stands at the right of the chart bar, about.
const CONTROLS: f32 = 520.0;

/// The two charts and the x that is pointed at in either.
#[derive(Debug, Default)]
pub struct Charts {
    loss: LineChart,
    quality: LineChart,
    cursor: Option<f64>,
}

impl Charts {
    /// Draw the chart bar and both charts over the place. `end` is how far x is known to go.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        loss: &mut [Series],
        quality: &mut [Series],
        options: &mut LineOptions,
        end: Option<f64>,
    ) {
        // Many models, or a small window, leave no room for legend and controls side by side.
        let place = ui.available_rect_before_wrap();
        let wanted = legend_width(ui, loss);
        let rows = match wanted {
            0.0 => 0.0,
            _ if wanted + CONTROLS < place.width() => 0.0,
            _ => (wanted / (place.width() - 4.0 * UNIT)).ceil(),
        };
        let (bar, plots) = split_rows(place, 46.0 + 36.0 * rows);
        card(ui, bar, "chart bar", None, |ui| {
            if rows > 0.0 {
                ui.horizontal_wrapped(|ui| legend(ui, loss, quality, options));
                ui.horizontal(|ui| self.controls(ui, options));
            } else {
                ui.horizontal_centered(|ui| {
                    legend(ui, loss, quality, options);
                    self.controls(ui, options);
                });
            }
        });
        let [left, right] = columns::<2>(plots);
        // A pointer over one chart moves the line in both; over none there is no line.
        let pointer = ui.input(|input| input.pointer.hover_pos());
        if !pointer.is_some_and(|at| left.contains(at) || right.contains(at)) {
            self.cursor = None;
        }
        if nothing_in(loss) {
            for (place, title) in [(left, "Training loss"), (right, "Validation NDCG@10")] {
                card(ui, place, title, Some(title), |ui| {
                    let hint = "One line a model, drawn live; a band shows 95 % over seeds.";
                    empty_state(ui, "No curve yet", hint, |_| {});
                });
            }
            return;
        }
        card(ui, left, "loss", None, |ui| {
            let labels = Labels { name: "Training loss", y: "training loss (nats)" };
            self.loss.show(ui, labels, loss, *options, end, &mut self.cursor);
        });
        if nothing_in(quality) {
            card(ui, right, "quality", Some("Validation NDCG@10"), |ui| {
                empty_state(ui, "No value yet", "One at the end of every epoch.", |_| {});
            });
            return;
        }
        card(ui, right, "quality", None, |ui| {
            // One value an epoch: smoothing would only hide it.
            let options = LineOptions { smoothing: 0.0, log_y: false, ..*options };
            let labels = Labels { name: "Validation NDCG@10", y: "validation NDCG@10" };
            self.quality.show(ui, labels, quality, options, end, &mut self.cursor);
        });
    }

    /// Back to the whole of both charts.
    pub fn reset_zoom(&mut self) {
        self.loss.reset_zoom();
        self.quality.reset_zoom();
    }

    fn controls(&mut self, ui: &mut Ui, options: &mut LineOptions) {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if pill(ui, "log y", options.log_y, None, "Logarithmic loss").clicked() {
                options.log_y = !options.log_y;
            }
            let figures = RichText::new(format!("{:.2}", options.smoothing));
            ui.label(figures.monospace().color(palette(ui).strong));
            let range =
                SliderRange { min: 0.0, max: 0.99, scale: Scale::Linear, integer: false, unit: "" };
            let size = egui::vec2(26.0 * UNIT, 20.0);
            let layout = egui::Layout::left_to_right(egui::Align::Center);
            ui.allocate_ui_with_layout(size, layout, |ui| {
                let help = "Share of the past that an average keeps; 0 shows every value";
                value_slider(ui, "Smoothing", &mut options.smoothing, range).on_hover_text(help);
            });
            ui.label(RichText::new("smoothing").color(palette(ui).muted));
            ui.add_space(2.0 * UNIT);
            for (along, text) in
                [(Along::Clock, "time"), (Along::Epoch, "epoch"), (Along::Step, "step")]
            {
                if pill(ui, text, options.along == along, None, "What lies along x").clicked() {
                    options.along = along;
                    self.reset_zoom();
                }
            }
            ui.label(RichText::new("x").color(palette(ui).muted));
            if self.loss.is_zoomed() || self.quality.is_zoomed() {
                ui.add_space(2.0 * UNIT);
                if icon_button(ui, "↺", "Show everything").clicked() {
                    self.reset_zoom();
                }
            }
        });
    }
}

fn nothing_in(series: &[Series]) -> bool {
    series.iter().all(|series| series.curves.iter().all(Curve::is_empty))
}

/// Width of the legend in one row, about; 0 where it is empty.
fn legend_width(ui: &Ui, loss: &[Series]) -> f32 {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let width = |text: &str| {
        let text = text.to_owned();
        ui.painter().layout_no_wrap(text, font.clone(), egui::Color32::WHITE).size().x
    };
    // A pill has room at both ends, a dot, and a space to the next.
    let names: f32 = loss.iter().map(|series| width(&series.name) + 13.0 * UNIT).sum();
    let seeds = loss.iter().any(|series| series.curves.len() > 1);
    names + if seeds { width("mean ± 95 % over 20 seeds") + 10.0 * UNIT } else { 0.0 }
}

fn legend(ui: &mut Ui, loss: &mut [Series], quality: &mut [Series], options: &mut LineOptions) {
    let names: Vec<_> =
        loss.iter().map(|series| (series.name.clone(), series.color, series.hidden)).collect();
    for (index, (name, color, hidden)) in names.iter().enumerate() {
        let help = "Click to hide or show, Alt-click to show alone";
        let pill = pill(ui, name, !hidden, Some(*color), help);
        if pill.accessible_name(format!("Show {name}")).clicked() {
            let alone = ui.input(|input| input.modifiers.alt);
            for group in [&mut *loss, &mut *quality] {
                toggle(group, index, alone);
            }
        }
    }
    let seeds = loss.iter().map(|series| series.curves.len()).max().unwrap_or(0);
    if seeds > 1 {
        ui.add_space(UNIT);
        let text = if options.every_seed {
            format!("{seeds} seeds, one by one")
        } else {
            format!("mean ± 95 % over {seeds} seeds")
        };
        if pill(ui, &text, false, None, "Switch between mean and every seed").clicked() {
            options.every_seed = !options.every_seed;
        }
    }
}

/// Hide or show one series; `alone` hides all others, or shows all where it was alone already.
fn toggle(series: &mut [Series], index: usize, alone: bool) {
    if !alone {
        if let Some(series) = series.get_mut(index) {
            series.hidden = !series.hidden;
        }
        return;
    }
    let was_alone = series.iter().enumerate().all(|(at, series)| series.hidden != (at == index));
    for (at, series) in series.iter_mut().enumerate() {
        series.hidden = !was_alone && at != index;
    }
}
