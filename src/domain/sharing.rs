//! Who may share with whom: relation, insurance, purpose and the mode between two regions. Both regions must allow.

use std::borrow::Cow;

use jiff::civil::Date;

use super::judging::{Judging, asked};
use super::member::Member;
use super::policy::Policy;
use super::reason::Reason;
use super::region::RegionBook;
use super::relation_codes::Detail;
use super::rule::{Rule, Trace};
use super::vocabulary::{InsuranceState, Mode, Purpose, Relation, Scheme, Scope};

/// A refusal and whose policy made it, so that an explanation cites the law that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub side: Side,
}

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Owner,
    Beneficiary,
}

impl Side {
    /// The policy's place in a list of the owner's and the beneficiary's.
    pub const fn index(self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Beneficiary => 1,
        }
    }
}

/// The first side whose policy does not allow, the owner's first.
pub(super) fn unless_both(
    owner: &Policy,
    beneficiary: &Policy,
    reason: Reason,
    allows: impl Fn(&Policy) -> bool,
) -> Option<Refusal> {
    let sides = [(owner, Side::Owner), (beneficiary, Side::Beneficiary)];
    let refusing = sides.into_iter().find(|(policy, _)| !allows(policy));
    refusing.map(|(_, side)| Refusal { reason, side })
}

/// Why the relation is refused, if it is.
pub fn relation_refused(owner: &Policy, beneficiary: &Policy, relation: Relation) -> Option<Refusal> {
    unless_both(owner, beneficiary, Reason::SharingNotOpen, |policy| !policy.rules.relations.is_empty()).or_else(|| {
        unless_both(owner, beneficiary, Reason::RelationNotAllowed, |policy| policy.rules.relations.contains(&relation))
    })
}

/// The same with the code of the relation, where one is given: a father-in-law is no parent, whatever the relation says.
pub fn kin_refused(
    owner: &Policy,
    beneficiary: &Policy,
    regions: &RegionBook,
    relation: Relation,
    detail: &str,
) -> Option<Refusal> {
    let no_kin = regions.relation_codes.judge(relation, detail) == Detail::NoKin;
    relation_refused(owner, beneficiary, relation)
        .or_else(|| no_kin.then_some(Refusal { reason: Reason::RelationNotAllowed, side: Side::Owner }))
}

/// The modes open between the two regions on a day, or why there is none.
///
/// Within one region the owner's policy names them; within a province both scopes must reach the province; across
/// provinces both regions must have opened, and both policies must name the mode: wallet transfers, later quotas.
pub fn modes_between<'p>(
    owner: &'p Policy,
    beneficiary: &Policy,
    regions: &RegionBook,
    on: Date,
) -> Result<Cow<'p, [Mode]>, Refusal> {
    let closed = |policy: &Policy| policy.rules.beneficiary_scope == Scope::Nowhere;
    if let Some(refusal) = unless_both(owner, beneficiary, Reason::SharingNotOpen, |policy| !closed(policy)) {
        return Err(refusal);
    }
    if owner.rules.modes.is_empty() {
        return Err(Refusal { reason: Reason::SharingNotOpen, side: Side::Owner });
    }
    if owner.region == beneficiary.region {
        return Ok(Cow::Borrowed(&owner.rules.modes));
    }
    if owner.region.province() == beneficiary.region.province() {
        let reaches = |policy: &Policy| policy.rules.beneficiary_scope == Scope::SameProvince;
        if let Some(refusal) = unless_both(owner, beneficiary, Reason::BeneficiaryOutOfScope, reaches) {
            return Err(refusal);
        }
        let shared = owner.rules.modes.iter().copied().filter(|mode| beneficiary.rules.modes.contains(mode));
        let shared: Vec<Mode> = shared.collect();
        let none = Refusal { reason: Reason::BeneficiaryOutOfScope, side: Side::Beneficiary };
        return if shared.is_empty() { Err(none) } else { Ok(Cow::Owned(shared)) };
    }
    let open = |policy: &Policy| regions.open_on(policy.region, on).is_some();
    if let Some(refusal) = unless_both(owner, beneficiary, Reason::RegionNotOpen, open) {
        return Err(refusal);
    }
    let (from, to) = (&owner.rules.cross_province_modes, &beneficiary.rules.cross_province_modes);
    let shared: Vec<Mode> = from.iter().copied().filter(|mode| to.contains(mode)).collect();
    let none = Refusal { reason: Reason::RegionNotOpen, side: Side::Beneficiary };
    if shared.is_empty() { Err(none) } else { Ok(Cow::Owned(shared)) }
}

/// Whether the two regions lie in different provinces, so that openings and the modes across provinces decide.
pub fn crosses(owner: &Policy, beneficiary: &Policy) -> bool {
    owner.region.province() != beneficiary.region.province()
}

