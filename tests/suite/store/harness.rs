//! A store under test, how to lose and find it again, and the verbs of the checks.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Barrier, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use gongji::domain::account::Account;
use gongji::domain::ids::{MemberId, RegionCode};
use gongji::domain::member::{Insurance, Member};
use gongji::domain::money::Money;
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{InsuranceState, Scheme, Sex};
use gongji::store::chain::content_hash;
use gongji::store::embedded::{EmbeddedOptions, EmbeddedStore, Fault, Faults, OpenError};
use gongji::store::entity::{Request, Standing};
use gongji::store::memory::MemoryStore;
use gongji::store::postgres::{self, PostgresOptions, PostgresStore};
use gongji::store::{
    Change, CommitError, Committed, Entity, Facts, Head, Key, ListKey, ListKind, ListRow, Store, StoredRecord,
};
use tempfile::TempDir;

use crate::postgres::{Database, PostgresServer};
use crate::process::PATIENCE;

pub const SECRET: [u8; 32] = [7; 32];

/// Drives a future on this thread, without a runtime: stores must work without one. What never comes is a failure.
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
    let deadline = Instant::now() + PATIENCE;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                assert!(Instant::now() < deadline, "a store did not answer");
                thread::park_timeout(PATIENCE);
            }
        }
    }
}

/// Opens a data set that was just let go. A program that another test is starting holds copies of this process's
/// descriptors until it is loaded, the lock's among them.
pub fn opened(options: &EmbeddedOptions) -> Arc<EmbeddedStore> {
    crate::process::wait_until("a free data set", PATIENCE, || match EmbeddedStore::open(options) {
        Ok(store) => Some(store),
        Err(OpenError::InUse { .. }) => None,
        Err(error) => panic!("it cannot be opened: {error}"),
    })
}

/// Where the data of a store lie, as long as a check runs.
pub trait Place {
    /// Opens what is there; a data set that is made by this gets the secret.
    fn open(&mut self, secret: [u8; 32]) -> Arc<dyn Store>;

    /// Ends a store as it should end.
    fn close(&mut self, store: Arc<dyn Store>) {
        block_on(store.close()).expect("closes");
    }

    /// The power goes: what is not durable may be lost.
    fn crash(&mut self, store: Arc<dyn Store>);
}

/// A memory store is its own data set: it goes on living.
struct Memory(Option<Arc<dyn Store>>);

impl Place for Memory {
    fn open(&mut self, secret: [u8; 32]) -> Arc<dyn Store> {
        self.0.get_or_insert_with(|| Arc::new(MemoryStore::new(secret, u64::MAX))).clone()
    }

    fn close(&mut self, _: Arc<dyn Store>) {}

    fn crash(&mut self, _: Arc<dyn Store>) {}
}

struct Embedded {
    dir: TempDir,
    faults: Arc<Faults>,
}

impl Place for Embedded {
    fn open(&mut self, secret: [u8; 32]) -> Arc<dyn Store> {
        self.faults.set(Fault::None);
        let mut options = EmbeddedOptions::new(self.dir.path().join("ledger"), secret);
        options.faults = Some(self.faults.clone());
        // A few changes at a time, so that facts and list rows are met in memory, in the index and in between.
        options.index_bytes = 2_000;
        opened(&options)
    }

    fn crash(&mut self, store: Arc<dyn Store>) {
        self.faults.set(Fault::WriteFails);
        drop(store);
    }
}

/// A database of its own. What keeps its data is the database: a process that ends loses nothing that it was told.
struct Postgres(Database);

impl Place for Postgres {
    fn open(&mut self, _: [u8; 32]) -> Arc<dyn Store> {
        PostgresStore::open(PostgresOptions::new(self.0.url())).expect("opens")
    }

    /// Nothing is closed: the process is gone for all that the database knows.
    fn crash(&mut self, store: Arc<dyn Store>) {
        drop(store);
    }
}

/// A new database with an empty ledger in it, of little partitions, so that tests meet their ends.
pub fn ledger_database() -> Database {
    static TEMPLATE: OnceLock<Database> = OnceLock::new();
    let server = PostgresServer::shared();
    let made = || {
        let database = server.fresh_database();
        migrated(database.url(), 100);
        database
    };
    // In a server of somebody else's a template would stay behind.
    if std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        return made();
    }
    server.copy_of(TEMPLATE.get_or_init(made).name())
}

