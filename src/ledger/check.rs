//! `CheckLedger`: replays everything. Digests chain, postings balance, balances refold to what the accounts say, and bindings
//! and families are what their records make of them.

use std::collections::HashMap;

use super::Ledger;
use super::check_bindings::Bindings;
use super::failure::Failure;
use super::reading::Reading;
use crate::domain::draw::Contribution;
use crate::domain::ids::{BindingId, MemberId, SettlementId, TransferId};
use crate::domain::money::Money;
use crate::domain::posting::{Party, Posting};
use crate::domain::record::{Event, Record};
use crate::domain::settlement::Amounts;
use crate::domain::vocabulary::Bucket;
use crate::store::{Head, Key, StoredRecord, chain, record};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub head: Head,
    pub records: u64,
    pub postings: u64,
    pub accounts: u64,
    pub bindings: u64,
    /// The first problems found, at most [`Report::PROBLEMS_MAX`]; empty when all is well.
    pub problems: Vec<String>,
}

impl Report {
    pub const PROBLEMS_MAX: usize = 100;
    /// Records read at a time, between which other calls get their turn.
    pub(super) const CHUNK: usize = 512;

    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn problem(&mut self, position: u64, what: &str) {
        if self.problems.len() < Self::PROBLEMS_MAX {
            self.problems.push(format!("record {position}: {what}"));
        }
    }
}

/// What keeps a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Holder {
    Bucket(MemberId, Bucket),
    Quota(BindingId, Bucket),
    Transfer(TransferId),
    Hold(SettlementId),
}

impl Holder {
    fn of(party: &Party) -> Option<Self> {
        match party {
            Party::Bucket(member, bucket) => Some(Self::Bucket(*member, *bucket)),
            Party::Quota(binding, bucket) => Some(Self::Quota(*binding, *bucket)),
            Party::Transfer(id) => Some(Self::Transfer(*id)),
            Party::Hold(id) => Some(Self::Hold(*id)),
            Party::Fund(_)
            | Party::Credits(_)
            | Party::Institution(_)
            | Party::HospitalPart(_)
            | Party::Cash
            | Party::Interest(_) => None,
        }
    }

    /// The fact that says what it holds.
    fn key(self) -> Key {
        match self {
            Self::Bucket(member, _) => Key::Standing(member),
            Self::Quota(binding, _) => Key::Quota(binding),
            Self::Transfer(id) => Key::Transfer(id),
            Self::Hold(id) => Key::Settlement(id),
        }
    }
}

type Balances = HashMap<Holder, Money>;

/// What the records make.
#[derive(Default)]
struct Made {
    balances: Balances,
    bindings: Bindings,
}

impl Ledger {
    /// Checks the ledger up to the head of now.
    pub async fn check(&self) -> Result<Report, Failure> {
        self.check_telling(|_, _| {}).await
    }

    /// The same; tells records as they are read, and how many there are.
    pub async fn check_telling(&self, mut told: impl FnMut(u64, u64)) -> Result<Report, Failure> {
        let head = self.store().head().await?;
        self.store().wait_durable(head.position).await?;
        let mut report = Report { head, records: 0, postings: 0, accounts: 0, bindings: 0, problems: Vec::new() };
        let mut link = Head::EMPTY;
        let mut made = Made::default();
        while link.position < head.position {
            let left = usize::try_from(head.position - link.position).unwrap_or(usize::MAX);
            let records = self.store().records(link.position + 1, left.min(Report::CHUNK)).await?;
            if records.is_empty() {
                report.problem(link.position + 1, "is missing");
                break;
            }
            // Without its beginning nothing can be folded. A gap further on is damage, and so is one where nothing is archived.
            if let Some(first) = records.first()
                && link.position == 0
                && first.position > 1
                && self.store().archives()
            {
                return Err(Failure::PositionCompacted(first.position));
            }
            for stored in records {
                link = check_record(&stored, &link, &mut made, &mut report);
            }
            told(link.position, head.position);
            tokio::task::yield_now().await;
        }
        if link.position == head.position && link.link != head.link {
            report.problem(head.position, "the head's digest is not the last record's");
        }
        report.bindings = made.bindings.len();
        self.compare_bindings(&mut made.bindings, &mut report).await?;
        self.compare(&made, &mut report).await?;
        Ok(report)
    }

