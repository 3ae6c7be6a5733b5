//! Double entry: every movement of money has a from and a to, so a list of postings balances by construction.

use super::ids::{BindingId, InstitutionCode, MemberId, RegionCode, SettlementId, TransferId};
use super::money::Money;
use super::vocabulary::Bucket;

/// Where money comes from or goes to. Only buckets, quotas, holds and transfers on their way keep a running balance: a live total of a fund or a hospital would be
/// one hot row for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    Bucket(MemberId, Bucket),
    /// The pooled fund (统筹基金) of a region.
    Fund(RegionCode),
    /// Where monthly credits (划入) come from.
    Credits(RegionCode),
    Institution(InstitutionCode),
    /// The part the institution bears itself (医院负担).
    HospitalPart(InstitutionCode),
    /// 现金 at the counter.
    Cash,
    /// Set aside for a relative (共济额度), by the bucket it was taken from. Keeps a balance.
    Quota(BindingId, Bucket),
    /// A wallet transfer that nobody has taken yet. Keeps a balance.
    Transfer(TransferId),
    /// Set aside by a hold (预留). Keeps a balance.
    Hold(SettlementId),
    /// Where the interest of closed years comes from, by region.
    Interest(RegionCode),
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bucket(member, bucket) => write!(f, "account:{member}/{}", bucket.name()),
            Self::Fund(region) => write!(f, "fund:{region}"),
            Self::Credits(region) => write!(f, "credits:{region}"),
            Self::Institution(code) => write!(f, "institution:{}", code.as_str()),
            Self::HospitalPart(code) => write!(f, "hospital-part:{}", code.as_str()),
            Self::Cash => f.write_str("cash"),
            Self::Quota(binding, bucket) => write!(f, "quota:{binding}/{}", bucket.name()),
            Self::Transfer(id) => write!(f, "transfer:{id}"),
            Self::Hold(id) => write!(f, "hold:{id}"),
            Self::Interest(region) => write!(f, "interest:{region}"),
        }
    }
}

/// One movement of a positive amount; a bucket's balance after it stands beside the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    pub from: Party,
    pub to: Party,
    pub amount: Money,
    pub from_after: Option<Money>,
    pub to_after: Option<Money>,
}

impl Posting {
    /// A movement between parties that keep no balance here.
    pub fn outside(from: Party, to: Party, amount: Money) -> Self {
        Self { from, to, amount, from_after: None, to_after: None }
    }

    /// The effect on one member's buckets: bucket, signed amount, balance after.
    pub fn effects(&self, member: MemberId) -> impl Iterator<Item = (Bucket, Money, Money)> {
        let side = move |party: &Party, amount: Money, after: Option<Money>| match (party, after) {
            (Party::Bucket(owner, bucket), Some(after)) if *owner == member => Some((*bucket, amount, after)),
            (
                Party::Bucket(..)
                | Party::Fund(_)
                | Party::Credits(_)
                | Party::Institution(_)
                | Party::HospitalPart(_)
                | Party::Cash
                | Party::Quota(..)
                | Party::Transfer(_)
                | Party::Hold(_)
                | Party::Interest(_),
                _,
            ) => None,
        };
        [side(&self.from, -self.amount, self.from_after), side(&self.to, self.amount, self.to_after)]
            .into_iter()
            .flatten()
    }
}
