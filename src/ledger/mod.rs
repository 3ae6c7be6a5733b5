//! Load → decide → commit. Every change comes through `Ledger::run`: one look at the facts a command names, one pure
//! decision, one conditional commit; the clock, ids and retries live here and nowhere below.

pub mod accounts;
mod asked;
pub mod bindings;
pub mod cards;
pub mod case;
pub mod certification;
pub mod close_year;
pub mod check;
mod counted;
mod begun;
mod check_bindings;
pub mod entries;
pub mod expire;
pub mod failure;
pub mod fingerprint;
pub mod hold;
pub mod jobs;
pub mod limits;
pub mod looks;
pub mod members;
pub mod page;
pub mod payers;
pub mod policies;
pub mod queries;
pub mod quotas;
pub mod quote;
pub mod reading;
pub mod reconcile;
pub mod refund;
pub mod region_close;
pub mod release;
pub mod resolve;
pub mod settle;
pub mod settlements;
pub mod settling;
pub mod source;
pub mod subjects;
pub mod transfers;
pub mod verify;
pub mod wallets;
pub mod watch;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, RwLock};

use crate::domain::ids::RequestId;
use crate::domain::policy::PolicyBook;
use crate::domain::reason::Reason;
use crate::domain::record::Record;
use crate::domain::time::Moment;
use crate::store::entity::{Request, StoredPolicy};
use crate::store::{Change, CommitError, Entity, Key, ListKey, ListKind, Store, StoreError, chain, record};
use asked::{Asked, Attempt};
pub use begun::{Begun, OfMade, RestsOn};
pub use failure::{Failure, Violation};
use fingerprint::{Fingerprint, Keys};
pub use limits::Limits;
use reading::Reading;
use source::{Clock, Ids};

/// Who asks. Anonymous until there is authentication: one shared scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Scope of request ids outside settlement methods.
    pub scope: String,
    /// Whether `view = FULL` may show personal data.
    pub may_reveal: bool,
}

/// The outcome of a change, first or repeated.
#[derive(Clone, Debug)]
pub struct Done<T> {
    pub outcome: T,
    pub position: u64,
    pub at: Moment,
    pub replayed: bool,
}

/// What a command makes of the facts.
pub struct Plan<T> {
    pub record: Record,
    pub puts: Vec<(Key, Entity)>,
    pub lists: Vec<(ListKey, u128)>,
    pub outcome: T,
}

/// Names made once per call and reused across its retries.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub id: u128,
    pub salt: [u8; 16],
    /// Where the request stands, for facts kept under it.
    pub request: [u8; 16],
}

/// One kind of change.
pub trait Command: Sync {
    type Outcome: Send;

    /// The method's stored code: part of the content.
    const METHOD: u8;

    /// Whether it decides on what holds that have run out still hold; only what ends them does.
    const SEES_RAN_OUT: bool = false;

    /// The scope and the request id.
    fn request(&self) -> (String, &RequestId);

    /// The fact that its decision begins with, where one look at it and at the request is better than two.
    fn begins_with(&self, _: &Ledger) -> Option<Key> {
        None
    }

