//! The keyed facts a store keeps beside the ledger: what each key names and what lies under it.

use std::sync::Arc;

use jiff::civil::Date;
use smol_str::SmolStr;

use super::encoded::Encoded;
use crate::domain::account::Account;
use crate::domain::bill::Bill;
use crate::domain::binding::{AidUse, Binding, Family, Wards};
use crate::domain::card::Card;
use crate::domain::certification::Certification;
use crate::domain::draw::Excluded;
use crate::domain::ids::{BindingId, MemberId, RegionCode, SettlementId, TransferId};
use crate::domain::member::{Member, Person};
use crate::domain::money::Money;
use crate::domain::paper::Slips;
use crate::domain::quota::Quota;
use crate::domain::record::Job;
use crate::domain::settlement::Settlement;
use crate::domain::settlement::hold::Mark;
use crate::domain::wallet::{SentTransfer, Wallet, WalletDay};
use crate::domain::wording::Told;
use crate::domain::year_close::YearClose;
use crate::domain::year_use::{UseOf, YearUse};

/// The name of one fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A request id in its scope, by keyed hash.
    Request([u8; 16]),
    /// A number a person is found by, by keyed hash.
    Reference([u8; 16]),
    /// Who a person is. Rewritten with every change of the insurance, so its version is the member's.
    Person(MemberId),
    Standing(MemberId),
    Wards(MemberId),
    Binding(BindingId),
    Settlement(SettlementId),
    /// Bill, facts and trace of a settlement.
    Basis(SettlementId),
    /// A policy revision by its digest.
    Policy([u8; 32]),
    /// Why a change other than a settlement was decided as it was, by its request.
    Decided([u8; 16]),
    /// State of a member's card; absent: active as recorded.
    Card(MemberId),
    Wallet(MemberId),
    /// What a wallet sent on a day.
    WalletDay(MemberId, Date),
    Transfer(TransferId),
    /// What is set aside for a binding.
    Quota(BindingId),
    /// The paper slips a patient was helped by.
    Slips(MemberId),
    /// Up to which day a job is done.
    JobDay(Job),
    /// A person's latest certification.
    Certification(MemberId),
    /// The close of a region's year.
    YearClose(RegionCode, i16),
    /// What a beneficiary (second) drew from an owner's account (first), where the owner's region limits it.
    AidUse(MemberId, MemberId),
    /// What a policy set was made of, by its digest.
    PolicySet([u8; 32]),
}

/// What lies under a key. Shared, so that a change can be decided, kept and answered with one copy of what it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    Request(Arc<Request>),
    Reference(MemberId),
    Person(Arc<Person>),
    Standing(Arc<Standing>),
    Wards(Arc<Wards>),
    Binding(Arc<Binding>),
    Settlement(Arc<Settlement>),
    Basis(Arc<Encoded<Basis>>),
    Policy(Arc<StoredPolicy>),
    Decided(Arc<Decided>),
    Card(Arc<Card>),
    Wallet(Arc<Wallet>),
    WalletDay(WalletDay),
    Transfer(Arc<SentTransfer>),
    Quota(Arc<Quota>),
    Slips(Arc<Slips>),
    JobDay(JobDay),
    Certification(Arc<Certification>),
    YearClose(Arc<YearClose>),
    AidUse(AidUse),
    PolicySet(Arc<PolicySet>),
}

/// They are moved about with every look and change, and each is as large as the largest: what is larger is shared.
const _: () = assert!(size_of::<Entity>() <= 32 && size_of::<Key>() <= 48);

/// How far a daily job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobDay {
    pub job: Job,
    /// Every day up to this one is done.
    pub done: Date,
}

/// Everything that decisions read of one person, in one fact, so that a case is one look per person: a settlement's patient
/// and three who pay are four keys and not fourteen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub member: Member,
    /// For answers that name a payer; the name itself lies in [`Person`].
    pub masked_name: SmolStr,
    /// None where there is no personal account.
    pub account: Option<Account>,
    /// Who may pay for this person.
    pub family: Family,
    /// The use of the fund by year, region and kind of care, in this order; where there is none nothing stands.
    pub years: Vec<(UseOf, YearUse)>,
    /// Open holds for this person's bills or of this person's money. An expired one is still among them until somebody
    /// meets it and ends it.
    pub holds: Vec<Mark>,
}

