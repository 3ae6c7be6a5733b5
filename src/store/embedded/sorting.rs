//! Rows of the index in the order of their keys. Hundreds of thousands are sorted at a time, so what is compared lies in the
//! rows themselves and not behind pointers.

use std::cmp::Ordering;
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::keeping::copied;
use super::pipeline::Queued;
use crate::store::{Key, ListKey, ListKind};

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
    /// The bytes of its name behind the first, or as many as there is room for.
    id: u128,
    pub change: u32,
    place: u32,
    kind: u8,
    /// The name is a kind and 16 bytes, so all of it is here.
    is_short: bool,
    /// Its bytes belong into the index; otherwise where they are.
    is_copied: bool,
}

/// Most names are a kind and an id of so many bytes.
const ID: usize = 16;

impl FactPlace {
    fn new(change: u32, place: u32, name: &[u8]) -> Self {
        let (kind, rest) = name.split_first().map_or((0, name), |(kind, rest)| (*kind, rest));
        let mut id = [0; ID];
        let length = rest.len().min(ID);
        id[..length].copy_from_slice(&rest[..length]);
        let is_copied = Key::from_bytes(name).is_some_and(|key| copied(&key));
        Self { id: u128::from_be_bytes(id), change, place, kind, is_short: rest.len() == ID, is_copied }
    }

    /// Its name, looked for in the batch only where it is long.
    pub fn name(&self, batch: &[Arc<Queued>]) -> ArrayVec<u8, 64> {
        let mut name = ArrayVec::new();
        if self.is_short {
            name.push(self.kind);
            name.extend(self.id.to_be_bytes());
        } else {
            name.extend(self.of(batch).0.iter().copied());
        }
        name
    }

    /// The bytes that the index copies; none where it says only in which change they are.
    pub fn copied<'b>(&self, batch: &'b [Arc<Queued>]) -> &'b [u8] {
        if self.is_copied { self.of(batch).1 } else { &[] }
    }

    fn of<'b>(&self, batch: &'b [Arc<Queued>]) -> (&'b [u8], &'b [u8]) {
        batch[self.change as usize].body.fact_at(self.place as usize)
    }

    fn order(&self) -> (u8, u128) {
        (self.kind, self.id)
    }
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
                let number = |number: usize| u32::try_from(number).expect("a batch is far smaller");
                self.facts.push(FactPlace::new(number(change), number(place), name));
            }
        }
        self.lists.sort_unstable_by_key(|row| (row.kind as u8, row.of, row.position));
        // The names of one kind are of one length; those of another than the usual one are compared whole.
        let rest = |one: &FactPlace, other: &FactPlace| match (one.is_short, other.is_short) {
            (true, true) => Ordering::Equal,
            _ => one.of(batch).0.cmp(other.of(batch).0),
        };
        // The newest of a name comes first, and stays.
        self.facts.sort_unstable_by(|one, other| {
            let names = one.order().cmp(&other.order()).then_with(|| rest(one, other));
            names.then(other.change.cmp(&one.change))
        });
        self.facts.dedup_by(|later, first| later.order() == first.order() && rest(later, first).is_eq());
    }
}
