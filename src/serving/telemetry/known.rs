//! Ids of the last answers.

use std::collections::HashSet;

use uuid::Uuid;

/// Remembers at least the last `capacity` ids and at most twice as many. Two sets take turns, so
/// that nothing is ever taken out one by one and no insertion is slow.
#[derive(Debug)]
pub struct KnownIds {
    capacity: usize,
    current: HashSet<Uuid>,
    before: HashSet<Uuid>,
}

impl KnownIds {
    /// Feedback on an answer older than so many answers is noted, but its answer is not known.
    pub const CAPACITY: usize = 100_000;

    pub fn new(capacity: usize) -> Self {
        let set = || HashSet::with_capacity(capacity);
        Self { capacity, current: set(), before: set() }
    }

    pub fn insert(&mut self, id: Uuid) {
        if self.current.len() >= self.capacity {
            std::mem::swap(&mut self.current, &mut self.before);
            self.current.clear();
        }
        self.current.insert(id);
    }

    pub fn contains(&self, id: Uuid) -> bool {
        self.current.contains(&id) || self.before.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_old_ones_forgotten() {
        let mut known = KnownIds::new(100);
        let room = (known.current.capacity(), known.before.capacity());
        for id in 0..1000_u128 {
            known.insert(Uuid::from_u128(id));
            for back in 0..100.min(id + 1) {
                assert!(known.contains(Uuid::from_u128(id - back)), "{id} − {back}");
            }
            if id >= 200 {
                assert!(!known.contains(Uuid::from_u128(id - 200)), "{id}");
            }
        }
        let mut now = [known.current.capacity(), known.before.capacity()];
        now.sort_unstable();
        assert_eq!(now, [room.0, room.1], "no set grew");
    }
}
