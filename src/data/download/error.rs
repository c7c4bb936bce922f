//! Why a download did not happen, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::data::catalog::CatalogError;
use crate::jobs::Cancelled;

/// Why a set could not be downloaded or verified.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(
        "{title} comes under its own terms ({licence}); read them at {url} and agree to them first"
    )]
    LicenceNotAgreed { title: String, licence: String, url: String },
    #[error("`{name}` is being downloaded already, here or in another window; wait for that one")]
    Busy { name: String },
    #[error(
        "no connection can be prepared: {0}; where certificates are missing, install the system's \
         package `ca-certificates`"
    )]
    Client(String),
    #[error("{url} answered {status}; {advice}")]
    Status { url: String, status: String, advice: &'static str },
    #[error(
        "{url} could not be downloaded in {tries} tries: {reason}; check the connection and \
         start again, what was received is kept"
    )]
    Network { url: String, tries: u32, reason: String },
    #[error(
        "the certificate of {url} was not accepted ({reason}); check this computer's date, and if \
         that is right the publisher has to renew it: try again another day"
    )]
    Certificate { url: String, reason: String },
    #[error(
        "{url} sent a web page instead of data; a network that asks for a login does that: log in, \
         or open the address in a browser"
    )]
    WebPage { url: String },
    #[error(
        "{url} holds {got} bytes, expected {expected}; it was discarded. Try again, and if it \
         stays so the publisher has changed the file: compare with the set's homepage"
    )]
    WrongSize { url: String, expected: u64, got: u64 },
    #[error(
        "{url} has SHA-256 {got}, expected {expected}; it was discarded. Try again, and if it \
         stays so the publisher has changed the file: compare with the set's homepage"
    )]
    WrongChecksum { url: String, expected: String, got: String },
    #[error("{} is not a usable archive: {reason}; it was discarded, try again", path.display())]
    Archive { path: PathBuf, reason: String },
    #[error(
        "{} was refused: its member `{member}` points outside the archive; do not use this source",
        path.display()
    )]
    UnsafeMember { path: PathBuf, member: String },
    #[error(
        "{} was refused: its member `{member}` unpacks to more than {limit} bytes; do not use this \
         source, or raise `max_bytes` in the catalogue", path.display()
    )]
    MemberTooLarge { path: PathBuf, member: String, limit: u64 },
    #[error(
        "{} is missing or was changed since it was downloaded; get `{name}` again",
        path.display()
    )]
    Damaged { path: PathBuf, name: String },
    #[error("{}: {source}; {}", path.display(), advice(source))]
    Disk { path: PathBuf, source: io::Error },
}

impl DownloadError {
    /// An error of the file system at `path`.
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { path: path.to_owned(), source }
    }

    /// Whether another address may do better.
    pub(super) fn is_of_the_address(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::Network { .. }
                | Self::Certificate { .. }
                | Self::WebPage { .. }
                | Self::WrongSize { .. }
                | Self::WrongChecksum { .. }
        )
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and start again, what was received is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "this program may not write there: allow it, or choose another data folder"
        }
        _ => "check the disk and start again, what was received is kept",
    }
}

/// The TLS error somewhere inside `error`: trying again will not help.
pub(super) fn tls_error<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        next = match error.downcast_ref::<io::Error>() {
            // `source` of an I/O error skips the error it wraps.
            Some(io) => io.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tls_error_is_found_inside_io_errors() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let error = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired.clone()));
        assert_eq!(tls_error(&error), Some(&expired));
        assert_eq!(tls_error(&io::Error::other("no")), None);
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let error = DownloadError::disk(Path::new("x"))(io::ErrorKind::StorageFull.into());
        assert!(error.to_string().contains("free some space"), "{error}");
        let error = DownloadError::disk(Path::new("x"))(io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().contains("choose another data folder"), "{error}");
    }
}
