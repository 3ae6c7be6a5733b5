//! Reading: looks that come in at the same time share one statement, and so one moment.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Sleep, sleep, timeout};

use super::answer::{Answer, Beat, Failed, answers};
use super::lock;
use super::names::Names;
use super::progress::Progress;
use super::session::{Maker, Session};
use crate::metrics::Stopwatch;
use crate::store::{Facts, Head, Key, ListKey, ListRow, StoreError, StoredRecord};

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What somebody wants to read.
pub(super) enum Job {
    /// At facts, and `ahead` at what they lead to.
    Look {
        keys: Vec<Key>,
        ahead: bool,
        reply: Reply<Facts>,
    },
    Head {
        reply: Reply<Head>,
    },
    Beat {
        reply: Reply<Beat>,
    },
    Records {
        from: u64,
        limit: usize,
        reply: Reply<Vec<StoredRecord>>,
    },
    List {
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
        reply: Reply<Vec<ListRow>>,
    },
}

/// What waits to be read.
pub(super) struct Jobs {
    /// None once nobody serves them any more.
    queue: Mutex<Option<VecDeque<Job>>>,
    more: Notify,
    /// Connections that ask.
    busy: AtomicUsize,
    /// Connections that there are, as far as is known.
    serving: AtomicUsize,
}

/// So many jobs are worth a statement of their own while another one runs: a statement costs as much as many facts.
const FEW: usize = 64;
/// How long fewer wait for that one at most, however many come meanwhile: it may be slow, and they are not.
const MOMENT: Duration = Duration::from_millis(5);
/// Longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_millis(500);

impl Default for Jobs {
    fn default() -> Self {
        Self {
            queue: Mutex::new(Some(VecDeque::new())),
            more: Notify::new(),
            busy: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
        }
    }
}

impl Jobs {
    pub fn push(&self, job: Job) {
        match lock(&self.queue).as_mut() {
            Some(queue) => queue.push_back(job),
            None => return job.refuse(StoreError::Closed),
        }
        self.more.notify_one();
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        lock(&self.queue).as_ref().map_or(0, VecDeque::len)
    }

    /// How many wait whose answer is still wanted; the others go.
    fn wanted(&self) -> usize {
        lock(&self.queue).as_mut().map_or(0, |queue| {
            queue.retain(|job| !job.is_given_up());
            queue.len()
        })
    }

    /// What waits, as soon as it is worth a statement: while another connection asks, few jobs wait a moment for more, or for
    /// that connection, which takes them when it is free.
    async fn take(&self, most: usize) -> Vec<Job> {
        // Begins when few are met.
        let mut moment: Option<Pin<Box<Sleep>>> = None;
        let mut patient = true;
        loop {
            let more = self.more.notified();
            let waiting = self.wanted();
            let busy = self.busy.load(Ordering::Relaxed) > 0;
            if waiting == 0 {
                more.await;
                (moment, patient) = (None, true);
            } else if patient && busy && waiting < FEW {
                let moment = moment.get_or_insert_with(|| Box::pin(sleep(MOMENT)));
                tokio::select! {
                    () = more => {}
                    () = moment => patient = false,
                }
            } else {
                let mut queue = lock(&self.queue);
                let taken = queue.iter_mut().flat_map(|queue| queue.drain(..waiting.min(most))).collect();
                if queue.as_ref().is_some_and(|queue| !queue.is_empty()) {
                    self.more.notify_one();
                }
                return taken;
            }
        }
    }

    /// Tells everybody who waits, unless another connection serves them.
    fn refuse_waiting(&self, error: StoreError) {
        if self.serving.load(Ordering::Relaxed) > 0 {
            return;
        }
        let waiting = lock(&self.queue).as_mut().map(std::mem::take);
        waiting.into_iter().flatten().for_each(|job| job.refuse(error));
    }

    /// Tells everybody who still waits or comes yet, at the end.
    pub fn refuse_all(&self) {
        let waiting = lock(&self.queue).take();
        waiting.into_iter().flatten().for_each(|job| job.refuse(StoreError::Closed));
    }
}

