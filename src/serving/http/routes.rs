//! The routes and what each answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::adapter;
use super::app::{App, error, with_type};
use super::backend::Backend;
use super::body::{read, seconds};
use super::openapi::{DemoMode, Every, WithHistory, WithItem};
use crate::routing::Force;
use crate::serving::RequestError;
use crate::serving::wire::{
    ErrorBody, FeedbackRequest, FeedbackResponse, Health, RecommendRequest, RecommendResponse,
};

pub const HEALTH: &str = "/health";
pub const METRICS: &str = "/metrics";
/// Prometheus' text format, version 0.0.4.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
pub const DEMO_MODE: &str = "X-Demo-Mode";
pub const FORCE_FAST: &str = "force_fast";
pub const FORCE_SLOW: &str = "force_slow";
/// Longest part of a path that a message quotes.
const QUOTED: usize = 80;

pub fn router<B: Backend>(app: Arc<App<B>>) -> Router {
    Router::new()
        .route("/", get(index::<B>))
        .route("/recommend", post(recommend::<B>))
        .route("/feedback", post(feedback::<B>))
        .route(
            "/adapter",
            get(adapter::which::<B>).put(adapter::put::<B>).delete(adapter::remove::<B>),
        )
        .route(HEALTH, get(health::<B>))
        .route(METRICS, get(metrics::<B>))
        .route("/openapi.json", get(openapi::<B>))
        .fallback(not_found::<B>)
        .method_not_allowed_fallback(wrong_method::<B>)
        .with_state(app)
}

/// Recommend what comes next for a history.
#[utoipa::path(
    post,
    path = "/recommend",
    operation_id = "recommend",
    tag = "recommendations",
    request_body = RecommendRequest,
    params(DemoMode),
    responses(
        (status = 200, description = "Recommendations, and why they are what they are", body = RecommendResponse),
        (status = 504, description = "`answer_timeout`: no answer within server.timeout", body = ErrorBody),
        WithHistory, Every
    )
)]
async fn recommend<B: Backend>(State(app): State<Arc<App<B>>>, request: Request) -> Response {
    app.respond(recommended(&app, request).await)
}

async fn recommended<B: Backend>(
    app: &App<B>,
    request: Request,
) -> Result<RecommendResponse, RequestError> {
    let deadline = Instant::now() + app.limits.timeout;
    let force = force(request.headers())?;
    let asked: RecommendRequest = read(request, &app.limits, deadline).await?;
    timeout_at(deadline, app.backend.recommend(asked, force)).await.unwrap_or_else(|_| {
        let message = format!(
            "there was no answer within {} s (server.timeout); try again, or force the fast path",
            seconds(&app.limits)
        );
        Err(error(StatusCode::GATEWAY_TIMEOUT, "answer_timeout", message))
    })
}

fn force(headers: &HeaderMap) -> Result<Force, RequestError> {
    let mut values = headers.get_all(DEMO_MODE).iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (None, _) => Ok(Force::No),
        (Some(mode), None) if mode == FORCE_FAST.as_bytes() => Ok(Force::Fast),
        (Some(mode), None) if mode == FORCE_SLOW.as_bytes() => Ok(Force::Slow),
        _ => Err(error(
            StatusCode::BAD_REQUEST,
            "unknown_demo_mode",
            "`X-Demo-Mode` must be `force_fast` or `force_slow`, once; leave it out to let the \
             router decide",
        )),
    }
}

/// Tell what the user did with an answer.
#[utoipa::path(
    post,
    path = "/feedback",
    operation_id = "feedback",
    tag = "recommendations",
    request_body = FeedbackRequest,
    responses((status = 200, description = "Noted", body = FeedbackResponse), WithItem, Every)
)]
async fn feedback<B: Backend>(State(app): State<Arc<App<B>>>, request: Request) -> Response {
    let deadline = Instant::now() + app.limits.timeout;
    let asked = read(request, &app.limits, deadline).await;
    app.respond(asked.and_then(|asked| app.backend.feedback(asked)))
}

/// Whether the server answers, with which model and adapter.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    tag = "server",
    responses((status = 200, description = "It answers", body = Health), Every)
)]
async fn health<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let mut health = app.backend.health();
    if app.stop.asked.is_cancelled() {
        health.status = "stopping".to_owned();
    }
    app.respond(Ok(health))
}

/// Counters and histograms for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "server",
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"),
        Every
    )
)]
async fn metrics<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    with_type(METRICS_TYPE, app.backend.metrics())
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), Every)
)]
async fn openapi<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    with_type("application/json", app.openapi.clone())
}

/// What there is.
#[derive(Serialize, ToSchema)]
pub struct Index {
    name: &'static str,
    version: &'static str,
    routes: [Entry; 8],
}

#[derive(Serialize, ToSchema)]
struct Entry {
    method: &'static str,
    path: &'static str,
    about: &'static str,
}

/// The routes.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "index",
    tag = "server",
    responses((status = 200, description = "The routes", body = Index), Every)
)]
async fn index<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let entry = |method, path, about| Entry { method, path, about };
    app.respond(Ok(Index {
        name: "DeepM3 Workbench",
        version: env!("CARGO_PKG_VERSION"),
        routes: [
            entry("POST", "/recommend", "what comes next for a history"),
            entry("POST", "/feedback", "what the user did with an answer"),
            entry("GET", "/adapter", "which adapter is on the model"),
            entry("PUT", "/adapter", "put an adapter on the model while it serves"),
            entry("DELETE", "/adapter", "take the adapter off"),
            entry("GET", HEALTH, "whether the server answers, with which model"),
            entry("GET", METRICS, "counters and histograms for Prometheus"),
            entry("GET", "/openapi.json", "the API's description"),
        ],
    }))
}

async fn not_found<B: Backend>(State(app): State<Arc<App<B>>>, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(QUOTED).collect();
    let message = format!("there is no route `{path}`; `GET /` names them all");
    app.refuse(error(StatusCode::NOT_FOUND, "unknown_route", message))
}

async fn wrong_method<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let message = "the route does not know this method; the `Allow` header names those it knows";
    app.refuse(error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_mode_is_one_of_two_words() {
        let ask = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(DEMO_MODE, value.parse().unwrap());
            }
            force(&headers).map_err(|error| (error.status, error.code))
        };
        assert_eq!(ask(&[]), Ok(Force::No));
        assert_eq!(ask(&["force_fast"]), Ok(Force::Fast));
        assert_eq!(ask(&["force_slow"]), Ok(Force::Slow));
        for wrong in [&[""][..], &["auto"], &["FORCE_FAST"], &["force_fast", "force_fast"]] {
            assert_eq!(ask(wrong), Err((400, "unknown_demo_mode")), "{wrong:?}");
        }
    }
}
