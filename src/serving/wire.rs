//! The API's bodies, as DeepM3 has them, with ours beside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::dynamics::adapter::{Kind, Size};
use crate::routing::{Limit, Path, Reason};
use crate::settings::ReasonerKind;
use crate::training::adapter::AdapterFile;

/// `POST /recommend`: what comes next for this history?
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendRequest {
    /// Any name, 1 to 256 characters; names the user's cached state.
    #[schema(example = "demo_user", min_length = 1, max_length = 256)]
    pub user_id: String,
    /// The catalogue's own ids, oldest first: numbers or text.
    #[schema(example = json!([1, 2]))]
    pub recent_items: Vec<ItemId>,
    /// When each item was taken, in units of 10 days (DeepM3's), within 10,000 years of 1970. Give
    /// these or `recent_timestamps`, one for each item; neither only where there are no items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!([0.1, 0.2]))]
    pub recent_times: Option<Vec<f64>>,
    /// When each item was taken, in Unix seconds; see `recent_times`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent_timestamps: Option<Vec<f64>>,
    /// When the answer is for, in the unit of the times given; the last event's time if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_time: Option<f64>,
    /// How many items to recommend, 1 to 100; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 100)]
    pub count: Option<usize>,
    /// DeepM3's image; accepted and answered with a warning, since no image model ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub image_input: Option<serde_json::Value>,
}

/// A whole number that may be absent; 5.0 is 5, as JSON has it.
fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    deserializer.deserialize_any(WholeVisitor)
}

struct WholeVisitor;

impl serde::de::Visitor<'_> for WholeVisitor {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Option<usize>, E> {
        Ok(None)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Option<usize>, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        usize::try_from(number).map(Some).map_err(|_| wrong())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Option<usize>, E> {
        // Every whole number in this range is exact.
        if number.fract() == 0.0 && (0.0..=9e15).contains(&number) {
            return self.visit_u64(number as u64);
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }
}

/// An item's id as clients write it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ItemId {
    Number(i64),
    Text(String),
}

impl ItemId {
    /// An id of the catalogue as clients expect it back: a number where it is one that every client reads
    /// exactly, as JavaScript does up to 2⁵³ − 1.
    pub fn of(id: &str) -> Self {
        const MOST: u64 = (1 << 53) - 1;
        match id.parse::<i64>() {
            Ok(number) if number.unsigned_abs() <= MOST && number.to_string() == id => {
                Self::Number(number)
            }
            _ => Self::Text(id.to_owned()),
        }
    }
}

/// Read without the copy that an untagged enum makes of each value; 7.0 is 7, as JSON has it.
impl<'de> Deserialize<'de> for ItemId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemIdVisitor)
    }
}

struct ItemIdVisitor;

