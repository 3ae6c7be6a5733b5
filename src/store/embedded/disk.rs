//! The rows on the disk. Keys: a fact's own bytes; a record's position; a list's kind, owner and position.
//!
//! fjall writes a batch as one framed, checksummed group in one journal for all keyspaces, and replays only whole groups:
//! one that lacks its end is cut off on opening (`journal/batch_reader.rs`, `on_close`; `journal/reader.rs` cuts at the
//! first bytes that are no entry). So a change is there whole or not at all, and since one thread writes and syncs one
//! batch before it begins the next, only the last one, never acknowledged, can be torn. See also `repair.rs`.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice};

use super::pipeline::Queued;
use crate::domain::time::Moment;
use crate::store::codec::DecodeError;
use crate::store::{Entity, Head, Key, ListKey, ListRow, StoreError, StoredRecord, record};

/// `at`, content hash and link come before a record's bytes.
const RECORD_HEAD: usize = 8 + 32 + 32;

/// The open database. Fields are dropped in this order: the process's lock goes last.
pub(super) struct Disk {
    facts: Keyspace,
    records: Keyspace,
    lists: Keyspace,
    pub meta: Keyspace,
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
        let keyspace = |name, memtable: u64| {
            let options = || KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(memtable);
            db.keyspace(name, options)
        };
        // A journal is kept until each keyspace has flushed what it holds of it, so the sizes follow what a change writes.
        Ok(Self {
            facts: keyspace("facts", 64 << 20)?,
            records: keyspace("records", 16 << 20)?,
            lists: keyspace("lists", 16 << 20)?,
            meta: keyspace("meta", 1 << 20)?,
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
        // All rows of a batch are of one age to fjall, so a fact that changed twice in it is written once, the newest.
        let count = batch.iter().map(|queued| queued.facts.len()).sum();
        let (mut newer, mut facts) = (HashSet::with_capacity(count), Vec::with_capacity(count));
        let mut lists = Vec::with_capacity(batch.iter().map(|queued| queued.lists.len()).sum());
        for queued in batch.iter().rev() {
            let position = queued.head.position;
            for (key, bytes) in queued.facts.iter().rev() {
                if newer.insert(*key) {
                    facts.push((key.to_bytes(), position, bytes));
                }
            }
            lists.extend(queued.lists.iter().map(|(list, subject)| (list_key(*list, position), *subject)));
        }
        // In order, so that each finds its place in the tree near the one before, which is warm.
        facts.sort_unstable();
        lists.sort_unstable();
        let rows = batch.len() + facts.len() + lists.len();
        let mut rows = OwnedWriteBatch::with_capacity(self.db.clone(), rows).durability(Some(mode));
        let mut value = Vec::with_capacity(1024);
        for queued in batch {
            value.clear();
            value.extend_from_slice(&queued.head.at.as_micros().to_be_bytes());
            value.extend_from_slice(&queued.content_hash);
            value.extend_from_slice(&queued.head.link);
            value.extend_from_slice(&queued.record);
            rows.insert(&self.records, queued.head.position.to_be_bytes(), Slice::from(&value[..]));
        }
        for (key, position, bytes) in facts {
            value.clear();
            value.extend_from_slice(&position.to_be_bytes());
            value.extend_from_slice(bytes);
            rows.insert(&self.facts, key, Slice::from(&value[..]));
        }
        for (key, subject) in lists {
            rows.insert(&self.lists, key, subject.to_be_bytes());
        }
        rows.commit()
    }

    /// Everything, names of files included.
    pub fn sync(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::SyncAll)
    }

    pub fn fact(&self, key: Key) -> Result<Option<(u64, Entity)>, StoreError> {
        let Some(value) = self.facts.get(key.to_bytes()).map_err(|error| unreadable(&error))? else { return Ok(None) };
        let (version, bytes) = value.split_first_chunk().ok_or(DecodeError::Short)?;
        Ok(Some((u64::from_be_bytes(*version), record::decode_entity(bytes)?)))
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

fn list_key(list: ListKey, position: u64) -> [u8; 25] {
    let mut key = [0; 25];
    key[0] = list.kind as u8;
    key[1..17].copy_from_slice(&list.of);
    key[17..].copy_from_slice(&position.to_be_bytes());
    key
}

fn record_of(row: Guard) -> Result<StoredRecord, StoreError> {
    let (key, value) = row.into_inner().map_err(|error| unreadable(&error))?;
    let position = <[u8; 8]>::try_from(&key[..]).map_err(|_| DecodeError::Short)?;
    let (head, bytes) = value.split_first_chunk::<RECORD_HEAD>().ok_or(DecodeError::Short)?;
    let (at, rest) = head.split_first_chunk::<8>().ok_or(DecodeError::Short)?;
    let (content_hash, link) = rest.split_first_chunk::<32>().ok_or(DecodeError::Short)?;
    Ok(StoredRecord {
        position: u64::from_be_bytes(position),
        at: Moment::from_micros(i64::from_be_bytes(*at)),
        content_hash: *content_hash,
        link: <[u8; 32]>::try_from(link).map_err(|_| DecodeError::Short)?,
        bytes: bytes.to_vec(),
    })
}
