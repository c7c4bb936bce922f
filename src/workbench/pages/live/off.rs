//! The page while the server is off: what it is, what stands in its way, how to switch it on.

use eframe::egui::{Rect, Ui, UiBuilder, pos2, vec2};

use super::LivePage;
use super::host::Refused;
use crate::workbench::commands::{Command, PageId};
use crate::workbench::session::Session;
use crate::workbench::theme::UNIT;
use crate::workbench::widgets::{
    card, empty_state, number_field_row, primary, progress_bar, row, setting_row,
};

/// Heights of the two parts of the page that invite to switch the server on.
const INVITATION: f32 = 26.0 * UNIT;
const SETTINGS: f32 = 38.0 * UNIT;

impl LivePage {
    /// Draw over the space that is left.
    pub(super) fn off(&mut self, ui: &mut Ui, session: &mut Session) {
        let rect = ui.available_rect_before_wrap();
        card(ui, rect, "api off", None, |ui| {
            if let Some(running) = self.starting.running() {
                empty_state(ui, "Starting the server", &running.progress.message, |ui| {
                    progress_bar(ui, 240.0, running.progress.fraction, "Progress of the start");
                });
                return;
            }
            if self.stopping.is_running() {
                let hint = "Requests that were accepted are answered first.";
                empty_state(ui, "Stopping the server", hint, |_| ());
                return;
            }
            if self.runs.is_empty() {
                let hint = "The server answers with the model of a finished run. Train one first: \
                            the built-in preset takes about a minute.";
                empty_state(ui, "No finished run yet", hint, |ui| {
                    if primary(ui, "Go to Train", true, "").clicked() {
                        session.ask(Command::Go(PageId::Train));
                    }
                });
                return;
            }
            if self.runs.run().is_none() {
                empty_state(ui, "Looking for finished runs", "", |_| ());
                return;
            }
            // The settings belong to the invitation: both together stand in the middle.
            let whole = ui.available_rect_before_wrap();
            let top = whole.center().y - (INVITATION + SETTINGS) / 2.0;
            let upper =
                Rect::from_min_size(pos2(whole.left(), top), vec2(whole.width(), INVITATION));
            let width = whole.width().min(320.0);
            let lower = Rect::from_min_size(
                pos2(whole.center().x - width / 2.0, upper.bottom() + 4.0 * UNIT),
                vec2(width, SETTINGS),
            );
            let place = |rect| UiBuilder::new().max_rect(rect);
            ui.scope_builder(place(upper).id_salt("invitation"), |ui| self.invite(ui, session));
            ui.scope_builder(place(lower).id_salt("settings"), |ui| {
                let help = "The finished run whose model answers.";
                row(ui, "Model", help, |ui| self.runs.ui(ui));
                number_field_row(ui, &mut session.config, "server.port");
                for key in ["server.host", "reasoner.kind"] {
                    setting_row(ui, &mut session.config, key);
                }
            });
        });
        ui.advance_cursor_after_rect(rect);
    }

    fn invite(&self, ui: &mut Ui, session: &mut Session) {
        match self.refused.clone() {
            Some(Refused::Taken { port, free }) => {
                let hint = "Another program listens there: perhaps another workbench, or a \
                            server of your own.";
                empty_state(ui, &format!("Port {port} is taken"), hint, |ui| {
                    let Some(free) = free else { return };
                    if primary(ui, &format!("Use port {free}"), true, "").clicked() {
                        session.config.server.port = free.into();
                        session.ask(Command::ToggleServer);
                    }
                });
            }
            Some(Refused::Message(message)) => {
                empty_state(ui, "The server did not start", &message, |ui| {
                    if primary(ui, "Try again", true, "").clicked() {
                        session.ask(Command::ToggleServer);
                    }
                });
            }
            None => {
                let hint = "Switch it on, send a request, watch which path it takes and what it \
                            costs. It listens on this machine only.";
                empty_state(ui, "The server is off", hint, |ui| {
                    if primary(ui, "Switch on the server", true, "").clicked() {
                        session.ask(Command::ToggleServer);
                    }
                });
            }
        }
    }
}
