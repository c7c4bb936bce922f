//! Finished parts of an experiment that was stopped, so that running it again goes on from there.
//!
//! Parts lie beside the results under a hash of everything that decides them. They are dropped once
//! the result is stored.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::ExperimentError;
use crate::runs::write_atomic;

/// Larger parts are not ours.
const LARGEST: u64 = 256 << 20;

/// The parts of one experiment under one set of settings.
pub struct Parts {
    dir: PathBuf,
}

impl Parts {
    /// Those of `experiment` whose results are decided by `key`.
    pub fn new(store: &super::ExperimentStore, experiment: &str, key: &str) -> Self {
        let hash = Sha256::digest(format!("{}\n{experiment}\n{key}", env!("CARGO_PKG_VERSION")));
        let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { dir: store.dir().join(".parts").join(format!("{experiment}-{name}")) }
    }

    /// Their folder, which may not be there yet.
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// The part `name`, read where it was finished before, else worked out and kept.
    ///
    /// # Errors
    /// Those of `work`, and [`ExperimentError::File`] where it cannot be kept.
    pub fn part<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, ExperimentError>,
    ) -> Result<T, ExperimentError> {
        let path = self.dir.join(format!("{name}.json"));
        // A part that cannot be read is worked out again.
        let small = fs::metadata(&path).is_ok_and(|known| known.len() <= LARGEST);
        let kept = small.then(|| fs::read(&path).ok()).flatten();
        if let Some(part) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(part);
        }
        let part = work()?;
        let failed = |reason: String| ExperimentError::File { path: path.clone(), reason };
        let bytes = serde_json::to_vec(&part).map_err(|error| failed(error.to_string()))?;
        fs::create_dir_all(&self.dir).map_err(ExperimentError::file(&self.dir))?;
        write_atomic(&path, &bytes).map_err(ExperimentError::file(&path))?;
        Ok(part)
    }

    /// Drop them all; what cannot be removed is only in the way of nothing.
    pub fn clear(&self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::ExperimentStore;
    use crate::runs::RunStore;

    #[test]
    fn a_part_is_worked_out_once_for_each_key_and_again_after_clearing() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunStore::open(Some(folder.path())).unwrap();
        let store = ExperimentStore::beside(&runs);
        let mut worked = 0;
        let mut ask = |key: &str| {
            let parts = Parts::new(&store, "test", key);
            parts
                .part("one", || {
                    worked += 1;
                    Ok(worked)
                })
                .unwrap()
        };
        assert_eq!([ask("a"), ask("a"), ask("b"), ask("a")], [1, 1, 2, 1]);
        Parts::new(&store, "test", "a").clear();
        assert_eq!(ask("a"), 3);
    }
}
