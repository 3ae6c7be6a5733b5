//! The door for whole data sets. Nobody's data live here for long, so nothing is kept by change: every page that is handed
//! out is looked for in all facts and lists.

use std::future::ready;
use std::sync::atomic::Ordering;

use super::{Ledger, MemoryStore, Slot, lock};
use crate::store::kept::{KeptChange, Portable, TakeError, heads};
use crate::store::record::{decode_entity, encode_entity};
use crate::store::{ListRow, StoreError, StoreFuture};

impl MemoryStore {
    /// `ledger` is held so that nothing changes meanwhile.
    fn kept(&self, ledger: &Ledger, from: u64, limit: usize) -> Result<Vec<KeptChange>, StoreError> {
        self.open()?;
        let from = from.max(1);
        let records = ledger.page(from, limit);
        let mut changes: Vec<KeptChange> =
            records.map(|record| KeptChange { record, facts: Vec::new(), lists: Vec::new() }).collect();
        let place = |position: u64| position.checked_sub(from).and_then(|place| usize::try_from(place).ok());
        for shard in &self.facts {
            for (key, (version, slot)) in lock(shard).iter() {
                if let Some(change) = place(*version).and_then(|place| changes.get_mut(place)) {
                    change.facts.push((*key, encode_entity(&slot.entity()?)));
                }
            }
        }
        for shard in &self.lists {
            for (list, rows) in lock(shard).iter() {
                let first = rows.partition_point(|row| row.position < from);
                for row in &rows[first..] {
                    let Some(change) = place(row.position).and_then(|place| changes.get_mut(place)) else { break };
                    change.lists.push((*list, row.subject));
                }
            }
        }
        Ok(changes)
    }

    fn take_in(&self, changes: Vec<KeptChange>) -> Result<(), TakeError> {
        let mut ledger = lock(&self.ledger);
        self.open()?;
        let heads = heads(ledger.head, &changes)?;
        if heads.last().is_some_and(|head| head.position > self.records_max) {
            return Err(StoreError::Full.into());
        }
        let mut room = Vec::new();
        for (change, head) in changes.into_iter().zip(heads) {
            let KeptChange { record, facts, lists } = change;
            for (key, bytes) in facts {
                let slot = Slot::of(&key, decode_entity(&bytes).map_err(StoreError::from)?, &mut room);
                self.shard(&key).insert(key, (head.position, slot));
            }
            for (list, subject) in lists {
                let mut lists = lock(&self.lists[self.shard_of(&list)]);
                lists.entry(list).or_default().push(ListRow { position: head.position, subject });
            }
            ledger.push(record);
            ledger.head = head;
            self.position.store(head.position, Ordering::Release);
        }
        drop(ledger);
        self.moved.notify_waiters();
        Ok(())
    }
}

impl Portable for MemoryStore {
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        Box::pin(ready(self.kept(&lock(&self.ledger), from, limit)))
    }

    fn take(&self, changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>> {
        Box::pin(ready(self.take_in(changes)))
    }
}
