//! The Train page: settings at the left, live curves, progress and the result.

mod charts;
mod job;
mod live;
mod progress;
pub(super) mod result;
mod settings;
mod verdict;

use eframe::egui::{self, RichText, Ui};

use super::Page;
use crate::jobs::Job;
use crate::runs::AblationTable;
use crate::settings::Config;
use crate::training::{Plan, TrainError, TrainEvent};
use crate::workbench::background::{Background, Running};
use crate::workbench::commands::{Command, tooltip};
use crate::workbench::session::Session;
use crate::workbench::theme::palette;
use crate::workbench::widgets::{
    Tone, button, card, empty_state, notice, page_header, pill, primary, split_left, split_rows,
};
pub use charts::Charts;
use live::{Live, State};

/// A training: its events, and what came of it where it was a whole plan.
type Training = Job<TrainEvent, Option<Ended>, TrainError>;

/// What a plan came to.
struct Ended {
    table: AblationTable,
    /// The runs that the table is of, where some were done before and have no curves here; else none.
    others: Vec<String>,
}

/// What the lower card shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Lower {
    #[default]
    Progress,
    Result,
}

/// Curves of runs that are over.
struct Past {
    live: Live,
    /// Whether the table that is there is of these runs.
    has_table: bool,
}

/// State of the page.
#[derive(Default)]
pub struct TrainPage {
    job: Option<Training>,
    live: Live,
    /// Curves of runs that are over.
    reading: Background<Past>,
    table: Option<AblationTable>,
    lower: Lower,
    charts: Charts,
    /// Why the last training ended without a result.
    error: Option<String>,
    /// The error is of a kind that another device would not have.
    offer_cpu: bool,
}

impl TrainPage {
    /// What runs here, for the status bar.
    pub fn running(&self) -> Option<Running> {
        self.job.as_ref().map(|job| Running {
            name: job.name.clone(),
            // Before the runs are planned and after the last of them, the job knows better.
            progress: self.live.progress().unwrap_or_else(|| job.progress()),
            seconds: job.started.elapsed().as_secs_f64(),
            paused: job.control().is_paused(),
        })
    }

    /// Ask the training to stop; its runs can be resumed.
    pub fn stop(&self) {
        if let Some(job) = &self.job {
            job.control().cancel();
        }
    }

    fn is_paused(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.control().is_paused())
    }

    fn header(&self, ui: &mut Ui, session: &mut Session) {
        let running = self.job.is_some();
        let paused = self.is_paused();
        page_header(ui, "Train", &self.sentence(session), |ui| {
            let help = tooltip(ui.ctx(), &Command::Start, "Train every model with every seed");
            let ready = !running && session.loaded.is_some();
            if primary(ui, "Start ▶", ready, &help).clicked() {
                session.ask(Command::Start);
            }
            let help = tooltip(ui.ctx(), &Command::Stop, "Stop; runs can be resumed later");
            if button(ui, "Stop", Tone::Plain, running, &help).clicked() {
                session.ask(Command::Stop);
            }
            let label = if paused { "Resume" } else { "Pause" };
            let help = tooltip(ui.ctx(), &Command::PauseOrResume, "Hold or go on");
            if button(ui, label, Tone::Plain, running, &help).clicked() {
                session.ask(Command::PauseOrResume);
            }
            settings::preset_menu(ui, session, running);
        });
    }

    fn sentence(&self, session: &Session) -> String {
        if self.job.is_some() {
            return self.live.sentence(self.is_paused());
        }
        let plan = match Plan::from_config(&session.config, session.device()) {
            Ok(plan) => plan,
            Err(TrainError::Models { .. }) => return "Choose at least one model".to_owned(),
            Err(error) => return error.to_string(),
        };
        let plural = |n: usize, word: &str| {
            if n == 1 { format!("one {word}") } else { format!("{n} {word}s") }
        };
        let data = session.loaded.as_ref().map_or("the data", |loaded| loaded.data.name.as_str());
        format!(
            "{}, {}, one button: {} on {data}",
            plural(plan.models.len(), "model"),
            plural(plan.seeds.len(), "seed"),
            plural(plan.models.len() * plan.seeds.len(), "training"),
        )
    }

    fn lower_card(&mut self, ui: &mut Ui, rect: egui::Rect, session: &mut Session) {
        card(ui, rect, "lower", None, |ui| {
            if let Some(error) = self.error.clone() {
                notice(ui, palette(ui).error, &error);
                if self.offer_cpu {
                    let help = "The CPU works everywhere; then resume or start again";
                    if button(ui, "Use the CPU", Tone::Plain, true, help).clicked() {
                        session.kept.device = "cpu".to_owned();
                        self.offer_cpu = false;
                        session.toasts.done("The CPU is chosen. Start, or resume on Compare.");
                    }
                }
            }
            if self.live.runs.is_empty() && self.table.is_none() {
                if self.job.is_none() {
                    let hint = "Choose models and settings at the left, or a preset above. Curves, \
                                progress and the comparison show here.";
                    let help = tooltip(ui.ctx(), &Command::Start, "");
                    empty_state(ui, "Nothing is training", hint, |ui| {
                        ui.label(RichText::new(format!("Start ▶{help}")).small().weak());
                        if let Some(unfinished) = session.unfinished.clone() {
                            unfinished.offer(ui, session);
                        }
                        settings::advise_sampling(ui, session);
                    });
                } else {
                    empty_state(ui, "Getting ready", "Data, split and baselines first.", |_| {});
                }
                return;
            }
            let stopped = || self.live.runs.iter().any(|run| run.state == State::Stopped);
            if self.job.is_none()
                && stopped()
                && let Some(unfinished) = session.unfinished.clone()
            {
                ui.horizontal(|ui| unfinished.offer(ui, session));
            }
            if let Some(table) = &self.table {
                ui.horizontal(|ui| {
                    for (lower, text) in [(Lower::Result, "Result"), (Lower::Progress, "Progress")]
                    {
                        if pill(ui, text, self.lower == lower, None, "").clicked() {
                            self.lower = lower;
                        }
                    }
                    let of = format!("{}, {}", table.data.name, table.protocol);
                    ui.label(RichText::new(of).small().color(palette(ui).muted));
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                        let help = "Every run, other trainings, export";
                        if button(ui, "Compare runs", Tone::Plain, true, help).clicked() {
                            session.ask(Command::ShowNewestRuns);
                        }
                    });
                });
            }
            match (&self.table, self.lower) {
                (Some(table), Lower::Result) => result::ui(ui, table),
                _ => progress::ui(ui, &self.live, self.is_paused()),
            }
        });
    }
}

