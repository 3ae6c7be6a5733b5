//! The rows on the disk.
//!
//! `records` holds a row per change (`row.rs`) by position, and is the log: it alone goes through fjall's journal. `facts`
//! and `lists` are its index, written in bulk as sorted tables that are synced before they count; `facts` ends with how far
//! the index reaches. A fact that is large, or written once and looked at seldom, is not copied into the index: its row there
//! is empty but for the version, and leads to the change's row.
//!
//! fjall writes a batch as one framed, checksummed group in one journal, and replays only whole groups: one that lacks its
//! end is cut off on opening (`journal/batch_reader.rs`, `on_close`; `journal/reader.rs` cuts at the first bytes that are no
//! entry). So a change is there whole or not at all, and since one thread writes and syncs one batch before it begins the
//! next, only the last one, never acknowledged, can be torn. See also `repair.rs`.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::config::{FilterPolicy, PartitioningPolicy};
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice};

use super::pipeline::Queued;
use super::row::{self, Body};
use super::sorting::Sorting;
use crate::store::codec::DecodeError;
use crate::store::tables::VERSION_MAX;
use crate::store::{Entity, Head, Key, ListKey, ListRow, StoreError, StoredRecord, record};

/// Behind all facts: how far the index reaches.
const INDEXED: &[u8] = &[0xff];

/// How much of the log is sorted in memory before it is handed on to become a table. We hand it on, not fjall: fjall asks
/// its one worker to, again with every batch, and a worker that has long been compacting then finds a full mailbox.
const SEAL_BYTES: u64 = 64 << 20;

/// Handed on and not yet written; at one more fjall would hold us back until there are fewer, were its worker alive or not.
const SEALED_MAX: usize = 3;

/// The log grows in memory while fjall's worker is busy. When it is so large, writing waits for the worker: where the index
/// is large a merge takes long.
const MEMORY_MAX: u64 = 16 * SEAL_BYTES;
const WORKER_WAIT: Duration = Duration::from_millis(10);
/// Ten minutes: then it is neither busy nor known to be dead.
const WORKER_WAITS_MAX: u32 = 60_000;

/// Tables of the index that gather before they are merged with what is below them. Keys of facts and lists are random, so a
/// merge rewrites nearly all of the next level, however little is merged: sixteen at a time cost a third of four at a time.
/// Whoever looks for a fact that is not in memory asks the filters of as many tables more.
const INDEXINGS_PER_COMPACTION: u8 = 16;

/// Nobody can read the index while the last table of a merge is synced, so tables are half as large as fjall makes them by
/// itself. So are the levels then: the first holds as many tables as gather.
const TABLE_BYTES: u64 = 32 << 20;

fn merging() -> Leveled {
    Leveled::default().with_l0_threshold(INDEXINGS_PER_COMPACTION).with_table_target_size(TABLE_BYTES)
}

/// Nor while the tables of a merge are opened. Their filters and indexes lie in blocks of 4 KiB, read through the block cache
/// when they are asked for: read whole they are most of what the end of a merge waits for.
fn in_blocks() -> PartitioningPolicy {
    PartitioningPolicy::all(true)
}

/// The open database. Fields are dropped in this order: the process's lock goes last.
pub(super) struct Disk {
    facts: Keyspace,
    records: Keyspace,
    lists: Keyspace,
    pub meta: Keyspace,
    /// Bytes of the log in memory, as far as this process wrote them.
    unsealed: AtomicU64,
    pub db: Database,
    _lock: Option<File>,
}

/// How far a batch has got when `write` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    Written,
    Synced,
}

fn unreadable(error: &fjall::Error) -> StoreError {
    tracing::error!(%error, "the ledger cannot be read");
    StoreError::Unavailable
}

impl Disk {
    /// Opens the keyspaces, or makes them.
    pub fn new(db: Database, lock: Option<File>) -> fjall::Result<Self> {
        let plain =
            |memtable: u64| KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(memtable);
        let keyspace = |name, memtable| db.keyspace(name, || plain(memtable));
        // fjall keeps these with a keyspace when it makes it: a data set has those of the program that made it.
        let index = || {
            plain(1 << 20)
                .compaction_strategy(Arc::new(merging()))
                .filter_block_partitioning_policy(in_blocks())
                .index_block_partitioning_policy(in_blocks())
        };
        Ok(Self {
            facts: db.keyspace("facts", index)?,
            records: keyspace("records", u64::MAX)?,
            // Lists are walked, never asked for one row.
            lists: db.keyspace("lists", || index().filter_policy(FilterPolicy::disabled()))?,
            meta: keyspace("meta", 1 << 20)?,
            unsealed: AtomicU64::new(0),
            db,
            _lock: lock,
        })
    }

