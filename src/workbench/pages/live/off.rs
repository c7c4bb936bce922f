//! The page while the server is off: what it is, what stands in its way, how to switch it on.

use eframe::egui::Ui;

use super::LivePage;
use super::host::Refused;
use crate::workbench::commands::{Command, PageId};
use crate::workbench::session::Session;
use crate::workbench::theme::UNIT;
use crate::workbench::widgets::{card, empty_state, primary, progress_bar, setting_row};

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
            self.invite(ui, session);
            ui.vertical_centered(|ui| {
                ui.set_max_width(320.0);
                ui.add_space(4.0 * UNIT);
                self.runs.ui(ui);
                ui.add_space(UNIT);
                for key in ["server.port", "server.host", "reasoner.kind"] {
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
