//! Bindings (共济绑定): the tie between an owner (共济人) and a beneficiary (被共济人), and its life.

use jiff::civil::Date;

use super::account::Account;
use super::ids::{BindingId, MemberId, RegionCode};
use super::member::Member;
use super::money::Money;
use super::policy::{ChannelRule, Policy};
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Rule, Subject, Trace};
use super::sharing::{self, Refusal, Side};
use super::vocabulary::{Channel, Effective, Grant, Relation};

/// States of a binding. `Ended` is computed: the last day is past. `Released`: by a party, or by a change of insurance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BindingState {
    /// Steps of its channel are still to come (待核验).
    Pending,
    Active,
    Released,
    Ended,
}

/// Amounts agreed for one binding; none means no cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    pub per_settlement: Option<Money>,
    pub per_day: Option<Money>,
    pub per_year: Option<Money>,
}

impl Caps {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A reference to a document shown when filing; no images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub kind: String,
    pub reference: String,
    pub digest: String,
}

/// A binding as filed. What settlements need of it stands in [`Tie`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub id: BindingId,
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub owner_region: RegionCode,
    pub beneficiary_region: RegionCode,
    pub relation: Relation,
    /// GB/T 4761 code, kept as given.
    pub relation_detail: String,
    pub channel: Channel,
    pub evidence: Vec<Evidence>,
    pub grants: Vec<Grant>,
    pub start: Date,
    pub last_day: Option<Date>,
    pub caps: Caps,
    pub priority: u32,
    pub life: Life,
}

/// Where a binding stands apart from its dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    InForce,
    Released(Release),
    /// Waits for these steps, in their order.
    Pending {
        missing: Vec<String>,
    },
    /// Released, and in force until this day begins.
    ReleasedFrom {
        release: Release,
        from: Date,
    },
}

/// How a binding came to its end before its last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub at: super::time::Moment,
    /// By a person; otherwise because an insurance ended or moved.
    pub requested: bool,
}

impl Binding {
    pub fn state(&self, on: Date) -> BindingState {
        let ended = self.last_day.is_some_and(|last| last < on);
        match &self.life {
            Life::Released(_) => BindingState::Released,
            Life::ReleasedFrom { from, .. } if *from <= on => BindingState::Released,
            Life::InForce | Life::Pending { .. } | Life::ReleasedFrom { .. } if ended => BindingState::Ended,
            Life::Pending { .. } => BindingState::Pending,
            Life::InForce | Life::ReleasedFrom { .. } => BindingState::Active,
        }
    }

    /// How and from which day on it was released.
    pub fn released(&self) -> Option<(Release, Date)> {
        match &self.life {
            Life::Released(release) => Some((*release, release.at.civil_day())),
            Life::ReleasedFrom { release, from } => Some((*release, *from)),
            Life::InForce | Life::Pending { .. } => None,
        }
    }

    /// What it waits for.
    pub fn missing(&self) -> &[String] {
        match &self.life {
            Life::Pending { missing } => missing,
            Life::InForce | Life::Released(_) | Life::ReleasedFrom { .. } => &[],
        }
    }

    fn spends(&self) -> Spends {
        match &self.life {
            _ if !self.grants.contains(&Grant::Spend) => Spends::No,
            Life::Pending { .. } => Spends::Unverified,
            Life::InForce | Life::Released(_) | Life::ReleasedFrom { .. } => Spends::Yes,
        }
    }

    pub fn tie(&self, filed: u64) -> Tie {
        Tie {
            binding: self.id,
            owner: self.owner,
            relation: self.relation,
            spends: self.spends(),
            start: self.start,
            last_day: self.last_day,
            caps: self.caps,
            used_on: None,
            used_day: Money::ZERO,
            used_year: Money::ZERO,
            priority: self.priority,
            filed,
        }
    }
}

/// Whether money may be drawn through a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spends {
    No,
    Yes,
    /// Once the steps that are still to come are done.
    Unverified,
}

/// What a settlement needs of one binding, kept in the beneficiary's [`Family`] so that one look follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    pub binding: BindingId,
    pub owner: MemberId,
    pub relation: Relation,
    pub spends: Spends,
    pub start: Date,
    pub last_day: Option<Date>,
    pub caps: Caps,
    /// The day the two counters below belong to (their day, and its year).
    pub used_on: Option<Date>,
    pub used_day: Money,
    pub used_year: Money,
    pub priority: u32,
    /// Order of filing: the ledger position the binding was filed after. Ties filed at one position stand in list order.
    pub filed: u64,
}

impl Tie {
    /// Whether it can pay on a day, as far as the tie itself tells.
    pub fn can_pay(&self, today: Date) -> bool {
        self.spends == Spends::Yes && self.start <= today && self.last_day.is_none_or(|last| last >= today)
    }

    fn used(&self, on: Date) -> (Money, Money) {
        match self.used_on {
            Some(day) if day == on => (self.used_day, self.used_year),
            Some(day) if day.year() == on.year() => (Money::ZERO, self.used_year),
            Some(_) | None => (Money::ZERO, Money::ZERO),
        }
    }