impl Job {
    /// Nobody waits for it any more.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Look { reply, .. } => reply.is_closed(),
            Self::Head { reply } => reply.is_closed(),
            Self::Beat { reply } => reply.is_closed(),
            Self::Records { reply, .. } => reply.is_closed(),
            Self::List { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, error: StoreError) {
        // Whoever asked may be gone.
        match self {
            Self::Look { reply, .. } => drop(reply.send(Err(error))),
            Self::Head { reply } => drop(reply.send(Err(error))),
            Self::Beat { reply } => drop(reply.send(Err(error))),
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
            (Self::Beat { reply }, Ok(Answer::Beat(it))) => drop(reply.send(Ok(it))),
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
        let mut pause = maker.options.poll;
        loop {
            match maker.connect().await {
                Ok(session) => {
                    maker.quiet.found();
                    return session;
                }
                Err(error) => {
                    maker.quiet.lost(&error);
                    sleep(pause).await;
                    // Many ask, and one that comes back is found soon enough.
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    };
    timeout(maker.options.wait, connecting).await.ok()
}

/// A connection, counted until dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves jobs on a connection of its own, for ever.
pub(super) async fn run(jobs: Arc<Jobs>, maker: Maker, progress: Arc<Progress>, names: Arc<Names>) {
    let (mut session, mut serving): (Option<Session>, _) = (None, None);
    let patience = maker.patience();
    loop {
        let batch = jobs.take(maker.options.group).await;
        let asking = Counted::among(&jobs.busy);
        let watch = Stopwatch::start();
        // A connection may turn out to be dead only now; reading again does no harm.
        let mut attempts = 0;
        let found = loop {
            if session.as_ref().is_none_or(|session| session.client.is_closed()) {
                serving = None;
            }
            session = connected(session.take(), &maker).await;
            let Some(ready) = session.as_mut() else {
                // There is no database, and nobody should find out one after another.
                jobs.refuse_waiting(StoreError::Unavailable);
                break None;
            };
            serving.get_or_insert_with(|| Counted::among(&jobs.serving));
            match timeout(patience, answers(ready, &batch, &names)).await {
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
        drop(asking);
        let Some(found) = found else {
            tracing::warn!("the database does not answer");
            batch.into_iter().for_each(|job| job.refuse(StoreError::Unavailable));
            continue;
        };
        maker.measured.rounds.saw(batch.len(), watch.micros());
        for (job, answer) in batch.into_iter().zip(found) {
            if let Ok(Answer::Looked(looked)) = &answer {
                progress.seen(looked.read_at);
            }
            if let Ok(Answer::Head(head)) = &answer {
                progress.seen(head.position);
            }
            job.answer(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_any_more_is_not_asked() {
        let jobs = Jobs::default();
        let asked: Vec<_> = (0..3).map(|_| oneshot::channel::<Result<Head, StoreError>>()).collect();
        let mut answers = Vec::new();
        for (reply, answer) in asked {
            jobs.push(Job::Head { reply });
            answers.push(answer);
        }
        answers.remove(1);
        assert_eq!((jobs.waiting(), jobs.wanted(), jobs.waiting()), (3, 2, 2));
        let another = Counted::among(&jobs.serving);
        jobs.refuse_waiting(StoreError::Unavailable);
        assert_eq!(jobs.wanted(), 2, "the other connection serves them");
        drop(another);
        jobs.refuse_waiting(StoreError::Unavailable);
        let told: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv()).collect();
        assert_eq!(told, [Ok(Err(StoreError::Unavailable)), Ok(Err(StoreError::Unavailable))]);
        let (reply, _answer) = oneshot::channel();
        jobs.push(Job::Head { reply });
        assert_eq!(jobs.wanted(), 1, "who comes later is asked for as before");
    }

    #[test]
    fn few_jobs_wait_a_moment_for_a_slow_statement_however_many_come() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let taken = runtime.block_on(async {
            let jobs = Jobs::default();
            let _slow = Counted::among(&jobs.busy);
            let (reply, _answer) = oneshot::channel();
            jobs.push(Job::Head { reply });
            let others_come = async {
                loop {
                    jobs.more.notify_one();
                    tokio::task::yield_now().await;
                }
            };
            let taken = async {
                tokio::select! {
                    taken = jobs.take(FEW) => taken.len(),
                    () = others_come => 0,
                }
            };
            timeout(Duration::from_secs(10), taken).await
        });
        assert_eq!(taken, Ok(1));
    }
}
