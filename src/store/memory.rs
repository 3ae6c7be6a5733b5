//! The memory store: everything in sharded, pre-sized tables. For demonstrations, tests and what-if; a stop forgets it.
//!
//! What a settlement leaves behind is mostly bytes that are seldom looked at: its record and the facts that are written once.
//! They lie together in one piece, the change's body, which is put together before anybody is kept waiting.

mod moving;
mod rows;
mod table;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::codec::DecodeError;
use super::folding::{Folding, SHARDS, Shards};
use super::held::{Few, Held};
use super::kept::Portable;
use super::measured::positions;
use super::record::decode_entity;
use super::tables::Spot;
use super::{
    Change, CommitError, Committed, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord, check_expectations,
};
use crate::domain::time::Moment;
use crate::metrics::Page;
use rows::Rows;
use table::{Found, Known, Put, Span, Table, known, put, touch};

/// Records lie in chunks, since a growing list of millions stops everybody while it moves.
const CHUNK: usize = 4_096;

type Lists = HashMap<ListKey, Rows, Folding>;

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
    bodies: Vec<Vec<Body>>,
}

/// A change as kept: its record, and behind it the facts that were packed. What is replaced later stays in it.
struct Body {
    at: Moment,
    content_hash: [u8; 32],
    link: [u8; 32],
    bytes: Arc<[u8]>,
    record: Span,
}

impl Ledger {
    fn push(&mut self, body: Body) {
        match self.bodies.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(body),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(body);
                self.bodies.push(chunk);
            }
        }
    }

    /// The bytes of the change at a position.
    fn bytes(&self, position: u64) -> Option<Arc<[u8]>> {
        let place = usize::try_from(position.checked_sub(1)?).ok()?;
        self.bodies.get(place / CHUNK)?.get(place % CHUNK).map(|body| body.bytes.clone())
    }

    fn page(&self, from: u64, limit: usize) -> impl Iterator<Item = StoredRecord> + '_ {
        let from = from.max(1);
        let skip = usize::try_from(from - 1).unwrap_or(usize::MAX);
        let bodies = self.bodies.iter().skip(skip / CHUNK).flatten().skip(skip % CHUNK).take(limit);
        bodies.zip(from..).map(|(body, position)| StoredRecord {
            position,
            at: body.at,
            content_hash: body.content_hash,
            link: body.link,
            bytes: body.record.of(&body.bytes).to_vec(),
        })
    }
}

/// A change that is ready: nothing of it has to be put together while others wait.
struct Ready {
    change: Change,
    /// Where what it expects lies, in that order.
    expected: Vec<Spot>,
    puts: Vec<(Spot, Put)>,
    /// Each with its shard.
    rows: Vec<(usize, ListKey, u128)>,
    bytes: Arc<[u8]>,
    record: Span,
}

