//! What is learned of the ledger's positions, one after another.

use super::checker::Model;

/// The one order of all changes of a server: where the ledger stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(pub i64);

/// What is learned of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// A change takes the next position, and is told which.
    Changed,
    /// A reader is told where the ledger stands.
    Head,
    /// A follower has records up to here, so they were committed; more may have been.
    Followed,
}

impl Model for Position {
    type Call = Seen;
    type Answer = i64;

    fn step(&self, call: &Seen, answer: Option<&i64>) -> Option<Self> {
        let next = match call {
            Seen::Changed => Self(self.0 + 1),
            Seen::Head | Seen::Followed => self.clone(),
        };
        let right = |answer: &i64| match call {
            Seen::Changed | Seen::Head => *answer == next.0,
            Seen::Followed => *answer <= next.0,
        };
        answer.is_none_or(right).then_some(next)
    }
}
