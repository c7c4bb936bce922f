//! Answers given a moment ago, for the same question under the same model and settings.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::answer::Composed;
use super::request::Asked;
use crate::routing::Force;
use crate::settings::ServerSettings;

/// All that an answer depends on besides model and settings, which have a cache of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    user: String,
    items: Vec<u32>,
    older: Vec<u32>,
    times: Vec<i64>,
    query: i64,
    calendar: bool,
    count: usize,
    force: Force,
    /// What others did moves the answer as well, where there are item dynamics: those of another second
    /// give another.
    second: Option<u64>,
}

impl Key {
    /// For a request at `now`, in seconds of any clock, to a model with item dynamics or without.
    pub fn new(asked: &Asked, force: Force, now: f64, item_dynamics: bool) -> Self {
        Self {
            user: asked.user.clone(),
            items: asked.items.clone(),
            older: asked.older.clone(),
            times: asked.times.clone(),
            query: asked.query,
            calendar: asked.calendar,
            count: asked.count,
            force,
            second: item_dynamics.then_some(now as u64),
        }
    }
}

/// The answers; bounded, each for a limited time. A size of 0 keeps none.
pub struct Answers(Option<Cache<Key, Arc<Composed>, foldhash::fast::RandomState>>);

impl Answers {
    pub fn new(settings: &ServerSettings) -> Self {
        let cache = (settings.cache_size > 0).then(|| {
            Cache::builder()
                .max_capacity(settings.cache_size as u64)
                .time_to_live(Duration::from_secs_f64(settings.cache_seconds))
                .build_with_hasher(foldhash::fast::RandomState::default())
        });
        Self(cache)
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Composed>> {
        self.0.as_ref().and_then(|cache| cache.get(key))
    }

    pub fn put(&self, key: Key, answer: Arc<Composed>) {
        if let Some(cache) = &self.0 {
            cache.insert(key, answer);
        }
    }

    pub fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |cache| {
            // Else it is what was there at the last tidying up.
            cache.run_pending_tasks();
            cache.entry_count()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_item_dynamics_an_answer_is_of_its_second() {
        let asked = Asked {
            user: "u".to_owned(),
            items: vec![1],
            older: Vec::new(),
            times: vec![2],
            query: 2,
            calendar: true,
            count: 10,
            warnings: Vec::new(),
        };
        let key = |now, item_dynamics| Key::new(&asked, Force::No, now, item_dynamics);
        assert_eq!(key(3.1, true), key(3.9, true));
        assert_ne!(key(3.9, true), key(4.1, true));
        assert_eq!(key(3.9, false), key(4.1, false));
    }
}
