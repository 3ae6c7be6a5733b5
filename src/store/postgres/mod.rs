//! The PostgreSQL store: several processes over one database, each fact a row of a table of its kind.
//!
//! # How a change travels
//! Whoever commits makes the change ready (`judge.rs`, `cells.rs`) and queues it. One task (`committer.rs`) takes what waits,
//! locks the head's row, compares everything that is expected in one statement (or by itself, as long as nobody else moves
//! the head: `known.rs`), gives the verdicts in order, and writes
//! what holds with one statement for each table (`write.rs`). The lock on the head is the only one that is needed, so there
//! are no deadlocks, no gaps and one order for all processes. A commit is on the disk, and on a synchronous standby, when
//! it is told and before others see it: so what is seen is durable.
//!
//! # How facts are read
//! Looks that come in together are one statement, and what they lead to (`load_ahead`) a second one of the same snapshot
//! (`looks.rs`, `answer.rs`, `facts.rs`): a look is never torn.
//!
//! # What is kept where
//! `migrations/` says. Nothing is read from a typed column: a fact is its `body`, canonical bytes as in the other stores. A
//! standing's masked name is taken out of the body and lies with the other names in `gongji_person`.
//!
//! # When the database fails
//! Connections are made again by themselves; calls wait for one for a while and then get `Unavailable`. Everything runs on one
//! thread of its own, so callers need no runtime.

mod answer;
mod cell;
mod cells;
mod committer;
mod copying;
mod expectations;
mod facts;
mod hosts;
mod judge;
mod known;
mod looks;
mod measured;
mod migrate;
mod moving;
mod names;
mod options;
mod partition;
mod progress;
mod quiet;
mod session;
mod tables;
mod words;
mod write;

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use self::committer::{Committer, Entry};
use self::judge::Pending;
use self::known::Known;
use self::looks::{Job, Jobs};
use self::measured::Measured;
use self::names::Names;
use self::progress::Progress;
use self::session::{Maker, Session};
use super::kept::Portable;
use super::{
    Change, CommitError, Committed, Facts, Head, Key, ListKey, ListRow, Store, StoreError, StoreFuture, StoredRecord,
};
use crate::domain::time::Moment;
use crate::domain::wording::Wording;
use crate::metrics::Page;

pub use committer::Counters;
pub use copying::{begin_copy, end_copy};
pub use migrate::{Applied, MIGRATIONS, Migration, NEEDED, SCHEMA, Until, status, up, up_to};
pub use options::{DatabaseUrl, PostgresError, PostgresOptions};

/// How long a close waits for the last commit.
const LAST_COMMIT: Duration = Duration::from_millis(500);