    /// Compares what the records make with what the facts say.
    async fn compare(&self, made: &Made, report: &mut Report) -> Result<(), Failure> {
        let mut keys: Vec<Key> = made.balances.keys().map(|holder| holder.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        report.accounts = keys.iter().filter(|key| matches!(key, Key::Standing(_))).count() as u64;
        keys.extend(made.bindings.keys());
        keys.sort_unstable();
        keys.dedup();
        for chunk in keys.chunks(Report::CHUNK) {
            let mut reading = Reading::new(self.store());
            reading.get(chunk).await?;
            for key in chunk {
                // A fact changed after the head of this check cannot be compared with it.
                if reading.version(key) <= report.head.position {
                    compare_one(&reading, key, made, report)?;
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

fn compare_one(reading: &Reading<'_>, key: &Key, made: &Made, report: &mut Report) -> Result<(), Failure> {
    let folded = |holder: Holder| made.balances.get(&holder).copied().unwrap_or_default();
    let (head, today) = (report.head.position, report.head.at.civil_day());
    #[allow(clippy::wildcard_enum_match_arm, reason = "nothing else keeps a balance, or bindings")]
    let differs = match key {
        Key::Standing(member) => {
            let standing = reading.standing(key)?;
            if standing.is_some_and(|standing| !made.bindings.is_family(*member, &standing.family, today)) {
                report.problem(reading.version(key), "a family is not what its bindings make of it");
            }
            let in_bucket = |bucket: Bucket| folded(Holder::Bucket(*member, bucket));
            match standing.map(|standing| standing.account.as_ref()) {
                Some(Some(account)) => {
                    Some(Bucket::ALL.iter().any(|bucket| in_bucket(*bucket) != account.balance(*bucket)))
                }
                // Without an account there is nothing to hold anything.
                Some(None) if Bucket::ALL.iter().all(|bucket| in_bucket(*bucket).is_zero()) => Some(false),
                Some(None) | None => None,
            }
        }
        Key::Wards(owner) => {
            if !reading.wards(key)?.is_some_and(|wards| made.bindings.are_wards(*owner, wards, today)) {
                report.problem(reading.version(key), "an owner's bindings are not what their records make of them");
            }
            Some(false)
        }
        Key::Quota(binding) => reading.quota(key)?.map(|quota| {
            Bucket::ALL.iter().any(|bucket| folded(Holder::Quota(*binding, *bucket)) != quota.balance(*bucket))
        }),
        Key::Transfer(id) => reading.transfer(key)?.map(|sent| folded(Holder::Transfer(*id)) != sent.pending()),
        Key::Settlement(id) => reading.settlement(key)?.map(|held| folded(Holder::Hold(*id)) != held.held()),
        _ => Some(false),
    };
    match differs {
        None => report.problem(head, "an account, quota, transfer or hold that was posted to is missing"),
        Some(true) => report.problem(reading.version(key), "a balance is not what its postings sum to"),
        Some(false) => {}
    }
    Ok(())
}

fn check_record(stored: &StoredRecord, before: &Head, made: &mut Made, report: &mut Report) -> Head {
    report.records += 1;
    if stored.position != before.position + 1 {
        report.problem(stored.position, "does not follow the one before");
    }
    let intact = chain::content_hash(&stored.bytes) == stored.content_hash;
    if !intact {
        report.problem(stored.position, "has other content than its hash");
    }
    let expected = before.next(&stored.content_hash, stored.at);
    if expected.link != stored.link || expected.at != stored.at {
        report.problem(stored.position, "breaks the chain");
    }
    // Damaged content is not money: only what is as it was written is folded.
    match record::decode_record(&stored.bytes) {
        Ok(_) if !intact => {}
        Ok(record) => {
            check_money(stored.position, &record, &mut made.balances, report);
            if !made.bindings.take(&record.event, stored.at) {
                report.problem(stored.position, "is about a binding that was never made, or was made before");
            }
        }
        Err(_) => report.problem(stored.position, "cannot be read"),
    }
    Head { position: stored.position, link: stored.link, at: stored.at }
}

fn check_money(position: u64, record: &Record, balances: &mut Balances, report: &mut Report) {
    for posting in &record.postings {
        report.postings += 1;
        fold(position, posting, balances, report);
    }
    match &record.event {
        Event::Settled(settled) => {
            let received = sum(record, |posting| posting.to == Party::Institution(settled.institution.clone()));
            if !adds_up(&settled.amounts, &settled.contributions) || received != settled.amounts.split.total {
                report.problem(position, "a settlement's amounts, contributions and postings differ");
            }
        }
        Event::Held { settled, .. } => {
            let held = sum(record, |posting| posting.to == Party::Hold(settled.id));
            let accounts = settled.amounts.own_account + settled.amounts.mutual_aid;
            if !adds_up(&settled.amounts, &settled.contributions) || held != accounts {
                report.problem(position, "a hold's amounts, contributions and postings differ");
            }
        }
        Event::HoldConfirmed { settlement, amounts, contributions, returned } => {
            let received = sum(record, |posting| matches!(posting.to, Party::Institution(_)));
            let freed = sum(record, |posting| posting.from == Party::Hold(*settlement));
            let accounts = amounts.own_account + amounts.mutual_aid;
            let back: Money = returned.iter().map(|(_, amount)| *amount).sum();
            if !adds_up(amounts, contributions) || received != amounts.split.total || freed != accounts + back {
                report.problem(position, "a confirmation's amounts, contributions and postings differ");
            }
        }
        Event::HoldEnded { settlement, returned, .. } => {
            let freed = sum(record, |posting| posting.from == Party::Hold(*settlement));
            if freed != returned.iter().map(|(_, amount)| *amount).sum::<Money>() {
                report.problem(position, "what a hold gave back and its postings differ");
            }
        }
        Event::Refunded { parts, .. } => {
            if sum(record, |posting| matches!(posting.from, Party::Institution(_))) != parts.total() {
                report.problem(position, "a refund's parts and postings differ");
            }
        }
        Event::RefundReversed { parts, .. } => {
            if sum(record, |posting| matches!(posting.to, Party::Institution(_))) != parts.total() {
                report.problem(position, "what was put back of a refund and its postings differ");
            }
        }
        Event::YearClosed { interest, .. } => {
            let paid = record.postings.iter().filter(|posting| matches!(posting.from, Party::Interest(_)));
            if paid.map(|posting| posting.amount).sum::<Money>() != *interest {
                report.problem(position, "a closed year's interest and postings differ");
            }
        }
        Event::MemberCreated { .. }
        | Event::InsuranceUpdated { .. }
        | Event::Credited { .. }
        | Event::Transferred { .. }
        | Event::BindingCreated { .. }
        | Event::BindingReleased { .. }
        | Event::BindingVerified { .. }
        | Event::BindingsReordered { .. }
        | Event::QuotaSet { .. }
        | Event::WalletOpened { .. }
        | Event::TransferSent { .. }
        | Event::TransferClaimed { .. }
        | Event::TransferReturned { .. }
        | Event::CardActivated { .. }
        | Event::JobDone { .. }
        | Event::Fenced { .. }
        | Event::SettlementReversed { .. }
        | Event::YearCloseStarted { .. }
        | Event::YearCloseAdvanced { .. }
        | Event::CertificationRecorded { .. } => {}
    }
}

fn adds_up(amounts: &Amounts, contributions: &[Contribution]) -> bool {
    let split = &amounts.split;
    let accounts = amounts.own_account + amounts.mutual_aid;
    let drawn: Money = contributions.iter().map(|contribution| contribution.amount).sum();
    split.fund + split.hospital_part + accounts + amounts.cash == split.total && drawn == accounts
}

fn sum(record: &Record, which: impl Fn(&Posting) -> bool) -> Money {
    record.postings.iter().filter(|posting| which(posting)).map(|posting| posting.amount).sum()
}

fn fold(position: u64, posting: &Posting, balances: &mut Balances, report: &mut Report) {
    if !posting.amount.is_positive() {
        report.problem(position, "a posting moves nothing, or backwards");
    }
    let sides = [(&posting.from, -posting.amount, posting.from_after), (&posting.to, posting.amount, posting.to_after)];
    for (party, amount, after) in sides {
        if let Some(holder) = Holder::of(party) {
            let balance = balances.entry(holder).or_default();
            *balance += amount;
            if balance.is_negative() || after != Some(*balance) {
                report.problem(position, "a balance after a posting is not what the postings sum to");
            }
        }
    }
}
