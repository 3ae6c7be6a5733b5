//! What the simulation or a review found and no row of a story can tell, because it needs two at once, a store that fails, or a clock
//! between two days: each by itself, without dice. The rest of the table in docs/reliability.md has stories in `scenarios/`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gongji::config::{Config, Given};
use gongji::domain::bill::{Bill, BillContent, ExternalRefs, Line, Visit};
use gongji::domain::ids::{BindingId, InstitutionCode, RegionCode, RequestId, SettlementId};
use gongji::domain::member::MemberRef;
use gongji::domain::money::Money;
use gongji::domain::settlement::RefundAsk;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Category, InstitutionKind, ListClass, Purpose};
use gongji::grpc::proto;
use gongji::ledger::quotas::SetQuota;
use gongji::ledger::refund::RefundSettlement;
use gongji::ledger::resolve::ResolveOutcome;
use gongji::ledger::settle::Ask;
use gongji::ledger::source::{Clock, RandomIds, SystemClock};
use gongji::ledger::{Caller, Failure, Ledger, Limits};
use gongji::store::memory::MemoryStore;
use gongji::store::{Change, CommitError, Committed, Facts, Key, Store, StoreError, StoreFuture};

use crate::around::{Around, Wrapped};
use jiff::civil::{date, time};

use super::broken_off::created;
use super::process::{PATIENCE, wait_until};
use super::store::{HeadNow, block_on};
use super::support::*;

type Between = Box<dyn FnOnce() + Send>;

/// A store between whose looks something happens, or that loses the verdict of a commit and then is gone.
struct Meddled {
    inner: Arc<MemoryStore>,
    /// Before the first look at a reference, a quota or a settlement.
    between: Mutex<Option<Between>>,
    loses_verdicts: AtomicBool,
    /// After the next commit nothing can be looked at.
    blind_after_commit: AtomicBool,
    blind: AtomicBool,
}

impl Meddled {
    fn new() -> Arc<Wrapped<Self>> {
        let inner = Arc::new(MemoryStore::new([3; 32], 1_000));
        let never = || AtomicBool::new(false);
        Arc::new(Wrapped(Self {
            inner,
            between: Mutex::new(None),
            loses_verdicts: never(),
            blind_after_commit: never(),
            blind: never(),
        }))
    }
}

impl Around for Meddled {
    fn inner(&self) -> &dyn Store {
        &*self.inner
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        if self.blind.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable)));
        }
        if keys.iter().any(|key| matches!(key, Key::Reference(_) | Key::Quota(_) | Key::Settlement(_)))
            && let Some(between) = self.between.lock().unwrap().take()
        {
            between();
        }
        self.inner.load(keys)
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        if self.loses_verdicts.load(Ordering::SeqCst) {
            let lost = block_on(self.inner.commit(changes, now))
                .into_iter()
                .map(|verdict| Err(CommitError::Unknown(verdict.ok())));
            return Box::pin(std::future::ready(lost.collect()));
        }
        self.blind.fetch_or(self.blind_after_commit.load(Ordering::SeqCst), Ordering::SeqCst);
        self.inner.commit(changes, now)
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        if self.loses_verdicts.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::Unavailable)));
        }
        self.inner.wait_durable(position)
    }
}

fn limits() -> Limits {
    Config::read(Given::default(), None, true).expect("the defaults are good").ledger_limits()
}