    /// Every canonical field, so that a reused id with other content is told apart.
    fn fingerprint(&self, fields: &mut Fingerprint<'_>);

    /// Loads what it needs and decides.
    fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> impl Future<Output = Result<Plan<Self::Outcome>, Failure>> + Send;

    /// The original outcome, from the record that the request made.
    fn replay(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send;
}

/// How many races a change loses before it is decided alone. To be alone, all others have to end first, which costs much
/// where a commit takes long; who loses once is most likely to win the next time.
const LOST_AMONG_OTHERS: u32 = 1;

/// See the module.
pub struct Ledger {
    store: Arc<dyn Store>,
    pub book: Arc<PolicyBook>,
    pub limits: Limits,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    pub(crate) keys: Keys,
    /// Changes share it; one that lost races takes it alone, so that in this process it cannot lose again.
    gate: RwLock<()>,
    /// Policy revisions already written by this process, and those ready for rendering.
    stored: Mutex<HashSet<[u8; 32]>>,
    /// Whether this process has committed what its policy set is made of.
    set_stored: AtomicBool,
    revisions: Mutex<HashMap<[u8; 32], Arc<StoredPolicy>>>,
    /// Tells whoever closes years that one was begun.
    year_closes: Notify,
    counted: counted::CountedApart,
}

impl Ledger {
    pub fn new(
        store: Arc<dyn Store>,
        book: Arc<PolicyBook>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        limits: Limits,
    ) -> Self {
        let keys = Keys::from_secret(store.secret());
        Self {
            store,
            book,
            limits,
            clock,
            ids,
            keys,
            gate: RwLock::new(()),
            stored: Mutex::new(HashSet::new()),
            set_stored: AtomicBool::new(false),
            revisions: Mutex::new(HashMap::new()),
            year_closes: Notify::new(),
            counted: counted::CountedApart::default(),
        }
    }

    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    pub fn clock_is_shifted(&self) -> bool {
        self.clock.is_shifted()
    }

    /// The outcome of a change, with what it rests on.
    async fn decided<C: Command>(&self, command: &C) -> Result<Begun<C::Outcome>, Failure> {
        let (scope, request_id) = command.request();
        let request = self.keys.request(&scope, request_id);
        let mut fields = Fingerprint::new(&self.keys, C::METHOD);
        command.fingerprint(&mut fields);
        let content = Arc::new(Request {
            scope,
            id: request_id.as_str().to_owned(),
            method: C::METHOD,
            fingerprint: fields.whole(),
            fields: fields.digests(),
        });
        let fresh = Fresh { id: self.ids.next(self.clock.now()), salt: self.ids.salt(), request };
        let mut asked = Asked { content, fields, fresh, taken: false, unanswered: Vec::new() };
        let (mut lost, mut alone) = (0, false);
        while lost <= self.limits.retries {
            let (_shared, _alone) = match alone {
                false => (Some(self.gate.read().await), None),
                true => (None, Some(self.gate.write().await)),
            };
            if alone {
                self.counted().alone.one();
            }
            let now = match lost {
                0 if !C::SEES_RAN_OUT => self.clock.now(),
                _ => self.now_of_ledger().await.map_err(|failure| asked.told(failure))?,
            };
            let mut reading = match C::SEES_RAN_OUT {
                true => Reading::new(self.store()),
                false => Reading::as_of(self.store(), now),
            };
            match self.attempt(command, &mut asked, &mut reading, now).await {
                Attempt::Settled(Err(Failure::OutcomeUnknown)) if lost < self.limits.retries => lost += 1,
                Attempt::Settled(result) => {
                    drop((_shared, _alone));
                    if let Ok(done) = &result {
                        let counted = self.counted();
                        if done.replayed { counted.repeats.one() } else { counted.changes.one() }
                    }
                    let result = result.map_err(|failure| asked.told(failure));
                    let read_at = reading.read_at();
                    let position = result.as_ref().map_or(read_at, |done| done.position.max(read_at));
                    let committed = match &result {
                        // Also what an earlier sending committed: nobody may be told that nothing was changed.
                        Ok(_) => true,
                        // A commit without a verdict stays one, whatever becomes of the wait.
                        Err(failure) => *failure == Failure::OutcomeUnknown,
                    };
                    return Ok(Begun { result, rests_on: RestsOn { position, committed } });
                }
                // What was done under the same id is found by looking, and many may look together.
                Attempt::Lost => {
                    lost += 1;
                    self.counted().races_lost.one();
                    alone = !std::mem::take(&mut asked.taken) && lost > LOST_AMONG_OTHERS;
                }
                Attempt::RanOut(holds) => {
                    drop((_shared, _alone));
                    self.end_holds(&holds).await.map_err(|failure| asked.told(failure))?;
                }
            }
        }
        Err(asked.told(Failure::Contention))
    }

    /// The present, and never before the last record, whose time another clock may have given.
    async fn now_of_ledger(&self) -> Result<Moment, Failure> {
        let head = self.store().head().await?;
        Ok(self.clock.now().max(head.at))
    }

    async fn attempt<C: Command>(
        &self,
        command: &C,
        asked: &mut Asked<'_>,
        reading: &mut Reading<'_>,
        now: Moment,
    ) -> Attempt<C::Outcome> {
        match self.attempt_inner(command, asked, reading, now).await {
            Ok(Some(done)) => Attempt::Settled(Ok(done)),
            Ok(None) => Attempt::Lost,
            Err(Failure::RanOut(holds)) => Attempt::RanOut(holds),
            // No moment explains a refusal that was read half before a change and half after it.
            Err(failure) if reading.is_torn() && failure != Failure::OutcomeUnknown => Attempt::Lost,
            Err(failure) => Attempt::Settled(Err(failure)),
        }
    }

    async fn attempt_inner<C: Command>(
        &self,
        command: &C,
        asked: &mut Asked<'_>,
        reading: &mut Reading<'_>,
        now: Moment,
    ) -> Result<Option<Done<C::Outcome>>, Failure> {
        let (content, fresh) = (asked.content.clone(), asked.fresh);
        let key = Key::Request(fresh.request);
        if let Some(first) = command.begins_with(self) {
            reading.look_ahead(&[key, first]).await?;
        }
        reading.get(&[key]).await?;
        if let Some(known) = reading.request(&key)?.cloned() {
            if (&known.scope, &known.id) != (&content.scope, &content.id) {
                return Err(Failure::Bug("two request ids share one hash"));
            }
            if known.method == resolve::FENCE {
                return Err(Failure::refused(Reason::RequestFenced));
            }
            if known.method != content.method || known.fingerprint != content.fingerprint {
                return Err(Failure::RequestIdReused(asked.fields.differing(&known)));
            }
            let position = reading.version(&key);
            let stored = self.record_at(position).await?;
            let decoded = record::decode_record(&stored.bytes).map_err(StoreError::from)?;
            reading.tells_again(position, stored.at);
            let outcome = command.replay(self, reading, decoded, fresh.request).await?;
            // What this very call did, and was not told: nothing was done before.
            let replayed = !asked.did(&stored);
            return Ok(Some(Done { outcome, position, at: stored.at, replayed }));
        }
        let plan = command.decide(self, reading, now, fresh).await?;
        if reading.is_torn() {
            return Ok(None);
        }
        let bytes = record::encode_record(&plan.record, &self.book.digest);
        let mut puts = plan.puts;
        puts.push((key, Entity::Request(content.clone())));
        let names_set = !self.set_stored.load(Ordering::Relaxed);
        if names_set {
            puts.push(self.policy_set_put());
        }
        let change = Change {
            began_at: reading.began_at(),
            expects: reading.expectations(),
            puts,
            content_hash: chain::content_hash(&bytes),
            record: bytes,
            lists: plan.lists,
            before: Some(reading.before(now)),
        };
        let policies: Vec<[u8; 32]> = change
            .puts
            .iter()
            .filter_map(|(key, _)| if let Key::Policy(digest) = key { Some(*digest) } else { None })
            .collect();
        let content_hash = change.content_hash;
        let verdict = self.store.commit(vec![change], reading.time(now)).await.pop();
        match verdict.ok_or(Failure::Bug("a commit gave no verdict"))? {
            Ok(committed) => {
                if names_set {
                    self.set_stored.store(true, Ordering::Relaxed);
                }
                if !policies.is_empty() {
                    self.stored.lock().unwrap_or_else(PoisonError::into_inner).extend(policies);
                }
                let (position, at) = (committed.position, committed.at);
                Ok(Some(Done { outcome: plan.outcome, position, at, replayed: false }))
            }
            Err(refused @ (CommitError::Conflict | CommitError::Duplicate)) => {
                asked.taken = refused == CommitError::Duplicate;
                Ok(None)
            }
            Err(CommitError::NotApplied(error)) => Err(error.into()),
            Err(CommitError::Unknown(perhaps)) => {
                self.counted().unknown.one();
                asked.unanswered.push((perhaps, content_hash));
                Err(Failure::OutcomeUnknown)
            }
        }
    }

    /// The record at a position, which there is or was.
    async fn record_at(&self, position: u64) -> Result<crate::store::StoredRecord, Failure> {
        match self.store.records(position, 1).await?.pop() {
            Some(found) if found.position == position => Ok(found),
            Some(_) | None => Err(self.missing(position).await),
        }
    }

    /// Why there is no record where there must have been one: it lies before all that are kept, or it is lost.
    async fn missing(&self, position: u64) -> Failure {
        match self.store.records(1, 1).await.map(|mut first| first.pop()) {
            Ok(Some(first)) if position < first.position && self.store().archives() => {
                Failure::PositionCompacted(first.position)
            }
            Ok(_) => Failure::Bug("a record is missing"),
            Err(error) => error.into(),
        }
    }
}

/// A list of a member.
pub(crate) fn list_of(kind: ListKind, id: u128) -> ListKey {
    ListKey { kind, of: id.to_be_bytes() }
}