    /// What the caps leave for one more settlement today.
    pub fn cap_left(&self, on: Date) -> Option<Money> {
        let (day, year) = self.used(on);
        let left = [
            self.caps.per_settlement,
            self.caps.per_day.map(|cap| cap.minus_or_zero(day)),
            self.caps.per_year.map(|cap| cap.minus_or_zero(year)),
        ];
        left.into_iter().flatten().min()
    }

    /// Counts money drawn, or with a negative amount money returned, on `on`.
    pub fn count(&mut self, on: Date, amount: Money) {
        let (day, year) = self.used(on);
        self.used_on = Some(on);
        self.used_day = (day + amount).max(Money::ZERO);
        self.used_year = (year + amount).max(Money::ZERO);
    }
}

/// The active ties of one beneficiary. One record: its version guards against a binding made or ended meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    pub ties: Vec<Tie>,
}

/// The active bindings of one owner, for limits and for release when the owner's insurance ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wards {
    pub bindings: Vec<Ward>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ward {
    pub binding: BindingId,
    pub beneficiary: MemberId,
    pub last_day: Option<Date>,
}

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
    pub channel: Channel,
    pub evidence: &'a [Evidence],
    /// Active ties of the beneficiary and bindings of the owner on the day asked.
    pub owners_now: usize,
    pub members_now: usize,
    pub already_bound: bool,
    /// The server's own bound on ties of one person.
    pub ties_max: usize,
    /// The day of application.
    pub today: Date,
}

/// The answer: what would be granted, every reason against it at once, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilingDecision {
    pub reasons: Vec<Reason>,
    /// Without these no binding is made.
    pub missing: Vec<String>,
    /// Without these it waits.
    pub pending: Vec<String>,
    pub grants: Vec<Grant>,
    pub start: Date,
    pub trace: Trace,
}

/// Decides a filing under the policies of its start day. `CheckBinding` and `CreateBinding` both call this.
pub fn decide_filing(
    filing: &Filing<'_>,
    owner: &Policy,
    beneficiary: &Policy,
    regions: &RegionBook,
    on: Date,
) -> FilingDecision {
    let mut trace = Trace::new();
    let mut reasons = Vec::new();
    // A step cites the side that refused, or the side whose limit was looked at.
    let mut check = |rule: Rule, side: Side, no: Option<Refusal>| {
        trace.verdict(rule, Subject::Bill, no.map_or(side, |no| no.side).index(), no.map(|no| no.reason));
        reasons.extend(no.map(|no| no.reason));
    };
    let when = |no: bool, side: Side, reason: Reason| no.then_some(Refusal { reason, side });
    let (of_owner, of_beneficiary) = (Side::Owner, Side::Beneficiary);

    check(Rule::TwoPersons, of_owner, when(filing.owner.id == filing.beneficiary.id, of_owner, Reason::SamePerson));
    check(Rule::RelationAllowed, of_owner, sharing::relation_refused(owner, beneficiary, filing.relation));
    check(Rule::ModeBetween, of_owner, sharing::modes_between(owner, beneficiary, regions, on).err());
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
    let others = steps.missing.iter().any(|kind| rule.is_some_and(|rule| rule.evidence.contains(kind)));
    check(Rule::EvidenceComplete, of_owner, when(others, of_owner, Reason::EvidenceMissing));
    if rule.is_some_and(|rule| !rule.verification.is_empty()) {
        check(Rule::Verification, of_owner, when(steps.skipped, of_owner, Reason::StepSkipped));
    }
    if rule.is_some_and(|rule| rule.card_active) {
        check(Rule::CardActive, of_owner, when(!filing.owner_card_active, of_owner, Reason::CardNotActive));
    }

    let over = |limit: Option<u32>, now: usize| limit.is_some_and(|limit| now >= limit as usize);
    check(Rule::NotBoundYet, of_owner, when(filing.already_bound, of_owner, Reason::BindingAlreadyActive));
    let members = over(owner.rules.members_per_owner, filing.members_now);
    check(Rule::MembersPerOwner, of_owner, when(members, of_owner, Reason::MembersPerOwnerExceeded));
    let owners = over(beneficiary.rules.owners_per_member, filing.owners_now);
    check(Rule::OwnersPerMember, of_beneficiary, when(owners, of_beneficiary, Reason::OwnersPerMemberExceeded));
    let full = filing.owners_now.max(filing.members_now) >= filing.ties_max;
    check(Rule::BindingsPerMember, of_owner, when(full, of_owner, Reason::BindingsPerMemberExceeded));
    let next_day = rule.is_some_and(|rule| rule.effective == Effective::NextDay);
    let start = if next_day { on.max(filing.today.tomorrow().unwrap_or(on)) } else { on };
    if next_day {
        check(Rule::EffectiveDay, of_owner, None);
    }

    reasons.dedup();
    let grants = rule.map(|rule| rule.grants.clone()).unwrap_or_default();
    FilingDecision { reasons, missing: steps.missing, pending: steps.pending, grants, start, trace }
}

/// What a channel still asks for.
#[derive(Default)]
struct Steps {
    minor: bool,
    missing: Vec<String>,
    pending: Vec<String>,
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
        let missing = asked.filter(|kind| !given(kind)).cloned().collect();
        let done = rule.verification.iter().take_while(|kind| given(kind)).count();
        let pending = rule.verification[done..].to_vec();
        let skipped = pending.iter().any(given);
        Self { minor, missing, pending, skipped }
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
