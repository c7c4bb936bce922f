//! A labelled slider: label left, value right in tabular figures, track below.

use eframe::egui::{
    self, DragValue, Key, Layout, Modifiers, Response, RichText, Role, Sense, Ui, WidgetInfo,
    accesskit, vec2,
};

use crate::workbench::theme::{UNIT, palette};

/// How a position on the track becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Equal ratios take equal lengths; the range must be above 0.
    Logarithmic,
    /// Fine near the lower end, for wide ranges from 0.
    Cubic,
}

/// What a slider needs to know of its value.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    pub min: f64,
    pub max: f64,
    pub scale: Scale,
    pub integer: bool,
    pub unit: &'a str,
}

impl Range<'_> {
    fn value_at(&self, t: f64) -> f64 {
        let t = t.clamp(0.0, 1.0);
        let span = self.max - self.min;
        let raw = match self.scale {
            Scale::Linear => self.min + span * t,
            Scale::Logarithmic => self.min * (self.max / self.min).powf(t),
            Scale::Cubic => self.min + span * t.powi(3),
        };
        self.snap(raw)
    }

    fn position_of(&self, value: f64) -> f64 {
        let share = (value - self.min) / (self.max - self.min);
        let t = match self.scale {
            Scale::Linear => share,
            Scale::Logarithmic => (value / self.min).ln() / (self.max / self.min).ln(),
            Scale::Cubic => share.max(0.0).cbrt(),
        };
        t.clamp(0.0, 1.0)
    }

    /// Values a person would write: whole numbers, or two figures of the range.
    fn snap(&self, value: f64) -> f64 {
        if value <= self.min || value >= self.max {
            return value.clamp(self.min, self.max);
        }
        // A range of exactly 1 is cut into hundredths, as one of 0.9 is.
        let span = 0.999 * (self.max - self.min);
        let figures = if self.scale == Scale::Linear { span } else { value.abs() };
        let mut step = 10f64.powf(figures.max(1e-12).log10().floor() - 1.0);
        if self.integer {
            step = if value < 100.0 { 1.0 } else { step.max(1.0) };
        }
        // Dividing by the inverse keeps 0.35 at 0.35, where multiplying by 0.01 would not.
        let snapped = if step < 1.0 {
            let inverse = (1.0 / step).round();
            (value * inverse).round() / inverse
        } else {
            (value / step).round() * step
        };
        snapped.clamp(self.min, self.max)
    }

    fn text(&self, value: f64) -> String {
        if self.integer {
            crate::workbench::format::count(value.max(0.0) as u64)
        } else if value != 0.0 && value.abs() < 0.01 {
            format!("{value:.1e}")
        } else {
            // Three figures where two places would round them away: 0.015.
            let places = if value != 0.0 && value.abs() < 0.1 { 3 } else { 2 };
            format!("{value:.places$}")
        }
    }
}

/// Label, value and track under each other. The slider is named `label`, the field to type into
/// `label` and ` value`. Returns whether the value changed.
pub fn slider_row(ui: &mut Ui, label: &str, value: &mut f64, range: Range<'_>, help: &str) -> bool {
    let palette = palette(ui);
    let before = *value;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().interact_size.y = 5.0 * UNIT;
        ui.horizontal(|ui| {
            let text = RichText::new(label).color(palette.text);
            let label_response = ui.add(egui::Label::new(text).sense(Sense::hover()));
            tooltip(label_response, help);
            ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
                value_field(ui, label, value, range);
            });
        });
        tooltip(value_slider(ui, label, value, range), help);
    });
    *value != before
}

fn tooltip(response: Response, help: &str) {
    if !help.is_empty() {
        response.on_hover_text(help);
    }
}

/// A typed number, with or without commas between thousands; `nan` is none.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().replace([',', ' '], "").parse().ok()?;
    number.is_finite().then_some(number)
}

fn value_field(ui: &mut Ui, label: &str, value: &mut f64, range: Range<'_>) {
    let palette = palette(ui);
    let unit = if range.unit.is_empty() { String::new() } else { format!(" {}", range.unit) };
    ui.spacing_mut().button_padding = vec2(UNIT, 0.0);
    ui.visuals_mut().widgets.inactive.weak_bg_fill = egui::Color32::TRANSPARENT;
    ui.visuals_mut().widgets.inactive.fg_stroke.color = palette.strong;
    let mut edited = *value;
    let speed = if range.integer { 0.2 } else { (edited.abs() * 0.01).max(1e-9) };
    let drag = DragValue::new(&mut edited)
        .range(range.min..=range.max)
        .speed(speed)
        .update_while_editing(false)
        .custom_formatter(|value, _| range.text(value))
        .custom_parser(number)
        .suffix(unit);
    let response = ui.add(drag).accessible_name(format!("{label} value"));
    if response.changed() {
        *value = if range.integer { edited.round() } else { edited };
    }
    response.on_hover_text("Click to type, drag to change");
}

