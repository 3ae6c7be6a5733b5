//! The laws of `src/store/mod.rs`, each as cases that every store runs. A law of the store is tested here; a new store is
//! one more line in `on_every_store`, without exceptions.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use gongji::domain::account::Account;
use gongji::domain::ids::{MemberId, RegionCode, SettlementId};
use gongji::domain::member::{Insurance, Member};
use gongji::domain::money::Money;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{InsuranceState, Scheme, Sex};
use gongji::store::chain::content_hash;
use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore, Fault, Faults, OpenError};
use gongji::store::entity::{Request, Standing};
use gongji::store::memory::MemoryStore;
use gongji::store::postgres::{PostgresOptions, PostgresStore};
use gongji::store::{
    Change, CommitError, Committed, Entity, Facts, Head, Key, ListKey, ListKind, ListRow, Store, StoreError,
    StoredRecord,
};
use tempfile::TempDir;

use crate::postgres::{Database, PostgresServer};

pub const SECRET: [u8; 32] = [7; 32];

/// Drives a future on this thread, without a runtime: stores must work without one.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Opens a data set that was just let go. A program that another test is starting holds copies of this process's
/// descriptors until it is loaded, the lock's among them.
pub fn opened(options: &EmbeddedOptions) -> Arc<EmbeddedStore> {
    super::process::wait_until("a free data set", super::process::PATIENCE, || match EmbeddedStore::open(options) {
        Ok(store) => Some(store),
        Err(OpenError::InUse { .. }) => None,
        Err(error) => panic!("it cannot be opened: {error}"),
    })
}

/// A store, and how to lose and find it again.
pub struct Harness {
    store: Option<Arc<dyn Store>>,
    embedded: Option<(TempDir, Arc<Faults>)>,
    postgres: Option<Database>,
}

/// A new database with an empty ledger in it, of little partitions, so that tests meet their ends.
pub fn ledger_database() -> Database {
    static TEMPLATE: OnceLock<Database> = OnceLock::new();
    let server = PostgresServer::shared();
    let template = TEMPLATE.get_or_init(|| {
        let database = server.fresh_database();
        migrated(database.url(), 100);
        database
    });
    server.copy_of(template.name())
}

/// Makes a ledger in a database, as `gongji migrate up` does.
pub fn migrated(url: &str, partition_records: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = PostgresOptions::new(url);
    runtime.block_on(gongji::store::postgres::up(&options, SECRET, partition_records)).expect("migrates");
}

impl Harness {
    pub fn memory() -> Self {
        Self { store: Some(Arc::new(MemoryStore::new(SECRET, u64::MAX))), embedded: None, postgres: None }
    }

    pub fn postgres() -> Self {
        let mut harness = Self { store: None, embedded: None, postgres: Some(ledger_database()) };
        harness.open(SECRET);
        harness
    }

    pub fn embedded() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut harness = Self { store: None, embedded: Some((dir, Arc::default())), postgres: None };
        harness.open(SECRET);
        harness
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("open between calls")
    }

    fn open(&mut self, secret: [u8; 32]) {
        if let Some(database) = &self.postgres {
            self.store = Some(PostgresStore::open(PostgresOptions::new(database.url())).expect("opens"));
        }
        let Some((dir, faults)) = &self.embedded else { return };
        faults.set(Fault::None);
        let mut options = EmbeddedOptions::new(dir.path().join("ledger"), secret);
        options.faults = Some(faults.clone());
        // A few changes at a time, so that facts and list rows are met in memory, in the index and in between.
        options.index_bytes = 2_000;
        self.store = Some(opened(&options));
    }

    /// Closes the store and opens what it kept, with another secret at hand. A store that keeps nothing beyond its own
    /// life is its own data set, so it goes on living.
    pub fn reopen(&mut self) {
        if self.embedded.is_some() || self.postgres.is_some() {
            block_on(self.store().close()).expect("closes");
            self.store = None;
            self.open([8; 32]);
        }
    }

    /// The power goes: what was not durable may be lost. The same holds of a store that keeps nothing.
    pub fn crash(&mut self) {
        if self.postgres.is_some() {
            // Nothing is closed: the process is gone for all that the database knows.
            self.store = None;
            self.open([8; 32]);
        }
        if let Some((_, faults)) = &self.embedded {
            faults.set(Fault::WriteFails);
            self.store = None;
            self.open([8; 32]);
        }
    }
}

pub fn account_key(number: u128) -> Key {
    Key::Standing(MemberId::from_u128(number))
}

pub fn request_key(number: u8) -> Key {
    Key::Request([number; 16])
}

pub fn account(number: u128, fen: i64) -> Entity {
    let id = MemberId::from_u128(number);
    let insurance = Insurance {
        scheme: Scheme::Employee,
        tier: String::new(),
        state: InsuranceState::Normal,
        region: RegionCode::NATIONAL,
        has_account: true,
        start: jiff::civil::date(2020, 1, 1),
    };
    let mut standing = Standing::new(Member { id, sex: Sex::Female, insurance }, "测*".into());
    let opened = Account::opened(id, jiff::civil::date(2026, 1, 1));
    let account = Account { current: Money::fen(fen), ..opened };
    standing.account = Some(account);
    Entity::Standing(Arc::new(standing))
}