impl serde::de::Visitor<'_> for ItemIdVisitor {
    type Value = ItemId;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an item's id: text, or a whole number from {} to {}", i64::MIN, i64::MAX)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<ItemId, E> {
        Ok(ItemId::Number(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<ItemId, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        i64::try_from(number).map(ItemId::Number).map_err(|_| wrong())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<ItemId, E> {
        // Every whole number in this range converts exactly.
        if number.fract() == 0.0 && (-9.2e18..=9.2e18).contains(&number) {
            return Ok(ItemId::Number(number as i64));
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ItemId, E> {
        Ok(ItemId::Text(text.to_owned()))
    }
}

impl std::fmt::Display for ItemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The answer to [`RecommendRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendResponse {
    /// `success`.
    pub status: String,
    /// Names this answer in `/feedback` and in the impression log.
    pub impression_id: Uuid,
    /// `Adaptive_ODE_Agent`, as DeepM3 has it.
    pub strategy: String,
    /// Time from the request's arrival to the answer, for people: `0.64ms`.
    #[schema(example = "0.64ms")]
    pub latency: String,
    pub data: RecommendData,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecommendData {
    pub user_id: String,
    /// Whose answer it is: `fast_path` (System 1) or `slow_path` (System 2).
    #[schema(value_type = String, example = "fast_path")]
    pub reasoning_source: Path,
    pub meta: Meta,
    /// The stages the request went through.
    pub trace: Vec<String>,
    /// Best first; fewer than asked for, or none, where the user has seen the rest of the catalogue.
    pub recommendations: Vec<Recommendation>,
}

/// Why the answer is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    /// What the router decided.
    #[schema(value_type = String, example = "fast_path")]
    pub routing_decision: Path,
    /// `forced`, `confident`, `uncertain`, `conflict`, `budget_exhausted`, `breaker_open` or `cache`.
    #[schema(value_type = String, example = "confident")]
    pub reason: Reason,
    /// Calibrated and normalised, 0 sure to 1 lost.
    pub entropy: f64,
    /// Jensen–Shannon divergence in bits, 0 to 1; null where it is not available.
    #[schema(required = true)]
    pub conflict: Option<f64>,
    /// The same in a sentence.
    pub explanation: String,
    /// The limit that denied System 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub denied_by: Option<Limit>,
    /// Observed limits that would have denied it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub over: Vec<Limit>,
    /// Tokens left in the bucket after this request.
    pub tokens: f64,
    /// The run whose model answered.
    pub model: String,
    /// Fingerprint of the adapter on that model; absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Served from the cache.
    pub cached: bool,
    /// Time taken inside the server, in milliseconds.
    pub latency_ms: f64,
    /// System 2's part, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoner: Option<ReasonerMeta>,
    /// What was unusual in the request and how it was met.
    pub warnings: Vec<Warning>,
}

/// What System 2 did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReasonerMeta {
    #[schema(value_type = String, example = "mock")]
    pub kind: ReasonerKind,
    /// True for the mock: its latency and tokens are simulated.
    pub simulated: bool,
    pub latency_ms: f64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// In dollars, at the prices set.
    pub cost: f64,
    /// Attempts made, retries included.
    pub attempts: u32,
    /// Items it named that are not in the catalogue or not among the candidates; left out.
    pub invented_items: u32,
    /// Its reasoning, step by step.
    pub steps: Vec<ReasoningStep>,
    /// Why its answer was not used, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One step of System 2's reasoning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReasoningStep {
    /// `profile`, `candidates`, `evidence`, `decision`…
    pub step: String,
    pub detail: String,
}

/// Something unusual that did not stop the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Machine-readable: `unknown_items`, `history_truncated`, `unordered_times`, `equal_times`,
    /// `empty_history`, `query_before_history`, `image_ignored`, `reasoner_failed`, `few_candidates`.
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recommendation {
    pub item: ItemId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// System 1's calibrated probability, or System 2's score, 0 to 1.
    pub score: f64,
    pub reason: String,
}

/// `POST /feedback`: what the user did with an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackRequest {
    pub impression_id: Uuid,
    pub item: ItemId,
    /// `click` if absent.
    #[serde(default)]
    pub action: FeedbackAction,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackAction {
    #[default]
    Click,
    Dismiss,
    Purchase,
}

/// Read from its word alone: a derived enum takes `{"click": null}` as well.
impl<'de> Deserialize<'de> for FeedbackAction {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WORDS: [&str; 3] = ["click", "dismiss", "purchase"];
        // Clients send null for what is not set.
        let Some(word) = Option::<String>::deserialize(deserializer)? else {
            return Ok(Self::default());
        };
        let actions = [Self::Click, Self::Dismiss, Self::Purchase];
        let known = actions.into_iter().find(|action| action.word() == word);
        known.ok_or_else(|| serde::de::Error::unknown_variant(&word, &WORDS))
    }
}

impl FeedbackAction {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Dismiss => "dismiss",
            Self::Purchase => "purchase",
        }
    }
}

/// The answer to [`FeedbackRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackResponse {
    /// `success`.
    pub status: String,
    /// Whether the impression is one of the last that this server answered.
    pub known_impression: bool,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `stopping` while the server finishes what it accepted.
    pub status: String,
    /// The run whose model answers.
    pub model: String,
    /// The adapter on it; null where there is none.
    #[schema(required = true)]
    pub adapter: Option<AdapterOn>,
    pub solver: String,
    pub data: String,
    pub items: usize,
    #[schema(value_type = String, example = "mock")]
    pub reasoner: ReasonerKind,
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    pub uptime_seconds: f64,
    pub version: String,
}

/// An adapter that is merged into the weights that answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdapterOn {
    /// `lora` or `dora`.
    #[schema(value_type = String, example = "dora")]
    pub kind: Kind,
    pub rank: usize,
    pub alpha: f64,
    /// The matrices that it changes.
    #[schema(example = json!(["head.w"]))]
    pub changes: Vec<String>,
    /// What it was trained for.
    #[schema(example = "the genre Comedy, 25 % of all events")]
    pub domain: String,
    /// First 16 hex digits of the file's SHA-256.
    pub fingerprint: String,
}

impl AdapterOn {
    pub fn of(file: &AdapterFile) -> Self {
        let Size { rank, alpha } = file.adapter.size;
        Self {
            kind: file.adapter.kind,
            rank,
            alpha,
            changes: file.adapter.names.clone(),
            domain: file.domain.clone(),
            fingerprint: file.fingerprint.clone(),
        }
    }

    /// Kind and size for people.
    pub fn title(&self) -> String {
        // Numbers stay with their names where lines break.
        format!("{}, rank\u{a0}{}, α\u{a0}{}", self.kind.title(), self.rank, self.alpha)
    }
}

/// `GET`, `PUT` and `DELETE /adapter`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdapterState {
    /// `success`.
    pub status: String,
    /// The run whose model answers.
    pub model: String,
    /// The adapter on it; null where there is none.
    #[schema(required = true)]
    pub adapter: Option<AdapterOn>,
}

/// Every error's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// `error`.
    pub status: String,
    /// Machine-readable: `invalid_json`, `lengths_differ`…
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}
