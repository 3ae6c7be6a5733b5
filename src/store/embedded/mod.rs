//! The embedded store: one process, one directory, on fjall (a log-structured merge tree with one journal).
//!
//! # How a change travels
//! `commit` is synchronous under one mutex (`pipeline.rs`): expectations are compared with the keys changed lately
//! (`view.rs`, as far back as `horizon.rs` says), the position and the link are given, facts and list rows become visible
//! (`view.rs`, `rows.rs`) and the change waits in a queue. One thread (`flusher.rs`) takes all that waits, writes one row
//! per change (`row.rs`) as one batch, syncs, and only then publishes the durable position and wakes whoever waits for it
//! (`waiting.rs`). Another (`indexer.rs`) now and then writes the facts and list rows of many changes into sorted tables
//! (`sorting.rs`), which are an index of the rows and no more: after a crash the rows behind the index are read again
//! (`open.rs`). Loads look at the view first and at the disk (`disk.rs`) second; what the indexer moves is on the disk
//! before it leaves the view, so nothing is missed.
//!
//! # What is kept
//! A file `FORMAT` that is read before anything is touched, a file `LOCK` held by the process, and the fjall database in
//! `data/` with four keyspaces: `records` (the log), `facts` and `lists` (its index), `meta` (the secret). The head is the
//! last record.
//!
//! # When the disk fails
//! Nothing is acknowledged after a failed write or sync: every waiter and every later call gets `Unavailable`. What was
//! applied but not durable may or may not be there after opening again.

mod backup;
mod check;
mod disk;
mod faults;
mod files;
mod flusher;
mod horizon;
mod indexer;
mod keeping;
mod measured;
mod moving;
mod open;
mod pipeline;
mod repair;
mod row;
mod rows;
mod shard;
mod sorting;
mod view;
mod waiting;

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use self::disk::Disk;
use self::keeping::read_again;
use self::pipeline::{Pipeline, Prepared, Queued};
use self::row::Room;
use self::rows::Rows;
use self::shard::{Look, at_hand};
use self::view::View;
use self::waiting::{Durable, Progress};
use super::kept::Portable;
use super::measured::Groups;
use super::{
    Change, CommitError, Committed, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord, record,
};
use crate::domain::time::Moment;
use crate::metrics::Page;

pub use backup::BackupError;
pub use check::IndexReport;
pub use faults::{Fault, Faults};
pub use open::{EmbeddedOptions, OpenError};

/// See the module.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    /// Flusher and indexer.
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

/// What the callers and the flusher share.
struct Shared {
    dir: PathBuf,
    secret: [u8; 32],
    /// Empty once closed, so that the lock is released while handles to the store are still about.
    disk: RwLock<Option<Arc<Disk>>>,
    pipeline: Mutex<Pipeline>,
    /// Tells the flusher that something waits.
    work: Condvar,
    /// Tells parked commits that the queue has room again.
    room: Condvar,
    /// Tells the indexer that enough waits, or that nothing more will come.
    index_work: Condvar,
    queue_bytes: usize,
    index_bytes: usize,
    view: View,
    rows: Rows,
    /// The last position whose facts are all in the view.
    applied: AtomicU64,
    progress: Progress,
    groups: Groups,
    faults: Arc<Faults>,
}

