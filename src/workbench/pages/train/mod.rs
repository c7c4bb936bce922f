//! The Train page: settings at the left, live curves, progress and the result.

mod live;
mod progress;
pub(super) mod result;
mod settings;
mod verdict;

use std::time::Duration;

use eframe::egui::{self, RichText, Ui};

use super::Page;
use crate::jobs::{Job, Outcome};
use crate::runs::AblationTable;
use crate::settings::Config;
use crate::training::{Plan, Prepared, TrainError, TrainEvent, ablation};
use crate::workbench::background::Running;
use crate::workbench::charts::curves::{Along, Curve};
use crate::workbench::charts::lines::{Labels, LineChart, LineOptions, Series};
use crate::workbench::commands::{Command, PageId, tooltip};
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Scale, SliderRange, Tone, button, card, columns, empty_state, icon_button, notice, page_header,
    pill, primary, split_left, split_rows, value_slider,
};
use live::Live;

/// A training: its events, and the table where it was a whole plan.
type Training = Job<TrainEvent, Option<AblationTable>, TrainError>;

/// What the lower card shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Lower {
    #[default]
    Progress,
    Result,
}

/// State of the page.
#[derive(Default)]
pub struct TrainPage {
    job: Option<Training>,
    live: Live,
    table: Option<AblationTable>,
    lower: Lower,
    charts: Charts,
    /// Why the last training ended without a result.
    error: Option<String>,
    /// The error is of a kind that another device would not have.
    offer_cpu: bool,
}

/// The two charts and the x that is pointed at in either.
#[derive(Debug, Default)]
pub struct Charts {
    loss: LineChart,
    quality: LineChart,
    cursor: Option<f64>,
}

impl Charts {
    /// Draw the chart bar and both charts over the place. `end` is how far x is known to go.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        loss: &mut [Series],
        quality: &mut [Series],
        options: &mut LineOptions,
        end: Option<f64>,
    ) {
        // A small window has no room for legend and controls side by side.
        let place = ui.available_rect_before_wrap();
        let narrow = place.width() < 780.0 && !loss.is_empty();
        let (bar, plots) = split_rows(place, if narrow { 82.0 } else { 46.0 });
        card(ui, bar, "chart bar", None, |ui| {
            if narrow {
                ui.horizontal(|ui| legend(ui, loss, quality, options));
                ui.horizontal(|ui| self.controls(ui, options));
            } else {
                ui.horizontal_centered(|ui| {
                    legend(ui, loss, quality, options);
                    self.controls(ui, options);
                });
            }
        });
        let [left, right] = columns::<2>(plots);
        // A pointer over one chart moves the line in both; over none there is no line.
        let pointer = ui.input(|input| input.pointer.hover_pos());
        if !pointer.is_some_and(|at| left.contains(at) || right.contains(at)) {
            self.cursor = None;
        }
        if loss.iter().all(|series| series.curves.iter().all(Curve::is_empty)) {
            for (place, title) in [(left, "Training loss"), (right, "Validation NDCG@10")] {
                card(ui, place, title, Some(title), |ui| {
                    let hint = "One line a model, drawn live; a band shows 95 % over seeds.";
                    empty_state(ui, "No curve yet", hint, |_| {});
                });
            }
            return;
        }
        card(ui, left, "loss", None, |ui| {
            let labels = Labels { name: "Training loss", y: "training loss (nats)" };
            self.loss.show(ui, labels, loss, *options, end, &mut self.cursor);
        });
        card(ui, right, "quality", None, |ui| {
            // One value an epoch: smoothing would only hide it.
            let options = LineOptions { smoothing: 0.0, log_y: false, ..*options };
            let labels = Labels { name: "Validation NDCG@10", y: "validation NDCG@10" };
            self.quality.show(ui, labels, quality, options, end, &mut self.cursor);
        });
    }

    fn controls(&mut self, ui: &mut Ui, options: &mut LineOptions) {
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if pill(ui, "log y", options.log_y, None, "Logarithmic loss").clicked() {
                options.log_y = !options.log_y;
            }
            let figures = RichText::new(format!("{:.2}", options.smoothing));
            ui.label(figures.monospace().color(palette(ui).strong));
            let range =
                SliderRange { min: 0.0, max: 0.99, scale: Scale::Linear, integer: false, unit: "" };
            let size = egui::vec2(26.0 * UNIT, 20.0);
            let layout = egui::Layout::left_to_right(egui::Align::Center);
            ui.allocate_ui_with_layout(size, layout, |ui| {
                let help = "Share of the past that an average keeps; 0 shows every value";
                value_slider(ui, "Smoothing", &mut options.smoothing, range).on_hover_text(help);
            });
            ui.label(RichText::new("smoothing").color(palette(ui).muted));
            ui.add_space(2.0 * UNIT);
            for (along, text) in
                [(Along::Clock, "time"), (Along::Epoch, "epoch"), (Along::Step, "step")]
            {
                if pill(ui, text, options.along == along, None, "What lies along x").clicked() {
                    options.along = along;
                    self.loss.reset_zoom();
                    self.quality.reset_zoom();
                }
            }
            ui.label(RichText::new("x").color(palette(ui).muted));
            if self.loss.is_zoomed() || self.quality.is_zoomed() {
                ui.add_space(2.0 * UNIT);
                if icon_button(ui, "↺", "Show everything").clicked() {
                    self.loss.reset_zoom();
                    self.quality.reset_zoom();
                }
            }
        });
    }
}

