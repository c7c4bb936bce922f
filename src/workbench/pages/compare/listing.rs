//! What the page reads from the run store, off the UI thread.

use super::{ComparePage, rows};
use crate::jobs::Context;
use crate::runs::{AblationTable, Group, Judged, RunEntry, RunError, RunStore, RunSummary, groups};
use crate::workbench::session::Session;
use crate::workbench::unfinished::Unfinished;

/// Every run, and the groups of seeds among them.
#[derive(Debug, Default, Clone)]
pub struct Listing {
    pub entries: Vec<RunEntry>,
    pub groups: Vec<Group>,
    pub unfinished: Option<Unfinished>,
}

impl Listing {
    /// Read the store, and remove what has been in its trash for long.
    fn read(store: &RunStore) -> Self {
        if let Err(error) = store.empty_old_trash() {
            // The runs are there all the same, and it is tried again at the next reading.
            tracing::warn!("old deleted runs could not be removed: {error}");
        }
        let entries = store.list();
        let groups = groups(&entries);
        let unfinished = Unfinished::find(&entries, store);
        Self { entries, groups, unfinished }
    }
}

/// Which runs are set against each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// Those that were started together.
    Group(String),
    /// Those of the selected lines, by their ids.
    Selected(Vec<String>),
}

impl Compared {
    fn has(&self, entry: &RunEntry) -> bool {
        match self {
            Self::Group(group) => {
                entry.summary.as_ref().is_some_and(|summary| summary.group.as_ref() == Some(group))
            }
            Self::Selected(ids) => ids.contains(&entry.id),
        }
    }
}

/// The table of some runs.
pub struct Ablation {
    pub of: Compared,
    pub table: AblationTable,
    pub judged: Judged,
    /// When the first of them was started.
    pub begun: jiff::Timestamp,
}

impl Ablation {
    /// Of the finished runs `entries`, newest first.
    fn read(of: Compared, entries: &[RunEntry], store: &RunStore) -> Result<Self, RunError> {
        // The table goes by the order in which they were started.
        let summaries: Vec<RunSummary> =
            entries.iter().rev().filter_map(|entry| entry.summary.clone()).collect();
        let table = AblationTable::of_stored(store, &summaries)?;
        let first = summaries.first();
        let first = first.ok_or_else(|| RunError::NoRuns { dir: store.dir().to_owned() })?;
        let (judged, begun) = (Judged::of(first), first.created);
        Ok(Self { of, table, judged, begun })
    }
}

impl ComparePage {
    pub(super) fn read(&mut self, session: &mut Session) {
        let Ok(store) = session.store.clone() else { return };
        self.read_at = Some(session.runs_changed);
        let work = move |_: &Context<()>| Ok(Listing::read(&store));
        if let Err(message) = self.reading.start(&session.ctx, "Reading runs", work) {
            session.toasts.error(message);
        }
    }

    pub(super) fn tabulate(&mut self, session: &mut Session) {
        let wanted = self.compared();
        if wanted == self.wanted {
            return;
        }
        self.wanted.clone_from(&wanted);
        let (Some(of), Ok(store)) = (wanted, session.store.clone()) else { return };
        let entries = self.listing.entries.iter().filter(|entry| of.has(entry));
        let entries: Vec<RunEntry> = entries.cloned().collect();
        let work = move |_: &Context<()>| {
            Ablation::read(of, &entries, &store).map_err(|error| error.to_string())
        };
        if let Err(message) = self.tabulating.start(&session.ctx, "Comparing models", work) {
            session.toasts.error(message);
        }
    }

    /// The runs to set against each other: those of several selected lines that were judged alike, or
    /// the group of the selected line, else of the newest run that is done.
    fn compared(&self) -> Option<Compared> {
        let selected = self.selected_rows();
        if selected.len() > 1 && rows::all_judged_alike(&selected) {
            return Some(Compared::Selected(self.selected_runs()));
        }
        let group = selected.first().and_then(|row| row.group.clone()).or_else(|| {
            let done = self.listing.entries.iter().filter(|entry| !entry.archived);
            done.filter_map(|entry| entry.summary.as_ref()).find_map(|s| s.group.clone())
        });
        group.map(Compared::Group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::TRASH_DAYS;
    use crate::settings::Config;

    #[test]
    fn reading_the_runs_removes_what_was_deleted_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::open(Some(folder.path())).unwrap();
        let ids = ["kept", "deleted", "long-deleted"]
            .map(|label| store.create(label, &Config::default()).unwrap().id().to_owned());
        for id in &ids[1..] {
            store.delete(id).unwrap();
        }
        let trash = folder.path().join(".trash");
        let long_ago = jiff::Timestamp::now().as_second() - (TRASH_DAYS as i64 + 1) * 24 * 3600;
        for entry in std::fs::read_dir(&trash).unwrap().flatten() {
            if entry.file_name().to_string_lossy().ends_with(&ids[2]) {
                let old = trash.join(format!("{long_ago}-{}", ids[2]));
                std::fs::rename(entry.path(), old).unwrap();
            }
        }
        let listing = Listing::read(&store);
        assert_eq!(listing.entries.len(), 1);
        assert_eq!(listing.entries[0].id, ids[0]);
        assert!(matches!(store.restore(&ids[2]), Err(RunError::NotInTrash(_))));
        store.restore(&ids[1]).unwrap();
    }
}
