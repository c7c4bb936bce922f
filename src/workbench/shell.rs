//! What surrounds a page: the rail of pages at the left and the status bar below.

use eframe::egui::{
    self, Align, Align2, Color32, CornerRadius, FontId, Frame, Layout, Margin, Panel, RichText,
    Role, Sense, Stroke, StrokeKind, ThemePreference, Ui, WidgetInfo, vec2,
};

use super::background::Running;
use super::commands::{Command, PageId};
use super::format;
use super::session::Session;
use super::theme::{self, UNIT, palette};
use super::widgets::{icon_button, progress_bar};

/// The rail: name, pages, theme.
pub fn rail(ui: &mut Ui, session: &mut Session) {
    let current = session.kept.page;
    let palette = palette(ui);
    let frame = Frame::NONE.fill(palette.rail).inner_margin(Margin::symmetric(10, 16));
    Panel::left("rail").exact_size(164.0).resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.add_space(2.0 * UNIT);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = UNIT / 2.0;
                ui.label(RichText::new("DeepM3").font(theme::semibold(15.0)).color(palette.strong));
                ui.label(RichText::new("Workbench").small().color(palette.muted));
            });
        });
        ui.add_space(4.0 * UNIT);
        ui.spacing_mut().item_spacing.y = 0.5 * UNIT;
        for page in PageId::ALL {
            if rail_button(ui, page.title(), page.number(), page == current) {
                session.ask(Command::Go(page));
            }
        }
        ui.with_layout(Layout::bottom_up(Align::Min), |ui| theme_switch(ui, session));
    });
}

fn rail_button(ui: &mut Ui, title: &str, number: usize, selected: bool) -> bool {
    let palette = palette(ui);
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), 8.0 * UNIT), Sense::click());
    let fill = match (selected, response.hovered() || response.has_focus()) {
        (true, _) => palette.selected,
        (false, true) => palette.control,
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, CornerRadius::same(theme::CONTROL_RADIUS), fill);
    let color = if selected { palette.strong } else { palette.text };
    let inner = rect.shrink2(vec2(2.5 * UNIT, 0.0));
    let font =
        if selected { theme::semibold(theme::BODY) } else { FontId::proportional(theme::BODY) };
    ui.painter().text(inner.left_center(), Align2::LEFT_CENTER, title, font, color);
    let number_font = FontId::proportional(11.0);
    let number = number.to_string();
    ui.painter().text(
        inner.right_center(),
        Align2::RIGHT_CENTER,
        &number,
        number_font,
        palette.muted,
    );
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, title));
    response.on_hover_text(format!("{title} ({number})")).clicked()
}

fn theme_switch(ui: &mut Ui, session: &mut Session) {
    let palette = palette(ui);
    let themes = [
        (ThemePreference::Dark, "Dark"),
        (ThemePreference::Light, "Light"),
        (ThemePreference::System, "Auto"),
    ];
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 7.0 * UNIT), Sense::hover());
    ui.painter().rect_filled(rect, CornerRadius::same(theme::CONTROL_RADIUS), palette.track);
    let width = rect.width() / themes.len() as f32;
    for (index, (preference, label)) in themes.into_iter().enumerate() {
        let left = rect.left() + index as f32 * width;
        let part =
            egui::Rect::from_min_size(egui::pos2(left, rect.top()), vec2(width, rect.height()));
        let response = ui.interact(part, ui.scope_id().with(label), Sense::click());
        let selected = session.kept.theme == preference;
        if selected {
            let radius = CornerRadius::same(theme::CONTROL_RADIUS - 1);
            ui.painter().rect_filled(part.shrink(2.0), radius, palette.card);
        }
        if response.has_focus() {
            let radius = CornerRadius::same(theme::CONTROL_RADIUS - 1);
            let ring = Stroke::new(1.5, palette.accent);
            ui.painter().rect_stroke(part.shrink(2.0), radius, ring, StrokeKind::Inside);
        }
        let color = if selected || response.hovered() { palette.strong } else { palette.muted };
        let font = FontId::proportional(theme::SMALL);
        ui.painter().text(part.center(), Align2::CENTER_CENTER, label, font, color);
        response.widget_info(|| {
            WidgetInfo::selected(Role::RadioButton, true, selected, format!("{label} theme"))
        });
        let help = match preference {
            ThemePreference::System => "As the operating system",
            ThemePreference::Dark => "Dark theme",
            ThemePreference::Light => "Light theme",
        };
        if response.on_hover_text(help).clicked() {
            session.ask(Command::Theme(preference));
        }
    }
}

/// The bar below: device, running work, data set, palette.
pub fn status_bar(ui: &mut Ui, session: &mut Session, running: Option<&(Running, Command)>) {
    let palette = palette(ui);
    let frame = Frame::NONE
        .fill(palette.rail)
        .stroke(Stroke::new(1.0, palette.line))
        .inner_margin(Margin::symmetric(14, 0));
    Panel::bottom("status").exact_size(30.0).resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = 1.5 * UNIT;
            quiet(ui, "Device");
            let label = session.device_label();
            ui.label(RichText::new(label).small().color(palette.strong));
            ui.add_space(4.0 * UNIT);
            match running {
                Some((running, stop)) => running_ui(ui, session, running, stop),
                None => quiet(ui, "No job running"),
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let shortcut = super::commands::tooltip(ui.ctx(), &Command::Palette, "");
                let keys = shortcut.trim_matches(|c| matches!(c, ' ' | '(' | ')')).to_owned();
                let text = RichText::new(keys).small().color(palette.muted);
                let button = egui::Button::new(text).fill(Color32::TRANSPARENT);
                let button = ui.add(button).accessible_name("Command palette");
                if button.on_hover_text("Every command").clicked() {
                    session.ask(Command::Palette);
                }
                ui.add_space(2.0 * UNIT);
                if let Some(address) = &session.api {
                    ui.label(RichText::new(address).small().color(palette.good));
                    quiet(ui, "API");
                    ui.add_space(2.0 * UNIT);
                }
                match &session.loaded {
                    Some(loaded) => {
                        quiet(ui, "users");
                        let users = format::count(loaded.data.users() as u64);
                        ui.label(RichText::new(users).small().color(palette.strong));
                        quiet(ui, &format!("{} ·", loaded.data.name));
                    }
                    None => quiet(ui, "No data loaded"),
                }
            });
        });
    });
}

fn running_ui(ui: &mut Ui, session: &mut Session, running: &Running, stop: &Command) {
    let palette = palette(ui);
    let text = if running.progress.message.is_empty() || running.progress.message == running.name {
        running.name.clone()
    } else {
        format!("{} · {}", running.name, running.progress.message)
    };
    let room = (ui.available_width() - 560.0).clamp(120.0, 420.0);
    let job = egui::text::LayoutJob::simple_singleline(
        text,
        FontId::proportional(theme::SMALL),
        palette.text,
    );
    let job =
        egui::text::LayoutJob { wrap: egui::text::TextWrapping::truncate_at_width(room), ..job };
    ui.label(ui.painter().layout_job(job));
    progress_bar(ui, 180.0, running.progress.fraction, "Progress of the running job");
    let left = match running.progress.fraction {
        _ if running.paused => "paused".to_owned(),
        Some(done) if done > 0.01 && running.seconds > 1.0 => {
            let left = running.seconds * f64::from((1.0 - done) / done);
            format!("{} left", format::duration(left.round()))
        }
        _ => String::new(),
    };
    quiet(ui, &left);
    if icon_button(ui, "×", "Stop this job").clicked() {
        session.ask(stop.clone());
    }
}

fn quiet(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().color(palette(ui).muted));
}
