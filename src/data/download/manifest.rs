//! What a downloaded set consisted of: sizes and checksums, beside its files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::DownloadError;
use crate::data::catalog::Entry;
use crate::jobs::Context;

/// Sizes and checksums of a downloaded set, written as [`Manifest::FILE`] in its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What came over the network.
    pub sources: Vec<Recorded>,
    /// What is kept of it.
    pub files: Vec<Recorded>,
}

/// A file as it was when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

impl Manifest {
    /// Its name in the folder of a set.
    pub const FILE: &str = "checksums.toml";

    /// The manifest in `folder`; `None` where there is none that can be read.
    pub fn read(folder: &Path) -> Option<Self> {
        toml::from_str(&std::fs::read_to_string(folder.join(Self::FILE)).ok()?).ok()
    }

    /// Whether it is of the files, and of the versions of them, that the catalogue names now.
    pub fn matches(&self, entry: &Entry) -> bool {
        let same = |(recorded, source): (&Recorded, &crate::data::catalog::Source)| {
            recorded.name == source.save_as
                && source.bytes.is_none_or(|bytes| bytes == recorded.bytes)
                && source.sha256.as_ref().is_none_or(|sum| *sum == recorded.sha256)
        };
        self.sources.len() == entry.files.len()
            && self.sources.iter().zip(&entry.files).all(same)
            && self.files.iter().map(|file| file.name.as_str()).eq(entry.kept())
    }

    /// Whether every file is in `folder` with its recorded size.
    pub fn sizes_hold(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| {
            std::fs::metadata(folder.join(&file.name))
                .is_ok_and(|found| found.is_file() && found.len() == file.bytes)
        })
    }
}

impl Recorded {
    /// Size and checksum of the file at `path`, to be known as `name`. Reads every byte.
    ///
    /// # Errors
    /// The file cannot be read, or the work was cancelled.
    pub fn of<E>(path: &Path, name: &str, context: &Context<E>) -> Result<Self, DownloadError> {
        let mut file = File::open(path).map_err(DownloadError::disk(path))?;
        let mut sha256 = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            context.checkpoint()?;
            let read = file.read(&mut buffer).map_err(DownloadError::disk(path))?;
            if read == 0 {
                break;
            }
            sha256.update(&buffer[..read]);
            bytes += read as u64;
        }
        Ok(Self { name: name.to_owned(), bytes, sha256: hex(&sha256.finalize()) })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether `text` is a SHA-256 in lower-case hex.
pub(in crate::data) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
