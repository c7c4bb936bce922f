//! The whole system live: one engine answers requests, an HTTP API wraps it.
//!
//! [`ServedModel`] is a finished run made ready to answer; [`Engine`] takes a request through
//! checking, cache, System 1, router and System 2; [`http`] is the axum API around it;
//! `pulse` keeps item dynamics current; [`telemetry`] counts what happened for Prometheus and the
//! window; [`impressions`] logs every answer; [`traffic`] asks for more of them; [`replay`] shows
//! what a router setting would do to the held-out requests.

mod answer;
mod cache;
mod compute;
mod engine;
mod error;
pub mod http;
pub mod impressions;
mod model;
pub mod people;
mod perceive;
mod pulse;
pub mod replay;
mod request;
pub mod telemetry;
pub mod traffic;
mod users;
pub mod wire;

pub use engine::{Engine, EngineOptions};
use error::outcome;
pub use error::{RequestError, ServeError};
pub use model::ServedModel;
pub use perceive::{best, uncertainty};
