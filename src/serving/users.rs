//! States of users that asked before, so that a history that only grew is not run through again.

use std::sync::Arc;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Users remembered, at most: with H = 128 some 64 MB.
const USERS: u64 = 100_000;

/// A user's state right after the last of `items`.
pub struct UserState {
    /// Which model it is a state of.
    pub generation: u64,
    pub items: Vec<u32>,
    /// Unix milliseconds.
    pub times: Vec<i64>,
    pub state: Vec<f32>,
}

/// The states, by user id; the least used give way.
pub struct Users(Cache<String, Arc<UserState>>);

impl Users {
    pub fn new() -> Self {
        // Who came last stays, though they never came before.
        let policy = EvictionPolicy::lru();
        Self(Cache::builder().max_capacity(USERS).eviction_policy(policy).build())
    }

    /// The state to go on from, and how many events it has seen, where the history given begins
    /// with the one remembered.
    pub fn resume(
        &self,
        user: &str,
        generation: u64,
        items: &[u32],
        times: &[i64],
    ) -> Option<Arc<UserState>> {
        let known = self.0.get(user)?;
        let same = known.generation == generation
            && items.starts_with(&known.items)
            && times.starts_with(&known.times);
        same.then_some(known)
    }

    /// Time of the last event of a user under this model.
    pub fn last_event(&self, user: &str, generation: u64) -> Option<i64> {
        let known = self.0.get(user).filter(|known| known.generation == generation)?;
        known.times.last().copied()
    }

    pub fn keep(&self, user: String, state: UserState) {
        self.0.insert(user, Arc::new(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_history_that_grew_goes_on_from_its_state() {
        let users = Users::new();
        let state =
            UserState { generation: 1, items: vec![3, 4], times: vec![10, 20], state: vec![0.5] };
        users.keep("ann".to_owned(), state);
        let resumed = |items: &[u32], times: &[i64], generation| {
            users.resume("ann", generation, items, times).is_some()
        };
        assert!(resumed(&[3, 4, 9], &[10, 20, 30], 1));
        assert!(resumed(&[3, 4], &[10, 20], 1));
        assert!(!resumed(&[3], &[10], 1), "shorter");
        assert!(!resumed(&[3, 5, 9], &[10, 20, 30], 1), "another item");
        assert!(!resumed(&[3, 4, 9], &[10, 21, 30], 1), "another time");
        assert!(!resumed(&[3, 4, 9], &[10, 20, 30], 2), "another model");
        assert_eq!(users.last_event("ann", 1), Some(20));
        assert!(users.last_event("ann", 2).is_none() && users.last_event("bob", 1).is_none());
        assert!(users.resume("bob", 1, &[3, 4], &[10, 20]).is_none());
    }
}
