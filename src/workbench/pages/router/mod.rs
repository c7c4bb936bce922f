//! The Router page: which held-out requests would be escalated, at what cost, for which quality.

mod charts;
mod effect;
mod settings;

use eframe::egui::util::undoer::Undoer;
use eframe::egui::{RichText, Ui};

use super::Page;
use crate::evaluation::Frontier;
use crate::serving::ServedModel;
use crate::serving::replay::{Operating, Replay};
use crate::settings::{Config, RouterSettings};
use crate::workbench::background::{Background, Running};
use crate::workbench::commands::{Command, PageId, tooltip};
use crate::workbench::format;
use crate::workbench::run_choice::RunChoice;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Tone, button, card, empty_state, page_header, primary, progress_bar, split_left, split_right,
    split_rows,
};

/// Held-out requests of one run, and what was computed of them once.
struct Replayed {
    replay: Replay,
    frontier: Frontier,
    /// What it was replayed under, besides the router's settings.
    under: (Config, String),
}

/// What the settings of this moment do.
struct Effect {
    of: (RouterSettings, f64),
    operating: Option<Operating>,
}

/// The page's state.
#[derive(Default)]
pub struct RouterPage {
    runs: RunChoice,
    replaying: Background<Replayed>,
    replayed: Option<Replayed>,
    effect: Option<Effect>,
    undoer: Undoer<RouterSettings>,
    /// Which uncertainty the upper plot shows.
    measure: charts::Measure,
}

/// What of the settings changes the replay itself, and not only its reading.
fn replay_key(session: &Session, run: &str) -> (Config, String) {
    let config = Config {
        reasoner: session.config.reasoner.clone(),
        router: RouterSettings {
            half_life: session.config.router.half_life,
            ..RouterSettings::default()
        },
        ..Config::default()
    };
    (config, run.to_owned())
}

impl RouterPage {
    /// What runs here, for the status bar.
    pub fn running(&self) -> Option<Running> {
        self.replaying.running()
    }

    pub fn stop(&self) {
        self.replaying.cancel();
    }

    fn replay(&mut self, session: &mut Session) {
        let (Some(entry), Ok(store)) = (self.runs.run().cloned(), session.store.clone()) else {
            return;
        };
        let under = replay_key(session, &entry.id);
        let config = under.0.clone();
        let name = format!("Replaying {}", entry.id);
        let work = move |context: &crate::jobs::Context<()>| {
            let model = ServedModel::load(&store, &entry, context).map_err(|e| e.to_string())?;
            let replay = Replay::run(&model, &config, context).map_err(|e| e.to_string())?;
            let frontier = replay.frontier();
            Ok(Replayed { replay, frontier, under })
        };
        if let Err(message) = self.replaying.start(&session.ctx, name, work) {
            session.toasts.error(message);
        }
    }

    /// Compute what the settings do, where they changed.
    fn refresh(&mut self, session: &Session) {
        let Some(replayed) = &self.replayed else { return };
        let of = (session.config.router.clone(), session.config.traffic.rate);
        if self.effect.as_ref().is_none_or(|effect| effect.of != of) {
            let operating = replayed.replay.operating(&of.0, of.1);
            self.effect = Some(Effect { of, operating });
        }
    }

    fn header(&mut self, ui: &mut Ui, session: &mut Session) {
        let sentence = match &self.replayed {
            Some(Replayed { replay, .. }) => format!(
                "{} held-out requests of {} · calibrated (T = {:.2}, ECE {:.3} → {:.3})",
                format::count(replay.requests.len() as u64),
                replay.run,
                replay.temperature,
                replay.before.ece,
                replay.after.ece
            ),
            None => "Which requests deserve System 2, under which budget".to_owned(),
        };
        let live = session.api.is_some();
        page_header(ui, "Router", &sentence, |ui| {
            let help = if live {
                "The running server takes these settings over at once"
            } else {
                "Switch the server on first, on the Live API page"
            };
            let help = tooltip(ui.ctx(), &Command::ApplyRouter, help);
            if primary(ui, "Apply to live server", live, &help).clicked() {
                session.ask(Command::ApplyRouter);
            }
            let help = tooltip(ui.ctx(), &Command::SavePreset, "Write all settings to a TOML file");
            if button(ui, "Save preset…", Tone::Plain, true, &help).clicked() {
                session.ask(Command::SavePreset);
            }
            let can_undo = self.undoer.has_undo(&session.config.router);
            let help = tooltip(ui.ctx(), &Command::UndoRouter, "Back to the settings before");
            if button(ui, "Undo", Tone::Plain, can_undo, &help).clicked() {
                session.ask(Command::UndoRouter);
            }
        });
    }
}

