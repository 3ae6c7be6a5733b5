//! The list rows that are not in the index on the disk yet, by list.
//!
//! They lie in generations, each of the rows of changes that follow each other, and leave by whole generations when the
//! index has all of one: to look for each row again, to take it away, costs as much as to put it there. What a generation
//! has although the index has it too is left out by who asks, who knows how far the index reaches.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;

use crate::store::folding::Folding;
use crate::store::{ListKey, ListRow};

/// Rows of one generation: as many as a table of 2^17 lists takes without growing.
const GENERATION: usize = 114_688;

/// See the module.
pub(super) struct Rows {
    hasher: Folding,
    /// The oldest first. Written to by one commit at a time, which has the pipeline.
    generations: RwLock<VecDeque<Generation>>,
}

/// Lists lie one behind the other as they come, and the table holds only their places: so small, it stays near the processor,
/// and most lists are new.
struct Generation {
    places: HashTable<u32>,
    lists: Vec<(ListKey, Few)>,
    rows: usize,
    /// The position of its last row.
    last: u64,
}

impl Generation {
    fn new() -> Self {
        let places = HashTable::with_capacity(GENERATION);
        Self { places, lists: Vec::with_capacity(GENERATION), rows: 0, last: 0 }
    }

    fn push(&mut self, hasher: &Folding, list: ListKey, row: ListRow) {
        let Self { places, lists, .. } = self;
        let hash = hasher.hash_one(list);
        match places.find(hash, |place| lists[*place as usize].0 == list) {
            Some(place) => lists[*place as usize].1.push(row),
            None => {
                let place = u32::try_from(lists.len()).expect("a generation is bounded");
                lists.push((list, Few::One(row)));
                places.insert_unique(hash, place, |place| hasher.hash_one(lists[*place as usize].0));
            }
        }
    }

    fn rows(&self, hasher: &Folding, list: &ListKey) -> &[ListRow] {
        let found = self.places.find(hasher.hash_one(list), |place| self.lists[*place as usize].0 == *list);
        found.map_or(&[], |place| self.lists[*place as usize].1.rows())
    }
}

/// Rows of one list in order: nearly always one.
enum Few {
    One(ListRow),
    More(Vec<ListRow>),
}

impl Few {
    fn push(&mut self, row: ListRow) {
        match self {
            Self::One(first) => *self = Self::More(vec![*first, row]),
            Self::More(rows) => rows.push(row),
        }
    }

    fn rows(&self) -> &[ListRow] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::More(rows) => rows,
        }
    }
}

impl Rows {
    pub fn new() -> Self {
        Self { hasher: Folding::new(RandomState::new().hash_one(GENERATION)), generations: RwLock::default() }
    }

    /// Rows of one change; changes come in order.
    pub fn push(&self, position: u64, lists: impl ExactSizeIterator<Item = (ListKey, u128)>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        if generations.back().is_none_or(|last| last.rows + lists.len() > GENERATION) {
            generations.push_back(Generation::new());
        }
        let Some(generation) = generations.back_mut() else { return };
        generation.rows += lists.len();
        for (list, subject) in lists {
            generation.push(&self.hasher, list, ListRow { position, subject });
        }
        generation.last = position;
    }

    /// The index on the disk has the rows of every list up to here.
    pub fn settle(&self, position: u64) {
        let mut settled = Vec::new();
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        // The last one is still being filled.
        while generations.len() > 1 && generations.front().is_some_and(|first| first.last <= position) {
            settled.extend(generations.pop_front());
        }
        // Dropped without the lock.
        drop(generations);
        drop(settled);
    }

    /// Rows with `after < position <= until`, at most `limit`.
    pub fn of(&self, list: &ListKey, after: u64, until: u64, limit: usize) -> Vec<ListRow> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        let found = generations
            .iter()
            .map(|generation| generation.rows(&self.hasher, list))
            .flat_map(|rows| rows[rows.partition_point(|row| row.position <= after)..].iter());
        found.take_while(|row| row.position <= until).take(limit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ListKind;

    fn list(number: u64) -> ListKey {
        ListKey { kind: ListKind::AccountEntries, of: u128::from(number).to_be_bytes() }
    }

    #[test]
    fn rows_are_found_across_generations_and_leave_with_them() {
        let rows = Rows::new();
        let most = GENERATION as u64 * 2;
        for position in 1..=most {
            // One list of all, and one of this change alone.
            rows.push(position, [(list(0), 7), (list(position), 8)].into_iter());
        }
        let found = |after, until, limit| {
            let rows = rows.of(&list(0), after, until, limit);
            rows.iter().map(|row| row.position).collect::<Vec<_>>()
        };
        assert_eq!(found(0, most, 3), [1, 2, 3]);
        assert_eq!(found(most / 2 - 2, most / 2 + 2, 9), [most / 2 - 1, most / 2, most / 2 + 1, most / 2 + 2]);
        assert_eq!(rows.of(&list(5), 0, most, 9), [ListRow { position: 5, subject: 8 }]);
        assert_eq!(rows.of(&list(5), 5, most, 9), []);
        rows.settle(most / 2);
        assert_eq!(rows.of(&list(5), 0, most, 9), [], "its generation is gone");
        assert_eq!(found(most / 2, most, 1), [most / 2 + 1], "what is not settled stays");
        rows.settle(most);
        assert_eq!(found(most - 1, most, 9), [most], "the last generation is still being filled");
    }
}
