//! Paper slips (书面授权): a relative without a binding, named on the back of a prescription. Each leaves a mark, and where the
//! policy gives a time, the pair has to be bound within it.

use jiff::civil::Date;

use super::ids::MemberId;
use super::policy::Policy;
use super::time::Moment;
use super::vocabulary::Relation;

/// The slips by which one owner helped one patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slip {
    pub owner: MemberId,
    pub relation: Relation,
    pub first: Date,
    pub last: Date,
    pub uses: u32,
    /// When the pair was bound last: slips of settlements up to then are regularised, and count no more.
    pub bound: Option<Moment>,
}

/// All of one patient's, one for each owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slips {
    pub slips: Vec<Slip>,
}

impl Slips {
    pub fn of(&self, owner: MemberId) -> Option<&Slip> {
        self.slips.iter().find(|slip| slip.owner == owner && slip.uses > 0)
    }

    /// Counts a slip that was handed in on a day and pays.
    pub fn count(&mut self, owner: MemberId, relation: Relation, on: Date) {
        match self.slips.iter_mut().find(|slip| slip.owner == owner) {
            Some(slip) if slip.uses == 0 => (slip.relation, slip.first, slip.last, slip.uses) = (relation, on, on, 1),
            Some(slip) => {
                (slip.first, slip.last) = (slip.first.min(on), slip.last.max(on));
                slip.uses = slip.uses.saturating_add(1);
            }
            None => self.slips.push(Slip { owner, relation, first: on, last: on, uses: 1, bound: None }),
        }
    }

    /// Takes back a slip of which nothing stays paid.
    pub fn uncount(&mut self, owner: MemberId) {
        for slip in self.slips.iter_mut().filter(|slip| slip.owner == owner) {
            slip.uses = slip.uses.saturating_sub(1);
        }
    }

    /// Whether the slip of a settlement of this moment is regularised: the pair was bound after it.
    pub fn is_regularised(&self, owner: MemberId, settled_at: Moment) -> bool {
        let bound = self.slips.iter().find(|slip| slip.owner == owner).and_then(|slip| slip.bound);
        bound.is_some_and(|bound| bound >= settled_at)
    }

    /// The pair is bound: what there was of slips is regularised. Answers whether there was anything.
    pub fn regularise(&mut self, owner: MemberId, now: Moment) -> bool {
        let slip = self.slips.iter_mut().find(|slip| slip.owner == owner);
        slip.map(|slip| (slip.uses, slip.bound) = (0, slip.bound.max(Some(now)))).is_some()
    }
}

impl Slip {
    /// The last day on which another slip is taken; none: slips need not be regularised.
    pub fn regularise_by(&self, policy: &Policy) -> Option<Date> {
        let days = policy.rules.paper_regularise_days?;
        self.first.checked_add(jiff::Span::new().days(i64::from(days))).ok()
    }
}
