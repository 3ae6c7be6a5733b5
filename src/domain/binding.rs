//! Bindings (共济绑定): the tie between an owner (共济人) and a beneficiary (被共济人), and its life.

use jiff::civil::Date;

use super::account::Account;
use super::ids::{BindingId, MemberId, RegionCode};
use super::member::Member;
use super::money::Money;
use super::policy::Policy;
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Rule, Subject, Trace};
use super::sharing::{self, Refusal, Side};
use super::vocabulary::{Channel, Grant, Relation};

/// States of a binding. `Ended` is computed: the last day is past. `Released`: by a party, or by a change of insurance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BindingState {
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
    pub released: Option<Release>,
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
        match (self.released, self.last_day) {
            (Some(_), _) => BindingState::Released,
            (None, Some(last)) if last < on => BindingState::Ended,
            (None, _) => BindingState::Active,
        }
    }

    pub fn tie(&self, filed: u64) -> Tie {
        Tie {
            binding: self.id,
            owner: self.owner,
            relation: self.relation,
            spends: self.grants.contains(&Grant::Spend),
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

/// What a settlement needs of one binding, kept in the beneficiary's [`Family`] so that one look follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    pub binding: BindingId,
    pub owner: MemberId,
    pub relation: Relation,
    pub spends: bool,
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

/// What one beneficiary drew from one owner's account, where the owner's region limits it: by pair, so that a new binding
/// between the same two begins with what the old one used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AidUse {
    /// The day the two amounts belong to (their day, and its year).
    pub on: Option<Date>,
    pub day: Money,
    pub year: Money,
}

impl AidUse {
    /// What was drawn on a day, and in its year up to now.
    pub fn of(&self, on: Date) -> (Money, Money) {
        match self.on {
            Some(day) if day == on => (self.day, self.year),
            Some(day) if day.year() == on.year() => (Money::ZERO, self.year),
            Some(_) | None => (Money::ZERO, Money::ZERO),
        }
    }

    pub fn drawn(&mut self, on: Date, amount: Money) {
        let (day, year) = self.of(on);
        *self = Self { on: Some(on), day: day + amount, year: year + amount };
    }

    /// Money that comes back in the period it was counted in frees the limit again.
    pub fn returned(&mut self, on: Date, drawn_on: Date, amount: Money) {
        let (day, year) = self.of(on);
        let of_day = if drawn_on == on { amount } else { Money::ZERO };
        let of_year = if drawn_on.year() == on.year() { amount } else { Money::ZERO };
        *self = Self { on: Some(on), day: day.minus_or_zero(of_day), year: year.minus_or_zero(of_year) };
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
    pub beneficiary: &'a Member,
    pub relation: Relation,
    pub channel: Channel,
    pub evidence: &'a [Evidence],
    /// Active ties of the beneficiary and bindings of the owner on the day asked.
    pub owners_now: usize,
    pub members_now: usize,
    pub already_bound: bool,
    /// The owner or the beneficiary stands in a family other than the owner's.
    pub in_another_family: bool,
    /// The server's own bound on ties of one person.
    pub ties_max: usize,
}

/// The answer: what would be granted, every reason against it at once, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilingDecision {
    pub reasons: Vec<Reason>,
    pub missing: Vec<String>,
    pub grants: Vec<Grant>,
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
    let mut trace = Trace::under(regions.policy_set);
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
    check(Rule::ChannelOffered, of_owner, when(rule.is_none(), of_owner, Reason::ChannelNotAvailable));
    let given = |kind: &String| filing.evidence.iter().any(|evidence| evidence.kind == *kind);
    let asked = rule.map_or(&[][..], |rule| &rule.evidence);
    let missing: Vec<String> = asked.iter().filter(|kind| !given(kind)).cloned().collect();
    check(Rule::EvidenceComplete, of_owner, when(!missing.is_empty(), of_owner, Reason::EvidenceMissing));

    let over = |limit: Option<u32>, now: usize| limit.is_some_and(|limit| now >= limit as usize);
    check(Rule::NotBoundYet, of_owner, when(filing.already_bound, of_owner, Reason::BindingAlreadyActive));
    let members = over(owner.rules.members_per_owner, filing.members_now);
    check(Rule::MembersPerOwner, of_owner, when(members, of_owner, Reason::MembersPerOwnerExceeded));
    let owners = over(beneficiary.rules.owners_per_member, filing.owners_now);
    check(Rule::OwnersPerMember, of_beneficiary, when(owners, of_beneficiary, Reason::OwnersPerMemberExceeded));
    // The owner and the new member count, too.
    let family = owner.rules.family_size.is_some_and(|size| filing.members_now + 2 > size as usize);
    check(Rule::FamilySize, of_owner, when(family, of_owner, Reason::FamilySizeExceeded));
    let one_family = [(owner, of_owner), (beneficiary, of_beneficiary)];
    let one_family = one_family.into_iter().find(|(policy, _)| policy.rules.one_family_per_person);
    let side = one_family.map_or(of_owner, |(_, side)| side);
    let elsewhere = one_family.is_some() && filing.in_another_family;
    check(Rule::OneFamilyPerPerson, side, when(elsewhere, side, Reason::AlreadyInAnotherFamily));
    let full = filing.owners_now.max(filing.members_now) >= filing.ties_max;
    check(Rule::BindingsPerMember, of_owner, when(full, of_owner, Reason::BindingsPerMemberExceeded));

    // Relation and mode both say that nothing is open.
    reasons.dedup();
    let grants = rule.map(|rule| rule.grants.clone()).unwrap_or_default();
    FilingDecision { reasons, missing, grants, trace }
}
