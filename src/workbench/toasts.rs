//! Short messages at the lower right: results, errors, and the way back from a delete.

use std::time::{Duration, Instant};

use eframe::egui::{
    self, Align2, Area, Color32, CornerRadius, Frame, Id, Margin, Order, RichText, Stroke, vec2,
};

use super::commands::Command;
use super::theme::{CARD_RADIUS, UNIT, palette};
use super::widgets::icon_button;

/// What a toast is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Done,
    Error,
    Info,
}

#[derive(Debug)]
struct Toast {
    id: u64,
    kind: Kind,
    text: String,
    action: Option<(&'static str, Command)>,
    until: Instant,
}

/// The toasts on screen, newest below.
#[derive(Debug, Default)]
pub struct Toasts {
    shown: Vec<Toast>,
    next_id: u64,
}

impl Toasts {
    pub fn done(&mut self, text: impl Into<String>) {
        self.add(Kind::Done, text.into(), None, Duration::from_secs(5));
    }

    pub fn info(&mut self, text: impl Into<String>) {
        self.add(Kind::Info, text.into(), None, Duration::from_secs(7));
    }

    pub fn error(&mut self, text: impl Into<String>) {
        self.add(Kind::Error, text.into(), None, Duration::from_secs(12));
    }

    /// Something was done that `command` takes back.
    pub fn undo(&mut self, text: impl Into<String>, command: Command) {
        let action = Some(("Undo", command));
        self.add(Kind::Done, text.into(), action, Duration::from_secs(15));
    }

    /// The way back that the newest message offers, which then goes.
    pub fn take_undo(&mut self) -> Option<Command> {
        let place = self.shown.iter().rposition(|toast| toast.action.is_some())?;
        self.shown.remove(place).action.map(|(_, command)| command)
    }

    fn add(
        &mut self,
        kind: Kind,
        text: String,
        action: Option<(&'static str, Command)>,
        time: Duration,
    ) {
        self.next_id += 1;
        self.shown.push(Toast {
            id: self.next_id,
            kind,
            text,
            action,
            until: Instant::now() + time,
        });
        let extra = self.shown.len().saturating_sub(5);
        self.shown.drain(..extra);
    }

    /// Draw them; what was asked for is added to `asked`.
    pub fn show(&mut self, ctx: &egui::Context, asked: &mut Vec<Command>) {
        let now = Instant::now();
        self.shown.retain(|toast| toast.until > now);
        let Some(next) = self.shown.iter().map(|toast| toast.until).min() else { return };
        ctx.request_repaint_after(next - now);
        let mut gone = None;
        Area::new(Id::unique("toasts"))
            .order(Order::Foreground)
            .anchor(Align2::RIGHT_BOTTOM, vec2(-5.0 * UNIT, -12.0 * UNIT))
            .show(ctx, |ui| {
                ui.set_width(380.0);
                for toast in &mut self.shown {
                    let answer = toast_ui(ui, toast);
                    // A message that is being read stays.
                    if answer.read {
                        toast.until = toast.until.max(now + Duration::from_secs(2));
                    }
                    if answer.acted {
                        asked.extend(toast.action.take().map(|(_, command)| command));
                    }
                    if answer.acted || answer.closed {
                        gone = Some(toast.id);
                    }
                }
            });
        self.shown.retain(|toast| Some(toast.id) != gone);
    }
}

struct Answer {
    read: bool,
    acted: bool,
    closed: bool,
}

fn toast_ui(ui: &mut egui::Ui, toast: &Toast) -> Answer {
    let palette = palette(ui);
    let color = match toast.kind {
        Kind::Done => palette.good,
        Kind::Error => palette.error,
        Kind::Info => palette.accent,
    };
    let (mut acted, mut closed) = (false, false);
    let shown = Frame::NONE
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .shadow(ui.visuals().popup_shadow)
        .inner_margin(Margin { left: 14, right: 8, top: 10, bottom: 10 })
        .show(ui, |ui| {
            ui.horizontal_top(|ui| {
                let dot = ui.allocate_exact_size(vec2(10.0, 18.0), egui::Sense::hover()).0;
                ui.painter().circle_filled(dot.center(), UNIT, color);
                let buttons = if toast.action.is_some() { 100.0 } else { 36.0 };
                ui.vertical(|ui| {
                    ui.set_width((ui.available_width() - buttons).max(80.0));
                    let text = RichText::new(&toast.text).color(palette.text);
                    ui.add(egui::Label::new(text).wrap().selectable(true));
                });
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
                    closed = icon_button(ui, "×", "Dismiss message").clicked();
                    if let Some((label, _)) = &toast.action {
                        let text = RichText::new(*label).color(palette.accent);
                        let button = egui::Button::new(text).fill(Color32::TRANSPARENT);
                        acted = ui.add(button).clicked();
                    }
                });
            });
        });
    Answer { read: shown.response.contains_pointer(), acted, closed }
}
