//! All runs: a folder of run folders.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::entry::{ARCHIVED, ID_TIME};
use super::files::{read_limited, write_atomic};
use super::folder::{self, RunDir};
use super::{MetricRecord, QueryRank, RunEntry, RunError};
use crate::settings::Config;

const ANALYSIS: &str = "attractors.json";
const ANALYSIS_LIMIT: u64 = 64 << 20;
const METRICS_LIMIT: u64 = 256 << 20;
const RANKS_LIMIT: u64 = 1 << 30;

/// The folder that holds the runs.
#[derive(Debug, Clone)]
pub struct RunStore {
    dir: PathBuf,
}

impl RunStore {
    /// Open the runs in `dir`, or in the system's folder for application data. The folder is
    /// created where it is absent.
    ///
    /// # Errors
    /// [`RunError::Io`] where it cannot be, [`RunError::NoDataFolder`] where the system has none.
    pub fn open(dir: Option<&Path>) -> Result<Self, RunError> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => directories::ProjectDirs::from("", "", "deepm3")
                .ok_or(RunError::NoDataFolder)?
                .data_dir()
                .join("runs"),
        };
        fs::create_dir_all(&dir).map_err(RunError::io(&dir))?;
        Ok(Self { dir })
    }

    /// The folder of the runs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Start a run. Its id is the time in UTC, `label` and four random digits.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn create(&self, label: &str, config: &Config) -> Result<RunDir, RunError> {
        let label: String =
            label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let time = Timestamp::now().strftime(ID_TIME).to_string();
        loop {
            let random = RandomState::new().hash_one(&label) & 0xffff;
            let id = format!("{time}-{label}-{random:04x}");
            let path = self.dir.join(&id);
            if path.exists() {
                continue;
            }
            // Filled under a hidden name first: a kill leaves no run without a config.
            let hidden = self.dir.join(format!(".{id}.new"));
            fs::create_dir(&hidden).map_err(RunError::io(&hidden))?;
            folder::write_config(&hidden, config)?;
            fs::rename(&hidden, &path).map_err(RunError::io(&path))?;
            return RunDir::lock(id, path);
        }
    }

    /// Take a run to resume it.
    ///
    /// # Errors
    /// [`RunError::InUse`] where it is running.
    pub fn open_run(&self, id: &str) -> Result<RunDir, RunError> {
        RunDir::lock(id.to_owned(), self.path_of(id)?)
    }

    /// Every run, newest first. A folder that cannot be read is listed as broken.
    pub fn list(&self) -> Vec<RunEntry> {
        let mut entries: Vec<_> =
            self.ids().iter().map(|id| RunEntry::read(&self.dir, id)).collect();
        entries.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        entries
    }

    /// As [`Self::find`]; `latest` is the newest whose model has a state, to be served or analysed.
    ///
    /// # Errors
    /// As [`Self::find`], and [`RunError::NoState`].
    pub fn find_with_state(&self, spec: &str) -> Result<RunEntry, RunError> {
        if spec != "latest" {
            return self.find(spec);
        }
        let mut newest = None;
        for entry in self.list().into_iter().filter(RunEntry::may_be_latest) {
            match entry.settings().map(|config| config.model.solver) {
                Some(solver) if !solver.is_attention() => return Ok(entry),
                Some(solver) => {
                    newest.get_or_insert((entry.id, solver.title()));
                }
                None => {}
            }
        }
        let dir = self.dir.clone();
        Err(match newest {
            Some((newest, model)) => RunError::NoState { dir, newest, model: model.to_owned() },
            None => RunError::NoRuns { dir },
        })
    }

    /// The run that `spec` names: an id, the start of one, or `latest`, the newest that is
    /// finished, not archived, and not made by an experiment for its own ends.
    ///
    /// # Errors
    /// [`RunError::NotFound`], [`RunError::Ambiguous`] or [`RunError::NoRuns`].
    pub fn find(&self, spec: &str) -> Result<RunEntry, RunError> {
        let no_runs = || RunError::NoRuns { dir: self.dir.clone() };
        if spec == "latest" {
            return self.list().into_iter().find(RunEntry::may_be_latest).ok_or_else(no_runs);
        }
        let ids = self.ids();
        let newest = ids.iter().max().ok_or_else(no_runs)?;
        if ids.iter().any(|id| id == spec) {
            return Ok(RunEntry::read(&self.dir, spec));
        }
        let matching: Vec<&String> = ids.iter().filter(|id| id.starts_with(spec)).collect();
        match matching.as_slice() {
            [only] => Ok(RunEntry::read(&self.dir, only)),
            [] => Err(RunError::NotFound { spec: spec.to_owned(), newest: newest.clone() }),
            several => {
                const SHOWN: usize = 8;
                let mut names: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
                names.sort_unstable_by(|a, b| b.cmp(a));
                let more = names.len().saturating_sub(SHOWN);
                names.truncate(SHOWN);
                let mut candidates = names.join(", ");
                if more > 0 {
                    candidates.push_str(&format!(" and {more} more"));
                }
                Err(RunError::Ambiguous { spec: spec.to_owned(), candidates })
            }
        }
    }

    /// The metrics of a run, running ones included; a last line torn by a crash is left out.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] with the line that is not a record.
    pub fn metrics(&self, id: &str) -> Result<Vec<MetricRecord>, RunError> {
        let path = self.path_of(id)?.join(folder::METRICS);
        let bytes = read_limited(&path, METRICS_LIMIT)?.unwrap_or_default();
        // Whole lines end with a newline; what follows the last of them was being written.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        bytes[..whole]
            .split_inclusive(|&byte| byte == b'\n')
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_slice(line).map_err(|error| {
                    RunError::corrupt(&path, format!("line {}: {error}", index + 1))
                })
            })
            .collect()
    }

    /// Where each test query's target came; empty where it was not kept.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] where a line is not a rank.
    pub fn ranks(&self, id: &str) -> Result<Vec<QueryRank>, RunError> {
        read_ranks(&self.path_of(id)?)
    }

    /// The bytes of `model.safetensors`.
    ///
    /// # Errors
    /// [`RunError::Corrupt`] where there is none.
    pub fn model(&self, id: &str) -> Result<Vec<u8>, RunError> {
        let path = self.path_of(id)?.join(folder::MODEL);
        read_limited(&path, folder::TENSORS_LIMIT)?
            .ok_or_else(|| RunError::corrupt(&path, "the file is missing"))
    }

    /// The analysis kept with a run, where there is one.
    ///
    /// # Errors
    /// [`RunError::Io`] or [`RunError::TooLarge`].
    pub fn analysis(&self, id: &str) -> Result<Option<Vec<u8>>, RunError> {
        read_limited(&self.path_of(id)?.join(ANALYSIS), ANALYSIS_LIMIT)
    }

    /// Keep an analysis with a run, in place of the one before.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn write_analysis(&self, id: &str, bytes: &[u8]) -> Result<(), RunError> {
        let path = self.path_of(id)?.join(ANALYSIS);
        write_atomic(&path, bytes).map_err(RunError::io(&path))
    }

    /// Keep a run out of the way.
    ///
    /// # Errors
    /// [`RunError::InUse`] where it is running.
    pub fn archive(&self, id: &str) -> Result<(), RunError> {
        let path = self.idle_path_of(id)?.join(ARCHIVED);
        write_atomic(&path, b"").map_err(RunError::io(&path))
    }

    /// Undo [`archive`](Self::archive).
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn unarchive(&self, id: &str) -> Result<(), RunError> {
        let path = self.path_of(id)?.join(ARCHIVED);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RunError::io(&path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Names of the run folders, in no order. Files, links and hidden folders are none.
    fn ids(&self) -> Vec<String> {
        let Ok(listed) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        listed
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| is_id(name))
            .collect()
    }

    /// The folder of `id`, which is checked: an id comes from outside and must not leave the store.
    pub(super) fn path_of(&self, id: &str) -> Result<PathBuf, RunError> {
        if !is_id(id) {
            return Err(RunError::BadId(id.to_owned()));
        }
        let path = self.dir.join(id);
        if path.is_dir() {
            Ok(path)
        } else {
            Err(RunError::NotFound {
                spec: id.to_owned(),
                newest: self.ids().into_iter().max().unwrap_or_default(),
            })
        }
    }

    pub(super) fn idle_path_of(&self, id: &str) -> Result<PathBuf, RunError> {
        let path = self.path_of(id)?;
        if folder::is_locked(&path) {
            return Err(RunError::InUse(id.to_owned()));
        }
        Ok(path)
    }
}

