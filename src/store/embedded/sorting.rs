//! Rows of the index in the order of their keys. Hundreds of thousands are sorted at a time, so what is compared lies in the
//! rows themselves and not behind pointers.

use std::sync::Arc;

use super::pipeline::Queued;
use crate::store::{ListKey, ListKind};

/// The rows of a batch of changes; kept for the next one, since so much memory is dear to get anew.
#[derive(Default)]
pub(super) struct Sorting {
    pub lists: Vec<ListPlace>,
    pub facts: Vec<FactPlace>,
}

#[derive(Clone, Copy)]
pub(super) struct ListPlace {
    of: u128,
    pub subject: u128,
    pub position: u64,
    kind: ListKind,
}

impl ListPlace {
    pub fn list(&self) -> ListKey {
        ListKey { kind: self.kind, of: self.of.to_be_bytes() }
    }
}

/// Where a fact lies: in which change of the batch, at which place.
#[derive(Clone, Copy)]
pub(super) struct FactPlace {
    /// The first bytes of its name.
    begins: u128,
    pub change: u32,
    pub place: u32,
}

impl Sorting {
    /// Takes the rows of a batch, sorted; of a fact that changed more than once, the newest.
    pub fn fill(&mut self, batch: &[Arc<Queued>]) {
        self.lists.clear();
        self.facts.clear();
        for (change, queued) in batch.iter().enumerate() {
            let position = queued.head.position;
            let row = |(list, subject): (ListKey, u128)| ListPlace {
                of: u128::from_be_bytes(list.of),
                subject,
                position,
                kind: list.kind,
            };
            self.lists.extend(queued.body.lists().map(row));
            for (place, name) in queued.body.names().enumerate() {
                let mut begins = [0; 16];
                let length = name.len().min(begins.len());
                begins[..length].copy_from_slice(&name[..length]);
                self.facts.push(FactPlace {
                    begins: u128::from_be_bytes(begins),
                    change: u32::try_from(change).unwrap_or(u32::MAX),
                    place: u32::try_from(place).unwrap_or(u32::MAX),
                });
            }
        }
        self.lists.sort_unstable_by_key(|row| (row.kind as u8, row.of, row.position));
        let name = |fact: &FactPlace| batch[fact.change as usize].body.fact_at(fact.place as usize).0;
        let same = |one: &FactPlace, other: &FactPlace| one.begins == other.begins && name(one) == name(other);
        // The newest of a name comes first, and stays.
        let newest =
            |one: &FactPlace, other: &FactPlace| name(one).cmp(name(other)).then(other.change.cmp(&one.change));
        self.facts.sort_unstable_by(|one, other| one.begins.cmp(&other.begins).then_with(|| newest(one, other)));
        self.facts.dedup_by(|later, first| same(later, first));
    }
}
