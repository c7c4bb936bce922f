//! Deleting with a way back.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::{RunError, RunStore};

/// How long a deleted run is kept at least, in days.
pub const TRASH_DAYS: u64 = 30;

/// Hidden among the runs, so that moving there is a rename.
const TRASH: &str = ".trash";

/// A run in the trash.
struct Trashed {
    /// Unix seconds.
    deleted: i64,
    id: String,
    path: PathBuf,
}

impl RunStore {
    /// Move a run to the trash, from where [`restore`](Self::restore) brings it back.
    ///
    /// # Errors
    /// [`RunError::InUse`] where it is running.
    pub fn delete(&self, id: &str) -> Result<(), RunError> {
        let path = self.idle_path_of(id)?;
        let trash = self.dir().join(TRASH);
        fs::create_dir_all(&trash).map_err(RunError::io(&trash))?;
        // The name keeps when, for `empty_trash`.
        let name = format!("{}-{id}", Timestamp::now().as_second());
        fs::rename(&path, trash.join(name)).map_err(RunError::io(&path))
    }

    /// Undo [`delete`](Self::delete).
    ///
    /// # Errors
    /// [`RunError::NotInTrash`] where it is not there, [`RunError::Exists`] where its place
    /// is taken.
    pub fn restore(&self, id: &str) -> Result<(), RunError> {
        let found = self.trashed()?.into_iter().find(|trashed| trashed.id == id);
        let found = found.ok_or_else(|| RunError::NotInTrash(id.to_owned()))?;
        let path = self.dir().join(id);
        if path.exists() {
            return Err(RunError::Exists(id.to_owned()));
        }
        fs::rename(&found.path, &path).map_err(RunError::io(&path))
    }

    /// Remove for good what was deleted [`TRASH_DAYS`] ago or earlier; how many runs that were.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn empty_old_trash(&self) -> Result<usize, RunError> {
        self.empty_trash(Duration::from_secs(TRASH_DAYS * 24 * 3600))
    }

    /// Remove for good what was deleted at least `older_than` ago; how many runs that were.
    ///
    /// # Errors
    /// [`RunError::Io`].
    pub fn empty_trash(&self, older_than: Duration) -> Result<usize, RunError> {
        let seconds = i64::try_from(older_than.as_secs()).unwrap_or(i64::MAX);
        let limit = Timestamp::now().as_second().saturating_sub(seconds);
        let mut removed = 0;
        for trashed in self.trashed()? {
            if trashed.deleted <= limit {
                fs::remove_dir_all(&trashed.path).map_err(RunError::io(&trashed.path))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn trashed(&self) -> Result<Vec<Trashed>, RunError> {
        let trash = self.dir().join(TRASH);
        let listed = match fs::read_dir(&trash) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RunError::io(&trash)(error)),
        };
        // Names that are not ours are left alone.
        let trashed = listed.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let (deleted, id) = name.to_str()?.split_once('-')?;
            Some(Trashed { deleted: deleted.parse().ok()?, id: id.to_owned(), path: entry.path() })
        });
        Ok(trashed.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::RunState;
    use crate::runs::store::tests::{finished, store};

    #[test]
    fn deleting_is_undone_and_the_trash_is_emptied() {
        let (_dir, store) = store();
        let id = finished(&store, "one");
        store.delete(&id).unwrap();
        assert!(store.list().is_empty());
        store.restore(&id).unwrap();
        assert_eq!(store.find(&id).unwrap().state, RunState::Done);
        assert!(matches!(store.restore(&id), Err(RunError::NotInTrash(_))));

        store.delete(&id).unwrap();
        assert_eq!(store.empty_trash(Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(store.empty_trash(Duration::ZERO).unwrap(), 1);
        assert!(store.restore(&id).is_err());
    }

    #[test]
    fn only_what_was_deleted_long_ago_goes_by_itself() {
        let (_dir, store) = store();
        let ids = ["old", "new"].map(|label| finished(&store, label));
        for id in &ids {
            store.delete(id).unwrap();
        }
        // As if one had been deleted a month and a minute ago, the other a minute less than that.
        let now = Timestamp::now().as_second();
        for (id, seconds) in ids.iter().zip([60, -60]) {
            let old = store.trashed().unwrap().into_iter().find(|run| run.id == *id).unwrap();
            let name = format!("{}-{id}", now - 30 * 24 * 3600 - seconds);
            fs::rename(&old.path, old.path.with_file_name(name)).unwrap();
        }
        assert_eq!(store.empty_old_trash().unwrap(), 1);
        assert!(matches!(store.restore(&ids[0]), Err(RunError::NotInTrash(_))));
        store.restore(&ids[1]).unwrap();
    }

    #[test]
    fn a_running_run_is_neither_deleted_nor_archived() {
        let (_dir, store) = store();
        let run = store.create("busy", &crate::settings::Config::default()).unwrap();
        assert!(matches!(store.delete(run.id()), Err(RunError::InUse(_))));
        assert!(matches!(store.archive(run.id()), Err(RunError::InUse(_))));
    }
}
