//! A right store that can lose what was not durable: a memory store, and what it took in, to take it in again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gongji::domain::time::Moment;
use gongji::store::kept::{KeptChange, Portable, TakeError};
use gongji::store::memory::MemoryStore;
use gongji::store::{
    Change, CommitError, Committed, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture, StoredRecord,
};

use super::bend::{Bend, Bent, Notes, lock};
use crate::store::{Place, block_on};

/// One position of the ledger.
#[derive(Clone)]
pub enum Step {
    Committed(Box<Change>, Moment),
    Taken(Box<KeptChange>),
}

/// What outlives the store.
#[derive(Default)]
struct Disk {
    steps: Mutex<Vec<Step>>,
    durable: AtomicUsize,
}

pub struct RightStore {
    memory: MemoryStore,
    disk: Arc<Disk>,
}

impl RightStore {
    /// The memory of the steps on the disk.
    fn of(disk: Arc<Disk>, secret: [u8; 32]) -> Self {
        let memory = MemoryStore::new(secret, u64::MAX);
        for step in lock(&disk.steps).iter().cloned() {
            match step {
                Step::Committed(mut change, now) => {
                    change.expects.clear();
                    change.before = None;
                    block_on(memory.commit(vec![*change], now))[0].expect("it was taken before");
                }
                Step::Taken(change) => drop(block_on(memory.take(vec![*change]))),
            }
        }
        disk.durable.store(lock(&disk.steps).len(), Ordering::SeqCst);
        Self { memory, disk }
    }
}

impl Store for RightStore {
    fn kind(&self) -> &'static str {
        "right"
    }

    fn secret(&self) -> [u8; 32] {
        self.memory.secret()
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        self.memory.load(keys)
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        // Held throughout, so that steps are in the order of positions.
        let mut steps = lock(&self.disk.steps);
        let verdicts = block_on(self.memory.commit(changes.clone(), now));
        let applied = changes.into_iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        steps.extend(applied.map(|(change, _)| Step::Committed(Box::new(change), now)));
        Box::pin(std::future::ready(verdicts))
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.memory.wait_durable(position).await?;
            self.disk.durable.fetch_max(usize::try_from(position).unwrap_or(usize::MAX), Ordering::SeqCst);
            Ok(())
        })
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        self.memory.head()
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        self.memory.clock()
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.memory.records(from, limit)
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        self.memory.list(key, after, until, limit)
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        self.memory.close()
    }
}

impl Portable for RightStore {
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        self.memory.changes(from, limit)
    }

    fn take(&self, changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>> {
        let mut steps = lock(&self.disk.steps);
        let taken = block_on(self.memory.take(changes.clone()));
        if taken.is_ok() {
            steps.extend(changes.into_iter().map(|change| Step::Taken(Box::new(change))));
        }
        Box::pin(std::future::ready(taken))
    }
}

/// The place of a right store, bent or not.
pub struct Right {
    disk: Arc<Disk>,
    secret: Option<[u8; 32]>,
    bend: Bend,
}

impl Right {
    pub fn bent(bend: Bend) -> Self {
        Self { disk: Arc::default(), secret: None, bend }
    }

    /// Only what was durable is left.
    fn cut(&self) {
        lock(&self.disk.steps).truncate(self.disk.durable.load(Ordering::SeqCst));
    }
}

impl Place for Right {
    fn open(&mut self, secret: [u8; 32]) -> Arc<dyn Store> {
        let kept = *self.secret.get_or_insert(secret);
        let secret = if self.bend.forgets_its_secret { secret } else { kept };
        let notes = Notes::new(Arc::new(RightStore::of(self.disk.clone(), secret)));
        Arc::new(Bent { notes, bend: self.bend, secret })
    }

    fn close(&mut self, store: Arc<dyn Store>) {
        block_on(store.close()).expect("closes");
        if self.bend.closing_keeps_nothing {
            self.cut();
        }
    }

    fn crash(&mut self, _: Arc<dyn Store>) {
        self.cut();
        if let Some(forgets) = self.bend.forgets {
            forgets(&mut lock(&self.disk.steps));
        }
    }
}
