//! Which keys changed lately, and to which version: what a commit compares expectations with, without reading a disk
//! or asking a database.

use std::collections::HashMap;
use std::mem;

use foldhash::fast::RandomState;

use crate::store::Key;

/// Two generations of bounded size. When the young one is full the old one is forgotten, and with it the right to judge
/// a change whose look began before the old one ended.
pub(super) struct Recent {
    young: HashMap<Key, u64, RandomState>,
    old: HashMap<Key, u64, RandomState>,
    per_generation: usize,
    /// No key that is in neither generation has changed after this position.
    low_water: u64,
    /// The last position written into the old generation, and into the young one.
    old_until: u64,
    young_until: u64,
}

impl Recent {
    /// `keys` bounds what is remembered; `head` is where the ledger stands, everything before it being forgotten.
    pub fn new(head: u64, keys: usize) -> Self {
        let per_generation = (keys / 2).max(1);
        // Pre-sized, since a growing table of hundreds of thousands stops everybody while it moves.
        let table = || HashMap::with_capacity_and_hasher(per_generation, RandomState::default());
        Self { young: table(), old: table(), per_generation, low_water: head, old_until: head, young_until: head }
    }

    /// As new, at this head.
    pub fn forget(&mut self, head: u64) {
        self.young.clear();
        self.old.clear();
        (self.low_water, self.old_until, self.young_until) = (head, head, head);
    }

    pub fn note(&mut self, key: Key, position: u64) {
        if self.young.len() >= self.per_generation && !self.young.contains_key(&key) {
            self.low_water = self.old_until;
            self.old_until = self.young_until;
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, position);
        self.young_until = position;
    }

    /// Whether a key still has the version that a look found which began at `began_at`. A look that is older than the
    /// memory is told no, since it cannot be told yes.
    pub fn holds(&self, key: &Key, version: u64, began_at: u64) -> bool {
        match self.young.get(key).or_else(|| self.old.get(key)) {
            Some(found) => *found == version,
            None => began_at >= self.low_water && version <= self.low_water,
        }
    }

    /// The version that a key has for certain, if a look that began at `began_at` found this one.
    pub fn version(&self, key: &Key, found: u64, began_at: u64) -> Option<u64> {
        let unchanged = || self.holds(key, found, began_at).then_some(found);
        self.young.get(key).or_else(|| self.old.get(key)).copied().or_else(unchanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_is_never_judged() {
        let key = |place: u8| Key::Request([place; 16]);
        let mut recent = Recent::new(100, 4);
        assert!(recent.holds(&key(1), 90, 100), "unchanged since the ledger was opened");
        assert!(!recent.holds(&key(1), 90, 99), "the look began before the memory");
        for place in 1..=9_u8 {
            recent.note(key(place), 100 + u64::from(place));
        }
        // 9 is young, 7 and 8 are old, all before is forgotten.
        assert!(recent.holds(&key(9), 109, 0) && recent.holds(&key(8), 108, 0));
        assert!(!recent.holds(&key(8), 100, 109));
        assert!(!recent.holds(&key(5), 100, 104), "changed at 105, and the look is too old to know");
        assert!(!recent.holds(&key(5), 107, 109), "no version after the low water without a trace");
        assert!(recent.holds(&key(5), 105, 109));
        assert_eq!(recent.low_water, 106);
    }

    #[test]
    fn a_version_is_certain_or_none() {
        let key = |place: u8| Key::Request([place; 16]);
        let mut recent = Recent::new(100, 4);
        recent.note(key(1), 101);
        for (place, found, began_at, version) in [
            (1, 101, 101, Some(101)),
            (1, 90, 100, Some(101)),
            (1, 90, 0, Some(101)),
            (2, 90, 100, Some(90)),
            (2, 90, 99, None),
            (2, 101, 101, None),
        ] {
            assert_eq!(recent.version(&key(place), found, began_at), version, "{place} {found} {began_at}");
        }
        recent.forget(120);
        assert_eq!((recent.version(&key(1), 101, 119), recent.version(&key(1), 101, 120)), (None, Some(101)));
    }

    #[test]
    fn positions_of_one_change_may_span_generations() {
        let key = |place: u8| Key::Request([place; 16]);
        let mut recent = Recent::new(0, 4);
        for place in 1..=6_u8 {
            recent.note(key(place), 7);
        }
        for place in 1..=6_u8 {
            let known = recent.young.contains_key(&key(place)) || recent.old.contains_key(&key(place));
            assert!(known || recent.low_water >= 7, "{place}");
        }
    }
}
