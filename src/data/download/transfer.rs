//! One file over HTTP: tries, waits, resumes, gives up.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, redirect};

use super::meter::Meter;
use super::part::Part;
use super::response::{
    Failure, content_range, refuse_wrong_body, request_failure, resume_from, status_failure,
};
use super::staging::Staging;
use super::{DownloadError, Options, Recorded};
use crate::data::catalog::{Entry, Source};
use crate::jobs::{Cancelled, Context};
use crate::remote::innermost;

/// How often a wait looks up to see whether it should go on.
const POLL: Duration = Duration::from_millis(100);
/// A try that brought this much more than any before it starts the count of tries anew.
const HEADWAY: u64 = 1 << 20;
/// No set here is larger; an endless body of unknown length must end somewhere.
const MAX_BYTES: u64 = 20_000_000_000;

/// Fetches the files of one set.
pub(super) struct Transfer<'a, E> {
    client: Client,
    options: &'a Options,
    context: &'a Context<E>,
    meter: Meter,
}

impl<'a, E> Transfer<'a, E> {
    pub fn new(
        entry: &Entry,
        options: &'a Options,
        context: &'a Context<E>,
    ) -> Result<Self, DownloadError> {
        // Fails only where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("deepm3/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::custom(follow))
            .build()
            .map_err(|error| DownloadError::Client(innermost(&error)))?;
        let meter = Meter::new(entry.files.iter().map(|file| file.bytes).collect());
        Ok(Self { client, options, context, meter })
    }

    /// Get `source`, the set's file number `index`, from the first address that has it, check it
    /// and put it where [`Staging::download`] says.
    pub async fn fetch(
        &mut self,
        index: usize,
        source: &Source,
        staging: &Staging,
    ) -> Result<Recorded, DownloadError> {
        let target = staging.download(source);
        if target.is_file() {
            // From an earlier call that was stopped after this file.
            let found = Recorded::of(&target, &source.save_as, self.context)?;
            if check(&found, source, "").is_ok() {
                self.meter.set(index, found.bytes, Some(found.bytes), self.context);
                return Ok(found);
            }
            std::fs::remove_file(&target).map_err(DownloadError::disk(&target))?;
        }
        let mut first_error = None;
        for url in &source.urls {
            let part = Part::new(&staging.arriving(source));
            let error = match self.fetch_from(index, url, source, &part).await {
                Ok(fetched) => {
                    part.finish(&target)?;
                    return Ok(fetched);
                }
                Err(error) => error,
            };
            if !error.is_of_the_address() {
                return Err(error);
            }
            // The publisher's own answer tells more than that of a mirror.
            first_error.get_or_insert(error);
        }
        Err(first_error.unwrap_or_else(|| DownloadError::Client("no address given".to_owned())))
    }

