//! The door, with services that say nothing or no.

use std::future::poll_fn;

use bytes::Bytes;
use http_body::Frame;

use super::*;
use crate::config::Config;

/// Longest time of what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn gate(stream_idle_ms: u32) -> Arc<Gate> {
    let given = crate::config::Given { stream_idle_ms: Some(stream_idle_ms), ..Default::default() };
    Arc::new(Gate::new(&Config::read(given, None, true).expect("settings")))
}

async fn next(body: &mut Body) -> Frame<Bytes> {
    let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *body), cx));
    let frame = tokio::time::timeout(PATIENCE, frame).await.expect("in time");
    frame.expect("one more").expect("a frame")
}

fn code(frame: &Frame<Bytes>) -> Option<Code> {
    Some(Code::from_bytes(frame.trailers_ref()?.get("grpc-status")?.as_bytes()))
}

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
    let gate = gate(stream_idle_ms);
    let pass = gate.enter(if watches { WATCH } else { STREAM_SETTLE }).expect("there is room");
    let mut body = Running::body(Body::new(Never), pass, false, None);
    let counts = || (gate.running(), gate.watching());
    assert_eq!(counts(), (u32::from(!watches), u32::from(watches)), "a stream keeps its place");
    if close {
        gate.close();
    }
    let frame = tokio::time::timeout(Duration::from_millis(50), next(&mut body)).await.ok()?;
    assert_eq!(counts(), (0, 0), "and gives it back");
    code(&frame)
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

/// Has always more to give.
struct More;

impl http_body::Body for More {
    type Data = Bytes;
    type Error = Status;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }
}

/// A stream whose first frame fills the transport, so that it is not asked again: its place is given back and its connection
/// cut all the same, and who asks once more in between is told why.
#[tokio::test]
async fn a_stream_that_nobody_reads_ends() {
    let rows = [
        (10, false, false, false, Code::DeadlineExceeded),
        (10, false, false, true, Code::DeadlineExceeded),
        (10_000_000, true, false, false, Code::Unavailable),
        (10_000_000, true, true, false, Code::Unavailable),
        (10_000_000, true, false, true, Code::Unavailable),
    ];
    for (idle, close, watches, finishes, expected) in rows {
        let row = format!("idle {idle}, a stop {close}, watches {watches}, finishes {finishes}");
        let gate = gate(idle);
        let cutter = Cutter::default();
        let pass = gate.enter(if watches { WATCH } else { STREAM_SETTLE }).expect("there is room");
        let mut body = Running::body(Body::new(More), pass, finishes, Some(cutter.clone()));
        assert!(next(&mut body).await.is_data());
        if close {
            gate.close();
        }
        let free = async {
            while gate.running() + gate.watching() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.unwrap_or_else(|_| panic!("{row}: keeps its place"));
        if !close {
            let cut = poll_fn(|cx| if cutter.check(cx).is_err() { Poll::Ready(()) } else { Poll::Pending });
            tokio::time::timeout(PATIENCE, cut).await.unwrap_or_else(|_| panic!("{row}: keeps its connection"));
        }
        assert_eq!(code(&next(&mut body).await), Some(expected), "{row}");
        assert!(poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await.is_none(), "{row}");
    }
}

/// Somebody who is slow, or watches and reads when he likes.
#[tokio::test]
async fn a_stream_that_is_read_goes_on() {
    for (idle, watches) in [(10_000_000, false), (1, true)] {
        let gate = gate(idle);
        let cutter = Cutter::default();
        let mut body = Running::body(
            Body::new(More),
            gate.enter(if watches { WATCH } else { STREAM_SETTLE }).expect("room"),
            false,
            Some(cutter.clone()),
        );
        for _ in 0..100 {
            assert!(next(&mut body).await.is_data());
            tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
                .await
                .expect_err("time passes");
        }
        assert_eq!(gate.running() + gate.watching(), 1);
        poll_fn(|cx| Poll::Ready(cutter.check(cx))).await.expect("not cut");
        drop(body);
        assert_eq!(gate.running() + gate.watching(), 0, "who goes away leaves no place taken");
    }
}

#[test]
fn a_caller_gives_a_time_in_eight_digits_and_a_unit() {
    for (text, expected) in [
        ("1H", Some(Duration::from_secs(3_600))),
        ("2M", Some(Duration::from_secs(120))),
        ("3S", Some(Duration::from_secs(3))),
        ("250m", Some(Duration::from_millis(250))),
        ("7u", Some(Duration::from_micros(7))),
        ("0n", Some(Duration::ZERO)),
        ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
        ("100000000S", None),
        ("S", None),
        ("", None),
        ("1", None),
        ("-1S", None),
        ("1.5S", None),
        ("1s", None),
        ("1秒", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", http::HeaderValue::from_bytes(text.as_bytes()).expect("a value"));
        assert_eq!(within(&headers), expected, "{text}");
    }
}
