//! The door, with services that say nothing or no.

use std::future::poll_fn;

use super::*;
use crate::config::Config;

/// Nothing comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Status;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

/// With what code a stream ends that nothing comes from; none: it goes on.
async fn ended(stream_idle_ms: u32, close: bool, watches: bool) -> Option<Code> {
    let given = crate::config::Given { stream_idle_ms: Some(stream_idle_ms), ..Default::default() };
    let config = Config::read(given, None, true).expect("settings");
    let gate = Arc::new(Gate::new(&config));
    let pass = gate.enter(if watches { WATCH } else { STREAM_SETTLE }).expect("there is room");
    let mut body = Running::body(Body::new(Never), pass, false);
    let counts = || (gate.running(), gate.watching());
    assert_eq!(counts(), (u32::from(!watches), u32::from(watches)), "a stream keeps its place");
    if close {
        gate.close();
    }
    let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx));
    let frame = tokio::time::timeout(Duration::from_millis(50), frame).await.ok()??.ok()?;
    assert_eq!(counts(), (0, 0), "and gives it back");
    Some(Code::from_bytes(frame.trailers_ref()?.get("grpc-status")?.as_bytes()))
}

/// Refuses, or begins a stream that nothing comes from.
#[derive(Clone)]
struct Methods {
    refuse: bool,
}

impl Service<Request<Body>> for Methods {
    type Response = Response<Body>;
    type Error = Status;
    type Future = std::future::Ready<Result<Response<Body>, Status>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let begun = || Response::new(Body::new(Never));
        std::future::ready(Ok(if self.refuse { transport::malformed().into_http() } else { begun() }))
    }
}

/// A status that comes instead of a stream ends the call with its headers: some clients take an empty frame after them
/// for a broken connection, and the status is lost.
#[tokio::test]
async fn a_stream_that_is_refused_has_no_body() {
    let config = Config::read(crate::config::Given::default(), None, true).expect("settings");
    let gate = Arc::new(Gate::new(&config));
    for (path, refuse) in STREAMS.iter().flat_map(|path| [(path, true), (path, false)]) {
        let mut service = Admission::new(Methods { refuse }, gate.clone());
        let request = Request::builder().uri(*path).body(Body::empty()).expect("a request");
        let response = service.call(request).await.expect("an answer");
        assert_eq!(http_body::Body::is_end_stream(response.body()), refuse, "{path}");
        assert_eq!(gate.running() + gate.watching(), u32::from(!refuse), "{path} keeps its place while it runs");
    }
}

#[tokio::test]
async fn a_stream_that_stands_still_ends() {
    assert_eq!(ended(1, false, false).await, Some(Code::DeadlineExceeded));
    assert_eq!(ended(u32::MAX, true, false).await, Some(Code::Unavailable));
    assert_eq!(ended(1, false, true).await, None, "who watches may wait");
    assert_eq!(ended(u32::MAX, true, true).await, Some(Code::Unavailable));
}
