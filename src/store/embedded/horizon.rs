//! How far back a commit can be judged: every key that changed after the low water is known with its version (`view.rs`), so a
//! commit is compared without reading a disk.

/// Two generations of so many changed keys. When the young one is full the old one may be forgotten, and with it goes the
/// right to judge a change whose look began before the old one ended.
pub(super) struct Horizon {
    per_generation: usize,
    /// Keys that were put in the young generation.
    young: usize,
    /// No key that is not known has changed after this position.
    low_water: u64,
    /// The last position of the old generation, and of the young one.
    old_until: u64,
    young_until: u64,
}

impl Horizon {
    /// `keys` is what is remembered at most and half of it at least; `head` is where the ledger stands, everything before it
    /// being forgotten.
    pub fn new(head: u64, keys: usize) -> Self {
        let per_generation = (keys / 2).max(1);
        Self { per_generation, young: 0, low_water: head, old_until: head, young_until: head }
    }

    /// So many keys were put by the change at a position.
    pub fn note(&mut self, keys: usize, position: u64) {
        if self.young >= self.per_generation {
            self.low_water = self.old_until;
            self.old_until = self.young_until;
            self.young = 0;
        }
        self.young += keys;
        self.young_until = position;
    }

    pub fn low_water(&self) -> u64 {
        self.low_water
    }

    /// Whether a key that is not known still has the version that a look found which began at `began_at`. A look that is older
    /// than the memory is told no, since it cannot be told yes.
    pub fn holds(&self, version: u64, began_at: u64) -> bool {
        began_at >= self.low_water && version <= self.low_water
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_forgotten_is_never_judged() {
        let mut horizon = Horizon::new(100, 4);
        assert!(horizon.holds(90, 100), "unchanged since the ledger was opened");
        assert!(!horizon.holds(90, 99), "the look began before the memory");
        for position in 101..=109 {
            horizon.note(1, position);
        }
        // 109 is young, 107 and 108 are old, all before may be forgotten.
        assert_eq!(horizon.low_water(), 106);
        assert!(!horizon.holds(100, 104), "it may have changed at 105, and the look is too old to know");
        assert!(!horizon.holds(107, 109), "no version after the low water without a trace");
        assert!(horizon.holds(105, 109));
    }

    #[test]
    fn one_change_of_many_keys_is_not_divided() {
        let mut horizon = Horizon::new(0, 4);
        for position in 1..=4 {
            horizon.note(6, position);
            assert_eq!(horizon.low_water(), position.saturating_sub(2), "the last two changes are remembered");
        }
    }
}
