//! The bounds on calls and connections, and what is counted where they are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use super::WATCH;
use crate::config::Config;
use crate::grpc::status::transport;
use crate::server::metrics::calls::{Calls, Door, Tally};

/// Counts running calls.
pub struct Gate {
    running: AtomicU32,
    most: u32,
    watching: AtomicU32,
    most_watching: u32,
    pub(super) longest: Duration,
    pub(super) longest_check: Duration,
    pub(super) longest_import: Duration,
    pub(super) stream_idle: Duration,
    /// Places for connections, how many there are, and those kept for the next one.
    slots: Arc<Semaphore>,
    kept_slots: AtomicU32,
    most_connections: u32,
    calls: Calls,
    closed: AtomicBool,
    /// Tells the streams.
    pub(super) closing: watch::Sender<bool>,
}

impl Gate {
    pub fn new(config: &Config) -> Self {
        Self {
            running: AtomicU32::new(0),
            most: config.concurrent_requests,
            watching: AtomicU32::new(0),
            most_watching: config.watch_streams,
            longest: Duration::from_millis(config.call_time_ms.into()),
            longest_check: Duration::from_millis(config.check_time_ms.into()),
            // What was begun at its end has the time of a call.
            longest_import: Duration::from_millis(u64::from(config.import_time_ms) + u64::from(config.call_time_ms)),
            stream_idle: Duration::from_millis(config.stream_idle_ms.into()),
            slots: Arc::new(Semaphore::new(config.connections as usize)),
            kept_slots: AtomicU32::new(0),
            most_connections: config.connections,
            calls: Calls::default(),
            closed: AtomicBool::new(false),
            closing: watch::Sender::new(false),
        }
    }

    pub fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    pub fn watching(&self) -> u32 {
        self.watching.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> u32 {
        self.most
    }

    pub fn most_watching(&self) -> u32 {
        self.most_watching
    }

    pub fn connections(&self) -> u32 {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        let kept = self.kept_slots.load(Ordering::Relaxed);
        self.most_connections.saturating_sub(free.saturating_add(kept))
    }

    /// Whether a place is taken for a connection that has not come yet.
    pub fn keep_slot(&self, kept: bool) {
        self.kept_slots.store(kept.into(), Ordering::Relaxed);
    }

    pub fn most_connections(&self) -> u32 {
        self.most_connections
    }

    pub fn slots(&self) -> &Arc<Semaphore> {
        &self.slots
    }

    /// What was counted of calls.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// No new calls from here on; streams end where they wait.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.closing.send_replace(true);
    }

    pub(super) fn enter(self: &Arc<Self>, path: &str) -> Result<Pass, Status> {
        let watches = path == WATCH;
        // Somebody who watches stays as long as he likes.
        let tally = self.calls.begin(path, !watches);
        let mut pass = Pass { gate: self.clone(), watches, tally };
        let most = if watches { self.most_watching } else { self.most };
        // Counted before it is checked, so that a stop either sees the call or the call sees the stop; a refusal gives its
        // place back too.
        let before = pass.counter().fetch_add(1, Ordering::SeqCst);
        let (door, status) = if self.closed.load(Ordering::SeqCst) {
            (Door::Stopping, transport::shutting_down())
        } else if before < most {
            return Ok(pass);
        } else if watches {
            (Door::Watches, transport::too_many_watches())
        } else {
            (Door::Calls, transport::overloaded())
        };
        self.calls.refused(&mut pass.tally, door, &status);
        Err(status)
    }
}

/// One running call, or one that watches.
pub(super) struct Pass {
    pub gate: Arc<Gate>,
    pub watches: bool,
    tally: Tally,
}

impl Pass {
    fn counter(&self) -> &AtomicU32 {
        if self.watches { &self.gate.watching } else { &self.gate.running }
    }

    /// How the call ends, as these headers or trailers say.
    pub fn told(&mut self, headers: &HeaderMap) {
        self.gate.calls.told(&mut self.tally, headers);
    }

    pub fn failed(&mut self, status: &Status) {
        self.gate.calls.failed(&mut self.tally, status);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Ordering::SeqCst);
        self.gate.calls.end(&self.tally);
    }
}
