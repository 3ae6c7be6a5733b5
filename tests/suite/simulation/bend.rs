//! Faults from outside: what passes between the server and its store, clock and names is bent on the way, so that the
//! server itself has no hooks. `over` stands before the stage, as a fault of the server would; `under` behind it, as a
//! fault of the store would.

use std::sync::{Arc, Mutex};

use gongji::domain::policy::Rules;
use gongji::domain::record::Record;
use gongji::domain::time::Moment;
use gongji::grpc::proto::WatchRequest;
use gongji::ledger::source::{Clock, Ids};
use gongji::store::chain::content_hash;
use gongji::store::record::{decode_record, encode_record, policy_set_of};
use gongji::store::{
    Change, CommitError, Committed, Fact, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture,
    StoredRecord,
};

use super::many::Came;
use super::op::{Op, What};
use super::stage::Stage;

pub type Verdict = Result<Committed, CommitError>;

/// What is bent of a store; nothing by default.
#[derive(Clone, Copy, Default)]
pub struct Bend {
    pub change: Option<fn(&mut Change)>,
    /// The record of a change, written anew.
    pub record: Option<fn(&mut Record, &mut Change)>,
    /// What a look finds, with what earlier looks found.
    pub facts: Option<fn(&What, &mut Facts, &mut Vec<Fact>)>,
    pub verdict: Option<fn(&mut Verdict)>,
    pub stored: Option<fn(&mut StoredRecord)>,
    pub rows: Option<fn(&What, &mut Vec<ListRow>)>,
    /// What is read of the chain.
    pub read: Option<fn(&mut Vec<StoredRecord>)>,
    pub never_waits: bool,
    pub commits_twice: bool,
}

/// A fault; none by default.
#[derive(Clone, Copy, Default)]
pub struct Tamper {
    pub over: Bend,
    pub under: Bend,
    pub clock: Option<fn(Moment) -> Moment>,
    pub ids: Option<fn(u128) -> u128>,
    pub rules: Option<fn(&mut Rules)>,
    /// The items of a call of many as they reach the server, and what came of them as it reaches the client.
    pub items: Option<fn(&mut Vec<Op>)>,
    pub came: Option<fn(&mut Vec<Came>)>,
    /// What a consumer asks of the feed as it reaches the server.
    pub asked: Option<fn(&mut WatchRequest)>,
}

pub struct Bent {
    pub inner: Arc<dyn Store>,
    pub stage: Arc<Stage>,
    pub bend: Bend,
    pub seen: Mutex<Vec<Fact>>,
}

impl Bent {
    pub fn over(inner: Arc<dyn Store>, stage: &Arc<Stage>, bend: Bend) -> Arc<dyn Store> {
        Arc::new(Self { inner, stage: stage.clone(), bend, seen: Mutex::new(Vec::new()) })
    }

    fn bend(&self, change: &mut Change) {
        if let Some(bend) = self.bend.record {
            let mut record = decode_record(&change.record).expect("the server wrote it");
            let set = policy_set_of(&change.record).expect("the server wrote it");
            bend(&mut record, change);
            change.record = encode_record(&record, &set);
            change.content_hash = content_hash(&change.record);
        }
        if let Some(bend) = self.bend.change {
            bend(change);
        }
    }
}

impl Store for Bent {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn secret(&self) -> [u8; 32] {
        self.inner.secret()
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        Box::pin(async move {
            let mut facts = self.inner.load(keys).await?;
            // Behind the stage nothing of the kind is bent: it may be held while it looks.
            if let Some(bend) = self.bend.facts {
                let op = self.stage.state().flight().map(|flight| flight.op.clone());
                if let Some(op) = op {
                    bend(&op.what, &mut facts, &mut self.seen.lock().unwrap());
                }
            }
            Ok(facts)
        })
    }

    fn commit(&self, mut changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(async move {
            changes.iter_mut().for_each(|change| self.bend(change));
            let again = self.bend.commits_twice.then(|| changes.clone());
            let mut verdicts = self.inner.commit(changes, now).await;
            if let Some(mut again) = again.filter(|_| verdicts.iter().all(Result::is_ok)) {
                again.iter_mut().for_each(|change| change.expects.clear());
                drop(self.inner.commit(again, now).await);
            }
            if let Some(bend) = self.bend.verdict {
                verdicts.iter_mut().for_each(bend);
            }
            verdicts
        })
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        if self.bend.never_waits {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.inner.wait_durable(position)
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        self.inner.head()
    }
    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        self.inner.clock()
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        Box::pin(async move {
            let mut records = self.inner.records(from, limit).await?;
            if let Some(bend) = self.bend.stored {
                records.iter_mut().for_each(bend);
            }
            if let Some(bend) = self.bend.read {
                bend(&mut records);
            }
            Ok(records)
        })
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(async move {
            let mut rows = self.inner.list(key, after, until, limit).await?;
            // Behind the stage nothing of the kind is bent here either.
            if let Some(bend) = self.bend.rows
                && let Some(op) = self.stage.state().flight().map(|flight| flight.op.clone())
            {
                bend(&op.what, &mut rows);
            }
            Ok(rows)
        })
    }

    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        self.inner.close()
    }
}

pub struct BentClock(pub Arc<dyn Clock>, pub fn(Moment) -> Moment);

impl Clock for BentClock {
    fn now(&self) -> Moment {
        (self.1)(self.0.now())
    }
}

pub struct BentIds(pub Arc<dyn Ids>, pub fn(u128) -> u128);

impl Ids for BentIds {
    fn next(&self, now: Moment) -> u128 {
        (self.1)(self.0.next(now))
    }

    fn salt(&self) -> [u8; 16] {
        self.0.salt()
    }
}
