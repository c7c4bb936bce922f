//! Time along a user's way: play, pause, scrub.

use std::time::Duration;

use eframe::egui::{self, Context, Layout, RichText, Ui};

use super::AttractorPage;
use super::work::Drawn;
use crate::workbench::commands::{Command, tooltip};
use crate::workbench::format;
use crate::workbench::theme::{self, UNIT, palette};
use crate::workbench::widgets::{Scale, SliderRange, pill, primary, value_slider};

/// Seconds that the whole way takes at the usual speed.
const WHOLE: f64 = 12.0;

/// The moment that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Days since the first event; the end if infinite.
    pub days: f64,
    pub playing: bool,
    /// Times the usual speed.
    pub speed: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { days: f64::INFINITY, playing: false, speed: 1.0 }
    }
}

impl Clock {
    /// The moment in a way of `span` days.
    pub fn at(&self, span: f64) -> f64 {
        self.days.min(span)
    }

    pub fn toggle(&mut self, span: f64) {
        self.playing = !self.playing && span > 0.0;
        if self.playing && self.days >= span {
            self.days = 0.0;
        }
    }

    /// Go on by the time since the last frame.
    pub fn advance(&mut self, ctx: &Context, span: f64) {
        if !self.playing {
            return;
        }
        // A window that was hidden for a while goes on where it was.
        let seconds = f64::from(ctx.input(|input| input.stable_dt)).min(0.1);
        self.days = self.at(span) + seconds * self.speed * span / WHOLE;
        if self.days >= span {
            (self.days, self.playing) = (span, false);
        } else {
            ctx.request_repaint_after(Duration::ZERO);
        }
    }
}

impl AttractorPage {
    pub(super) fn time_bar(&mut self, ui: &mut Ui) {
        let span = self.drawn.as_ref().map_or(0.0, Drawn::span);
        let layout = Layout::left_to_right(egui::Align::Center);
        ui.with_layout(layout, |ui| {
            ui.spacing_mut().item_spacing.x = 3.0 * UNIT;
            let help = "Let the state move from event to event";
            let help = tooltip(ui.ctx(), &Command::PlayOrPause, help);
            let label = if self.clock.playing { "Pause" } else { "Play ▶" };
            if primary(ui, label, span > 0.0, &help).clicked() {
                self.clock.toggle(span);
            }
            let now = self.clock.at(span);
            let text = format!("day {now:.1} of {span:.1}");
            let shown = RichText::new(text).font(theme::figures(12.5)).color(palette(ui).muted);
            ui.add_sized([36.0 * UNIT, 5.0 * UNIT], egui::Label::new(shown));
            ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = UNIT;
                for speed in [4.0, 1.0, 0.25] {
                    let day = 1000.0 * WHOLE / (span.max(f64::MIN_POSITIVE) * speed);
                    let name = format!("{}×", format::plain(speed));
                    let help = format!("1 day takes {} ms", format::number(day));
                    if pill(ui, &name, self.clock.speed == speed, None, &help).clicked() {
                        self.clock.speed = speed;
                    }
                }
                ui.add_space(2.0 * UNIT);
                let mut days = now;
                let range = SliderRange {
                    min: 0.0,
                    max: span.max(1e-6),
                    scale: Scale::Linear,
                    integer: false,
                    unit: "days",
                };
                ui.spacing_mut().slider_width = ui.available_width();
                if value_slider(ui, "Time", &mut days, range).changed() {
                    (self.clock.days, self.clock.playing) = (days, false);
                }
            });
        });
    }
}
