//! The folder of one run, held by whoever writes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::created_of;
use super::files::{read_limited, remove_temporaries, write_atomic};
use super::{MetricRecord, QueryRank, RunError, RunSummary};
use crate::settings::Config;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const SUMMARY: &str = "summary.json";
pub(super) const METRICS: &str = "metrics.jsonl";
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const RANKS: &str = "ranks.csv";
const CHECKPOINT: &str = "checkpoint";
const STATE: &str = "state.safetensors";
const LOCK: &str = "lock";

const CONFIG_LIMIT: u64 = 1 << 20;
/// Weights, or weights and optimiser: 4 GiB.
pub(super) const TENSORS_LIMIT: u64 = 4 << 30;

/// A run being written. Holds an advisory lock while it lives; the operating system frees it when
/// the process ends, however it ends, so that a running run can be told from an interrupted one.
///
/// A run is finished by writing model and ranks, then [`write_summary`](Self::write_summary): a
/// folder with a summary is complete.
#[derive(Debug)]
pub struct RunDir {
    id: String,
    path: PathBuf,
    /// Opened by the first append.
    metrics: Option<BufWriter<File>>,
    /// Held, never read: dropping it frees the lock.
    _lock: File,
}

impl RunDir {
    /// Take the folder of run `id`, which exists.
    pub(super) fn lock(id: String, path: PathBuf) -> Result<Self, RunError> {
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(RunError::io(&lock_path))?;
        // Somebody listing the runs probes the lock for a moment: ask again before giving up.
        let mut attempts = 5;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempts > 1 => {
                    attempts -= 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => return Err(RunError::InUse(id)),
                Err(TryLockError::Error(error)) => return Err(RunError::io(&lock_path)(error)),
            }
        }
        // Tells who lists the runs when it was taken, by the clock that stamps the other files; where it
        // cannot be kept, nothing else depends on it.
        let _ = (&lock).write_all(b"\n");
        remove_temporaries(&path).map_err(RunError::io(&path))?;
        let checkpoint = path.join(CHECKPOINT);
        if checkpoint.is_dir() {
            remove_temporaries(&checkpoint).map_err(RunError::io(&checkpoint))?;
        }
        Ok(Self { id, path, metrics: None, _lock: lock })
    }

    /// Its id, the name of the folder.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the run was created, as its id says.
    pub fn created(&self) -> jiff::Timestamp {
        created_of(&self.id).unwrap_or_else(jiff::Timestamp::now)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write `config.toml`.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_config(&self, config: &Config) -> Result<(), RunError> {
        write_config(&self.path, config)
    }

    /// Read `config.toml`, to resume.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] where it is missing or not a config.
    pub fn read_config(&self) -> Result<Config, RunError> {
        read_config(&self.path)
    }

    /// Add one line to `metrics.jsonl`; it may stay in a buffer until [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn append_metric(&mut self, record: &MetricRecord) -> Result<(), RunError> {
        let path = self.path.join(METRICS);
        let mut line =
            serde_json::to_vec(record).map_err(|error| RunError::corrupt(&path, error))?;
        line.push(b'\n');
        let metrics = self.metrics()?;
        metrics.write_all(&line).map_err(RunError::io(&path))
    }

    /// Hand buffered metrics to the operating system, where readers see them.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn flush(&mut self) -> Result<(), RunError> {
        match &mut self.metrics {
            Some(metrics) => metrics.flush().map_err(RunError::io(&self.path.join(METRICS))),
            None => Ok(()),
        }
    }

    /// Bytes of `metrics.jsonl` that are safely on disk: to be kept in a checkpoint and given to
    /// [`truncate_metrics`](Self::truncate_metrics) when resuming from it.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn metrics_len(&mut self) -> Result<u64, RunError> {
        self.flush()?;
        let path = self.path.join(METRICS);
        let file = self.metrics()?.get_ref();
        file.sync_data().map_err(RunError::io(&path))?;
        Ok(file.metadata().map_err(RunError::io(&path))?.len())
    }

    /// Forget the metrics after the first `len` bytes, and a line torn by a crash.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn truncate_metrics(&mut self, len: u64) -> Result<(), RunError> {
        self.flush()?;
        self.metrics = None;
        let path = self.path.join(METRICS);
        self.metrics = Some(open_metrics(&path, len).map_err(RunError::io(&path))?);
        Ok(())
    }

    /// Write `model.safetensors`.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_model(&self, bytes: &[u8]) -> Result<(), RunError> {
        self.write(MODEL, bytes)
    }

    /// Write `ranks.csv`, one line a test query.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_ranks(&self, ranks: &[QueryRank]) -> Result<(), RunError> {
        let path = self.path.join(RANKS);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for rank in ranks {
            writer.serialize(rank).map_err(|error| RunError::io(&path)(error.into()))?;
        }
        let bytes = writer.into_inner().map_err(|error| RunError::io(&path)(error.into_error()))?;
        self.write(RANKS, &bytes)
    }

    /// Write `summary.json`, which makes the run a finished one.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_summary(&mut self, summary: &RunSummary) -> Result<(), RunError> {
        self.flush()?;
        let bytes = serde_json::to_vec_pretty(summary)
            .map_err(|error| RunError::corrupt(&self.path.join(SUMMARY), error))?;
        self.write(SUMMARY, &bytes)
    }

    /// Replace `checkpoint/state.safetensors`.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_checkpoint(&self, bytes: &[u8]) -> Result<(), RunError> {
        let dir = self.path.join(CHECKPOINT);
        fs::create_dir_all(&dir).map_err(RunError::io(&dir))?;
        self.write(&format!("{CHECKPOINT}/{STATE}"), bytes)
    }

    /// The last checkpoint, where there is one.
    ///
    /// # Errors
    /// [`RunError::Io`] or [`RunError::TooLarge`].
    pub fn read_checkpoint(&self) -> Result<Option<Vec<u8>>, RunError> {
        read_limited(&self.path.join(CHECKPOINT).join(STATE), TENSORS_LIMIT)
    }

    /// Remove the checkpoint of a finished run.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn clear_checkpoint(&self) -> Result<(), RunError> {
        let dir = self.path.join(CHECKPOINT);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(RunError::io(&dir)(error))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        let path = self.path.join(name);
        write_atomic(&path, bytes).map_err(RunError::io(&path))
    }

    fn metrics(&mut self) -> Result<&mut BufWriter<File>, RunError> {
        let path = self.path.join(METRICS);
        let writer = match self.metrics.take() {
            Some(writer) => writer,
            None => open_metrics(&path, u64::MAX).map_err(RunError::io(&path))?,
        };
        Ok(self.metrics.insert(writer))
    }
}