fn request(id: &str) -> Entity {
    let request =
        Request { scope: "test".into(), id: id.into(), method: 1, fingerprint: [1; 16], fields: vec![1, 2, u32::MAX] };
    Entity::Request(Arc::new(request))
}

pub fn fen_of(facts: &Facts, place: usize) -> Option<i64> {
    facts.facts[place].entity.as_ref().map(|entity| match entity {
        Entity::Standing(standing) => standing.account.as_ref().expect("an account").current.as_fen(),
        other => panic!("not a standing: {other:?}"),
    })
}

pub fn at(micros: i64) -> Moment {
    Moment::from_micros(micros)
}

/// A change that expects and puts these accounts.
pub fn change(began_at: u64, expects: &[(Key, u64)], puts: &[(u128, i64)]) -> Change {
    let record = format!("{began_at} {expects:?} {puts:?}").into_bytes();
    Change {
        began_at,
        expects: expects.to_vec(),
        puts: puts.iter().map(|(number, fen)| (account_key(*number), account(*number, *fen))).collect(),
        content_hash: content_hash(&record),
        record,
        lists: Vec::new(),
        before: None,
    }
}

pub fn listed(mut change: Change, lists: &[(ListKey, u128)]) -> Change {
    change.lists = lists.to_vec();
    change
}

fn with_request(mut change: Change, number: u8) -> Change {
    change.expects.push((request_key(number), 0));
    change.puts.push((request_key(number), request(&number.to_string())));
    change
}

pub fn list(kind: ListKind, of: u8) -> ListKey {
    ListKey { kind, of: [of; 16] }
}

/// Where a store stands now, for tests that look at it between calls.
pub trait HeadNow {
    fn head_now(&self) -> Head;
}

impl<S: Store + ?Sized> HeadNow for S {
    fn head_now(&self) -> Head {
        block_on(self.head()).expect("a head")
    }
}

/// The verbs of a test, each on the calling thread.
pub trait Verbs {
    fn look(&self, keys: &[Key]) -> Facts;
    fn try_one(&self, change: Change) -> Result<Committed, CommitError>;
    fn one(&self, change: Change) -> u64;
    fn put(&self, number: u128, fen: i64) -> u64;
    fn all(&self) -> Vec<StoredRecord>;
    fn rows(&self, key: ListKey, after: u64, until: u64, limit: usize) -> Vec<(u64, u128)>;
    fn settled(&self);
}

impl Verbs for Arc<dyn Store> {
    fn look(&self, keys: &[Key]) -> Facts {
        block_on(self.load(keys)).expect("loads")
    }
    fn try_one(&self, change: Change) -> Result<Committed, CommitError> {
        let mut verdicts = block_on(self.commit(vec![change], at(1_000)));
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }
    fn one(&self, change: Change) -> u64 {
        self.try_one(change).expect("applies").position
    }
    fn put(&self, number: u128, fen: i64) -> u64 {
        let facts = self.look(&[account_key(number)]);
        self.one(change(facts.began_at, &[(account_key(number), facts.facts[0].version)], &[(number, fen)]))
    }
    fn all(&self) -> Vec<StoredRecord> {
        block_on(self.records(1, usize::MAX)).expect("reads")
    }
    fn rows(&self, key: ListKey, after: u64, until: u64, limit: usize) -> Vec<(u64, u128)> {
        let rows = block_on(self.list(key, after, until, limit)).expect("reads");
        rows.into_iter().map(|row: ListRow| (row.position, row.subject)).collect()
    }
    fn settled(&self) {
        block_on(self.wait_durable(self.head_now().position)).expect("durable");
    }
}

