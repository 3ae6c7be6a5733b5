//! The one thread that writes: takes all that waits, one batch, one sync, then tells.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::disk::{Disk, Durability};
use super::faults::Fault;
use super::pipeline::{Pipeline, Queued};
use super::{Shared, lock};
use crate::metrics::Stopwatch;

/// One batch is held in memory twice; more at once would not make it cheaper.
const BATCH_BYTES: usize = 8 << 20;

/// A sync costs the processor something whatever it is of, and so does waking those who waited for it: while many settle at
/// once it is worth letting more come. So where the last batch was at least so large …
const BUSY: usize = 8;

/// … the next one is begun when so long nothing more has come …
const LULL: Duration = Duration::from_micros(300);

/// … and after so many such waits at the latest.
const LULLS_MAX: u32 = 8;

/// How long due waiters are left to be woken by one of their own thread, when there is nothing else to do.
const PATIENCE: Duration = Duration::from_millis(2);

/// Fails the store when a thread of its ends by a panic.
pub(super) struct Guard<'a>(pub &'a Shared);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            fail(self.0);
        }
    }
}

pub(super) fn fail(shared: &Shared) {
    shared.progress.fail();
    // Taken and let go, so that a commit between its check and its wait has begun to wait.
    drop(lock(&shared.pipeline));
    shared.room.notify_all();
}

pub(super) fn run(shared: &Shared, disk: &Disk) {
    let _ended = Ended(shared);
    let _guard = Guard(shared);
    let (mut waiters_left, mut last) = (false, 0);
    while let Some(batch) = next(shared, waiters_left, last >= BUSY) {
        last = batch.len();
        let watch = Stopwatch::start();
        if let Err(error) = write(shared, disk, &batch) {
            tracing::error!(dir = %shared.dir.display(), %error, "the ledger cannot be written any more");
            fail(shared);
            return;
        }
        shared.groups.saw(batch.len(), watch.micros());
        waiters_left = tell(shared, &batch);
    }
    if let Err(error) = disk.sync() {
        tracing::error!(dir = %shared.dir.display(), %error, "the last sync failed");
        fail(shared);
    }
}

/// Tells the indexer when the flusher has ended, however it did.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.0.pipeline).flusher_ended = true;
        self.0.index_work.notify_all();
    }
}

/// Waits for something to write. `None` when the store is closing and all is written.
fn next(shared: &Shared, mut waiters_left: bool, busy: bool) -> Option<Vec<Arc<Queued>>> {
    let mut pipeline = lock(&shared.pipeline);
    loop {
        if !pipeline.is_flushed() {
            let pipeline = if busy { gather(shared, pipeline) } else { pipeline };
            return Some(pipeline.batch(BATCH_BYTES));
        }
        if pipeline.closing {
            return None;
        }
        pipeline.flusher_idle = true;
        if waiters_left {
            let (guard, timeout) = shared.work.wait_timeout(pipeline, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            pipeline = guard;
            if timeout.timed_out() {
                drop(pipeline);
                shared.progress.wake_due();
                waiters_left = false;
                pipeline = lock(&shared.pipeline);
            }
        } else {
            pipeline = shared.work.wait(pipeline).unwrap_or_else(PoisonError::into_inner);
        }
        pipeline.flusher_idle = false;
    }
}

/// Lets more come, as long as it does come.
fn gather<'a>(shared: &'a Shared, mut pipeline: MutexGuard<'a, Pipeline>) -> MutexGuard<'a, Pipeline> {
    let mut seen = 0;
    for _ in 0..LULLS_MAX {
        let queued = pipeline.queued_bytes();
        if queued == seen || queued >= BATCH_BYTES || pipeline.closing {
            break;
        }
        seen = queued;
        drop(pipeline);
        std::thread::sleep(LULL);
        pipeline = lock(&shared.pipeline);
    }
    pipeline
}

fn write(shared: &Shared, disk: &Disk, batch: &[Arc<Queued>]) -> fjall::Result<()> {
    disk.wait_for_worker(|| lock(&shared.pipeline).closing)?;
    let failed = || Err(fjall::Error::Io(std::io::Error::other("a fault was asked for")));
    match shared.faults.meet() {
        Fault::None | Fault::Paused => disk.write(batch, Durability::Synced),
        Fault::WriteFails => failed(),
        Fault::SyncFails => disk.write(batch, Durability::Written).and_then(|()| failed()),
        Fault::Panics => panic!("a fault was asked for"),
    }
}

/// The batch is durable. Says whether waiters are due that were not woken.
fn tell(shared: &Shared, batch: &[Arc<Queued>]) -> bool {
    let left = batch.last().is_some_and(|last| shared.progress.advance(last.head.position));
    let mut pipeline = lock(&shared.pipeline);
    pipeline.flushed_batch(batch.len());
    let index = pipeline.unindexed_bytes() >= shared.index_bytes;
    drop(pipeline);
    shared.room.notify_all();
    if index {
        shared.index_work.notify_one();
    }
    left
}
