//! What the API is put around.

use std::sync::Arc;

use crate::routing::Force;
use crate::serving::wire::{
    AdapterState, FeedbackRequest, FeedbackResponse, Health, RecommendRequest, RecommendResponse,
};
use crate::serving::{Engine, RequestError};

/// Whoever answers the requests: the engine, or a stand-in for it in tests.
pub trait Backend: Send + Sync + 'static {
    /// `POST /recommend`.
    fn recommend(
        self: &Arc<Self>,
        request: RecommendRequest,
        force: Force,
    ) -> impl Future<Output = Result<RecommendResponse, RequestError>> + Send;

    /// `POST /feedback`.
    ///
    /// # Errors
    /// [`RequestError`] for feedback that cannot be noted.
    fn feedback(&self, request: FeedbackRequest) -> Result<FeedbackResponse, RequestError>;

    /// `GET /adapter`.
    fn adapter(&self) -> AdapterState;

    /// `PUT /adapter` with the bytes of a file, or with `None` `DELETE /adapter`. Takes a while:
    /// called where that holds nothing up.
    ///
    /// # Errors
    /// [`RequestError`] for bytes that are no adapter of the model; the old one stays.
    fn adapt(&self, adapter: Option<&[u8]>) -> Result<AdapterState, RequestError>;

    /// `GET /health`.
    fn health(&self) -> Health;

    /// `GET /metrics`: Prometheus' text format.
    fn metrics(&self) -> String;

    /// A request was answered with this error.
    fn rejected(&self, status: u16, code: &'static str);
}

impl Backend for Engine {
    fn recommend(
        self: &Arc<Self>,
        request: RecommendRequest,
        force: Force,
    ) -> impl Future<Output = Result<RecommendResponse, RequestError>> + Send {
        Self::recommend(self, request, force)
    }

    fn feedback(&self, request: FeedbackRequest) -> Result<FeedbackResponse, RequestError> {
        Self::feedback(self, request)
    }

    fn adapter(&self) -> AdapterState {
        Self::adapter(self)
    }

    fn adapt(&self, adapter: Option<&[u8]>) -> Result<AdapterState, RequestError> {
        Ok(Self::adapt(self, adapter.map(|bytes| ("the body", bytes)))?)
    }

    fn health(&self) -> Health {
        Self::health(self)
    }

    fn metrics(&self) -> String {
        self.refresh_gauges();
        self.telemetry().text()
    }

    fn rejected(&self, status: u16, code: &'static str) {
        self.telemetry().rejected(status, code);
    }
}
