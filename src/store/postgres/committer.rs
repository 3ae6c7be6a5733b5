//! Group commit: changes that come in while others are written share one short transaction.
//!
//! Two round trips: begin, lock the head, compare everything that is expected; then, with the verdicts given, write and
//! commit. Until the commit is asked for, nothing has happened whatever fails. From then on only its answer tells: it is
//! never timed out, and without an answer the outcome is unknown.

use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_util::future::{FutureExt, MaybeDone, maybe_done};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;

use super::expectations::begin;
use super::judge::{Judged, Pending, judge};
use super::known::Known;
use super::looks::connected;
use super::names::Names;
use super::partition::{self, Room};
use super::progress::Progress;
use super::session::{Maker, Session, Trouble, told};
use super::write::{Made, Param, Write, writes};
use crate::metrics::Stopwatch;
use crate::store::{CommitError, Committed, StoreError};

type Verdict = Result<Committed, CommitError>;

/// A change on its way, and who waits for its verdict.
pub(super) struct Entry {
    pub pending: Pending,
    pub reply: oneshot::Sender<Verdict>,
}

/// What was counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Changes in them.
    pub changes: AtomicU64,
    /// Transactions that were tried again: somebody was in the way, or the connection was lost before the commit.
    pub retries: AtomicU64,
    /// Commits whose outcome is not known.
    pub unknown: AtomicU64,
}

/// After so long it is said that a COMMIT takes long, and again.
const COMMIT_LONG: Duration = Duration::from_secs(5);

pub(super) struct Committer {
    pub maker: Maker,
    pub progress: Arc<Progress>,
    pub counters: Arc<Counters>,
    pub names: Arc<Names>,
    pub known: Known,
    /// What there are partitions for.
    pub room: Room,
    /// Where the last partition began when more were wanted.
    pub looked_ahead: u64,
    pub session: Option<Session>,
}

/// What came of one transaction.
enum Outcome {
    /// Verdicts are true.
    Done(Vec<Verdict>),
    /// Nothing was applied.
    Failed(Trouble),
    /// Nothing was applied, and there is no database: calls have waited for one as long as they do.
    Away,
    /// Those with a position may be applied or not.
    Unknown(Vec<Verdict>),
}

impl Committer {
    /// Commits what comes in until nothing more can come.
    pub async fn run(mut self, mut entries: mpsc::UnboundedReceiver<Entry>) {
        let mut group = Vec::with_capacity(self.maker.options.group);
        while self.next(&mut entries, &mut group).await > 0 {
            let pending: Vec<&Pending> = group.iter().map(|entry| &entry.pending).collect();
            let verdicts = self.commit(&pending).await;
            for (entry, verdict) in group.drain(..).zip(verdicts) {
                // Whoever waited may be gone; the change stands all the same.
                let _ = entry.reply.send(verdict);
            }
        }
    }

    /// Waits for changes, and says how many came. What is in doubt is made certain meanwhile: whoever waits for it must not
    /// wait for a change that may never come.
    async fn next(&mut self, entries: &mut mpsc::UnboundedReceiver<Entry>, group: &mut Vec<Entry>) -> usize {
        let most = self.maker.options.group;
        while self.progress.in_doubt() {
            tokio::select! {
                biased;
                count = entries.recv_many(group, most) => return count,
                () = sleep(self.maker.options.poll) => {}
            }
            if let Some(mut session) = connected(self.session.take(), &self.maker).await
                && self.confirm(&mut session).await
            {
                self.session = Some(session);
            }
        }
        entries.recv_many(group, most).await
    }

    async fn commit(&mut self, group: &[&Pending]) -> Vec<Verdict> {
        match self.persist(group).await {
            Ok(verdicts) => verdicts,
            // One of them will not do: each alone, so that it hinders nobody else.
            Err(Trouble::Refused) if group.len() > 1 => {
                let mut verdicts = Vec::with_capacity(group.len());
                for pending in group {
                    let alone = self.persist(&[pending]).await;
                    verdicts.extend(alone.unwrap_or_else(|trouble| vec![not_applied(trouble)]));
                }
                verdicts
            }
            Err(trouble) => group.iter().map(|_| not_applied(trouble)).collect(),
        }
    }

