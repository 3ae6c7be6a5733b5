//! How far the ledger is known to be durable, and who waits for more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use crate::store::StoreError;

pub(super) struct Progress {
    durable: watch::Sender<u64>,
    closed: AtomicBool,
    /// A commit was made true here, and perhaps not on a standby: what is seen is not durable for now.
    doubt: AtomicBool,
    waiting: AtomicUsize,
    /// Tells the poller that somebody waits for what nobody here may make.
    wanted: Notify,
}

impl Progress {
    pub fn new(position: u64) -> Self {
        Self {
            durable: watch::Sender::new(position),
            closed: AtomicBool::new(false),
            doubt: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
        }
    }

    pub fn check(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Another transaction sees a change when it is on the disk, and on the standby where that is asked for.
    pub fn seen(&self, position: u64) {
        if !self.doubt.load(Ordering::Acquire) {
            self.durable.send_if_modified(|known| std::mem::replace(known, position.max(*known)) < position);
        }
    }

    /// Up to where the ledger is known to be durable.
    pub fn durable(&self) -> u64 {
        *self.durable.borrow()
    }

    pub fn in_doubt(&self) -> bool {
        self.doubt.load(Ordering::Acquire)
    }

    pub fn doubt(&self, yes: bool) {
        self.doubt.store(yes, Ordering::Release);
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.durable.send_modify(|_| {});
        self.wanted.notify_one();
    }

    pub async fn wait(&self, position: u64) -> Result<(), StoreError> {
        self.check()?;
        let mut durable = self.durable.subscribe();
        if *durable.borrow_and_update() >= position {
            return Ok(());
        }
        let _waiting = Waiting::new(self);
        loop {
            self.check()?;
            if *durable.borrow_and_update() >= position {
                return Ok(());
            }
            durable.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    /// Returns when somebody waits.
    pub async fn wanted(&self) {
        while self.waiting.load(Ordering::Acquire) == 0 {
            self.wanted.notified().await;
        }
    }
}

/// Somebody who waits, counted until dropped.
struct Waiting<'a>(&'a Progress);

impl<'a> Waiting<'a> {
    fn new(progress: &'a Progress) -> Self {
        progress.waiting.fetch_add(1, Ordering::AcqRel);
        progress.wanted.notify_one();
        Self(progress)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
