//! The facts in memory, by key. Those that changed lately lie in one table, with their versions: what a commit compares
//! expectations with, and what a look finds before the index on the disk has it. Beside it lies a bounded cache of facts that
//! the disk has. Facts that are seldom looked at stay as the bytes of their change, which wait for the index anyway.
//!
//! A look asks each table once and a commit asks the first one, which the look has just brought near; what the index has
//! taken in leaves in passes over a whole table, not key by key. Tables of millions of keys are far from the processor, so
//! what counts is how often each is asked.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::disk::{read_again, settles};
use super::lock;
use super::pipeline::Queued;
use crate::store::folding::Folding;
use crate::store::{Entity, Key};

/// Few enough that a shard's table stays warm, many enough that two threads seldom meet.
const SHARDS: usize = 64;

pub(super) struct View {
    shards: Vec<Mutex<Shard>>,
    hasher: Folding,
    /// The bound of a shard's cache.
    per_shard: usize,
    /// Facts put since the last pass over what changed lately, and how many it left.
    put: AtomicUsize,
    left: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    /// Whatever changed after the low water of [`View::forget`], in the version it has now.
    recent: HashTable<Recent>,
    /// Facts that the disk has. One of a key that is in `recent` too is old.
    cached: HashTable<Cached>,
    /// Grows with every pin, so that a slow reader of the disk cannot put an old fact over a new one.
    pins: u64,
}

struct Recent {
    key: Key,
    version: u64,
    fact: Pinned,
}

struct Cached {
    key: Key,
    version: u64,
    entity: Entity,
    /// Found since the last pass.
    used: bool,
}

