//! Who may share with whom: relation, insurance, purpose and the mode between two regions. Both regions must allow.

use jiff::civil::Date;

use super::member::Member;
use super::policy::Policy;
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Rule, Subject, Trace};
use super::vocabulary::{InsuranceState, Mode, Purpose, Relation, Scheme, Scope};

/// Why the relation is refused, if it is.
pub fn relation_refused(owner: &Policy, beneficiary: &Policy, relation: Relation) -> Option<Reason> {
    if owner.rules.relations.is_empty() || beneficiary.rules.relations.is_empty() {
        return Some(Reason::SharingNotOpen);
    }
    let allowed = owner.rules.relations.contains(&relation) && beneficiary.rules.relations.contains(&relation);
    (!allowed).then_some(Reason::RelationNotAllowed)
}

/// The modes open between the two regions on a day, or why there is none.
///
/// Within one region the owner's policy names them; within a province both scopes must reach the province; across
/// provinces both regions must have opened, and then only wallet transfers move money.
pub fn modes_between(
    owner: &Policy,
    beneficiary: &Policy,
    regions: &RegionBook,
    on: Date,
) -> Result<Vec<Mode>, Reason> {
    let scopes = [owner.rules.beneficiary_scope, beneficiary.rules.beneficiary_scope];
    if scopes.contains(&Scope::Nowhere) || owner.rules.modes.is_empty() {
        return Err(Reason::SharingNotOpen);
    }
    if owner.region == beneficiary.region {
        return Ok(owner.rules.modes.clone());
    }
    if owner.region.province() == beneficiary.region.province() {
        let reaches = scopes.iter().all(|scope| *scope == Scope::SameProvince);
        let shared: Vec<Mode> =
            owner.rules.modes.iter().copied().filter(|mode| beneficiary.rules.modes.contains(mode)).collect();
        return if reaches && !shared.is_empty() { Ok(shared) } else { Err(Reason::BeneficiaryOutOfScope) };
    }
    let open = [owner.region, beneficiary.region].iter().all(|region| regions.open_on(*region, on).is_some());
    if open { Ok(vec![Mode::WalletTransfer]) } else { Err(Reason::RegionNotOpen) }
}

/// Why money may not be drawn at settlement between the two regions, if it may not.
pub fn direct_draw_refused(owner: &Policy, beneficiary: &Policy, regions: &RegionBook, on: Date) -> Option<Reason> {
    match modes_between(owner, beneficiary, regions, on) {
        Err(reason) => Some(reason),
        Ok(modes) if modes.contains(&Mode::DirectDraw) => None,
        Ok(_) => Some(Reason::ModeNotDirect),
    }
}

/// Why this owner's insurance does not let the account be shared.
pub fn owner_refused(owner: &Member, has_account: bool, of_owner: &Policy, of_beneficiary: &Policy) -> Option<Reason> {
    let insurance = &owner.insurance;
    let state_ok = [of_owner, of_beneficiary].iter().all(|policy| policy.rules.owner_states.contains(&insurance.state));
    let tiers = &of_owner.rules.owner_tiers;
    if insurance.scheme != Scheme::Employee {
        Some(Reason::OwnerNotEmployee)
    } else if !insurance.has_account || !has_account {
        Some(Reason::OwnerWithoutAccount)
    } else if !tiers.is_empty() && !tiers.contains(&insurance.tier) {
        Some(Reason::OwnerTierNotAllowed)
    } else if !state_ok {
        Some(Reason::OwnerStateNotAllowed)
    } else {
        None
    }
}

/// Why this person cannot be a beneficiary.
pub fn beneficiary_refused(beneficiary: &Member, of_owner: &Policy, of_beneficiary: &Policy) -> Option<Reason> {
    let insurance = &beneficiary.insurance;
    let both = [of_owner, of_beneficiary];
    if insurance.state == InsuranceState::Ended {
        Some(Reason::BeneficiaryNotInsured)
    } else if !both.iter().all(|policy| policy.rules.beneficiary_states.contains(&insurance.state)) {
        Some(Reason::BeneficiaryStateNotAllowed)
    } else if !both.iter().all(|policy| policy.rules.beneficiary_schemes.contains(&insurance.scheme)) {
        Some(Reason::BeneficiarySchemeNotAllowed)
    } else {
        None
    }
}

/// Why relatives may not pay for this purpose.
pub fn purpose_refused(owner: &Policy, beneficiary: &Policy, purpose: Purpose) -> Option<Reason> {
    let both = [owner, beneficiary];
    if both.iter().any(|policy| policy.rules.prohibited_purposes.contains(&purpose)) {
        Some(Reason::PurposeProhibited)
    } else if !both.iter().all(|policy| policy.rules.relative_purposes.contains(&purpose)) {
        Some(Reason::PurposeNotAllowed)
    } else {
        None
    }
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
    let mut trace = Trace::new();
    let relation_no = relation_refused(owner, beneficiary, relation);
    trace.verdict(Rule::RelationAllowed, Subject::Bill, 0, relation_no);
    let modes = modes_between(owner, beneficiary, regions, on);
    let crosses = owner.region.province() != beneficiary.region.province();
    let rule = if crosses { Rule::CrossProvince } else { Rule::ModeBetween };
    trace.verdict(rule, Subject::Bill, 0, modes.as_ref().err().copied());
    let mut reasons: Vec<Reason> = relation_no.into_iter().chain(modes.as_ref().err().copied()).collect();
    reasons.dedup();
    let modes = if reasons.is_empty() { modes.unwrap_or_default() } else { Vec::new() };
    SharingDecision { modes, reasons, trace }
}