    /// Writes changes, all or none.
    pub fn write(&self, batch: &[Arc<Queued>], durability: Durability) -> fjall::Result<()> {
        let mode = match durability {
            Durability::Written => PersistMode::Buffer,
            Durability::Synced => PersistMode::SyncData,
        };
        let mut rows = OwnedWriteBatch::with_capacity(self.db.clone(), batch.len()).durability(Some(mode));
        let mut value = Vec::with_capacity(4_096);
        for queued in batch {
            row::write(&queued.head, &queued.content_hash, &queued.body, &mut value);
            rows.insert(&self.records, queued.head.position.to_be_bytes(), Slice::from(&value[..]));
        }
        rows.commit()?;
        self.seal(batch.iter().map(|queued| queued.body.len() as u64).sum())
    }

    /// Waits while too much of the log lies in memory and cannot be handed on; not while the store closes, when no more comes
    /// than what is queued.
    pub fn wait_for_worker(&self, closing: impl Fn() -> bool) -> fjall::Result<()> {
        let behind =
            || self.unsealed.load(Ordering::Relaxed) > MEMORY_MAX && self.records.sealed_memtable_count() >= SEALED_MAX;
        if !behind() {
            return Ok(());
        }
        tracing::warn!("changes wait: the index is being merged, and the log in memory is as large as it may be");
        for _ in 0..WORKER_WAITS_MAX {
            std::thread::sleep(WORKER_WAIT);
            // Fails where the worker has died.
            self.db.persist(PersistMode::Buffer)?;
            if !behind() || closing() {
                return Ok(());
            }
        }
        Err(fjall::Error::Io(std::io::Error::other("the log is not being written out of memory any more")))
    }

    /// Hands the log in memory on when there is enough of it.
    fn seal(&self, written: u64) -> fjall::Result<()> {
        let bytes = self.unsealed.fetch_add(written, Ordering::Relaxed) + written;
        if bytes > SEAL_BYTES && self.records.sealed_memtable_count() < SEALED_MAX {
            self.records.rotate_memtable()?;
            self.unsealed.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes the index of changes that are durable and follow those indexed before. When it returns, it is durable too.
    pub fn index(&self, batch: &[Arc<Queued>], sorting: &mut Sorting) -> fjall::Result<()> {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        // Changes follow each other without a gap.
        let first = first.head.position;
        sorting.fill(batch);
        if !sorting.lists.is_empty() {
            ingest(&self.lists, |take| {
                let mut rows = sorting.lists.iter();
                rows.try_for_each(|row| take(&list_key(row.list(), row.position), &row.subject.to_be_bytes()))
            })?;
        }
        ingest(&self.facts, |take| {
            let mut value = Vec::with_capacity(1_024);
            for fact in &sorting.facts {
                value.clear();
                value.extend_from_slice(&(first + u64::from(fact.change)).to_be_bytes());
                value.extend_from_slice(fact.copied(batch));
                take(&fact.name(batch), &value)?;
            }
            take(INDEXED, &last.head.position.to_be_bytes())
        })
    }

    /// How far the index reaches.
    pub fn indexed(&self) -> Result<u64, StoreError> {
        let Some(value) = self.facts.get(INDEXED).map_err(|error| unreadable(&error))? else { return Ok(0) };
        Ok(u64::from_be_bytes(<[u8; 8]>::try_from(&value[..]).map_err(|_| DecodeError::Short)?))
    }

    /// The changes behind a position, in order; all of them up to `head`, each linked to the one before.
    pub fn changes_after(
        &self,
        position: u64,
        head: &Head,
        mut keep: impl FnMut(Head, [u8; 32], Body) -> Result<(), DecodeError>,
    ) -> Result<(), StoreError> {
        let before = match position {
            0 => Some(Head::EMPTY),
            _ => self.records(position, position, 1)?.pop().map(|last| Head { position, link: last.link, at: last.at }),
        };
        // An index that reaches beyond the log is of another one.
        let mut before = before.ok_or(DecodeError::Short)?;
        for found in self.records.range((position + 1).to_be_bytes()..) {
            let (key, value) = found.into_inner().map_err(|error| unreadable(&error))?;
            let position = u64::from_be_bytes(<[u8; 8]>::try_from(&key[..]).map_err(|_| DecodeError::Short)?);
            let (record, body) = row::read(position, &value)?;
            let next = before.next(&record.content_hash, record.at);
            if (next.position, next.link) != (position, record.link) {
                return Err(DecodeError::Value.into());
            }
            keep(next, record.content_hash, body)?;
            before = next;
        }
        if before.position == head.position { Ok(()) } else { Err(DecodeError::Short.into()) }
    }

    /// Everything, names of files included.
    pub fn sync(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::SyncAll)
    }

    pub fn fact(&self, key: Key) -> Result<Option<(u64, Entity)>, StoreError> {
        let Some(value) = self.facts.get(key.to_bytes()).map_err(|error| unreadable(&error))? else { return Ok(None) };
        let (version, bytes) = value.split_first_chunk().ok_or(DecodeError::Short)?;
        let version = u64::from_be_bytes(*version);
        if version > VERSION_MAX {
            return Err(DecodeError::Value.into());
        }
        if !bytes.is_empty() {
            return Ok(Some((version, record::decode_entity(bytes)?)));
        }
        let change = self.records.get(version.to_be_bytes()).map_err(|error| unreadable(&error))?;
        Ok(Some((version, row::read_fact(&change.ok_or(DecodeError::Short)?, &key)?)))
    }

    /// Where the records end.
    pub fn last_head(&self) -> Result<Head, StoreError> {
        match self.records.last_key_value() {
            None => Ok(Head::EMPTY),
            Some(row) => {
                let last = record_of(row)?;
                Ok(Head { position: last.position, link: last.link, at: last.at })
            }
        }
    }

    /// Records with `from <= position <= until`.
    pub fn records(&self, from: u64, until: u64, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        if from > until {
            return Ok(Vec::new());
        }
        self.records.range(from.to_be_bytes()..=until.to_be_bytes()).take(limit).map(record_of).collect()
    }

    /// Whole rows of changes with `from <= position <= until`, gapless.
    pub fn rows(&self, from: u64, until: u64, limit: usize) -> Result<Vec<Slice>, StoreError> {
        let mut rows = Vec::new();
        for found in self.records.range(from.to_be_bytes()..=until.to_be_bytes()).take(limit) {
            let (key, value) = found.into_inner().map_err(|error| unreadable(&error))?;
            if key[..] != (from + rows.len() as u64).to_be_bytes() {
                return Err(DecodeError::Value.into());
            }
            rows.push(value);
        }
        Ok(rows)
    }

    /// Puts a row into the index, whatever the changes say.
    #[cfg(test)]
    pub fn put_index_row(&self, key: &Key, row: &[u8]) -> fjall::Result<()> {
        self.facts.insert(key.to_bytes(), row)
    }

    /// What the index has of a fact: its version, and its bytes where they are copied.
    pub fn index_row(&self, key: &Key) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some(value) = self.facts.get(key.to_bytes()).map_err(|error| unreadable(&error))? else { return Ok(None) };
        let version = value.first_chunk().ok_or(DecodeError::Short)?;
        Ok(Some((u64::from_be_bytes(*version), value[8..].to_vec())))
    }

