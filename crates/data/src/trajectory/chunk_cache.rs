//! Decoded chunks, kept up to a number of bytes: the second-chance rule (CLOCK).
//!
//! A chunk that was used since it was last looked at goes round once more, any other leaves. The lock is held for
//! a look-up only, never while a chunk is read and decoded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

struct Entry {
    values: Arc<[f32]>,
    used: bool,
}

#[derive(Default)]
struct Content {
    entries: HashMap<u64, Entry>,
    order: VecDeque<u64>,
    bytes: usize,
}

pub(super) struct ChunkCache {
    limit: usize,
    content: Mutex<Content>,
}

impl ChunkCache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, content: Mutex::default() }
    }

    pub(super) fn get(&self, key: u64) -> Option<Arc<[f32]>> {
        let mut content = self.lock();
        let entry = content.entries.get_mut(&key)?;
        entry.used = true;
        Some(entry.values.clone())
    }

    /// Keeps `values` if they fit at all, and lets go of others until they do.
    pub(super) fn insert(&self, key: u64, values: &Arc<[f32]>) {
        let bytes = size_of_val::<[f32]>(values);
        let mut content = self.lock();
        if bytes > self.limit || content.entries.contains_key(&key) {
            return;
        }
        while content.bytes + bytes > self.limit {
            content.let_go_of_one();
        }
        content.bytes += bytes;
        content.order.push_back(key);
        content.entries.insert(key, Entry { values: values.clone(), used: false });
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A panic elsewhere cannot leave the content half changed in a way that matters: it is only a cache.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn let_go_of_one(&mut self) {
        while let Some(key) = self.order.pop_front() {
            match self.entries.get_mut(&key) {
                Some(entry) if entry.used => {
                    entry.used = false;
                    self.order.push_back(key);
                }
                _ => {
                    let values = self.entries.remove(&key).map(|entry| entry.values);
                    self.bytes -= values.map_or(0, |values| size_of_val::<[f32]>(&values));
                    return;
                }
            }
        }
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: usize) -> Arc<[f32]> {
        vec![0.0; n].into()
    }

    #[test]
    fn never_more_than_the_limit() {
        let cache = ChunkCache::new(4 * 100);
        for key in 0..1000u64 {
            cache.insert(key, &chunk(1 + (key as usize * 7) % 40));
            cache.get(key / 2);
            assert!(cache.bytes() <= 400);
        }
        assert!(cache.get(999).is_some());
        let held: usize = (0..1000).filter_map(|k| cache.get(k)).map(|v| 4 * v.len()).sum();
        assert_eq!(held, cache.bytes());
        cache.insert(5000, &chunk(101));
        assert!(cache.get(5000).is_none());
    }

    #[test]
    fn what_was_used_stays() {
        let cache = ChunkCache::new(4 * 30);
        for key in 0..3 {
            cache.insert(key, &chunk(10));
        }
        cache.get(0);
        cache.insert(3, &chunk(10));
        assert!(cache.get(0).is_some() && cache.get(1).is_none() && cache.get(2).is_some());
    }
}