/// `config.toml` in `folder`. Written anew it keeps its time, which tells the order of runs that were
/// made in one second.
pub(super) fn write_config(folder: &Path, config: &Config) -> Result<(), RunError> {
    let path = folder.join(CONFIG);
    let made = fs::metadata(&path).and_then(|known| known.modified());
    write_atomic(&path, config.to_toml().as_bytes()).map_err(RunError::io(&path))?;
    if let Ok(made) = made {
        let kept =
            OpenOptions::new().write(true).open(&path).and_then(|file| file.set_modified(made));
        // Without it the run is listed by the whole second.
        kept.unwrap_or_else(|error| tracing::debug!("{}: {error}", path.display()));
    }
    Ok(())
}

/// Open for appending after the last whole line within the first `len` bytes. A file shorter than
/// `len` is not extended: that would fill it with zeros.
fn open_metrics(path: &Path, len: u64) -> std::io::Result<BufWriter<File>> {
    let mut file =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
    let mut end = file.metadata()?.len().min(len);
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let read = &mut block[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(read)?;
        match read.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => {
                end = start + newline as u64 + 1;
                break;
            }
            None => end = start,
        }
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(BufWriter::new(file))
}

/// Whether somebody holds the run in `path`.
pub(super) fn is_locked(path: &Path) -> bool {
    // Without a lock file, or where it cannot be asked, nobody is known to hold it.
    let Ok(lock) = File::open(path.join(LOCK)) else {
        return false;
    };
    matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Whether whoever holds the run in `path` has measured something since taking it.
pub(super) fn has_begun(path: &Path) -> bool {
    let modified = |name| std::fs::metadata(path.join(name)).and_then(|file| file.modified());
    match (modified(METRICS), modified(LOCK)) {
        (Ok(measured), Ok(taken)) => measured >= taken,
        (measured, _) => measured.is_ok(),
    }
}

/// Read `config.toml` in `path`.
pub(super) fn read_config(path: &Path) -> Result<Config, RunError> {
    let path = path.join(CONFIG);
    let bytes = read_limited(&path, CONFIG_LIMIT)?
        .ok_or_else(|| RunError::corrupt(&path, "the file is missing"))?;
    let text = String::from_utf8(bytes).map_err(|error| RunError::corrupt(&path, error))?;
    // The path is named by the outer error.
    Config::from_toml(&text, CONFIG).map_err(|error| RunError::corrupt(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> (tempfile::TempDir, RunDir) {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::lock("test".to_owned(), dir.path().to_owned()).unwrap();
        (dir, run)
    }

    fn epoch(epoch: usize) -> MetricRecord {
        MetricRecord::Epoch {
            epoch,
            step: 10 * epoch as u64,
            train_loss: 1.0,
            valid_hr10: 0.1,
            valid_ndcg10: 0.05,
            seconds: 1.0,
        }
    }

    fn lines(run: &RunDir) -> Vec<String> {
        let text = fs::read_to_string(run.path().join(METRICS)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn resuming_forgets_what_came_after_the_checkpoint() {
        let (_dir, mut run) = run();
        run.append_metric(&epoch(1)).unwrap();
        let len = run.metrics_len().unwrap();
        run.append_metric(&epoch(2)).unwrap();
        run.append_metric(&epoch(3)).unwrap();
        run.truncate_metrics(len).unwrap();
        run.append_metric(&epoch(2)).unwrap();
        run.flush().unwrap();
        let whole = |n| serde_json::to_string(&epoch(n)).unwrap();
        assert_eq!(lines(&run), [whole(1), whole(2)]);
    }

    #[test]
    fn a_torn_line_is_not_glued_to_the_next_record() {
        let (_dir, mut run) = run();
        let first = serde_json::to_string(&epoch(1)).unwrap();
        // Longer than one block, so that the search for the newline goes on to an earlier one.
        let torn = format!("{first}\n{}", "x".repeat(10_000));
        fs::write(run.path().join(METRICS), torn).unwrap();
        run.append_metric(&epoch(2)).unwrap();
        run.flush().unwrap();
        assert_eq!(lines(&run).len(), 2);
        assert_eq!(lines(&run)[0], first);
    }

    #[test]
    fn truncating_past_the_end_does_not_extend() {
        let (_dir, mut run) = run();
        run.append_metric(&epoch(1)).unwrap();
        let len = run.metrics_len().unwrap();
        run.truncate_metrics(len + 500).unwrap();
        assert_eq!(run.metrics_len().unwrap(), len);
    }

    #[test]
    fn a_checkpoint_is_replaced_and_cleared() {
        let (_dir, run) = run();
        assert_eq!(run.read_checkpoint().unwrap(), None);
        run.clear_checkpoint().unwrap();
        run.write_checkpoint(b"one").unwrap();
        run.write_checkpoint(b"two").unwrap();
        assert_eq!(run.read_checkpoint().unwrap().unwrap(), b"two");
        run.clear_checkpoint().unwrap();
        assert_eq!(run.read_checkpoint().unwrap(), None);
    }

    #[test]
    fn the_lock_is_held_once_and_freed_on_drop() {
        let (dir, run) = run();
        assert!(is_locked(dir.path()));
        let again = RunDir::lock("test".to_owned(), dir.path().to_owned());
        assert!(matches!(again, Err(RunError::InUse(_))));
        drop(run);
        assert!(!is_locked(dir.path()));
    }

    #[test]
    fn a_broken_config_names_the_file() {
        let (_dir, run) = run();
        fs::write(run.path().join(CONFIG), "[model]\nhiden = 3\n").unwrap();
        let message = run.read_config().unwrap_err().to_string();
        assert!(message.contains("config.toml") && message.contains("model.hidden"), "{message}");
    }
}
