//! Work that ends in one value, watched by a page.

use std::time::Duration;

use eframe::egui::Context;

use super::toasts::Toasts;
use crate::jobs::{self, Job, Outcome, Progress};

/// What the status bar says of running work.
#[derive(Debug, Clone)]
pub struct Running {
    pub name: String,
    pub progress: Progress,
    pub seconds: f64,
    pub paused: bool,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Cancelled on request.
    Stopped,
    /// What went wrong, for people.
    Message(String),
}

/// A job without events, or none.
pub struct Background<T: Send + 'static> {
    job: Option<(Job<(), T, String>, Context)>,
}

impl<T: Send + 'static> Default for Background<T> {
    fn default() -> Self {
        Self { job: None }
    }
}

impl<T: Send + 'static> Background<T> {
    /// Start `work`. What ran before is cancelled and its result dropped.
    ///
    /// # Errors
    /// A sentence for people where no thread could be started.
    pub fn start(
        &mut self,
        ctx: &Context,
        name: impl Into<String>,
        work: impl FnOnce(&jobs::Context<()>) -> Result<T, String> + Send + 'static,
    ) -> Result<(), String> {
        self.cancel();
        let wake = ctx.clone();
        let job = Job::spawn(name, move || wake.request_repaint(), work)
            .map_err(|error| format!("No thread could be started: {error}"))?;
        self.job = Some((job, ctx.clone()));
        Ok(())
    }

    /// The result, once it is there; a panic is an error with its message.
    pub fn poll(&mut self) -> Option<Result<T, Failure>> {
        let (job, ctx) = self.job.as_mut()?;
        let Some(outcome) = job.finish() else {
            // The last wake can come just before the thread is gone.
            ctx.request_repaint_after(Duration::from_millis(200));
            return None;
        };
        let (name, stopped) = (job.name.clone(), job.control().is_cancelled());
        self.job = None;
        Some(match outcome {
            Outcome::Done(value) => Ok(value),
            Outcome::Failed(_) if stopped => Err(Failure::Stopped),
            Outcome::Failed(message) => Err(Failure::Message(message)),
            Outcome::Panicked(message) => Err(Failure::Message(format!(
                "{name} failed unexpectedly: {message}; please report this"
            ))),
        })
    }

    /// The result as [`Background::poll`] gives it, with failures told to `toasts`.
    pub fn poll_or_tell(&mut self, toasts: &mut Toasts) -> Option<T> {
        match self.poll()? {
            Ok(value) => Some(value),
            Err(Failure::Message(message)) => {
                toasts.error(message);
                None
            }
            Err(Failure::Stopped) => None,
        }
    }

    pub fn cancel(&self) {
        if let Some((job, _)) = &self.job {
            job.control().cancel();
        }
    }

    pub fn is_running(&self) -> bool {
        self.job.is_some()
    }

    pub fn running(&self) -> Option<Running> {
        self.job.as_ref().map(|(job, _)| Running {
            name: job.name.clone(),
            progress: job.progress(),
            seconds: job.started.elapsed().as_secs_f64(),
            paused: job.control().is_paused(),
        })
    }
}
