//! The door for whoever collects: plain HTTP/1.1, one answer a connection, everything bounded.

use std::convert::Infallible;
use std::future::ready;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::config::Config;

/// The one place there is.
const PATH: &str = "/metrics";
/// The format, as its readers know it.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Longest head of a request, in bytes, and most of its lines: what asks here sends a few hundred.
const HEAD_BYTES: usize = 8 << 10;
const HEAD_LINES: usize = 64;
/// How long nobody is accepted after an accept that failed.
const PAUSE: Duration = Duration::from_millis(10);

/// How many may ask at once, and how long each may take from connecting to the last byte.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    connections: usize,
    longest: Duration,
}

impl Bounds {
    pub fn of(config: &Config) -> Self {
        let longest = Duration::from_millis(config.metrics_time_ms.into());
        Self { connections: config.metrics_connections as usize, longest }
    }
}

/// Answers until it is dropped. Who comes while as many as may be are there waits to be accepted.
pub async fn serve(listener: TcpListener, bounds: Bounds, page: impl Fn() -> String) -> std::io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = running.next() => {}
            accepted = listener.accept(), if running.len() < bounds.connections => match accepted {
                Ok((stream, _)) => running.push(timed(stream, bounds.longest, &page)),
                // No descriptors for the moment, or a connection that broke before it was accepted.
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection for metrics could not be accepted");
                    sleep(PAUSE).await;
                }
            },
        }
    }
}

async fn timed(stream: TcpStream, longest: Duration, page: &impl Fn() -> String) {
    // Whoever takes too long, or speaks something else, is let go; there is nobody to tell.
    let _ = timeout(longest, one(stream, page)).await;
}

async fn one(stream: TcpStream, page: &impl Fn() -> String) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        ready(Ok::<_, Infallible>(answer(request.method(), request.uri().path(), page)))
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).header_read_timeout(None).max_buf_size(HEAD_BYTES).max_headers(HEAD_LINES);
    http.serve_connection(TokioIo::new(stream), service).await
}

fn answer(method: &Method, path: &str, page: &impl Fn() -> String) -> Response<String> {
    if method != Method::GET || path != PATH {
        let mut nothing = Response::new("GET /metrics is all there is\n".to_owned());
        *nothing.status_mut() = StatusCode::NOT_FOUND;
        return nothing;
    }
    let mut found = Response::new(page());
    found.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(FORMAT));
    found
}
