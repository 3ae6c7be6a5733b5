//! The threads of the load. Each has a runtime, connections and a meter of its own, and shares nothing with the others while
//! it is measured: with as many of them as the server has, neither side waits for one busy thread of the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use hdrhistogram::Histogram;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::requests::Requests;
use crate::server;
use crate::server::connection::Connection;

/// The longest time that is told apart.
const LONGEST: u64 = 60_000_000_000;

/// One thread with its connections. Ends with this value.
pub struct Lane {
    pub handle: Handle,
    pub channels: Vec<Channel>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub fn start() -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        let run = move || {
            let _ = runtime.block_on(stopped);
        };
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(run);
        let thread = Some(thread.map_err(|error| error.to_string())?);
        Ok(Self { handle, channels: Vec::new(), stop: Some(stop), thread })
    }

    /// Makes one more connection.
    pub async fn connect(&mut self, address: SocketAddr) -> Result<(), String> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let endpoint = endpoint
            .tcp_nodelay(true)
            .initial_stream_window_size(server::STREAM_WINDOW)
            .initial_connection_window_size(server::CONNECTION_WINDOW);
        // Gathers what it sends as the server does: otherwise every request of some size is a system call of its own, and the
        // client is measured instead of the server. Its task runs where it is made.
        let gathered = tower::service_fn(move |_: Uri| async move {
            let stream = TcpStream::connect(address).await?.into_std()?;
            Connection::new(stream, Arc::new(Semaphore::new(0))).map(TokioIo::new)
        });
        let connecting = self.handle.spawn(async move { endpoint.connect_with_connector(gathered).await });
        let channel = connecting.await.map_err(|error| error.to_string())?;
        self.channels.push(channel.map_err(|error| error.to_string())?);
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.channels.clear();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What one thread has measured.
pub struct Meter {
    pub recording: bool,
    pub calls: u64,
    pub failed: u64,
    pub aided: u64,
    /// The first failure's words.
    pub failure: Option<String>,
    pub times: Histogram<u64>,
}

impl Meter {
    pub fn new() -> Result<Self, String> {
        let times = Histogram::new_with_bounds(1_000, LONGEST, 3).map_err(|error| error.to_string())?;
        Ok(Self { recording: false, calls: 0, failed: 0, aided: 0, failure: None, times })
    }

    /// What both have measured.
    pub fn add(&mut self, other: &Self) -> Result<(), String> {
        self.calls += other.calls;
        self.failed += other.failed;
        self.aided += other.aided;
        self.failure = self.failure.take().or_else(|| other.failure.clone());
        self.times.add(&other.times).map_err(|error| error.to_string())
    }
}

/// What the calls of one thread share.
pub struct Shared {
    pub requests: Mutex<Requests>,
    pub meter: Mutex<Meter>,
    pub stop: AtomicBool,
    /// Calls still to make, where the number is given and not the time.
    pub budget: AtomicU64,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(requests: Requests, budget: u64) -> Result<Arc<Self>, String> {
        Ok(Arc::new(Self {
            requests: Mutex::new(requests),
            meter: Mutex::new(Meter::new()?),
            stop: AtomicBool::new(false),
            budget: AtomicU64::new(budget),
        }))
    }

    pub fn note(&self, since: Instant, outcome: Result<bool, Status>) {
        let time = u64::try_from(since.elapsed().as_nanos()).unwrap_or(LONGEST).clamp(1_000, LONGEST);
        let mut meter = lock(&self.meter);
        match outcome {
            Ok(aided) if meter.recording => {
                meter.calls += 1;
                meter.aided += u64::from(aided);
                meter.times.saturating_record(time);
            }
            Ok(_) => {}
            // A failure counts whenever it happens.
            Err(status) => {
                meter.failed += 1;
                meter.failure.get_or_insert_with(|| format!("{:?}: {}", status.code(), status.message()));
            }
        }
    }
}
