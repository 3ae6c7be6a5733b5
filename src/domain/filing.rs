//! Filing a binding, its later steps, and its release (绑定、核验、解绑): what is asked for, and every reason against it.

use jiff::civil::Date;

use super::account::Account;
use super::binding::Evidence;
use super::member::Member;
use super::policy::{ChannelRule, Policy};
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Rule, Subject, Trace};
use super::sharing::{self, Refusal, Side};
use super::vocabulary::{Channel, Effective, Grant, Relation};

/// What is asked when a binding is filed.
#[derive(Clone, Debug)]
pub struct Filing<'a> {
    pub owner: &'a Member,
    pub owner_account: Option<&'a Account>,
    /// Whether the owner has a card that can be swiped.
    pub owner_card_active: bool,
    pub beneficiary: &'a Member,
    /// Full years of the person bound on the day of application; none where the birth date is not known.
    pub beneficiary_age: Option<u32>,
    pub relation: Relation,
    /// Its code in the national table; may be empty.
    pub relation_detail: &'a str,
    pub channel: Channel,
    pub evidence: &'a [Evidence],
    /// Which of the channel's grants the owner gives; empty: all of them.
    pub chosen: &'a [Grant],
    /// Active ties of the beneficiary and bindings of the owner on the day asked.
    pub owners_now: usize,
    pub members_now: usize,
    /// The same of ties within a province.
    pub owners_near: usize,
    pub members_near: usize,
    pub already_bound: bool,
    /// The owner or the beneficiary stands in a family other than the owner's.
    pub in_another_family: bool,
    /// In one within the province.
    pub in_another_near: bool,
    /// The server's own bound on ties of one person.
    pub ties_max: usize,
    /// The day of application.
    pub today: Date,
}

/// The answer: what would be granted, every reason against it at once, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilingDecision {
    pub reasons: Vec<Reason>,
    /// Without these no binding is made. Where one of several will do, they stand in one text, joined by [`EITHER`].
    pub missing: Vec<String>,
    /// Without these it waits.
    pub pending: Vec<String>,
    pub grants: Vec<Grant>,
    pub start: Date,
    pub trace: Trace,
}

