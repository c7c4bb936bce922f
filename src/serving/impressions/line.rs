//! One line of the log.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::routing::{Limit, Path, Reason};
use crate::serving::telemetry::{Observation, ReasonerUse, Served};
use crate::serving::wire::{FeedbackAction, FeedbackRequest, ItemId, Recommendation};
use crate::settings::ReasonerKind;

/// Most lines are shorter.
const USUAL: usize = 2048;

/// `event` is `answer` or `feedback`; the two share `impression_id`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Answer(&'a Answer<'a>),
    Feedback(Feedback<'a>),
}

#[derive(Serialize)]
struct Answer<'a> {
    impression_id: Uuid,
    /// RFC 3339, UTC.
    time: Timestamp,
    user_id: &'a str,
    history: History<'a>,
    /// What the router decided.
    decision: Path,
    /// Whose recommendations these are.
    source: Path,
    /// The `strategy` of the metrics.
    served: Served,
    reason: Reason,
    trigger: Option<Reason>,
    denied_by: Option<Limit>,
    entropy: f64,
    conflict: Option<f64>,
    latency_ms: f64,
    model: &'a str,
    /// Fingerprint of the adapter on the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<&'a str>,
    #[serde(serialize_with = "scores")]
    recommendations: &'a [Recommendation],
    reasoner: Option<Usage<'a>>,
}

/// As the client gave it.
#[derive(Serialize)]
struct History<'a> {
    items: &'a [ItemId],
    /// In units of 10 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<&'a [f64]>,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamps: Option<&'a [f64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_time: Option<f64>,
}

#[derive(Serialize)]
struct Usage<'a> {
    kind: ReasonerKind,
    latency_ms: f64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// Dollars.
    cost: f64,
    attempts: u32,
    invented_items: u32,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Feedback<'a> {
    impression_id: Uuid,
    time: Timestamp,
    item: &'a ItemId,
    action: FeedbackAction,
    known_impression: bool,
}

fn scores<S: Serializer>(all: &&[Recommendation], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Score<'a> {
        item: &'a ItemId,
        score: f64,
    }
    serializer.collect_seq(all.iter().map(|one| Score { item: &one.item, score: one.score }))
}

impl<'a> From<&'a ReasonerUse> for Usage<'a> {
    fn from(used: &'a ReasonerUse) -> Self {
        Self {
            kind: used.kind,
            latency_ms: used.latency.as_secs_f64() * 1e3,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            cost: used.cost,
            attempts: used.attempts,
            invented_items: used.invented_items,
            error: used.error,
        }
    }
}

/// The line of an answer, with its line feed.
pub fn answer(observation: &Observation) -> Vec<u8> {
    let (request, data) = (&observation.request, &observation.response.data);
    written(&Line::Answer(&Answer {
        impression_id: observation.impression,
        time: observation.at,
        user_id: &observation.user_id,
        history: History {
            items: &request.recent_items,
            times: request.recent_times.as_deref(),
            timestamps: request.recent_timestamps.as_deref(),
            query_time: request.query_time,
        },
        decision: data.meta.routing_decision,
        source: data.reasoning_source,
        served: observation.served,
        reason: observation.reason,
        trigger: observation.trigger,
        denied_by: observation.denied_by,
        entropy: observation.entropy,
        conflict: observation.conflict,
        latency_ms: observation.latency.as_secs_f64() * 1e3,
        model: &data.meta.model,
        adapter: data.meta.adapter.as_deref(),
        recommendations: &data.recommendations,
        reasoner: observation.reasoner.as_ref().map(Usage::from),
    }))
}

/// The line of a feedback, with its line feed.
pub fn feedback(request: &FeedbackRequest, known_impression: bool, time: Timestamp) -> Vec<u8> {
    written(&Line::Feedback(Feedback {
        impression_id: request.impression_id,
        time,
        item: &request.item,
        action: request.action,
        known_impression,
    }))
}

fn written(line: &Line) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL);
    // Neither memory nor these types can fail to be written; should they, the line says so.
    if let Err(error) = serde_json::to_writer(&mut bytes, line) {
        bytes = serde_json::json!({"event": "error", "message": error.to_string()})
            .to_string()
            .into_bytes();
    }
    bytes.push(b'\n');
    bytes
}
