//! The memory store: everything in sharded, pre-sized tables. For demonstrations, tests and what-if; a stop forgets it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Change, CommitError, Committed, Entity, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord, check_expectations,
};
use crate::domain::time::Moment;

const SHARDS: usize = 256;

type Shard = HashMap<Key, (u64, Arc<Entity>)>;

/// See the module.
pub struct MemoryStore {
    secret: [u8; 32],
    /// Sharded so that no single table grows by millions at once and stops everybody.
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Taken by every commit; positions and the chain live here.
    ledger: Mutex<Ledger>,
    records_max: u64,
}

struct Ledger {
    head: Head,
    records: Vec<StoredRecord>,
    lists: BTreeMap<(ListKey, u64), u128>,
    closed: bool,
}

/// A panic while a lock was held has already been reported; the data under it is whole, since changes are checked first.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// `records_max` bounds the ledger; past it commits are refused as `Full`.
    pub fn new(secret: [u8; 32], records_max: u64) -> Self {
        let ledger = Ledger { head: Head::EMPTY, records: Vec::new(), lists: BTreeMap::new(), closed: false };
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::with_capacity(1024))).collect();
        Self { secret, shards, hasher: RandomState::new(), ledger: Mutex::new(ledger), records_max }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default() % SHARDS;
        lock(&self.shards[place])
    }

    fn find(&self, key: &Key) -> (u64, Option<Arc<Entity>>) {
        self.shard(key).get(key).map_or((0, None), |(version, entity)| (*version, Some(entity.clone())))
    }

    fn open_ledger(&self) -> Result<MutexGuard<'_, Ledger>, StoreError> {
        let ledger = lock(&self.ledger);
        if ledger.closed { Err(StoreError::Closed) } else { Ok(ledger) }
    }

    fn apply(&self, ledger: &mut Ledger, change: Change, now: Moment) -> Result<Committed, CommitError> {
        if ledger.closed {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        if ledger.head.position >= self.records_max {
            return Err(CommitError::NotApplied(StoreError::Full));
        }
        check_expectations(&change, |key| self.shard(key).get(key).map_or(0, |(version, _)| *version))?;
        let head = ledger.head.next(&change.content_hash, now);
        for (key, entity) in change.puts {
            self.shard(&key).insert(key, (head.position, entity));
        }
        for (list, subject) in change.lists {
            ledger.lists.insert((list, head.position), subject);
        }
        ledger.records.push(StoredRecord {
            position: head.position,
            at: head.at,
            content_hash: change.content_hash,
            link: head.link,
            bytes: change.record,
        });
        ledger.head = head;
        Ok(Committed { position: head.position, at: head.at })
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        let began_at = match self.open_ledger() {
            Ok(ledger) => ledger.head.position,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let facts = keys.iter().map(|key| {
            let (version, entity) = self.find(key);
            Fact { key: *key, version, entity }
        });
        let facts = facts.collect();
        let facts = Facts { began_at, read_at: lock(&self.ledger).head.position, facts };
        Box::pin(std::future::ready(Ok(facts)))
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        let mut ledger = lock(&self.ledger);
        let verdicts = changes.into_iter().map(|change| self.apply(&mut ledger, change, now)).collect();
        Box::pin(std::future::ready(verdicts))
    }

    fn wait_durable(&self, _position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(self.open_ledger().map(|_| ())))
    }

    fn head(&self) -> Head {
        lock(&self.ledger).head
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let records = self.open_ledger().map(|ledger| ledger.records.iter().skip(skip).take(limit).cloned().collect());
        Box::pin(std::future::ready(records))
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        let rows = self.open_ledger().map(|ledger| {
            if after >= until {
                return Vec::new();
            }
            let rows = ledger.lists.range((key, after + 1)..=(key, until)).take(limit);
            rows.map(|((_, position), subject)| ListRow { position: *position, subject: *subject }).collect()
        });
        Box::pin(std::future::ready(rows))
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        lock(&self.ledger).closed = true;
        Box::pin(std::future::ready(Ok(())))
    }
}