/// Makes a ledger in a database, as `gongji migrate up` does.
pub fn migrated(url: &str, partition_records: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let options = PostgresOptions::new(url);
    runtime.block_on(postgres::up(&options, SECRET, partition_records)).expect("migrates");
}

/// A store, and how to lose and find it again.
pub struct Harness {
    store: Option<Arc<dyn Store>>,
    place: Box<dyn Place>,
}

impl Harness {
    pub fn over(mut place: impl Place + 'static) -> Self {
        Self { store: Some(place.open(SECRET)), place: Box::new(place) }
    }

    pub fn memory() -> Self {
        Self::over(Memory(None))
    }

    pub fn embedded() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::over(Embedded { dir, faults: Arc::default() })
    }

    pub fn postgres() -> Self {
        Self::over(Postgres(ledger_database()))
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("open between calls")
    }

    /// Closes the store and opens what it kept, with another secret at hand.
    pub fn reopen(&mut self) {
        let store = self.store.take().expect("open between calls");
        self.place.close(store);
        self.store = Some(self.place.open([8; 32]));
    }

    /// The power goes and comes back.
    pub fn crash(&mut self) {
        let store = self.store.take().expect("open between calls");
        self.place.crash(store);
        self.store = Some(self.place.open([8; 32]));
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

pub fn request(id: &str) -> Entity {
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

/// The versions that a look found.
pub fn versions(facts: &Facts) -> Vec<u64> {
    facts.facts.iter().map(|fact| fact.version).collect()
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

/// A change that puts one fact and expects nothing.
pub fn putting(key: Key, entity: Entity) -> Change {
    let mut change = change(0, &[], &[]);
    change.puts.push((key, entity));
    change
}

pub fn listed(mut change: Change, lists: &[(ListKey, u128)]) -> Change {
    change.lists = lists.to_vec();
    change
}

pub fn with_request(mut change: Change, number: u8) -> Change {
    change.expects.push((request_key(number), 0));
    change.puts.push((request_key(number), request(&number.to_string())));
    change
}

/// The same with other bytes in its record.
pub fn recorded(mut change: Change, bytes: &[u8]) -> Change {
    (change.record, change.content_hash) = (bytes.to_vec(), content_hash(bytes));
    change
}

pub fn ending(mut change: Change, end: i64) -> Change {
    change.before = Some(at(end));
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
    /// The same at an instant.
    fn try_at(&self, change: Change, now: i64) -> Result<Committed, CommitError>;
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
        self.try_at(change, 1_000)
    }
    fn try_at(&self, change: Change, now: i64) -> Result<Committed, CommitError> {
        let mut verdicts = block_on(self.commit(vec![change], at(now)));
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

/// The verdicts of a list of changes: positions and refusals.
pub fn verdicts(store: &Arc<dyn Store>, changes: Vec<Change>) -> Vec<Result<u64, CommitError>> {
    let verdicts = block_on(store.commit(changes, at(1_000)));
    verdicts.into_iter().map(|verdict| verdict.map(|committed| committed.position)).collect()
}

/// `threads` threads do `each` rounds at once.
pub fn at_once(threads: u8, each: u64, work: impl Fn(u8, u64) + Sync) {
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

/// Every record follows from the one before, and the head is the last.
pub fn assert_chain(store: &Arc<dyn Store>) {
    let mut head = Head::EMPTY;
    for record in store.all() {
        assert_eq!(content_hash(&record.bytes), record.content_hash);
        assert!(record.at >= head.at);
        head = head.next(&record.content_hash, record.at);
        assert_eq!((head.position, head.link, head.at), (record.position, record.link, record.at));
    }
    assert_eq!(store.head_now(), head);
}

/// Rows that lead to themselves, as the checks write them.
pub fn numbered(positions: std::ops::RangeInclusive<u64>) -> Vec<(u64, u128)> {
    positions.map(|position| (position, u128::from(position))).collect()
}
