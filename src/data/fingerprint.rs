//! One number for a set's content, to tell whether two runs saw the same data.

use sha2::{Digest, Sha256};

use super::Dataset;
use super::pace::Pace;
use crate::jobs::Cancelled;

impl Dataset {
    /// First 16 hex digits of a SHA-256 over user ids, item ids, items and times: the same rows
    /// give the same fingerprint under any name and in any file format. Sorted otherwise they give
    /// another, and make other models: ids are numbered as they first come. `go_on` is asked every few
    /// milliseconds.
    ///
    /// # Errors
    /// [`Cancelled`] when `go_on` says so.
    pub fn fingerprint(
        &self,
        go_on: impl FnMut() -> Result<(), Cancelled>,
    ) -> Result<String, Cancelled> {
        let mut pace = Pace::new(go_on);
        let mut hash = Sha256::new();
        for ids in [&self.user_ids, &self.item_ids] {
            hash.update((ids.len() as u64).to_le_bytes());
            for id in ids {
                pace.step(1)?;
                hash.update((id.len() as u64).to_le_bytes());
                hash.update(id.as_bytes());
            }
        }
        for offset in &self.offsets {
            pace.step(1)?;
            hash.update((*offset as u64).to_le_bytes());
        }
        // In blocks: one call an event would cost more than the hash.
        let mut block = Vec::with_capacity(12 * 4096);
        for (items, times) in self.item.chunks(4096).zip(self.time.chunks(4096)) {
            pace.step(items.len())?;
            block.clear();
            for (item, time) in items.iter().zip(times) {
                block.extend_from_slice(&item.to_le_bytes());
                block.extend_from_slice(&time.to_le_bytes());
            }
            hash.update(&block);
        }
        Ok(hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::data::drift::{DriftOptions, drift};
    use crate::jobs::Cancelled;

    #[test]
    fn it_follows_content_and_not_the_name() {
        let options = DriftOptions { users: 5, ..DriftOptions::default() };
        let mut data = drift(options, || Ok(())).unwrap();
        let first = data.fingerprint(|| Ok(())).unwrap();
        data.name = "another".to_owned();
        assert_eq!(data.fingerprint(|| Ok(())).unwrap(), first);
        data.time[0] -= 1;
        assert_ne!(data.fingerprint(|| Ok(())).unwrap(), first);
        assert_eq!(data.fingerprint(|| Err(Cancelled)), Err(Cancelled));
    }
}
