//! A run as it is listed: read from its folder, whatever state that is in.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::files::read_limited;
use super::{Origin, RunError, RunSummary, folder};
use crate::settings::Config;

/// The file that marks an archived run.
pub(super) const ARCHIVED: &str = "archived";
/// The time that starts an id, in UTC.
pub(super) const ID_TIME: &str = "%Y%m%d-%H%M%S";
pub(super) const SUMMARY_LIMIT: u64 = 16 << 20;

/// How far a run got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Its summary is written.
    Done,
    /// A process holds it and has measured nothing yet, as a rule since others of its plan train first.
    Waiting,
    /// A process holds it and has measured something.
    Running,
    /// Nobody holds it and it has no summary: it can be resumed or deleted.
    Interrupted,
    /// Its files cannot be read; why.
    Broken(String),
}

/// A run as it is listed.
#[derive(Debug, Clone)]
pub struct RunEntry {
    pub id: String,
    pub path: PathBuf,
    pub state: RunState,
    pub created: Timestamp,
    /// Kept out of the way, not deleted.
    pub archived: bool,
    /// Of a finished run.
    pub summary: Option<RunSummary>,
    /// Of a run without a summary.
    pub config: Option<Config>,
}

impl RunState {
    /// The state in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Broken(_) => "broken",
        }
    }
}

impl RunEntry {
    /// Its settings, finished or not.
    pub fn settings(&self) -> Option<&Config> {
        self.summary.as_ref().map(|summary| &summary.config).or(self.config.as_ref())
    }

    /// The name of its data; of a run that is not finished, that of the file or folder.
    pub fn data_name(&self) -> Option<&str> {
        let of_source = || {
            let source = &self.config.as_ref()?.data.source;
            Some(Path::new(source).file_name()?.to_str().unwrap_or(source))
        };
        self.summary.as_ref().map(|summary| summary.data.name.as_str()).or_else(of_source)
    }

    /// Whether an experiment made it for its own ends: it can be named, but is never the `latest`.
    pub fn is_of_an_experiment(&self) -> bool {
        let origin = self.summary.as_ref().and_then(|summary| summary.origin.as_ref());
        matches!(origin, Some(Origin::Experiment { .. }))
    }

    /// Whether it may be the `latest`: finished, not archived, and made for its own sake.
    pub(super) fn may_be_latest(&self) -> bool {
        self.state == RunState::Done && !self.archived && !self.is_of_an_experiment()
    }

    /// Read the run `id` in the folder of all runs; never fails, see [`RunState::Broken`].
    pub(super) fn read(dir: &Path, id: &str) -> Self {
        let path = dir.join(id);
        let mut entry = Self {
            id: id.to_owned(),
            state: RunState::Done,
            created: Timestamp::UNIX_EPOCH,
            archived: path.join(ARCHIVED).exists(),
            summary: None,
            config: None,
            path,
        };
        match read_summary(&entry.path) {
            Ok(Some(summary)) => {
                entry.created = within_second(summary.created, &entry.path);
                entry.summary = Some(summary);
                return entry;
            }
            Ok(None) => {
                let config = folder::read_config(&entry.path);
                entry.state = match &config {
                    // Without a config it may have been created a moment ago.
                    _ if folder::is_locked(&entry.path) => {
                        if folder::has_begun(&entry.path) {
                            RunState::Running
                        } else {
                            RunState::Waiting
                        }
                    }
                    Ok(_) => RunState::Interrupted,
                    Err(error) => RunState::Broken(error.to_string()),
                };
                entry.config = config.ok();
            }
            Err(error) => entry.state = RunState::Broken(error.to_string()),
        }
        let created = created_of(id).map(|second| within_second(second, &entry.path));
        entry.created = created.or_else(|| modified_of(&entry.path)).unwrap_or_default();
        entry
    }
}

/// The time that starts an id.
pub(super) fn created_of(id: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(ID_TIME, id.get(..15)?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// When in the second of its id a run was made, as its config tells, which is written then: short
/// trainings finish several a second, and the newest must be known. Where it tells another time, as
/// in a copy, the second has to do.
fn within_second(second: Timestamp, path: &Path) -> Timestamp {
    let written = modified_of(&path.join(folder::CONFIG));
    let same = |written: &Timestamp| written.as_second() == second.as_second();
    written.filter(same).unwrap_or(second)
}

fn modified_of(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()
}

fn read_summary(path: &Path) -> Result<Option<RunSummary>, RunError> {
    let path = path.join(folder::SUMMARY);
    let Some(bytes) = read_limited(&path, SUMMARY_LIMIT)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map_err(|error| RunError::corrupt(&path, error))
}