/// Decides a filing. `CheckBinding` and `CreateBinding` both call this.
///
/// The law is that of the binding's first day; how many may stand in a family is today's question, whichever day that is, or a
/// binding could be dated back to before a limit. Steps about numbers point to today's policies: behind the two of the first
/// day, unless they are the same.
pub fn decide_filing(
    filing: &Filing<'_>,
    [owner, beneficiary]: [&Policy; 2],
    now: [&Policy; 2],
    regions: &RegionBook,
    on: Date,
) -> FilingDecision {
    let mut trace = Trace::under(regions.policy_set);
    let mut reasons = Vec::new();
    // A step cites the side that refused, or the side whose limit was looked at.
    let mut checked = |rule: Rule, side: Side, no: Option<Refusal>, first: u8| {
        trace.verdict(rule, Subject::Bill, first + no.map_or(side, |no| no.side).index(), no.map(|no| no.reason));
        reasons.extend(no.map(|no| no.reason));
    };
    let mut check = |rule: Rule, side: Side, no: Option<Refusal>| checked(rule, side, no, 0);
    let when = |no: bool, side: Side, reason: Reason| no.then_some(Refusal { reason, side });
    let (of_owner, of_beneficiary) = (Side::Owner, Side::Beneficiary);

    check(Rule::TwoPersons, of_owner, when(filing.owner.id == filing.beneficiary.id, of_owner, Reason::SamePerson));
    let kin_no = sharing::kin_refused(owner, beneficiary, regions, filing.relation, filing.relation_detail);
    check(Rule::RelationAllowed, of_owner, kin_no);
    let mode_rule = sharing::mode_rule(owner, beneficiary);
    check(mode_rule, of_owner, sharing::modes_between(owner, beneficiary, regions, on).err());
    let owner_no = sharing::owner_refused(filing.owner, filing.owner_account.is_some(), owner, beneficiary);
    check(Rule::OwnerInsurance, of_owner, owner_no);
    let beneficiary_no = sharing::beneficiary_refused(filing.beneficiary, owner, beneficiary);
    check(Rule::BeneficiaryInsurance, of_beneficiary, beneficiary_no);

    let rule = owner.channel(filing.channel);
    let family_code = filing.channel == Channel::FamilyCode;
    let no_channel = if family_code { Reason::FamilyCodeIsNotSharing } else { Reason::ChannelNotAvailable };
    check(Rule::ChannelOffered, of_owner, when(rule.is_none(), of_owner, no_channel));
    let steps = Steps::of(rule, filing, owner);
    if steps.minor {
        let photo = rule.is_some_and(|rule| steps.missing.iter().any(|kind| rule.minor_evidence.contains(kind)));
        check(Rule::MinorEvidence, of_owner, when(photo, of_owner, Reason::EvidenceMissing));
    }
    let asked = |kind: &String| kind.contains(EITHER) || rule.is_some_and(|rule| rule.evidence.contains(kind));
    let others = steps.missing.iter().any(asked);
    check(Rule::EvidenceComplete, of_owner, when(others, of_owner, Reason::EvidenceMissing));
    if steps.follow {
        check(Rule::Verification, of_owner, when(steps.skipped, of_owner, Reason::StepSkipped));
    }
    if rule.is_some_and(|rule| rule.card_active) {
        check(Rule::CardActive, of_owner, when(!filing.owner_card_active, of_owner, Reason::CardNotActive));
    }

    let grants = rule.map(|rule| rule.grants.as_slice()).unwrap_or_default();
    if !filing.chosen.is_empty() {
        let foreign = rule.is_some() && filing.chosen.iter().any(|grant| !grants.contains(grant));
        check(Rule::GrantsOffered, of_owner, when(foreign, of_owner, Reason::GrantNotOffered));
    }

    let over = |limit: Option<u32>, now: usize| limit.is_some_and(|limit| now >= limit as usize);
    check(Rule::NotBoundYet, of_owner, when(filing.already_bound, of_owner, Reason::BindingAlreadyActive));
    let first = if same_revisions([owner, beneficiary], now) { 0 } else { NOW };
    let mut check = |rule: Rule, side: Side, no: Option<Refusal>| checked(rule, side, no, first);
    let [owner, beneficiary] = now;
    // A region's numbers may speak of its own province alone: then they say nothing of a pair in two.
    let far = filing.owner.insurance.region.province() != filing.beneficiary.insurance.region.province();
    let counts = |policy: &Policy, all: usize, near: usize| match (policy.rules.limits_other_provinces, far) {
        (true, _) => Some(all),
        (false, true) => None,
        (false, false) => Some(near),
    };
    let of_family = counts(owner, filing.members_now, filing.members_near);
    let members = of_family.is_some_and(|now| over(owner.rules.members_per_owner, now));
    check(Rule::MembersPerOwner, of_owner, when(members, of_owner, Reason::MembersPerOwnerExceeded));
    let owners = counts(beneficiary, filing.owners_now, filing.owners_near);
    let owners = owners.is_some_and(|now| over(beneficiary.rules.owners_per_member, now));
    check(Rule::OwnersPerMember, of_beneficiary, when(owners, of_beneficiary, Reason::OwnersPerMemberExceeded));
    // The owner and the new member count, too.
    let family = |now: usize| owner.rules.family_size.is_some_and(|size| now + 2 > size as usize);
    let family = of_family.is_some_and(family);
    check(Rule::FamilySize, of_owner, when(family, of_owner, Reason::FamilySizeExceeded));
    let one_family = [(owner, of_owner), (beneficiary, of_beneficiary)];
    let mut asking = one_family.into_iter().filter(|(policy, _)| policy.rules.one_family_per_person);
    let refusing = asking.clone().find(|(policy, _)| {
        let (all, near) = (usize::from(filing.in_another_family), usize::from(filing.in_another_near));
        counts(policy, all, near).is_some_and(|families| families > 0)
    });
    let side = refusing.or_else(|| asking.next()).map_or(of_owner, |(_, side)| side);
    let elsewhere = refusing.is_some();
    check(Rule::OneFamilyPerPerson, side, when(elsewhere, side, Reason::AlreadyInAnotherFamily));
    let full = filing.owners_now.max(filing.members_now) >= filing.ties_max;
    check(Rule::BindingsPerMember, of_owner, when(full, of_owner, Reason::BindingsPerMemberExceeded));
    let mut check = |rule: Rule, side: Side, no: Option<Refusal>| checked(rule, side, no, 0);
    let next_day = rule.is_some_and(|rule| rule.effective == Effective::NextDay);
    let start = if next_day { on.max(filing.today.tomorrow().unwrap_or(on)) } else { on };
    if next_day {
        check(Rule::EffectiveDay, of_owner, None);
    }

    // Relation and mode both say that nothing is open.
    reasons.dedup();
    let given = |grant: &&Grant| filing.chosen.is_empty() || filing.chosen.contains(*grant);
    let grants = grants.iter().filter(given).copied().collect();
    FilingDecision { reasons, missing: steps.missing, pending: steps.pending, grants, start, trace }
}