/// See the module.
pub struct PostgresStore {
    secret: [u8; 32],
    /// The oldest schema whose programs may serve the database, as of the last beat.
    serves: AtomicI32,
    jobs: Arc<Jobs>,
    progress: Arc<Progress>,
    counters: Arc<Counters>,
    measured: Arc<Measured>,
    /// None once closed.
    entries: Entries,
    /// Whoever hands the data set on.
    walks: mpsc::UnboundedSender<moving::Ask>,
    closing: Arc<Notify>,
    /// True when the last change has its verdict and the connections are gone.
    ended: watch::Receiver<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where changes wait for the committer.
type Entries = Mutex<Option<mpsc::UnboundedSender<Entry>>>;

/// What is known once the first connection stands.
struct Opened {
    secret: [u8; 32],
    serves: i32,
    position: u64,
    room: partition::Room,
    session: Session,
}

impl PostgresStore {
    /// Connects, and looks whether this program can serve on what is there. Blocks.
    pub fn open(options: PostgresOptions) -> Result<Arc<Self>, PostgresError> {
        let maker = Maker::new(Arc::new(options))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (tell, told) = sync_channel(1);
        let serve = move || {
            runtime.block_on(async move {
                let opened = match open(&maker).await {
                    Ok(opened) => opened,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                let (entries, incoming) = mpsc::unbounded_channel();
                let (end, ended) = watch::channel(false);
                let (walks, asks) = mpsc::unbounded_channel();
                let closing = Arc::new(Notify::new());
                let progress = Arc::new(Progress::new(opened.position));
                let (jobs, counters) = (Arc::<Jobs>::default(), Arc::<Counters>::default());
                let names = Arc::<Names>::default();
                let store = Arc::new(Self {
                    secret: opened.secret,
                    serves: AtomicI32::new(opened.serves),
                    jobs: jobs.clone(),
                    progress: progress.clone(),
                    counters: counters.clone(),
                    measured: maker.measured.clone(),
                    entries: Mutex::new(Some(entries)),
                    walks,
                    closing: closing.clone(),
                    ended,
                });
                let _ = tell.send(Ok(store));
                for _ in 0..maker.options.connections {
                    tokio::spawn(looks::run(jobs.clone(), maker.clone(), progress.clone(), names.clone()));
                }
                tokio::spawn(moving::run(asks, maker.clone()));
                tokio::spawn(poll(jobs.clone(), progress.clone(), maker.options.poll));
                let committer = Committer {
                    maker,
                    progress: progress.clone(),
                    counters,
                    names,
                    known: Known::default(),
                    room: opened.room,
                    looked_ahead: 0,
                    session: Some(opened.session),
                };
                tokio::select! {
                    () = committer.run(incoming) => {}
                    // A commit that waits for a standby may wait for ever; whoever asked for it does not know its outcome.
                    () = async { closing.notified().await; tokio::time::sleep(LAST_COMMIT).await } => {
                        tracing::warn!("a commit was still waiting at the end");
                    }
                }
                progress.close();
                jobs.refuse_all();
                let _ = end.send(true);
            });
        };
        std::thread::Builder::new().name("gongji:postgres".to_owned()).spawn(serve)?;
        told.recv().map_err(|_| StoreError::Unavailable)?
    }

    /// What was counted since it was opened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Asks for something and waits for the answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Result<T, StoreError> {
        self.progress.check()?;
        let (reply, answer) = oneshot::channel();
        self.jobs.push(job(reply));
        // Closed meanwhile: whoever would have answered is gone.
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn look(&self, keys: &[Key], ahead: bool) -> Result<Facts, StoreError> {
        self.ask(|reply| Job::Look { keys: keys.to_vec(), ahead, reply }).await
    }
}

/// Queues changes at once, in their order, and waits for their verdicts.
fn queue(entries: &Entries, ready: Vec<Pending>) -> impl Future<Output = Vec<Result<Committed, CommitError>>> + use<> {
    let mut verdicts = Vec::with_capacity(ready.len());
    {
        let entries = lock(entries);
        for pending in ready {
            let (reply, verdict) = oneshot::channel();
            let sent = entries.as_ref().is_some_and(|entries| entries.send(Entry { pending, reply }).is_ok());
            verdicts.push(sent.then_some(verdict));
        }
    }
    async move {
        let mut found = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            found.push(match verdict {
                None => Err(CommitError::NotApplied(StoreError::Closed)),
                // A committer that ended without a word may have done it.
                Some(verdict) => verdict.await.unwrap_or(Err(CommitError::Unknown(None))),
            });
        }
        found
    }
}

/// The first connection, with what has to be known before anything else.
async fn open(maker: &Maker) -> Result<Opened, PostgresError> {
    let options = &maker.options;
    let session = maker.connect().await?;
    let serves = migrate::check(options, &session.client).await?;
    copying::check(options, &session.client).await?;
    let refused = |error: tokio_postgres::Error| migrate::refused(options, &error);
    let unreadable = |_: cell::Unreadable| PostgresError::Unreadable { url: options.url.clone() };
    let secret = session.client.query_one("SELECT secret FROM gongji_person.secret", &[]).await.map_err(refused)?;
    let head = session.client.query_one("SELECT position FROM gongji.head", &[]).await.map_err(refused)?;
    let room = partition::Room::read(&session.client).await.map_err(refused)?;
    Ok(Opened {
        secret: cell::digest(&secret, 0).map_err(unreadable)?,
        serves,
        position: cell::number(&head, 0).map_err(unreadable)?,
        room,
        session,
    })
}

/// Looks where the ledger stands while somebody waits for what another process may make.
async fn poll(jobs: Arc<Jobs>, progress: Arc<Progress>, every: Duration) {
    loop {
        progress.wanted().await;
        let (reply, answer) = oneshot::channel();
        jobs.push(Job::Head { reply });
        // An answer is taken note of by whoever gives it, and a failure passes.
        drop(answer.await);
        tokio::time::sleep(every).await;
    }
}

impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn archives(&self) -> bool {
        true
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        Box::pin(self.look(keys, false))
    }

    fn load_ahead<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        Box::pin(self.look(keys, true))
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        // Encoding is the larger half of the work here, and done by whoever wants it.
        let ready: Vec<Pending> = changes.into_iter().map(|change| Pending::new(change, now)).collect();
        Box::pin(queue(&self.entries, ready))
    }

    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>> {
        Box::pin(self.progress.wait(position))
    }

    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>> {
        Box::pin(self.ask(|reply| Job::Head { reply }))
    }

    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>> {
        Box::pin(async {
            let beat = self.ask(|reply| Job::Beat { reply }).await?;
            self.serves.store(beat.serves, Ordering::Relaxed);
            Ok(Some(beat.at))
        })
    }

    fn wording(&self) -> Wording {
        migrate::wording(self.serves.load(Ordering::Relaxed))
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        Box::pin(self.ask(move |reply| Job::Records { from, limit, reply }))
    }

    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>> {
        Box::pin(self.ask(move |reply| Job::List { key, after, until, limit, reply }))
    }

    fn portable(&self) -> Option<&dyn Portable> {
        Some(self)
    }

    fn measure(&self, page: &mut Page) {
        self.write_measures(page);
    }

    /// Every change that was taken gets its verdict first. Closing again is no error.
    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>> {
        drop(lock(&self.entries).take());
        self.closing.notify_one();
        let mut ended = self.ended.clone();
        Box::pin(async move {
            // A thread that is gone has closed too.
            let _ = ended.wait_for(|ended| *ended).await;
            Ok(())
        })
    }
}
