//! Reading: looks that come in at the same time share one statement, and so one moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Failed, answers};
use super::lock;
use super::progress::Progress;
use super::session::{Maker, Session};
use crate::domain::time::Moment;
use crate::store::{Head, Key, ListKey, ListRow, StoreError, StoredRecord};

/// A fact as read: version, bytes, masked name.
pub(super) type Found = Option<(u64, Vec<u8>, Option<String>)>;

/// Facts in the order asked, and where the ledger stood.
pub(super) struct Looked {
    pub head: u64,
    pub facts: Vec<Found>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What somebody wants to read.
pub(super) enum Job {
    Look { keys: Vec<Key>, reply: Reply<Looked> },
    Head { reply: Reply<Head> },
    Clock { reply: Reply<Moment> },
    Records { from: u64, limit: usize, reply: Reply<Vec<StoredRecord>> },
    List { key: ListKey, after: u64, until: u64, limit: usize, reply: Reply<Vec<ListRow>> },
}

/// What waits to be read.
#[derive(Default)]
pub(super) struct Jobs {
    queue: Mutex<VecDeque<Job>>,
    more: Notify,
}

impl Jobs {
    pub fn push(&self, job: Job) {
        lock(&self.queue).push_back(job);
        self.more.notify_one();
    }

    async fn take(&self, most: usize) -> Vec<Job> {
        loop {
            let taken: Vec<Job> = {
                let mut queue = lock(&self.queue);
                let many = queue.len().min(most);
                let taken = queue.drain(..many).collect();
                if !queue.is_empty() {
                    self.more.notify_one();
                }
                taken
            };
            if !taken.is_empty() {
                return taken;
            }
            self.more.notified().await;
        }
    }

    /// Tells everybody who still waits, at the end.
    pub fn refuse_all(&self) {
        let waiting: Vec<Job> = lock(&self.queue).drain(..).collect();
        waiting.into_iter().for_each(|job| job.refuse(StoreError::Closed));
    }
}

impl Job {
    fn refuse(self, error: StoreError) {
        // Whoever asked may be gone.
        match self {
            Self::Look { reply, .. } => drop(reply.send(Err(error))),
            Self::Head { reply } => drop(reply.send(Err(error))),
            Self::Clock { reply } => drop(reply.send(Err(error))),
            Self::Records { reply, .. } => drop(reply.send(Err(error))),
            Self::List { reply, .. } => drop(reply.send(Err(error))),
        }
    }

    fn answer(self, answer: Result<Answer, Failed>) {
        let wrong = StoreError::Unavailable;
        match (self, answer) {
            (job, Err(failed)) => job.refuse(failed.error()),
            (Self::Look { reply, .. }, Ok(Answer::Looked(it))) => drop(reply.send(Ok(it))),
            (Self::Head { reply }, Ok(Answer::Head(it))) => drop(reply.send(Ok(it))),
            (Self::Clock { reply }, Ok(Answer::Clock(it))) => drop(reply.send(Ok(it))),
            (Self::Records { reply, .. }, Ok(Answer::Records(it))) => drop(reply.send(Ok(it))),
            (Self::List { reply, .. }, Ok(Answer::List(it))) => drop(reply.send(Ok(it))),
            (job, Ok(_)) => job.refuse(wrong),
        }
    }
}

/// A session that is known to live, or a new one, within the time that a call waits for a connection.
pub(super) async fn connected(session: Option<Session>, maker: &Maker) -> Option<Session> {
    if let Some(session) = session.filter(|session| !session.client.is_closed()) {
        return Some(session);
    }
    let connecting = async {
        loop {
            match maker.connect().await {
                Ok(session) => return session,
                Err(error) => {
                    tracing::warn!(%error, "the connection to the database is lost");
                    sleep(maker.options.poll).await;
                }
            }
        }
    };
    timeout(maker.options.wait, connecting).await.ok()
}

/// Serves jobs on a connection of its own, for ever.
pub(super) async fn run(jobs: Arc<Jobs>, maker: Maker, progress: Arc<Progress>, first: Option<Session>) {
    let mut session = first;
    // What the database may take for a statement, and the network for a while.
    let patience = maker.options.statement + maker.options.connect;
    loop {
        let batch = jobs.take(maker.options.group).await;
        // A connection may turn out to be dead only now; reading again does no harm.
        let mut attempts = 0;
        let found = loop {
            session = connected(session.take(), &maker).await;
            let Some(ready) = session.as_mut() else { break None };
            match timeout(patience, answers(ready, &batch)).await {
                Ok(found) => {
                    attempts += 1;
                    if ready.client.is_closed() && attempts < 2 {
                        continue;
                    }
                    break Some(found);
                }
                Err(_) => {
                    session = None;
                    break None;
                }
            }
        };
        let Some(found) = found else {
            tracing::warn!("the database does not answer");
            batch.into_iter().for_each(|job| job.refuse(StoreError::Unavailable));
            continue;
        };
        for (job, answer) in batch.into_iter().zip(found) {
            if let Ok(Answer::Looked(looked)) = &answer {
                progress.seen(looked.head);
            }
            if let Ok(Answer::Head(head)) = &answer {
                progress.seen(head.position);
            }
            job.answer(answer);
        }
    }
}
