//! Masked names as they were read lately: who writes a standing need not look whether its name, which lies in another
//! table, is another now. It hardly ever is.

use std::collections::HashMap;
use std::sync::Mutex;

use foldhash::fast::RandomState;

use super::lock;
use crate::domain::ids::MemberId;

/// So many are remembered, which is more than is under way between a look and its commit; then all are forgotten.
const MOST: usize = 16_384;

/// By member: the version of the standing, and the name it had then. That never changes.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<u128, (u64, String), RandomState>>);

impl Names {
    pub fn note(&self, member: MemberId, version: u64, name: &str) {
        let mut names = lock(&self.0);
        if names.len() >= MOST {
            names.clear();
        }
        match names.get_mut(&member.as_u128()) {
            Some(known) if known.1 == name => known.0 = version,
            _ => drop(names.insert(member.as_u128(), (version, name.to_owned()))),
        }
    }

    /// Whether a standing is known to have had this name at this version.
    pub fn was(&self, member: MemberId, version: u64, name: &str) -> bool {
        lock(&self.0).get(&member.as_u128()).is_some_and(|known| known.0 == version && known.1 == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_for_the_version_it_was_read_at() {
        let names = Names::default();
        let ann = MemberId::from_u128(1);
        names.note(ann, 7, "张*");
        for (version, name, known) in [(7, "张*", true), (7, "李*", false), (8, "张*", false)] {
            assert_eq!(names.was(ann, version, name), known, "{version} {name}");
        }
        names.note(ann, 9, "李*");
        assert!(!names.was(ann, 7, "张*") && names.was(ann, 9, "李*"));
    }

    #[test]
    fn no_more_are_remembered_than_there_may_be() {
        let names = Names::default();
        for member in 0..=MOST as u128 {
            names.note(MemberId::from_u128(member), 1, "张*");
        }
        assert!(lock(&names.0).len() <= MOST);
        assert!(names.was(MemberId::from_u128(MOST as u128), 1, "张*"));
    }
}
