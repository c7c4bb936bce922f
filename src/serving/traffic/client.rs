//! One request over a kept connection, and what its answer says.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::target::Target;
use super::{TrafficError, TrafficPlan};

/// Longest wait for an answer; a server of ours gives up by itself before that.
const ANSWER: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A longer answer is none of ours.
const MOST_BYTES: usize = 8 << 20;
/// A longer error code is none of ours.
const LONGEST_CODE: usize = 48;

/// Sends requests; its connections are kept and shared.
pub struct Client {
    http: reqwest::Client,
    url: Url,
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub result: Result<Answer, Failure>,
    /// Bytes of the body received.
    pub bytes: u64,
}

/// What an answer says about how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// `cache`, or else whose answer it is: `fast_path`, `slow_path`.
    pub served: String,
    /// The router's reason; empty where the server gives none.
    pub reason: String,
    pub cached: bool,
    /// Warnings it carries.
    pub warnings: usize,
}

/// Why there is no answer: `503 overloaded`, `timeout`, `cannot_connect`, `connection_lost`,
/// `answer_too_long` or `invalid_answer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl Client {
    /// A client that talks to `target` alone: no proxy, no redirects, no other address.
    ///
    /// # Errors
    /// [`TrafficError::BadToken`], or [`TrafficError::Client`] where TLS cannot be set up.
    pub fn new(plan: &TrafficPlan, target: Target) -> Result<Self, TrafficError> {
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &plan.token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| TrafficError::BadToken)?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("deepm3/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .resolve(&target.host, target.address)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(plan.settings.concurrency)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
            .map_err(|error| TrafficError::Client(error.to_string()))?;
        Ok(Self { http, url: target.url })
    }

    /// Send `body` and read the whole answer.
    pub async fn ask(&self, body: Vec<u8>) -> Outcome {
        match self.http.post(self.url.clone()).body(body).send().await {
            Ok(response) => read(response).await,
            Err(error) => Outcome { result: Err(lost(&error)), bytes: 0 },
        }
    }
}

async fn read(mut response: Response) -> Outcome {
    let status = response.status();
    let mut body = Vec::new();
    let result = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break understand(status, &body),
            Err(error) => break Err(lost(&error)),
        }
        if body.len() > MOST_BYTES {
            break Err(Failure("answer_too_long".to_owned()));
        }
    };
    Outcome { result, bytes: body.len() as u64 }
}

fn lost(error: &reqwest::Error) -> Failure {
    let code = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "cannot_connect"
    } else {
        "connection_lost"
    };
    Failure(code.to_owned())
}

/// Only what is counted, so that a generator at full rate does not spend its time on parsing.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    reasoning_source: Cow<'a, str>,
    #[serde(borrow)]
    meta: Meta<'a>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    warnings: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

fn understand(status: StatusCode, body: &[u8]) -> Result<Answer, Failure> {
    if !status.is_success() {
        let number = status.as_u16();
        return Err(Failure(match serde_json::from_slice::<Refusal>(body) {
            Ok(refusal) if refusal.code.len() <= LONGEST_CODE => {
                format!("{number} {}", refusal.code)
            }
            _ => number.to_string(),
        }));
    }
    let Body { data } =
        serde_json::from_slice(body).map_err(|_| Failure("invalid_answer".to_owned()))?;
    let meta = data.meta;
    Ok(Answer {
        served: if meta.cached { "cache".to_owned() } else { data.reasoning_source.into_owned() },
        reason: meta.reason.into_owned(),
        cached: meta.cached,
        warnings: meta.warnings.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_for_what_is_counted() {
        let body = br#"{"status":"success","data":{"user_id":"a","reasoning_source":"slow_path",
            "meta":{"routing_decision":"slow_path","reason":"uncertain","cached":false,
            "warnings":[{"code":"equal_times","message":"x"}]},"recommendations":[]}}"#;
        let answer = understand(StatusCode::OK, body).unwrap();
        assert_eq!((answer.served.as_str(), answer.reason.as_str()), ("slow_path", "uncertain"));
        assert_eq!((answer.cached, answer.warnings), (false, 1));

        let body =
            br#"{"data":{"reasoning_source":"fast_path","meta":{"cached":true,"reason":"cache"}}}"#;
        assert_eq!(understand(StatusCode::OK, body).unwrap().served, "cache");
        // DeepM3's own server says neither reason nor cached.
        let body = br#"{"data":{"reasoning_source":"fast_path","meta":{"entropy":0.4}}}"#;
        assert_eq!(understand(StatusCode::OK, body).unwrap().reason, "");
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let failed = |status, body: &str| understand(status, body.as_bytes()).unwrap_err().0;
        let body = r#"{"status":"error","code":"overloaded","message":"later"}"#;
        assert_eq!(failed(StatusCode::SERVICE_UNAVAILABLE, body), "503 overloaded");
        assert_eq!(failed(StatusCode::UNAUTHORIZED, "no"), "401");
        let long = format!(r#"{{"code":"{}"}}"#, "x".repeat(500));
        assert_eq!(failed(StatusCode::BAD_REQUEST, &long), "400");
        assert_eq!(failed(StatusCode::OK, "<html>"), "invalid_answer");
    }
}
