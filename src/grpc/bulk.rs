//! Many items in one call: taken in as there is room, carried out together so that one sync serves many, answered in the
//! order they came. What carries out an item is the method for one; nothing here knows what an item is.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Stream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;
use tonic::{Code, Request, Status, Streaming};

use super::in_order::InOrder;
use super::status::{self, transport};
use crate::ledger::{Failure, Ledger, RestsOn};

/// Bounds on calls of many items; each is a config field and told by `GetServerInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkLimits {
    /// Items of one BatchSettle.
    pub settle_items: u32,
    /// Bytes of one answer that holds the results of many.
    pub answer_bytes: u32,
    /// Items of one call under way at a time: carried out, or not told yet.
    pub window: u32,
    /// Items of all calls together that are carried out at a time, and changes before them that may still wait for the disk;
    /// more wait for their turn.
    pub running: u32,
    /// Rows of one import.
    pub import_rows: u32,
    /// Longest time of one import.
    pub import_time: Duration,
    /// Longest time in which nothing comes from a client that streams.
    pub idle: Duration,
}

/// Told by the server to calls that take in a stream, so that they stop taking in and finish what they have begun.
#[derive(Clone, Debug)]
pub struct Stopping(pub watch::Receiver<bool>);

/// Carries out items of many calls.
#[derive(Clone)]
pub struct Bulk {
    pub limits: BulkLimits,
    places: Arc<Semaphore>,
    /// Up to where the ledger must be durable before all that was carried out may be told.
    newest: Arc<AtomicU64>,
    tasks: bool,
}

impl Bulk {
    pub fn new(limits: BulkLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.running as usize));
        Self { limits, places, newest: Arc::default(), tasks: true }
    }

    /// For callers that poll everything themselves, whether anybody reads or not.
    pub fn without_tasks(self) -> Self {
        Self { tasks: false, ..self }
    }

    /// The results of all items, in their order, with so many under way at a time as the limits say: `work` carries an item
    /// out, `tell` makes its result of what came of it. A result that waits for its reader counts as under way, so what is
    /// held in memory is bounded too. For whoever asks until there are no more.
    pub fn in_order<S, W, F, R, T, D>(&self, items: S, work: W, tell: T) -> InOrder<S, W, F, R, T, D>
    where
        F: Future<Output = Result<R, Status>>,
    {
        InOrder::new(items, work, tell, self.limits.window as usize, false)
    }

    /// The same for a stream, which is only asked for more while its reader reads.
    pub fn as_read<S, W, F, R, T, D>(&self, items: S, work: W, tell: T) -> InOrder<S, W, F, R, T, D>
    where
        F: Future<Output = Result<R, Status>>,
    {
        InOrder::new(items, work, tell, self.limits.window as usize, self.tasks)
    }

    /// Carries out one item when it has its turn; it is made there, since a future that is handed in takes twice its room; `begin`
    /// does no more than make it. A fault of ours ends that item alone.
    pub fn one<R, F, B>(&self, begin: B) -> impl Future<Output = Result<R, Status>> + use<R, F, B>
    where
        B: FnOnce() -> F,
        F: Future<Output = Result<R, Status>>,
    {
        let places = self.places.clone();
        async move {
            let Ok(_place) = places.acquire().await else { return Err(transport::shutting_down()) };
            let done = AssertUnwindSafe(begin()).catch_unwind().await;
            done.unwrap_or_else(|_| Err(status::of(&Failure::Bug("an item of many panicked"))))
        }
    }

    /// Waits while as many changes as items may be carried out at a time wait for the disk: a disk that stands still is not
    /// piled up on until everybody has to wait for it.
    pub async fn room(&self, ledger: &Ledger) {
        ledger.behind(self.newest.load(Ordering::Relaxed).saturating_sub(self.limits.running.into())).await;
    }

    /// An item was carried out.
    pub fn note(&self, rests_on: RestsOn) {
        self.newest.fetch_max(rests_on.position(), Ordering::Relaxed);
    }

    /// The messages of a request.
    pub fn intake<M>(&self, request: Request<Streaming<M>>) -> Intake<M> {
        let stopping = request.extensions().get::<Stopping>().cloned();
        let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = match stopping {
            Some(Stopping(mut told)) => Box::pin(async move { drop(told.wait_for(|stop| *stop).await) }),
            None => Box::pin(std::future::pending()),
        };
        Intake {
            messages: request.into_inner(),
            stopped,
            idle: self.limits.idle,
            timer: None,
            longest: None,
            ended: false,
        }
    }
}

/// Messages until the client has no more, stands still too long, sends what cannot be read, or the server stops: then one
/// status that says so, and nothing after it.
pub struct Intake<M> {
    messages: Streaming<M>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    idle: Duration,
    /// Runs while nothing comes.
    timer: Option<Pin<Box<Sleep>>>,
    /// Runs from the beginning, where the whole has a limit.
    longest: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl<M> Intake<M> {
    /// Takes nothing in any more after this time.
    pub fn within(mut self, longest: Duration) -> Self {
        self.longest = Some(Box::pin(tokio::time::sleep(longest)));
        self
    }
}

impl<M> Stream for Intake<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Asked first: a client that never pauses must not keep a server from stopping.
        if self.stopped.as_mut().poll(cx).is_ready() {
            self.ended = true;
            return Poll::Ready(Some(Err(transport::shutting_down())));
        }
        if self.longest.as_mut().is_some_and(|longest| longest.as_mut().poll(cx).is_ready()) {
            self.ended = true;
            return Poll::Ready(Some(Err(transport::time_limit())));
        }
        match Pin::new(&mut self.messages).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => {
                self.timer = None;
                Poll::Ready(Some(Ok(message)))
            }
            Poll::Ready(Some(Err(status))) => {
                self.ended = true;
                Poll::Ready(Some(Err(reworded(&status))))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let idle = self.idle;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.ended = true;
                Poll::Ready(Some(Err(transport::time_limit())))
            }
        }
    }
}

/// What the transport says of a message carries no details; it gets the words of its reason.
pub fn reworded(status: &Status) -> Status {
    if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) {
        transport::too_large()
    } else if matches!(status.code(), Code::Cancelled | Code::Unavailable) {
        transport::shutting_down()
    } else {
        transport::malformed()
    }
}

/// A request id as an answer may repeat it: only one that could have been one.
pub fn told_id(text: String) -> String {
    if crate::domain::ids::RequestId::parse(&text).is_some() { text } else { String::new() }
}
