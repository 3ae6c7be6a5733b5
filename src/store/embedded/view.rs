//! The facts in memory: those not yet in the index on the disk, which must stay, and a bounded cache of those that are.
//! Facts that are seldom looked at stay as the bytes of their change, which wait for the index anyway.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use foldhash::fast::RandomState;

use super::disk::read_again;
use super::lock;
use super::pipeline::Queued;
use crate::store::{Entity, Key};

/// Few enough that a shard's table stays warm, many enough that two threads seldom meet.
const SHARDS: usize = 64;

/// Keys are made by the server at random or are keyed hashes, so nobody can aim at one place of a table.
type Table<F> = HashMap<Key, (u64, F), RandomState>;

pub(super) struct View {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// The bound of each of a shard's two generations of cached facts.
    per_generation: usize,
}

#[derive(Default)]
struct Shard {
    /// Applied, and not known to be in the index on the disk.
    pinned: Table<Pinned>,
    /// On the disk too. A fact that is found in the old generation moves to the young one; a full young one becomes old.
    young: Table<Entity>,
    old: Table<Entity>,
    /// Grows with every pin, so that a slow reader of the disk cannot put an old fact over a new one.
    pins: u64,
}

/// A fact of an applied change.
pub(super) enum Pinned {
    Live(Entity),
    /// To be read from the bytes of the change that put it.
    Row(Arc<Queued>),
}

/// What the memory knows of a key.
pub(super) enum Look {
    Found(u64, Entity),
    /// To be read from this change.
    InRow(u64, Arc<Queued>),
    /// To be read from the disk; the number is for [`View::remember`].
    Missed(u64),
}

impl View {
    /// `facts` bounds the cache by number.
    pub fn new(facts: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::default(), per_generation: facts / SHARDS / 2 }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // The upper bits, since the tables inside use the lower ones of their own hash.
        let place = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default() % SHARDS;
        lock(&self.shards[place])
    }

    pub fn look(&self, key: &Key) -> Look {
        let mut shard = self.shard(key);
        match shard.pinned.get(key) {
            Some((version, Pinned::Live(entity))) => return Look::Found(*version, entity.clone()),
            Some((version, Pinned::Row(queued))) => return Look::InRow(*version, queued.clone()),
            None => {}
        }
        if let Some((version, entity)) = shard.young.get(key) {
            return Look::Found(*version, entity.clone());
        }
        let Some((version, entity)) = shard.old.remove(key) else { return Look::Missed(shard.pins) };
        let dropped = self.cache(&mut shard, *key, version, entity.clone());
        drop(shard);
        drop(dropped);
        Look::Found(version, entity)
    }

    /// A fact of a change that was just applied: it stays until [`View::settle`].
    pub fn pin(&self, key: Key, version: u64, fact: Pinned) {
        let mut shard = self.shard(&key);
        shard.pins += 1;
        shard.pinned.insert(key, (version, fact));
    }

    /// The index has this version of the key. If it is still the newest, it need not stay.
    pub fn settle(&self, key: &Key, version: u64) {
        let mut shard = self.shard(key);
        let pinned = match shard.pinned.entry(*key) {
            Entry::Occupied(pinned) if pinned.get().0 == version => pinned.remove().1,
            Entry::Occupied(_) | Entry::Vacant(_) => return,
        };
        let Pinned::Live(entity) = pinned else { return };
        let dropped = self.cache(&mut shard, *key, version, entity);
        drop(shard);
        drop(dropped);
    }

    /// A fact that was read from the disk after a miss. Not kept if it is seldom looked at, or if anything was pinned
    /// meanwhile that might be newer.
    pub fn remember(&self, key: Key, missed_at: u64, version: u64, entity: &Entity) {
        if !read_again(&key) {
            return;
        }
        let mut shard = self.shard(&key);
        if shard.pins == missed_at {
            let dropped = self.cache(&mut shard, key, version, entity.clone());
            drop(shard);
            drop(dropped);
        }
    }

    /// Returns what fell out, for the caller to drop without the lock.
    fn cache(&self, shard: &mut Shard, key: Key, version: u64, entity: Entity) -> Option<Table<Entity>> {
        if self.per_generation == 0 {
            return None;
        }
        let full = shard.young.len() >= self.per_generation;
        let dropped = full.then(|| mem::replace(&mut shard.old, mem::take(&mut shard.young)));
        shard.young.insert(key, (version, entity));
        dropped
    }
}