/// Names each case once and runs it on each store.
macro_rules! on_every_store {
    ($($case:ident)*) => {
        mod memory {
            $(#[test] fn $case() { super::$case(&mut super::Harness::memory()); })*
        }
        mod embedded {
            $(#[test] fn $case() { super::$case(&mut super::Harness::embedded()); })*
        }
        mod postgres {
            $(#[test] fn $case() { super::$case(&mut super::Harness::postgres()); })*
        }
    };
}

on_every_store! {
    law_1_what_was_never_written_is_absent_with_version_zero
    law_1_a_refused_change_leaves_its_keys_absent
    law_2_a_version_is_the_position_of_the_last_change
    law_2_a_key_that_is_not_put_keeps_its_version
    law_2_versions_hold_after_reopening
    law_3_a_change_is_there_with_all_its_parts
    law_3_a_refused_change_leaves_nothing
    law_3_a_change_without_facts_is_a_record
    law_4_a_version_that_has_moved_conflicts
    law_4_absence_is_expected_like_a_version
    law_4_presence_is_not_absence
    law_4_a_key_that_is_only_read_counts
    law_4_a_taken_request_is_a_duplicate
    law_4_the_first_expectation_that_fails_names_the_refusal
    law_4_no_expectation_always_holds
    law_4_an_old_look_is_never_taken_for_a_new_one
    law_4_expectations_hold_after_reopening
    law_5_one_verdict_per_change_in_order
    law_5_a_change_sees_those_before_it_in_the_list
    law_5_a_refusal_in_the_middle_hinders_nobody
    law_5_the_same_request_twice_in_a_list_counts_once
    law_5_an_empty_list_has_no_verdicts
    law_6_positions_start_at_one_and_refusals_take_none
    law_6_positions_are_gapless_under_contention
    law_6_positions_go_on_after_reopening
    law_7_links_follow_from_the_records
    law_7_time_never_runs_backwards
    law_7_the_head_is_the_last_record
    law_7_the_chain_goes_on_after_reopening
    law_8_a_commit_is_seen_at_once
    law_8_what_was_seen_is_not_after_read_at
    law_8_a_look_is_in_the_order_asked
    law_8_many_keys_in_one_look
    law_8_nothing_rests_on_a_torn_look
    law_8_money_is_neither_made_nor_lost_under_contention
    law_9_what_is_durable_survives_a_crash
    law_9_after_a_crash_there_is_a_prefix
    law_9_closing_makes_everything_durable
    law_9_the_secret_stays_with_the_data
    law_9_waiting_for_the_past_is_no_waiting
    law_9_a_position_that_nobody_has_taken_is_waited_for
    law_9_many_wait_at_once
    law_9_a_waiter_that_gives_up_hinders_nobody
    law_10_rows_come_in_order_within_both_bounds
    law_10_the_limit_cuts_and_nothing_else
    law_10_lists_do_not_mix
    law_10_one_row_per_list_and_position
    law_10_rows_span_what_is_flushed_and_what_is_not
    law_11_bytes_come_back_as_written
    law_11_big_values_come_back
    law_11_records_are_paged
    law_11_records_span_what_is_flushed_and_what_is_not
    law_12_a_closed_store_says_so
    law_12_closing_twice_is_no_error
    law_13_a_change_with_an_end_is_true_before_it_or_never
    law_13_the_end_is_judged_by_the_time_of_the_record
}

fn law_1_what_was_never_written_is_absent_with_version_zero(harness: &mut Harness) {
    let keys = [account_key(1), request_key(1), Key::Settlement(SettlementId::from_u128(1)), Key::Policy([1; 32])];
    let facts = harness.store().look(&keys);
    assert_eq!((facts.began_at, facts.read_at), (0, 0));
    for (fact, key) in facts.facts.iter().zip(keys) {
        assert_eq!((fact.key, fact.version, fact.entity.is_none()), (key, 0, true));
    }
    assert_eq!(harness.store().head_now(), Head::EMPTY);
}

fn law_1_a_refused_change_leaves_its_keys_absent(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(store.try_one(change(0, &[(account_key(1), 5)], &[(2, 10)])), Err(CommitError::Conflict));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert!(facts.facts.iter().all(|fact| fact.version == 0 && fact.entity.is_none()));
}

fn law_2_a_version_is_the_position_of_the_last_change(harness: &mut Harness) {
    let store = harness.store();
    for round in 1..=5 {
        assert_eq!(store.put(1, round), u64::try_from(round).unwrap());
        let facts = store.look(&[account_key(1)]);
        assert_eq!((facts.facts[0].version, fen_of(&facts, 0)), (store.head_now().position, Some(round)));
    }
}

fn law_2_a_key_that_is_not_put_keeps_its_version(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    store.put(2, 20);
    store.one(change(2, &[(account_key(1), 1)], &[(2, 21)]));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert_eq!((facts.facts[0].version, facts.facts[1].version), (1, 3));
}

fn law_2_versions_hold_after_reopening(harness: &mut Harness) {
    for number in 1..=3 {
        harness.store().put(number, 10);
    }
    harness.store().put(2, 11);
    harness.reopen();
    let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3), account_key(4)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 4, 3, 0]);
    assert_eq!((fen_of(&facts, 1), fen_of(&facts, 3)), (Some(11), None));
}

fn law_3_a_change_is_there_with_all_its_parts(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let both = listed(change(0, &[], &[(1, 10), (2, 20)]), &[(key, 77), (list(ListKind::PatientSettlements, 1), 78)]);
    harness.store().one(both.clone());
    for _ in 0..2 {
        let store = harness.store();
        let facts = store.look(&[account_key(1), account_key(2)]);
        assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1)), (Some(10), Some(20)));
        assert_eq!(store.rows(key, 0, 9, 9), [(1, 77)]);
        assert_eq!(store.rows(list(ListKind::PatientSettlements, 1), 0, 9, 9), [(1, 78)]);
        assert_eq!(store.all().iter().map(|record| &record.bytes).collect::<Vec<_>>(), [&both.record]);
        harness.reopen();
    }
}

fn law_3_a_refused_change_leaves_nothing(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    harness.store().put(1, 10);
    let before = harness.store().head_now();
    let refused = listed(change(1, &[(account_key(1), 1), (account_key(2), 1)], &[(1, 11), (3, 1)]), &[(key, 77)]);
    assert_eq!(harness.store().try_one(refused), Err(CommitError::Conflict));
    for _ in 0..2 {
        let store = harness.store();
        let facts = store.look(&[account_key(1), account_key(3)]);
        assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1)), (Some(10), None));
        assert_eq!((store.head_now(), store.all().len(), store.rows(key, 0, 9, 9)), (before, 1, vec![]));
        harness.reopen();
    }
}

fn law_3_a_change_without_facts_is_a_record(harness: &mut Harness) {
    harness.store().one(change(0, &[], &[]));
    assert_eq!(harness.store().all().len(), 1);
}

