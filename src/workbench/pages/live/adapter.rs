//! The adapter on the served model: which, another, none.

use std::path::PathBuf;

use eframe::egui::{Label, RichText, Ui};

use super::LivePage;
use crate::training::adapter::read;
use crate::workbench::commands::Command;
use crate::workbench::session::Session;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{Tone, button, section};

impl LivePage {
    pub(super) fn adapter_controls(&mut self, ui: &mut Ui, session: &mut Session) {
        let Some(host) = &self.host else { return };
        let on = host.engine.adapter().adapter;
        section(ui, "Adapter");
        let (title, about) = match &on {
            Some(adapter) => (
                adapter.title(),
                format!("For {}. Changes {}.", adapter.domain, adapter.changes.join(", ")),
            ),
            None => ("None".to_owned(), "The model answers as it was trained.".to_owned()),
        };
        ui.label(RichText::new(title).color(palette(ui).strong));
        ui.add(Label::new(RichText::new(about).small().color(palette(ui).muted)).wrap());
        let free = !self.changing.is_running();
        ui.horizontal(|ui| {
            let help =
                "Merge a LoRA or DoRA adapter of this run into its weights; no request is lost";
            if button(ui, "Load adapter…", Tone::Plain, free, help).clicked() {
                session.ask(Command::OpenAdapter);
            }
            let help = "Answer as the run was trained again";
            if on.is_some() && button(ui, "Take off", Tone::Plain, free, help).clicked() {
                session.ask(Command::RemoveAdapter);
            }
        });
    }

    /// Put the adapter in the file on the served model, or take the one that is on off.
    pub(super) fn adapt(&mut self, file: Option<PathBuf>, session: &mut Session) {
        let Some(host) = &self.host else {
            session.toasts.error("No server is on; switch it on first, then load the adapter.");
            return;
        };
        let engine = host.engine.clone();
        let work = move |_: &crate::jobs::Context<()>| {
            let adapter = file.map(|file| read(&file).map(|bytes| (file, bytes))).transpose();
            let adapter = adapter.map_err(|error| error.to_string())?;
            let named = adapter.as_ref().map(|(file, bytes)| {
                (file.file_name().unwrap_or_default().to_string_lossy(), bytes.as_slice())
            });
            let given = named.as_ref().map(|(name, bytes)| (name.as_ref(), *bytes));
            let state = engine.adapt(given).map_err(|error| error.to_string())?;
            Ok(match (state.adapter, named) {
                (Some(adapter), Some((name, _))) => {
                    format!("The server answers with {name} now ({}).", adapter.title())
                }
                _ => format!("The adapter is off: {} answers as it was trained.", state.model),
            })
        };
        if let Err(message) = self.changing.start(&session.ctx, "Changing the adapter", work) {
            session.toasts.error(message);
        }
    }
}
