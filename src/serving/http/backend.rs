//! What the API is put around.

use crate::routing::Force;
use crate::serving::wire::{
    FeedbackRequest, FeedbackResponse, Health, RecommendRequest, RecommendResponse,
};
use crate::serving::{Engine, RequestError};

/// Whoever answers the requests: the engine, or a stand-in for it in tests.
pub trait Backend: Send + Sync + 'static {
    /// `POST /recommend`.
    fn recommend(
        &self,
        request: RecommendRequest,
        force: Force,
    ) -> impl Future<Output = Result<RecommendResponse, RequestError>> + Send;

    /// `POST /feedback`.
    ///
    /// # Errors
    /// [`RequestError`] for feedback that cannot be noted.
    fn feedback(&self, request: FeedbackRequest) -> Result<FeedbackResponse, RequestError>;

    /// `GET /health`.
    fn health(&self) -> Health;

    /// `GET /metrics`: Prometheus' text format.
    fn metrics(&self) -> String;

    /// A request was answered with this error.
    fn rejected(&self, status: u16, code: &'static str);
}

impl Backend for Engine {
    fn recommend(
        &self,
        request: RecommendRequest,
        force: Force,
    ) -> impl Future<Output = Result<RecommendResponse, RequestError>> + Send {
        Self::recommend(self, request, force)
    }

    fn feedback(&self, request: FeedbackRequest) -> Result<FeedbackResponse, RequestError> {
        Self::feedback(self, request)
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