impl Standing {
    pub fn new(member: Member, masked_name: SmolStr) -> Self {
        Self { member, masked_name, account: None, family: Family::default(), years: Vec::new(), holds: Vec::new() }
    }

    pub fn year_use(&self, of: UseOf) -> YearUse {
        self.years.iter().rev().find(|(known, _)| *known == of).map(|(_, used)| *used).unwrap_or_default()
    }

    /// All that was used of one region's fund in a year.
    pub fn used_in(&self, year: i16, region: RegionCode) -> &[(UseOf, YearUse)] {
        let first = self.years.partition_point(|(of, _)| (of.year, of.region) < (year, region));
        let rows = &self.years[first..];
        &rows[..rows.partition_point(|(of, _)| (of.year, of.region) == (year, region))]
    }

    pub fn set_year_use(&mut self, of: UseOf, used: YearUse) {
        self.years.retain(|(known, _)| *known != of);
        if used != YearUse::default() {
            let place = self.years.partition_point(|(known, _)| *known < of);
            self.years.insert(place, (of, used));
        }
    }
}

/// A policy set as first used, so that a later start can say what is other than then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySet {
    pub parts: Vec<crate::domain::policy::SetPart>,
}

/// The trace of a binding, transfer or refund, with the policies its steps point to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

/// A request id that had its effect. Written in the same commit as the work; its version is the work's ledger position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The whole id and scope, compared so that a colliding hash is never taken for a repeat.
    pub scope: String,
    pub id: String,
    pub method: u8,
    pub fingerprint: [u8; 16],
    /// One short keyed digest per canonical field, to name (never show) what differs.
    pub fields: Vec<u32>,
}

/// What a settlement was decided on. Health data: beside the ledger, which holds its salted digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    pub salt: [u8; 16],
    pub bill: Arc<Bill>,
    pub payers: Vec<PayerFact>,
    pub excluded: Vec<Excluded>,
    pub papers: Vec<PaperFact>,
    /// In the year of the visit and the patient's region.
    pub used: Vec<(UseOf, YearUse)>,
    pub trace: Arc<Told>,
}

/// What the rules saw of one payer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayerFact {
    pub member: MemberId,
    pub current: Money,
    pub prior: Money,
    pub cap_left: Option<Money>,
}

/// A paper authorisation that was handed in. Numbers of people lie with people only: the card and the telephone number stand
/// on the paper, and the request's fingerprint covers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperFact {
    pub owner: MemberId,
    /// Empty, but in what was stored before.
    pub user_card: String,
    /// Empty, but in what was stored before.
    pub phone: String,
    pub signature_ref: String,
}

/// A policy revision as first used, so that a decision can be explained when the files have moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    pub region: crate::domain::ids::RegionCode,
    pub start: jiff::civil::Date,
    pub end: Option<jiff::civil::Date>,
    pub known_from: jiff::civil::Date,
    /// One per `Param`, in that order as of the writing version.
    pub values: Vec<StoredValue>,
}

impl StoredPolicy {
    /// Values stand in the order of their keys; only those of an older version may stand elsewhere.
    pub fn value(&self, param: crate::domain::policy::Param) -> Option<&StoredValue> {
        let usual = self.values.get(usize::from(param.code())).filter(|value| value.param == param);
        usual.or_else(|| self.values.iter().find(|value| value.param == param))
    }
}

/// One value of a stored policy with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    pub param: crate::domain::policy::Param,
    pub text: String,
    pub start: jiff::civil::Date,
    pub end: Option<jiff::civil::Date>,
    pub region: crate::domain::ids::RegionCode,
    pub grade: crate::domain::vocabulary::Grade,
    pub note: String,
    pub citation: StoredCitation,
}

/// A citation as it read when the revision was first used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCitation {
    pub id: String,
    pub document: String,
    pub article: String,
    pub effective: Option<jiff::civil::Date>,
    pub url: String,
    pub grade: crate::domain::vocabulary::Grade,
    pub note: String,
}