impl Page for TrainPage {
    fn logic(&mut self, session: &mut Session) {
        if let Some(Past { live, has_table }) = self.reading.poll_or_tell(&mut session.toasts)
            && self.job.is_none()
        {
            if has_table {
                self.live = live;
            } else {
                *self = Self { live, charts: std::mem::take(&mut self.charts), ..Self::default() };
            }
            self.charts.reset_zoom();
        }
        let Some(job) = &mut self.job else { return };
        // Asked before draining: events sent before the end are then never missed.
        let outcome = job.finish();
        let events: Vec<TrainEvent> = job.drain().collect();
        for event in events {
            if let TrainEvent::Message(text) = &event {
                session.toasts.info(text.clone());
            }
            if matches!(event, TrainEvent::Planned { .. } | TrainEvent::Finished { .. }) {
                session.runs_changed += 1;
            }
            self.live.apply(event);
        }
        if let Some(outcome) = outcome {
            self.job = None;
            self.finished(outcome, session);
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        let (left, right) = split_left(ui.available_rect_before_wrap(), 292.0);
        let running = self.job.is_some();
        card(ui, left, "settings", None, |ui| settings::ui(ui, session, running));
        let lower = if self.live.runs.len() > 4 { 0.42 } else { 0.36 };
        let height = (right.height() * (1.0 - lower)).max(300.0);
        let (upper, lower) = split_rows(right, height);
        self.live.color(palette(ui));
        let mut options = session.kept.chart;
        let end = self.live.end_of(options.along);
        let mut child = ui.new_child(egui::UiBuilder::new().id_salt("charts").max_rect(upper));
        let (loss, quality) = (&mut self.live.loss, &mut self.live.quality);
        self.charts.ui(&mut child, loss, quality, &mut options, end);
        session.kept.chart = options;
        self.lower_card(ui, lower, session);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::Start => self.start(session),
            Command::ResumeRuns(ids) => self.resume(ids.clone(), session),
            Command::ShowCurves(ids) => self.show(ids.clone(), session),
            Command::Stop => self.stop(),
            Command::PauseOrResume => {
                if let Some(control) = self.job.as_ref().map(Job::control) {
                    if control.is_paused() { control.resume() } else { control.pause() }
                }
            }
            Command::ReadPreset(name) => settings::read_preset(name, session),
            Command::WritePreset(path) => {
                match crate::runs::write_atomic(path, session.config.to_toml().as_bytes()) {
                    Ok(()) => {
                        session.kept.preset = path.to_string_lossy().into_owned();
                        session.preset = Some(session.config.clone());
                        session.toasts.done(format!("Preset saved as {}", path.display()));
                    }
                    Err(error) => session.toasts.error(error.to_string()),
                }
            }
            Command::ResetSettings => {
                session.config = Config::default().on_data_of(&session.config);
                session.kept.preset = String::new();
                session.preset = None;
                session.toasts.done("Every setting is back at its default.");
            }
            _ => {}
        }
    }
}
