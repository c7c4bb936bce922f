//! Starting a training, resuming a run, and what is said when either ends.

use std::time::Duration;

use eframe::egui;

use super::{Lower, TrainPage, Training, verdict};
use crate::jobs::{Job, Outcome};
use crate::runs::AblationTable;
use crate::training::{Plan, Prepared, TrainError, ablation};
use crate::workbench::session::Session;

/// Shows news within a tenth of a second. Not sooner: where the window is drawn by the CPU, every
/// frame takes time from the training.
fn wake(ctx: &egui::Context) -> impl Fn() + Send + Sync + 'static {
    let ctx = ctx.clone();
    move || ctx.request_repaint_after(Duration::from_millis(100))
}

impl TrainPage {
    /// Train every model with every seed.
    pub(super) fn start(&mut self, session: &mut Session) {
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

    /// Take an interrupted run to its end, on the device that is chosen now.
    pub(super) fn resume(&mut self, id: &str, session: &mut Session) {
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
                let same = config.clone().on_data_of(&here) == config;
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
                self.charts.reset_zoom();
            }
            Err(error) => session.toasts.error(format!("No thread could be started: {error}")),
        }
    }

    /// The training has ended: say how.
    pub(super) fn finished(
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
                // The runs that were done by then are in the table; the others can go on.
                self.offer_cpu = self.live.device_lost.is_some();
                self.error = self.live.device_lost.take();
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
}
