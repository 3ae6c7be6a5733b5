//! In front of every method: a bound on running calls and on their time, a caught panic, and statuses of the transport
//! put into the same words as all others.

mod gate;
mod stream;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use crate::grpc::bulk::Stopping;
use crate::grpc::status::{self, transport};
use crate::ledger::Failure;
use crate::server::connection::Cutter;
pub use gate::Gate;
use gate::Pass;
use stream::Running;

/// Methods that read very much have a time limit of their own.
const LONG: [&str; 2] = ["/gongji.v1.LedgerService/CheckLedger", "/gongji.v1.ReconciliationService/CompareTotals"];

/// Methods that answer in a stream.
const STREAMS: [&str; 4] = [
    "/gongji.v1.CalculationService/CalculateBatch",
    "/gongji.v1.ReconciliationService/CompareDetails",
    STREAM_SETTLE,
    WATCH,
];
const STREAM_SETTLE: &str = "/gongji.v1.SettlementService/StreamSettle";

/// Methods that take in a stream of changes: told of a stop, they finish what they have begun and end by themselves.
const FINISH: [&str; 3] = [STREAM_SETTLE, IMPORTS[0], IMPORTS[1]];

/// Methods that take in a stream and answer once: they keep a time limit of their own.
const IMPORTS: [&str; 2] = ["/gongji.v1.MemberService/ImportMembers", "/gongji.v1.AccountService/ImportCredits"];

/// The one stream that has no end: it does not count as a running call, and a stop does not wait for it to be done.
const WATCH: &str = "/gongji.v1.LedgerService/Watch";

/// The service around all services.
#[derive(Clone)]
pub struct Admission<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Admission<S> {
    pub fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Call<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // Health and reflection stay reachable under load and have streams without an end.
        if !request.uri().path().starts_with("/gongji.v1.") {
            let inner = Some(Box::pin(self.inner.call(request)));
            return Call { pass: None, refused: None, inner, limit: None, streams: None, cutter: None };
        }
        let path = request.uri().path();
        let streams = STREAMS.iter().position(|known| *known == path).map(|place| STREAMS[place]);
        let longest = match path {
            path if LONG.contains(&path) => self.gate.longest_check,
            path if IMPORTS.contains(&path) => self.gate.longest_import,
            _ => self.gate.longest,
        };
        let asked = within(request.headers()).map(|within| Instant::now() + within);
        let cutter = streams.and_then(|_| request.extensions().get::<Cutter>().cloned());
        let (finishes, entered) = (FINISH.contains(&path), self.gate.enter(path));
        if finishes {
            request.extensions_mut().insert(Stopping(self.gate.closing.subscribe()));
        }
        match entered {
            Err(status) => Call { pass: None, refused: Some(status), inner: None, limit: None, streams, cutter: None },
            Ok(pass) => Call {
                pass: Some(pass),
                refused: None,
                inner: Some(Box::pin(self.inner.call(request))),
                limit: Some(Limit { longest, asked, timer: None }),
                streams,
                cutter,
            },
        }
    }
}

/// One call: refused at once, or running under its time limit.
pub struct Call<F> {
    pass: Option<Pass>,
    refused: Option<Status>,
    inner: Option<Pin<Box<F>>>,
    limit: Option<Limit>,
    /// The method whose answer is a stream, which runs on after its beginning.
    streams: Option<&'static str>,
    /// Ends its connection.
    cutter: Option<Cutter>,
}

/// A timer that is made only when a call does not answer at its first poll: most do.
struct Limit {
    longest: Duration,
    /// The caller's own, which may come before.
    asked: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let (longest, asked) = (self.longest, self.asked);
        let timer = self.timer.get_or_insert_with(|| {
            let until = Instant::now() + longest;
            Box::pin(tokio::time::sleep_until(asked.map_or(until, |asked| asked.min(until))))
        });
        // The transport keeps the caller's time too, and has no words for it: at the same instant this one is asked first.
        timer.as_mut().poll(cx).is_ready() || asked.is_some_and(|asked| asked <= Instant::now())
    }
}

/// The time that a caller gives a call: up to eight digits and a unit.
fn within(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

impl<F, E> Future for Call<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(status) = self.refused.take() {
            return Poll::Ready(Ok(status.into_http()));
        }
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(Ok(transport::overloaded().into_http()));
        };
        // A panic must end neither the connection nor the thread; what the call had committed is found by its retry.
        let polled = catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(Poll::Ready(Ok(response))) => Some(Ok(reword(response))),
            Ok(Poll::Ready(Err(error))) => Some(Err(error)),
            Ok(Poll::Pending) => None,
            Err(_) => Some(Ok(status::of(&Failure::Bug("a handler panicked")).into_http())),
        };
        if let Some(outcome) = outcome {
            self.inner = None;
            let (pass, cutter) = (self.pass.take(), self.cutter.take());
            return Poll::Ready(match (pass, self.streams) {
                // It goes on.
                (Some(pass), Some(method)) if outcome.as_ref().is_ok_and(|response| !ended(response)) => outcome
                    .map(|response| response.map(|body| Running::body(body, pass, FINISH.contains(&method), cutter))),
                // It has ended with its headers; around it there must be nothing that could send an empty frame more.
                (Some(mut pass), _) => outcome.inspect(|response| pass.told(response.headers())),
                (None, _) => outcome,
            });
        }
        if self.limit.as_mut().is_some_and(|limit| limit.is_over(cx)) {
            self.inner = None;
            let status = transport::time_limit();
            if let Some(mut pass) = self.pass.take() {
                pass.failed(&status);
            }
            return Poll::Ready(Ok(status.into_http()));
        }
        Poll::Pending
    }
}

/// Whether an answer says already how its call ended.
fn ended(response: &Response<Body>) -> bool {
    response.headers().contains_key("grpc-status")
}

/// What the transport itself says of a call carries no details; it gets the words of its reason.
fn reword(response: Response<Body>) -> Response<Body> {
    let headers: &HeaderMap = response.headers();
    let Some(code) = headers.get("grpc-status") else {
        return response;
    };
    if headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    match Code::from_bytes(code.as_bytes()) {
        Code::Internal | Code::InvalidArgument | Code::Unknown => transport::malformed().into_http(),
        Code::OutOfRange | Code::ResourceExhausted => transport::too_large().into_http(),
        // tonic says so of a message in an encoding that is not taken, and names those that are.
        Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => transport::compressed().into_http(),
        Code::Unimplemented => transport::not_implemented().into_http(),
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => response,
    }
}

#[cfg(test)]
mod tests;
