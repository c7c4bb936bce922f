//! The log of answers and of what users did with them: JSON lines, for training and judging later.
//!
//! A request's thread turns its answer into a line and appends that to a buffer of at most 16 MiB
//! (`pending`); a thread of its own writes the buffer to the files (`files`) every tenth of a
//! second. So a request waits for no disk, a log that is shut down has lost nothing, and a killed
//! process loses a tenth of a second.
//!
//! Where the disk is slower than the answers, the buffer fills and requests wait for room: the
//! server slows down to the disk's pace rather than lose lines or grow. Where the disk takes
//! nothing at all for a quarter of a second (full, gone), lines are lost and counted until it does
//! again. [`Impressions::status`] tells.

mod files;
mod line;
mod pending;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use self::files::Files;
use self::pending::Pending;
use super::telemetry::{KnownIds, Observation, locked};
use super::wire::FeedbackRequest;

/// Wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes that the writer's buffer keeps between batches.
const KEEP: usize = 1 << 20;

/// Why answers cannot be logged.
#[derive(Debug, thiserror::Error)]
pub enum ImpressionsError {
    #[error(
        "answers cannot be logged in {}: {source}; name a folder that can be written to",
        folder.display()
    )]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("the system refuses a thread for the log of answers: {0}")]
    Thread(std::io::Error),
}

/// How the log is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImpressionsStatus {
    /// The file being written.
    pub file: PathBuf,
    /// Lines written.
    pub written: u64,
    /// Bytes waiting to be written.
    pub pending: usize,
    /// Lines that could not be kept, because the disk took none for too long.
    pub lost: u64,
    /// Failed writes.
    pub errors: u64,
    /// The last failure, while it lasts.
    pub failing: Option<String>,
}

/// The log. Shared by all threads; dropping it closes it.
pub struct Impressions {
    shared: Arc<Shared>,
    known: Mutex<KnownIds>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    pending: Pending,
    /// Without `pending` and the lines that never got there.
    status: Mutex<ImpressionsStatus>,
}

impl Impressions {
    /// Log to files `impressions-YYYYMMDD-HHMMSS.jsonl` in `folder`, which is made if need be.
    ///
    /// # Errors
    /// [`ImpressionsError`] where nothing can be written there.
    pub fn open(folder: &Path) -> Result<Self, ImpressionsError> {
        Self::with(Files::open(folder, files::LIMIT, Timestamp::now()), folder, pending::CAPACITY)
    }

    fn with(
        files: std::io::Result<Files>,
        folder: &Path,
        capacity: usize,
    ) -> Result<Self, ImpressionsError> {
        let files = files
            .map_err(|source| ImpressionsError::Folder { folder: folder.to_owned(), source })?;
        let status =
            ImpressionsStatus { file: files.path().to_owned(), ..ImpressionsStatus::default() };
        let shared =
            Arc::new(Shared { pending: Pending::new(capacity), status: Mutex::new(status) });
        let writer = thread::Builder::new()
            .name("impressions".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.write(files)
            })
            .map_err(ImpressionsError::Thread)?;
        Ok(Self {
            shared,
            known: Mutex::new(KnownIds::new(KnownIds::CAPACITY)),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Log an answer.
    pub fn answered(&self, observation: &Arc<Observation>) {
        locked(&self.known).insert(observation.impression);
        self.shared.pending.push(&line::answer(observation));
    }

    /// Log what a user did with an answer. Returns whether it is one of the last 100,000 or so.
    pub fn feedback(&self, request: &FeedbackRequest, at: Timestamp) -> bool {
        let known = locked(&self.known).contains(request.impression_id);
        self.shared.pending.push(&line::feedback(request, known, at));
        known
    }

    pub fn status(&self) -> ImpressionsStatus {
        let (pending, lost) = self.shared.pending.levels();
        let mut status = locked(&self.shared.status).clone();
        status.pending = pending;
        status.lost += lost;
        status
    }

    /// Write what was logged, put it safely on the disk, end the file. Returns how many lines were
    /// written since the log was opened. What is logged later is lost, and counted as such.
    pub fn close(&self) -> u64 {
        self.shared.pending.close();
        let mut writer = locked(&self.writer);
        if let Some(thread) = writer.take()
            && thread.join().is_err()
        {
            tracing::error!("the log of answers broke off");
        }
        self.status().written
    }
}

impl Drop for Impressions {
    fn drop(&mut self) {
        self.close();
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

impl Shared {
    /// The writer's life.
    fn write(&self, mut files: Files) {
        let mut batch = Vec::new();
        while self.pending.take(&mut batch) {
            self.write_batch(&mut files, &batch);
            batch.clear();
            batch.shrink_to(KEEP);
        }
        if let Err(error) = files.finish() {
            self.failed(&error);
        }
    }

    fn write_batch(&self, files: &mut Files, mut left: &[u8]) {
        let mut last = false;
        loop {
            let before = left;
            let result = files.write(&mut left, Timestamp::now());
            let written = lines(&before[..before.len() - left.len()]);
            let mut status = locked(&self.status);
            status.written += written;
            files.path().clone_into(&mut status.file);
            let Err(error) = result else {
                if status.failing.take().is_some() {
                    tracing::info!("answers are logged again");
                }
                return;
            };
            drop(status);
            self.failed(&error);
            if last {
                locked(&self.status).lost += lines(left);
                return;
            }
            last = self.pending.closes_within(RETRY);
        }
    }

    /// Count a failure; say it once, not each time it is met again.
    fn failed(&self, error: &std::io::Error) {
        let mut status = locked(&self.status);
        status.errors += 1;
        let message = error.to_string();
        if status.failing.is_none() {
            let file = status.file.display();
            tracing::error!("answers cannot be logged to {file}: {message}; trying again");
        }
        status.failing = Some(message);
    }
}

#[cfg(test)]
mod tests;
