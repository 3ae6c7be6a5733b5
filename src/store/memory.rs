//! The memory store: everything in sharded, pre-sized tables. For demonstrations, tests and what-if; a stop forgets it.

mod moving;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::codec::DecodeError;
use super::entity::Standing;
use super::folding::{Folding, SHARDS, Shards};
use super::kept::Portable;
use super::measured::positions;
use super::record::{decode_entity, encode_entity_into};
use super::{
    Change, CommitError, Committed, Entity, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord, check_expectations,
};
use crate::domain::time::Moment;
use crate::metrics::Page;

/// Records lie in chunks for the same reason.
const CHUNK: usize = 4_096;

/// Facts with their versions.
type Table = HashMap<Key, (u64, Slot), Folding>;
type Lists = HashMap<ListKey, Vec<ListRow>, Folding>;

/// See the module.
pub struct MemoryStore {
    secret: [u8; 32],
    hasher: Folding,
    shards: Shards,
    facts: Vec<Mutex<Table>>,
    lists: Vec<Mutex<Lists>>,
    /// Taken by every commit; positions and the chain live here.
    ledger: Mutex<Ledger>,
    /// The ledger's position, for looks that do not wait for a commit.
    position: AtomicU64,
    /// Tells those who wait for a position that nobody has taken yet.
    moved: Notify,
    closed: AtomicBool,
    records_max: u64,
}

struct Ledger {
    head: Head,
    records: Vec<Vec<StoredRecord>>,
}

impl Ledger {
    fn push(&mut self, record: StoredRecord) {
        match self.records.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(record),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(record);
                self.records.push(chunk);
            }
        }
    }

    fn page(&self, from: u64, limit: usize) -> impl Iterator<Item = StoredRecord> + '_ {
        let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let chunks = self.records.iter().skip(skip / CHUNK);
        chunks.flatten().skip(skip % CHUNK).take(limit).cloned()
    }
}

/// A fact in memory: as it is where decisions read it, as bytes where it is written once and looked at seldom.
enum Slot {
    Live(Entity),
    Packed(Box<[u8]>),
}

type Slots = Vec<(Key, Slot)>;

impl Slot {
    /// Bytes are put together in `room` and then kept in as many as there are.
    fn of(key: &Key, entity: Entity, room: &mut Vec<u8>) -> Self {
        match key {
            Key::Request(_)
            | Key::Settlement(_)
            | Key::Basis(_)
            | Key::Decided(_)
            | Key::Binding(_)
            | Key::Person(_)
            | Key::Transfer(_)
            | Key::Certification(_) => {
                room.clear();
                encode_entity_into(&entity, room);
                Self::Packed(room.as_slice().into())
            }
            Key::Reference(_)
            | Key::Standing(_)
            | Key::Wards(_)
            | Key::Policy(_)
            | Key::PolicySet(_)
            | Key::AidUse(..)
            | Key::Card(_)
            | Key::Wallet(_)
            | Key::WalletDay(..)
            | Key::Quota(_)
            | Key::Slips(_)
            | Key::JobDay(_)
            | Key::YearClose(..) => Self::Live(entity),
        }
    }

    /// Whether it can lie under this key, as far as that is seen without decoding.
    fn is_of(&self, key: &Key) -> bool {
        match (key, self) {
            (Key::Standing(id), Self::Live(Entity::Standing(standing))) => standing.member.id == *id,
            _ => true,
        }
    }

    /// Reads a little of every place that a decision will read of it, so that it waits for all of them together and not for
    /// each where it needs it.
    fn touch(&self) -> u64 {
        let Self::Live(Entity::Standing(standing)) = self else { return 0 };
        let Standing { member, masked_name, account, family, years, holds } = &**standing;
        let first = |text: &str| text.as_bytes().first().map_or(0, |byte| u64::from(*byte));
        let balance = account.as_ref().map_or(0, |account| account.current.as_fen().unsigned_abs());
        let ties = family.ties.iter().fold(0, |sum, tie| sum ^ tie.filed ^ tie.used_year.as_fen().unsigned_abs());
        let used = years.last().map_or(0, |(_, used)| used.fund.as_fen().unsigned_abs());
        first(&member.insurance.tier) ^ first(masked_name) ^ balance ^ ties ^ used ^ holds.len() as u64
    }

