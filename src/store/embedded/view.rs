//! The facts in memory, by key. Those that changed lately lie in one table, with their versions: what a commit compares
//! expectations with, and what a look finds before the index on the disk has it. Beside it lies a bounded cache of facts that
//! the disk has. Facts that are seldom looked at stay as the bytes of their change, which wait for the index anyway.
//!
//! A commit asks the first table only, in places that the look has just brought near; what the index has
//! taken in leaves in passes over a whole table, not key by key. Tables of millions of keys are far from the processor, so
//! what counts is how often each is asked, and that many keys are waited for together.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use smallvec::smallvec;

use super::keeping::{read_again, settles};
use super::lock;
use super::pipeline::Queued;
use super::shard::{AtHand, Cache, Cached, Live, Look, Pinned, Shard, at_hand};
use crate::store::codec::DecodeError;
use crate::store::folding::Folding;
use crate::store::held::{Few, Held};
use crate::store::small::Small;
use crate::store::tables::{Of, Spot};
use crate::store::{Entity, Key};

/// Few enough that a shard's table stays warm, many enough that two threads seldom meet.
const SHARDS: usize = 64;
/// So many keys of a look are waited for together, with the locks of their shards: more would keep commits waiting.
const TOGETHER: usize = 16;

pub(super) struct View {
    shards: Vec<Mutex<Shard>>,
    hasher: Folding,
    /// The bound of a shard's cache.
    per_shard: usize,
    /// Facts put since the last pass over what changed lately, and how many it left.
    put: AtomicUsize,
    left: AtomicUsize,
}

impl View {
    /// `facts` bounds the cache by number.
    pub fn new(facts: usize) -> Self {
        // Keys are made by the server at random or are keyed hashes, so nobody can aim at one place of a table; the seed
        // differs from process to process all the same.
        let hasher = Folding::new(RandomState::new().hash_one(facts));
        let shard = || Mutex::new(Shard::new(&hasher));
        let shards = (0..SHARDS).map(|_| shard()).collect();
        Self { shards, hasher, per_shard: facts / SHARDS, put: AtomicUsize::new(0), left: AtomicUsize::new(0) }
    }

    /// What is worked out of a key once.
    pub fn spot(&self, key: &Key) -> Spot {
        Spot::of(key, &self.hasher)
    }

