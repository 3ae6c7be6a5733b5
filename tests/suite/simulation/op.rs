//! What a client may ask, how it is sent, and what comes back: plain figures that the auditor can predict.

use std::sync::Arc;

use gongji::domain::bill::{Bill, Visit};
use gongji::domain::binding::{Caps, Evidence};
use gongji::domain::draw::{Contribution, Excluded};
use gongji::domain::identity::IdNumber;
use gongji::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, RequestId, SettlementId, TransferId};
use gongji::domain::member::{Insurance, MemberRef, Person};
use gongji::domain::money::Money;
use gongji::domain::reason::Reason;
use gongji::domain::record::{CreditKind, Job, ReleasedBy};
use gongji::domain::settlement::{Amounts, Parts, RefundAsk};
use gongji::domain::vocabulary::{Bucket, Channel, Mode, Relation};
use gongji::grpc::Service;
use gongji::ledger::accounts::CreditAccount;
use gongji::ledger::bindings::{CreateBinding, FilingAsk};
use gongji::ledger::close_year::{CloseAccount, ClosedAccount};
use gongji::ledger::expire::Sweep;
use gongji::ledger::hold::{ConfirmSettlement, HoldSettlement, ReleaseHold, ResolvedHold};
use gongji::ledger::members::{CreateMember, UpdateInsurance};
use gongji::ledger::quotas::SetQuota;
use gongji::ledger::refund::RefundSettlement;
use gongji::ledger::region_close::BeginYearClose;
use gongji::ledger::release::{ReleaseBinding, ReleaseTarget};
use gongji::ledger::resolve::{Applied, Original, ResolveOutcome, Resolved};
use gongji::ledger::settle::{Ask, Paper, Settle};
use gongji::ledger::transfers::TransferFunds;
use gongji::ledger::verify::{ReorderBindings, VerifyBinding};
use gongji::ledger::wallets::{ClaimTransfer, OpenWallet};
use gongji::ledger::{Caller, Command, Failure, Ledger};
use jiff::civil::Date;

use super::bend::Tamper;
use super::many::{self, Came, Way};
use super::model::Closing;
use super::stage::Stage;
use crate::process::id_number;

/// Scope of all that is not a settlement's.
pub const CALLER: &str = "anonymous";

/// One call under one request id.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    pub id: String,
    pub what: What,
}

/// A member as a client names one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Named {
    Id(MemberId),
    /// By card: the person's number.
    Card(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Filed {
    pub owner: Named,
    pub beneficiary: Named,
    pub relation: Relation,
    pub channel: Channel,
    pub evidence: Vec<&'static str>,
    pub start: Option<Date>,
    pub last_day: Option<Date>,
    pub caps: Caps,
    pub priority: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Bought {
    pub institution: &'static str,
    pub patient: Named,
    pub visit: Visit,
    pub bill: Arc<Bill>,
    pub papers: Vec<(MemberId, Relation)>,
    /// The number on the patient's card, where there are papers.
    pub card: usize,
}

/// A quote a client holds: its token, until when it says it holds, and what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Quoted {
    pub token: String,
    pub expires: i64,
    pub told: Told,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Create {
        number: usize,
        insurance: Insurance,
    },
    Insure {
        who: Named,
        insurance: Insurance,
    },
    Credit {
        who: Named,
        bucket: Bucket,
        fen: i64,
    },
    Bind(Filed),
    Verify {
        binding: BindingId,
        evidence: Vec<&'static str>,
    },
    Reorder {
        beneficiary: MemberId,
        order: Vec<BindingId>,
    },
    Release {
        binding: BindingId,
        channel: Channel,
        evidence: Vec<&'static str>,
    },
    ReleasePair {
        owner: MemberId,
        beneficiary: MemberId,
        channel: Channel,
    },
    Quota {
        binding: BindingId,
        fen: i64,
        evidence: Vec<&'static str>,
    },
    OpenWallet {
        who: MemberId,
    },
    Transfer {
        owner: MemberId,
        beneficiary: MemberId,
        relation: Relation,
        fen: i64,
        mode: Option<Mode>,
        from_wallet: bool,
    },
    Claim {
        transfer: TransferId,
        who: MemberId,
    },
    Quote(Bought),
    Settle(Bought, Option<Quoted>),
    /// For so many seconds.
    Hold(Bought, u32, Option<Quoted>),
    Confirm {
        settlement: SettlementId,
        institution: &'static str,
        /// None: everything held.
        fen: Option<i64>,
    },
    ReleaseHold {
        settlement: SettlementId,
        institution: &'static str,
    },
    Resolve {
        institution: &'static str,
        original: String,
        fence: bool,
        reverse: bool,
    },
    Refund {
        settlement: SettlementId,
        institution: &'static str,
        ask: RefundAsk,
    },
    /// Calls of their own, sent as one.
    Many(Way, Vec<Arc<Op>>),
    CloseAccount {
        who: Named,
        year: i16,
    },
    BeginClose {
        region: RegionCode,
        year: i16,
    },
    /// The bureau's night: transfers of a day that nobody took.
    ReturnUnclaimed {
        day: Date,
    },
    /// Holds that ran out and that nobody met.
    Sweep,
    /// The next members of a region whose year is being closed; how many at a time is each server's own choice.
    CloseStep {
        region: RegionCode,
        year: i16,
        most: usize,
    },
    /// One change of one of these; never sent by a client.
    Return {
        transfer: TransferId,
    },
    EndHold {
        settlement: SettlementId,
    },
    CloseOne {
        member: MemberId,
        region: RegionCode,
        year: i16,
    },
    Advance {
        region: RegionCode,
        year: i16,
        to: Closing,
    },
    DayDone {
        job: Job,
        day: Date,
    },
}

/// Who paid what: payer, binding, relation, bucket, year, fen, of which refunded.
pub type Paid = (MemberId, Option<BindingId>, Option<Relation>, Bucket, i16, i64, i64);

/// What a quote or settlement says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// total, full self-pay, over limit, first self-pay, in scope, deductible, fund, hospital part, person's part
    pub split: [i64; 9],
    pub own: i64,
    pub aid: i64,
    pub cash: i64,
    pub paid: Vec<Paid>,
    pub excluded: Vec<(MemberId, Option<BindingId>, Reason)>,
}

