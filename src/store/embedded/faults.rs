//! Faults on demand, for the suite: what a disk may do, without a disk that does it. A store without them pays one
//! uncontended lock per flush.

use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;

/// What the next flush meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// The flusher stops before it writes, until another fault is set.
    Paused,
    /// The write fails and nothing of it is kept.
    WriteFails,
    /// The bytes are written, the sync fails: they may or may not be there later.
    SyncFails,
    /// The flusher panics.
    Panics,
}

/// A handle kept by the test while the store runs.
#[derive(Debug, Default)]
pub struct Faults {
    fault: Mutex<Fault>,
    changed: Condvar,
}

impl Faults {
    /// From the next flush on.
    pub fn set(&self, fault: Fault) {
        *lock(&self.fault) = fault;
        self.changed.notify_all();
    }

    /// Waits out a pause, then tells what to meet.
    pub(super) fn meet(&self) -> Fault {
        let guard = lock(&self.fault);
        let paused = |fault: &mut Fault| *fault == Fault::Paused;
        *self.changed.wait_while(guard, paused).unwrap_or_else(PoisonError::into_inner)
    }
}
