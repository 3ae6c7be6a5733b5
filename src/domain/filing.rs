//! Filing a binding, its later steps, and its release (绑定、核验、解绑): what is asked for, and every reason against it.

use jiff::civil::Date;

use super::account::Account;
use super::binding::Evidence;
use super::judging::{Judging, asked, counted};
use super::member::Member;
use super::policy::{ChannelRule, Policy};
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Inputs, Rule, Subject, Trace};
use super::sharing::{self, Side};
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
    law: [&Policy; 2],
    now: [&Policy; 2],
    regions: &RegionBook,
    on: Date,
) -> FilingDecision {
    let mut trace = Trace::under(regions.policy_set);
    let [owner, beneficiary] = law;
    let mut judging = Judging::by(law, &mut trace);
    let when = |no: bool, reason: Reason| no.then_some(reason);

    let same = when(filing.owner.id == filing.beneficiary.id, Reason::SamePerson);
    judging.one(Rule::TwoPersons, Side::Owner, &[], same);
    let kin_no = sharing::kin_refused(owner, beneficiary, regions, filing.relation, filing.relation_detail);
    judging.both(Rule::RelationAllowed, &[asked(filing.relation)], kin_no);
    let mode_no = sharing::modes_between(owner, beneficiary, regions, on).err();
    judging.both(sharing::mode_rule(owner, beneficiary), &[], mode_no);
    let owner_no = sharing::owner_refused(filing.owner, filing.owner_account.is_some(), owner, beneficiary);
    judging.both(Rule::OwnerInsurance, &[], owner_no);
    let beneficiary_no = sharing::beneficiary_refused(filing.beneficiary, owner, beneficiary);
    judging.both(Rule::BeneficiaryInsurance, &[], beneficiary_no);

    let mut check = |rule: Rule, no: Option<Reason>| judging.one(rule, Side::Owner, &[], no);
    let rule = owner.channel(filing.channel);
    let family_code = filing.channel == Channel::FamilyCode;
    let no_channel = if family_code { Reason::FamilyCodeIsNotSharing } else { Reason::ChannelNotAvailable };
    check(Rule::ChannelOffered, when(rule.is_none(), no_channel));
    let steps = Steps::of(rule, filing, owner);
    if steps.minor {
        let photo = rule.is_some_and(|rule| steps.missing.iter().any(|kind| rule.minor_evidence.contains(kind)));
        check(Rule::MinorEvidence, when(photo, Reason::EvidenceMissing));
    }
    let first_asked = |kind: &String| kind.contains(EITHER) || rule.is_some_and(|rule| rule.evidence.contains(kind));
    let others = steps.missing.iter().any(first_asked);
    check(Rule::EvidenceComplete, when(others, Reason::EvidenceMissing));
    if steps.follow {
        check(Rule::Verification, when(steps.skipped, Reason::StepSkipped));
    }
    if rule.is_some_and(|rule| rule.card_active) {
        check(Rule::CardActive, when(!filing.owner_card_active, Reason::CardNotActive));
    }

    let grants = rule.map(|rule| rule.grants.as_slice()).unwrap_or_default();
    if !filing.chosen.is_empty() {
        let foreign = rule.is_some() && filing.chosen.iter().any(|grant| !grants.contains(grant));
        check(Rule::GrantsOffered, when(foreign, Reason::GrantNotOffered));
    }

    check(Rule::NotBoundYet, when(filing.already_bound, Reason::BindingAlreadyActive));
    let first = if same_revisions(law, now) { 0 } else { NOW };
    judging.then_by(now, first);
    let [owner, beneficiary] = now;
    // A region's numbers may speak of its own province alone: then they say nothing of a pair in two.
    let far = filing.owner.insurance.region.province() != filing.beneficiary.insurance.region.province();
    let counts = |policy: &Policy, all: usize, near: usize| match (policy.rules.limits_other_provinces, far) {
        (true, _) => Some(all),
        (false, true) => None,
        (false, false) => Some(near),
    };
    // Now, and what there may be; the reason where the next one is one too many.
    let mut number = |rule: Rule, side: Side, now: Option<usize>, limit: Option<u32>, reason: Reason| {
        let inputs: Inputs = now.into_iter().flat_map(|now| counted(now, limit)).collect();
        let full = now.zip(limit).is_some_and(|(now, limit)| now >= limit as usize);
        judging.one(rule, side, &inputs, when(full, reason));
    };
    let of_family = counts(owner, filing.members_now, filing.members_near);
    let limit = owner.rules.members_per_owner;
    number(Rule::MembersPerOwner, Side::Owner, of_family, limit, Reason::MembersPerOwnerExceeded);
    let owners = counts(beneficiary, filing.owners_now, filing.owners_near);
    let limit = beneficiary.rules.owners_per_member;
    number(Rule::OwnersPerMember, Side::Beneficiary, owners, limit, Reason::OwnersPerMemberExceeded);
    // The owner counts, too.
    let family = of_family.map(|now| now + 1);
    number(Rule::FamilySize, Side::Owner, family, owner.rules.family_size, Reason::FamilySizeExceeded);
    let (all, near) = (usize::from(filing.in_another_family), usize::from(filing.in_another_near));
    let elsewhere = |policy: &Policy| {
        policy.rules.one_family_per_person && counts(policy, all, near).is_some_and(|families| families > 0)
    };
    let refusing =
        sharing::unless_both(owner, beneficiary, Reason::AlreadyInAnotherFamily, |policy| !elsewhere(policy));
    judging.both(Rule::OneFamilyPerPerson, &[], refusing);
    let (most, now) = (u32::try_from(filing.ties_max).ok(), filing.owners_now.max(filing.members_now));
    let inputs: Inputs = counted(now, most).collect();
    let full = when(now >= filing.ties_max, Reason::BindingsPerMemberExceeded);
    judging.one(Rule::BindingsPerMember, Side::Owner, &inputs, full);
    judging.then_by(law, 0);
    let next_day = rule.is_some_and(|rule| rule.effective == Effective::NextDay);
    let start = if next_day { on.max(filing.today.tomorrow().unwrap_or(on)) } else { on };
    if next_day {
        judging.one(Rule::EffectiveDay, Side::Owner, &[], None);
    }
    let mut reasons = judging.reasons;

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
    trace.verdict(Rule::Verification, Subject::Pair, 0, no);
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
