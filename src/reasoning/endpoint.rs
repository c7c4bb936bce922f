//! One attempt at an OpenAI-compatible chat endpoint.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use super::address::{Key, chat_url, is_loopback, key};
use super::prices::MOST_TOKENS;
use super::prompt::Prompt;
use super::{Failure, ReasonError};
use crate::remote::{innermost, retry_after};
use crate::settings::ReasonerSettings;

/// Longest body that is read, in bytes. An answer of ten items has a few thousand.
const LONGEST_BODY: usize = 1 << 20;
/// Characters of an endpoint's own words that go into an error.
const LONGEST_DETAIL: usize = 200;

/// Where and how to ask.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: Url,
    /// Host and port, as errors name it.
    host: String,
    model: String,
    key: Option<Key>,
    timeout: Duration,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The message, or why there is none.
    pub result: Result<String, Failure>,
    /// Prompt and completion tokens that the endpoint counted.
    pub counted: Option<[u64; 2]>,
    /// Whether the endpoint may have read the prompt, and so may charge for it.
    pub read: bool,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The part of a chat completion that is looked at.
#[derive(Debug, Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<String>,
}

impl Endpoint {
    /// The endpoint of `settings`; `variable` reads the environment.
    pub fn new(
        settings: &ReasonerSettings,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ReasonError> {
        let url = chat_url(&settings.base_url)?;
        let local = is_loopback(&url);
        let key = key(&settings.key_variable, local, variable)?;
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("deepm3/", env!("CARGO_PKG_VERSION")))
            // A redirected request would take the history to another host.
            .redirect(redirect::Policy::none());
        // A proxy is another machine: its loopback is not ours.
        let builder = if local { builder.no_proxy() } else { builder };
        let client =
            builder.build().map_err(|error| ReasonError::NoClient { reason: innermost(&error) })?;
        let name = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        if key.is_some() && url.scheme() == "http" && !local {
            tracing::warn!("the API key goes to {host} without encryption; use an https address");
        }
        let timeout = Duration::from_secs_f64(settings.timeout);
        Ok(Self { client, url, host, model: settings.model.clone(), key, timeout })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Ask once, within the timeout, or what is `left` of the time for the whole answer.
    pub async fn ask(&self, prompt: &Prompt, left: Option<Duration>) -> Attempt {
        let (longest, setting) = match left.filter(|left| *left < self.timeout) {
            Some(left) => (left, "server.timeout"),
            None => (self.timeout, "reasoner.timeout"),
        };
        tokio::time::timeout(longest, self.exchange(prompt)).await.unwrap_or_else(|_| Attempt {
            read: true,
            ..Attempt::failed(self.too_late(longest, setting))
        })
    }

    /// There was no answer in the time that `setting` gives.
    pub fn too_late(&self, within: Duration, setting: &'static str) -> Failure {
        Failure::Timeout { host: self.host.clone(), seconds: within.as_secs_f64(), setting }
    }

    async fn exchange(&self, prompt: &Prompt) -> Attempt {
        // No temperature, no length: some models refuse any but their own.
        let body = serde_json::json!({
            "model": self.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "response_format": {"type": "json_object"},
            "stream": false,
        });
        let mut request = self.client.post(self.url.clone()).json(&body);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.header());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let read = !error.is_connect() && !error.is_builder();
                return Attempt { read, ..Attempt::failed(self.broken(&error)) };
            }
        };
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER);
        let retry_after = wait.and_then(|wait| wait.to_str().ok()).and_then(retry_after);
        let body = self.body(response).await;
        if !status.is_success() {
            let failure = self.refused(status, body.as_deref().unwrap_or_default());
            return Attempt { retry_after, ..Attempt::failed(failure) };
        }
        match body {
            Ok(body) => self.completion(&body),
            Err(failure) => Attempt { read: true, ..Attempt::failed(failure) },
        }
    }

    /// The whole body, as far as it is of a sane length.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(self.unusable("its answer is longer than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn completion(&self, body: &[u8]) -> Attempt {
        let failed = |reason: &str, counted| Attempt {
            counted,
            read: true,
            ..Attempt::failed(self.unusable(reason))
        };
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
            return failed("its body is not JSON", None);
        };
        let counted = counted(&value);
        let Ok(completion) = Completion::deserialize(value) else {
            return failed("its body is not a chat completion", counted);
        };
        let Some(choice) = completion.choices.into_iter().next() else {
            return failed("its chat completion has no choices", counted);
        };
        if choice.finish_reason.as_deref() == Some("length") {
            return failed("its message was cut off at the model's longest length", counted);
        }
        match choice.message.content {
            Some(text) => {
                Attempt { result: Ok(self.hidden(&text)), counted, read: true, retry_after: None }
            }
            None => failed("its message is empty", counted),
        }
    }

    pub fn unusable(&self, reason: &str) -> Failure {
        Failure::InvalidAnswer { host: self.host.clone(), reason: self.hidden(reason) }
    }

    /// A connection that could not be made, or broke.
    fn broken(&self, error: &reqwest::Error) -> Failure {
        Failure::Connection { host: self.host.clone(), reason: innermost(error) }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let (host, code) = (self.host.clone(), status.as_u16());
        match status {
            StatusCode::TOO_MANY_REQUESTS => Failure::RateLimited { host },
            // DeepSeek answers 402 where the account has no balance left.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PAYMENT_REQUIRED => {
                Failure::Unauthorized { host, status: code }
            }
            StatusCode::REQUEST_TIMEOUT => Failure::Server { host, status: code },
            status if status.is_server_error() => Failure::Server { host, status: code },
            status if status.is_redirection() => Failure::BadRequest {
                host,
                status: code,
                detail: "it redirects, which is not followed".to_owned(),
            },
            _ => Failure::BadRequest { host, status: code, detail: self.detail(body) },
        }
    }

    /// The endpoint's own words about a refusal, shortened.
    fn detail(&self, body: &[u8]) -> String {
        let value = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        let error = value.get("error").unwrap_or(&value);
        let message = error.get("message").unwrap_or(error).as_str().unwrap_or_default();
        // Hidden before it is cut, so that no half of the key is left.
        let hidden = self.hidden(message);
        let words: String = hidden
            .chars()
            .map(|one| if one.is_control() { ' ' } else { one })
            .take(LONGEST_DETAIL)
            .collect();
        match words.trim() {
            "" => "it does not say why".to_owned(),
            words => words.to_owned(),
        }
    }

    /// `text` without the key: endpoints like to quote what they were sent.
    fn hidden(&self, text: &str) -> String {
        match &self.key {
            Some(key) => key.hidden(text),
            None => text.to_owned(),
        }
    }
}

