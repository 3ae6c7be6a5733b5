//! The door for whole data sets. Nobody's data live here for long, so nothing is kept by change: every page that is handed
//! out is looked for in all facts and lists.

use std::future::ready;

use super::table::{Known, Span, known, put};
use super::{Ledger, MemoryStore, lock};
use crate::store::codec::DecodeError;
use crate::store::kept::{KeptChange, Portable, TakeError, heads};
use crate::store::record::{decode_entity, encode_entity};
use crate::store::{StoreError, StoreFuture};

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
            for (key, version, found) in lock(shard).iter() {
                if let Some(change) = place(version).and_then(|place| changes.get_mut(place)) {
                    let bytes = match known(found)? {
                        Known::Whole(entity) => encode_entity(&entity),
                        Known::InBody(span) => {
                            let body = ledger.bytes(version).ok_or(StoreError::Corrupt(DecodeError::Short))?;
                            span.of(&body).to_vec()
                        }
                    };
                    change.facts.push((key, bytes));
                }
            }
        }
        for shard in &self.lists {
            for (list, rows) in lock(shard).iter() {
                for row in rows.after(from - 1) {
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
        let (mut room, mut replaced) = (Vec::new(), Vec::new());
        for (change, head) in changes.into_iter().zip(heads) {
            let KeptChange { record, facts, lists } = change;
            room.clear();
            let of_record = Span::written(&mut room, |room| room.extend_from_slice(&record.bytes));
            let mut puts = Vec::with_capacity(facts.len());
            for (key, bytes) in facts {
                let entity = decode_entity(&bytes).map_err(StoreError::from)?;
                puts.push((self.spot(&key), put(&key, entity, &mut room)));
            }
            let body = (record.content_hash, room.as_slice().into(), of_record);
            self.write(&mut ledger, head, body, puts, self.rows(lists), &mut replaced);
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