fn law_4_a_version_that_has_moved_conflicts(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let facts = store.look(&[account_key(1)]);
    store.put(1, 20);
    let late = change(facts.began_at, &[(account_key(1), facts.facts[0].version)], &[(1, 11)]);
    assert_eq!(store.try_one(late), Err(CommitError::Conflict));
    assert_eq!(fen_of(&store.look(&[account_key(1)]), 0), Some(20));
}

fn law_4_absence_is_expected_like_a_version(harness: &mut Harness) {
    let store = harness.store();
    let facts = store.look(&[account_key(1)]);
    let make = |fen| change(facts.began_at, &[(account_key(1), 0)], &[(1, fen)]);
    assert_eq!(store.one(make(10)), 1);
    assert_eq!(store.try_one(make(20)), Err(CommitError::Conflict));
}

fn law_4_presence_is_not_absence(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    assert_eq!(
        store.try_one(change(1, &[(account_key(2), 1)], &[(2, 1)])),
        Err(CommitError::Conflict),
        "a version of another key"
    );
    assert_eq!(store.try_one(change(1, &[(account_key(2), 2)], &[(2, 1)])), Err(CommitError::Conflict), "one to come");
}

fn law_4_a_key_that_is_only_read_counts(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let facts = store.look(&[account_key(1), account_key(2)]);
    store.put(1, 20);
    let reads = [(account_key(1), facts.facts[0].version), (account_key(2), 0)];
    assert_eq!(store.try_one(change(facts.began_at, &reads, &[(2, 1)])), Err(CommitError::Conflict));
}

fn law_4_a_taken_request_is_a_duplicate(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 9));
    assert_eq!(store.try_one(with_request(change(0, &[], &[(1, 10)]), 9)), Err(CommitError::Duplicate));
    store.one(with_request(change(0, &[], &[(1, 11)]), 10));
    assert_eq!(store.head_now().position, 2);
}

fn law_4_the_first_expectation_that_fails_names_the_refusal(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 9));
    let account_first = with_request(change(0, &[(account_key(1), 0)], &[]), 9);
    assert_eq!(store.try_one(account_first.clone()), Err(CommitError::Conflict));
    let mut request_first = account_first;
    request_first.expects.reverse();
    assert_eq!(store.try_one(request_first), Err(CommitError::Duplicate));
}

fn law_4_no_expectation_always_holds(harness: &mut Harness) {
    let store = harness.store();
    for round in 1..=20 {
        assert_eq!(store.one(change(0, &[], &[(1, 1)])), round);
    }
}

fn law_4_an_old_look_is_never_taken_for_a_new_one(harness: &mut Harness) {
    let old = harness.store().look(&[account_key(1)]);
    for number in 1..=50 {
        harness.store().put(number, 10);
    }
    harness.reopen();
    let store = harness.store();
    let late = change(old.began_at, &[(account_key(1), old.facts[0].version)], &[(1, 99)]);
    assert_eq!(store.try_one(late), Err(CommitError::Conflict));
    assert_eq!(fen_of(&store.look(&[account_key(1)]), 0), Some(10));
}

fn law_4_expectations_hold_after_reopening(harness: &mut Harness) {
    harness.store().put(1, 10);
    harness.store().put(2, 10);
    harness.reopen();
    let store = harness.store();
    let facts = store.look(&[account_key(1), account_key(3)]);
    store.one(change(facts.began_at, &[(account_key(1), 1), (account_key(3), 0)], &[(1, 11), (3, 1)]));
    let again = change(facts.began_at, &[(account_key(1), 1)], &[(1, 12)]);
    assert_eq!(store.try_one(again), Err(CommitError::Conflict));
}

fn verdicts(store: &Arc<dyn Store>, changes: Vec<Change>) -> Vec<Result<u64, CommitError>> {
    let verdicts = block_on(store.commit(changes, at(1_000)));
    verdicts.into_iter().map(|verdict| verdict.map(|committed| committed.position)).collect()
}

fn law_5_one_verdict_per_change_in_order(harness: &mut Harness) {
    let changes = (1..=10).map(|number| change(0, &[(account_key(number), 0)], &[(number, 1)])).collect();
    assert_eq!(verdicts(harness.store(), changes), (1..=10).map(Ok).collect::<Vec<_>>());
}

fn law_5_a_change_sees_those_before_it_in_the_list(harness: &mut Harness) {
    let seen = verdicts(
        harness.store(),
        vec![
            change(0, &[(account_key(1), 0)], &[(1, 10)]),
            change(0, &[(account_key(1), 0)], &[(1, 20)]),
            change(0, &[(account_key(1), 1)], &[(1, 30)]),
        ],
    );
    assert_eq!(seen, [Ok(1), Err(CommitError::Conflict), Ok(2)]);
    assert_eq!(fen_of(&harness.store().look(&[account_key(1)]), 0), Some(30));
}

fn law_5_a_refusal_in_the_middle_hinders_nobody(harness: &mut Harness) {
    let refused = change(0, &[(account_key(9), 3)], &[(2, 1)]);
    let seen = verdicts(harness.store(), vec![change(0, &[], &[(1, 1)]), refused, change(0, &[], &[(3, 1)])]);
    assert_eq!(seen, [Ok(1), Err(CommitError::Conflict), Ok(2)]);
    let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 0, 2]);
}

