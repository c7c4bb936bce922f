//! The metrics of `GET /metrics`. `api_response_latency_seconds`, `cache_operations_total` and
//! `api_requests_total` are DeepM3's; the others are ours.

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, Result, TextEncoder,
};

use super::{Gauges, Observation, ReasonerUse, Served};
use crate::reasoning::BreakerState;
use crate::routing::{Limit, Reason};
use crate::serving::wire::FeedbackAction;
use crate::settings::ReasonerKind;

/// Bounds of the latency buckets in seconds: dense where System 1 answers (0.2 to 5 ms) and where
/// System 2 does (0.2 to 2 s), since a quantile is read by interpolation between bounds.
const LATENCY: &[f64] = &[
    0.0001, 0.0002, 0.0003, 0.0004, 0.0005, 0.0006, 0.0008, 0.001, 0.00125, 0.0015, 0.002, 0.0025,
    0.003, 0.004, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0,
    3.0, 5.0, 10.0,
];
/// The same for System 2 alone.
const REASONER_LATENCY: &[f64] = &[
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0,
    60.0,
];
/// Outcomes of System 2 that are there with nought from the start, so that the first of them shows
/// in a rate.
const OUTCOMES: &[&str] = &[
    "ok",
    "timeout",
    "rate_limited",
    "server_error",
    "connection",
    "invalid_answer",
    "unauthorized",
    "bad_request",
    "breaker_open",
];
/// Rejections that are there with nought from the start.
const REJECTIONS: &[(&str, &str)] = &[("401", "unauthorized"), ("503", "overloaded")];

/// The metrics. Label values of the hot path are looked up once, here.
pub struct Metrics {
    registry: Registry,
    /// By `Served as usize`.
    paths: Vec<PathMetrics>,
    hits: IntCounter,
    misses: IntCounter,
    /// By `Reason as usize`.
    decisions: Vec<IntCounter>,
    /// By `Limit as usize`.
    denied: Vec<IntCounter>,
    entropy: Histogram,
    /// By `ReasonerKind as usize`.
    reasoners: Vec<ReasonerMetrics>,
    reasoner_requests: IntCounterVec,
    rejected: IntCounterVec,
    feedback: IntCounterVec,
    tokens: Gauge,
    share: Gauge,
    hour_cost: Gauge,
    breaker: IntGauge,
    in_flight: IntGauge,
    cache_entries: IntGauge,
    impressions_lost: IntGauge,
}

struct PathMetrics {
    requests: IntCounter,
    latency: Histogram,
}

struct ReasonerMetrics {
    latency: Histogram,
    prompt_tokens: IntCounter,
    completion_tokens: IntCounter,
    cost: Counter,
    invented_items: IntCounter,
}

/// Makes metrics and registers them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(HistogramVec::new(options, labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<Gauge> {
        self.keep(Gauge::new(name, help)?)
    }

    fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.keep(IntGauge::new(name, help)?)
    }
}

impl Metrics {
    pub fn new(start: Timestamp) -> Result<Self> {
        let registry = Registry::new();
        let make = Maker(&registry);

        let requests =
            make.counters("api_requests_total", "Requests answered, by strategy.", &["strategy"])?;
        let latencies = make.histograms(
            "api_response_latency_seconds",
            "Time from a request's arrival to its answer, by strategy.",
            &["strategy"],
            LATENCY,
        )?;
        let path = |served: Served| {
            Ok(PathMetrics {
                requests: requests.get_metric_with_label_values(&[served.as_str()])?,
                latency: latencies.get_metric_with_label_values(&[served.as_str()])?,
            })
        };
        let cache = make.counters(
            "cache_operations_total",
            "Look-ups in the cache of answers, by status: hit or miss.",
            &["status"],
        )?;

        let decisions = make.counters(
            "router_decisions_total",
            "Answers, by the router's reason for their path.",
            &["reason"],
        )?;
        let denied = make.counters(
            "router_denied_total",
            "Requests that wanted System 2 and were denied it, by the limit.",
            &["limit"],
        )?;
        let decision = |reason: &Reason| decisions.get_metric_with_label_values(&[reason.as_str()]);
        let limit = |limit: &Limit| denied.get_metric_with_label_values(&[limit.as_str()]);
        let entropy = HistogramOpts::new(
            "router_entropy",
            "Calibrated entropy of System 1's prediction: 0 sure, 1 lost.",
        )
        .buckets((1..=20).map(|twentieth| f64::from(twentieth) / 20.0).collect());

        let reasoner_requests = make.counters(
            "reasoner_requests_total",
            "Calls of System 2, by kind and outcome: ok, or why it failed. Mock is simulated.",
            &["kind", "outcome"],
        )?;
        let reasoners = reasoners(&make)?;
        let rejected = make.counters(
            "api_rejected_total",
            "Requests answered with an error, by status and code.",
            &["status", "code"],
        )?;
        let feedback = make.counters(
            "api_feedback_total",
            "What users did with answers, by action.",
            &["action"],
        )?;
        for kind in ReasonerKind::ALL {
            for outcome in OUTCOMES {
                reasoner_requests.get_metric_with_label_values(&[kind.word(), outcome])?;
            }
        }
        for (status, code) in REJECTIONS {
            rejected.get_metric_with_label_values(&[status, code])?;
        }
        for action in [FeedbackAction::Click, FeedbackAction::Dismiss, FeedbackAction::Purchase] {
            feedback.get_metric_with_label_values(&[action.word()])?;
        }

        let started = make.gauge(
            "process_start_time_seconds",
            "When the server was started, in seconds since the Unix epoch.",
        )?;
        started.set(start.as_millisecond() as f64 / 1e3);
        let build = Opts::new("deepm3_build_info", "1, labelled with the version of the server.");
        let build = make.keep(IntGaugeVec::new(build, &["version"])?)?;
        build.get_metric_with_label_values(&[env!("CARGO_PKG_VERSION")])?.set(1);

        Ok(Self {
            paths: Served::ALL.into_iter().map(path).collect::<Result<_>>()?,
            hits: cache.get_metric_with_label_values(&["hit"])?,
            misses: cache.get_metric_with_label_values(&["miss"])?,
            decisions: Reason::ALL.iter().map(decision).collect::<Result<_>>()?,
            denied: Limit::ALL.iter().map(limit).collect::<Result<_>>()?,
            entropy: make.keep(Histogram::with_opts(entropy)?)?,
            reasoners,
            reasoner_requests,
            rejected,
            feedback,
            tokens: make.gauge("router_tokens", "Tokens in the budget's bucket.")?,
            share: make.gauge(
                "router_share",
                "Share of the requests not answered by the cache that were escalated to System 2.",
            )?,
            hour_cost: make
                .gauge("router_hour_cost_dollars", "Dollars spent on System 2 in the last hour.")?,
            breaker: make.int_gauge(
                "reasoner_breaker_state",
                "System 2's circuit breaker: 0 closed, 1 half-open, 2 open.",
            )?,
            in_flight: make.int_gauge("api_in_flight", "Requests being answered.")?,
            cache_entries: make.int_gauge("cache_entries", "Answers in the cache.")?,
            impressions_lost: make
                .int_gauge("impressions_lost", "Log lines that the disk did not take.")?,
            registry,
        })
    }