    /// Try `url` until the file is there, checked, or there is no point in trying on.
    async fn fetch_from(
        &mut self,
        index: usize,
        url: &str,
        source: &Source,
        part: &Part,
    ) -> Result<Recorded, DownloadError> {
        let mut failures = 0;
        let mut furthest = part.len();
        loop {
            let (reason, wait) = match self.attempt(index, url, source, part).await {
                Ok(()) => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again { reason, wait }) => (reason, wait),
            };
            if part.len() >= furthest + HEADWAY {
                furthest = part.len();
                failures = 0;
            }
            failures += 1;
            if failures > self.options.retries {
                return Err(DownloadError::Network {
                    url: url.to_owned(),
                    tries: failures,
                    reason,
                });
            }
            let wait = wait.unwrap_or_else(|| self.backoff(failures));
            let wait = wait.min(self.options.max_backoff);
            let (seconds, retries) = (wait.as_secs_f32().ceil(), self.options.retries);
            let message = format!("Retry {failures} of {retries} in {seconds} s: {reason}");
            self.context.progress(None, message);
            self.watched(wait, std::future::pending::<()>()).await?;
        }
        self.context.progress(None, format!("Checking {}", source.save_as));
        let found = Recorded::of(&part.path, &source.save_as, self.context)?;
        if let Err(error) = check(&found, source, url) {
            part.discard()?;
            return Err(error);
        }
        Ok(found)
    }

    /// Doubling waits, give or take half so that many clients do not come back as one.
    fn backoff(&self, failures: u32) -> Duration {
        let doubled = self.options.backoff.saturating_mul(1 << (failures - 1).min(16));
        // A hasher is seeded at random: all the randomness this needs.
        let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        doubled.min(self.options.max_backoff).mul_f64(0.5 + random)
    }

    /// One request: from where the part file ends, or from the start.
    async fn attempt(
        &mut self,
        index: usize,
        url: &str,
        source: &Source,
        part: &Part,
    ) -> Result<(), Failure> {
        let known = part.resume(url);
        let have = if known.is_some() { part.len() } else { 0 };
        let size = source.bytes.or(known.as_ref().and_then(|known| known.total));
        if have > 0 && Some(have) == size {
            return Ok(());
        }
        let mut request = self.client.get(url).header(ACCEPT_ENCODING, "identity");
        let continued = known.filter(|_| have > 0 && size.is_none_or(|size| have < size));
        if let Some(known) = &continued {
            request = request
                .header(RANGE, format!("bytes={have}-"))
                .header(IF_RANGE, known.validator.as_str());
        }
        let limit = self.options.connect_timeout + self.options.stall_timeout;
        let response = match self.watched(limit, request.send()).await? {
            None => return Err(Failure::again("the server does not answer")),
            Some(Err(error)) => return Err(request_failure(url, &error)),
            Some(Ok(response)) => response,
        };
        let file = match response.status() {
            StatusCode::PARTIAL_CONTENT if continued.is_some() => {
                if content_range(&response).0 != Some(have) {
                    part.discard()?;
                    return Err(Failure::again("the server continued at the wrong place"));
                }
                self.meter.set(index, have, size, self.context);
                part.append()?
            }
            StatusCode::RANGE_NOT_SATISFIABLE if continued.is_some() => {
                if content_range(&response).1 == Some(have) {
                    return Ok(());
                }
                part.discard()?;
                return Err(Failure::again("the file on the server has changed"));
            }
            StatusCode::OK => {
                let total = response.content_length();
                refuse_wrong_body(url, source, &response)?;
                self.meter.set(index, 0, total, self.context);
                part.start(resume_from(url, &response).as_ref())?
            }
            status => return Err(status_failure(url, status, &response)),
        };
        self.receive(index, url, source, part, response, file).await
    }

    /// Write the body to the part file until it ends.
    async fn receive(
        &mut self,
        index: usize,
        url: &str,
        source: &Source,
        part: &Part,
        mut response: Response,
        mut file: File,
    ) -> Result<(), Failure> {
        let limit = source.bytes.unwrap_or(MAX_BYTES);
        let mut have = part.len();
        loop {
            let chunk = match self.watched(self.options.stall_timeout, response.chunk()).await? {
                None => return Err(Failure::again("the server stopped sending")),
                Some(Err(error)) => return Err(request_failure(url, &error)),
                Some(Ok(chunk)) => chunk,
            };
            let Some(chunk) = chunk else { break };
            have += chunk.len() as u64;
            if have > limit {
                part.discard()?;
                let url = url.to_owned();
                return Err(DownloadError::WrongSize { url, expected: limit, got: have }.into());
            }
            file.write_all(&chunk).map_err(DownloadError::disk(&part.path))?;
            self.meter.add(index, chunk.len() as u64, self.context);
        }
        file.sync_all().map_err(DownloadError::disk(&part.path))?;
        // Where the server names no length, a cut connection looks like an end.
        if source.bytes.is_some_and(|bytes| have < bytes) {
            return Err(Failure::again("the connection ended early"));
        }
        Ok(())
    }

    /// `work`, or `None` once it took longer than `limit`; time spent paused does not count.
    async fn watched<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Cancelled> {
        let mut work = pin!(work);
        let mut left = limit;
        loop {
            self.context.checkpoint()?;
            let step = left.min(POLL);
            if let Ok(output) = tokio::time::timeout(step, &mut work).await {
                return Ok(Some(output));
            }
            left -= step;
            if left.is_zero() {
                return Ok(None);
            }
        }
    }
}

/// Ten hops, and never from an encrypted address to one that is not.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let encrypted = attempt.previous().iter().any(|url| url.scheme() == "https");
    if encrypted && attempt.url().scheme() != "https" {
        attempt.error("the server redirects to an address without encryption")
    } else if attempt.previous().len() > 10 {
        attempt.error("the server redirects in circles")
    } else {
        attempt.follow()
    }
}

/// That what was received is what the catalogue names.
fn check(found: &Recorded, source: &Source, url: &str) -> Result<(), DownloadError> {
    if let Some(expected) = source.bytes.filter(|&bytes| bytes != found.bytes) {
        return Err(DownloadError::WrongSize { url: url.to_owned(), expected, got: found.bytes });
    }
    match source.sha256.as_ref().filter(|sum| **sum != found.sha256) {
        Some(expected) => Err(DownloadError::WrongChecksum {
            url: url.to_owned(),
            expected: expected.clone(),
            got: found.sha256.clone(),
        }),
        None => Ok(()),
    }
}