    /// Tries until there is an outcome, or patience ends.
    async fn persist(&mut self, group: &[&Pending]) -> Result<Vec<Verdict>, Trouble> {
        let mut attempt = 0;
        // Callers wait for so long and no longer: another wait for somebody's lock has to fit in.
        let (longest, one) = (self.maker.options.commit, self.maker.options.lock);
        let mut over = Box::pin(sleep(longest.saturating_sub(one)));
        loop {
            match self.attempt(group).await {
                Outcome::Done(verdicts) => return Ok(verdicts),
                Outcome::Unknown(verdicts) => {
                    self.counters.unknown.fetch_add(1, Ordering::Relaxed);
                    return Ok(verdicts);
                }
                Outcome::Failed(trouble @ (Trouble::Refused | Trouble::Full)) => return Err(trouble),
                Outcome::Away => return Err(Trouble::Lost),
                Outcome::Failed(trouble) => {
                    let is_over = over.as_mut().now_or_never().is_some();
                    if attempt >= self.maker.options.retries || is_over {
                        return Err(trouble);
                    }
                    attempt += 1;
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    if trouble == Trouble::Lost {
                        self.maker.measured.lost.one();
                    }
                    sleep(pause(attempt)).await;
                }
            }
        }
    }

    async fn attempt(&mut self, group: &[&Pending]) -> Outcome {
        let Some(mut session) = connected(self.session.take(), &self.maker).await else {
            return Outcome::Away;
        };
        if self.progress.in_doubt() && !self.confirm(&mut session).await {
            return Outcome::Failed(Trouble::Lost);
        }
        let outcome = self.transact(&mut session, group).await;
        if !matches!(outcome, Outcome::Done(_)) {
            self.known.doubt();
        }
        let clean = match &outcome {
            Outcome::Done(_) => !session.given_up,
            // A connection that did not answer, or not as it should, is not used again.
            Outcome::Unknown(_) | Outcome::Away | Outcome::Failed(Trouble::Lost) => false,
            Outcome::Failed(_) => self.rolled_back(&session).await,
        };
        if clean {
            self.session = Some(session);
        }
        outcome
    }

    async fn transact(&mut self, session: &mut Session, group: &[&Pending]) -> Outcome {
        let watch = Stopwatch::start();
        let patience = self.maker.patience();
        let (before, versions) = match timeout(patience, begin(session, group, &self.known)).await {
            Err(_) => return Outcome::Failed(Trouble::Lost),
            Ok(Err(trouble)) => return Outcome::Failed(trouble),
            Ok(Ok(found)) => found,
        };
        let Judged { verdicts, applied, head } = judge(before, versions, group);
        if applied.is_empty() {
            // The verdicts stand either way: nothing was to be written.
            session.given_up = !self.rolled_back(session).await;
            return Outcome::Done(verdicts);
        }
        if head.position > self.room.last {
            if !self.rolled_back(session).await {
                return Outcome::Failed(Trouble::Lost);
            }
            return Outcome::Failed(self.make_room(session, head.position).await);
        }
        let made = Made::of(&applied, group);
        let writes = writes(&applied, group, &made, &head, &self.names);
        let prepared = timeout(patience, prepare(session, &writes)).await;
        let statements = match prepared {
            Err(_) => return Outcome::Failed(Trouble::Lost),
            Ok(Err(trouble)) => return Outcome::Failed(trouble),
            Ok(Ok(statements)) => statements,
        };
        session.take_warning();
        let client = &session.client;
        let params: Vec<Vec<&(dyn ToSql + Sync)>> =
            writes.iter().map(|write| write.params.iter().map(param).collect()).collect();
        let sent = statements.iter().zip(&params).map(|(statement, params)| client.execute(statement, params));
        let mut sent: Vec<Pin<Box<MaybeDone<_>>>> = sent.map(|future| Box::pin(maybe_done(future))).collect();
        // Every write is on its way before the commit is: one that could not even be sent must not be left out.
        std::future::poll_fn(|context| {
            sent.iter_mut().for_each(|write| {
                let _ = write.as_mut().poll(context);
            });
            std::task::Poll::Ready(())
        })
        .await;
        let failed =
            sent.iter_mut().find_map(|write| write.as_mut().output_mut().and_then(|it| it.as_ref().err().map(trouble)));
        if let Some(trouble) = failed {
            return Outcome::Failed(trouble);
        }
        let commit = client.batch_execute("SET LOCAL statement_timeout = 0; COMMIT");
        let done =
            async { tokio::join!(futures_util::future::join_all(sent.iter_mut().map(|write| write.as_mut())), commit) };
        let (written, committed) = self.waited_for(done).await;
        drop(written);
        let failed = sent.into_iter().find_map(|mut write| write.as_mut().take_output().and_then(Result::err));
        match (failed, committed) {
            // The database said what is wrong with a write, so the transaction came to nothing.
            (Some(error), _) if error.as_db_error().is_some() => Outcome::Failed(trouble(&error)),
            // Committed here, and perhaps not on the standby.
            (None, Ok(())) if session.take_warning() => self.in_doubt(verdicts),
            (None, Ok(())) => {
                self.counters.commits.fetch_add(1, Ordering::Relaxed);
                self.counters.changes.fetch_add(applied.len() as u64, Ordering::Relaxed);
                self.maker.measured.groups.saw(applied.len(), watch.micros());
                self.progress.seen(head.position);
                self.known.committed(&before, head, &applied, group);
                // In time: what lies ahead is made when the last partition begins, and wanted when it ends.
                if head.position >= self.room.last_from && self.looked_ahead != self.room.last_from {
                    self.looked_ahead = self.room.last_from;
                    self.make_room(session, head.position).await;
                }
                Outcome::Done(verdicts)
            }
            (None, Err(error)) if matches!(Trouble::of(&error), Trouble::Again) && !is_canceled(&error) => {
                Outcome::Failed(Trouble::Again)
            }
            _ => self.in_doubt(verdicts),
        }
    }