fn law_5_the_same_request_twice_in_a_list_counts_once(harness: &mut Harness) {
    let once = with_request(change(0, &[], &[(1, 1)]), 3);
    assert_eq!(verdicts(harness.store(), vec![once.clone(), once]), [Ok(1), Err(CommitError::Duplicate)]);
}

fn law_5_an_empty_list_has_no_verdicts(harness: &mut Harness) {
    assert_eq!(verdicts(harness.store(), vec![]), []);
    assert_eq!(harness.store().head_now(), Head::EMPTY);
}

fn law_6_positions_start_at_one_and_refusals_take_none(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(store.put(1, 1), 1);
    assert!(store.try_one(change(1, &[(account_key(1), 0)], &[])).is_err());
    assert_eq!(store.put(1, 2), 2);
}

/// `threads` threads do `each` rounds at once.
fn at_once(threads: u8, each: u64, work: impl Fn(u8, u64) + Sync) {
    let start = Barrier::new(usize::from(threads));
    thread::scope(|scope| {
        for place in 0..threads {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                (0..each).for_each(|round| work(place, round));
            });
        }
    });
}

fn law_6_positions_are_gapless_under_contention(harness: &mut Harness) {
    let store = harness.store();
    let counts: Vec<std::sync::Mutex<Vec<u64>>> = (0..8).map(|_| std::sync::Mutex::default()).collect();
    at_once(8, 200, |place, round| {
        let key = account_key(u128::from(round % 5));
        let facts = store.look(&[key]);
        let one = change(facts.began_at, &[(key, facts.facts[0].version)], &[(u128::from(round % 5), 1)]);
        if let Ok(committed) = store.try_one(one) {
            counts[usize::from(place)].lock().unwrap().push(committed.position);
        }
    });
    let mut positions: Vec<u64> = counts.iter().flat_map(|own| own.lock().unwrap().clone()).collect();
    for own in &counts {
        assert!(own.lock().unwrap().is_sorted(), "each thread sees positions grow");
    }
    positions.sort_unstable();
    let head = store.head_now().position;
    assert!(head >= 200, "some go through");
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    assert_eq!(store.all().iter().map(|record| record.position).collect::<Vec<_>>(), positions);
}

fn law_6_positions_go_on_after_reopening(harness: &mut Harness) {
    for round in 1..=5 {
        assert_eq!(harness.store().put(1, 1), round);
        harness.reopen();
    }
}

fn assert_chain(store: &Arc<dyn Store>) {
    let mut head = Head::EMPTY;
    for record in store.all() {
        assert_eq!(content_hash(&record.bytes), record.content_hash);
        assert!(record.at >= head.at);
        head = head.next(&record.content_hash, record.at);
        assert_eq!((head.position, head.link, head.at), (record.position, record.link, record.at));
    }
    assert_eq!(store.head_now(), head);
}

fn law_7_links_follow_from_the_records(harness: &mut Harness) {
    for number in 0..30 {
        harness.store().put(number, 1);
    }
    assert_chain(harness.store());
}

fn law_7_time_never_runs_backwards(harness: &mut Harness) {
    let store = harness.store();
    let mut seen = Vec::new();
    for now in [500, 300, 501, -7, 600] {
        seen.push(block_on(store.commit(vec![change(0, &[], &[])], at(now)))[0].expect("applies").at);
    }
    assert_eq!(seen, [500, 500, 501, 501, 600].map(at));
    assert_eq!(store.all().iter().map(|record| record.at).collect::<Vec<_>>(), seen);
    assert_chain(store);
}

fn law_7_the_head_is_the_last_record(harness: &mut Harness) {
    for number in 0..3 {
        harness.store().put(number, 1);
        let (head, records) = (harness.store().head_now(), harness.store().all());
        let last = records.last().expect("one at least");
        assert_eq!((head.position, head.link, head.at), (last.position, last.link, last.at));
        harness.reopen();
        assert_eq!(harness.store().head_now(), head);
    }
}

fn law_7_the_chain_goes_on_after_reopening(harness: &mut Harness) {
    for number in 0..4 {
        harness.store().put(number, 1);
        harness.reopen();
    }
    assert_chain(harness.store());
}

fn law_8_a_commit_is_seen_at_once(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 200, |place, round| {
        let number = u128::from(place);
        let position = store.put(number, i64::try_from(round).unwrap());
        let facts = store.look(&[account_key(number)]);
        assert_eq!((facts.facts[0].version, fen_of(&facts, 0)), (position, Some(i64::try_from(round).unwrap())));
        assert!(facts.began_at >= position && store.head_now().position >= position);
    });
}

fn law_8_what_was_seen_is_not_after_read_at(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 300, |place, round| {
        if place == 0 {
            store.put(1, 1);
        } else {
            let facts = store.look(&[account_key(1)]);
            assert!(facts.began_at <= facts.read_at && facts.facts[0].version <= facts.read_at, "{round}");
        }
    });
}

