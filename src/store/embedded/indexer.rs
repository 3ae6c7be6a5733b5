//! The thread that brings the index up to date: much at a time, so that a fact that changes often is written seldom, and
//! rows are sorted in memory instead of in a tree.

use std::sync::{Arc, PoisonError};

use super::disk::Disk;
use super::flusher::{Guard, fail};
use super::pipeline::Queued;
use super::sorting::Sorting;
use super::{Shared, lock};

/// What a close still brings into the index: little work. More is left to the next start, which reads it
/// from the log as after a crash; a close that wrote all that may wait would keep whoever stops the program waiting.
const LAST_BYTES: usize = 8 << 20;

pub(super) fn run(shared: &Shared, disk: &Disk) {
    let _guard = Guard(shared);
    let mut sorting = Sorting::default();
    while let Some(batch) = next(shared) {
        if let Err(error) = disk.index(&batch, &mut sorting) {
            tracing::error!(dir = %shared.dir.display(), %error, "the index cannot be written any more");
            fail(shared);
            return;
        }
        settle(shared, &batch);
    }
}

/// Waits for enough to do. `None` when nothing more will come and what is left is nothing or much, or when nothing can be written
/// any more.
fn next(shared: &Shared) -> Option<Vec<Arc<Queued>>> {
    let mut pipeline = lock(&shared.pipeline);
    loop {
        if shared.progress.check().is_err() {
            return None;
        }
        if pipeline.flusher_ended && pipeline.unindexed_bytes() > LAST_BYTES {
            return None;
        }
        if pipeline.unindexed_bytes() >= shared.index_bytes || pipeline.flusher_ended {
            let batch = pipeline.unindexed(shared.index_bytes);
            return (!batch.is_empty()).then_some(batch);
        }
        pipeline = shared.index_work.wait(pipeline).unwrap_or_else(PoisonError::into_inner);
    }
}

/// The index has these: facts may leave the memory, list rows must.
fn settle(shared: &Shared, batch: &[Arc<Queued>]) {
    let Some(last) = batch.last().map(|last| last.head.position) else { return };
    let mut pipeline = lock(&shared.pipeline);
    // First of all, so that a list is read from the disk as far as rows leave the memory.
    pipeline.indexed_batch(batch.len());
    let low_water = pipeline.low_water();
    drop(pipeline);
    shared.room.notify_all();
    shared.view.forget(last, low_water);
    shared.rows.settle(last);
}