fn ledger(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Ledger {
    Ledger::new(store, book(), clock, Arc::new(RandomIds::from_seed(1)), limits())
}

/// Seed 12: it was refused as a member that exists, though its own id had just made that member.
#[test]
fn a_request_that_meets_its_own_effect_between_two_looks_is_a_repeat() {
    let store = Meddled::new();
    let slow = ledger(store.clone(), Arc::new(SystemClock));
    let inner = store.inner.clone();
    let fast = move || {
        let done = block_on(ledger(inner, Arc::new(SystemClock)).run(&created(1))).expect("it is first");
        assert!(!done.replayed);
    };
    *store.between.lock().unwrap() = Some(Box::new(fast));
    let done = block_on(slow.run(&created(1))).expect("it is the same request");
    assert!(done.replayed && store.between.lock().unwrap().is_none());
    assert_eq!(store.head_now().position, 1);
}

/// Seed 4: it was told as "nothing was changed" when the wait after it failed too.
#[test]
fn a_commit_without_a_verdict_stays_one_whatever_becomes_of_the_wait() {
    let store = Meddled::new();
    let ledger = ledger(store.clone(), Arc::new(SystemClock));
    store.loses_verdicts.store(true, Ordering::SeqCst);
    assert_eq!(block_on(ledger.run(&created(1))).err(), Some(Failure::OutcomeUnknown));
    // Another sending finds the work, and cannot tell whether it will stay.
    assert_eq!(block_on(ledger.run(&created(1))).err(), Some(Failure::OutcomeUnknown));
    store.loses_verdicts.store(false, Ordering::SeqCst);
    assert!(block_on(ledger.run(&created(1))).expect("it had been done").replayed);
}

/// Tells these instants, the last for ever.
struct Steps(Mutex<VecDeque<Moment>>);

impl Clock for Steps {
    fn now(&self) -> Moment {
        let mut steps = self.0.lock().unwrap();
        let now = *steps.front().expect("one stays");
        if steps.len() > 1 {
            steps.pop_front();
        }
        now
    }
}

/// Seed 362: asked on a bill's last day, decided after midnight, it was told what no settlement could be by then.
#[test]
fn a_quote_is_judged_by_the_day_that_decides_it() {
    let visit_day = date(2025, 3, 1);
    let last = visit_day.checked_add(jiff::Span::new().days(limits().max_backdate_days)).expect("a day");
    let before = Moment::of_civil(last, time(23, 59, 59, 0));
    let midnight = Moment::of_civil(last.tomorrow().expect("a day"), time(0, 0, 0, 0));
    let (region, amount) = (RegionCode::parse("440300").expect("a code"), Money::fen(100));
    let line = Line {
        id: "1".to_owned(),
        item_code: "item".to_owned(),
        item_name: "药".to_owned(),
        category: Category::Drug,
        class: ListClass::A,
        amount,
        over_limit: Money::ZERO,
        first_self_pay_rate: None,
    };
    for (steps, is_told) in [(vec![before], true), (vec![before, midnight], false), (vec![midnight], false)] {
        let store = Arc::new(MemoryStore::new([3; 32], 1_000));
        let done = block_on(ledger(store.clone(), Arc::new(Steps(Mutex::new([before].into())))).run(&created(1)));
        let patient = MemberRef::Id(done.expect("a person").outcome.member.id);
        let ask = Ask {
            institution: InstitutionCode::parse("H001").expect("a code"),
            patient,
            visit: Visit {
                institution_kind: InstitutionKind::Level3,
                care_region: region,
                purpose: Purpose::Outpatient,
                date: visit_day,
                external: ExternalRefs::default(),
            },
            bill: Arc::new(Bill { total: amount, content: BillContent::Lines(vec![line.clone()]) }),
            papers: Vec::new(),
            day_given: true,
        };
        let ledger = ledger(store, Arc::new(Steps(Mutex::new(steps.into()))));
        let told = block_on(ledger.quote(&ask)).map(|_| ());
        let refused = matches!(&told, Err(Failure::Invalid(fields)) if fields[0].field == "visit.visit_date");
        assert_eq!((told.is_ok(), refused), (is_told, !is_told), "{told:?}");
    }
}

/// Found by review: an account was told as it was before money was set aside, with the quota as it was after it.
#[test]
fn an_account_and_its_quotas_are_of_one_moment() {
    let store = Meddled::new();
    let server = Setup::over(store.clone()).start();
    let (owner, _, binding) = server.quota(50_000, 1_000);
    for (number, fen) in [(1, 21_000), (2, 500), (3, 50_000), (4, 0)] {
        let set = SetQuota {
            caller: Caller { scope: "caller".to_owned(), may_reveal: false },
            request_id: RequestId::parse(&format!("q-{number}")).expect("a request id"),
            binding: BindingId::parse(&binding).expect("a binding"),
            wanted: Money::fen(fen),
            evidence: Vec::new(),
        };
        let inner = store.inner.clone();
        let at = server.clock().now();
        let between = move || {
            block_on(ledger(inner, Arc::new(Steps(Mutex::new([at].into())))).run(&set)).expect("set");
        };
        *store.between.lock().unwrap() = Some(Box::new(between));
        let account = server.account(&owner);
        assert!(store.between.lock().unwrap().is_none(), "it was set between two looks");
        let posted: i64 = account.buckets.iter().map(|bucket| bucket.posted_fen).sum();
        assert_eq!((posted, account.quota_frozen_fen), (50_000 - fen, fen));
    }
}

/// Found by histories: one resolution sent twice at once; the second saw what the first had done and was told that it had
/// changed nothing and was no repeat.
#[test]
fn a_resolution_that_meets_its_own_effect_is_a_repeat() {
    let store = Meddled::new();
    let server = Setup::over(store.clone()).start();
    let (mother, _) = server.family(50_000);
    server.settle(settle("o", &mother, 500)).expect("settled");
    let mut request = fence("v", "o");
    request.set_if_applied(proto::IfApplied::Reverse);
    let read = |id: &str| RequestId::parse(id).expect("a request id");
    let institution = InstitutionCode::parse(HOSPITAL).expect("an institution");
    let ask = ResolveOutcome { request_id: read("v"), institution, original: read("o"), fence: true, reverse: true };
    let (inner, at) = (store.inner.clone(), server.clock().now());
    let between = move || {
        let done = block_on(ledger(inner, Arc::new(Steps(Mutex::new([at].into())))).resolve_outcome(&ask));
        assert!(!done.expect("it is first").replayed);
    };
    *store.between.lock().unwrap() = Some(Box::new(between));
    let done = server.resolve_outcome(request.clone()).expect("it is the same request");
    let position = store.head_now().position as i64;
    assert!(store.between.lock().unwrap().is_none(), "it was undone between two looks");
    assert_eq!(
        (done.outcome(), done.ledger_position, done.replayed),
        (proto::ResolvedOutcome::Reversed, position, true)
    );
    // Another request finds it done.
    request.request_id = "w".to_owned();
    let other = server.resolve_outcome(request).expect("told");
    assert_eq!((other.outcome(), other.ledger_position, other.replayed), (proto::ResolvedOutcome::Reversed, 0, false));
}

/// Found by review: a change was made, what its answer is made of could not be read any more, and the caller was told that nothing
/// was changed.
#[test]
fn a_change_whose_answer_cannot_be_made_is_not_told_as_no_change() {
    let store = Meddled::new();
    let server = Setup::over(store.clone()).start();
    let (mother, son) = server.family(50_000);
    let held = |name: &str| {
        let held = server.hold_settlement(hold_of(&settle(name, &mother, 1_000), 600)).expect("held");
        held.settlement.expect("set").settlement_id
    };
    let (first, second) = (held("h-1"), held("h-2"));
    let settled = server.settle(settle("s", &mother, 500)).expect("settled").settlement.expect("set").settlement_id;
    type Call<'a> = Box<dyn Fn() -> Result<bool, tonic::Status> + 'a>;
    let rows: [(&str, Call<'_>); 5] = [
        ("credit", Box::new(|| server.credit_account(credit("c", &son, 100)).map(|done| done.replayed))),
        ("confirm", Box::new(|| server.confirm_settlement(confirm("k", &first)).map(|done| done.replayed))),
        ("release", Box::new(|| server.release_hold(release_of("r", &second)).map(|done| done.replayed))),
        ("refund", Box::new(|| server.refund_settlement(refund_whole("f", &settled)).map(|done| done.replayed))),
        ("binding", Box::new(|| server.create_binding(filing("b", &mother, &son)).map(|done| done.replayed))),
    ];
    let mut unknown = Vec::new();
    for (name, call) in rows {
        let before = store.head_now().position;
        store.blind_after_commit.store(true, Ordering::SeqCst);
        let told = call();
        store.blind_after_commit.store(false, Ordering::SeqCst);
        assert_eq!(store.head_now().position, before + 1, "{name}");
        match told {
            Ok(replayed) => assert!(!replayed, "{name}: all of its answer was at hand"),
            Err(status) => {
                assert_eq!(words(&status), "Unavailable OUTCOME_UNKNOWN", "{name}");
                unknown.push(name);
            }
        }
        store.blind.store(false, Ordering::SeqCst);
        assert!(call().expect("it had been done"), "{name}");
    }
    assert_eq!(unknown, ["confirm", "release", "refund", "binding"]);
}

/// A store that gives the next commit no verdict, with what becomes of it.
struct Doubtful {
    inner: Arc<MemoryStore>,
    /// Another server does the same meanwhile; none: the commit was applied.
    becomes: Mutex<Option<Option<Between>>>,
}

impl Around for Doubtful {
    fn inner(&self) -> &dyn Store {
        &*self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        let told = match self.becomes.lock().unwrap().take() {
            None => return self.inner.commit(changes, now),
            Some(None) => block_on(self.inner.commit(changes, now)).pop().expect("one verdict").expect("applied"),
            Some(Some(other)) => {
                let head = block_on(self.inner.head()).expect("it is open");
                other();
                Committed { position: head.position + 1, at: now.max(head.at) }
            }
        };
        Box::pin(std::future::ready(vec![Err(CommitError::Unknown(Some(told)))]))
    }
}

/// Failovers, seed 64017: one refund was sent to two servers, the database of one was lost while it committed, and both told that
/// nothing had been done before. Their records are the same but for their time.
#[test]
fn what_another_server_did_is_a_repeat_though_its_record_is_the_same() {
    for by_another in [true, false] {
        let inner = Arc::new(MemoryStore::new([3; 32], 1_000));
        let store = Arc::new(Wrapped(Doubtful { inner: inner.clone(), becomes: Mutex::new(None) }));
        let server = Setup::over(store.clone()).start();
        let (mother, _) = server.family(50_000);
        let settled = server.settle(settle("s", &mother, 500)).expect("settled").settlement.expect("set");
        let refund = refund_whole("f", &settled.settlement_id);
        let again = RefundSettlement {
            request_id: RequestId::parse("f").expect("a request id"),
            institution: InstitutionCode::parse(&refund.institution_code).expect("a code"),
            settlement: SettlementId::parse(&settled.settlement_id).expect("an id"),
            ask: RefundAsk::Whole,
        };
        let later = Moment::from_micros(server.clock().now().as_micros() + 1);
        let other = move || {
            let done = block_on(ledger(inner, Arc::new(Steps(Mutex::new([later].into())))).run(&again));
            assert!(!done.expect("refunded").replayed, "it did it");
        };
        let before = store.head_now().position;
        *store.becomes.lock().unwrap() = Some(by_another.then(|| Box::new(other) as Between));
        let told = server.refund_settlement(refund).expect("it is refunded");
        assert_eq!((told.replayed, store.head_now().position), (by_another, before + 1));
    }
}

/// Lets so many commits through as it has turns.
struct Turns {
    inner: MemoryStore,
    turns: tokio::sync::Semaphore,
}

impl Around for Turns {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        Box::pin(async move {
            self.turns.acquire().await.expect("never closed").forget();
            self.inner.commit(changes, now).await
        })
    }
}

/// Found by review: items of a stream that nobody read stood still halfway, with what all other changes waited for.
#[test]
fn items_go_on_whether_their_answers_are_read_or_not() {
    const MANY: usize = 1_000_000;
    const READY: usize = 64;
    const WAITING: usize = 100;
    let turns = tokio::sync::Semaphore::new(MANY);
    let store = Arc::new(Wrapped(Turns { inner: MemoryStore::new([3; 32], 10_000), turns }));
    let server = Setup::over(store.clone()).start();
    let (mother, _) = server.family(500_000);
    let before = store.head_now().position;
    store.turns.forget_permits(store.turns.available_permits() - READY);
    let items = (0..READY + WAITING).map(|place| proto::StreamSettleRequest {
        item: Some(proto::SettleRequest {
            explanation_view: proto::ExplanationView::Full as i32,
            ..settle(&format!("s-{place}"), &mother, 100)
        }),
    });
    let items: Vec<_> = items.collect();
    let reached = |position: u64| {
        wait_until("settlements", PATIENCE, || (store.head_now().position >= position).then_some(()));
    };
    // Never read, and kept until the end.
    let _answers = server.wait(async {
        let mut client = proto::settlement_service_client::SettlementServiceClient::new(server.channel());
        client.stream_settle(tokio_stream::iter(items)).await.expect("begun").into_inner()
    });
    reached(before + READY as u64);
    // Its answers are as many by now as go unread.
    for _ in 0..10 {
        server.account(&mother);
    }
    store.turns.add_permits(MANY);
    reached(before + (READY + WAITING) as u64);
    server.settle(settle("another", &mother, 100)).expect("settled");
}
