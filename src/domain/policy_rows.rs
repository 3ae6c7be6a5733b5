//! Values of a policy that are more than a word, a number or a list: the floor, hours, and the rows of tables.

use jiff::civil::Time;

use super::money::{Money, Rate, Rounding, Share};
use super::vocabulary::{
    CardChannel, Category, Channel, DeductiblePer, Effective, Grant, InstitutionKind, InsuranceState, InterestBasis,
    ListClass, Purpose, Relation, Scheme,
};

/// A part of the day, from its first second up to, not including, `to`; it may reach over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: Time,
    pub to: Time,
}

impl Hours {
    pub fn contains(&self, time: Time) -> bool {
        if self.from <= self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }
}

/// What the owner must keep: an amount, or a share of a published figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Floor {
    Fixed(Money),
    Share { rate: Rate, of: Money, rounding: Rounding },
}

impl Floor {
    pub fn amount(&self) -> Money {
        match self {
            Self::Fixed(amount) => *amount,
            Self::Share { .. } => self.share().map_or(Money::ZERO, |share| share.amount),
        }
    }

    /// The rounding step, where there is one.
    pub fn share(&self) -> Option<Share> {
        match self {
            Self::Fixed(_) => None,
            Self::Share { rate, of, rounding } => Some(of.share(*rate, *rounding)),
        }
    }
}

/// How what an account held when a year ended bears interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearInterest {
    pub basis: InterestBasis,
    /// For the year, on what the current-year bucket held.
    pub current_rate: Rate,
    /// On what the prior-years bucket held.
    pub prior_rate: Rate,
    pub rounding: Rounding,
}

/// One row of the fund's ratios. Empty lists mean "any".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FundShare {
    /// The name of the row, shown in explanations: `sz-chc-70-30`.
    pub name: String,
    pub schemes: Vec<Scheme>,
    pub tiers: Vec<String>,
    /// Of the patient's insurance: the fund's part stops at a gap.
    pub states: Vec<InsuranceState>,
    pub institution_kinds: Vec<InstitutionKind>,
    pub purposes: Vec<Purpose>,
    pub list_classes: Vec<ListClass>,
    pub categories: Vec<Category>,
    pub excluded_categories: Vec<Category>,
    pub rate: Rate,
    /// Other rates once the fund has paid so much in the year (分段累计), by rising amounts.
    pub bands: Vec<FundBand>,
}

/// From here on another rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FundBand {
    /// What the fund has paid for the person in the calendar year.
    pub fund_paid: Money,
    pub rate: Rate,
}

/// One row of the deductibles (起付标准). Empty lists mean "any".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deductible {
    pub name: String,
    pub schemes: Vec<Scheme>,
    pub tiers: Vec<String>,
    pub institution_kinds: Vec<InstitutionKind>,
    /// What the care is for; a yearly amount is used up by care for any of these.
    pub purposes: Vec<Purpose>,
    pub amount: Money,
    pub per: DeductiblePer,
}

/// One row of the price caps (限价): the most of one bill line that enters the scope. Empty lists mean "any".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceCap {
    pub name: String,
    pub item_codes: Vec<String>,
    pub categories: Vec<Category>,
    pub institution_kinds: Vec<InstitutionKind>,
    pub amount: Money,
}

/// A channel with what it asks for and what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRule {
    pub channel: Channel,
    /// Evidence type codes in the order of the steps, all required when the binding is filed.
    pub evidence: Vec<String>,
    /// Of these one is required besides, whichever it is; empty: nothing is.
    pub evidence_any: Vec<String>,
    /// Required as well where the person bound is a minor.
    pub minor_evidence: Vec<String>,
    /// What may follow: until the last of these steps the binding waits for verification (待核验).
    pub verification: Vec<String>,
    /// Further steps of that kind for some relations, behind those of everybody.
    pub relation_steps: Vec<RelationSteps>,
    /// Whether the owner's card is swiped, so that it must be active.
    pub card_active: bool,
    pub effective: Effective,
    pub grants: Vec<Grant>,
}

/// What a channel asks for besides where the person bound is the owner's ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationSteps {
    pub relations: Vec<Relation>,
    pub verification: Vec<String>,
}

/// A channel through which a binding is released (解绑).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRule {
    pub channel: Channel,
    pub evidence: Vec<String>,
    pub effective: Effective,
}

/// A way to activate a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRule {
    pub channel: CardChannel,
    pub evidence: Vec<String>,
}
