//! What can go wrong with runs, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// What to do about a file that could not be read or written.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space there",
        _ => "check that the folder exists and can be written",
    }
}

/// Why a run could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{path}: {source}; {}, or choose another folder with --runs DIR", hint(source), path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("this system names no folder for application data; choose one with --runs DIR")]
    NoDataFolder,
    #[error(
        "{path} is {size} bytes, more than the {limit} such a file can have; restore it or delete the run",
        path = path.display()
    )]
    TooLarge { path: PathBuf, size: u64, limit: u64 },
    #[error("{path}: {reason}; restore the file or delete the run", path = path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("run {0} is in use by a training; stop it or wait until it has finished")]
    InUse(String),
    #[error("`{0}` is not a run id; `deepm3 runs list` shows the ids")]
    BadId(String),
    #[error("no run matches `{spec}`; `deepm3 runs list` shows the ids, the newest is {newest}")]
    NotFound { spec: String, newest: String },
    #[error("`{spec}` could be any of {candidates}; write more of the id")]
    Ambiguous { spec: String, candidates: String },
    #[error("there is no finished run in {dir}; train one first", dir = dir.display())]
    NoRuns { dir: PathBuf },
    #[error(
        "no finished run in {dir} has a state to serve or to analyse: the newest, {newest}, is a {model}; \
         train another model",
        dir = dir.display()
    )]
    NoState { dir: PathBuf, newest: String, model: String },
    #[error("run {0} is not in the trash; it was never deleted, or the trash was emptied since")]
    NotInTrash(String),
    #[error("{a} and {b} {why}; their metrics cannot be compared")]
    Incomparable { a: String, b: String, why: String },
    #[error("run {0} exists already; delete or rename its folder before restoring")]
    Exists(String),
}

impl RunError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn corrupt(path: &Path, reason: impl ToString) -> Self {
        Self::Corrupt { path: path.to_owned(), reason: reason.to_string() }
    }
}
