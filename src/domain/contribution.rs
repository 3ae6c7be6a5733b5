//! Who pays a part of a bill, and who does not.

use super::ids::{BindingId, MemberId};
use super::money::Money;
use super::reason::Reason;
use super::rule::Subject;
use super::vocabulary::{Bucket, Relation};

/// Who paid what, in draw order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    pub payer: MemberId,
    /// None for the patient's own account and for paper authorisations.
    pub binding: Option<BindingId>,
    /// None for the patient's own account.
    pub relation: Option<Relation>,
    pub bucket: Bucket,
    /// The year the bucket stood in, so that a refund finds the money's year.
    pub year: i16,
    pub amount: Money,
    pub refunded: Money,
    /// Whether it counts towards a limit of the owner's region ([`AidUse`](super::binding::AidUse)), and no more does when it comes back.
    pub counted: bool,
    /// Drawn from what the owner had set aside for the patient (共济额度); otherwise straight from the account.
    pub from_quota: bool,
    /// On paper: the authorisation's place in the request.
    pub paper: Option<u16>,
}

impl Contribution {
    /// What a step about it names.
    pub(super) fn subject(&self) -> Subject {
        self.binding.map(Subject::Binding).or(self.paper.map(Subject::Paper)).unwrap_or(Subject::Own)
    }

    pub fn is_own(&self) -> bool {
        self.relation.is_none()
    }

    pub fn left(&self) -> Money {
        self.amount - self.refunded
    }
}

/// A payer whom the rules leave out, with the first reason in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    pub payer: MemberId,
    /// None for the patient's own account and for paper authorisations.
    pub binding: Option<BindingId>,
    /// None for the patient's own account.
    pub relation: Option<Relation>,
    pub reason: Reason,
}

impl Excluded {
    pub fn is_own(&self) -> bool {
        self.relation.is_none()
    }
}