/// An account's year and its current, prior and wallet money.
pub type Purse = (i16, [i64; 3]);

/// An answer, without what may change later.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Member {
        id: MemberId,
        insurance: Insurance,
        released: Vec<BindingId>,
    },
    Account {
        id: MemberId,
        purse: Purse,
    },
    Binding {
        id: BindingId,
        start: Date,
        missing: Vec<String>,
    },
    Unbound {
        id: BindingId,
    },
    Order(Vec<(BindingId, u32)>),
    Quota {
        id: BindingId,
        money: [i64; 2],
        owner: Purse,
    },
    Sent {
        id: TransferId,
        mode: Mode,
        owner: Purse,
        beneficiary: Option<Purse>,
        claim_before: Option<i64>,
    },
    Claimed {
        id: TransferId,
        purse: Purse,
    },
    Quoted(Told),
    Settled {
        id: SettlementId,
        told: Told,
    },
    Held {
        id: SettlementId,
        told: Told,
        expires: i64,
    },
    Confirmed {
        id: SettlementId,
        told: Told,
        returned: i64,
    },
    Released {
        id: SettlementId,
        returned: i64,
    },
    Refunded {
        id: SettlementId,
        /// Which refund of the settlement it is.
        place: usize,
        parts: [i64; 4],
        returned: Vec<(u16, i64)>,
        paid: Vec<Paid>,
        whole: bool,
    },
    /// What became of a call, where it had its effect, and on which settlement.
    Resolved {
        how: How,
        of: Option<(Original, u64, Option<SettlementId>)>,
    },
    Closed {
        id: MemberId,
        purse: Purse,
        ended: [i64; 2],
        interest: i64,
    },
    CloseBegun {
        round: u32,
    },
    /// How many went back, and how much.
    Night(u32, i64),
    /// What the wire tells of a member recorded or credited among many.
    Row {
        id: MemberId,
    },
    Many(Vec<Came>),
    /// The bureau's work is done as far as it goes.
    Worked,
    Returned,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Applied,
    NotApplied,
    Fenced,
    Reversed,
}

impl Reply {
    /// What an item of many is answered about.
    pub fn names(&self) -> Option<u128> {
        match self {
            Self::Settled { id, .. } => Some(id.as_u128()),
            Self::Row { id } => Some(id.as_u128()),
            _ => None,
        }
    }

    /// The settlement that a call of an institution was about.
    pub fn settlement(&self) -> Option<SettlementId> {
        match self {
            Self::Settled { id, .. }
            | Self::Held { id, .. }
            | Self::Confirmed { id, .. }
            | Self::Released { id, .. }
            | Self::Refunded { id, .. } => Some(*id),
            Self::Resolved { of: Some((_, _, id)), .. } => *id,
            _ => None,
        }
    }
}

