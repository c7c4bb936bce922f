//! What all requests share, and how an error is answered.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::backend::Backend;
use super::host::Hosts;
use super::limits::Limits;
use super::openapi;
use super::token::Token;
use crate::serving::RequestError;
use crate::serving::wire::ErrorBody;

/// One server's state.
pub struct App<B> {
    pub backend: Arc<B>,
    pub hosts: Hosts,
    pub token: Option<Arc<Token>>,
    pub limits: Limits,
    /// One for each request at once.
    pub places: Semaphore,
    /// Held while an adapter is received and put on, and while it is changed.
    pub receiving: tokio::sync::Mutex<()>,
    pub adapting: tokio::sync::Mutex<()>,
    /// The body of `GET /openapi.json`.
    pub openapi: Bytes,
    pub stop: Stop,
}

/// How a server is told to stop, and what came of it.
#[derive(Clone, Default)]
pub struct Stop {
    /// No new requests; those accepted finish.
    pub asked: CancellationToken,
    /// The deadline has passed.
    pub overdue: CancellationToken,
    /// Requests that the deadline cut off.
    pub aborted: Arc<AtomicUsize>,
}

impl<B: Backend> App<B> {
    pub fn new(backend: Arc<B>, hosts: Hosts, token: Option<Arc<Token>>, limits: Limits) -> Self {
        Self {
            backend,
            hosts,
            places: Semaphore::new(limits.concurrency),
            receiving: tokio::sync::Mutex::new(()),
            adapting: tokio::sync::Mutex::new(()),
            openapi: openapi::document(token.is_some()).into(),
            token,
            limits,
            stop: Stop::default(),
        }
    }

    /// The answer to a request that failed; counts it.
    pub fn refuse(&self, error: RequestError) -> Response {
        let RequestError { status, code, message } = error;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.backend.rejected(status.as_u16(), code);
        let body = ErrorBody { status: "error".to_owned(), code: code.to_owned(), message };
        // Three strings can always be written.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = with_type("application/json", json);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                let value = HeaderValue::from_static("Bearer realm=\"deepm3\"");
                headers.insert(WWW_AUTHENTICATE, value);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    /// The answer to a request that succeeded, or did not.
    pub fn respond<T: Serialize>(&self, result: Result<T, RequestError>) -> Response {
        let json = result.and_then(|value| {
            serde_json::to_vec(&value).map_err(|error| {
                RequestError::internal(format!("the answer could not be written: {error}"))
            })
        });
        match json {
            Ok(json) => with_type("application/json", json),
            Err(error) => self.refuse(error),
        }
    }
}

/// A 200 with this body.
pub fn with_type(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error that the API itself finds.
pub fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> RequestError {
    RequestError { status: status.as_u16(), code, message: message.into() }
}
