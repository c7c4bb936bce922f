//! Buttons, pills and switches.

use eframe::egui::{
    self, Button, Color32, CornerRadius, Response, RichText, Role, Sense, Stroke, StrokeKind, Ui,
    Vec2, WidgetInfo, vec2,
};

use crate::workbench::theme::{self, CONTROL_HEIGHT, UNIT, palette};

/// What a secondary button does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    /// Takes something away.
    Danger,
}

/// The one main action of a page.
pub fn primary(ui: &mut Ui, label: &str, enabled: bool, tooltip: &str) -> Response {
    let palette = palette(ui);
    ui.scope(|ui| {
        let widgets = &mut ui.visuals_mut().widgets;
        widgets.inactive.weak_bg_fill = palette.primary;
        widgets.hovered.weak_bg_fill = palette.primary_hover;
        widgets.active.weak_bg_fill = palette.primary_hover;
        let text = RichText::new(label).color(Color32::WHITE).font(theme::semibold(theme::BODY));
        let response = ui.add_enabled(enabled, Button::new(text).min_size(min_size()));
        named(response, label, tooltip)
    })
    .inner
}

/// Any other action.
pub fn button(ui: &mut Ui, label: &str, tone: Tone, enabled: bool, tooltip: &str) -> Response {
    let text = match tone {
        Tone::Plain => RichText::new(label).color(palette(ui).strong),
        Tone::Danger => RichText::new(label).color(palette(ui).error),
    };
    let response = ui.add_enabled(enabled, Button::new(text).min_size(min_size()));
    named(response, label, tooltip)
}

/// A line of a list: `label` at the left, a quiet `detail` at the right.
pub fn list_row(ui: &mut Ui, label: &str, detail: &str, selected: bool, tooltip: &str) -> Response {
    let palette = palette(ui);
    let size = vec2(ui.available_width(), CONTROL_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = match (selected, response.hovered() || response.has_focus()) {
        (true, _) => palette.selected,
        (false, true) => palette.control,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, CornerRadius::same(theme::CONTROL_RADIUS), fill);
    let color = if selected { palette.strong } else { palette.text };
    let mut inner = rect.shrink2(vec2(2.0 * UNIT, 0.0));
    let centred = |galley: &egui::Galley| inner.center().y - galley.size().y / 2.0;
    if !detail.is_empty() {
        let font = egui::TextStyle::Small.resolve(ui.style());
        let galley = ui.painter().layout_no_wrap(detail.to_owned(), font, palette.muted);
        let at = egui::pos2(inner.right() - galley.size().x, centred(&galley));
        inner.max.x = at.x - 2.0 * UNIT;
        ui.painter().galley(at, galley, palette.muted);
    }
    let font = egui::FontId::proportional(theme::BODY);
    let mut job = egui::text::LayoutJob::simple_singleline(label.to_owned(), font, color);
    job.wrap = egui::text::TextWrapping::truncate_at_width(inner.width());
    let galley = ui.painter().layout_job(job);
    let at = egui::pos2(inner.left(), inner.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, color);
    let enabled = response.enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, selected, label));
    if tooltip.is_empty() { response } else { response.on_hover_text(tooltip) }
}

/// A small square button that shows one sign; `name` is its accessible name and tooltip.
pub fn icon_button(ui: &mut Ui, sign: &str, name: &str) -> Response {
    let palette = palette(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(6.0 * UNIT), Sense::click());
    if response.hovered() || response.has_focus() {
        let radius = CornerRadius::same(theme::CONTROL_RADIUS);
        ui.painter().rect_filled(rect, radius, palette.control_hover);
    }
    let color = if response.hovered() { palette.strong } else { palette.muted };
    let font = egui::FontId::proportional(theme::BODY);
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, sign, font, color);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    response.on_hover_text(name)
}

/// A rounded on/off choice, with a dot in `color` where it stands for a series.
pub fn pill(ui: &mut Ui, label: &str, on: bool, color: Option<Color32>, tooltip: &str) -> Response {
    let palette = palette(ui);
    let dot = if color.is_some() { 4.0 * UNIT } else { 0.0 };
    let text_color = if on { palette.strong } else { palette.muted };
    let font = egui::FontId::proportional(12.5);
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, text_color);
    let size = vec2(galley.size().x + dot + 5.0 * UNIT, 6.0 * UNIT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let fill = match (on, response.hovered()) {
        (true, _) => palette.selected,
        (false, true) => palette.control_hover,
        (false, false) => palette.control,
    };
    let radius = CornerRadius::same(12);
    ui.painter().rect_filled(rect, radius, fill);
    if response.has_focus() {
        let stroke = Stroke::new(1.0, palette.accent);
        ui.painter().rect_stroke(rect, radius, stroke, StrokeKind::Inside);
    }
    let mut x = rect.left() + 2.5 * UNIT;
    if let Some(color) = color {
        let center = egui::pos2(x + UNIT, rect.center().y);
        if on {
            ui.painter().circle_filled(center, UNIT, color);
        } else {
            ui.painter().circle_stroke(center, UNIT - 0.75, Stroke::new(1.5, color));
        }
        x += dot;
    }
    let at = egui::pos2(x, rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, text_color);
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, label));
    if tooltip.is_empty() { response } else { response.on_hover_text(tooltip) }
}

/// An on/off switch named `label`; the caller shows the label.
pub fn switch(ui: &mut Ui, on: &mut bool, label: &str) -> Response {
    let palette = palette(ui);
    let size = vec2(8.0 * UNIT, 4.5 * UNIT);
    let (rect, mut response) = ui.allocate_exact_size(size, Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    let how_on = ui.ctx().animate_bool_responsive(response.id, *on);
    let fill = if *on { palette.primary } else { palette.track };
    let radius = rect.height() / 2.0;
    ui.painter().rect_filled(rect, radius, fill);
    if response.has_focus() {
        let stroke = Stroke::new(1.0, palette.accent);
        ui.painter().rect_stroke(rect, radius, stroke, StrokeKind::Outside);
    }
    let x = egui::lerp((rect.left() + radius)..=(rect.right() - radius), how_on);
    ui.painter().circle_filled(egui::pos2(x, rect.center().y), radius - 2.5, palette.knob);
    let value = *on;
    response.widget_info(|| WidgetInfo::selected(Role::Switch, true, value, label));
    response
}

fn min_size() -> Vec2 {
    vec2(0.0, CONTROL_HEIGHT + UNIT / 2.0)
}

fn named(response: Response, label: &str, tooltip: &str) -> Response {
    let enabled = response.enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, label));
    if tooltip.is_empty() {
        response
    } else {
        response.on_hover_text(tooltip).on_disabled_hover_text(tooltip)
    }
}
