//! How asking System 2 fails, and what to do about it.

use std::time::Duration;

use super::Usage;

/// System 2 gave no answer. No message holds the API key.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReasonError {
    /// All attempts failed; the last one says how.
    #[error("{failure}")]
    Failed { failure: Failure, usage: Usage },
    #[error(
        "the circuit breaker is open after repeated failures; {}",
        retry_in.map_or_else(
            || "another request is trying whether the endpoint is back".to_owned(),
            |wait| format!("the endpoint is tried again in {:.0} s", wait.as_secs_f64().ceil()),
        )
    )]
    BreakerOpen { retry_in: Option<Duration> },
    #[error(
        "the environment variable {variable} holds no usable API key; set it and start again, or \
         change reasoner.key_variable (empty where the endpoint needs no key)"
    )]
    NoKey { variable: String },
    #[error("reasoner.base_url cannot be asked: {reason}; give an address like https://host/v1")]
    BadAddress { reason: String },
    #[error(
        "no connection can be prepared: {reason}; where certificates are missing, install the \
         system's package `ca-certificates`"
    )]
    NoClient { reason: String },
    #[error(
        "no local model can answer: {reason}; train one with `deepm3 experiment alignment`, or name \
         the folder of one in reasoner.local_folder"
    )]
    NoModel { reason: String },
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    #[error("{host} did not answer within {seconds:.3} s; try again, or raise {setting}")]
    Timeout {
        host: String,
        seconds: f64,
        /// The setting that bounds it.
        setting: &'static str,
    },
    #[error(
        "{host} asks for fewer requests (429); lower router.rate, or raise the account's limit"
    )]
    RateLimited { host: String },
    #[error("{host} answered {status}; its operator has to look, try again later")]
    Server { host: String, status: u16 },
    #[error("the connection to {host} failed: {reason}; check reasoner.base_url and the network")]
    Connection { host: String, reason: String },
    #[error("{host} gave no usable answer: {reason}; if it stays so, try another reasoner.model")]
    InvalidAnswer { host: String, reason: String },
    #[error("{host} refused the API key ({status}); check the key and the account behind it")]
    Unauthorized { host: String, status: u16 },
    #[error(
        "{host} refused the request ({status}): {detail}; check reasoner.base_url and \
         reasoner.model"
    )]
    BadRequest { host: String, status: u16, detail: String },
}

impl Failure {
    /// Whether the same request may do better in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Connection { .. } => true,
            Self::InvalidAnswer { .. } | Self::Unauthorized { .. } | Self::BadRequest { .. } => {
                false
            }
        }
    }

    /// One word for logs, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "timeout",
            Self::RateLimited { .. } => "rate_limited",
            Self::Server { .. } => "server_error",
            Self::Connection { .. } => "connection",
            Self::InvalidAnswer { .. } => "invalid_answer",
            Self::Unauthorized { .. } => "unauthorized",
            Self::BadRequest { .. } => "bad_request",
        }
    }
}

impl ReasonError {
    /// One word for logs, metrics and programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed { failure, .. } => failure.code(),
            Self::BreakerOpen { .. } => "breaker_open",
            Self::NoKey { .. } => "no_key",
            Self::BadAddress { .. } => "bad_address",
            Self::NoClient { .. } => "connection",
            Self::NoModel { .. } => "no_model",
        }
    }

    /// What it took although it failed.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Failed { usage, .. } => usage.clone(),
            Self::BreakerOpen { .. }
            | Self::NoKey { .. }
            | Self::BadAddress { .. }
            | Self::NoClient { .. }
            | Self::NoModel { .. } => Usage::default(),
        }
    }
}
