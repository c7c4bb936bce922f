//! What a server's answer means: go on, try again, or give up.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::DownloadError;
use super::error::tls_error;
use super::part::Resume;
use crate::data::catalog::Source;
use crate::remote::{innermost, retry_after};

/// How a try that brought no complete file ended.
pub(super) enum Failure {
    /// Another try may do better, after `wait` if the server named one.
    Again {
        reason: String,
        wait: Option<Duration>,
    },
    Final(DownloadError),
}

impl Failure {
    pub fn again(reason: impl Into<String>) -> Self {
        Self::Again { reason: reason.into(), wait: None }
    }
}

impl<T: Into<DownloadError>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self::Final(error.into())
    }
}

/// Spare the download of a body that can only be refused.
pub(super) fn refuse_wrong_body(
    url: &str,
    source: &Source,
    response: &Response,
) -> Result<(), DownloadError> {
    let length = response.content_length();
    if let (Some(expected), Some(got)) = (source.bytes, length)
        && expected != got
    {
        return Err(DownloadError::WrongSize { url: url.to_owned(), expected, got });
    }
    if header(response, CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
        return Err(DownloadError::WebPage { url: url.to_owned() });
    }
    Ok(())
}

/// A request or a body that broke off.
pub(super) fn request_failure(url: &str, error: &reqwest::Error) -> Failure {
    if let Some(tls) = tls_error(error) {
        let reason = tls.to_string();
        return DownloadError::Certificate { url: url.to_owned(), reason }.into();
    }
    let reason = innermost(error);
    if error.is_redirect() || error.is_builder() {
        return DownloadError::Network { url: url.to_owned(), tries: 1, reason }.into();
    }
    Failure::again(reason)
}

/// A status that brings no data.
pub(super) fn status_failure(url: &str, status: StatusCode, response: &Response) -> Failure {
    let passing =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_server_error() || passing.contains(&status) {
        let wait = header(response, RETRY_AFTER).and_then(retry_after);
        return Failure::Again { reason: format!("the server answered {status}"), wait };
    }
    let advice = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            "the publisher has moved the file: look for it on the set's homepage"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the publisher does not give it to everyone: look at the set's homepage"
        }
        _ => "try again later, or look at the set's homepage",
    };
    DownloadError::Status { url: url.to_owned(), status: status.to_string(), advice }.into()
}

/// What to remember to continue this body later; weak ETags do not promise the same bytes.
pub(super) fn resume_from(url: &str, response: &Response) -> Option<Resume> {
    let strong = header(response, ETAG).filter(|tag| !tag.starts_with("W/"));
    let validator = strong.or_else(|| header(response, LAST_MODIFIED))?.to_owned();
    Some(Resume { url: url.to_owned(), validator, total: response.content_length() })
}

/// First byte and whole size, where `Content-Range` names them.
pub(super) fn content_range(response: &Response) -> (Option<u64>, Option<u64>) {
    let range = header(response, CONTENT_RANGE).and_then(|text| text.strip_prefix("bytes "));
    let Some((span, total)) = range.and_then(|range| range.split_once('/')) else {
        return (None, None);
    };
    let first = span.split_once('-').and_then(|(first, _)| first.parse().ok());
    (first, total.parse().ok())
}

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}