    fn entity(&self) -> Result<Entity, StoreError> {
        match self {
            Self::Live(entity) => Ok(entity.clone()),
            Self::Packed(bytes) => Ok(decode_entity(bytes)?),
        }
    }
}

/// The locks of some shards, each once. Nothing else holds more than one, these are taken in order of the shards, and nothing
/// is waited for while holding them, so no two can wait for each other.
struct Held<'a, T> {
    order: Vec<usize>,
    guards: Vec<MutexGuard<'a, T>>,
}

impl<'a, T> Held<'a, T> {
    fn of(tables: &'a [Mutex<T>], places: &[usize]) -> Self {
        let mut order = places.to_vec();
        order.sort_unstable();
        order.dedup();
        let guards = order.iter().map(|shard| lock(&tables[*shard])).collect();
        Self { order, guards }
    }

    /// One of them.
    fn shard(&self, place: usize) -> &T {
        &self.guards[self.order.partition_point(|shard| *shard < place)]
    }
}

/// A panic while a lock was held has already been reported; the data under it is whole, since changes are checked first.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// `records_max` bounds the ledger; past it commits are refused as `Full`.
    pub fn new(secret: [u8; 32], records_max: u64) -> Self {
        let mut seed = [0; 8];
        seed.copy_from_slice(&secret[..8]);
        let hasher = Folding::new(u64::from_le_bytes(seed));
        Self {
            secret,
            facts: (0..SHARDS).map(|_| Mutex::new(HashMap::with_capacity_and_hasher(256, hasher.clone()))).collect(),
            lists: (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect(),
            hasher,
            shards: Shards::new(),
            ledger: Mutex::new(Ledger { head: Head::EMPTY, records: Vec::new() }),
            position: AtomicU64::new(0),
            moved: Notify::new(),
            closed: AtomicBool::new(false),
            records_max,
        }
    }

    fn shard_of(&self, key: &impl std::hash::Hash) -> usize {
        self.shards.of(&self.hasher, key)
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Table> {
        lock(&self.facts[self.shard_of(key)])
    }

    fn version(&self, key: &Key) -> u64 {
        self.shard(key).get(key).map_or(0, |(version, _)| *version)
    }

    fn find(&self, key: &Key) -> Result<Fact, StoreError> {
        let shard = self.shard(key);
        let Some((version, slot)) = shard.get(key) else {
            return Ok(Fact { key: *key, version: 0, entity: None });
        };
        black_box(slot.touch());
        Ok(Fact { key: *key, version: *version, entity: Some(slot.entity()?) })
    }

    /// Many keys at once. Nearly every step of a look waits for memory, and a processor waits for many places at a time
    /// unless something comes in between that it must not reorder, as taking a lock is: so first all the locks, then all
    /// the places, then a touch of all that was found, and only then copies, which count and wait each for itself.
    fn find_together(&self, keys: &[Key]) -> Result<Vec<Fact>, StoreError> {
        let places: Vec<usize> = keys.iter().map(|key| self.shard_of(key)).collect();
        let held = Held::of(&self.facts, &places);
        let found: Vec<Option<&(u64, Slot)>> =
            keys.iter().zip(&places).map(|(key, place)| held.shard(*place).get(key)).collect();
        black_box(found.iter().flatten().fold(0, |sum, (_, slot)| sum ^ slot.touch()));
        let whole = keys
            .iter()
            .zip(&found)
            .fold(true, |whole, (key, found)| whole & found.is_none_or(|(_, slot)| slot.is_of(key)));
        if !whole {
            return Err(StoreError::Corrupt(DecodeError::Value));
        }
        let fact = |(key, found): (&Key, &Option<&(u64, Slot)>)| match found {
            None => Ok(Fact { key: *key, version: 0, entity: None }),
            Some((version, slot)) => Ok(Fact { key: *key, version: *version, entity: Some(slot.entity()?) }),
        };
        keys.iter().zip(&found).map(fact).collect()
    }

    fn look(&self, keys: &[Key]) -> Result<Facts, StoreError> {
        let began_at = self.position.load(Ordering::Acquire);
        let facts: Vec<Fact> = match keys {
            [key] => vec![self.find(key)?],
            keys => self.find_together(keys)?,
        };
        // A fact may be seen a moment before the position it was written at is told.
        let seen = facts.iter().map(|fact| fact.version).max().unwrap_or_default();
        let read_at = self.position.load(Ordering::Acquire).max(seen);
        Ok(Facts { began_at, read_at, facts })
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn apply(
        &self,
        ledger: &mut Ledger,
        change: Change,
        slots: Slots,
        now: Moment,
        replaced: &mut Vec<(u64, Slot)>,
    ) -> Result<Committed, CommitError> {
        if self.open().is_err() {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        if ledger.head.position >= self.records_max {
            return Err(CommitError::NotApplied(StoreError::Full));
        }
        check_expectations(&change, |key| self.version(key))?;
        let head = ledger.head.next(&change.content_hash, now);
        if change.before.is_some_and(|end| head.at >= end) {
            return Err(CommitError::Conflict);
        }
        for (key, slot) in slots {
            replaced.extend(self.shard(&key).insert(key, (head.position, slot)));
        }
        for (list, subject) in change.lists {
            let mut lists = lock(&self.lists[self.shard_of(&list)]);
            let rows = lists.entry(list).or_default();
            // One row a position: the last one given stays.
            rows.pop_if(|row| row.position == head.position);
            rows.push(ListRow { position: head.position, subject });
        }
        let record = StoredRecord {
            position: head.position,
            at: head.at,
            content_hash: change.content_hash,
            link: head.link,
            bytes: change.record,
        };
        ledger.push(record);
        ledger.head = head;
        self.position.store(head.position, Ordering::Release);
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
        Box::pin(std::future::ready(self.open().and_then(|()| self.look(keys))))
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        // Packed before the ledger is taken: others wait for it.
        let mut room = Vec::with_capacity(2048);
        let packed = changes.into_iter().map(|mut change| {
            change.record.shrink_to_fit();
            let puts = std::mem::take(&mut change.puts).into_iter();
            (change, puts.map(|(key, entity)| (key, Slot::of(&key, entity, &mut room))).collect::<Slots>())
        });
        let packed: Vec<(Change, Slots)> = packed.collect();
        let mut replaced = Vec::with_capacity(8 * packed.len());
        let mut ledger = lock(&self.ledger);
        let verdicts =
            packed.into_iter().map(|(change, slots)| self.apply(&mut ledger, change, slots, now, &mut replaced));
        let verdicts = verdicts.collect();
        // What was replaced is dropped when the ledger is free again.
        drop(ledger);
        drop(replaced);
        self.moved.notify_waiters();
        Box::pin(std::future::ready(verdicts))
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        if self.open().is_err() || position <= self.position.load(Ordering::Acquire) {
            return Box::pin(std::future::ready(self.open()));
        }
        Box::pin(async move {
            loop {
                // Made before the look, so that a commit in between is not overlooked.
                let moved = self.moved.notified();
                self.open()?;
                if position <= self.position.load(Ordering::Acquire) {
                    return Ok(());
                }
                moved.await;
            }
        })
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        Box::pin(std::future::ready(self.open().map(|()| lock(&self.ledger).head)))
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        Box::pin(std::future::ready(self.open().map(|()| None)))
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        let records = self.open().map(|()| lock(&self.ledger).page(from, limit).collect());
        Box::pin(std::future::ready(records))
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        let rows = self.open().map(|()| {
            let lists = lock(&self.lists[self.shard_of(&key)]);
            let rows = lists.get(&key).map_or(&[][..], Vec::as_slice);
            let first = rows.partition_point(|row| row.position <= after);
            rows[first..].iter().take_while(|row| row.position <= until).take(limit).copied().collect()
        });
        Box::pin(std::future::ready(rows))
    }

    fn portable(&self) -> Option<&dyn Portable> {
        Some(self)
    }

    fn measure(&self, page: &mut Page) {
        let position = self.position.load(Ordering::Acquire);
        positions(page, position, position);
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        // Taken, so that no commit is halfway when it returns.
        let _ledger = lock(&self.ledger);
        self.closed.store(true, Ordering::Release);
        self.moved.notify_waiters();
        Box::pin(std::future::ready(Ok(())))
    }
}
