//! Starting a training, resuming a run, and what is said when either ends.

use std::time::Duration;

use eframe::egui;

use super::live::{Live, PastRun, State};
use super::{Ended, Lower, Past, TrainPage, Training, verdict};
use crate::jobs::{Context, Job, Outcome};
use crate::runs::{AblationTable, RunError, RunState, RunStore, RunSummary};
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
                let table = ablation::run(&plan, &prepared, &store, context)?;
                Ok(Some(Ended { table, others: Vec::new() }))
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
                if done.len() < 2 {
                    return Ok(None);
                }
                let table = AblationTable::of_stored(&store, &done)?;
                Ok(Some(Ended { table, others: done.into_iter().map(|run| run.run).collect() }))
            }),
        );
    }

    /// Show the curves of runs that are over.
    pub(super) fn show(&mut self, ids: Vec<String>, session: &mut Session) {
        if self.job.is_some() {
            session.toasts.info("A training has the charts; wait for its end, or stop it.");
            return;
        }
        self.read(ids, false, session);
    }

    /// Read the curves of runs that are over; the table there is may be of these.
    fn read(&mut self, ids: Vec<String>, has_table: bool, session: &mut Session) {
        let Ok(store) = session.store.clone() else { return };
        let work = move |context: &Context<()>| {
            Ok(Past { live: curves(&ids, &store, context)?, has_table })
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
        outcome: Outcome<Option<Ended>, TrainError>,
        session: &mut Session,
    ) {
        session.runs_changed += 1;
        self.live.end();
        let message = match outcome {
            Outcome::Done(Some(Ended { table, others })) => {
                session.toasts.done(verdict::headline(&table));
                self.table = Some(table);
                self.lower = Lower::Result;
                // What failed or was stopped stays in view.
                let all_done = self.live.runs.iter().all(|run| run.state == State::Done);
                if all_done && !others.is_empty() {
                    self.read(others, true, session);
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
fn curves(ids: &[String], store: &RunStore, context: &Context<()>) -> Result<Live, String> {
    let mut runs = Vec::new();
    for id in ids {
        context.checkpoint().map_err(|stopped| stopped.to_string())?;
        let entry = store.find(id).map_err(|error| error.to_string())?;
        let records = store.metrics(id).map_err(|error| error.to_string())?;
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