fn law_8_a_look_is_in_the_order_asked(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    store.put(2, 20);
    let keys = [account_key(2), account_key(3), account_key(1), account_key(2)];
    let facts = store.look(&keys);
    assert_eq!(facts.facts.iter().map(|fact| fact.key).collect::<Vec<_>>(), keys);
    assert_eq!((0..4).map(|place| fen_of(&facts, place)).collect::<Vec<_>>(), [Some(20), None, Some(10), Some(20)]);
    assert_eq!(store.look(&[]).facts.len(), 0);
}

fn law_8_many_keys_in_one_look(harness: &mut Harness) {
    let changes = (0..500).map(|number| change(0, &[], &[(number * 2, i64::try_from(number).unwrap())])).collect();
    assert!(verdicts(harness.store(), changes).iter().all(Result::is_ok));
    let keys: Vec<_> = (0..1000).map(account_key).collect();
    for _ in 0..2 {
        let facts = harness.store().look(&keys);
        for (place, fact) in facts.facts.iter().enumerate() {
            let there = (place % 2 == 0).then(|| i64::try_from(place / 2).unwrap());
            assert_eq!((fen_of(&facts, place), fact.version == 0), (there, there.is_none()), "{place}");
        }
        harness.reopen();
    }
}

/// Two accounts always sum to 1000. A reader that adds what it saw and puts the sum down may be torn in what it sees,
/// never in what it makes true.
fn law_8_nothing_rests_on_a_torn_look(harness: &mut Harness) {
    let store = harness.store();
    store.one(change(0, &[], &[(1, 1000), (2, 0), (3, 1000)]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..2_000_i64 {
                let facts = store.look(&[account_key(1), account_key(2)]);
                let expects = [(account_key(1), facts.facts[0].version), (account_key(2), facts.facts[1].version)];
                let left = (round * 7) % 1000;
                store.one(change(facts.began_at, &expects, &[(1, left), (2, 1000 - left)]));
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let facts = store.look(&[account_key(1), account_key(2)]);
                let sum = fen_of(&facts, 0).unwrap() + fen_of(&facts, 1).unwrap();
                let expects = [(account_key(1), facts.facts[0].version), (account_key(2), facts.facts[1].version)];
                if store.try_one(change(facts.began_at, &expects, &[(3, sum)])).is_ok() {
                    assert_eq!(sum, 1000, "made true from {facts:?}");
                }
            }
        });
    });
    assert_eq!(fen_of(&store.look(&[account_key(3)]), 0), Some(1000));
}

fn law_8_money_is_neither_made_nor_lost_under_contention(harness: &mut Harness) {
    harness.store().one(change(0, &[], &[(0, 1_000), (1, 1_000), (2, 1_000), (3, 1_000)]));
    let store = harness.store();
    at_once(6, 200, |place, round| {
        let (from, to) = (u128::from(round % 4), u128::from((round + 1 + u64::from(place) % 3) % 4));
        let facts = store.look(&[account_key(from), account_key(to)]);
        let expects = [(account_key(from), facts.facts[0].version), (account_key(to), facts.facts[1].version)];
        let (from_fen, to_fen) = (fen_of(&facts, 0).unwrap(), fen_of(&facts, 1).unwrap());
        // Refused or not, the sum stays.
        let _ = store.try_one(change(facts.began_at, &expects, &[(from, from_fen - 3), (to, to_fen + 3)]));
    });
    harness.reopen();
    let facts = harness.store().look(&[account_key(0), account_key(1), account_key(2), account_key(3)]);
    assert_eq!((0..4).map(|place| fen_of(&facts, place).unwrap()).sum::<i64>(), 4_000);
}

fn law_9_what_is_durable_survives_a_crash(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 5);
    for number in 1..=20 {
        harness.store().one(listed(change(0, &[], &[(number, 5), (100, 6)]), &[(key, number)]));
    }
    let (head, records) = (harness.store().head_now(), harness.store().all());
    harness.store().settled();
    harness.crash();
    let store = harness.store();
    assert_eq!((store.head_now(), store.all()), (head, records));
    assert_eq!(store.rows(key, 0, 99, 99), (1..=20).map(|n| (n, u128::from(n))).collect::<Vec<_>>());
    let facts = store.look(&[account_key(1), account_key(20), account_key(100)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 20, 20]);
    assert_eq!(store.put(1, 7), 21);
}

fn law_9_after_a_crash_there_is_a_prefix(harness: &mut Harness) {
    for round in 0..10 {
        for number in 0..40 {
            harness.store().put(number, round);
        }
        let before = harness.store().all();
        harness.crash();
        let after = harness.store().all();
        assert_eq!(after, before[..after.len()], "a prefix, whole");
        assert_chain(harness.store());
        let facts = harness.store().look(&(0..40).map(account_key).collect::<Vec<_>>());
        assert!(facts.facts.iter().all(|fact| fact.version <= harness.store().head_now().position));
    }
}

fn law_9_closing_makes_everything_durable(harness: &mut Harness) {
    for number in 0..100 {
        harness.store().put(number, 1);
    }
    let (head, records) = (harness.store().head_now(), harness.store().all());
    harness.reopen();
    harness.crash();
    assert_eq!((harness.store().head_now(), harness.store().all()), (head, records));
}

fn law_9_the_secret_stays_with_the_data(harness: &mut Harness) {
    assert_eq!(harness.store().secret(), SECRET);
    harness.reopen();
    assert_eq!(harness.store().secret(), SECRET);
    harness.crash();
    assert_eq!(harness.store().secret(), SECRET);
}