    /// Ends a transaction of which nothing is wanted, within the time that a statement may take.
    async fn rolled_back(&self, session: &Session) -> bool {
        matches!(timeout(self.maker.patience(), session.client.batch_execute("ROLLBACK")).await, Ok(Ok(())))
    }

    /// Perhaps committed, perhaps not on the standby too.
    fn in_doubt(&self, verdicts: Vec<Verdict>) -> Outcome {
        self.progress.doubt(true);
        let doubt = |verdict: Verdict| Err(verdict.map_or_else(|known| known, |made| CommitError::Unknown(Some(made))));
        Outcome::Unknown(verdicts.into_iter().map(doubt).collect())
    }

    /// Makes what was committed before certain: a later commit that reaches the standby carries everything before it.
    async fn confirm(&self, session: &mut Session) -> bool {
        session.take_warning();
        let sql = "BEGIN; UPDATE gongji.head SET position = position; SET LOCAL statement_timeout = 0; COMMIT";
        if self.waited_for(session.client.batch_execute(sql)).await.is_err() || session.take_warning() {
            return false;
        }
        self.progress.doubt(false);
        true
    }

    /// A COMMIT has no time limit: only the database knows what becomes of it. So somebody is told when it takes long.
    async fn waited_for<T>(&self, commit: impl Future<Output = T>) -> T {
        let mut commit = std::pin::pin!(commit);
        let committing = &self.maker.measured.committing;
        committing.set(Some(Stopwatch::start()));
        let mut seconds = 0;
        let done = loop {
            match timeout(COMMIT_LONG, commit.as_mut()).await {
                Ok(done) => break done,
                Err(_) => {
                    seconds += COMMIT_LONG.as_secs();
                    tracing::warn!(seconds, "a COMMIT is not answered yet: is its synchronous standby there?");
                }
            }
        };
        committing.set(None);
        done
    }

    /// Makes the next partitions, or finds those that somebody else has made: this role need not be allowed to. The attempt is
    /// made again either way.
    async fn make_room(&mut self, session: &mut Session, position: u64) -> Trouble {
        let made = partition::ensure(&mut session.client, position).await;
        let trouble = match (made, Room::read(&session.client).await) {
            (made, Ok(room)) => {
                self.room = room;
                if position < room.last_from {
                    return Trouble::Again;
                }
                let Err(error) = made else { return Trouble::Again };
                if position <= room.last {
                    let last = room.last;
                    tracing::warn!(
                        error = told(&error),
                        last,
                        "the last partition is being filled; run: gongji migrate up"
                    );
                    return Trouble::Again;
                }
                error
            }
            (_, Err(error)) => error,
        };
        if position > self.room.last {
            tracing::error!(error = told(&trouble), "no partition for the next records; run: gongji migrate up");
        }
        Trouble::of(&trouble)
    }
}

fn is_canceled(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED)
}

fn not_applied(trouble: Trouble) -> Verdict {
    Err(CommitError::NotApplied(if trouble == Trouble::Full { StoreError::Full } else { StoreError::Unavailable }))
}

pub(super) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let trouble = Trouble::of(error);
    if trouble != Trouble::Again {
        tracing::warn!(error = told(error), "a commit was not made");
    }
    trouble
}

/// How long to wait before trying again: longer each time, and not as long as others do.
fn pause(attempt: u32) -> Duration {
    let most = 1_u64 << attempt.min(8);
    Duration::from_micros(500 * (1 + RandomState::default().hash_one(attempt) % most))
}

fn param<'a>(param: &'a Param<'_>) -> &'a (dyn ToSql + Sync) {
    match param {
        Param::Many(cells) => cells,
        Param::One(cell) => cell,
    }
}

async fn prepare(session: &mut Session, writes: &[Write<'_>]) -> Result<Vec<tokio_postgres::Statement>, Trouble> {
    let mut statements = Vec::with_capacity(writes.len());
    for write in writes {
        statements.push(session.prepared(&write.sql).await.map_err(|error| trouble(&error))?);
    }
    Ok(statements)
}