    /// How many facts the index has, and how many list rows as far as it reaches. Lists are written before facts, so behind
    /// it there may be rows of an indexing that was cut off; they are written again.
    pub fn index_sizes(&self) -> Result<(u64, u64), StoreError> {
        let reach = self.indexed()?;
        let mut facts = 0_u64;
        for row in self.facts.iter() {
            row.into_inner().map_err(|error| unreadable(&error))?;
            facts += 1;
        }
        let mut lists = 0;
        for row in self.lists.iter() {
            let (key, _) = row.into_inner().map_err(|error| unreadable(&error))?;
            let position = u64::from_be_bytes(*key.last_chunk().ok_or(DecodeError::Short)?);
            lists += u64::from(position <= reach);
        }
        // One row says how far it reaches.
        Ok((facts.saturating_sub(u64::from(reach > 0)), lists))
    }

    /// Rows with `after < position <= until`.
    pub fn list(&self, key: ListKey, after: u64, until: u64, limit: usize) -> Result<Vec<ListRow>, StoreError> {
        if after >= until {
            return Ok(Vec::new());
        }
        let range = list_key(key, after + 1)..=list_key(key, until);
        let rows = self.lists.range(range).take(limit).map(|row| {
            let (key, value) = row.into_inner().map_err(|error| unreadable(&error))?;
            let position = key.last_chunk().ok_or(DecodeError::Short)?;
            let subject = <[u8; 16]>::try_from(&value[..]).map_err(|_| DecodeError::Short)?;
            Ok(ListRow { position: u64::from_be_bytes(*position), subject: u128::from_be_bytes(subject) })
        });
        rows.collect()
    }
}

/// Takes sorted rows into tables of a keyspace.
///
/// fjall holds its journal while it syncs the last table, which may be large, and the flusher would wait for that. So the
/// tables are synced before.
fn ingest(keyspace: &Keyspace, rows: impl FnOnce(&mut TakeRow<'_>) -> fjall::Result<()>) -> fjall::Result<()> {
    let tables = keyspace.path().join("tables");
    let before = names(&tables)?;
    let mut ingestion = keyspace.start_ingestion()?;
    rows(&mut |key, value| ingestion.write(key, value))?;
    for name in names(&tables)?.difference(&before) {
        match File::open(tables.join(name)).and_then(|table| table.sync_data()) {
            // Made and taken away again by the compaction meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    ingestion.finish()
}

/// Takes a row: its key, its value.
type TakeRow<'a> = dyn FnMut(&[u8], &[u8]) -> fjall::Result<()> + 'a;

fn names(folder: &Path) -> std::io::Result<HashSet<OsString>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

fn list_key(list: ListKey, position: u64) -> [u8; 25] {
    let mut key = [0; 25];
    key[0] = list.kind as u8;
    key[1..17].copy_from_slice(&list.of);
    key[17..].copy_from_slice(&position.to_be_bytes());
    key
}

fn record_of(found: Guard) -> Result<StoredRecord, StoreError> {
    let (key, value) = found.into_inner().map_err(|error| unreadable(&error))?;
    let position = <[u8; 8]>::try_from(&key[..]).map_err(|_| DecodeError::Short)?;
    Ok(row::read_record(u64::from_be_bytes(position), &value)?)
}
