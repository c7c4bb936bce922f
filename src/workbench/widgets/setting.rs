//! One row for any setting of the registry, so that ranges, units and help are written once.

use eframe::egui::{self, ComboBox, Layout, Response, RichText, TextEdit, Ui};

use super::slider::{Range, Scale, slider_row};
use super::switch;
use crate::settings::{Config, Kind, Setting, Value};
use crate::workbench::theme::{self, UNIT, palette};

/// Ranges wider than this are typed, not slid.
const WIDEST_SLIDER: f64 = 1e6;

/// Label and control of the setting `key`. Returns whether it changed.
pub fn setting_row(ui: &mut Ui, config: &mut Config, key: &str) -> bool {
    // The keys are literals of this crate; a wrong one shows itself at once.
    let (setting, value) = match (Config::describe(key), config.get(key)) {
        (Ok(setting), Ok(value)) => (setting, value),
        (Err(error), _) | (_, Err(error)) => {
            ui.colored_label(palette(ui).error, error.to_string());
            return false;
        }
    };
    let help = help(&setting);
    let edited = match (&setting.kind, value) {
        (Kind::Integer { min, max, logarithmic }, Value::Integer(value)) => {
            let range = range(*min as f64, *max as f64, *logarithmic, true, setting.unit);
            number(ui, &setting, value as f64, range, &help)
                .map(|value| Value::Integer(value.round() as i64))
        }
        (Kind::Number { min, max, logarithmic }, Value::Number(value)) => {
            let range = range(*min, *max, *logarithmic, false, setting.unit);
            number(ui, &setting, value, range, &help).map(Value::Number)
        }
        (Kind::Switch, Value::Switch(mut on)) => {
            row(ui, setting.label, &help, |ui| switch(ui, &mut on, setting.label).changed())
                .then_some(Value::Switch(on))
        }
        (Kind::Choice(words), Value::Text(mut word)) => {
            let labels: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            choice_row(ui, setting.label, &help, &labels, &mut word).then_some(Value::Text(word))
        }
        (Kind::Text, Value::Text(mut text)) => row(ui, setting.label, &help, |ui| {
            text_field(ui, setting.label, &mut text, 28.0 * UNIT).changed()
        })
        .then_some(Value::Text(text)),
        // `get` returns the kind that `describe` names.
        _ => None,
    };
    // Sliders keep to the range they were given, so that a refusal means an unchanged value.
    edited.is_some_and(|value| config.set(key, value).is_ok())
}

/// Label and a field for a whole number that names something, such as a port: no slider, and no
/// comma between thousands. Returns whether it changed.
pub fn number_field_row(ui: &mut Ui, config: &mut Config, key: &str) -> bool {
    let (Ok(setting), Ok(Value::Integer(value))) = (Config::describe(key), config.get(key)) else {
        ui.colored_label(palette(ui).error, format!("{key} is no whole number"));
        return false;
    };
    let help = help(&setting);
    // What is typed stays as it is until it is left: half a number is another one.
    let draft = ui.scope_id().with(("draft of", key));
    let begun: Option<String> = ui.data(|data| data.get_temp(draft));
    let mut text = begun.unwrap_or_else(|| value.to_string());
    let field =
        row(ui, setting.label, &help, |ui| text_field(ui, setting.label, &mut text, 16.0 * UNIT));
    let parsed = text.trim().parse().ok();
    let mut changed = false;
    if field.changed() {
        changed = parsed.is_some_and(|number| config.set(key, Value::Integer(number)).is_ok());
    }
    if field.has_focus() {
        ui.data_mut(|data| data.insert_temp(draft, text));
        let now = config.get(key).ok();
        if let (Kind::Integer { min, max, .. }, true) =
            (&setting.kind, parsed.map(Value::Integer) != now)
        {
            let range = format!("A whole number from {min} to {max}; it is {value} still.");
            ui.label(RichText::new(range).small().color(palette(ui).error));
        }
    } else {
        ui.data_mut(|data| data.remove_temp::<String>(draft));
    }
    changed
}

