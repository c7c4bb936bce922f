//! A stand-in for the engine that can be slow, fail and panic when asked to.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::dynamics::adapter::Kind;
use crate::routing::{Force, Path, Reason};
use crate::serving::RequestError;
use crate::serving::http::Backend;
use crate::serving::wire::{
    AdapterOn, AdapterState, FeedbackRequest, FeedbackResponse, Health, ItemId, Meta,
    RecommendData, RecommendRequest, RecommendResponse, Recommendation,
};
use crate::settings::ReasonerKind;

/// What it does depends on the user's name.
pub struct Stub {
    /// One permit for each request of `wait` that has come in.
    pub entered: Semaphore,
    /// One permit lets one of them out.
    pub gate: Semaphore,
    /// The adapter that is on; its fingerprint is its bytes.
    pub adapter: Mutex<Option<AdapterOn>>,
    /// The errors that were counted.
    pub rejected: Mutex<Vec<(u16, &'static str)>>,
}

impl Default for Stub {
    fn default() -> Self {
        Self {
            entered: Semaphore::new(0),
            gate: Semaphore::new(0),
            adapter: Mutex::default(),
            rejected: Mutex::default(),
        }
    }
}

impl Stub {
    /// Wait until one more request of `wait` has come in.
    pub async fn one_entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    pub fn counted(&self) -> Vec<(u16, &'static str)> {
        self.rejected.lock().unwrap().clone()
    }
}

impl Backend for Stub {
    async fn recommend(
        self: &Arc<Self>,
        request: RecommendRequest,
        force: Force,
    ) -> Result<RecommendResponse, RequestError> {
        match request.user_id.as_str() {
            "panic" => panic!("on purpose"),
            "wait" => {
                self.entered.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            "fail" => return Err(RequestError::unprocessable("lengths_differ", "2 and 3")),
            _ => {}
        }
        let path = if force == Force::Slow { Path::SlowPath } else { Path::FastPath };
        Ok(RecommendResponse {
            status: "success".to_owned(),
            impression_id: Uuid::nil(),
            strategy: "Adaptive_ODE_Agent".to_owned(),
            latency: "0.01ms".to_owned(),
            data: RecommendData {
                user_id: request.user_id,
                reasoning_source: path,
                meta: Meta {
                    routing_decision: path,
                    reason: if force == Force::No { Reason::Confident } else { Reason::Forced },
                    entropy: 0.1,
                    conflict: None,
                    explanation: String::new(),
                    denied_by: None,
                    over: Vec::new(),
                    tokens: 1.0,
                    model: "stub".to_owned(),
                    adapter: None,
                    cached: false,
                    latency_ms: 0.01,
                    reasoner: None,
                    warnings: Vec::new(),
                },
                trace: Vec::new(),
                recommendations: vec![Recommendation {
                    item: ItemId::Number(101),
                    title: None,
                    score: 0.99,
                    reason: String::new(),
                }],
            },
        })
    }

    fn feedback(&self, _: FeedbackRequest) -> Result<FeedbackResponse, RequestError> {
        Ok(FeedbackResponse { status: "success".to_owned(), known_impression: true })
    }

    fn adapter(&self) -> AdapterState {
        let adapter = self.adapter.lock().unwrap().clone();
        AdapterState { status: "success".to_owned(), model: "stub".to_owned(), adapter }
    }

    fn adapt(&self, adapter: Option<&[u8]>) -> Result<AdapterState, RequestError> {
        match adapter {
            Some(b"panic") => panic!("on purpose"),
            Some(b"other") => return Err(RequestError::unprocessable("other_model", "2 and 3")),
            _ => {}
        }
        *self.adapter.lock().unwrap() = adapter.map(|bytes| AdapterOn {
            kind: Kind::Dora,
            rank: 1,
            alpha: 1.0,
            changes: Vec::new(),
            domain: String::new(),
            fingerprint: String::from_utf8(bytes.to_vec()).unwrap(),
        });
        Ok(self.adapter())
    }

    fn health(&self) -> Health {
        Health {
            status: "ok".to_owned(),
            model: "stub".to_owned(),
            adapter: self.adapter().adapter,
            solver: "rk4".to_owned(),
            data: "drift".to_owned(),
            items: 1,
            reasoner: ReasonerKind::Mock,
            breaker: "closed".to_owned(),
            uptime_seconds: 1.0,
            version: "0".to_owned(),
        }
    }

    fn metrics(&self) -> String {
        "# TYPE up gauge\nup 1\n".to_owned()
    }

    fn rejected(&self, status: u16, code: &'static str) {
        self.rejected.lock().unwrap().push((status, code));
    }
}
