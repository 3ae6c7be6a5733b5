//! Quote, settle and refund: the decision, the postings it becomes, and the settlement that stays.

use std::sync::Arc;

use jiff::civil::Date;

use super::account::Account;
use super::bill::{Bill, Visit};
use super::binding::Family;
use super::draw::{self, Contribution, Draw, Excluded, Owner, Patient};
use super::ids::{InstitutionCode, MemberId, RegionCode, SettlementId};
use super::money::Money;
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::quota::Quota;
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Input, Rule, Subject, Trace};
use super::split::{self, Split, YearUse};
use super::time::Moment;

/// Everything a quote looks at. Accounts are as of `today`.
#[derive(Debug)]
pub struct Case<'a> {
    pub today: Date,
    pub visit: &'a Visit,
    pub bill: &'a Bill,
    pub patient: Patient<'a>,
    pub policy: &'a Arc<Policy>,
    pub used: YearUse,
    pub owners: Vec<Owner<'a>>,
    pub regions: &'a RegionBook,
}

/// The amounts of a settlement; always total = fund + hospital part + own account + mutual aid + cash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    pub split: Split,
    pub own_account: Money,
    pub mutual_aid: Money,
    pub cash: Money,
}

/// What was decided, for whom, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub amounts: Amounts,
    pub contributions: Vec<Contribution>,
    pub excluded: Vec<Excluded>,
    pub trace: Trace,
}

/// The dry run and the real thing are this one function, so they cannot disagree.
pub fn decide(case: &Case<'_>) -> Decision {
    let mut trace = Trace::under(case.regions.policy_set);
    let split = split::split(case.bill, case.visit, &case.patient.member.insurance, case.used, case.policy, &mut trace);
    let Draw { own, mutual_aid, cash, contributions, excluded } = draw::draw(
        &split,
        &case.patient,
        &case.owners,
        case.policy,
        case.regions,
        case.visit.purpose,
        case.visit.date,
        case.today,
        &mut trace,
    );
    let amounts = Amounts { split, own_account: own, mutual_aid, cash };
    assert_eq!(split.total, split.fund + split.hospital_part + own + mutual_aid + cash, "every fen has a payer");
    Decision { amounts, contributions, excluded, trace }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettlementState {
    Confirmed,
    PartiallyRefunded,
    Refunded,
}

/// A committed settlement (结算). Amounts never change; refunds are added beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub id: SettlementId,
    pub institution: InstitutionCode,
    pub patient: MemberId,
    pub region: RegionCode,
    pub visit: Visit,
    pub amounts: Amounts,
    pub contributions: Vec<Contribution>,
    pub excluded: Vec<Excluded>,
    /// Digests of the policy revisions used, the patient's first.
    pub policies: Vec<[u8; 32]>,
    pub refunds: Vec<Refund>,
    pub created_at: Moment,
}

/// 退费: money returned, never more than what was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub request_id: String,
    pub parts: Parts,
    /// What each contribution got back, by its place; only those that got something.
    pub returned: Vec<(u16, Money)>,
    pub at: Moment,
}

/// Money by who bore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub fund: Money,
    pub hospital_part: Money,
    pub accounts: Money,
    pub cash: Money,
}

impl Parts {
    pub fn total(&self) -> Money {
        self.fund + self.hospital_part + self.accounts + self.cash
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            fund: self.fund - other.fund,
            hospital_part: self.hospital_part - other.hospital_part,
            accounts: self.accounts - other.accounts,
            cash: self.cash - other.cash,
        }
    }

    fn exceeds(&self, limit: &Self) -> bool {
        self.fund > limit.fund
            || self.hospital_part > limit.hospital_part
            || self.accounts > limit.accounts
            || self.cash > limit.cash
    }
}

impl Settlement {
    pub fn paid(&self) -> Parts {
        let split = &self.amounts.split;
        let accounts = self.amounts.own_account + self.amounts.mutual_aid;
        Parts { fund: split.fund, hospital_part: split.hospital_part, accounts, cash: self.amounts.cash }
    }