fn law_9_waiting_for_the_past_is_no_waiting(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(block_on(store.wait_durable(0)), Ok(()));
    store.put(1, 1);
    store.settled();
    let mut again = store.wait_durable(1);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(again.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

fn law_9_a_position_that_nobody_has_taken_is_waited_for(harness: &mut Harness) {
    let store = harness.store();
    let mut context = Context::from_waker(Waker::noop());
    let mut waits = [1, 2].map(|position| store.wait_durable(position));
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_pending()));
    let [first, mut second] = waits;
    let waiter = {
        let store = store.clone();
        thread::spawn(move || block_on(store.wait_durable(1)))
    };
    store.put(1, 1);
    assert_eq!((block_on(first), waiter.join().expect("runs")), (Ok(()), Ok(())));
    assert!(second.as_mut().poll(&mut context).is_pending(), "only the first has come");
    block_on(store.close()).expect("closes");
    assert_eq!(block_on(second), Err(StoreError::Closed), "and now it never will");
}

fn law_9_many_wait_at_once(harness: &mut Harness) {
    let store = harness.store();
    // Several to a thread, so that one wake must serve many.
    at_once(6, 20, |place, _| {
        let waits: Vec<_> = (0..20).map(|_| store.wait_durable(store.put(u128::from(place), 1))).collect();
        waits.into_iter().rev().for_each(|wait| assert_eq!(block_on(wait), Ok(())));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let verdicts = store.commit(vec![change(0, &[], &[(number, 1)])], at(1)).await;
                    store.wait_durable(verdicts[0].expect("applies").position).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("runs"), Ok(()));
        }
    });
}

fn law_9_a_waiter_that_gives_up_hinders_nobody(harness: &mut Harness) {
    let store = harness.store();
    for _ in 0..50 {
        let mut waits: Vec<_> = (0..6).map(|_| store.wait_durable(store.put(1, 1))).collect();
        let mut context = Context::from_waker(Waker::noop());
        waits.retain_mut(|wait| wait.as_mut().poll(&mut context).is_pending());
        // Whichever of them was chosen to be woken may be among the dropped.
        let last = waits.pop();
        drop(waits);
        assert_eq!(last.map_or(Ok(()), block_on), Ok(()));
    }
}

fn law_10_rows_come_in_order_within_both_bounds(harness: &mut Harness) {
    let key = list(ListKind::PatientSettlements, 1);
    for subject in [50, 40, 60, 10, 99] {
        harness.store().one(listed(change(0, &[], &[]), &[(key, subject)]));
    }
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.rows(key, 0, 5, 9), [(1, 50), (2, 40), (3, 60), (4, 10), (5, 99)]);
        assert_eq!(store.rows(key, 1, 4, 9), [(2, 40), (3, 60), (4, 10)], "after is outside, until inside");
        for (after, until) in [(5, 9), (4, 4), (4, 2), (0, 0), (u64::MAX, u64::MAX)] {
            assert_eq!(store.rows(key, after, until, 9), [], "{after} {until}");
        }
        assert_eq!(store.rows(key, 4, u64::MAX, 9), [(5, 99)]);
        harness.reopen();
    }
}

fn law_10_the_limit_cuts_and_nothing_else(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let changes = (1..=300).map(|n| listed(change(0, &[], &[]), &[(key, n)])).collect();
    assert!(verdicts(harness.store(), changes).iter().all(Result::is_ok));
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.rows(key, 0, 300, 0), []);
        assert_eq!(store.rows(key, 0, 300, 1), [(1, 1)]);
        assert_eq!(store.rows(key, 0, 300, usize::MAX).len(), 300);
        let (mut after, mut pages) = (0, Vec::new());
        loop {
            let page = store.rows(key, after, 290, 7);
            let Some(last) = page.last() else { break };
            after = last.0;
            pages.extend(page);
        }
        assert_eq!(pages, (1..=290).map(|n| (n, u128::from(n))).collect::<Vec<_>>());
        harness.reopen();
    }
}

fn law_10_lists_do_not_mix(harness: &mut Harness) {
    let kinds = [
        ListKind::AccountEntries,
        ListKind::InstitutionSettlements,
        ListKind::PatientSettlements,
        ListKind::ExternalReference,
        ListKind::OwnerBindings,
        ListKind::BeneficiaryBindings,
    ];
    let keys: Vec<_> = kinds.iter().flat_map(|kind| [0, 1, 255].map(|of| list(*kind, of))).collect();
    let rows: Vec<_> = keys.iter().zip(100..).map(|(key, subject)| (*key, subject)).collect();
    harness.store().one(listed(change(0, &[], &[]), &rows));
    for _ in 0..2 {
        for (key, subject) in &rows {
            assert_eq!(harness.store().rows(*key, 0, u64::MAX, 9), [(1, *subject)], "{key:?}");
        }
        harness.reopen();
    }
}

fn law_10_one_row_per_list_and_position(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    harness.store().one(listed(change(0, &[], &[]), &[(key, 1), (key, 2)]));
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 0, 9, 9), [(1, 2)], "the last one given");
        harness.reopen();
    }
}