    pub fn observe(&self, observation: &Observation) {
        let path = &self.paths[observation.served as usize];
        path.requests.inc();
        path.latency.observe(observation.latency.as_secs_f64());
        self.decisions[observation.reason as usize].inc();
        if observation.served == Served::Cache {
            // Neither System 1 nor the router was asked.
            self.hits.inc();
        } else {
            self.misses.inc();
            if observation.entropy.is_finite() {
                self.entropy.observe(observation.entropy);
            }
            if let Some(limit) = observation.denied_by {
                self.denied[limit as usize].inc();
            }
        }
        if let Some(used) = &observation.reasoner {
            self.reasoner(used);
        }
    }

    fn reasoner(&self, used: &ReasonerUse) {
        let outcome = used.error.unwrap_or("ok");
        let labels = [used.kind.word(), outcome];
        if let Ok(counter) = self.reasoner_requests.get_metric_with_label_values(&labels) {
            counter.inc();
        }
        let metrics = &self.reasoners[used.kind as usize];
        metrics.latency.observe(used.latency.as_secs_f64());
        metrics.prompt_tokens.inc_by(used.prompt_tokens);
        metrics.completion_tokens.inc_by(used.completion_tokens);
        metrics.cost.inc_by(used.spent());
        metrics.invented_items.inc_by(used.invented_items.into());
    }

    pub fn rejected(&self, status: u16, code: &'static str) {
        let status = status.to_string();
        if let Ok(counter) = self.rejected.get_metric_with_label_values(&[status.as_str(), code]) {
            counter.inc();
        }
    }

    pub fn feedback(&self, action: &'static str) {
        if let Ok(counter) = self.feedback.get_metric_with_label_values(&[action]) {
            counter.inc();
        }
    }

    pub fn gauges(&self, gauges: &Gauges) {
        self.tokens.set(gauges.tokens);
        self.share.set(gauges.share);
        self.hour_cost.set(gauges.hour_cost);
        self.breaker.set(match gauges.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        });
        self.in_flight.set(i64::try_from(gauges.in_flight).unwrap_or(i64::MAX));
        self.cache_entries.set(i64::try_from(gauges.cache_entries).unwrap_or(i64::MAX));
        self.impressions_lost.set(i64::try_from(gauges.impressions_lost).unwrap_or(i64::MAX));
    }

    /// Prometheus' text format.
    pub fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .inspect_err(|error| tracing::error!("the metrics could not be written: {error}"))
            .unwrap_or_default()
    }
}

fn reasoners(make: &Maker) -> Result<Vec<ReasonerMetrics>> {
    let latencies = make.histograms(
        "reasoner_latency_seconds",
        "Time taken by calls of System 2, retries included, by kind. Mock is simulated.",
        &["kind"],
        REASONER_LATENCY,
    )?;
    let tokens = make.counters(
        "reasoner_tokens_total",
        "Tokens used by System 2, by kind and direction: prompt or completion. Mock is simulated.",
        &["kind", "direction"],
    )?;
    let costs = Opts::new(
        "reasoner_cost_dollars_total",
        "Dollars spent on System 2 at the prices set, by kind. Mock is simulated.",
    );
    let costs = make.keep(CounterVec::new(costs, &["kind"])?)?;
    let invented = make.counters(
        "reasoner_invented_items_total",
        "Items System 2 named that were not candidates, by kind.",
        &["kind"],
    )?;
    let of = |kind: &ReasonerKind| {
        let kind = kind.word();
        Ok(ReasonerMetrics {
            latency: latencies.get_metric_with_label_values(&[kind])?,
            prompt_tokens: tokens.get_metric_with_label_values(&[kind, "prompt"])?,
            completion_tokens: tokens.get_metric_with_label_values(&[kind, "completion"])?,
            cost: costs.get_metric_with_label_values(&[kind])?,
            invented_items: invented.get_metric_with_label_values(&[kind])?,
        })
    };
    ReasonerKind::ALL.iter().map(of).collect()
}
