//! The engine: what is shared by all requests, and changes while it serves.

mod change;
mod recommend;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use super::cache::Answers;
use super::compute::Compute;
use super::impressions::Impressions;
use super::pulse::Pulse;
use super::telemetry::{Gauges, Telemetry};
use super::users::Users;
use super::wire::{FeedbackAction, FeedbackRequest, FeedbackResponse, Health};
use super::{RequestError, ServeError, ServedModel};
use crate::reasoning::{BreakerView, Reasoner, reasoner};
use crate::routing::{Levels, Router};
use crate::settings::{Config, ReasonerSettings, ServerSettings};

/// What an engine is started with.
pub struct EngineOptions {
    pub model: Arc<ServedModel>,
    /// Its `router`, `reasoner` and `server` sections count.
    pub config: Config,
    /// Where answers are logged; `None` logs nothing.
    pub impressions: Option<Impressions>,
    /// Threads for System 1; 0 is one a core.
    pub threads: usize,
}

/// What answers: the model in use, System 2 and the settings.
struct Live {
    /// Counts the models; states of users belong to one.
    generation: u64,
    model: Arc<ServedModel>,
    reasoner: Arc<dyn Reasoner>,
    settings: ReasonerSettings,
    server: ServerSettings,
    answers: Arc<Answers>,
}

/// Answers requests; shared by all connections. Model and settings change while it serves.
pub struct Engine {
    live: ArcSwap<Live>,
    /// Held while [`Live`] is replaced, so that two changes at once do not lose one.
    changing: Mutex<()>,
    router: Router,
    users: Users,
    compute: Compute,
    telemetry: Arc<Telemetry>,
    impressions: Option<Impressions>,
    pulse: Pulse,
    in_flight: AtomicUsize,
    /// A place for each call of System 2 that goes on whoever waits for it, and how many there are.
    calls: Arc<Semaphore>,
    most_calls: u32,
    started: Instant,
}

impl Engine {
    /// Start the engine's threads.
    ///
    /// # Errors
    /// [`ServeError`] where System 2's settings cannot work or a thread is refused.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>, ServeError> {
        let EngineOptions { model, config, impressions, threads } = options;
        let cores = crate::dynamics::device::cores();
        let most_calls = u32::try_from(config.server.concurrency).unwrap_or(u32::MAX).max(1);
        let live = Live {
            generation: 0,
            reasoner: reasoner(&config.reasoner, model.evidence.clone())?,
            answers: Arc::new(Answers::new(&config.server)),
            settings: config.reasoner,
            server: config.server,
            model,
        };
        Ok(Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            changing: Mutex::new(()),
            router: Router::new(config.router, 0.0),
            users: Users::new(),
            compute: Compute::start(if threads == 0 { cores } else { threads })?,
            telemetry: Telemetry::new(),
            impressions,
            pulse: Pulse::new(),
            in_flight: AtomicUsize::new(0),
            calls: Arc::new(Semaphore::new(most_calls as usize)),
            most_calls,
            started: Instant::now(),
        }))
    }

    /// Seconds on the engine's own monotonic clock.
    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    pub fn model(&self) -> Arc<ServedModel> {
        self.live.load().model.clone()
    }

    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    pub fn impressions(&self) -> Option<&Impressions> {
        self.impressions.as_ref()
    }

    /// What the budget holds now.
    pub fn levels(&self) -> Levels {
        self.router.levels(self.now())
    }

    pub fn breaker(&self) -> BreakerView {
        self.live.load().reasoner.breaker()
    }

    /// Post the current levels to the metrics; called before they are read.
    pub fn refresh_gauges(&self) {
        let (levels, live) = (self.levels(), self.live.load());
        self.telemetry.gauges(Gauges {
            tokens: levels.tokens,
            share: levels.share,
            hour_cost: levels.hour_cost,
            breaker: live.reasoner.breaker().state,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            cache_entries: live.answers.len(),
            impressions_lost: self.impressions.as_ref().map_or(0, |log| log.status().lost),
        });
    }

    /// Note what a user did with an answer.
    ///
    /// # Errors
    /// [`RequestError`] with status 422 for an item that is not in the catalogue.
    pub fn feedback(&self, request: FeedbackRequest) -> Result<FeedbackResponse, RequestError> {
        let id = request.item.to_string();
        let live = self.live.load_full();
        let model = &live.model;
        let Some(item) = model.item(&id) else {
            let short: String = id.chars().take(40).collect();
            return Err(RequestError::unprocessable(
                "unknown_item",
                format!("item `{short}` is not in the catalogue"),
            ));
        };
        if request.action != FeedbackAction::Dismiss {
            self.pulse.taken(model, live.generation, request.impression_id, item);
        }
        self.telemetry.feedback(request.action.word());
        let known_impression = match &self.impressions {
            Some(impressions) => impressions.feedback(&request, jiff::Timestamp::now()),
            None => self.telemetry.knows(request.impression_id),
        };
        Ok(FeedbackResponse { status: "success".to_owned(), known_impression })
    }

    pub fn health(&self) -> Health {
        let live = self.live.load();
        let config = &live.model.config;
        Health {
            status: "ok".to_owned(),
            model: live.model.run.clone(),
            adapter: live.model.adapter.clone(),
            solver: config.model.solver.word().to_owned(),
            data: live.model.data.name.clone(),
            items: live.model.data.items(),
            reasoner: live.reasoner.kind(),
            breaker: live.reasoner.breaker().state.as_str().to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