fn law_10_rows_span_what_is_flushed_and_what_is_not(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let store = harness.store();
    for position in 1..=400_u64 {
        store.one(listed(change(0, &[], &[]), &[(key, u128::from(position))]));
        // Read while the store is still writing: no gap, no double.
        let after = position.saturating_sub(20);
        let expected: Vec<_> = (after + 1..=position).map(|n| (n, u128::from(n))).collect();
        assert_eq!(store.rows(key, after, u64::MAX, 50), expected);
    }
}

fn law_11_bytes_come_back_as_written(harness: &mut Harness) {
    let every: Vec<Vec<u8>> =
        vec![vec![], vec![0], (0..=255).collect(), vec![0xff; 4097], "全民医保 🏥".as_bytes().to_vec()];
    for bytes in &every {
        let mut odd = change(0, &[], &[]);
        (odd.record, odd.content_hash) = (bytes.clone(), content_hash(bytes));
        harness.store().one(odd);
    }
    for _ in 0..2 {
        let records = harness.store().all();
        assert_eq!(records.iter().map(|record| record.bytes.clone()).collect::<Vec<_>>(), every);
        assert_chain(harness.store());
        harness.reopen();
    }
}

fn law_11_big_values_come_back(harness: &mut Harness) {
    let long = "长".repeat(700_000);
    let mut big = change(0, &[], &[]);
    big.puts.push((request_key(1), request(&long)));
    big.record = long.clone().into_bytes();
    big.content_hash = content_hash(&big.record);
    harness.store().one(big);
    for _ in 0..2 {
        let facts = harness.store().look(&[request_key(1)]);
        assert_eq!(facts.facts[0].entity, Some(request(&long)));
        assert_eq!(harness.store().all()[0].bytes, long.as_bytes());
        harness.reopen();
    }
}

fn law_11_records_are_paged(harness: &mut Harness) {
    for number in 0..23 {
        harness.store().put(number, 1);
    }
    for _ in 0..2 {
        let store = harness.store();
        let page = |from, limit| {
            let records = block_on(store.records(from, limit)).expect("reads");
            records.iter().map(|record| record.position).collect::<Vec<_>>()
        };
        assert_eq!(page(1, 4), [1, 2, 3, 4]);
        assert_eq!(page(20, 10), [20, 21, 22, 23]);
        assert_eq!(page(0, 2), [1, 2], "from before the first is from the first");
        assert_eq!((page(24, 5), page(u64::MAX, 5), page(3, 0)), (vec![], vec![], vec![]));
        harness.reopen();
    }
}

fn law_11_records_span_what_is_flushed_and_what_is_not(harness: &mut Harness) {
    let store = harness.store();
    for position in 1..=400_u64 {
        store.one(change(0, &[], &[]));
        let from = position.saturating_sub(20).max(1);
        let records = block_on(store.records(from, 50)).expect("reads");
        let positions: Vec<_> = records.iter().map(|record| record.position).collect();
        assert_eq!(positions, (from..=position).collect::<Vec<_>>());
    }
}

fn law_12_a_closed_store_says_so(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    block_on(store.close()).expect("closes");
    assert_eq!(block_on(store.load(&[account_key(1)])).map(|_| ()), Err(StoreError::Closed));
    assert_eq!(store.try_one(change(0, &[], &[])), Err(CommitError::NotApplied(StoreError::Closed)));
    assert_eq!(block_on(store.wait_durable(1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.records(1, 1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.list(list(ListKind::AccountEntries, 1), 0, 1, 1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.head()), Err(StoreError::Closed));
    assert_eq!(block_on(store.clock()), Err(StoreError::Closed));
}

fn law_12_closing_twice_is_no_error(harness: &mut Harness) {
    harness.store().put(1, 10);
    assert_eq!(block_on(harness.store().close()), Ok(()));
    assert_eq!(block_on(harness.store().close()), Ok(()));
}

fn law_13_a_change_with_an_end_is_true_before_it_or_never(harness: &mut Harness) {
    let store = harness.store();
    let ending = |number: u128, end: i64| Change { before: Some(at(end)), ..change(0, &[], &[(number, 10)]) };
    let commit = |change: Change, now: i64| block_on(store.commit(vec![change], at(now))).pop().expect("a verdict");
    assert_eq!(commit(ending(1, 101), 100).map(|done| done.at), Ok(at(100)));
    assert_eq!(commit(ending(2, 101), 101), Err(CommitError::Conflict));
    assert_eq!(commit(ending(2, 101), 500), Err(CommitError::Conflict));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1), store.head_now().position), (Some(10), None, 1));
}

fn law_13_the_end_is_judged_by_the_time_of_the_record(harness: &mut Harness) {
    let store = harness.store();
    let commit = |change: Change, now: i64| block_on(store.commit(vec![change], at(now))).pop().expect("a verdict");
    commit(change(0, &[], &[(1, 10)]), 1_000).expect("applied");
    // Another clock is behind: time never runs backwards, so this record's would be 1000 too.
    let late = Change { before: Some(at(1_000)), ..change(0, &[], &[(2, 10)]) };
    assert_eq!(commit(late.clone(), 900), Err(CommitError::Conflict));
    assert_eq!(commit(Change { before: Some(at(1_001)), ..late }, 900).map(|done| done.at), Ok(at(1_000)));
}