/// A fact that changed lately.
pub(super) enum Pinned {
    Live(Entity),
    /// To be read from the bytes of the change that put it.
    Row(Arc<Queued>),
    /// To be read from the disk.
    OnDisk,
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
        // Keys are made by the server at random or are keyed hashes, so nobody can aim at one place of a table; the seed
        // differs from process to process all the same.
        let hasher = Folding::new(RandomState::new().hash_one(facts));
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher, per_shard: facts / SHARDS, put: AtomicUsize::new(0), left: AtomicUsize::new(0) }
    }

    /// The shard of a key, and the key's hash there.
    fn shard(&self, key: &Key) -> (u64, MutexGuard<'_, Shard>) {
        let hash = self.hasher.hash_one(key);
        // By bits that the tables do not look at: they take the lowest and the highest.
        (hash, lock(&self.shards[usize::try_from(hash >> 40).unwrap_or_default() % SHARDS]))
    }

    pub fn look(&self, key: &Key) -> Look {
        let (hash, mut shard) = self.shard(key);
        match shard.recent.find(hash, |recent| recent.key == *key) {
            Some(Recent { version, fact: Pinned::Live(entity), .. }) => return Look::Found(*version, entity.clone()),
            Some(Recent { version, fact: Pinned::Row(queued), .. }) => return Look::InRow(*version, queued.clone()),
            Some(Recent { fact: Pinned::OnDisk, .. }) => return Look::Missed(shard.pins),
            None => {}
        }
        // Nothing else is ever in the cache.
        let cached = if read_again(key) { shard.cached.find_mut(hash, |cached| cached.key == *key) } else { None };
        let Some(cached) = cached else { return Look::Missed(shard.pins) };
        // Not written where it says so already.
        if !cached.used {
            cached.used = true;
        }
        Look::Found(cached.version, cached.entity.clone())
    }

    /// The version of a key that changed lately; none: it is not known to have changed since the low water.
    pub fn version(&self, key: &Key) -> Option<u64> {
        let (hash, shard) = self.shard(key);
        shard.recent.find(hash, |recent| recent.key == *key).map(|recent| recent.version)
    }

    /// A fact of a change that was just applied.
    pub fn pin(&self, key: Key, version: u64, fact: Pinned) {
        let (hash, mut shard) = self.shard(&key);
        shard.pins += 1;
        let pinned = Recent { key, version, fact };
        let before =
            match shard.recent.entry(hash, |recent| recent.key == key, |recent| self.hasher.hash_one(recent.key)) {
                Entry::Occupied(mut known) => Some(mem::replace(known.get_mut(), pinned)),
                Entry::Vacant(place) => {
                    place.insert(pinned);
                    None
                }
            };
        drop(shard);
        drop(before);
    }

    /// So many facts were pinned.
    pub fn count(&self, facts: usize) {
        self.put.fetch_add(facts, Ordering::Relaxed);
    }

    /// The index has everything up to `indexed`, and no commit need be compared with what changed up to `low_water`: such
    /// versions leave, into the cache if bills are decided with them. A pass over all costs the more the more there are, so it
    /// waits until there is something to be won.
    pub fn forget(&self, indexed: u64, low_water: u64) {
        let (put, left) = (self.put.load(Ordering::Relaxed), self.left.load(Ordering::Relaxed));
        if put < left / 8 {
            return;
        }
        self.put.fetch_sub(put, Ordering::Relaxed);
        let mut left = 0;
        for shard in &self.shards {
            let mut dropped = Dropped::default();
            let mut shard = lock(shard);
            let Shard { recent, cached, .. } = &mut *shard;
            let settled = |recent: &mut Recent| {
                if recent.version <= indexed && matches!(recent.fact, Pinned::Row(_)) {
                    dropped.rows.push(mem::replace(&mut recent.fact, Pinned::OnDisk));
                }
                recent.version <= indexed.min(low_water)
            };
            let settled: Vec<Recent> = recent.extract_if(settled).collect();
            left += recent.len();
            for Recent { key, version, fact } in settled {
                let Pinned::Live(entity) = fact else { continue };
                // What the cache has of it by now is old.
                let hash = self.hasher.hash_one(key);
                if settles(&key) || cached.find(hash, |known| known.key == key).is_some() {
                    self.cache(cached, Cached { key, version, entity, used: true }, &mut dropped);
                } else {
                    dropped.entities.push(entity);
                }
            }
            // Dropped without the lock.
            drop(shard);
            drop(dropped);
        }
        self.left.store(left, Ordering::Relaxed);
    }

    /// A fact that was read from the disk after a miss. Not kept if it is seldom looked at, or if anything was pinned
    /// meanwhile that might be newer.
    pub fn remember(&self, key: Key, missed_at: u64, version: u64, entity: &Entity) {
        if !read_again(&key) {
            return;
        }
        let mut dropped = Dropped::default();
        let (_, mut shard) = self.shard(&key);
        if shard.pins == missed_at {
            let cached = Cached { key, version, entity: entity.clone(), used: false };
            self.cache(&mut shard.cached, cached, &mut dropped);
        }
        drop(shard);
        drop(dropped);
    }

    fn cache(&self, table: &mut HashTable<Cached>, fact: Cached, dropped: &mut Dropped) {
        if self.per_shard == 0 {
            return;
        }
        let hash = self.hasher.hash_one(fact.key);
        if let Some(known) = table.find_mut(hash, |cached| cached.key == fact.key) {
            dropped.cached.push(mem::replace(known, fact));
            return;
        }
        if table.len() >= self.per_shard {
            make_room(table, self.per_shard, dropped);
        }
        table.insert_unique(hash, fact, |cached| self.hasher.hash_one(cached.key));
    }
}

/// What left a table, to be dropped without its lock.
#[derive(Default)]
struct Dropped {
    rows: Vec<Pinned>,
    cached: Vec<Cached>,
    entities: Vec<Entity>,
}

