//! The Experiments page: what the original's README claims, asked again and measured.

mod figure;
mod listing;
mod parallel;
mod result;
mod table;
mod work;

use eframe::egui::{RichText, Ui};

use super::Page;
use crate::experiments::{Event, Experiment, ExperimentError, ExperimentResult, Figure};
use crate::jobs::Job;
use crate::workbench::background::{Background, Running};
use crate::workbench::commands::{Command, ExportFormat, PageId, tooltip};
use crate::workbench::run_choice::RunChoice;
use crate::workbench::session::Session;
use crate::workbench::theme::{UNIT, palette};
use crate::workbench::widgets::{
    Tone, button, card, empty_state, list_row, notice, page_header, primary, progress_bar,
    split_left,
};

/// An experiment at work, and what it told so far.
struct AtWork {
    experiment: Experiment,
    job: Job<Event, ExperimentResult, ExperimentError>,
    /// Live curves by name.
    curves: Vec<(String, Vec<[f64; 2]>)>,
    /// The figure so far, where it tells one.
    figure: Option<Box<Figure>>,
    /// The last line for people.
    said: String,
}

/// The page's state.
pub struct ExperimentsPage {
    chosen: Experiment,
    /// The newest result of each experiment that has one.
    results: Vec<(Experiment, ExperimentResult)>,
    listing: Background<Vec<(Experiment, ExperimentResult)>>,
    listed: Option<u64>,
    at_work: Option<AtWork>,
    /// Why the last attempt has no result; stays until the next.
    failed: Option<(Experiment, String)>,
    runs: RunChoice,
    /// Look at every run of the chosen run's group.
    whole_group: bool,
    /// Train on the data that is loaded instead of the preset's.
    own_data: bool,
    writing: Background<String>,
}

impl Default for ExperimentsPage {
    fn default() -> Self {
        Self {
            chosen: Experiment::ALL[0],
            results: Vec::new(),
            listing: Background::default(),
            listed: None,
            at_work: None,
            failed: None,
            runs: RunChoice::default(),
            whole_group: true,
            own_data: false,
            writing: Background::default(),
        }
    }
}

impl ExperimentsPage {
    /// What runs here, for the status bar.
    pub fn running(&self) -> Option<Running> {
        self.at_work.as_ref().map(|at_work| Running {
            name: at_work.job.name.clone(),
            progress: at_work.job.progress(),
            seconds: at_work.job.started.elapsed().as_secs_f64(),
            paused: at_work.job.control().is_paused(),
        })
    }

    pub fn stop(&self) {
        if let Some(at_work) = &self.at_work {
            at_work.job.control().cancel();
        }
    }

    fn result_of(&self, experiment: Experiment) -> Option<&ExperimentResult> {
        self.results.iter().find(|(one, _)| *one == experiment).map(|(_, result)| result)
    }

    fn is_at_work(&self, experiment: Experiment) -> bool {
        self.at_work.as_ref().is_some_and(|at_work| at_work.experiment == experiment)
    }

    fn header(&self, ui: &mut Ui, session: &mut Session) {
        let measured = self.results.len();
        let claims = |one: &Experiment| one.about().is_of_the_readme();
        let claimed = self.results.iter().filter(|(one, _)| claims(one)).count();
        let of = Experiment::ALL.iter().filter(|one| claims(one)).count();
        let sentence = format!(
            "What the original's README claims, measured: {claimed} of {of} with a result; and {} of \
             {} studies beyond it",
            measured - claimed,
            Experiment::ALL.len() - of
        );
        page_header(ui, "Experiments", &sentence, |ui| {
            match &self.at_work {
                Some(at_work) => {
                    let name = at_work.experiment.about().title;
                    let help = format!("{name} stops; what is finished is kept for the next time");
                    let help = tooltip(ui.ctx(), &Command::StopExperiment, &help);
                    if button(ui, "Cancel", Tone::Danger, true, &help).clicked() {
                        session.ask(Command::StopExperiment);
                    }
                }
                None => {
                    let about = self.chosen.about();
                    let help = format!("Measure “{}”: {}", about.title, about.takes);
                    let help = tooltip(ui.ctx(), &Command::RunExperiment, &help);
                    if primary(ui, "Run ▶", true, &help).clicked() {
                        session.ask(Command::RunExperiment);
                    }
                }
            }
            let help = "One HTML file and one Markdown file with every result, its figure, the \
                        machine and the commands";
            let help = tooltip(ui.ctx(), &Command::Report, help);
            if button(ui, "Report…", Tone::Plain, measured > 0, &help).clicked() {
                session.ask(Command::Report);
            }
            let found =
                self.result_of(self.chosen).is_some_and(|one| !one.findings.found.is_empty());
            if found {
                let help = "Put the best trial's settings into the Train page, where they can be \
                            trained with several seeds";
                let help = tooltip(ui.ctx(), &Command::UseFound, help);
                if button(ui, "Use these settings", Tone::Plain, true, &help).clicked() {
                    session.ask(Command::UseFound);
                }
            }
            let has_result = self.result_of(self.chosen).is_some();
            ui.add_enabled_ui(has_result, |ui| export_menu(ui, session));
        });
    }