    pub fn refunded(&self) -> Parts {
        self.refunds.iter().fold(Parts::default(), |sum, refund| Parts {
            fund: sum.fund + refund.parts.fund,
            hospital_part: sum.hospital_part + refund.parts.hospital_part,
            accounts: sum.accounts + refund.parts.accounts,
            cash: sum.cash + refund.parts.cash,
        })
    }

    pub fn state(&self) -> SettlementState {
        match self.refunded().total() {
            refunded if refunded == self.amounts.split.total && !self.refunds.is_empty() => SettlementState::Refunded,
            refunded if refunded.is_positive() => SettlementState::PartiallyRefunded,
            _ => SettlementState::Confirmed,
        }
    }

    /// The settlement as its own request was answered: before any refund.
    pub fn as_settled(&self) -> Self {
        let mut original = self.clone();
        original.refunds.clear();
        for contribution in &mut original.contributions {
            contribution.refunded = Money::ZERO;
        }
        original
    }

    /// The settlement as it stood after its first `count` refunds.
    pub fn after_refunds(&self, count: usize) -> Self {
        let mut earlier = self.as_settled();
        earlier.refunds = self.refunds[..count].to_vec();
        for (place, amount) in earlier.refunds.iter().flat_map(|refund| &refund.returned) {
            earlier.contributions[usize::from(*place)].refunded += *amount;
        }
        earlier
    }
}

/// Writes a decision into accounts, counters and postings. `accounts` are the payers', already turned to today.
#[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
pub fn apply(
    decision: &Decision,
    institution: &InstitutionCode,
    region: RegionCode,
    today: Date,
    accounts: &mut [Account],
    quotas: &mut [Quota],
    family: &mut Family,
    postings: &mut Vec<Posting>,
) {
    let hospital = Party::Institution(institution.clone());
    let split = &decision.amounts.split;
    let outside = [
        (Party::Fund(region), split.fund),
        (Party::HospitalPart(institution.clone()), split.hospital_part),
        (Party::Cash, decision.amounts.cash),
    ];
    let first = postings.len();
    for (from, amount) in outside {
        if amount.is_positive() {
            postings.push(Posting::outside(from, hospital.clone(), amount));
        }
    }
    for contribution in &decision.contributions {
        if let Some(quota) = quota_of(quotas, contribution) {
            quota.pay(contribution.bucket, contribution.amount, hospital.clone(), postings);
        } else {
            let account = accounts.iter_mut().find(|account| account.member == contribution.payer);
            let account = account.expect("a payer's account was loaded");
            account.pay(contribution.bucket, contribution.amount, hospital.clone(), postings);
        }
        if let Some(tie) = tie_of(family, contribution) {
            tie.count(today, contribution.amount);
        }
    }
    let received: Money = postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(received, split.total, "postings balance: the institution receives the whole bill");
}

/// The quota a contribution is drawn from: while one is in force, it is what its relative draws on.
fn quota_of<'a>(quotas: &'a mut [Quota], contribution: &Contribution) -> Option<&'a mut Quota> {
    let binding = contribution.binding?;
    quotas.iter_mut().find(|quota| quota.binding == binding && quota.is_live())
}

fn tie_of<'a>(family: &'a mut Family, contribution: &Contribution) -> Option<&'a mut super::binding::Tie> {
    let binding = contribution.binding?;
    family.ties.iter_mut().find(|tie| tie.binding == binding && !tie.caps.is_none())
}

/// What a refund asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundAsk {
    /// Everything that is left.
    Whole,
    Parts(Parts),
}

