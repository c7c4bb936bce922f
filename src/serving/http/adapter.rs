//! The adapter on the served model: which, another, none.
//!
//! The file comes as the body and not as a path: the client may be on another machine, and a path
//! would let it ask what lies on this one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::app::{App, error};
use super::backend::Backend;
use super::body::read_file;
use super::openapi::{Every, WithFile};
use crate::serving::wire::{AdapterState, ErrorBody};
use crate::serving::{RequestError, outcome};
use crate::training::adapter::LARGEST;

/// Tell which adapter is on the model that answers.
#[utoipa::path(
    get,
    path = "/adapter",
    operation_id = "adapter",
    tag = "model",
    responses((status = 200, description = "The adapter, or null", body = AdapterState), Every)
)]
pub async fn which<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    app.respond(Ok(app.backend.adapter()))
}

/// Put an adapter on the model, in place of the one that is on. Requests in flight finish on the old
/// weights; if the adapter is refused they all do.
#[utoipa::path(
    put,
    path = "/adapter",
    operation_id = "put_adapter",
    tag = "model",
    request_body(
        content = String,
        content_type = "application/octet-stream",
        description = "An `adapter-….safetensors` file as `deepm3 experiment dora` writes it, at \
                       most 64 MiB: `curl -T FILE http://HOST/adapter`"
    ),
    responses(
        (status = 200, description = "It is on", body = AdapterState),
        (status = 409, description = "`busy`: another change of the adapter is under way", body = ErrorBody),
        WithFile, Every
    )
)]
pub async fn put<B: Backend>(State(app): State<Arc<App<B>>>, request: Request) -> Response {
    let adapted = async {
        let deadline = Instant::now() + app.limits.timeout;
        // One file at a time in memory; who takes an adapter off need not wait until it has arrived.
        let _receiving = alone(&app.receiving)?;
        let bytes = read_file(request, LARGEST, &app.limits, deadline).await?;
        let _adapting = alone(&app.adapting)?;
        adapt(&app, Some(bytes)).await
    };
    app.respond(adapted.await)
}

/// Take the adapter off; nothing changes where none is on.
#[utoipa::path(
    delete,
    path = "/adapter",
    operation_id = "remove_adapter",
    tag = "model",
    responses(
        (status = 200, description = "None is on", body = AdapterState),
        (status = 409, description = "`busy`: another change of the adapter is under way", body = ErrorBody),
        Every
    )
)]
pub async fn remove<B: Backend>(State(app): State<Arc<App<B>>>) -> Response {
    let adapted = async {
        let _adapting = alone(&app.adapting)?;
        adapt(&app, None).await
    };
    app.respond(adapted.await)
}

/// One change at a time: each may hold a large file and keeps a core busy.
fn alone(one: &Mutex<()>) -> Result<MutexGuard<'_, ()>, RequestError> {
    one.try_lock().map_err(|_| {
        let message = "another change of the adapter is under way; try again in a second";
        error(StatusCode::CONFLICT, "busy", message)
    })
}

/// No deadline: a change that was begun is finished, and its outcome told.
async fn adapt<B: Backend>(
    app: &Arc<App<B>>,
    bytes: Option<Bytes>,
) -> Result<AdapterState, RequestError> {
    let backend = app.backend.clone();
    let work = tokio::task::spawn_blocking(move || backend.adapt(bytes.as_deref()));
    outcome(work.await)?
}