    fn result_ui(&mut self, ui: &mut Ui, rect: eframe::egui::Rect, session: &mut Session) {
        let about = self.chosen.about();
        if let Some(at_work) = self.at_work.as_ref().filter(|one| one.experiment == self.chosen) {
            card(ui, rect, "at work", Some(about.title), |ui| at_work_ui(ui, at_work));
            return;
        }
        if let Some(result) = self.result_of(self.chosen) {
            if let Some(command) = result::ui(ui, rect, about, result, session) {
                session.ask(command);
            }
            return;
        }
        card(ui, rect, "no result", Some(about.title), |ui| {
            ui.label(RichText::new(about.asks).color(palette(ui).text));
            ui.add_space(UNIT);
            if about.is_of_the_readme() {
                let claim = format!("The original claims: {}.", about.claim);
                ui.label(RichText::new(claim).color(palette(ui).muted));
                let source = format!("In its code {}.", about.source);
                ui.label(RichText::new(source).color(palette(ui).muted));
            }
            let hint = if about.needs_run && self.runs.is_empty() {
                format!(
                    "It asks a finished run again. There is none yet, so a small one is trained \
                     first, in about a minute. Then it takes {}.",
                    about.takes
                )
            } else {
                format!("Run it with the settings below the list: it takes {}.", about.takes)
            };
            empty_state(ui, "Not run yet", &hint, |ui| {
                let idle = self.at_work.is_none();
                let help = tooltip(ui.ctx(), &Command::RunExperiment, "Measure it now");
                if primary(ui, "Run this experiment", idle, &help).clicked() {
                    session.ask(Command::RunExperiment);
                }
            });
        });
    }
}

/// The files of the result that is shown.
fn export_menu(ui: &mut Ui, session: &mut Session) {
    let menu = ui.menu_button("Export", |ui| {
        ui.set_min_width(220.0);
        for (format, label, help) in [
            (ExportFormat::Markdown, "Result as Markdown…", "Table, method, limits, command"),
            (ExportFormat::Csv, "Table as CSV…", "Plain numbers, intervals in their own columns"),
            (ExportFormat::Json, "Result as JSON…", "Everything, the settings among it"),
            (ExportFormat::Png, "Figure as PNG…", "In the theme that is on"),
            (ExportFormat::Svg, "Figure as SVG…", "In the theme that is on"),
        ] {
            let help = tooltip(ui.ctx(), &Command::Export(format), help);
            if list_row(ui, label, "", false, &help).clicked() {
                session.ask(Command::Export(format));
                ui.close();
            }
        }
    });
    menu.response.on_hover_text("Files of the result that is shown");
}

/// Progress, the last message and the curves so far.
fn at_work_ui(ui: &mut Ui, at_work: &AtWork) {
    let progress = at_work.job.progress();
    ui.label(RichText::new(at_work.experiment.about().asks).color(palette(ui).muted));
    ui.add_space(2.0 * UNIT);
    ui.horizontal(|ui| {
        progress_bar(ui, 320.0, progress.fraction, "Progress of the experiment");
        ui.label(RichText::new(&progress.message).color(palette(ui).text));
    });
    if !at_work.said.is_empty() {
        ui.label(RichText::new(&at_work.said).small().color(palette(ui).muted));
    }
    ui.add_space(2.0 * UNIT);
    if let Some(figure) = &at_work.figure {
        figure::ui(ui, figure);
    } else if at_work.curves.is_empty() {
        let hint = "The table and the figure are here when it is done. Other pages can be used \
                    meanwhile.";
        empty_state(ui, "Measuring", hint, |_| {});
    } else {
        figure::live(ui, &at_work.curves);
    }
}

impl Page for ExperimentsPage {
    fn logic(&mut self, session: &mut Session) {
        self.drain(session);
        if session.kept.page == PageId::Experiments {
            self.runs.logic(session);
            self.list(session);
        }
    }

    fn ui(&mut self, ui: &mut Ui, session: &mut Session) {
        self.header(ui, session);
        let rect = ui.available_rect_before_wrap();
        let (left, mut right) = split_left(rect, 272.0);
        card(ui, left, "experiments", None, |ui| self.listing_ui(ui, session));
        let failed = self.failed.as_ref().filter(|(one, _)| *one == self.chosen);
        if let Some((_, message)) = failed {
            let mut top = ui.new_child(
                eframe::egui::UiBuilder::new().id_salt("experiment failed").max_rect(right),
            );
            notice(&mut top, palette(ui).error, message);
            right.min.y = top.min_rect().bottom() + 3.0 * UNIT;
        }
        self.result_ui(ui, right, session);
        ui.advance_cursor_after_rect(rect);
    }

    fn command(&mut self, command: &Command, session: &mut Session) {
        match command {
            Command::RunExperiment => self.start(session),
            Command::StopExperiment => self.stop(),
            Command::UseFound => self.use_found(session),
            Command::NextExperiment => {
                let all = Experiment::ALL;
                let place = all.iter().position(|one| *one == self.chosen).unwrap_or(0);
                self.chosen = all[(place + 1) % all.len()];
            }
            Command::Report => session.ask(Command::Export(ExportFormat::Html)),
            Command::RefreshRuns => {
                self.runs.refresh();
                self.listed = None;
            }
            Command::WriteExport(format, path) if session.kept.page == PageId::Experiments => {
                self.export(*format, path, session);
            }
            _ => {}
        }
    }
}
