//! Starting a training, resuming a run, and what is said when either ends.

use std::time::Duration;

use eframe::egui;

use super::live::{Live, PastRun, State};
use super::{Lower, Past, TrainPage, Training, verdict};
use crate::jobs::{Context, Job, Outcome};
use crate::runs::{AblationTable, RunEntry, RunError, RunState, RunStore, RunSummary};
use crate::training::{Left, Plan, Prepared, RunKey, TrainError, ablation, resume_together};
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

    /// Take interrupted runs to their end, on the device that is chosen now.
    pub(super) fn resume(&mut self, ids: Vec<String>, session: &mut Session) {
        if self.job.is_some() {
            session.toasts.info("Stop the training that is running first.");
            return;
        }
        let store = match &session.store {
            Ok(store) => store.clone(),
            Err(message) => return session.toasts.error(message.clone()),
        };
        let (device, ctx) = (session.device(), session.ctx.clone());
        let raw = session.loaded.as_ref().map(|loaded| loaded.raw.clone());
        let here = session.config.clone();
        let resumed = ids.first().cloned();
        let name = match ids.as_slice() {
            [id] => format!("Resuming {id}"),
            _ => "Resuming trainings".to_owned(),
        };
        self.spawn(
            session,
            Job::spawn(name, wake(&ctx), move |context| {
                let mut left = Vec::new();
                for id in ids {
                    let entry = store.find(&id)?;
                    left.push(Left::of(&entry).ok_or(RunError::InUse(id))?);
                }
                let raw = raw.as_deref().map(|raw| (&here, raw));
                resume_together(&store, &left, raw, &device, context)?;
                // All that were started together.
                let group = left.first().map(|left| left.config.ablation.group.clone());
                let mut done: Vec<RunSummary> =
                    store.list().into_iter().filter_map(|entry| entry.summary).collect();
                done.retain(|summary| Some(&summary.config.ablation.group) == group.as_ref());
                done.reverse();
                let several = done.len() > 1;
                Ok(several.then(|| AblationTable::of_stored(&store, &done)).transpose()?)
            }),
        );
        self.resumed = resumed;
    }

    /// Show the curves of runs that are over.
    pub(super) fn show(&mut self, ids: Vec<String>, session: &mut Session) {
        if self.job.is_some() {
            session.toasts.info("A training has the charts; wait for its end, or stop it.");
            return;
        }
        let Ok(store) = session.store.clone() else { return };
        let work = move |context: &Context<()>| {
            let entries: Result<Vec<RunEntry>, RunError> =
                ids.iter().map(|id| store.find(id)).collect();
            let entries = entries.map_err(|error| error.to_string())?;
            Ok(Past { live: curves(&entries, &store, context)?, has_table: false })
        };
        if let Err(message) = self.reading.start(&session.ctx, "Reading curves", work) {
            session.toasts.error(message);
        }
    }

    /// Show the curves of all runs that were started together with `id`, which the table is of.
    fn show_plan_of(&mut self, id: String, session: &mut Session) {
        let Ok(store) = session.store.clone() else { return };
        let work = move |context: &Context<()>| {
            let group = |entry: &RunEntry| entry.settings().map(|of| of.ablation.group.clone());
            let own = store.find(&id).map_err(|error| error.to_string())?;
            let mut entries = store.list();
            entries.retain(|entry| entry.state == RunState::Done && group(entry) == group(&own));
            entries.reverse();
            Ok(Past { live: curves(&entries, &store, context)?, has_table: true })
        };
        if let Err(message) = self.reading.start(&session.ctx, "Reading curves", work) {
            session.toasts.error(message);
        }
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
                // What failed or was stopped stays in view.
                let all_done = self.live.runs.iter().all(|run| run.state == State::Done);
                if let Some(id) = self.resumed.take().filter(|_| all_done) {
                    self.show_plan_of(id, session);
                }
                // The runs that were done by then are in the table; the others can go on.
                self.offer_cpu = self.live.device_lost.is_some();
                self.error = self.live.device_lost.take();
                return;
            }
            Outcome::Done(None) => {
                return session.toasts.done("The resumed run is finished; see Compare.");
            }
            Outcome::Failed(TrainError::Cancelled(_)) => {
                let text =
                    "Training stopped. Its runs can be resumed here, or on the Compare page.";
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

/// What was written of runs that are over.
fn curves(entries: &[RunEntry], store: &RunStore, context: &Context<()>) -> Result<Live, String> {
    let mut runs = Vec::new();
    for entry in entries {
        context.checkpoint().map_err(|stopped| stopped.to_string())?;
        let records = store.metrics(&entry.id).map_err(|error| error.to_string())?;
        let Some(config) = entry.settings() else { continue };
        runs.push(PastRun {
            key: RunKey::of(runs.len(), config),
            epochs: config.training.epochs,
            done: entry.state == RunState::Done,
            records,
        });
    }
    Ok(Live::of_runs(runs))
}
