//! What this process knows of the versions of facts by itself. As long as nobody else has moved the head since the last
//! commit here, nobody else has changed a fact: then expectations are compared with what was committed here lately, as in the
//! embedded store, and the database need not be asked.

use foldhash::fast::RandomState;

use super::judge::{Applied, Pending, Versions};
use crate::store::Head;
use crate::store::recent::Recent;

/// Keys that are remembered: seconds of settlements, while a change rests on a look of some milliseconds ago.
const KEYS: usize = 1 << 17;

pub(super) struct Known {
    /// Where the ledger stood after the last commit here; none: something went wrong since, or nothing was committed yet.
    head: Option<Head>,
    /// Somebody else had committed when the last group was.
    met_others: bool,
    recent: Recent,
}

impl Default for Known {
    fn default() -> Self {
        Self { head: None, met_others: false, recent: Recent::new(0, KEYS) }
    }
}

impl Known {
    /// Whether nobody else seems to commit.
    pub fn is_alone(&self) -> bool {
        self.head.is_some() && !self.met_others
    }

    /// The versions of all that the group expects, with the head locked and as it is now; none where the database has to be
    /// asked.
    pub fn versions(&self, head: &Head, group: &[&Pending]) -> Option<Versions> {
        if self.head != Some(*head) {
            return None;
        }
        let mut versions = Versions::with_capacity_and_hasher(group.len() * 8, RandomState::default());
        for change in group.iter().map(|pending| &pending.change) {
            for (key, found) in &change.expects {
                let version = self.recent.version(key, *found, change.began_at)?;
                if *versions.entry(*key).or_insert(version) != version {
                    return None;
                }
            }
        }
        Some(versions)
    }

    /// Something went wrong: what is in the database has to be looked at again.
    pub fn doubt(&mut self) {
        self.head = None;
    }

    /// A group was committed, which found the ledger at `before`.
    pub fn committed(&mut self, before: &Head, after: Head, applied: &[Applied], group: &[&Pending]) {
        let unmoved = self.head == Some(*before);
        if !unmoved {
            self.recent.forget(before.position);
        }
        self.met_others = self.head.is_some() && !unmoved;
        for it in applied {
            for fact in group[it.place].facts.iter().flatten() {
                self.recent.note(fact.key, it.head.position);
            }
        }
        self.head = Some(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Moment;
    use crate::store::{Change, Key};

    const KEY: Key = Key::Request([1; 16]);

    fn head(position: u64) -> Head {
        Head { position, link: [1; 32], at: Moment::from_micros(0) }
    }

    fn expecting(version: u64, began_at: u64) -> Pending {
        let (record, content_hash) = (Vec::new(), [0; 32]);
        let (puts, lists) = (Vec::new(), Vec::new());
        let expects = vec![(KEY, version)];
        let change = Change { began_at, expects, puts, record, content_hash, lists, before: None };
        Pending::new(change, Moment::from_micros(0))
    }

    #[test]
    fn only_who_was_alone_and_looked_since_need_not_ask() {
        let mut known = Known::default();
        assert!(!known.is_alone() && known.versions(&head(9), &[&expecting(3, 9)]).is_none(), "nothing is known yet");
        known.committed(&head(9), head(10), &[], &[]);
        let version =
            |known: &Known, now: Head, group: &[&Pending]| known.versions(&now, group).map(|found| found[&KEY]);
        assert_eq!(version(&known, head(10), &[&expecting(3, 9)]), Some(3));
        assert_eq!(version(&known, head(10), &[&expecting(3, 8)]), None, "a look from before");
        assert_eq!(version(&known, head(11), &[&expecting(3, 10)]), None, "somebody else has committed");
        let elsewhere = Head { link: [2; 32], ..head(10) };
        assert_eq!(version(&known, elsewhere, &[&expecting(3, 10)]), None, "another ledger");
        assert_eq!(version(&known, head(10), &[&expecting(3, 9), &expecting(4, 9)]), None, "one of them is wrong");
        known.committed(&head(11), head(12), &[], &[]);
        assert!(!known.is_alone(), "the database is asked at once");
        known.committed(&head(12), head(13), &[], &[]);
        assert!(known.is_alone());
        known.doubt();
        assert_eq!(version(&known, head(13), &[&expecting(3, 12)]), None);
    }
}
