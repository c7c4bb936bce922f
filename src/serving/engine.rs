//! The engine: one request from its body to its answer.

mod change;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::answer::{Composed, compose, reason_request, reasoner_use};
use super::cache::{Answers, Key};
use super::compute::{Compute, Job};
use super::impressions::Impressions;
use super::pulse::{Pulse, noted};
use super::request::{Asked, check};
use super::telemetry::{Gauges, Observation, ReasonerUse, Served, Telemetry};
use super::users::{UserState, Users};
use super::wire::{
    FeedbackAction, FeedbackRequest, FeedbackResponse, Health, Meta, RecommendData,
    RecommendRequest, RecommendResponse, Warning,
};
use super::{RequestError, ServeError, ServedModel};
use crate::reasoning::{BreakerState, BreakerView, ReasonError, Reasoner, reasoner};
use crate::routing::{Ask, Decision, Force, Levels, Path, Reason, Router};
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
    started: Instant,
}

/// Counts a request in for as long as it lives.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Start the engine's threads.
    ///
    /// # Errors
    /// [`ServeError`] where System 2's settings cannot work or a thread is refused.
    pub fn start(options: EngineOptions) -> Result<Arc<Self>, ServeError> {
        let EngineOptions { model, config, impressions, threads } = options;
        let cores = crate::dynamics::device::cores();
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

    /// Answer one request.
    ///
    /// # Errors
    /// [`RequestError`] for a request that cannot be answered; a failing System 2 is no error.
    pub async fn recommend(
        &self,
        request: RecommendRequest,
        force: Force,
    ) -> Result<RecommendResponse, RequestError> {
        let begun = Instant::now();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let _counted = InFlight(&self.in_flight);
        let live = self.live.load_full();
        let asked = Arc::new(check(&request, &live.model, live.server.max_history)?);
        let key = Key::new(&asked, force, self.now(), live.model.has_item_dynamics());
        let (composed, served, used) = match live.answers.get(&key) {
            Some(known) => (known, Served::Cache, None),
            None => {
                let (composed, used) = self.answer(&live, &asked, force, begun).await?;
                let composed = Arc::new(composed);
                if composed.keep {
                    live.answers.put(key, composed.clone());
                }
                let served = match composed.source {
                    Path::FastPath => Served::Fast,
                    Path::SlowPath => Served::Slow,
                };
                (composed, served, used)
            }
        };
        let latency = begun.elapsed();
        let tokens = match served {
            Served::Cache => self.levels().tokens,
            Served::Fast | Served::Slow => composed.decision.tokens,
        };
        let response = respond(&live, &asked, &composed, (served, tokens), latency);
        self.pulse.answered(&live.model, live.generation, response.impression_id, &asked);
        self.observe(request, &response, &composed.decision, (served, used), latency);
        Ok(response)
    }

    /// Without the cache, for a request that `arrived` then.
    async fn answer(
        &self,
        live: &Live,
        asked: &Arc<Asked>,
        force: Force,
        arrived: Instant,
    ) -> Result<(Composed, Option<ReasonerUse>), RequestError> {
        let generation = live.generation;
        let from = self.users.resume(&asked.user, generation, &asked.items, &asked.times);
        let job = Job {
            model: live.model.clone(),
            asked: asked.clone(),
            from,
            top: live.settings.candidates.max(asked.count),
            half_life: self.router.settings().half_life,
        };
        let mut perceived = self.compute.run(job).await?;
        noted(&live.model, asked, self.users.last_event(&asked.user, generation));
        let state = UserState {
            generation,
            items: asked.items.clone(),
            times: asked.times.clone(),
            state: std::mem::take(&mut perceived.state),
        };
        self.users.keep(asked.user.clone(), state);
        let expected_cost = live.reasoner.expected_cost();
        let ask = Ask {
            uncertainty: perceived.uncertainty,
            force,
            breaker_open: live.reasoner.breaker().state == BreakerState::Open,
            expected_cost,
        };
        let mut decision = self.router.decide(&ask, self.now());
        let settings = self.router.settings();
        let Some(reserved) = decision.reserved else {
            let explanation = decision.explanation(&settings);
            let composed = compose(live.model.as_ref(), asked, &perceived, decision, explanation);
            return Ok((composed, None));
        };
        let begun = Instant::now();
        let mut wanted = reason_request(&live.model, asked, &perceived);
        wanted.within = Some(left(&live.server, arrived));
        let result = live.reasoner.reason(&wanted).await;
        if let Err(ReasonError::BreakerOpen { .. }) = &result {
            // It opened since the router looked: no call was made.
            self.router.refund(&reserved);
            decision = Decision {
                path: Path::FastPath,
                reason: Reason::BreakerOpen,
                reserved: None,
                ..decision
            };
            let explanation = decision.explanation(&settings);
            let composed = compose(live.model.as_ref(), asked, &perceived, decision, explanation);
            return Ok((composed, None));
        }
        let used = reasoner_use(live.reasoner.as_ref(), &result, begun.elapsed());
        self.router.settle(reserved.at, reserved.cost, used.cost);
        let explanation = decision.explanation(&settings);
        let composed = compose(live.model.as_ref(), asked, &perceived, decision, explanation)
            .reasoned(live.model.as_ref(), &wanted, result, &used);
        Ok((composed, Some(used)))
    }

    fn observe(
        &self,
        request: RecommendRequest,
        response: &RecommendResponse,
        decision: &Decision,
        (served, reasoner): (Served, Option<ReasonerUse>),
        latency: Duration,
    ) {
        let observation = Arc::new(Observation {
            at: jiff::Timestamp::now(),
            impression: response.impression_id,
            user_id: request.user_id.clone(),
            served,
            reason: response.data.meta.reason,
            trigger: decision.trigger,
            denied_by: if served == Served::Cache { None } else { decision.denied_by },
            latency,
            entropy: decision.uncertainty.entropy,
            conflict: decision.uncertainty.conflict,
            tokens: response.data.meta.tokens,
            reasoner,
            // An image may be megabytes, and 500 answers are kept.
            request: Arc::new(RecommendRequest { image_input: None, ..request }),
            response: Arc::new(response.clone()),
        });
        if let Some(impressions) = &self.impressions {
            impressions.answered(&observation);
        }
        self.telemetry.observe(observation);
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

/// How long System 2 may take for a request that `arrived` then: a tenth of the time is left for System
/// 1's answer in its place, and for the way to the user.
fn left(server: &ServerSettings, arrived: Instant) -> Duration {
    Duration::from_secs_f64(0.9 * server.timeout).saturating_sub(arrived.elapsed())
}

/// The composed answer as this request sees it.
fn respond(
    live: &Live,
    asked: &Asked,
    composed: &Composed,
    (served, tokens): (Served, f64),
    latency: Duration,
) -> RecommendResponse {
    let decision = &composed.decision;
    let cached = served == Served::Cache;
    let milliseconds = latency.as_secs_f64() * 1e3;
    let mut warnings: Vec<Warning> = asked.warnings.clone();
    warnings.extend(composed.warnings.iter().cloned());
    let meta = Meta {
        routing_decision: decision.path,
        reason: if cached { Reason::Cache } else { decision.reason },
        entropy: decision.uncertainty.entropy,
        conflict: decision.uncertainty.conflict,
        explanation: if cached {
            format!("The same request was answered a moment ago: {}", composed.explanation)
        } else {
            composed.explanation.clone()
        },
        denied_by: decision.denied_by,
        over: decision.over.clone(),
        tokens,
        model: live.model.run.clone(),
        adapter: live.model.adapter.as_ref().map(|adapter| adapter.fingerprint.clone()),
        cached,
        latency_ms: milliseconds,
        reasoner: composed.reasoner.clone(),
        warnings,
    };
    let stages = ["perception", "fusion", "recall", "decision"];
    RecommendResponse {
        status: "success".to_owned(),
        impression_id: Uuid::new_v4(),
        strategy: "Adaptive_ODE_Agent".to_owned(),
        latency: format!("{milliseconds:.2}ms"),
        data: RecommendData {
            user_id: asked.user.clone(),
            reasoning_source: composed.source,
            meta,
            trace: stages.map(str::to_owned).to_vec(),
            recommendations: composed.recommendations.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