fn legend(ui: &mut Ui, loss: &mut [Series], quality: &mut [Series], options: &mut LineOptions) {
    let names: Vec<_> =
        loss.iter().map(|series| (series.name.clone(), series.color, series.hidden)).collect();
    for (index, (name, color, hidden)) in names.iter().enumerate() {
        let help = "Click to hide or show, Alt-click to show alone";
        let pill = pill(ui, name, !hidden, Some(*color), help);
        if pill.accessible_name(format!("Show {name}")).clicked() {
            let alone = ui.input(|input| input.modifiers.alt);
            for group in [&mut *loss, &mut *quality] {
                toggle(group, index, alone);
            }
        }
    }
    let seeds = loss.iter().map(|series| series.curves.len()).max().unwrap_or(0);
    if seeds > 1 {
        ui.add_space(UNIT);
        let text = if options.every_seed {
            format!("{seeds} seeds, one by one")
        } else {
            format!("mean ± 95 % over {seeds} seeds")
        };
        if pill(ui, &text, false, None, "Switch between mean and every seed").clicked() {
            options.every_seed = !options.every_seed;
        }
    }
}

/// Hide or show one series; `alone` hides all others, or shows all where it was alone already.
fn toggle(series: &mut [Series], index: usize, alone: bool) {
    if !alone {
        if let Some(series) = series.get_mut(index) {
            series.hidden = !series.hidden;
        }
        return;
    }
    let was_alone = series.iter().enumerate().all(|(at, series)| series.hidden != (at == index));
    for (at, series) in series.iter_mut().enumerate() {
        series.hidden = !was_alone && at != index;
    }
}