/// Data under a lock is whole whenever the lock is free: a panic inside one fails the store through the flusher or is a
/// caller's own, before anything was changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedStore {
    /// Opens the data set in `options.dir`, or makes a new one there if the directory is absent or empty.
    pub fn open(options: &EmbeddedOptions) -> Result<Arc<Self>, OpenError> {
        let (disk, secret) = open::open(options)?;
        let head = disk.last_head().map_err(|cause| OpenError::damaged(&options.dir, cause))?;
        let disk = Arc::new(disk);
        let shared = Arc::new(Shared {
            dir: options.dir.clone(),
            secret,
            disk: RwLock::new(Some(disk.clone())),
            pipeline: Mutex::new(Pipeline::new(head, options.recent_keys)),
            work: Condvar::new(),
            room: Condvar::new(),
            index_work: Condvar::new(),
            queue_bytes: options.queue_bytes,
            index_bytes: options.index_bytes.max(1),
            view: View::new(options.cached_facts),
            rows: Rows::new(),
            applied: AtomicU64::new(head.position),
            progress: Progress::new(head.position),
            groups: Groups::default(),
            faults: options.faults.clone().unwrap_or_default(),
        });
        shared.restore(&disk).map_err(|cause| OpenError::damaged(&options.dir, cause))?;
        let start = |name: &str, work: fn(&Shared, &Disk)| {
            let (shared, disk) = (shared.clone(), disk.clone());
            let thread = std::thread::Builder::new().name(name.to_owned());
            let started = thread.spawn(move || work(&shared, &disk));
            started.map_err(|source| OpenError::Io { dir: options.dir.clone(), source })
        };
        let indexer = start("gongji:indexer", indexer::run)?;
        let flusher = start("gongji:flusher", flusher::run).inspect_err(|_| {
            // Nothing will be flushed, so the other has nothing to wait for.
            lock(&shared.pipeline).flusher_ended = true;
            shared.index_work.notify_all();
        })?;
        let threads = [flusher, indexer];
        Ok(Arc::new(Self { shared, threads: Mutex::new(Some(threads)) }))
    }

    /// Whether a directory holds a data set.
    pub fn is_there(dir: &Path) -> bool {
        open::must_exist(dir).is_ok()
    }

    /// Opens the data set in a directory, and makes none.
    pub fn open_existing(dir: &Path) -> Result<Arc<Self>, OpenError> {
        open::must_exist(dir)?;
        Self::open(&EmbeddedOptions::new(dir, [0; 32]))
    }

    /// Where the data set is.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// Where the ledger stands, whatever became of the disk.
    pub fn applied_head(&self) -> Head {
        lock(&self.shared.pipeline).head()
    }

    /// Up to where everything survives any crash.
    pub fn durable(&self) -> u64 {
        self.shared.progress.durable()
    }

    /// Flushes, brings the index up to date where little is missing, ends the threads, lets go of the directory. Blocks until
    /// done; a piece of the index that is being written or merged is finished first.
    fn shut(&self) -> Result<(), StoreError> {
        // The handles' lock is held throughout, so that a second close returns when the first is done and not before.
        let mut threads = lock(&self.threads);
        let Some(threads) = threads.take() else { return Ok(()) };
        lock(&self.shared.pipeline).closing = true;
        self.shared.faults.set(Fault::None);
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        // A panic of one of them has been noted by its own guard.
        for thread in threads {
            let _ = thread.join();
        }
        let outcome = self.shared.progress.check();
        let disk = self.shared.disk.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(disk);
        self.shared.progress.close();
        outcome
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        if let Err(error) = self.shut() {
            tracing::error!(dir = %self.shared.dir.display(), %error, "the store was closed after a failure");
        }
    }
}

/// What waits for the index may be so many times what it is asked for before commits wait for it too.
const UNINDEXED_MAX: usize = 2;

impl Shared {
    /// Takes in what the index does not have yet.
    fn restore(&self, disk: &Disk) -> Result<(), StoreError> {
        let mut pipeline = lock(&self.pipeline);
        let last = pipeline.head();
        let mut room = Vec::new();
        disk.changes_after(disk.indexed()?, &last, |head, content_hash, body| {
            let position = head.position;
            let queued = Arc::new(Queued { head, content_hash, body });
            for (key, bytes) in queued.body.facts() {
                // Read all the same, so that a damaged one is found now.
                let entity = record::decode_entity(bytes)?;
                let at_hand = read_again(&key).then(|| at_hand(&key, entity, &mut room));
                self.view.pin(&self.view.spot(&key), at_hand, &queued);
            }
            self.rows.push(position, queued.body.lists());
            pipeline.restore(queued);
            Ok(())
        })
    }