impl Page for RouterPage {
    fn logic(&mut self, session: &mut Session) {
        if let Some(replayed) = self.replaying.poll_or_tell(&mut session.toasts) {
            self.replayed = Some(replayed);
            self.effect = None;
        }
        if session.kept.page != PageId::Router {
            return;
        }
        self.runs.logic(session);
        let stale = self.runs.run().is_some_and(|entry| {
            let wanted = replay_key(session, &entry.id);
            self.replayed.as_ref().is_none_or(|replayed| replayed.under != wanted)
        });
        // A slider of the reasoner is let go before its replay starts.
        let dragging = session.ctx.input(|input| input.pointer.any_down());
        if stale && !dragging && !self.replaying.is_running() && !self.runs.is_listing() {
            self.replay(session);
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        let rect = ui.available_rect_before_wrap();
        if self.runs.is_empty() {
            card(ui, rect, "router empty", None, |ui| {
                let hint = "The router learns its numbers from the held-out requests of a finished \
                            run. Train one first: the built-in preset takes about a minute.";
                empty_state(ui, "No finished run yet", hint, |ui| {
                    if primary(ui, "Go to Train", true, "").clicked() {
                        session.ask(Command::Go(PageId::Train));
                    }
                });
            });
            return;
        }
        self.refresh(session);
        let (left, rest) = split_left(rect, 288.0);
        let (middle, right) = split_right(rest, 248.0);
        let (upper, lower) = split_rows(middle, middle.height() * 0.46);
        card(ui, left, "router settings", None, |ui| {
            let has_conflict =
                self.replayed.as_ref().is_none_or(|replayed| replayed.replay.has_conflict);
            settings::ui(ui, session, &mut self.runs, has_conflict);
        });
        let time = ui.input(|input| input.time);
        self.undoer.feed_state(time, &session.config.router);
        let operating = self.effect.as_ref().and_then(|effect| effect.operating.as_ref());
        match (&self.replayed, operating) {
            (Some(replayed), Some(operating)) => {
                let (replay, frontier) = (&replayed.replay, &replayed.frontier);
                let router = &mut session.config.router;
                card(ui, upper, "uncertainty", None, |ui| {
                    charts::uncertainty(ui, replay, router, &mut self.measure);
                });
                card(ui, lower, "frontier", Some("Quality against escalation"), |ui| {
                    charts::quality(ui, replay, frontier, router, operating);
                });
                card(ui, right, "effect", Some("With these settings"), |ui| {
                    effect::ui(ui, frontier, operating);
                });
            }
            _ => {
                let running = self.replaying.running();
                for (place, name) in
                    [(upper, "uncertainty"), (lower, "frontier"), (right, "effect")]
                {
                    card(ui, place, name, None, |ui| {
                        if name == "uncertainty" {
                            waiting(ui, running.as_ref());
                        }
                    });
                }
            }
        }
        // Nothing runs, so a moved pointer is all that changes the picture.
        ui.advance_cursor_after_rect(rect);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::UndoRouter => {
                if let Some(before) = self.undoer.undo(&session.config.router).cloned() {
                    session.config.router = before;
                } else {
                    session.toasts.error("There is nothing to undo on the Router page.".to_owned());
                }
            }
            Command::StopReplay => self.stop(),
            Command::RefreshRuns => self.runs.refresh(),
            _ => {}
        }
    }
}

fn waiting(ui: &mut Ui, running: Option<&Running>) {
    ui.add_space(ui.available_height() / 2.0 - 8.0 * UNIT);
    ui.vertical_centered(|ui| {
        let (text, fraction) = match running {
            Some(running) => (running.progress.message.as_str(), running.progress.fraction),
            None => ("Waiting for a run", None),
        };
        ui.label(RichText::new(text).color(palette(ui).muted));
        ui.add_space(UNIT);
        progress_bar(ui, 240.0, fraction, "Progress of the replay");
    });
}