/// The step that tells which modes there are between the two regions.
pub fn mode_rule(owner: &Policy, beneficiary: &Policy) -> Rule {
    if crosses(owner, beneficiary) { Rule::CrossProvince } else { Rule::ModeBetween }
}

/// Why money may not be drawn at settlement between the two regions, if it may not.
pub fn direct_draw_refused(owner: &Policy, beneficiary: &Policy, regions: &RegionBook, on: Date) -> Option<Refusal> {
    match modes_between(owner, beneficiary, regions, on) {
        Err(refusal) => Some(refusal),
        Ok(modes) if modes.contains(&Mode::DirectDraw) => None,
        Ok(_) => Some(Refusal { reason: Reason::ModeNotDirect, side: Side::Owner }),
    }
}

/// Why no quota may be set or drawn between the two regions.
pub fn quota_refused(owner: &Policy, beneficiary: &Policy, regions: &RegionBook, on: Date) -> Option<Refusal> {
    match modes_between(owner, beneficiary, regions, on) {
        Err(refusal) => Some(refusal),
        Ok(modes) if modes.contains(&Mode::Quota) => None,
        Ok(_) => Some(Refusal { reason: Reason::ModeNotQuota, side: Side::Owner }),
    }
}

/// Why this owner's insurance does not let the account be shared.
pub fn owner_refused(owner: &Member, has_account: bool, of_owner: &Policy, of_beneficiary: &Policy) -> Option<Refusal> {
    let insurance = &owner.insurance;
    let by_owner = |reason| Some(Refusal { reason, side: Side::Owner });
    let tiers = &of_owner.rules.owner_tiers;
    if insurance.scheme != Scheme::Employee {
        by_owner(Reason::OwnerNotEmployee)
    } else if !insurance.has_account || !has_account {
        by_owner(Reason::OwnerWithoutAccount)
    } else if !tiers.is_empty() && !tiers.contains(&insurance.tier) {
        by_owner(Reason::OwnerTierNotAllowed)
    } else {
        let allows = |policy: &Policy| policy.rules.owner_states.contains(&insurance.state);
        unless_both(of_owner, of_beneficiary, Reason::OwnerStateNotAllowed, allows)
    }
}

/// Why this person cannot be a beneficiary.
pub fn beneficiary_refused(beneficiary: &Member, of_owner: &Policy, of_beneficiary: &Policy) -> Option<Refusal> {
    let insurance = &beneficiary.insurance;
    if insurance.state == InsuranceState::Ended {
        return Some(Refusal { reason: Reason::BeneficiaryNotInsured, side: Side::Beneficiary });
    }
    let state = |policy: &Policy| policy.rules.beneficiary_states.contains(&insurance.state);
    let scheme = |policy: &Policy| policy.rules.beneficiary_schemes.contains(&insurance.scheme);
    unless_both(of_owner, of_beneficiary, Reason::BeneficiaryStateNotAllowed, state)
        .or_else(|| unless_both(of_owner, of_beneficiary, Reason::BeneficiarySchemeNotAllowed, scheme))
}

/// Why relatives may not pay for this purpose.
pub fn purpose_refused(owner: &Policy, beneficiary: &Policy, purpose: Purpose) -> Option<Refusal> {
    let free = |policy: &Policy| !policy.rules.prohibited_purposes.contains(&purpose);
    let named = |policy: &Policy| policy.rules.relative_purposes.contains(&purpose);
    unless_both(owner, beneficiary, Reason::PurposeProhibited, free)
        .or_else(|| unless_both(owner, beneficiary, Reason::PurposeNotAllowed, named))
}

/// The answer to `CheckSharing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharingDecision {
    pub modes: Vec<Mode>,
    pub reasons: Vec<Reason>,
    pub trace: Trace,
}

/// May an owner insured here help such a relative insured there, on this day, and how does the money move?
pub fn check(
    owner: &Policy,
    beneficiary: &Policy,
    regions: &RegionBook,
    relation: Relation,
    on: Date,
) -> SharingDecision {
    let mut trace = Trace::under(regions.policy_set);
    let mut judging = Judging::by([owner, beneficiary], &mut trace);
    judging.both(Rule::RelationAllowed, &[asked(relation)], relation_refused(owner, beneficiary, relation));
    let modes = modes_between(owner, beneficiary, regions, on);
    judging.both(mode_rule(owner, beneficiary), &[], modes.as_ref().err().copied());
    let mut reasons = judging.reasons;
    reasons.dedup();
    let modes = if reasons.is_empty() { modes.unwrap_or_default().into_owned() } else { Vec::new() };
    SharingDecision { modes, reasons, trace }
}
