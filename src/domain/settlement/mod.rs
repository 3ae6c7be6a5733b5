//! Quote and settle: the decision, the postings it becomes, and the settlement that stays. What becomes of it later stands
//! in `hold` and `refund`.

pub mod books;
pub mod hold;
pub mod refund;

use std::sync::Arc;

use jiff::civil::Date;

use super::bill::{Bill, Visit};
use super::draw::{self, Contribution, Draw, Excluded, Owner, Patient};
use super::ids::{InstitutionCode, MemberId, RegionCode, SettlementId};
use super::money::Money;
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::region::RegionBook;
use super::rule::Trace;
use super::split::{self, Split};
use super::time::Moment;
use super::year_use::{UseOf, YearUse};
use books::Books;
use hold::{Hold, HoldState};
pub use refund::{Refund, RefundAsk, Reversal, apply_refund, decide_refund, reverse_refund};

/// Everything a quote looks at. Accounts are as of `today`.
#[derive(Debug)]
pub struct Case<'a> {
    pub today: Date,
    pub visit: &'a Visit,
    pub bill: &'a Bill,
    pub patient: Patient<'a>,
    pub policy: &'a Arc<Policy>,
    /// In the year of the visit and the patient's region, before the bill.
    pub used: &'a [(UseOf, YearUse)],
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
    Held,
    Confirmed,
    Released,
    Expired,
    PartiallyRefunded,
    Refunded,
}

/// A committed settlement (结算), or a hold of one (预留). What was decided never changes, but for what a confirmation takes
/// less than was held; refunds are added beside it.
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
    /// None where it was settled in one step.
    pub hold: Option<Hold>,
    /// The request that reversed it while resolving a lost answer; empty: none did.
    pub reversed_by: String,
    /// What of the deductible counts towards the year's.
    pub year_deductible: Money,
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

    fn plus(&self, other: &Self) -> Self {
        Self {
            fund: self.fund + other.fund,
            hospital_part: self.hospital_part + other.hospital_part,
            accounts: self.accounts + other.accounts,
            cash: self.cash + other.cash,
        }
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
    /// What was paid, or would be if a hold were confirmed whole.
    pub fn paid(&self) -> Parts {
        let split = &self.amounts.split;
        let accounts = self.amounts.own_account + self.amounts.mutual_aid;
        Parts { fund: split.fund, hospital_part: split.hospital_part, accounts, cash: self.amounts.cash }
    }

    /// Refunds that were put back are none.
    pub fn refunded(&self) -> Parts {
        let standing = self.refunds.iter().filter(|refund| refund.reversal.is_none());
        standing.fold(Parts::default(), |sum, refund| sum.plus(&refund.parts))
    }

    pub fn state(&self) -> SettlementState {
        let held = self.hold.as_ref().and_then(|hold| match hold.state {
            HoldState::Open => Some(SettlementState::Held),
            HoldState::Released { .. } => Some(SettlementState::Released),
            HoldState::Expired { .. } => Some(SettlementState::Expired),
            HoldState::Confirmed { .. } => None,
        });
        held.unwrap_or_else(|| match self.refunded().total() {
            refunded if refunded == self.amounts.split.total => SettlementState::Refunded,
            refunded if refunded.is_positive() => SettlementState::PartiallyRefunded,
            _ => SettlementState::Confirmed,
        })
    }

    /// The settlement as its own request was answered: with what was decided then, before anything else became of it.
    pub fn as_decided(&self, amounts: Amounts, contributions: Vec<Contribution>) -> Self {
        let hold = self.hold.as_ref().map(|hold| Hold { state: HoldState::Open, ..hold.clone() });
        Self { amounts, contributions, refunds: Vec::new(), hold, reversed_by: String::new(), ..self.clone() }
    }

    /// Where what it uses of the fund is counted.
    pub fn use_of(&self) -> UseOf {
        UseOf { year: self.visit.date.year(), region: self.region, purpose: self.visit.purpose }
    }

    /// The settlement as it stood after its first `count` refunds.
    pub fn after_refunds(&self, count: usize) -> Self {
        let mut earlier = self.clone();
        earlier.reversed_by.clear();
        earlier.refunds.truncate(count);
        for refund in &mut earlier.refunds {
            refund.reversal.take_if(|reversal| usize::from(reversal.after) >= count);
        }
        earlier.contributions.iter_mut().for_each(|paid| paid.refunded = Money::ZERO);
        let standing = earlier.refunds.iter().filter(|refund| refund.reversal.is_none());
        for (place, amount) in standing.flat_map(|refund| &refund.returned) {
            earlier.contributions[usize::from(*place)].refunded += *amount;
        }
        earlier
    }
}

/// Who bears what no account pays.
fn outside(region: RegionCode, institution: &InstitutionCode, amounts: &Parts) -> [(Party, Money); 3] {
    [
        (Party::Fund(region), amounts.fund),
        (Party::HospitalPart(institution.clone()), amounts.hospital_part),
        (Party::Cash, amounts.cash),
    ]
}

/// Writes a decision into accounts, quotas, counters and postings.
pub fn apply(decision: &Decision, institution: &InstitutionCode, region: RegionCode, books: &mut Books) {
    let hospital = Party::Institution(institution.clone());
    let (amounts, split) = (&decision.amounts, &decision.amounts.split);
    let first = books.postings.len();
    let parts =
        Parts { fund: split.fund, hospital_part: split.hospital_part, accounts: Money::ZERO, cash: amounts.cash };
    for (from, amount) in outside(region, institution, &parts) {
        if amount.is_positive() {
            books.postings.push(Posting::outside(from, hospital.clone(), amount));
        }
    }
    for contribution in &decision.contributions {
        books.draw(contribution, hospital.clone());
    }
    let received: Money = books.postings[first..].iter().map(|posting| posting.amount).sum();
    assert_eq!(received, split.total, "postings balance: the institution receives the whole bill");
}
