//! Where changes get their verdict and their position, and wait for the disk. One mutex guards all of it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::recent::Recent;
use crate::domain::time::Moment;
use crate::store::{
    Change, CommitError, Committed, Entity, Head, Key, ListKey, ListRow, StoreError, StoredRecord, record,
};

pub(super) struct Pipeline {
    head: Head,
    recent: Recent,
    /// Applied and not yet flushed, in order; what the flusher writes stays here until it is durable.
    queue: VecDeque<Arc<Queued>>,
    queued_bytes: usize,
    /// No more commits; the flusher ends when the queue is empty.
    pub closing: bool,
    /// The flusher sleeps and wants to be told.
    pub flusher_idle: bool,
}

/// A change with its facts encoded, before its verdict.
pub(super) struct Prepared {
    change: Change,
    facts: Vec<(Key, Vec<u8>)>,
}

/// An applied change on its way to the disk.
pub(super) struct Queued {
    pub head: Head,
    pub content_hash: [u8; 32],
    pub record: Vec<u8>,
    pub facts: Vec<(Key, Vec<u8>)>,
    pub lists: Vec<(ListKey, u128)>,
    bytes: usize,
}

impl Prepared {
    pub fn new(mut change: Change) -> Self {
        let facts = change.puts.iter().map(|(key, entity)| (*key, record::encode_entity(entity))).collect();
        // A list has one row per position: the last one given.
        if change.lists.len() > 1 {
            let mut kept: Vec<(ListKey, u128)> = Vec::with_capacity(change.lists.len());
            for (list, subject) in change.lists {
                match kept.iter_mut().find(|(other, _)| *other == list) {
                    Some(row) => row.1 = subject,
                    None => kept.push((list, subject)),
                }
            }
            change.lists = kept;
        }
        Self { change, facts }
    }
}

impl Queued {
    fn stored(&self) -> StoredRecord {
        StoredRecord {
            position: self.head.position,
            at: self.head.at,
            content_hash: self.content_hash,
            link: self.head.link,
            bytes: self.record.clone(),
        }
    }
}

impl Pipeline {
    pub fn new(head: Head, recent_keys: usize) -> Self {
        Self {
            head,
            recent: Recent::new(head.position, recent_keys),
            queue: VecDeque::new(),
            queued_bytes: 0,
            closing: false,
            flusher_idle: false,
        }
    }

    pub fn head(&self) -> Head {
        self.head
    }

    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Everything up to here has been flushed.
    fn flushed(&self) -> u64 {
        self.queue.front().map_or(self.head.position, |first| first.head.position - 1)
    }

    /// Whether the flusher must be told; asked once per commit. Telling costs a system call, so a busy one is not told.
    pub fn wants_flusher(&mut self) -> bool {
        !self.queue.is_empty() && std::mem::take(&mut self.flusher_idle)
    }

    /// Judges a change and, if it holds, makes it true: `show` must make its facts visible to loads.
    pub fn apply(
        &mut self,
        prepared: Prepared,
        now: Moment,
        show: impl FnOnce(Vec<(Key, Entity)>, u64),
    ) -> Result<Committed, CommitError> {
        if self.closing {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        let Prepared { change, facts } = prepared;
        let Change { began_at, expects, puts, record, content_hash, lists } = change;
        for (key, version) in &expects {
            if !self.recent.holds(key, *version, began_at) {
                // A request that is merely too long ago to be judged is no duplicate.
                let taken = matches!(key, Key::Request(_)) && self.recent.knows(key);
                return Err(if taken { CommitError::Duplicate } else { CommitError::Conflict });
            }
        }
        let head = self.head.next(&content_hash, now);
        for (key, _) in &puts {
            self.recent.note(*key, head.position);
        }
        // Keys, lengths and the like: about what a row costs beside its bytes.
        let bytes =
            record.len() + 120 + facts.iter().map(|(_, bytes)| bytes.len() + 48).sum::<usize>() + lists.len() * 64;
        self.queue.push_back(Arc::new(Queued { head, content_hash, record, facts, lists, bytes }));
        self.queued_bytes += bytes;
        self.head = head;
        show(puts, head.position);
        Ok(Committed { position: head.position, at: head.at })
    }

    /// The next changes to write, oldest first: about `bytes` of them, and one at least if there is one.
    pub fn batch(&self, bytes: usize) -> Vec<Arc<Queued>> {
        let mut sum = 0_usize;
        let fits = |queued: &&Arc<Queued>| {
            let before = sum;
            sum += queued.bytes;
            before < bytes
        };
        self.queue.iter().take_while(fits).cloned().collect()
    }

    /// The oldest changes of the queue are on the disk.
    pub fn flushed_batch(&mut self, changes: usize) {
        for queued in self.queue.drain(..changes) {
            self.queued_bytes -= queued.bytes;
        }
    }

    /// Up to where the disk has the records, and those after it.
    pub fn queued_records(&self, from: u64, limit: usize) -> (u64, Vec<StoredRecord>) {
        let flushed = self.flushed();
        let skip = usize::try_from(from.saturating_sub(flushed + 1)).unwrap_or(usize::MAX);
        (flushed, self.queue.iter().skip(skip).take(limit).map(|queued| queued.stored()).collect())
    }

    /// Up to where the disk has the rows of a list, and those after it.
    pub fn queued_rows(&self, key: ListKey, after: u64, until: u64, limit: usize) -> (u64, Vec<ListRow>) {
        let flushed = self.flushed();
        let skip = usize::try_from(after.saturating_sub(flushed)).unwrap_or(usize::MAX);
        let rows = self.queue.iter().skip(skip).take_while(|queued| queued.head.position <= until).flat_map(|queued| {
            let rows = queued.lists.iter().filter(|(list, _)| *list == key);
            rows.map(|(_, subject)| ListRow { position: queued.head.position, subject: *subject })
        });
        (flushed, rows.take(limit).collect())
    }
}
