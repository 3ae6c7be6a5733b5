//! Where changes get their verdict and their position, and wait for the disk. One mutex guards all of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::horizon::Horizon;
use super::keeping::read_again;
use super::row::{self, Body, Room};
use super::shard::{AtHand, at_hand};
use super::view::View;
use crate::domain::time::Moment;
use crate::store::tables::Spot;
use crate::store::{Change, CommitError, Committed, Head, Key, ListKey, StoreError, StoredRecord};

pub(super) struct Pipeline {
    head: Head,
    horizon: Horizon,
    /// Applied and not yet flushed, in order; what the flusher writes stays here until it is durable.
    queue: VecDeque<Arc<Queued>>,
    queued_bytes: usize,
    /// Durable and not yet in the index, in order.
    unindexed: VecDeque<Arc<Queued>>,
    unindexed_bytes: usize,
    /// No more commits; the flusher ends when the queue is empty, the indexer after it.
    pub closing: bool,
    /// The flusher sleeps and wants to be told.
    pub flusher_idle: bool,
    /// The flusher has ended: nothing more becomes durable.
    pub flusher_ended: bool,
}

/// A change with its row encoded, before its verdict.
pub(super) struct Prepared {
    change: Change,
    body: Body,
    /// Where what it expects lies, in that order.
    expected: Vec<Spot>,
    /// What it puts; without the fact where that is to be read from the row.
    puts: Puts,
}

pub(super) type Puts = Vec<(Spot, Option<AtHand>)>;

/// An applied change on its way to the disk.
pub(super) struct Queued {
    pub head: Head,
    pub content_hash: [u8; 32],
    pub body: Body,
}

impl Prepared {
    /// Encodes in a room at hand.
    pub fn new(mut change: Change, view: &View, room: &mut Room) -> Self {
        // A list has one row per position: the last one given.
        let mut lists: Vec<(ListKey, u128)> = Vec::with_capacity(change.lists.len());
        for (list, subject) in std::mem::take(&mut change.lists) {
            match lists.iter_mut().find(|(other, _)| *other == list) {
                Some(row) => row.1 = subject,
                None => lists.push((list, subject)),
            }
        }
        let body = Body::of(&change, &lists, room);
        let puts = std::mem::take(&mut change.puts).into_iter();
        // Dropped here, outside the lock and while it is at hand, not when the index is written.
        let put = |(key, entity)| (view.spot(&key), read_again(&key).then(|| at_hand(&key, entity, room.bytes())));
        let puts = puts.map(put).collect();
        let expected = change.expects.iter().map(|(key, _)| view.spot(key)).collect();
        Self { change, body, expected, puts }
    }
}

impl Queued {
    /// About what it costs in memory beside its bytes: keys, lengths and the like.
    fn bytes(&self) -> usize {
        self.body.len() + 512
    }

    pub fn record(&self) -> StoredRecord {
        row::stored(&self.head, &self.content_hash, &self.body)
    }
}

impl Pipeline {
    pub fn new(head: Head, recent_keys: usize) -> Self {
        Self {
            head,
            horizon: Horizon::new(head.position, recent_keys),
            queue: VecDeque::new(),
            queued_bytes: 0,
            unindexed: VecDeque::new(),
            unindexed_bytes: 0,
            closing: false,
            flusher_idle: false,
            flusher_ended: false,
        }
    }

    pub fn head(&self) -> Head {
        self.head
    }

    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub fn unindexed_bytes(&self) -> usize {
        self.unindexed_bytes
    }

    /// Everything up to here has been flushed.
    fn flushed(&self) -> u64 {
        self.queue.front().map_or(self.head.position, |first| first.head.position - 1)
    }

    /// No commit need be compared with what changed up to here.
    pub fn low_water(&self) -> u64 {
        self.horizon.low_water()
    }

    /// The index on the disk reaches at least to here.
    pub fn indexed(&self) -> u64 {
        self.unindexed.front().map_or_else(|| self.flushed(), |first| first.head.position - 1)
    }

    /// Whether everything that was applied is on the disk.
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the flusher must be told; asked once per commit. Telling costs a system call, so a busy one is not told.
    pub fn wants_flusher(&mut self) -> bool {
        !self.queue.is_empty() && std::mem::take(&mut self.flusher_idle)
    }

