//! What the ledger holds: one immutable record per change, saying what happened and which money moved. Ids only, never
//! personal data, so that erasing a person leaves every record and its digest valid.

use jiff::civil::Date;

use super::account::{Account, YearEnd};
use super::binding::Binding;
use super::certification::Certification;
use super::draw::Contribution;
use super::ids::{BindingId, InstitutionCode, MemberId, RegionCode, SettlementId, TransferId};
use super::member::Member;
use super::money::Money;
use super::posting::Posting;
use super::quota::Quota;
use super::settlement::hold::HoldEnd;
use super::settlement::{Amounts, Parts};
use super::time::Moment;
use super::vocabulary::{Bucket, CardChannel, Channel, Relation};
use super::year_close::YearClose;

/// One change: the event and the postings it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub event: Event,
    pub postings: Vec<Posting>,
}

/// What happened. Each carries enough to answer a repeated request with the original outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    MemberCreated {
        member: Member,
    },
    InsuranceUpdated {
        member: Member,
        released: Vec<BindingId>,
    },
    Credited {
        after: Account,
        bucket: Bucket,
        amount: Money,
        kind: CreditKind,
        note: String,
    },
    Transferred {
        transfer: Transfer,
        owner_after: Account,
        beneficiary_after: Account,
        policies: Vec<[u8; 32]>,
    },
    /// The evidence's references stay beside the ledger; the record keeps their kinds.
    BindingCreated {
        binding: Binding,
        policies: Vec<[u8; 32]>,
    },
    BindingReleased {
        binding: BindingId,
        owner: MemberId,
        beneficiary: MemberId,
        by: ReleasedBy,
        channel: Channel,
    },
    Settled(Box<Settled>),
    /// As it stands after the change.
    CertificationRecorded {
        certification: Certification,
    },
    Refunded {
        settlement: SettlementId,
        parts: Parts,
        returned: Vec<(u16, Money)>,
        place: u16,
    },
    /// What was handed in; the references stay beside the ledger.
    BindingVerified {
        binding: BindingId,
        owner: MemberId,
        beneficiary: MemberId,
        evidence: Vec<String>,
        missing: Vec<String>,
        policies: Vec<[u8; 32]>,
    },
    BindingsReordered {
        beneficiary: MemberId,
        order: Vec<BindingId>,
    },
    QuotaSet {
        quota: Quota,
        owner_after: Account,
        policies: Vec<[u8; 32]>,
    },
    WalletOpened {
        after: Account,
    },
    TransferSent {
        transfer: Transfer,
        claim_before: Moment,
        owner_after: Account,
        policies: Vec<[u8; 32]>,
    },
    TransferClaimed {
        transfer: Transfer,
        beneficiary_after: Account,
        policies: Vec<[u8; 32]>,
    },
    TransferReturned {
        transfer: Transfer,
        owner_after: Account,
    },
    CardActivated {
        member: Member,
        channel: CardChannel,
        evidence: Vec<String>,
        policies: Vec<[u8; 32]>,
    },
    JobDone {
        job: Job,
        day: Date,
        items: u32,
    },
    /// Account money was set aside; as decided.
    Held {
        settled: Box<Settled>,
        expires: Moment,
    },
    /// As confirmed, with what of the held money went back, by place in the hold.
    HoldConfirmed {
        settlement: SettlementId,
        amounts: Amounts,
        contributions: Vec<Contribution>,
        returned: Vec<(u16, Money)>,
    },
    /// Everything held went back, by place.
    HoldEnded {
        settlement: SettlementId,
        how: HoldEnd,
        returned: Vec<(u16, Money)>,
    },
    /// A request id was declared void; where it stands, by keyed hash.
    Fenced {
        request: [u8; 16],
    },
    /// A refund was put back; what each contribution paid again is what it had got.
    RefundReversed {
        settlement: SettlementId,
        place: u16,
        parts: Parts,
        taken: Vec<(u16, Money)>,
    },
    /// A settlement of which everything had gone back was declared reversed: its refunds stay as they are.
    SettlementReversed {
        settlement: SettlementId,
    },
    /// An account's year, with the interest on what it held when the year ended.
    YearClosed {
        after: Account,
        end: YearEnd,
        interest: Money,
        policies: Vec<[u8; 32]>,
    },
    /// A region's.
    YearCloseStarted {
        close: YearClose,
    },
    /// How far it has come.
    YearCloseAdvanced {
        close: YearClose,
    },
}

/// Work that a day leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Wallet transfers that nobody took go back.
    ReturnUnclaimed,
    /// Holds that ran out end.
    EndHolds,
}

impl Job {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReturnUnclaimed => "return-unclaimed",
            Self::EndHolds => "end-holds",
        }
    }

    /// The stored code.
    pub const fn code(self) -> u8 {
        match self {
            Self::ReturnUnclaimed => 1,
            Self::EndHolds => 2,
        }
    }

    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::ReturnUnclaimed),
            2 => Some(Self::EndHolds),
            _ => None,
        }
    }
}

/// A settlement as committed. The bill is health data: the record holds its salted digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub id: SettlementId,
    pub institution: InstitutionCode,
    pub patient: MemberId,
    pub region: RegionCode,
    pub amounts: Amounts,
    pub contributions: Vec<Contribution>,
    pub policies: Vec<[u8; 32]>,
    pub basis_digest: [u8; 32],
}

/// 划转: money given beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub id: TransferId,
    pub owner: MemberId,
    pub beneficiary: MemberId,
    pub relation: Relation,
    /// GB/T 4761 code, kept as given.
    pub relation_detail: String,
    pub amount: Money,
}

/// Why an account was credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditKind {
    /// 月度划入.
    Monthly,
    /// 更正; may take money out.
    Correction,
}

/// Who asked for a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedBy {
    Owner,
    Beneficiary,
}
