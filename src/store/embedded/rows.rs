//! The list rows that are not in the index on the disk yet, by list.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard};

use foldhash::fast::RandomState;

use super::lock;
use crate::store::{ListKey, ListRow};

const SHARDS: usize = 64;

type Table = HashMap<ListKey, VecDeque<ListRow>, RandomState>;

pub(super) struct Rows {
    shards: Vec<Mutex<Table>>,
    hasher: RandomState,
}

impl Rows {
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }

    fn shard(&self, list: &ListKey) -> MutexGuard<'_, Table> {
        let place = usize::try_from(self.hasher.hash_one(list) >> 32).unwrap_or_default() % SHARDS;
        lock(&self.shards[place])
    }

    /// Rows of one change; changes come in order.
    pub fn push(&self, position: u64, lists: &[(ListKey, u128)]) {
        for (list, subject) in lists {
            self.shard(list).entry(*list).or_default().push_back(ListRow { position, subject: *subject });
        }
    }

    /// The disk has the rows of a list up to here.
    pub fn settle(&self, list: &ListKey, position: u64) {
        let mut shard = self.shard(list);
        let Some(rows) = shard.get_mut(list) else { return };
        while rows.pop_front_if(|row| row.position <= position).is_some() {}
        if rows.is_empty() {
            shard.remove(list);
        }
    }

    /// Rows with `after < position <= until`, at most `limit`.
    pub fn of(&self, list: &ListKey, after: u64, until: u64, limit: usize) -> Vec<ListRow> {
        let shard = self.shard(list);
        let Some(rows) = shard.get(list) else { return Vec::new() };
        let first = rows.partition_point(|row| row.position <= after);
        rows.range(first..).take_while(|row| row.position <= until).take(limit).copied().collect()
    }
}
