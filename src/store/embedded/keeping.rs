//! What becomes of a fact when the index has it: whether it stays in memory, and whether the index copies it.

use crate::store::Key;

/// What becomes of a fact in memory when the index has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Decisions about a bill begin with it or may need it: it stays.
    Always,
    /// Decisions about the same people read it: it comes back when somebody asks for it.
    WhenAsked,
    /// Written once and looked at seldom: it is read from its change.
    Never,
}

fn kept(key: &Key) -> Kept {
    match key {
        Key::Reference(_)
        | Key::Standing(_)
        | Key::Policy(_)
        | Key::AidUse(..)
        | Key::Card(_)
        | Key::Quota(_)
        | Key::Slips(_) => Kept::Always,
        Key::Wards(_)
        | Key::Binding(_)
        | Key::Wallet(_)
        | Key::WalletDay(..)
        | Key::Transfer(_)
        | Key::JobDay(_)
        | Key::YearClose(..) => Kept::WhenAsked,
        Key::Request(_)
        | Key::Settlement(_)
        | Key::Basis(_)
        | Key::Decided(_)
        | Key::Person(_)
        | Key::PolicySet(_)
        | Key::Certification(_) => Kept::Never,
    }
}

/// Facts that stay in memory when the index has them.
pub(super) fn settles(key: &Key) -> bool {
    kept(key) == Kept::Always
}

/// Facts whose bytes the index has too. The row of any other leads to the change that put it: requests and settlements are
/// written once and looked at seldom; a standing is large, every bill writes those of all who pay anew, and where as many facts
/// are kept in memory as people come (`cached_facts`) it is read from the disk once. Merging the index costs what lies in it.
pub(super) fn copied(key: &Key) -> bool {
    read_again(key) && !matches!(key, Key::Standing(_))
}

/// Facts that the next decisions about the same people read. The others are written once and looked at seldom.
pub(super) fn read_again(key: &Key) -> bool {
    kept(key) != Kept::Never
}