/// A definite outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub reply: Reply,
    /// Where the change stands; for a quote, where it was read.
    pub position: u64,
    pub replayed: bool,
    /// Of a quote.
    pub quoted: Option<(String, i64)>,
}

pub fn card(number: usize) -> String {
    format!("C{number:04}")
}

impl Named {
    fn wire(self) -> MemberRef {
        match self {
            Self::Id(id) => MemberRef::Id(id),
            Self::Card(number) => MemberRef::Card(card(number)),
        }
    }
}

impl Op {
    /// The institution whose call it is.
    pub fn institution(&self) -> Option<&'static str> {
        match &self.what {
            What::Settle(bought, _) | What::Hold(bought, ..) => Some(bought.institution),
            What::Refund { institution, .. }
            | What::Confirm { institution, .. }
            | What::ReleaseHold { institution, .. }
            | What::Resolve { institution, .. } => Some(institution),
            _ => None,
        }
    }

    pub fn name(&self) -> &'static str {
        match &self.what {
            What::Create { .. } => "create a member",
            What::Insure { .. } => "change an insurance",
            What::Credit { .. } => "credit",
            What::Bind(_) => "bind",
            What::Verify { .. } => "verify",
            What::Reorder { .. } => "reorder",
            What::Release { .. } | What::ReleasePair { .. } => "release",
            What::Quota { .. } => "set a quota",
            What::OpenWallet { .. } => "open a wallet",
            What::Transfer { .. } => "transfer",
            What::Claim { .. } => "claim",
            What::Quote(_) => "quote",
            What::Settle(..) => "settle",
            What::Hold(..) => "hold",
            What::Confirm { .. } => "confirm",
            What::ReleaseHold { .. } => "release a hold",
            What::Resolve { .. } => "resolve",
            What::Refund { .. } => "refund",
            What::Many(Way::BatchSettle, _) => "a batch",
            What::Many(Way::StreamSettle, _) => "a stream",
            What::Many(Way::ImportMembers, _) => "an import of members",
            What::Many(Way::ImportCredits, _) => "an import of credits",
            What::CloseAccount { .. } => "close an account's year",
            What::BeginClose { .. } => "begin a region's close",
            What::ReturnUnclaimed { .. } => "a night",
            What::Sweep => "a sweep",
            What::CloseStep { .. } => "a step of a region's close",
            What::Return { .. } => "a transfer goes back",
            What::EndHold { .. } => "a hold runs out",
            What::CloseOne { .. } => "an account of a region's close",
            What::Advance { .. } => "a region's close goes on",
            What::DayDone { .. } => "a day is done",
        }
    }

    /// The scope its request id lives in.
    pub fn scope(&self) -> String {
        let of_job = matches!(
            self.what,
            What::Return { .. }
                | What::EndHold { .. }
                | What::CloseOne { .. }
                | What::Advance { .. }
                | What::DayDone { .. }
        );
        match self.institution() {
            Some(institution) => format!("institution:{institution}"),
            None if of_job => "job".to_owned(),
            None => CALLER.to_owned(),
        }
    }

    /// Whether it is the bureau's work: many changes, each under a request id of its own.
    pub fn is_job(&self) -> bool {
        matches!(self.what, What::ReturnUnclaimed { .. } | What::Sweep | What::CloseStep { .. })
    }

    /// Whether it changes nothing under its own request id.
    pub fn is_question(&self) -> bool {
        matches!(self.what, What::Quote(_) | What::Many(..)) || self.is_job()
    }

    /// Whether another sending under the same id is the same content. A quote's token is not content.
    pub fn same_content(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (What::Settle(one, _), What::Settle(two, _)) => one == two,
            (What::Hold(one, for_one, _), What::Hold(two, for_two, _)) => one == two && for_one == for_two,
            (one, two) => one == two,
        }
    }
}

pub fn purse(account: &gongji::domain::account::Account) -> Purse {
    (account.year, [account.current, account.prior, account.wallet].map(Money::as_fen))
}

pub fn paid(contributions: &[Contribution]) -> Vec<Paid> {
    let one = |paid: &Contribution| {
        let (amount, refunded) = (paid.amount.as_fen(), paid.refunded.as_fen());
        (paid.payer, paid.binding, paid.relation, paid.bucket, paid.year, amount, refunded)
    };
    contributions.iter().map(one).collect()
}