    /// Judges a change by what is in memory and, if it holds, makes it true: `show` must make its facts and list rows visible.
    pub fn apply(
        &mut self,
        prepared: Prepared,
        now: Moment,
        view: &View,
        show: impl FnOnce(Puts, &Arc<Queued>),
    ) -> Result<Committed, CommitError> {
        if self.closing {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        let Prepared { change, body, expected, puts } = prepared;
        let Change { began_at, expects, puts: _, content_hash, before, record: _, lists: _ } = change;
        for ((key, version), spot) in expects.iter().zip(&expected) {
            let known = view.version(spot);
            if !known.map_or_else(|| self.horizon.holds(*version, began_at), |known| known == *version) {
                // A request that is merely too long ago to be judged is no duplicate.
                let taken = matches!(key, Key::Request(_)) && known.is_some();
                return Err(if taken { CommitError::Duplicate } else { CommitError::Conflict });
            }
        }
        let head = self.head.next(&content_hash, now);
        if before.is_some_and(|end| head.at >= end) {
            return Err(CommitError::Conflict);
        }
        self.horizon.note(puts.len(), head.position);
        let queued = Arc::new(Queued { head, content_hash, body });
        show(puts, &queued);
        self.append(queued);
        Ok(Committed { position: head.position, at: head.at })
    }

    /// Takes in a change that the disk has and the index does not; in order, before anything is applied.
    pub fn restore(&mut self, queued: Arc<Queued>) {
        self.unindexed_bytes += queued.bytes();
        self.unindexed.push_back(queued);
    }

    /// Takes in a change that was judged elsewhere and follows the head.
    pub fn append(&mut self, queued: Arc<Queued>) {
        self.queued_bytes += queued.bytes();
        self.head = queued.head;
        self.queue.push_back(queued);
    }

    /// The next changes to write, oldest first: about `bytes` of them, and one at least if there is one.
    pub fn batch(&self, bytes: usize) -> Vec<Arc<Queued>> {
        first(&self.queue, bytes)
    }

    /// The oldest changes of the queue are on the disk, and wait for the index.
    pub fn flushed_batch(&mut self, changes: usize) {
        for queued in self.queue.drain(..changes) {
            self.queued_bytes -= queued.bytes();
            self.unindexed_bytes += queued.bytes();
            self.unindexed.push_back(queued);
        }
    }

    /// The next changes to index, oldest first: about `bytes` of them.
    pub fn unindexed(&self, bytes: usize) -> Vec<Arc<Queued>> {
        first(&self.unindexed, bytes)
    }

    /// The oldest of them are in the index.
    pub fn indexed_batch(&mut self, changes: usize) {
        for queued in self.unindexed.drain(..changes) {
            self.unindexed_bytes -= queued.bytes();
        }
    }

    /// Takes in a change that was judged elsewhere and follows the head; others may have seen the store before.
    pub fn take_in(&mut self, queued: Arc<Queued>) {
        self.horizon.note(queued.body.count(), queued.head.position);
        self.append(queued);
    }

    /// Up to where the disk has the changes, and those after it.
    pub fn queued_from(&self, from: u64, limit: usize) -> (u64, Vec<Arc<Queued>>) {
        let flushed = self.flushed();
        let skip = usize::try_from(from.saturating_sub(flushed + 1)).unwrap_or(usize::MAX);
        (flushed, self.queue.iter().skip(skip).take(limit).cloned().collect())
    }

    /// Up to where the disk has the records, and those after it.
    pub fn queued_records(&self, from: u64, limit: usize) -> (u64, Vec<StoredRecord>) {
        let (flushed, queued) = self.queued_from(from, limit);
        (flushed, queued.iter().map(|queued| queued.record()).collect())
    }
}

/// The first of a queue: about `bytes` of them, and one at least if there is one.
fn first(queue: &VecDeque<Arc<Queued>>, bytes: usize) -> Vec<Arc<Queued>> {
    let mut sum = 0_usize;
    let fits = |queued: &&Arc<Queued>| {
        let before = sum;
        sum += queued.bytes();
        before < bytes
    };
    queue.iter().take_while(fits).cloned().collect()
}
