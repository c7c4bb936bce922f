//! One request from its body to its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Engine, Live};
use crate::reasoning::{BreakerState, ReasonError};
use crate::routing::{Ask, Decision, Force, Path, Reason, Reservation, Uncertainty};
use crate::serving::answer::{Composed, compose, reason_request, reasoner_use};
use crate::serving::cache::Key;
use crate::serving::compute::{Job, Perceived};
use crate::serving::request::{Asked, check};
use crate::serving::telemetry::{Observation, ReasonerUse, Served};
use crate::serving::users::UserState;
use crate::serving::wire::{Meta, RecommendData, RecommendRequest, RecommendResponse, Warning};
use crate::serving::{RequestError, outcome};
use crate::settings::{RouterSettings, ServerSettings};

/// Counts a request in for as long as it lives.
struct InFlight(Arc<Engine>);

impl InFlight {
    fn of(engine: &Arc<Engine>) -> Self {
        engine.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(engine.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request on its way to an answer.
struct Request {
    body: RecommendRequest,
    asked: Arc<Asked>,
    /// Where the cache keeps its answer.
    key: Key,
    live: Arc<Live>,
    arrived: Instant,
    in_flight: InFlight,
}

/// What System 1 and the router made of a request.
struct Decided {
    perceived: Perceived,
    decision: Decision,
    settings: RouterSettings,
}

impl Engine {
    /// Answer one request.
    ///
    /// # Errors
    /// [`RequestError`] for a request that cannot be answered; a failing System 2 is no error.
    pub async fn recommend(
        self: &Arc<Self>,
        body: RecommendRequest,
        force: Force,
    ) -> Result<RecommendResponse, RequestError> {
        let (arrived, in_flight) = (Instant::now(), InFlight::of(self));
        let live = self.live.load_full();
        let asked = Arc::new(check(&body, &live.model, live.server.max_history)?);
        let key = Key::new(&asked, force, self.now(), live.model.has_item_dynamics());
        let request = Request { body, asked, key, live, arrived, in_flight };
        if let Some(known) = request.live.answers.get(&request.key) {
            return Ok(self.give(request, &known, Served::Cache, None));
        }
        let decided = self.decide(&request, force).await?;
        let Some(reserved) = decided.decision.reserved else {
            let composed = decided.compose(&request);
            return Ok(self.answer(request, composed, None));
        };
        // A task of its own: a call that is under way is paid for, so that it is finished, judged by the
        // breaker, counted and kept for the next who asks, even if this client does not wait for it. Where
        // as many go on as there may be requests at once, this one is its client's alone.
        let Ok(place) = self.calls.clone().try_acquire_owned() else {
            return Ok(self.reason(request, decided, reserved).await);
        };
        let engine = self.clone();
        let reasoned = tokio::spawn(async move {
            let response = engine.reason(request, decided, reserved).await;
            drop(place);
            response
        });
        outcome(reasoned.await)
    }

    /// Wait for the calls of System 2 that are under way, as long as a stop may take; how many were not
    /// finished then.
    pub async fn finish_calls(&self) -> usize {
        let most = Duration::from_secs_f64(self.live.load().server.shutdown);
        match tokio::time::timeout(most, self.calls.acquire_many(self.most_calls)).await {
            Ok(_) => 0,
            Err(_) => self.most_calls as usize - self.calls.available_permits(),
        }
    }

    /// What System 1 sees, and whether to ask System 2.
    async fn decide(&self, request: &Request, force: Force) -> Result<Decided, RequestError> {
        let Request { asked, live, .. } = request;
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
        let since = self.users.last_event(&asked.user, generation);
        self.pulse.noted(&live.model, generation, asked, since);
        let state = UserState {
            generation,
            items: asked.items.clone(),
            times: asked.times.clone(),
            state: std::mem::take(&mut perceived.state),
        };
        self.users.keep(asked.user.clone(), state);
        let (uncertainty, force) = if perceived.best.is_empty() {
            // Nothing is left to recommend, so there is nothing to be unsure of and nothing to ask.
            (Uncertainty { entropy: 0.0, conflict: None }, Force::No)
        } else {
            (perceived.uncertainty, force)
        };
        let ask = Ask {
            uncertainty,
            force,
            breaker_open: live.reasoner.breaker().state == BreakerState::Open,
            expected_cost: live.reasoner.expected_cost(),
        };
        let decision = self.router.decide(&ask, self.now());
        Ok(Decided { perceived, decision, settings: self.router.settings() })
    }

    /// Ask System 2, for which the router has `reserved` a part of the budget.
    async fn reason(
        &self,
        request: Request,
        mut decided: Decided,
        reserved: Reservation,
    ) -> RecommendResponse {
        let live = request.live.clone();
        let begun = Instant::now();
        let mut wanted = reason_request(&live.model, &request.asked, &decided.perceived);
        wanted.within = Some(left(&live.server, request.arrived));
        let result = live.reasoner.reason(&wanted).await;
        if let Err(ReasonError::BreakerOpen { .. }) = &result {
            // It opened since the router looked: no call was made.
            self.router.refund(&reserved);
            decided.decision.path = Path::FastPath;
            decided.decision.reason = Reason::BreakerOpen;
            decided.decision.reserved = None;
            let composed = decided.compose(&request);
            return self.answer(request, composed, None);
        }
        let used = reasoner_use(live.reasoner.as_ref(), &result, begun.elapsed());
        self.router.settle(reserved.at, reserved.cost, used.cost);
        let composed = decided.compose(&request);
        let composed = composed.reasoned(live.model.as_ref(), &wanted, result, &used);
        self.answer(request, composed, Some(used))
    }

    /// Give an answer that was just made, and keep it where it may be kept.
    fn answer(
        &self,
        request: Request,
        composed: Composed,
        used: Option<ReasonerUse>,
    ) -> RecommendResponse {
        let composed = Arc::new(composed);
        if composed.keep {
            request.live.answers.put(request.key.clone(), composed.clone());
        }
        let served = match composed.source {
            Path::FastPath => Served::Fast,
            Path::SlowPath => Served::Slow,
        };
        self.give(request, &composed, served, used)
    }

    fn give(
        &self,
        request: Request,
        composed: &Composed,
        served: Served,
        used: Option<ReasonerUse>,
    ) -> RecommendResponse {
        let Request { body, asked, live, arrived, in_flight, .. } = request;
        let latency = arrived.elapsed();
        let tokens = match served {
            Served::Cache => self.levels().tokens,
            Served::Fast | Served::Slow => composed.decision.tokens,
        };
        let response = respond(&live, &asked, composed, (served, tokens), latency);
        self.pulse.answered(&live.model, live.generation, response.impression_id, &asked);
        self.observe(body, &response, &composed.decision, (served, used), latency);
        drop(in_flight);
        response
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
}

impl Decided {
    /// System 1's answer.
    fn compose(&self, request: &Request) -> Composed {
        let Self { perceived, decision, settings } = self;
        let explanation = decision.explanation(settings);
        let model = request.live.model.as_ref();
        compose(model, &request.asked, perceived, decision.clone(), explanation)
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