pub fn told(amounts: &Amounts, contributions: &[Contribution], excluded: &[Excluded]) -> Told {
    let split = &amounts.split;
    let parts = [
        split.total,
        split.full_self_pay,
        split.over_limit,
        split.first_self_pay,
        split.in_scope,
        split.deductible,
        split.fund,
        split.hospital_part,
        split.person_part,
    ];
    Told {
        split: parts.map(Money::as_fen),
        own: amounts.own_account.as_fen(),
        aid: amounts.mutual_aid.as_fen(),
        cash: amounts.cash.as_fen(),
        paid: paid(contributions),
        excluded: excluded.iter().map(|one| (one.payer, one.binding, one.reason)).collect(),
    }
}

pub fn parts(parts: &Parts) -> [i64; 4] {
    [parts.fund, parts.hospital_part, parts.accounts, parts.cash].map(Money::as_fen)
}

fn evidence(kinds: &[&'static str]) -> Vec<Evidence> {
    let one = |kind: &&str| Evidence { kind: (*kind).to_owned(), reference: "ref".to_owned(), digest: String::new() };
    kinds.iter().map(one).collect()
}

pub fn ask(bought: &Bought) -> Ask {
    let paper = |(owner, relation): &(MemberId, Relation)| Paper {
        owner: MemberRef::Id(*owner),
        user_card: card(bought.card),
        relation: *relation,
        phone: "13800000000".to_owned(),
        signature_ref: "sig".to_owned(),
    };
    Ask {
        institution: InstitutionCode::parse(bought.institution).expect("a code"),
        patient: bought.patient.wire(),
        visit: bought.visit.clone(),
        bill: bought.bill.clone(),
        papers: bought.papers.iter().map(paper).collect(),
        day_given: true,
    }
}

async fn run<C: Command>(
    ledger: &Ledger,
    command: C,
    reply: impl FnOnce(C::Outcome) -> Reply,
) -> Result<Answer, Failure> {
    let done = ledger.run(&command).await?;
    let (position, replayed) = (done.position, done.replayed);
    Ok(Answer { reply: reply(done.outcome), position, replayed, quoted: None })
}

/// Sends one call.
pub async fn send(service: Service, stage: Arc<Stage>, tamper: Tamper, op: Arc<Op>) -> Result<Answer, Failure> {
    let (ledger, keys) = (service.ledger.as_ref(), &stage.keys);
    let caller = Caller { scope: CALLER.to_owned(), may_reveal: false };
    let request_id = RequestId::parse(&op.id).expect("a request id");
    match op.what.clone() {
        What::Create { number, insurance } => {
            let person = Person {
                member: MemberId::from_u128(0),
                name: format!("张{number}"),
                id_number: IdNumber::parse(&id_number(number)).expect("an id number"),
                card_number: card(number),
                personal_number: String::new(),
                computer_number: String::new(),
            };
            let issuing_bank = String::new();
            let command = CreateMember { caller, request_id, person, insurance, card_active: true, issuing_bank };
            run(ledger, command, member).await
        }
        What::Insure { who, insurance } => {
            let command = UpdateInsurance { caller, request_id, member: who.wire(), insurance, etag: None };
            run(ledger, command, member).await
        }
        What::Credit { who, bucket, fen } => {
            let kind = if fen < 0 { CreditKind::Correction } else { CreditKind::Monthly };
            let (member, amount, note) = (who.wire(), Money::fen(fen), String::new());
            let command = CreditAccount { caller, request_id, member, bucket, amount, kind, note };
            run(ledger, command, |after| Reply::Account { id: after.member, purse: purse(&after) }).await
        }
        What::Bind(filed) => {
            let ask = FilingAsk {
                owner: filed.owner.wire(),
                beneficiary: filed.beneficiary.wire(),
                relation: filed.relation,
                relation_detail: String::new(),
                channel: filed.channel,
                evidence: evidence(&filed.evidence),
                grants: Vec::new(),
                start: filed.start,
                last_day: filed.last_day,
                caps: filed.caps,
                priority: filed.priority,
            };
            run(ledger, CreateBinding { caller, request_id, ask }, |done| binding(&done.binding)).await
        }
        What::Verify { binding: id, evidence: kinds } => {
            let command = VerifyBinding { caller, request_id, binding: id, evidence: evidence(&kinds) };
            run(ledger, command, |done| binding(&done.binding)).await
        }
        What::Reorder { beneficiary, order } => {
            let command = ReorderBindings { caller, request_id, beneficiary: MemberRef::Id(beneficiary), order };
            let order = |done: Vec<gongji::domain::binding::Binding>| {
                Reply::Order(done.iter().map(|binding| (binding.id, binding.priority)).collect())
            };
            run(ledger, command, order).await
        }
        What::Release { binding, channel, evidence: kinds } => {
            let (target, by) = (ReleaseTarget::Binding(binding), ReleasedBy::Owner);
            let command = ReleaseBinding { caller, request_id, target, by, channel, evidence: evidence(&kinds) };
            run(ledger, command, |done| Reply::Unbound { id: done.binding.id }).await
        }
        What::ReleasePair { owner, beneficiary, channel } => {
            let pair = ReleaseTarget::Pair { owner: MemberRef::Id(owner), beneficiary: MemberRef::Id(beneficiary) };
            let (target, by) = (pair, ReleasedBy::Beneficiary);
            let command = ReleaseBinding { caller, request_id, target, by, channel, evidence: Vec::new() };
            run(ledger, command, |done| Reply::Unbound { id: done.binding.id }).await
        }
        What::Quota { binding, fen, evidence: kinds } => {
            let command = SetQuota { caller, request_id, binding, wanted: Money::fen(fen), evidence: evidence(&kinds) };
            let reply = |done: gongji::ledger::quotas::QuotaOutcome| {
                let money = [done.quota.current, done.quota.prior].map(Money::as_fen);
                Reply::Quota { id: done.quota.binding, money, owner: purse(&done.owner) }
            };
            run(ledger, command, reply).await
        }
        What::OpenWallet { who } => {
            let command = OpenWallet { caller, request_id, member: MemberRef::Id(who) };
            run(ledger, command, |after| Reply::Account { id: after.member, purse: purse(&after) }).await
        }
        What::Transfer { owner, beneficiary, relation, fen, mode, from_wallet } => {
            let command = TransferFunds {
                caller,
                request_id,
                owner: MemberRef::Id(owner),
                beneficiary: MemberRef::Id(beneficiary),
                relation,
                relation_detail: String::new(),
                amount: Money::fen(fen),
                commitment: "ref".to_owned(),
                mode,
                from_wallet,
            };
            let reply = |done: gongji::ledger::transfers::TransferOutcome| Reply::Sent {
                id: done.transfer.id,
                mode: done.mode,
                owner: purse(&done.owner),
                beneficiary: done.beneficiary.as_ref().map(purse),
                claim_before: done.claim_before.map(|until| until.as_micros()),
            };
            run(ledger, command, reply).await
        }
        What::Claim { transfer, who } => {
            let command = ClaimTransfer { caller, request_id, transfer, beneficiary: MemberRef::Id(who) };
            run(ledger, command, |done| Reply::Claimed { id: done.transfer.id, purse: purse(&done.beneficiary) }).await
        }
        What::Quote(bought) => {
            let quote = ledger.quote(&ask(&bought)).await?;
            let decision = &quote.decision;
            let told = told(&decision.amounts, &decision.contributions, &decision.excluded);
            let quoted = Some((quote.token.seal(keys), quote.token.expires.as_micros()));
            Ok(Answer { reply: Reply::Quoted(told), position: quote.read_at, replayed: false, quoted })
        }
        What::Settle(bought, quoted) => {
            let token = quoted.map(|quoted| quoted.token).unwrap_or_default();
            let command = Settle { request_id, ask: ask(&bought), token };
            run(ledger, command, settled).await
        }
        What::Hold(bought, hold_for, quoted) => {
            let token = quoted.map(|quoted| quoted.token).unwrap_or_default();
            let settle = Settle { request_id, ask: ask(&bought), token };
            run(ledger, HoldSettlement { settle, hold_for }, settled).await
        }
        What::Confirm { settlement, institution, fen } => {
            let institution = InstitutionCode::parse(institution).expect("a code");
            let command = ConfirmSettlement { request_id, institution, settlement, accounts: fen.map(Money::fen) };
            let reply = |done: ResolvedHold| {
                let told = told(&done.settlement.amounts, &done.settlement.contributions, &[]);
                Reply::Confirmed { id: done.settlement.id, told, returned: done.returned.as_fen() }
            };
            run(ledger, command, reply).await
        }
        What::ReleaseHold { settlement, institution } => {
            let institution = InstitutionCode::parse(institution).expect("a code");
            let command = ReleaseHold { request_id, institution, settlement };
            let reply =
                |done: ResolvedHold| Reply::Released { id: done.settlement.id, returned: done.returned.as_fen() };
            run(ledger, command, reply).await
        }
        What::Resolve { institution, original, fence, reverse } => {
            let institution = InstitutionCode::parse(institution).expect("a code");
            let original = RequestId::parse(&original).expect("a request id");
            let done =
                ledger.resolve_outcome(&ResolveOutcome { request_id, institution, original, fence, reverse }).await?;
            let of = |applied: &Applied| {
                let settlement = applied.settlement.as_ref().map(|(settlement, _)| settlement.id);
                Some((applied.original, applied.position, settlement))
            };
            let (how, of) = match &done.resolved {
                Resolved::Applied(applied) => (How::Applied, of(applied)),
                Resolved::Reversed(applied) => (How::Reversed, of(applied)),
                Resolved::NotApplied => (How::NotApplied, None),
                Resolved::Fenced => (How::Fenced, None),
            };
            let (position, replayed) = (done.position.unwrap_or_default(), done.replayed);
            Ok(Answer { reply: Reply::Resolved { how, of }, position, replayed, quoted: None })
        }
        What::Many(way, items) => {
            let came = many::send(&service, &stage, &tamper, way, &items).await?;
            Ok(Answer { reply: Reply::Many(came), position: 0, replayed: false, quoted: None })
        }
        What::CloseAccount { who, year } => {
            let command =
                CloseAccount { scope: CALLER.to_owned(), request_id, member: who.wire(), year, only_in: None };
            let reply = |done: ClosedAccount| {
                let ended = [done.end.current, done.end.prior].map(Money::as_fen);
                let (id, interest) = (done.account.member, done.interest.as_fen());
                Reply::Closed { id, purse: purse(&done.account), ended, interest }
            };
            run(ledger, command, reply).await
        }
        What::BeginClose { region, year } => {
            let command = BeginYearClose { scope: CALLER.to_owned(), request_id, region, year };
            run(ledger, command, |close| Reply::CloseBegun { round: close.round }).await
        }
        What::Sweep => {
            // Made anew, as after every start.
            let mut sweep = Sweep::default();
            while ledger.sweep(&mut sweep).await?.1 {}
            Ok(Answer { reply: Reply::Worked, position: 0, replayed: false, quoted: None })
        }
        What::CloseStep { region, year, most } => {
            ledger.year_close_step(region, year, most).await?;
            Ok(Answer { reply: Reply::Worked, position: 0, replayed: false, quoted: None })
        }
        What::Refund { settlement, institution, ask } => {
            let institution = InstitutionCode::parse(institution).expect("a code");
            let command = RefundSettlement { request_id, institution, settlement, ask };
            run(ledger, command, |done| refunded(&done.settlement, &done.refund)).await
        }
        What::ReturnUnclaimed { day } => {
            let done = ledger.return_unclaimed(day, |_| {}).await?;
            let reply = Reply::Night(done.returned, done.amount.as_fen());
            Ok(Answer { reply, position: 0, replayed: false, quoted: None })
        }
        What::Return { .. }
        | What::EndHold { .. }
        | What::CloseOne { .. }
        | What::Advance { .. }
        | What::DayDone { .. } => unreachable!("nobody sends it"),
    }
}

fn member(done: gongji::ledger::members::MemberOutcome) -> Reply {
    Reply::Member { id: done.member.id, insurance: done.member.insurance, released: done.released }
}

fn binding(binding: &gongji::domain::binding::Binding) -> Reply {
    Reply::Binding { id: binding.id, start: binding.start, missing: binding.missing().to_vec() }
}

fn settled(done: gongji::ledger::settle::SettleOutcome) -> Reply {
    let settled = &done.settlement;
    let (id, told) = (settled.id, told(&settled.amounts, &settled.contributions, &settled.excluded));
    match &settled.hold {
        Some(hold) => Reply::Held { id, told, expires: hold.expires.as_micros() },
        None => Reply::Settled { id, told },
    }
}

fn refunded(settlement: &gongji::domain::settlement::Settlement, refund: &gongji::domain::settlement::Refund) -> Reply {
    let returned = refund.returned.iter().map(|(place, amount)| (*place, amount.as_fen())).collect();
    let whole = settlement.state() == gongji::domain::settlement::SettlementState::Refunded;
    let (id, parts, paid) = (settlement.id, parts(&refund.parts), paid(&settlement.contributions));
    Reply::Refunded { id, place: settlement.refunds.len() - 1, parts, returned, paid, whole }
}
