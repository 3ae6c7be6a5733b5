//! The door for whole data sets: rows of changes out, and rows of another data set in.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::keeping::read_again;
use super::pipeline::Queued;
use super::row::{self, Body};
use super::shard::at_hand;
use super::{EmbeddedStore, Shared, lock};
use crate::store::kept::{KeptChange, Portable, TakeError, heads};
use crate::store::{StoreError, StoreFuture, record};

impl Shared {
    fn changes(&self, from: u64, limit: usize) -> Result<Vec<KeptChange>, StoreError> {
        let disk = self.disk()?;
        let from = from.max(1);
        let (flushed, mut queued) = lock(&self.pipeline).queued_from(from, limit);
        let rows = if from <= flushed { disk.get().rows(from, flushed, limit)? } else { Vec::new() };
        let read = rows.iter().zip(from..).map(|(row, position)| row::read_change(position, row));
        let mut changes: Vec<KeptChange> = read.collect::<Result<_, _>>()?;
        queued.truncate(limit - changes.len());
        changes.extend(queued.iter().map(|queued| row::kept(queued.record(), &queued.body)));
        Ok(changes)
    }

    fn take(&self, changes: &[KeptChange]) -> Result<(), TakeError> {
        let bodies: Vec<Body> = changes.iter().map(Body::kept).collect();
        let mut pipeline = self.wait_for_room(lock(&self.pipeline));
        self.progress.check()?;
        if pipeline.closing {
            return Err(StoreError::Closed.into());
        }
        let heads = heads(pipeline.head(), changes)?;
        let mut room = Vec::new();
        for ((head, change), body) in heads.into_iter().zip(changes).zip(bodies) {
            let queued = Arc::new(Queued { head, content_hash: change.record.content_hash, body });
            self.rows.push(head.position, queued.body.lists());
            self.view.count(queued.body.count());
            for (key, bytes) in queued.body.facts() {
                let entity = record::decode_entity(bytes).map_err(StoreError::from)?;
                let at_hand = read_again(&key).then(|| at_hand(&key, entity, &mut room));
                self.view.pin(&self.view.spot(&key), at_hand, &queued);
            }
            pipeline.take_in(queued);
            self.applied.store(head.position, Ordering::Release);
        }
        if pipeline.wants_flusher() {
            self.work.notify_one();
        }
        Ok(())
    }
}

impl Portable for EmbeddedStore {
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        Box::pin(ready(self.shared.changes(from, limit)))
    }

    fn take(&self, changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>> {
        Box::pin(ready(self.shared.take(&changes)))
    }
}