/// Shows news within a tenth of a second. Not sooner: where the window is drawn by the CPU, every
/// frame takes time from the training.
fn wake(ctx: &egui::Context) -> impl Fn() + Send + Sync + 'static {
    let ctx = ctx.clone();
    move || ctx.request_repaint_after(Duration::from_millis(100))
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

    fn start(&mut self, session: &mut Session) {
        if self.job.is_some() {
            return;
        }
        let Some(loaded) = &session.loaded else {
            session.toasts.info("Wait until the data is loaded, then start again.");
            return;
        };
        let plan = match Plan::from_config(&session.config, session.device()) {
            Ok(plan) => plan,
            Err(error) => return session.toasts.error(error.to_string()),
        };
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        let raw = loaded.raw.clone();
        let ctx = session.ctx.clone();
        let name = format!("Training on {}", raw.name);
        self.spawn(
            session,
            Job::spawn(name, wake(&ctx), move |context| {
                let prepared = Prepared::from_dataset(&raw, &plan.config, context)?;
                ablation::run(&plan, &prepared, &store, context).map(Some)
            }),
        );
    }

    fn resume(&mut self, id: &str, session: &mut Session) {
        if self.job.is_some() {
            session.toasts.info("Stop the training that is running first.");
            return;
        }
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        let (id, device, ctx) = (id.to_owned(), session.device(), session.ctx.clone());
        let raw = session.loaded.as_ref().map(|loaded| loaded.raw.clone());
        let here = session.config.clone();
        let name = format!("Resuming {id}");
        self.spawn(
            session,
            Job::spawn(name, wake(&ctx), move |context| {
                let dir = store.open_run(&id)?;
                let config = dir.read_config()?;
                // What is loaded where that is what it was trained on, else loaded anew.
                let same = settings::with_data_of(config.clone(), &here) == config;
                let prepared = match raw.filter(|_| same) {
                    Some(raw) => Prepared::from_dataset(&raw, &config, context)?,
                    None => Prepared::load(&config, context)?,
                };
                ablation::resume(dir, &config, &prepared, &device, context).map(|_| None)
            }),
        );
    }

    fn spawn(&mut self, session: &mut Session, job: std::io::Result<Training>) {
        match job {
            Ok(job) => {
                *self = Self {
                    job: Some(job),
                    charts: std::mem::take(&mut self.charts),
                    ..Self::default()
                };
                self.charts.loss.reset_zoom();
                self.charts.quality.reset_zoom();
            }
            Err(error) => session.toasts.error(format!("No thread could be started: {error}")),
        }
    }

    fn finished(
        &mut self,
        outcome: Outcome<Option<AblationTable>, TrainError>,
        session: &mut Session,
    ) {
        session.runs_changed += 1;
        self.live.end();
        let message = match outcome {
            Outcome::Done(Some(table)) => {
                session.toasts.done(verdict::headline(&table));
                self.table = Some(table);
                self.lower = Lower::Result;
                return;
            }
            Outcome::Done(None) => {
                return session.toasts.done("The resumed run is finished; see Compare.");
            }
            Outcome::Failed(TrainError::Cancelled(_)) => {
                let text = "Training stopped. Its runs can be resumed on the Compare page.";
                return session.toasts.info(text);
            }
            Outcome::Failed(error) => {
                self.offer_cpu = error.is_device();
                error.to_string()
            }
            Outcome::Panicked(message) => {
                format!("The training failed unexpectedly: {message}; please report this")
            }
        };
        session.toasts.error(message.clone());
        self.error = Some(message);
    }

    fn header(&self, ui: &mut Ui, session: &mut Session) {
        let running = self.job.is_some();
        let paused = self.job.as_ref().is_some_and(|job| job.control().is_paused());
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
            return self.live.sentence();
        }
        let Ok(plan) = Plan::from_config(&session.config, session.device()) else {
            return "Choose at least one model".to_owned();
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
                    });
                } else {
                    empty_state(ui, "Getting ready", "Data, split and baselines first.", |_| {});
                }
                return;
            }
            if self.table.is_some() {
                ui.horizontal(|ui| {
                    for (lower, text) in [(Lower::Result, "Result"), (Lower::Progress, "Progress")]
                    {
                        if pill(ui, text, self.lower == lower, None, "").clicked() {
                            self.lower = lower;
                        }
                    }
                    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                        let help = "Every run, other trainings, export";
                        if button(ui, "Compare runs", Tone::Plain, true, help).clicked() {
                            session.ask(Command::Go(PageId::Compare));
                        }
                    });
                });
            }
            match (&self.table, self.lower) {
                (Some(table), Lower::Result) => result::ui(ui, table),
                _ => progress::ui(ui, &self.live),
            }
        });
    }
}

impl Page for TrainPage {
    fn logic(&mut self, session: &mut Session) {
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
            Command::ResumeRun(id) => self.resume(id, session),
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
                session.config = settings::with_data_of(Config::default(), &session.config);
                session.kept.preset = String::new();
                session.preset = None;
                session.toasts.done("Every setting is back at its default.");
            }
            _ => {}
        }
    }
}