/// A panic while a lock was held has already been reported; the data under it is whole, since changes are checked first.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Facts of what was found, but for those that are packed, which are noted.
fn copies(
    keys: &[Key],
    found: &[Option<(u64, Found<'_>)>],
    packed: &mut Vec<(usize, Span)>,
) -> Result<Vec<Fact>, StoreError> {
    black_box(found.iter().flatten().fold(0, |sum, (_, found)| sum ^ touch(*found)));
    let mut facts = Vec::with_capacity(keys.len());
    for (key, found) in keys.iter().zip(found) {
        let (version, entity) = match found {
            None => (0, None),
            Some((version, found)) => match known(*found)? {
                Known::Whole(entity) => (*version, Some(entity)),
                Known::InBody(span) => {
                    packed.push((facts.len(), span));
                    (*version, None)
                }
            },
        };
        facts.push(Fact { key: *key, version, entity });
    }
    Ok(facts)
}

fn version(table: &Table, spot: &Spot) -> u64 {
    table.find(spot).map_or(0, |(version, _)| version)
}

impl MemoryStore {
    /// `records_max` bounds the ledger; past it commits are refused as `Full`.
    pub fn new(secret: [u8; 32], records_max: u64) -> Self {
        let mut seed = [0; 8];
        seed.copy_from_slice(&secret[..8]);
        let hasher = Folding::new(u64::from_le_bytes(seed));
        Self {
            secret,
            facts: (0..SHARDS).map(|_| Mutex::new(Table::new(&hasher))).collect(),
            lists: (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect(),
            hasher,
            shards: Shards::new(),
            ledger: Mutex::new(Ledger { head: Head::EMPTY, bodies: Vec::new() }),
            position: AtomicU64::new(0),
            moved: Notify::new(),
            closed: AtomicBool::new(false),
            records_max,
        }
    }

    fn spot(&self, key: &Key) -> Spot {
        Spot::of(key, &self.hasher)
    }

    /// The shard that a fact lies in.
    fn place(&self, spot: &Spot) -> usize {
        self.shards.at(spot.hash)
    }

    fn shard(&self, spot: &Spot) -> MutexGuard<'_, Table> {
        lock(&self.facts[self.place(spot)])
    }

    /// Many keys at once. Nearly every step of a look waits for memory, and a processor waits for many places at a time
    /// unless something comes in between that it must not reorder, as taking a lock is: so first all the locks, then all
    /// the places, then a touch of all that was found, and only then copies.
    fn find(&self, keys: &[Key]) -> Result<Vec<Fact>, StoreError> {
        let mut packed: Vec<(usize, Span)> = Vec::new();
        let mut facts = if let [key] = keys {
            let spot = self.spot(key);
            let shard = self.shard(&spot);
            copies(keys, &[shard.find(&spot)], &mut packed)?
        } else {
            let spots: Few<Spot> = keys.iter().map(|key| self.spot(key)).collect();
            let held = Held::of(&self.facts, spots.iter().map(|spot| self.place(spot)));
            let found = spots.iter().map(|spot| held.shard(self.place(spot)).find(spot));
            copies(keys, &found.collect::<Few<_>>(), &mut packed)?
        };
        // The ledger is never waited for with a shard in hand: whoever has it takes shards.
        for (place, span) in packed {
            let fact = &mut facts[place];
            let bytes = lock(&self.ledger).bytes(fact.version).ok_or(StoreError::Corrupt(DecodeError::Short))?;
            fact.entity = Some(decode_entity(span.of(&bytes))?);
        }
        Ok(facts)
    }

    fn look(&self, keys: &[Key]) -> Result<Facts, StoreError> {
        let began_at = self.position.load(Ordering::Acquire);
        let facts = self.find(keys)?;
        // A fact may be seen a moment before the position it was written at is told.
        let seen = facts.iter().map(|fact| fact.version).max().unwrap_or_default();
        let read_at = self.position.load(Ordering::Acquire).max(seen);
        Ok(Facts { began_at, read_at, facts })
    }

    fn open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Puts everything together that can be before the ledger is taken.
    fn ready(&self, mut change: Change, room: &mut Vec<u8>) -> Ready {
        room.clear();
        let record = Span::written(room, |room| room.extend_from_slice(&change.record));
        let put = |(key, entity)| (self.spot(&key), put(&key, entity, room));
        let puts = std::mem::take(&mut change.puts).into_iter().map(put).collect();
        let rows = self.rows(std::mem::take(&mut change.lists));
        let expected = change.expects.iter().map(|(key, _)| self.spot(key)).collect();
        let ready = Ready { change, expected, puts, rows, bytes: room.as_slice().into(), record };
        self.bring_near(&ready);
        ready
    }

    /// Looks at all places that the change will be written to, together, so that the commit need not wait for one after
    /// another while others wait for it.
    fn bring_near(&self, ready: &Ready) {
        let held = Held::of(&self.facts, ready.puts.iter().map(|(spot, _)| self.place(spot)));
        let versions = ready.puts.iter().map(|(spot, _)| version(held.shard(self.place(spot)), spot));
        black_box(versions.fold(0, |sum, version| sum ^ version));
        drop(held);
        let held = Held::of(&self.lists, ready.rows.iter().map(|(shard, ..)| *shard));
        let lists = ready.rows.iter().map(|(shard, list, _)| held.shard(*shard).get(list));
        black_box(lists.fold(0, |sum, rows| sum ^ rows.map_or(0, Rows::end)));
    }

    fn rows(&self, lists: Vec<(ListKey, u128)>) -> Vec<(usize, ListKey, u128)> {
        let shard = |list: &ListKey| self.shards.of(&self.hasher, list);
        lists.into_iter().map(|(list, subject)| (shard(&list), list, subject)).collect()
    }

    /// Whether every expectation holds.
    fn check(&self, ready: &Ready) -> Result<(), CommitError> {
        let mut spots = ready.expected.iter();
        let version_of = |key: &Key| {
            // As many as expectations, in their order.
            let spot = spots.next().copied().unwrap_or_else(|| self.spot(key));
            version(&self.shard(&spot), &spot)
        };
        check_expectations(&ready.change, version_of)
    }

    fn apply(
        &self,
        ledger: &mut Ledger,
        ready: Ready,
        now: Moment,
        replaced: &mut Vec<Put>,
    ) -> Result<Committed, CommitError> {
        if self.open().is_err() {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        if ledger.head.position >= self.records_max {
            return Err(CommitError::NotApplied(StoreError::Full));
        }
        self.check(&ready)?;
        let Ready { change, expected: _, puts, rows, bytes, record } = ready;
        let head = ledger.head.next(&change.content_hash, now);
        if change.before.is_some_and(|end| head.at >= end) {
            return Err(CommitError::Conflict);
        }
        self.write(ledger, head, (change.content_hash, bytes, record), puts, rows, replaced);
        Ok(Committed { position: head.position, at: head.at })
    }

    /// Writes a change that nothing speaks against.
    fn write(
        &self,
        ledger: &mut Ledger,
        head: Head,
        (content_hash, bytes, record): ([u8; 32], Arc<[u8]>, Span),
        puts: Vec<(Spot, Put)>,
        rows: Vec<(usize, ListKey, u128)>,
        replaced: &mut Vec<Put>,
    ) {
        for (spot, put) in puts {
            replaced.extend(self.shard(&spot).put(&spot, head.position, put));
        }
        for (shard, list, subject) in rows {
            let row = ListRow { position: head.position, subject };
            let mut lists = lock(&self.lists[shard]);
            lists.entry(list).and_modify(|rows| rows.push(row)).or_insert_with(|| Rows::new(row));
        }
        ledger.push(Body { at: head.at, content_hash, link: head.link, bytes, record });
        ledger.head = head;
        self.position.store(head.position, Ordering::Release);
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
        let mut room = Vec::with_capacity(4096);
        let ready: Vec<Ready> = changes.into_iter().map(|change| self.ready(change, &mut room)).collect();
        let mut replaced = Vec::with_capacity(8 * ready.len());
        let mut ledger = lock(&self.ledger);
        let verdicts = ready.into_iter().map(|ready| self.apply(&mut ledger, ready, now, &mut replaced));
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
            let lists = lock(&self.lists[self.shards.of(&self.hasher, &key)]);
            let rows = lists.get(&key).into_iter().flat_map(|rows| rows.after(after));
            rows.take_while(|row| row.position <= until).take(limit).collect()
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