/// Decides a refund under the stored decision: which contribution gets back how much, last drawn first.
pub fn decide_refund(
    settlement: &Settlement,
    ask: RefundAsk,
    trace: &mut Trace,
) -> Result<(Parts, Vec<(u16, Money)>), Reason> {
    let left = settlement.paid().minus(&settlement.refunded());
    if left.total().is_zero() {
        return Err(Reason::AlreadyRefunded);
    }
    let parts = match ask {
        RefundAsk::Whole => left,
        RefundAsk::Parts(parts) => parts,
    };
    if parts.exceeds(&left) {
        return Err(Reason::RefundExceedsPaid);
    }
    let mut accounts = parts.accounts;
    let mut returned = Vec::new();
    for (place, contribution) in settlement.contributions.iter().enumerate().rev() {
        let amount = accounts.min(contribution.left());
        if amount.is_positive() {
            accounts -= amount;
            returned.push((u16::try_from(place).unwrap_or(u16::MAX), amount));
            let subject = match contribution.binding {
                Some(binding) => Subject::Binding(binding),
                None if contribution.is_own() => Subject::Own,
                None => Subject::Paper(u16::try_from(place).unwrap_or(u16::MAX)),
            };
            trace.amount(Rule::RefundAccounts, subject, 0, &[(Input::Amount, contribution.amount)], amount);
        }
    }
    assert!(accounts.is_zero(), "what the accounts paid is what their contributions sum to");
    let inputs = [(Input::Fund, parts.fund), (Input::HospitalPart, parts.hospital_part), (Input::Cash, parts.cash)];
    trace.amount(Rule::RefundOther, Subject::Bill, 0, &inputs, parts.total() - parts.accounts);
    Ok((parts, returned))
}

/// Writes a refund: the settlement's postings mirrored, to the same payer, bucket and year.
#[allow(clippy::too_many_arguments, reason = "each is a fact of its own")]
pub fn apply_refund(
    settlement: &mut Settlement,
    refund: Refund,
    today: Date,
    settled_on: Date,
    accounts: &mut [Account],
    quotas: &mut [Quota],
    family: Option<&mut Family>,
    postings: &mut Vec<Posting>,
) -> Result<(), Reason> {
    let hospital = Party::Institution(settlement.institution.clone());
    let outside = [
        (Party::Fund(settlement.region), refund.parts.fund),
        (Party::HospitalPart(settlement.institution.clone()), refund.parts.hospital_part),
        (Party::Cash, refund.parts.cash),
    ];
    let first = postings.len();
    for (to, amount) in outside {
        if amount.is_positive() {
            postings.push(Posting::outside(hospital.clone(), to, amount));
        }
    }
    let mut family = family;
    for (place, amount) in &refund.returned {
        let contribution = &mut settlement.contributions[usize::from(*place)];
        // What a quota paid goes back into it while it is in force without a break; afterwards it is the owner's again.
        let unbroken = |quota: &&mut Quota| quota.since.is_some_and(|since| since <= settlement.created_at);
        if let Some(quota) = quota_of(quotas, contribution).filter(unbroken) {
            let bucket = quota.bucket_of_year(contribution.bucket, contribution.year);
            quota.receive(bucket, *amount, hospital.clone(), postings);
        } else {
            let account = accounts.iter_mut().find(|account| account.member == contribution.payer);
            let account = account.expect("a payer's account was loaded");
            let bucket = account.bucket_of_year(contribution.bucket, contribution.year);
            account.receive(bucket, *amount, hospital.clone(), postings)?;
        }
        contribution.refunded += *amount;
        assert!(contribution.refunded <= contribution.amount, "refunds never exceed what each paid");
        // Money that comes back in the period it was counted in frees the cap again.
        if let Some(tie) = family.as_deref_mut().and_then(|family| tie_of(family, contribution)) {
            let (same_day, same_year) = (settled_on == today, settled_on.year() == today.year());
            if same_day {
                tie.count(today, -*amount);
            } else if same_year {
                tie.count(today, Money::ZERO);
                tie.used_year = tie.used_year.minus_or_zero(*amount);
            }
        }
    }
    let paid: Money = postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(paid, refund.parts.total(), "postings balance: the institution returns what was refunded");
    settlement.refunds.push(refund);
    Ok(())
}