    fn shard(&self, spot: &Spot) -> MutexGuard<'_, Shard> {
        lock(&self.shards[place(spot)])
    }

    /// What is known of each of these keys.
    pub fn look(&self, keys: &[Key]) -> Result<Few<Look>, DecodeError> {
        if let [key] = keys {
            let spot = self.spot(key);
            return self.shard(&spot).look(&spot).map(|look| smallvec![look]);
        }
        let mut looks = Few::new();
        for keys in keys.chunks(TOGETHER) {
            self.look_together(keys, &mut looks)?;
        }
        Ok(looks)
    }

    fn look_together(&self, keys: &[Key], looks: &mut Few<Look>) -> Result<(), DecodeError> {
        // Nearly every step waits for memory, and a processor waits for many places at a time unless something comes in
        // between that it must not reorder, as taking a lock is: so first all the locks, then a touch of all that will be
        // found, and then the facts.
        let spots: Few<Spot> = keys.iter().map(|key| self.spot(key)).collect();
        let mut held = Held::of(&self.shards, spots.iter().map(place));
        black_box(spots.iter().fold(0, |sum, spot| sum ^ held.shard(place(spot)).touch(spot)));
        for spot in &spots {
            looks.push(held.shard_mut(place(spot)).look(spot)?);
        }
        Ok(())
    }

    /// The version of a key that changed lately; none: it is not known to have changed since the low water.
    pub fn version(&self, spot: &Spot) -> Option<u64> {
        self.shard(spot).recent.find(spot).map(|(version, _)| version)
    }

    /// A fact of a change that was just applied; where it is not at hand it is read from the change.
    pub fn pin(&self, spot: &Spot, fact: Option<AtHand>, queued: &Arc<Queued>) {
        let pinned = match fact {
            Some(Of::Standing(bytes)) => Of::Standing(bytes),
            Some(Of::Fact(live)) => Of::Fact(Pinned::Live(live)),
            None => Of::Fact(Pinned::Row(queued.clone())),
        };
        self.put(spot, queued.head.position, pinned);
    }

    fn put(&self, spot: &Spot, version: u64, pinned: Of<Small, Pinned>) {
        let mut shard = self.shard(spot);
        shard.pins += 1;
        let before = shard.recent.put(spot, version, pinned);
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
            let settled = recent.take_out(|version, fact| {
                if version <= indexed
                    && let Of::Fact(row @ Pinned::Row(_)) = fact
                {
                    dropped.rows.push(mem::replace(row, Pinned::OnDisk));
                }
                version <= indexed.min(low_water)
            });
            left += recent.len();
            for (key, version, fact) in settled {
                let fact = match fact {
                    Of::Standing(bytes) => Of::Standing(bytes),
                    Of::Fact(Pinned::Live(live)) => Of::Fact(live),
                    Of::Fact(Pinned::Row(_) | Pinned::OnDisk) => continue,
                };
                let spot = self.spot(&key);
                // What the cache has of it by now is old.
                if settles(&key) || cached.find(&spot).is_some() {
                    self.cache(cached, &spot, version, fact, true, &mut dropped);
                } else {
                    dropped.at_hand.push(fact);
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
        let (spot, fact) = (self.spot(&key), at_hand(&key, entity.clone(), &mut Vec::new()));
        let mut dropped = Dropped::default();
        let mut shard = self.shard(&spot);
        if shard.pins == missed_at {
            self.cache(&mut shard.cached, &spot, version, fact, false, &mut dropped);
        }
        drop(shard);
        drop(dropped);
    }

    fn cache(&self, table: &mut Cache, spot: &Spot, version: u64, fact: AtHand, used: bool, dropped: &mut Dropped) {
        if self.per_shard == 0 {
            return;
        }
        if table.len() >= self.per_shard && table.find(spot).is_none() {
            make_room(table, self.per_shard, dropped);
        }
        let fact = match fact {
            Of::Standing(fact) => Of::Standing(Cached { used, fact }),
            Of::Fact(fact) => Of::Fact(Cached { used, fact }),
        };
        dropped.cached.extend(table.put(spot, version, fact));
    }
}

/// The shard of a key, by bits of its hash that the tables do not look at: they take the lowest and the highest.
fn place(spot: &Spot) -> usize {
    usize::try_from(spot.hash >> 40).unwrap_or_default() % SHARDS
}

/// What left a table, to be dropped without its lock.
#[derive(Default)]
struct Dropped {
    rows: Vec<Pinned>,
    cached: Vec<Of<Cached<Small>, Cached<Live>>>,
    at_hand: Vec<AtHand>,
}

/// What was not found since the last time leaves; if that is too little, every other fact.
fn make_room(table: &mut Cache, most: usize, dropped: &mut Dropped) {
    let unused = |fact: Of<&mut Cached<Small>, &mut Cached<Live>>| match fact {
        Of::Standing(cached) => !mem::take(&mut cached.used),
        Of::Fact(cached) => !mem::take(&mut cached.used),
    };
    let left = table.take_out(|_, fact| unused(fact));
    dropped.cached.extend(left.into_iter().map(|(_, _, fact)| fact));
    if table.len() > most - most.div_ceil(4) {
        let mut leaves = false;
        let left = table.take_out(|_, _| {
            leaves = !leaves;
            leaves
        });
        dropped.cached.extend(left.into_iter().map(|(_, _, fact)| fact));
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

    /// Puts the fact of that number.
    fn pin(view: &View, key: Key, version: u64, number: u128) {
        let pinned = match at_hand(&key, fact(number), &mut Vec::new()) {
            Of::Standing(bytes) => Of::Standing(bytes),
            Of::Fact(live) => Of::Fact(Pinned::Live(live)),
        };
        view.put(&view.spot(&key), version, pinned);
    }

    fn look(view: &View, key: Key) -> Look {
        view.look(&[key]).expect("good bytes").pop().expect("one")
    }

    fn version_found(view: &View, number: u128) -> Option<u64> {
        match look(view, key(number)) {
            Look::Found(version, _) => Some(version),
            Look::InRow(..) | Look::Missed(_) => None,
        }
    }

    #[test]
    fn what_may_be_judged_stays_and_the_rest_is_cached() {
        let view = View::new(SHARDS * 100);
        for number in 1..=100_u64 {
            pin(&view, key(number.into()), number, number.into());
        }
        view.count(100);
        view.forget(80, 60);
        let known: Vec<u64> =
            (1..=100).filter(|number| view.version(&view.spot(&key(u128::from(*number)))).is_some()).collect();
        assert_eq!(known, (61..=100).collect::<Vec<_>>(), "neither forgotten by the index nor by the low water");
        assert!((1..=100).all(|number| version_found(&view, number) == u64::try_from(number).ok()), "all is found");
    }

    #[test]
    fn a_new_version_is_found_before_a_cached_one() {
        let view = View::new(SHARDS * 100);
        let missed = |number| match look(&view, key(number)) {
            Look::Missed(at) => at,
            Look::Found(..) | Look::InRow(..) => panic!("is known"),
        };
        let before = missed(1);
        view.remember(key(1), before, 5, &fact(1));
        pin(&view, key(1), 9, 2);
        assert_eq!(version_found(&view, 1), Some(9));
        // What was read before the pin comes too late.
        view.remember(key(1), before, 5, &fact(1));
        view.count(1);
        view.forget(9, 9);
        assert_eq!((view.version(&view.spot(&key(1))), version_found(&view, 1)), (None, Some(9)));
    }

    #[test]
    fn what_no_bill_is_decided_with_leaves_and_an_old_one_of_it_never_comes_back() {
        let view = View::new(SHARDS * 100);
        let [read, unread] = [1, 2].map(|number| Key::Wards(id(number)));
        let Look::Missed(at) = look(&view, read) else { panic!("is unknown") };
        view.remember(read, at, 5, &fact(1));
        for key in [read, unread] {
            pin(&view, key, 9, 2);
        }
        view.count(2);
        view.forget(9, 9);
        assert!(matches!(look(&view, read), Look::Found(9, _)), "what was looked at before is kept, as it is now");
        assert!(matches!(look(&view, unread), Look::Missed(_)), "the disk has it");
    }

    #[test]
    fn half_of_a_cache_leaves_where_all_of_it_is_found() {
        let hasher = Folding::new(1);
        let (mut table, mut dropped) = (Cache::new(&hasher), Dropped::default());
        for number in 0..100 {
            let fact = Of::Standing(Cached { used: true, fact: Small::encoded(&fact(number), &mut Vec::new()) });
            table.put(&Spot::of(&key(number), &hasher), 1, fact);
        }
        make_room(&mut table, 100, &mut dropped);
        assert_eq!((table.len(), dropped.cached.len()), (50, 50));
    }

    #[test]
    fn the_cache_keeps_its_bound_and_what_is_found() {
        let most = 40;
        let view = View::new(SHARDS * most);
        let remembered = |number: u128| {
            if let Look::Missed(at) = look(&view, key(number)) {
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
