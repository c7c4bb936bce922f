//! What is known of one answer.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::reasoning::BreakerState;
use crate::routing::{Limit, Reason};
use crate::serving::wire::{RecommendRequest, RecommendResponse};
use crate::settings::ReasonerKind;

/// Where an answer came from: the `strategy` label of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Served {
    /// System 1.
    #[serde(rename = "fast_path")]
    Fast,
    /// System 2.
    #[serde(rename = "slow_path")]
    Slow,
    /// An answer given before.
    #[serde(rename = "cache")]
    Cache,
}

impl Served {
    /// Every variant, in order: `ALL[served as usize] == served`.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Slow, Self::Cache];

    /// The word on the wire and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast_path",
            Self::Slow => "slow_path",
            Self::Cache => "cache",
        }
    }
}

/// One answer: what was asked, what was said, why, how fast.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When it was answered.
    pub at: jiff::Timestamp,
    pub impression: Uuid,
    pub user_id: String,
    pub served: Served,
    pub reason: Reason,
    /// What asked for System 2, also where that was denied.
    pub trigger: Option<Reason>,
    pub denied_by: Option<Limit>,
    pub latency: Duration,
    /// 0 sure, 1 lost.
    pub entropy: f64,
    /// 0 to 1; `None` where it is not available.
    pub conflict: Option<f64>,
    /// Left in the bucket; for an answer of the cache, when that was first given.
    pub tokens: f64,
    pub reasoner: Option<ReasonerUse>,
    pub request: Arc<RecommendRequest>,
    pub response: Arc<RecommendResponse>,
}

/// What System 2 did for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ReasonerUse {
    pub kind: ReasonerKind,
    pub latency: Duration,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Dollars.
    pub cost: f64,
    /// Items it named that are not candidates.
    pub invented_items: u32,
    pub attempts: u32,
    /// The code of its failure; `None` where its answer was used.
    pub error: Option<&'static str>,
}

impl ReasonerUse {
    /// Dollars, where a cost that is no number is nought: it must not spoil a sum for ever.
    pub(super) fn spent(&self) -> f64 {
        self.cost.max(0.0)
    }
}

/// Levels that are read off now and then, not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauges {
    /// In the bucket.
    pub tokens: f64,
    /// Of all requests so far that the cache did not answer, escalated; 0 to 1.
    pub share: f64,
    /// Dollars spent in the last hour.
    pub hour_cost: f64,
    pub breaker: BreakerState,
    /// Requests being answered.
    pub in_flight: usize,
    pub cache_entries: u64,
    /// Answers and feedback that the log could not keep.
    pub impressions_lost: u64,
}
