//! One number for a set's content, to tell whether two runs saw the same data.

use sha2::{Digest, Sha256};

use super::Dataset;

impl Dataset {
    /// First 16 hex digits of a SHA-256 over user ids, item ids, items and times: the same events
    /// give the same fingerprint under any name and in any file format.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for ids in [&self.user_ids, &self.item_ids] {
            hash.update((ids.len() as u64).to_le_bytes());
            for id in ids {
                hash.update((id.len() as u64).to_le_bytes());
                hash.update(id.as_bytes());
            }
        }
        for offset in &self.offsets {
            hash.update((*offset as u64).to_le_bytes());
        }
        // In blocks: one call an event would cost more than the hash.
        let mut block = Vec::with_capacity(12 * 4096);
        for (items, times) in self.item.chunks(4096).zip(self.time.chunks(4096)) {
            block.clear();
            for (item, time) in items.iter().zip(times) {
                block.extend_from_slice(&item.to_le_bytes());
                block.extend_from_slice(&time.to_le_bytes());
            }
            hash.update(&block);
        }
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::data::drift::{DriftOptions, drift};

    #[test]
    fn it_follows_content_and_not_the_name() {
        let options = DriftOptions { users: 5, ..DriftOptions::default() };
        let mut data = drift(options);
        let first = data.fingerprint();
        data.name = "another".to_owned();
        assert_eq!(data.fingerprint(), first);
        data.time[0] -= 1;
        assert_ne!(data.fingerprint(), first);
    }
}
