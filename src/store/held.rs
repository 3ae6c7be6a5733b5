//! Many shards at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

/// The locks of some shards, each once. Nothing else holds more than one, these are taken in order of the shards, and nothing
/// is waited for while holding them, so no two can wait for each other.
pub struct Held<'a, T> {
    order: Few<usize>,
    guards: Few<MutexGuard<'a, T>>,
}

/// As many as a look at a family asks for lie in place.
pub type Few<T> = SmallVec<[T; 8]>;

impl<'a, T> Held<'a, T> {
    pub fn of(shards: &'a [Mutex<T>], places: impl Iterator<Item = usize>) -> Self {
        let mut order: Few<usize> = places.collect();
        order.sort_unstable();
        order.dedup();
        // A panic while a lock was held has already been reported; the data under it is whole.
        let guard = |place: &usize| shards[*place].lock().unwrap_or_else(PoisonError::into_inner);
        let guards = order.iter().map(guard).collect();
        Self { order, guards }
    }

    /// One of them.
    pub fn shard(&self, place: usize) -> &T {
        &self.guards[self.order.partition_point(|shard| *shard < place)]
    }

    /// The same, to be changed.
    pub fn shard_mut(&mut self, place: usize) -> &mut T {
        &mut self.guards[self.order.partition_point(|shard| *shard < place)]
    }
}
