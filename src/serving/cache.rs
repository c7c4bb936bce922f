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
    times: Vec<i64>,
    query: i64,
    count: usize,
    force: Force,
}

impl Key {
    pub fn new(asked: &Asked, force: Force) -> Self {
        Self {
            user: asked.user.clone(),
            items: asked.items.clone(),
            times: asked.times.clone(),
            query: asked.query,
            count: asked.count,
            force,
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
        self.0.as_ref().map_or(0, Cache::entry_count)
    }
}
