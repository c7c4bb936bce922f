//! Downloads a set of the catalogue: over HTTP, resumable, checked, then moved into place whole.
//!
//! Everything arrives in `NAME.part` beside the final folder. Only when every file has the size
//! and SHA-256 it should have is that renamed to `NAME`, so the folder to import is complete or
//! absent. A stopped or failed download keeps what it received and continues from there.

mod archive;
mod error;
mod manifest;
mod meter;
mod part;
mod response;
mod staging;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::jobs::Context;

use super::catalog::{Entry, Source};
pub use error::DownloadError;
pub(super) use manifest::is_sha256;
pub use manifest::{Manifest, Recorded};
use staging::Staging;
use transfer::Transfer;

/// How patient a download is.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the next byte before the server counts as stalled.
    pub stall_timeout: Duration,
    /// Tries after the first one, for each address; a try that got further starts the count anew.
    pub retries: u32,
    /// Wait before the first retry; doubles each time, give or take half.
    pub backoff: Duration,
    /// Longest wait between two tries, also where a server asks for more.
    pub max_backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            retries: 5,
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(60),
        }
    }
}

/// Download `entry` into `data_dir`, unless it is there already. Blocks; progress, pause and
/// cancel go through `context`, and a cancel is honoured within a second.
///
/// Returns the folder to import.
///
/// # Errors
/// [`DownloadError`], saying what to do. Nothing unchecked is left in the folder; what was
/// received is kept for the next call.
pub fn download<E>(
    entry: &Entry,
    data_dir: &Path,
    context: &Context<E>,
) -> Result<PathBuf, DownloadError> {
    download_with(entry, data_dir, &Options::default(), context)
}

/// [`download`] with its patience chosen.
///
/// # Errors
/// As [`download`].
pub fn download_with<E>(
    entry: &Entry,
    data_dir: &Path,
    options: &Options,
    context: &Context<E>,
) -> Result<PathBuf, DownloadError> {
    entry.check()?;
    if !entry.agreed(data_dir) {
        return Err(DownloadError::LicenceNotAgreed {
            title: entry.title.clone(),
            licence: entry.licence.name.clone(),
            url: entry.licence.url.clone(),
        });
    }
    let folder = entry.folder(data_dir);
    if entry.is_downloaded(data_dir) {
        return Ok(folder);
    }
    let staging = Staging::open(data_dir, &entry.name)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DownloadError::Client(source.to_string()))?;
    let manifest = Transfer::new(entry, options, context).and_then(|mut transfer| {
        let mut manifest = Manifest::default();
        for (index, source) in entry.files.iter().enumerate() {
            let fetched = runtime.block_on(transfer.fetch(index, source, &staging))?;
            keep(source, fetched, &staging, &mut manifest, context)?;
        }
        Ok(manifest)
    });
    // A name lookup cannot be interrupted; waiting for one would hold up a cancel.
    runtime.shutdown_background();
    staging.publish(&manifest?, &folder)?;
    Ok(folder)
}

/// Note what was fetched, and unpack it where it is an archive.
fn keep<E>(
    source: &Source,
    fetched: Recorded,
    staging: &Staging,
    manifest: &mut Manifest,
    context: &Context<E>,
) -> Result<(), DownloadError> {
    if source.members.is_empty() {
        manifest.files.push(fetched.clone());
    } else {
        let archive = staging.download(source);
        manifest.files.extend(archive::unpack(&archive, source, &staging.files(), context)?);
    }
    manifest.sources.push(fetched);
    Ok(())
}

/// Check a downloaded set against the checksums recorded when it was downloaded. Reads every
/// byte: about a second for 500 MB.
///
/// # Errors
/// [`DownloadError::Damaged`] with the file that is missing or was changed.
pub fn verify<E>(
    entry: &Entry,
    data_dir: &Path,
    context: &Context<E>,
) -> Result<(), DownloadError> {
    let folder = entry.folder(data_dir);
    let damaged = |path: PathBuf| DownloadError::Damaged { path, name: entry.name.clone() };
    let manifest = Manifest::read(&folder)
        .filter(|manifest| manifest.matches(entry))
        .ok_or_else(|| damaged(folder.join(Manifest::FILE)))?;
    for recorded in &manifest.files {
        let path = folder.join(&recorded.name);
        if !path.is_file() || Recorded::of(&path, &recorded.name, context)? != *recorded {
            return Err(damaged(path));
        }
    }
    Ok(())
}
