//! What every test needs: a set to download, a folder for it, a little patience.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deepm3::data::catalog::{Entry, Format, Licence, Source};
use deepm3::data::download::{DownloadError, Options, download_with};
use deepm3::jobs::{Control, Progress, detached};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// 3 MB that no compression and no accident reproduces.
pub fn body() -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..3_000_000).map(|_| next()).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn entry(files: Vec<Source>) -> Entry {
    Entry {
        name: "toy".to_owned(),
        title: "Toy".to_owned(),
        homepage: "https://example.org".to_owned(),
        citation: "None.".to_owned(),
        clock: "None.".to_owned(),
        format: Format::Movielens,
        users: 1,
        items: 1,
        events: 1,
        licence: Licence {
            name: "Test terms".to_owned(),
            url: "https://example.org/terms".to_owned(),
            summary: "Anything.".to_owned(),
        },
        files,
        columns: None,
    }
}

/// A file whose size and checksum are known to be those of `body`.
pub fn known(url: String, body: &[u8]) -> Source {
    Source {
        urls: vec![url],
        save_as: "ratings.dat".to_owned(),
        bytes: Some(body.len() as u64),
        sha256: Some(sha256(body)),
        members: Vec::new(),
    }
}

pub fn unknown(url: String) -> Source {
    Source { bytes: None, sha256: None, ..known(url, b"") }
}

pub fn options() -> Options {
    Options {
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(300),
        retries: 3,
        backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(200),
    }
}

pub struct Desk {
    data: TempDir,
    pub control: Control,
    pub progress: Arc<Mutex<Vec<Progress>>>,
}

impl Desk {
    pub fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self { data, control: Control::default(), progress: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        self.data.path()
    }

    pub fn get(&self, entry: &Entry) -> Result<PathBuf, DownloadError> {
        self.get_with(entry, &options())
    }

    pub fn get_with(&self, entry: &Entry, options: &Options) -> Result<PathBuf, DownloadError> {
        entry.agree(self.path()).unwrap();
        let seen = self.progress.clone();
        let report = move |progress: &Progress, _: &mut dyn Iterator<Item = ()>| {
            seen.lock().unwrap().push(progress.clone());
        };
        download_with(entry, self.path(), options, &detached(self.control.clone(), report))
    }

    /// The file as it lies in the finished folder.
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join("toy").join(name)).unwrap()
    }

    pub fn part(&self) -> Vec<u8> {
        std::fs::read(self.path().join("toy.part/ratings.dat.part")).unwrap_or_default()
    }

    /// Neither the folder nor a part file.
    pub fn is_clean(&self) -> bool {
        !self.path().join("toy").exists() && self.part().is_empty()
    }
}
