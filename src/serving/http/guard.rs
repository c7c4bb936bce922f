//! What every request passes before it comes to a route.
//!
//! One service instead of a stack of layers: each would cost every request an allocation.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::serve::IncomingStream;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tower::Service;

use super::app::{App, error};
use super::backend::Backend;
use super::connection::{Activity, Door};
use super::routes;
use crate::serving::RequestError;

/// Makes a [`Guard`] for each connection.
pub struct Guards<B> {
    app: Arc<App<B>>,
    router: Router,
}

impl<B: Backend> Guards<B> {
    pub fn new(app: Arc<App<B>>) -> Self {
        Self { router: routes::router(app.clone()), app }
    }
}

impl<B: Backend> Service<IncomingStream<'_, Door>> for Guards<B> {
    type Response = Guard<B>;
    type Error = Infallible;
    type Future = Ready<Result<Guard<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Door>) -> Self::Future {
        ready(Ok(Guard {
            app: self.app.clone(),
            router: self.router.clone(),
            activity: stream.io().activity(),
        }))
    }
}

/// Answers the requests of one connection.
pub struct Guard<B> {
    app: Arc<App<B>>,
    router: Router,
    activity: Arc<Activity>,
}

// Derived, it would ask the same of `B`.
impl<B> Clone for Guard<B> {
    fn clone(&self) -> Self {
        let Self { app, router, activity } = self;
        Self { app: app.clone(), router: router.clone(), activity: activity.clone() }
    }
}

impl<B: Backend> Service<Request> for Guard<B> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let busy = self.activity.busy();
        let Self { app, router, .. } = self.clone();
        Box::pin(async move {
            let _busy = busy;
            let work = AssertUnwindSafe(answer(&app, router, request)).catch_unwind();
            let response = tokio::select! {
                biased;
                done = work => done.unwrap_or_else(|panic| app.refuse(panicked(panic.as_ref()))),
                () = app.stop.overdue.cancelled() => {
                    app.stop.aborted.fetch_add(1, Ordering::Relaxed);
                    app.refuse(error(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "stopping",
                        "the server stopped before this request was done",
                    ))
                }
            };
            Ok(response)
        })
    }
}

async fn answer<B: Backend>(app: &App<B>, mut router: Router, request: Request) -> Response {
    if let Err(error) = app.hosts.check(&request) {
        return app.refuse(error);
    }
    if let Some(Err(error)) = app.token.as_ref().map(|token| token.check(request.headers())) {
        return app.refuse(error);
    }
    let _place = match app.places.try_acquire() {
        Ok(place) => Some(place),
        // Whoever watches an overloaded server must still get through.
        Err(_) if matches!(request.uri().path(), routes::HEALTH | routes::METRICS) => None,
        Err(_) => {
            let message = format!(
                "{} requests are being read or answered, which is the most at once \
                 (server.concurrency); try again in a second",
                app.limits.concurrency
            );
            return app.refuse(error(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message));
        }
    };
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn panicked(panic: &(dyn Any + Send)) -> RequestError {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!("a request failed by a panic: {said}");
    RequestError::internal("the server failed on this request and goes on; its log says more")
}
