//! A stream that has begun, under the bounds of a call: it keeps its place until its last frame. A warden ends one that
//! stands still, and one that the server's stop meets, also where the transport has no room for its next frame and so never
//! asks for it: a client that does not read costs a stream's time, not its place for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::Pass;
use crate::grpc::status::{self, transport};
use crate::ledger::Failure;
use crate::server::connection::Cutter;

/// How long a stop waits for the reader of a stream that has something to tell.
const READS_AGAIN: Duration = Duration::from_millis(500);

/// The body of the answer.
pub(super) struct Running {
    shared: Arc<Shared>,
    warden: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    idle: Duration,
    watches: bool,
    /// It is told of a stop and ends by itself.
    finishes: bool,
}

struct State {
    /// None: it has ended.
    inner: Option<(Body, Pass)>,
    /// How the warden ended it; told when it is asked.
    ended: Option<Status>,
    /// When it last gave something, or was asked again.
    moved: Instant,
    /// Who asked when it had nothing to give. None: the transport has no room for more.
    asked: Option<Waker>,
}

impl Running {
    pub(super) fn body(inner: Body, pass: Pass, finishes: bool, cutter: Option<Cutter>) -> Body {
        let (closing, idle, watches) = (pass.gate.closing.subscribe(), pass.gate.stream_idle, pass.watches);
        let state = State { inner: Some((inner, pass)), ended: None, moved: Instant::now(), asked: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), idle, watches, finishes });
        let warden = tokio::spawn(watch_over(shared.clone(), closing, cutter)).abort_handle();
        Body::new(Self { shared, warden })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.warden.abort();
        let given_up = self.shared.lock().inner.take();
        drop(given_up);
    }
}

impl http_body::Body for Running {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut locked = self.shared.lock();
        let state = &mut *locked;
        if let Some(status) = state.ended.take() {
            return last(&status);
        }
        let Some((inner, pass)) = &mut state.inner else { return Poll::Ready(None) };
        let closed = pass.gate.is_closed();
        // One that watches ends at a stop even if there is more to tell.
        if closed && pass.watches {
            return state.end(&transport::shutting_down());
        }
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) else {
            return state.end(&status::of(&Failure::Bug("a stream panicked")));
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    pass.told(trailers);
                    state.inner = None;
                }
                state.moved = Instant::now();
                state.asked = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(ended) => {
                if let Some(Err(status)) = &ended {
                    pass.failed(status);
                }
                state.inner = None;
                Poll::Ready(ended)
            }
            Poll::Pending if closed && !self.shared.finishes => state.end(&transport::shutting_down()),
            Poll::Pending => {
                if state.asked.is_none() {
                    state.moved = Instant::now();
                }
                state.asked = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl State {
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some((_, mut pass)) = self.inner.take() {
            pass.failed(status);
        }
        last(status)
    }
}

/// The frame that says how a stream ended.
fn last(status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
    let mut trailers = HeaderMap::new();
    Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the stream has stood still too long. None: it may wait for ever.
    fn until(&self, state: &State, stopping: bool) -> Option<Instant> {
        let longest = match (state.asked.is_some(), stopping) {
            // Somebody who watches may be silent and may read when he likes: there is a bound on watches of their own.
            (_, false) if self.watches => return None,
            (_, true) if self.watches => Duration::ZERO,
            (true, true) if !self.finishes => Duration::ZERO,
            (false, true) => self.idle.min(READS_AGAIN),
            (_, _) => self.idle,
        };
        Some(state.moved + longest)
    }

    /// Ends the stream if it has stood still too long; otherwise until when it has time.
    fn look(&self, stopping: bool) -> Result<Option<Instant>, Ended> {
        let mut state = self.lock();
        let until = self.until(&state, stopping);
        if state.inner.is_none() {
            return Err(Ended::ByItself);
        }
        if until.is_none_or(|until| until > Instant::now()) {
            return Ok(until);
        }
        let status = if stopping { transport::shutting_down() } else { transport::time_limit() };
        if let Some((_, pass)) = &mut state.inner {
            pass.failed(&status);
        }
        state.ended = Some(status);
        let (inner, asked) = (state.inner.take(), state.asked.take());
        drop(state);
        drop(inner);
        let unread = asked.is_none();
        if let Some(waker) = asked {
            waker.wake();
        }
        Err(if unread { Ended::Unread } else { Ended::Told })
    }
}

enum Ended {
    ByItself,
    Told,
    /// Its end waits behind what nobody reads.
    Unread,
}

async fn watch_over(shared: Arc<Shared>, mut closing: watch::Receiver<bool>, cutter: Option<Cutter>) {
    let mut stopping = false;
    let ended = loop {
        let until = match shared.look(stopping) {
            Ok(until) => until,
            Err(ended) => break ended,
        };
        let due = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            _ = closing.wait_for(|closed| *closed), if !stopping => stopping = true,
        }
    };
    if let (Ended::Unread, Some(cutter)) = (ended, cutter) {
        // Who takes not even the end keeps what waits for him in memory: that ends with the connection.
        tokio::time::sleep(shared.idle).await;
        if shared.lock().ended.is_some() {
            tracing::warn!("a connection is closed: a stream of it was not read");
            cutter.cut();
        }
    }
}