/// The track alone, over the width that is left.
pub fn value_slider(ui: &mut Ui, label: &str, value: &mut f64, range: Range<'_>) -> Response {
    let palette = palette(ui);
    let size = vec2(ui.available_width(), 4.0 * UNIT);
    let (rect, mut response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let radius = 1.75 * UNIT;
    let track = rect.shrink2(vec2(radius, 0.0));
    let before = *value;

    if let Some(pointer) = response.interact_pointer_pos() {
        let t = (pointer.x - track.left()) / track.width().max(1.0);
        *value = range.value_at(f64::from(t));
    }
    let steps = keyboard_steps(ui, &response);
    if steps != 0.0 {
        let moved = range.value_at(range.position_of(*value) + 0.01 * steps);
        *value = if moved == *value && range.integer {
            (moved + steps.signum()).clamp(range.min, range.max)
        } else {
            moved
        };
    }
    let asked = ui.input(|input| {
        input
            .accesskit_action_requests(response.id, accesskit::Action::SetValue)
            .filter_map(|request| match request.data {
                Some(accesskit::ActionData::NumericValue(value)) => Some(value),
                _ => None,
            })
            .last()
    });
    if let Some(asked) = asked {
        let asked = asked.clamp(range.min, range.max);
        *value = if range.integer { asked.round() } else { asked };
    }
    if *value != before {
        response.mark_changed();
    }

    let enabled = response.enabled();
    let shown = *value;
    response.widget_info(|| WidgetInfo {
        label: Some(label.to_owned()),
        value: Some(shown),
        enabled,
        ..WidgetInfo::new(Role::Slider)
    });
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_min_numeric_value(range.min);
        node.set_max_numeric_value(range.max);
        node.add_action(accesskit::Action::SetValue);
    });

    let x = track.left() + track.width() * range.position_of(*value) as f32;
    let y = rect.center().y;
    let bar = |from: f32, to: f32| {
        egui::Rect::from_min_max(egui::pos2(from, y - 2.0), egui::pos2(to, y + 2.0))
    };
    let painter = ui.painter();
    painter.rect_filled(bar(rect.left(), rect.right()), 2.0, palette.track);
    let fill = if enabled { palette.accent } else { palette.muted };
    painter.rect_filled(bar(rect.left(), x), 2.0, fill);
    let grown = if response.hovered() || response.dragged() { 0.75 } else { 0.0 };
    let center = egui::pos2(x, y);
    let ring = if response.has_focus() { palette.accent } else { palette.muted };
    painter.circle(center, radius - 0.5 + grown, palette.knob, egui::Stroke::new(1.0, ring));
    response
}

fn keyboard_steps(ui: &Ui, response: &Response) -> f64 {
    if !response.has_focus() {
        return 0.0;
    }
    ui.memory_mut(|memory| {
        let filter = egui::EventFilter { horizontal_arrows: true, ..Default::default() };
        memory.set_focus_lock_filter(response.id, filter);
    });
    ui.input_mut(|input| {
        let up = input.count_and_consume_key(Modifiers::NONE, Key::ArrowRight);
        let down = input.count_and_consume_key(Modifiers::NONE, Key::ArrowLeft);
        up as f64 - down as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: f64, max: f64, scale: Scale, integer: bool) -> Range<'static> {
        Range { min, max, scale, integer, unit: "" }
    }

    #[test]
    fn both_ends_of_every_scale_are_reached() {
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Cubic] {
            let range = range(1.0, 1000.0, scale, true);
            assert_eq!(range.value_at(0.0), 1.0);
            assert_eq!(range.value_at(1.0), 1000.0);
        }
    }

    #[test]
    fn a_value_stays_where_its_knob_is() {
        for (range, value) in [
            (range(1e-6, 1.0, Scale::Logarithmic, false), 1e-3),
            (range(0.0, 0.9, Scale::Linear, false), 0.35),
            (range(4.0, 1024.0, Scale::Logarithmic, true), 96.0),
            (range(0.0, 1000.0, Scale::Cubic, false), 1.0),
        ] {
            let back = range.value_at(range.position_of(value));
            assert!((back - value).abs() < 1e-9, "{value} became {back}");
        }
    }
}