impl Attempt {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), counted: None, read: false, retry_after: None }
    }
}

/// Prompt and completion tokens of a chat completion's `usage`, where it has believable ones.
fn counted(value: &serde_json::Value) -> Option<[u64; 2]> {
    let usage = value.get("usage")?;
    let tokens = |name: &str| usage.get(name)?.as_u64().filter(|&tokens| tokens <= MOST_TOKENS);
    Some([tokens("prompt_tokens")?, tokens("completion_tokens")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base_url: &str, key_variable: &str) -> ReasonerSettings {
        ReasonerSettings {
            base_url: base_url.to_owned(),
            key_variable: key_variable.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_key_is_needed_where_one_is_named_but_not_by_this_machine() {
        let none = |_: &str| None;
        let blank = |_: &str| Some(" \n".to_owned());
        let remote = settings("https://api.example.com/v1", "EXAMPLE_KEY");
        let error = Endpoint::new(&remote, none).unwrap_err();
        assert_eq!(error.code(), "no_key");
        assert!(error.to_string().contains("EXAMPLE_KEY"), "{error}");
        assert!(Endpoint::new(&remote, blank).is_err());
        assert!(Endpoint::new(&settings("https://api.example.com/v1", ""), none).is_ok());
        assert!(Endpoint::new(&settings("http://127.0.0.1:1/v1", "EXAMPLE_KEY"), none).is_ok());
    }

    #[test]
    fn the_key_shows_nowhere() {
        let settings = settings("https://api.example.com/v1", "EXAMPLE_KEY");
        let endpoint = Endpoint::new(&settings, |_| Some("sk-secret\n".to_owned())).unwrap();
        assert!(!format!("{endpoint:?}").contains("secret"), "{endpoint:?}");
        let long = format!("{} your key sk-secret is wrong", "x".repeat(LONGEST_DETAIL - 14));
        let bodies = [
            serde_json::json!({"error": {"message": long}}),
            serde_json::json!({"error": "sk-secret"}),
        ];
        for body in bodies {
            let failure = endpoint.refused(StatusCode::BAD_REQUEST, body.to_string().as_bytes());
            assert!(!format!("{failure} {failure:?}").contains("sk-s"), "{failure}");
        }
        let broken = Endpoint::new(&settings, |_| Some("sk-sec\u{0}ret".to_owned())).unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("sk-sec"), "{broken}");
    }

    #[test]
    fn tokens_are_believed_within_reason() {
        let usage = |prompt: i64| {
            serde_json::json!(
            {"usage": {"prompt_tokens": prompt, "completion_tokens": 2}})
        };
        assert_eq!(counted(&usage(7)), Some([7, 2]));
        assert_eq!(counted(&usage(-7)), None);
        assert_eq!(counted(&usage(i64::MAX)), None);
        assert_eq!(counted(&serde_json::json!({"usage": null})), None);
    }
}