/// What was not found since the last time leaves; if that is too little, every other fact.
fn make_room(table: &mut HashTable<Cached>, most: usize, dropped: &mut Dropped) {
    dropped.cached.extend(table.extract_if(|cached| !mem::take(&mut cached.used)));
    if table.len() > most - most.div_ceil(4) {
        let mut leaves = false;
        dropped.cached.extend(table.extract_if(|_| {
            leaves = !leaves;
            leaves
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MemberId;

    fn key(number: u128) -> Key {
        Key::Standing(id(number))
    }

    /// Spread as ids are.
    fn id(number: u128) -> MemberId {
        MemberId::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    fn fact(number: u128) -> Entity {
        Entity::Reference(MemberId::from_u128(number))
    }

    fn version_found(view: &View, number: u128) -> Option<u64> {
        match view.look(&key(number)) {
            Look::Found(version, _) => Some(version),
            Look::InRow(..) | Look::Missed(_) => None,
        }
    }

    #[test]
    fn what_may_be_judged_stays_and_the_rest_is_cached() {
        let view = View::new(SHARDS * 100);
        for number in 1..=100_u64 {
            view.pin(key(number.into()), number, Pinned::Live(fact(number.into())));
        }
        view.count(100);
        view.forget(80, 60);
        let known: Vec<u64> = (1..=100).filter(|number| view.version(&key(u128::from(*number))).is_some()).collect();
        assert_eq!(known, (61..=100).collect::<Vec<_>>(), "neither forgotten by the index nor by the low water");
        assert!((1..=100).all(|number| version_found(&view, number) == u64::try_from(number).ok()), "all is found");
    }

    #[test]
    fn a_new_version_is_found_before_a_cached_one() {
        let view = View::new(SHARDS * 100);
        let missed = |number| match view.look(&key(number)) {
            Look::Missed(at) => at,
            Look::Found(..) | Look::InRow(..) => panic!("is known"),
        };
        let before = missed(1);
        view.remember(key(1), before, 5, &fact(1));
        view.pin(key(1), 9, Pinned::Live(fact(2)));
        assert_eq!(version_found(&view, 1), Some(9));
        // What was read before the pin comes too late.
        view.remember(key(1), before, 5, &fact(1));
        view.count(1);
        view.forget(9, 9);
        assert_eq!((view.version(&key(1)), version_found(&view, 1)), (None, Some(9)));
    }

    #[test]
    fn what_no_bill_is_decided_with_leaves_and_an_old_one_of_it_never_comes_back() {
        let view = View::new(SHARDS * 100);
        let [read, unread] = [1, 2].map(|number| Key::Wards(id(number)));
        let Look::Missed(at) = view.look(&read) else { panic!("is unknown") };
        view.remember(read, at, 5, &fact(1));
        for key in [read, unread] {
            view.pin(key, 9, Pinned::Live(fact(2)));
        }
        view.count(2);
        view.forget(9, 9);
        assert!(matches!(view.look(&read), Look::Found(9, _)), "what was looked at before is kept, as it is now");
        assert!(matches!(view.look(&unread), Look::Missed(_)), "the disk has it");
    }

    #[test]
    fn half_of_a_cache_leaves_where_all_of_it_is_found() {
        let (mut table, mut dropped) = (HashTable::new(), Dropped::default());
        let hasher = Folding::new(1);
        for number in 0..100 {
            let cached = Cached { key: key(number), version: 1, entity: fact(number), used: true };
            table.insert_unique(hasher.hash_one(cached.key), cached, |cached| hasher.hash_one(cached.key));
        }
        make_room(&mut table, 100, &mut dropped);
        assert_eq!((table.len(), dropped.cached.len()), (50, 50));
    }

    #[test]
    fn the_cache_keeps_its_bound_and_what_is_found() {
        let most = 40;
        let view = View::new(SHARDS * most);
        let remembered = |number: u128| {
            if let Look::Missed(at) = view.look(&key(number)) {
                view.remember(key(number), at, 1, &fact(number));
            }
        };
        for number in 0..20_000_u128 {
            remembered(number);
            // One that is asked for all the time.
            remembered(7);
            assert_eq!(version_found(&view, 7), Some(1));
        }
        let lens: Vec<usize> = view.shards.iter().map(|shard| lock(shard).cached.len()).collect();
        assert!(lens.iter().all(|len| *len <= most) && lens.iter().sum::<usize>() > SHARDS * most / 4, "{lens:?}");
    }
}