/// Between evidence types of which one will do; no type has it in its name.
pub const EITHER: &str = "|";

/// Where today's policies stand behind those of the first day.
const NOW: u8 = 2;

/// Whether one pair of policies is the other: then a decision lists it once.
pub fn same_revisions(law: [&Policy; 2], now: [&Policy; 2]) -> bool {
    law.iter().zip(now).all(|(law, now)| law.revision.digest == now.revision.digest)
}

/// What a channel still asks for.
#[derive(Default)]
struct Steps {
    minor: bool,
    missing: Vec<String>,
    pending: Vec<String>,
    /// Whether anything may follow at all.
    follow: bool,
    /// A step is at hand whose predecessor is not.
    skipped: bool,
}

impl Steps {
    fn of(rule: Option<&ChannelRule>, filing: &Filing<'_>, owner: &Policy) -> Self {
        let Some(rule) = rule else { return Self::default() };
        let given = |kind: &String| filing.evidence.iter().any(|evidence| evidence.kind == *kind);
        let young = |line: u32| filing.beneficiary_age.is_none_or(|age| age < line);
        let minor = !rule.minor_evidence.is_empty() && owner.rules.minor_age.is_some_and(young);
        let asked = rule.evidence.iter().chain(rule.minor_evidence.iter().filter(|_| minor));
        let any = &rule.evidence_any;
        let one_of = (!any.is_empty() && !any.iter().any(given)).then(|| any.join(EITHER));
        let missing = asked.filter(|kind| !given(kind)).cloned().chain(one_of).collect();
        let of_relation = rule.relation_steps.iter().filter(|steps| steps.relations.contains(&filing.relation));
        let of_relation = of_relation.flat_map(|steps| &steps.verification);
        let verification: Vec<&String> = rule.verification.iter().chain(of_relation).collect();
        let done = verification.iter().take_while(|kind| given(kind)).count();
        let pending: Vec<String> = verification[done..].iter().map(|kind| (*kind).clone()).collect();
        let skipped = pending.iter().any(given);
        Self { minor, missing, pending, follow: !verification.is_empty(), skipped }
    }
}

/// What is still missing after the next steps were handed in, in their order.
pub fn decide_verification(
    missing: &[String],
    evidence: &[Evidence],
    trace: &mut Trace,
) -> Result<Vec<String>, Reason> {
    let in_order =
        evidence.len() <= missing.len() && evidence.iter().zip(missing).all(|(given, kind)| given.kind == *kind);
    let no = (!in_order).then_some(Reason::StepSkipped);
    trace.verdict(Rule::Verification, Subject::Bill, 0, no);
    no.map_or_else(|| Ok(missing[evidence.len()..].to_vec()), Err)
}

/// Decides a release under the owner's policy of the day: from which day on it holds no longer, or the reason and what is
/// missing.
pub fn decide_release(
    channel: Channel,
    evidence: &[Evidence],
    policy: &Policy,
    today: Date,
) -> Result<Date, (Reason, Vec<String>)> {
    let Some(rule) = policy.release(channel) else {
        return Err((Reason::ChannelNotAvailable, Vec::new()));
    };
    let given = |kind: &&String| !evidence.iter().any(|evidence| evidence.kind == **kind);
    let missing: Vec<String> = rule.evidence.iter().filter(given).cloned().collect();
    if !missing.is_empty() {
        return Err((Reason::EvidenceMissing, missing));
    }
    Ok(match rule.effective {
        Effective::AtOnce => today,
        Effective::NextDay => today.tomorrow().unwrap_or(today),
    })
}
