//! How far the ledger is durable, and who waits for it.
//!
//! Waking a task of another thread's runtime costs a system call, waking one of one's own next to nothing. So waiters
//! stand in lots, one per thread as far as there are enough, and a flush wakes one waiter of each lot: when that one is
//! polled, on its own thread, it wakes the others that are due. Should it never be polled, its drop wakes them, or the
//! next flush wakes another, or the flusher, finding nothing to do, wakes all that are left.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::store::StoreError;

/// More than the threads that usually wait; a lot that two threads share is only a little slower.
const LOTS: usize = 32;

const OPEN: u8 = 0;
const FAILED: u8 = 1;
const CLOSED: u8 = 2;

pub(super) struct Progress {
    durable: AtomicU64,
    status: AtomicU8,
    tickets: AtomicU64,
    lots: [Mutex<Lot>; LOTS],
}

struct Lot {
    waiters: Vec<Waiter>,
    /// No waiter waits for less.
    lowest: u64,
}

struct Waiter {
    ticket: u64,
    position: u64,
    waker: Waker,
}

/// Every thread has one, given out in turn.
fn own_lot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % LOTS;
    }
    OWN.with(|own| *own)
}

impl Progress {
    pub fn new(durable: u64) -> Self {
        let lot = |_| Mutex::new(Lot { waiters: Vec::new(), lowest: u64::MAX });
        Self {
            durable: AtomicU64::new(durable),
            status: AtomicU8::new(OPEN),
            tickets: AtomicU64::new(0),
            lots: std::array::from_fn(lot),
        }
    }

    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Whether the store still takes calls.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.status.load(Ordering::Acquire) {
            OPEN => Ok(()),
            FAILED => Err(StoreError::Unavailable),
            _ => Err(StoreError::Closed),
        }
    }

    /// What a waiter for this position may be told by now, if anything.
    fn verdict(&self, position: u64) -> Option<Result<(), StoreError>> {
        if self.durable() >= position { Some(Ok(())) } else { self.check().err().map(Err) }
    }

    /// Publishes a durable position and wakes one waiter of each lot. Says whether others are due that it did not wake.
    pub fn advance(&self, position: u64) -> bool {
        self.durable.store(position, Ordering::Release);
        let mut left = false;
        for lot in &self.lots {
            // A waiter looks at the durable position under this lock before it stands in line, so none is overlooked.
            let mut lot = lock(lot);
            if lot.lowest > position {
                continue;
            }
            let mut due = lot.waiters.iter().enumerate().filter(|(_, waiter)| waiter.position <= position);
            let first = due.next().map(|(place, _)| place);
            left |= due.next().is_some();
            if let Some(place) = first {
                let waiter = lot.waiters.swap_remove(place);
                drop(lot);
                waiter.waker.wake();
            }
        }
        left
    }

    /// Wakes all that are due.
    pub fn wake_due(&self) {
        (0..LOTS).for_each(|place| self.wake_lot(place));
    }

    /// The disk has failed: nothing that is not durable by now will be said to be.
    pub fn fail(&self) {
        // A closed store stays closed.
        let _ = self.status.compare_exchange(OPEN, FAILED, Ordering::AcqRel, Ordering::Acquire);
        self.wake_due();
    }

    pub fn close(&self) {
        self.status.store(CLOSED, Ordering::Release);
        self.wake_due();
    }

    fn wake_lot(&self, place: usize) {
        let mut lot = lock(&self.lots[place]);
        let sound = self.check().is_ok();
        let durable = self.durable();
        if sound && lot.lowest > durable {
            return;
        }
        let all = mem::take(&mut lot.waiters);
        let (due, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|waiter| !sound || waiter.position <= durable);
        lot.lowest = rest.iter().map(|waiter| waiter.position).min().unwrap_or(u64::MAX);
        lot.waiters = rest;
        drop(lot);
        due.into_iter().for_each(|waiter| waiter.waker.wake());
    }
}

/// Ready when a position is durable, or never will be known to be.
pub(super) struct Durable<'a> {
    progress: &'a Progress,
    position: u64,
    /// The lot it stands in, and under which ticket.
    place: Option<(usize, u64)>,
}

impl<'a> Durable<'a> {
    pub fn new(progress: &'a Progress, position: u64) -> Self {
        Self { progress, position, place: None }
    }

    fn leave(&mut self) {
        let Some((place, ticket)) = self.place.take() else { return };
        lock(&self.progress.lots[place]).waiters.retain(|waiter| waiter.ticket != ticket);
        // It may have been the one that the flush woke for all.
        self.progress.wake_lot(place);
    }
}

impl Future for Durable<'_> {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let progress = self.progress;
        if let Some(verdict) = progress.verdict(self.position) {
            if let Some((place, _)) = self.place.take() {
                progress.wake_lot(place);
            }
            return Poll::Ready(verdict);
        }
        let (place, ticket) =
            self.place.unwrap_or_else(|| (own_lot(), progress.tickets.fetch_add(1, Ordering::Relaxed)));
        let mut lot = lock(&progress.lots[place]);
        if let Some(verdict) = progress.verdict(self.position) {
            drop(lot);
            self.leave();
            return Poll::Ready(verdict);
        }
        let position = self.position;
        // Who stands in line for the first time need not be looked for among hundreds.
        let known = self.place.and_then(|_| lot.waiters.iter_mut().find(|waiter| waiter.ticket == ticket));
        match known {
            Some(waiter) => waiter.waker.clone_from(context.waker()),
            None => lot.waiters.push(Waiter { ticket, position, waker: context.waker().clone() }),
        }
        lot.lowest = lot.lowest.min(position);
        drop(lot);
        self.place = Some((place, ticket));
        Poll::Pending
    }
}

impl Drop for Durable<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
