//! A file on its way: the bytes so far, and what is needed to continue where they end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DownloadError;

/// `NAME.part` and, beside it, `NAME.part.toml`.
#[derive(Debug)]
pub(super) struct Part {
    pub path: PathBuf,
    resume: PathBuf,
}

/// What the server said of the bytes in the part file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// Where they came from.
    pub url: String,
    /// A strong ETag or a Last-Modified: how the server recognises the same version.
    pub validator: String,
    /// Size of the whole file, where the server told.
    pub total: Option<u64>,
}

impl Part {
    pub fn new(target: &Path) -> Self {
        let path = with_ending(target, ".part");
        Self { resume: with_ending(&path, ".toml"), path }
    }

    /// Bytes received so far.
    pub fn len(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// What to continue from `url`; `None` where the bytes are of another address or version, or
    /// the server gave nothing to recognise them by.
    pub fn resume(&self, url: &str) -> Option<Resume> {
        let text = std::fs::read_to_string(&self.resume).ok()?;
        toml::from_str(&text).ok().filter(|resume: &Resume| resume.url == url)
    }

    /// Start at byte zero, remembering how to continue.
    pub fn start(&self, resume: Option<&Resume>) -> Result<File, DownloadError> {
        self.discard()?;
        if let Some(resume) = resume {
            let text = toml::to_string(resume).map_err(io::Error::other);
            text.and_then(|text| write_synced(&self.resume, text.as_bytes()))
                .map_err(DownloadError::disk(&self.resume))?;
        }
        File::create(&self.path).map_err(DownloadError::disk(&self.path))
    }

    /// Open to write on at the end.
    pub fn append(&self) -> Result<File, DownloadError> {
        let file = OpenOptions::new().append(true).open(&self.path);
        file.map_err(DownloadError::disk(&self.path))
    }

    /// Forget what was received.
    pub fn discard(&self) -> Result<(), DownloadError> {
        // The bytes go first: without the note beside them they could not be recognised.
        for path in [&self.path, &self.resume] {
            remove(path)?;
        }
        Ok(())
    }

    /// The bytes are complete and checked: give them their name.
    pub fn finish(self, target: &Path) -> Result<(), DownloadError> {
        std::fs::rename(&self.path, target).map_err(DownloadError::disk(target))?;
        remove(&self.resume)
    }
}

fn remove(path: &Path) -> Result<(), DownloadError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DownloadError::disk(path)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(ending);
    PathBuf::from(text)
}
