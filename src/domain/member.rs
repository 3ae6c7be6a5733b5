//! Insured persons (参保人): what rules need of them, apart from who they are.

use std::borrow::Cow;

use jiff::civil::Date;

use super::identity::IdNumber;
use super::ids::{MemberId, RegionCode};
use super::vocabulary::{InsuranceState, Scheme, Sex};

/// A member as the rules see one. Holds no personal data, so it may stand in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub sex: Sex,
    pub insurance: Insurance,
}

/// 参保信息: one scheme in one pooling region at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insurance {
    pub scheme: Scheme,
    /// A code of the region's policy (参保档次), empty where the region has none.
    pub tier: String,
    pub state: InsuranceState,
    pub region: RegionCode,
    /// "Employee" does not imply an account: 单建统筹 has none.
    pub has_account: bool,
    pub start: Date,
}

/// Who a member is. Kept apart from everything chained, so that erasing a person leaves the ledger valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub member: MemberId,
    pub name: String,
    pub id_number: IdNumber,
    pub card_number: String,
    pub personal_number: String,
    pub computer_number: String,
}

/// How a request names a person: a cashier has a card, not our id.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum MemberRef {
    Id(MemberId),
    IdNumber(IdNumber),
    Card(String),
    Personal(String),
    Computer(String),
}

impl std::fmt::Debug for MemberRef {
    /// Only the kind: the number is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Id(_) => "MemberRef::Id",
            Self::IdNumber(_) => "MemberRef::IdNumber",
            Self::Card(_) => "MemberRef::Card",
            Self::Personal(_) => "MemberRef::Personal",
            Self::Computer(_) => "MemberRef::Computer",
        })
    }
}

impl MemberRef {
    /// The name of the field that gives it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Id(_) => "member_id",
            Self::IdNumber(_) => "id_number",
            Self::Card(_) => "card_number",
            Self::Personal(_) => "personal_number",
            Self::Computer(_) => "computer_number",
        }
    }

    /// A stable tag and the text, for keyed look-up and fingerprints.
    pub fn parts(&self) -> (u8, Cow<'_, str>) {
        match self {
            Self::Id(id) => (1, id.to_string().into()),
            Self::IdNumber(number) => (2, number.reveal().into()),
            Self::Card(number) => (3, number.into()),
            Self::Personal(number) => (4, number.into()),
            Self::Computer(number) => (5, number.into()),
        }
    }
}

impl Person {
    /// Every number this person can be found by.
    pub fn references(&self) -> Vec<MemberRef> {
        let mut found = vec![MemberRef::IdNumber(self.id_number.clone())];
        let optional = [
            (&self.card_number, MemberRef::Card as fn(String) -> MemberRef),
            (&self.personal_number, MemberRef::Personal),
            (&self.computer_number, MemberRef::Computer),
        ];
        found.extend(
            optional.into_iter().filter(|(number, _)| !number.is_empty()).map(|(number, make)| make(number.clone())),
        );
        found
    }
}