/// Whether a name can be a run's: plain, visible, one path component.
fn is_id(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// Read `ranks.csv` in the folder of a run.
pub(super) fn read_ranks(path: &Path) -> Result<Vec<QueryRank>, RunError> {
    let path = path.join(folder::RANKS);
    let bytes = read_limited(&path, RANKS_LIMIT)?.unwrap_or_default();
    csv::Reader::from_reader(bytes.as_slice())
        .into_deserialize()
        .map(|line: Result<QueryRank, csv::Error>| match line {
            Ok(query)
                if [
                    Some(query.rank),
                    query.popularity,
                    query.markov,
                    query.recent,
                    query.item_knn,
                ]
                .contains(&Some(0)) =>
            {
                Err(RunError::corrupt(&path, "a rank is 0, not from 1"))
            }
            Ok(query) => Ok(query),
            Err(error) => Err(RunError::corrupt(&path, error)),
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::runs::RunState;
    use crate::runs::entry::SUMMARY_LIMIT;
    use crate::runs::record::sample;

    pub(in crate::runs) fn store() -> (tempfile::TempDir, RunStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(&dir.path().join("runs"))).unwrap();
        (dir, store)
    }

    pub(in crate::runs) fn finished(store: &RunStore, label: &str) -> String {
        let mut run = store.create(label, &Config::default()).unwrap();
        run.write_config(&Config::default()).unwrap();
        let mut summary = sample(run.id(), "rk4", 42);
        summary.created = Timestamp::now();
        run.write_summary(&summary).unwrap();
        run.id().to_owned()
    }

    fn state(store: &RunStore, id: &str) -> RunState {
        store.find(id).unwrap().state
    }

    #[test]
    fn a_run_is_running_then_interrupted_then_done() {
        let (_dir, store) = store();
        let mut run = store.create("rk4 s/42", &Config::default()).unwrap();
        let id = run.id().to_owned();
        assert!(id.contains("-rk4-s-42-"), "{id}");
        assert_eq!(state(&store, &id), RunState::Waiting);
        let (valid_hr10, valid_ndcg10) = (0.2, 0.1);
        let (epoch, step, train_loss, seconds) = (1, 10, 2.0, 0.5);
        let record =
            MetricRecord::Epoch { epoch, step, train_loss, valid_hr10, valid_ndcg10, seconds };
        run.append_metric(&record).unwrap();
        run.flush().unwrap();
        assert_eq!(state(&store, &id), RunState::Running);
        run.write_config(&Config::default()).unwrap();
        assert!(matches!(store.open_run(&id), Err(RunError::InUse(_))));
        drop(run);
        assert_eq!(state(&store, &id), RunState::Interrupted);
        assert!(store.find(&id).unwrap().settings().is_some());

        // Others of its plan may go on first.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let mut run = store.open_run(&id).unwrap();
        assert_eq!(state(&store, &id), RunState::Waiting);
        assert_eq!(run.read_config().unwrap(), Config::default());
        run.write_summary(&sample(&id, "rk4", 42)).unwrap();
        assert_eq!(state(&store, &id), RunState::Done);
    }

    #[test]
    fn bad_folders_never_break_the_list() {
        let (_dir, store) = store();
        let good = finished(&store, "good");
        fs::create_dir(store.dir().join("empty")).unwrap();
        fs::write(store.dir().join("a file"), "x").unwrap();
        let bad = store.dir().join("20260101-000000-bad-0000");
        fs::create_dir(&bad).unwrap();
        fs::write(bad.join("summary.json"), "{\"run\": \"ba").unwrap();
        let large = store.dir().join("large");
        fs::create_dir(&large).unwrap();
        let file = fs::File::create(large.join("summary.json")).unwrap();
        file.set_len(SUMMARY_LIMIT + 1).unwrap();

        let entries = store.list();
        assert_eq!(entries.len(), 4);
        let of = |id: &str| entries.iter().find(|entry| entry.id == id).unwrap();
        assert_eq!(of(&good).state, RunState::Done);
        for id in ["empty", "large", "20260101-000000-bad-0000"] {
            assert!(matches!(of(id).state, RunState::Broken(_)), "{id}");
        }
        assert_eq!(of("20260101-000000-bad-0000").created.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(store.find("latest").unwrap().id, good);
    }

    #[test]
    fn runs_are_found_by_prefix_and_errors_say_what_to_do() {
        let (_dir, store) = store();
        assert!(matches!(store.find("latest"), Err(RunError::NoRuns { .. })));
        assert!(matches!(store.find("2026"), Err(RunError::NoRuns { .. })));
        for id in ["aa-1", "aa-2", "ab-1", "aa"] {
            fs::create_dir(store.dir().join(id)).unwrap();
        }
        assert_eq!(store.find("ab").unwrap().id, "ab-1");
        assert_eq!(store.find("aa").unwrap().id, "aa");
        let message = store.find("a").unwrap_err().to_string();
        assert!(message.contains("aa-1") && message.contains("ab-1"), "{message}");
        let message = store.find("zz").unwrap_err().to_string();
        assert!(message.contains("ab-1"), "{message}");
    }

    #[test]
    fn an_id_cannot_leave_the_store() {
        let (_dir, store) = store();
        for id in ["..", "../x", "", ".trash", "/etc", "a/b", "a\\b"] {
            assert!(matches!(store.delete(id), Err(RunError::BadId(_))), "{id}");
        }
    }

    #[test]
    fn an_archived_run_is_not_the_latest() {
        let (_dir, store) = store();
        let id = finished(&store, "one");
        store.archive(&id).unwrap();
        assert!(store.find(&id).unwrap().archived);
        assert!(store.find("latest").is_err());
        store.unarchive(&id).unwrap();
        assert_eq!(store.find("latest").unwrap().id, id);
    }

    #[test]
    fn metrics_are_read_up_to_a_torn_line() {
        let (_dir, store) = store();
        let mut run = store.create("one", &Config::default()).unwrap();
        let record = MetricRecord::Epoch {
            epoch: 1,
            step: 10,
            train_loss: 7.0,
            valid_hr10: 0.1,
            valid_ndcg10: 0.05,
            seconds: 2.0,
        };
        run.append_metric(&record).unwrap();
        run.flush().unwrap();
        let path = run.path().join(folder::METRICS);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"kind\":\"ep");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(store.metrics(run.id()).unwrap(), std::slice::from_ref(&record));

        fs::write(&path, "nonsense\n").unwrap();
        let message = store.metrics(run.id()).unwrap_err().to_string();
        assert!(message.contains("line 1"), "{message}");
    }

    #[test]
    fn ranks_round_trip_with_awkward_ids() {
        let (_dir, store) = store();
        let run = store.create("one", &Config::default()).unwrap();
        assert_eq!(store.ranks(run.id()).unwrap(), []);
        let ranks = vec![
            QueryRank {
                user: "a,\"b\"\n".to_owned(),
                item: "ü".to_owned(),
                rank: 1,
                popularity: Some(3),
                markov: Some(2),
                recent: Some(5),
                item_knn: None,
            },
            QueryRank {
                user: "2".to_owned(),
                item: "007".to_owned(),
                rank: 3700,
                ..Default::default()
            },
        ];
        run.write_ranks(&ranks).unwrap();
        assert_eq!(store.ranks(run.id()).unwrap(), ranks);
        let path = run.path().join(folder::RANKS);
        fs::write(&path, "user,item,rank\n1,2,3\n").unwrap();
        let old = store.ranks(run.id()).unwrap();
        assert_eq!((old[0].rank, old[0].popularity, old[0].markov), (3, None, None));
        for bad in ["user,item,rank\n1,2,0\n", "user,item,rank,markov\n1,2,3,0\n"] {
            fs::write(&path, bad).unwrap();
            assert!(store.ranks(run.id()).is_err(), "{bad}");
        }
    }
}