fn help(setting: &Setting) -> String {
    let default = Config::default().get(setting.key).map(|value| value.to_string());
    format!("{}\n{} · default {}", setting.help, setting.key, default.unwrap_or_default())
}

fn range(min: f64, max: f64, logarithmic: bool, integer: bool, unit: &str) -> Range<'_> {
    let scale = match () {
        () if logarithmic => Scale::Logarithmic,
        () if max - min >= 100.0 => Scale::Cubic,
        () => Scale::Linear,
    };
    Range { min, max, scale, integer, unit }
}

fn number(
    ui: &mut Ui,
    setting: &Setting,
    mut value: f64,
    range: Range<'_>,
    help: &str,
) -> Option<f64> {
    if range.max - range.min <= WIDEST_SLIDER {
        return slider_row(ui, setting.label, &mut value, range, help).then_some(value);
    }
    row(ui, setting.label, help, |ui| {
        let field = egui::DragValue::new(&mut value)
            .range(range.min..=range.max)
            .max_decimals(0)
            .update_while_editing(false);
        ui.add(field).accessible_name(setting.label).changed()
    })
    .then_some(value)
}

/// A label at the left and a control at the right.
pub fn row<R>(ui: &mut Ui, label: &str, help: &str, control: impl FnOnce(&mut Ui) -> R) -> R {
    let palette = palette(ui);
    ui.horizontal(|ui| {
        let text = RichText::new(label).color(palette.text);
        let response = ui.add(egui::Label::new(text).sense(egui::Sense::hover()));
        if !help.is_empty() {
            response.on_hover_text(help);
        }
        ui.with_layout(Layout::right_to_left(egui::Align::Center), control).inner
    })
    .inner
}

/// A label and a combobox over `words`. Returns whether the choice changed.
pub fn choice_row(
    ui: &mut Ui,
    label: &str,
    help: &str,
    words: &[String],
    chosen: &mut String,
) -> bool {
    row(ui, label, help, |ui| {
        let mut changed = false;
        combo(ui, label, &chosen.clone(), |ui| {
            for word in words {
                changed |= ui.selectable_value(chosen, word.clone(), word.as_str()).changed();
            }
        });
        changed
    })
}

/// A combobox named `name` that shows `selected`.
pub fn combo(ui: &mut Ui, name: &str, selected: &str, menu: impl FnOnce(&mut Ui)) -> Response {
    let text = RichText::new(selected).color(palette(ui).strong);
    let selected = selected.to_owned();
    let response = ComboBox::from_id_salt(name)
        .selected_text(text)
        .width(0.0)
        .icon(|ui, rect, visuals, _| chevron(ui, rect, visuals.fg_stroke.color))
        .height(90.0 * UNIT)
        .show_ui(ui, |ui| {
            ui.set_min_width(30.0 * UNIT);
            menu(ui);
        })
        .response;
    response.widget_info(|| egui::WidgetInfo {
        label: Some(name.to_owned()),
        current_text_value: Some(selected.clone()),
        ..egui::WidgetInfo::new(egui::Role::ComboBox)
    });
    response
}

fn chevron(ui: &Ui, rect: egui::Rect, color: egui::Color32) {
    let (center, half) = (rect.center(), 0.9 * UNIT);
    let points = [(-half, -half / 2.0), (0.0, half / 2.0), (half, -half / 2.0)]
        .map(|(x, y)| center + egui::vec2(x, y));
    ui.painter().line(points.to_vec(), egui::Stroke::new(1.5, color.gamma_multiply(0.8)));
}

/// A single-line text field named `name`.
pub fn text_field(ui: &mut Ui, name: &str, text: &mut String, width: f32) -> Response {
    let field = TextEdit::singleline(text)
        .desired_width(width)
        .margin(egui::Margin::symmetric(8, 6))
        .font(egui::FontId::proportional(theme::BODY));
    ui.add(field).accessible_name(name)
}
