//! A store with a fault: what goes into the right store and what comes out of it is bent on the way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gongji::domain::time::Moment;
use gongji::store::kept::{KeptChange, Portable, TakeError};
use gongji::store::{
    Change, CommitError, Committed, Entity, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord,
};

use super::right::{RightStore, Step};
use crate::store::block_on;

pub type Verdict = Result<Committed, CommitError>;
pub type BendVerdicts = fn(&Notes, &[Change], &mut Vec<Verdict>);

/// What somebody wants of a list.
pub struct Asked {
    pub after: u64,
    pub until: u64,
    pub limit: usize,
}

/// What is bent; nothing by default.
#[derive(Clone, Copy, Default)]
pub struct Bend {
    pub key: Option<fn(&Key) -> Key>,
    pub facts: Option<fn(&Notes, &mut Facts)>,
    pub changes: Option<fn(&Notes, &mut Vec<Change>)>,
    pub now: Option<fn(Moment) -> Moment>,
    /// With the changes as they were asked for.
    pub verdicts: Option<BendVerdicts>,
    pub stored: Option<fn(&Notes, &mut Vec<StoredRecord>)>,
    pub asked: Option<fn(&mut Asked)>,
    pub rows: Option<fn(&Notes, &mut Vec<ListRow>)>,
    pub head: Option<fn(&Notes, &mut Head)>,
    /// What is handed out.
    pub kept: Option<fn(&mut Vec<KeptChange>)>,
    /// What is taken in.
    pub taken: Option<fn(&Notes, &mut Vec<KeptChange>)>,
    /// What is found again after a crash, of what was durable.
    pub forgets: Option<fn(&mut Vec<Step>)>,
    pub never_waits: bool,
    pub closing_keeps_nothing: bool,
    pub forgets_its_secret: bool,
    pub stops_at_a_refusal: bool,
    pub answers_when_closed: bool,
}

/// What a wrong store remembers.
pub struct Notes {
    pub inner: Arc<RightStore>,
    pub calls: AtomicU64,
    pub looks: Mutex<HashMap<Vec<Key>, Facts>>,
    pub writes: Mutex<HashMap<Key, u64>>,
    pub refused: Mutex<HashMap<Key, Entity>>,
    pub clocks: Mutex<HashMap<u64, Moment>>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    pub fn new(inner: Arc<RightStore>) -> Self {
        let calls = AtomicU64::new(0);
        let (looks, writes) = (Mutex::default(), Mutex::default());
        Self { inner, calls, looks, writes, refused: Mutex::default(), clocks: Mutex::default() }
    }

    /// The number of this call.
    pub fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    pub fn head(&self) -> Head {
        block_on(self.inner.head()).expect("open")
    }

    pub fn version(&self, key: &Key) -> u64 {
        block_on(self.inner.load(&[*key])).map_or(0, |facts| facts.facts[0].version)
    }
}

pub struct Bent {
    pub notes: Notes,
    pub bend: Bend,
    pub secret: [u8; 32],
}

fn ready<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Bent {
    fn look(&self, keys: &[Key]) -> Result<Facts, StoreError> {
        let asked: Vec<Key> = keys.iter().map(|key| self.bend.key.map_or(*key, |bend| bend(key))).collect();
        let mut facts = match block_on(self.notes.inner.load(&asked)) {
            Err(StoreError::Closed) if self.bend.answers_when_closed => {
                let absent = keys.iter().map(|key| Fact { key: *key, version: 0, entity: None });
                Facts { began_at: 0, read_at: 0, facts: absent.collect() }
            }
            other => other?,
        };
        facts.facts.iter_mut().zip(keys).for_each(|(fact, key)| fact.key = *key);
        if let Some(bend) = self.bend.facts {
            bend(&self.notes, &mut facts);
        }
        Ok(facts)
    }

    fn judge(&self, asked: Vec<Change>, now: Moment) -> Vec<Verdict> {
        let mut changes = asked.clone();
        if let Some(bend) = self.bend.changes {
            bend(&self.notes, &mut changes);
        }
        let now = self.bend.now.map_or(now, |bend| bend(now));
        let mut verdicts = match self.bend.stops_at_a_refusal {
            false => block_on(self.notes.inner.commit(changes, now)),
            true => {
                let mut refused = None;
                let one = |change| match refused {
                    Some(refusal) => Err(refusal),
                    None => {
                        let verdict = block_on(self.notes.inner.commit(vec![change], now)).remove(0);
                        refused = verdict.err();
                        verdict
                    }
                };
                changes.into_iter().map(one).collect()
            }
        };
        if let Some(bend) = self.bend.verdicts {
            bend(&self.notes, &asked, &mut verdicts);
        }
        verdicts
    }
}

impl Store for Bent {
    fn kind(&self) -> &'static str {
        "bent"
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        ready(self.look(keys))
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Verdict>> {
        ready(self.judge(changes, now))
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        if self.bend.never_waits { ready(Ok(())) } else { self.notes.inner.wait_durable(position) }
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        let mut head = block_on(self.notes.inner.head());
        if let (Some(bend), Ok(head)) = (self.bend.head, &mut head) {
            bend(&self.notes, head);
        }
        ready(head)
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        self.notes.inner.clock()
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        let mut records = block_on(self.notes.inner.records(from, limit));
        if let (Some(bend), Ok(records)) = (self.bend.stored, &mut records) {
            bend(&self.notes, records);
        }
        ready(records)
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        let mut asked = Asked { after, until, limit };
        if let Some(bend) = self.bend.asked {
            bend(&mut asked);
        }
        let mut rows = block_on(self.notes.inner.list(key, asked.after, asked.until, asked.limit));
        if let (Some(bend), Ok(rows)) = (self.bend.rows, &mut rows) {
            bend(&self.notes, rows);
        }
        ready(rows)
    }

    fn portable(&self) -> Option<&dyn Portable> {
        Some(self)
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        self.notes.inner.close()
    }
}

impl Portable for Bent {
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        let mut changes = block_on(self.notes.inner.changes(from, limit));
        if let (Some(bend), Ok(changes)) = (self.bend.kept, &mut changes) {
            bend(changes);
        }
        ready(changes)
    }

    fn take(&self, mut changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>> {
        if let Some(bend) = self.bend.taken {
            bend(&self.notes, &mut changes);
        }
        self.notes.inner.take(changes)
    }
}
