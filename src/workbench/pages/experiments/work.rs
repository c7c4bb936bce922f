//! What the page does off the UI thread: run, list, write files.

use std::path::Path;

use eframe::egui;

use super::listing::group_of;
use super::{AtWork, ExperimentsPage};
use crate::experiments::{
    Event, Experiment, ExperimentError, ExperimentStore, Inputs, Report, perform,
};
use crate::figures::Theme;
use crate::jobs::{Job, Outcome};
use crate::runs::write_atomic;
use crate::settings::Config;
use crate::workbench::commands::{Command, ExportFormat, PageId};
use crate::workbench::session::Session;

impl ExperimentsPage {
    /// Start the chosen experiment.
    pub(super) fn start(&mut self, session: &mut Session) {
        if self.at_work.is_some() {
            return session.toasts.info("One experiment at a time: the last one is not done yet.");
        }
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        let (experiment, about) = (self.chosen, self.chosen.about());
        let mut config = match Config::load(about.preset) {
            Ok(config) => config,
            Err(error) => return session.toasts.error(error.to_string()),
        };
        config.reasoner = session.config.reasoner.clone();
        config.experiment = session.config.experiment.clone();
        config.adapter = session.config.adapter.clone();
        config.alignment = session.config.alignment.clone();
        config.study = session.config.study.clone();
        if self.chosen == Experiment::Tuning {
            config.tuning = session.config.tuning.clone();
        }
        if self.own_data && matches!(self.chosen, Experiment::Tuning | Experiment::Ingredients) {
            // What is looked at is then what the Train page would train.
            config.model = session.config.model.clone();
            config.training = session.config.training.clone();
            config.evaluation = session.config.evaluation.clone();
        }
        if self.own_data && !about.needs_run && self.chosen != Experiment::Alignment {
            config.data = session.config.data.clone();
        }
        let run = self.runs.run().filter(|_| about.needs_run).map(|run| {
            let group = group_of(run).filter(|_| self.whole_group && !about.is_of_the_readme());
            group.unwrap_or_else(|| run.id.clone())
        });
        let inputs = Inputs { store, run, config, device: session.device() };
        let wake = session.ctx.clone();
        let job = Job::spawn(
            format!("Experiment: {}", about.title),
            move || wake.request_repaint(),
            move |context| perform(experiment, &inputs, context),
        );
        match job {
            Ok(job) => {
                self.failed = None;
                let (curves, said) = (Vec::new(), String::new());
                self.at_work = Some(AtWork { experiment, job, curves, figure: None, said });
            }
            Err(error) => {
                session.toasts.error(format!("No thread could be started: {error}"));
            }
        }
    }

    /// Take over what the experiment told, and its result.
    pub(super) fn drain(&mut self, session: &mut Session) {
        if let Some(results) = self.listing.poll_or_tell(&mut session.toasts) {
            self.results = results;
        }
        if let Some(written) = self.writing.poll_or_tell(&mut session.toasts) {
            session.toasts.done(written);
        }
        let Some(at_work) = &mut self.at_work else { return };
        for event in at_work.job.drain() {
            match event {
                Event::Message(text) => at_work.said = text,
                Event::Figure(figure) => at_work.figure = Some(figure),
                Event::Point { curve, at } => {
                    match at_work.curves.iter_mut().find(|(name, _)| *name == curve) {
                        Some((_, points)) => points.push(at),
                        None => at_work.curves.push((curve, vec![at])),
                    }
                }
            }
        }
        let Some(outcome) = at_work.job.finish() else { return };
        let experiment = at_work.experiment;
        self.at_work = None;
        // Its trainings are runs like any other.
        session.runs_changed += 1;
        let failure = match outcome {
            Outcome::Done(result) => {
                self.results.retain(|(one, _)| *one != experiment);
                session.toasts.done(format!("{}: done.", experiment.about().title));
                self.results.push((experiment, result));
                return;
            }
            Outcome::Failed(ExperimentError::Cancelled(_)) => {
                return session
                    .toasts
                    .info("Stopped. Run it again to go on from what is finished.");
            }
            Outcome::Failed(error) => error.to_string(),
            Outcome::Panicked(message) => {
                format!("It failed unexpectedly: {message}; please report this")
            }
        };
        self.failed = Some((experiment, failure));
    }

    /// Put the settings that the shown result found into the Train page.
    pub(super) fn use_found(&mut self, session: &mut Session) {
        let Some(result) = self.result_of(self.chosen) else { return };
        let mut config = session.config.clone();
        config.model = result.settings.model.clone();
        config.training = result.settings.training.clone();
        for (key, value) in &result.findings.found {
            if let Err(error) = config.set(key, value.clone()) {
                return session.toasts.error(error.to_string());
            }
        }
        config.ablation.models = config.model.solver.word().to_owned();
        session.config = config;
        session.toasts.done("The settings that were found are on the Train page.");
        session.ask(Command::Go(PageId::Train));
    }

    /// Read the results again where the store changed.
    pub(super) fn list(&mut self, session: &mut Session) {
        if self.listed == Some(session.runs_changed) || self.listing.is_running() {
            return;
        }
        let Ok(store) = &session.store else { return };
        self.listed = Some(session.runs_changed);
        let store = ExperimentStore::beside(store);
        let work = move |_: &crate::jobs::Context<()>| Ok(store.latest());
        if let Err(message) = self.listing.start(&session.ctx, "Listing experiments", work) {
            session.toasts.error(message);
        }
    }

    /// Write the result that is shown, or the report of all, to a file.
    pub(super) fn export(&mut self, format: ExportFormat, path: &Path, session: &mut Session) {
        let path = path.to_owned();
        let dark = session.ctx.theme() == egui::Theme::Dark;
        let theme = if dark { Theme::Dark } else { Theme::Light };
        let write = |path: &Path, bytes: &[u8]| {
            write_atomic(path, bytes)
                .map_err(|error| format!("{} could not be written: {error}", path.display()))
        };
        let started = if format == ExportFormat::Html {
            let Ok(store) = &session.store else { return };
            let store = ExperimentStore::beside(store);
            self.writing.start(&session.ctx, "Writing the report", move |_| {
                let report = Report::of(&store).map_err(|error| error.to_string())?;
                write(&path, report.to_html().as_bytes())?;
                let beside = path.with_extension("md");
                write(&beside, report.to_markdown().as_bytes())?;
                Ok(format!("Written to {} and {}", path.display(), beside.display()))
            })
        } else {
            let Some(result) = self.result_of(self.chosen).cloned() else {
                return session.toasts.error("There is no result to export yet: run it first.");
            };
            self.writing.start(&session.ctx, "Exporting", move |_| {
                let svg = || result.findings.figure.to_svg(theme);
                let bytes = match format {
                    ExportFormat::Csv => result.to_csv().into_bytes(),
                    ExportFormat::Markdown | ExportFormat::Html => {
                        result.to_markdown().into_bytes()
                    }
                    ExportFormat::Json => {
                        result.to_json().map_err(|error| error.to_string())?.into_bytes()
                    }
                    ExportFormat::Svg => svg().into_bytes(),
                    ExportFormat::Png => result.to_png(theme).map_err(|error| error.to_string())?,
                };
                write(&path, &bytes)?;
                Ok(format!("Written to {}", path.display()))
            })
        };
        if let Err(message) = started {
            session.toasts.error(message);
        }
    }
}