    /// The disk, if the store is open and sound.
    fn disk(&self) -> Result<DiskGuard<'_>, StoreError> {
        self.progress.check()?;
        let guard = self.disk.read().unwrap_or_else(PoisonError::into_inner);
        if guard.is_some() { Ok(DiskGuard(guard)) } else { Err(StoreError::Closed) }
    }

    fn load(&self, keys: &[Key]) -> Result<Facts, StoreError> {
        let disk = self.disk()?;
        let began_at = self.applied.load(Ordering::Acquire);
        let mut newest = 0;
        let mut facts = Vec::with_capacity(keys.len());
        for (key, look) in keys.iter().zip(self.view.look(keys)?) {
            let (version, entity) = match look {
                Look::Found(version, entity) => (version, Some(entity)),
                Look::InRow(version, queued) => (version, Some(queued.body.fact(key)?)),
                Look::Missed(moment) => match disk.get().fact(*key)? {
                    Some((version, entity)) => {
                        // What is looked at seldom would push out what is looked at often.
                        if read_again(key) {
                            self.view.remember(*key, moment, version, &entity);
                        }
                        (version, Some(entity))
                    }
                    None => (0, None),
                },
            };
            newest = newest.max(version);
            facts.push(Fact { key: *key, version, entity });
        }
        // A fact is in the view a moment before its position is published.
        let read_at = self.applied.load(Ordering::Acquire).max(newest);
        Ok(Facts { began_at, read_at, facts })
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> Vec<Result<Committed, CommitError>> {
        // Encoding is the larger half of the work and needs no lock.
        let mut room = Room::new();
        let prepared: Vec<_> = changes.into_iter().map(|change| Prepared::new(change, &self.view, &mut room)).collect();
        let mut pipeline = lock(&self.pipeline);
        pipeline = self.wait_for_room(pipeline);
        let verdicts = prepared.into_iter().map(|prepared| {
            self.progress.check().map_err(CommitError::NotApplied)?;
            pipeline.apply(prepared, now, &self.view, |puts, queued| {
                let position = queued.head.position;
                self.rows.push(position, queued.body.lists());
                self.view.count(puts.len());
                for (spot, at_hand) in puts {
                    self.view.pin(&spot, at_hand, queued);
                }
                self.applied.store(position, Ordering::Release);
            })
        });
        let verdicts = verdicts.collect();
        if pipeline.wants_flusher() {
            self.work.notify_one();
        }
        verdicts
    }

    /// Waits while more is queued for the disk or its index than may be.
    fn wait_for_room<'a>(&self, mut pipeline: MutexGuard<'a, Pipeline>) -> MutexGuard<'a, Pipeline> {
        let full = |pipeline: &Pipeline| {
            pipeline.queued_bytes() > self.queue_bytes || pipeline.unindexed_bytes() / UNINDEXED_MAX > self.index_bytes
        };
        while full(&pipeline) && self.progress.check().is_ok() && !pipeline.closing {
            pipeline = self.room.wait(pipeline).unwrap_or_else(PoisonError::into_inner);
        }
        pipeline
    }

    fn records(&self, from: u64, limit: usize) -> Result<Vec<StoredRecord>, StoreError> {
        let disk = self.disk()?;
        let (flushed, mut queued) = lock(&self.pipeline).queued_records(from, limit);
        let mut records = disk.get().records(from, flushed, limit)?;
        queued.truncate(limit - records.len());
        records.append(&mut queued);
        Ok(records)
    }

    fn list(&self, key: ListKey, after: u64, until: u64, limit: usize) -> Result<Vec<ListRow>, StoreError> {
        let disk = self.disk()?;
        let indexed = lock(&self.pipeline).indexed();
        // Rows leave the memory after the index has been told to reach beyond them, so there is no gap in between.
        let mut recent = self.rows.of(&key, after.max(indexed), until, limit);
        let first = recent.first().map_or(until, |row| row.position - 1);
        let reach = lock(&self.pipeline).indexed().min(first);
        let mut rows = disk.get().list(key, after, until.min(reach), limit)?;
        recent.truncate(limit - rows.len());
        rows.append(&mut recent);
        Ok(rows)
    }
}

/// Keeps the disk open while it is read.
struct DiskGuard<'a>(RwLockReadGuard<'a, Option<Arc<Disk>>>);

impl DiskGuard<'_> {
    fn get(&self) -> &Disk {
        self.0.as_ref().expect("checked when the guard was made, and it has been held since")
    }
}

impl Store for EmbeddedStore {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn secret(&self) -> [u8; 32] {
        self.shared.secret
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        Box::pin(ready(self.shared.load(keys)))
    }

    /// Blocks while the queue to the disk is over its bound: then the disk is what everybody waits for.
    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        Box::pin(ready(self.shared.commit(changes, now)))
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        match self.shared.progress.check() {
            Err(StoreError::Closed) => Box::pin(ready(Err(StoreError::Closed))),
            // What was durable before the disk failed still is.
            _ => Box::pin(Durable::new(&self.shared.progress, position)),
        }
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        Box::pin(ready(self.shared.progress.check().map(|()| self.applied_head())))
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        Box::pin(ready(self.shared.progress.check().map(|()| None)))
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        Box::pin(ready(self.shared.records(from, limit)))
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(ready(self.shared.list(key, after, until, limit)))
    }

    fn portable(&self) -> Option<&dyn Portable> {
        Some(self)
    }

    fn measure(&self, page: &mut Page) {
        self.shared.measure(page);
    }

    /// Blocks for the last flush. Closing again is no error.
    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(self.shut()))
    }
}
