//! Wallets (医保钱包) and the transfers between them: sent from account or wallet, taken by the receiver, or gone back by the
//! next morning.

use jiff::civil::Date;

use super::account::Account;
use super::ids::MemberId;
use super::judging::{Judging, asked};
use super::member::Member;
use super::money::Money;
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::reason::Reason;
use super::record::Transfer;
use super::region::RegionBook;
use super::rule::{Input, Rule, Subject, Trace};
use super::sharing::{self, Refusal, Side};
use super::time::Moment;
use super::vocabulary::{Bucket, Mode, Relation};

/// An open wallet; its money lies in the account's wallet bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    pub member: MemberId,
    pub opened_at: Moment,
}

/// What one wallet sent on one civil day: a record of its own, so that two transfers at once cannot both be the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalletDay {
    pub sent: u32,
    pub amount: Money,
}

/// Life of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    Pending,
    Claimed,
    Returned,
}

/// A transfer on its way or at its end; one that moved money at once is at its end from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentTransfer {
    pub transfer: Transfer,
    /// Reference of the signed 承诺书.
    pub commitment: String,
    /// The buckets it was taken from, and the year they stood in.
    pub from: Vec<(Bucket, Money)>,
    pub year: i16,
    pub sent_on: Date,
    /// It can be taken before this instant.
    pub claim_before: Moment,
    pub state: TransferState,
}

impl SentTransfer {
    fn party(&self) -> Party {
        Party::Transfer(self.transfer.id)
    }

    /// What is on its way.
    pub fn pending(&self) -> Money {
        if self.state == TransferState::Pending { self.transfer.amount } else { Money::ZERO }
    }

    /// Why it cannot be taken now.
    pub fn claim_refused(&self, now: Moment) -> Option<Reason> {
        match self.state {
            TransferState::Claimed => Some(Reason::TransferAlreadyClaimed),
            TransferState::Returned => Some(Reason::TransferReturned),
            TransferState::Pending => (now >= self.claim_before).then_some(Reason::TransferReturned),
        }
    }

    /// Takes the money out of the sender's buckets.
    pub fn send(&self, account: &mut Account, postings: &mut Vec<Posting>) {
        let mut on_its_way = Money::ZERO;
        for (bucket, amount) in &self.from {
            let first = postings.len();
            account.pay(*bucket, *amount, self.party(), postings);
            on_its_way += *amount;
            postings[first].to_after = Some(on_its_way);
        }
        assert_eq!(on_its_way, self.transfer.amount, "what is sent is what was asked");
    }

    /// The receiver takes it.
    pub fn claim(&mut self, account: &mut Account, postings: &mut Vec<Posting>) -> Result<(), Reason> {
        let first = postings.len();
        account.receive(Bucket::Wallet, self.transfer.amount, self.party(), postings)?;
        postings[first].from_after = Some(Money::ZERO);
        self.state = TransferState::Claimed;
        Ok(())
    }

    /// It goes back to where it came from.
    pub fn give_back(&mut self, account: &mut Account, postings: &mut Vec<Posting>) -> Result<(), Reason> {
        let mut left = self.transfer.amount;
        for (bucket, amount) in &self.from {
            let first = postings.len();
            account.receive(account.bucket_of_year(*bucket, self.year), *amount, self.party(), postings)?;
            left -= *amount;
            postings[first].from_after = Some(left);
        }
        self.state = TransferState::Returned;
        Ok(())
    }
}

/// Until when a transfer of a day can be taken: the return time of the next day.
pub fn claim_before(policy: &Policy, sent_on: Date) -> Moment {
    let next = sent_on.tomorrow().unwrap_or(sent_on);
    Moment::of_civil(next, policy.rules.wallet_return_time)
}

/// What an owner can send: of the wallet all of it, of the account what stays above the floor.
pub fn sendable(account: &Account, policy: &Policy, from_wallet: bool) -> Vec<(Bucket, Money)> {
    let sources = policy.rules.wallet_sources.iter().copied();
    let of_account = account.total().minus_or_zero(policy.rules.floor.amount());
    let mut left = if from_wallet { account.wallet } else { of_account };
    let mut found = Vec::new();
    for bucket in sources.filter(|bucket| (*bucket == Bucket::Wallet) == from_wallet) {
        let amount = left.min(account.balance(bucket));
        left -= amount;
        found.push((bucket, amount));
    }
    found
}

/// The first buckets that make up an amount; none where there is not so much.
pub fn take(sendable: &[(Bucket, Money)], amount: Money) -> Option<Vec<(Bucket, Money)>> {
    let mut left = amount;
    let mut taken = Vec::new();
    for (bucket, has) in sendable {
        let part = left.min(*has);
        if part.is_positive() {
            taken.push((*bucket, part));
            left -= part;
        }
    }
    left.is_zero().then_some(taken)
}

/// What is asked when money is sent to a wallet.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    pub owner: &'a Member,
    /// As of today.
    pub account: Option<&'a Account>,
    pub beneficiary: &'a Member,
    pub relation: Relation,
    /// Its code in the national table; may be empty.
    pub relation_detail: &'a str,
    pub amount: Money,
    pub from_wallet: bool,
    pub owner_wallet: bool,
    pub beneficiary_wallet: bool,
    /// What the wallet has sent today.
    pub sent: WalletDay,
    pub now: Moment,
}

/// Why the transfer is refused, all reasons at once, or the buckets it is taken from.
pub fn decide_sending(
    ask: &Sending<'_>,
    of_owner: &Policy,
    of_beneficiary: &Policy,
    regions: &RegionBook,
    trace: &mut Trace,
) -> Result<Vec<(Bucket, Money)>, Vec<Reason>> {
    let rules = &of_owner.rules;
    let on = ask.now.civil_day();
    let mut judging = Judging::by([of_owner, of_beneficiary], trace);
    let when = |no: bool, reason: Reason| no.then_some(reason);
    let same = when(ask.owner.id == ask.beneficiary.id, Reason::SamePerson);
    judging.one(Rule::TwoPersons, Side::Owner, &[], same);
    let kin_no = sharing::kin_refused(of_owner, of_beneficiary, regions, ask.relation, ask.relation_detail);
    judging.both(Rule::RelationAllowed, &[asked(ask.relation)], kin_no);
    let mode = match sharing::modes_between(of_owner, of_beneficiary, regions, on) {
        Err(refusal) => Some(refusal),
        Ok(modes) if modes.contains(&Mode::WalletTransfer) => None,
        Ok(_) => Some(Refusal { reason: Reason::ModeNotTransfer, side: Side::Owner }),
    };
    judging.both(sharing::mode_rule(of_owner, of_beneficiary), &[], mode);
    // Money in a wallet is the sender's own whatever the insurance; money in an account is the owner's to share.
    if ask.from_wallet {
        let no = when(!rules.owner_states.contains(&ask.owner.insurance.state), Reason::OwnerStateNotAllowed);
        judging.one(Rule::OwnerInsurance, Side::Owner, &[], no);
    } else {
        let no = sharing::owner_refused(ask.owner, ask.account.is_some(), of_owner, of_beneficiary);
        judging.both(Rule::OwnerInsurance, &[], no);
    }
    let beneficiary_no = sharing::beneficiary_refused(ask.beneficiary, of_owner, of_beneficiary);
    judging.both(Rule::BeneficiaryInsurance, &[], beneficiary_no);
    judging.one(Rule::WalletsOpen, Side::Owner, &[], when(!ask.owner_wallet, Reason::OwnerWalletNotOpen));
    judging.one(Rule::WalletsOpen, Side::Owner, &[], when(!ask.beneficiary_wallet, Reason::BeneficiaryWalletNotOpen));
    let closed = rules.wallet_closed_hours.is_some_and(|hours| hours.contains(ask.now.civil_time()));
    judging.one(Rule::WalletHours, Side::Owner, &[], when(closed, Reason::WalletClosedHours));

    let mut limit = |rule: Rule, limit: Option<(Money, Money)>, reason: Reason| {
        let Some((value, limit)) = limit else { return };
        let inputs =
            [(if rule == Rule::WalletPerDay { Input::Number } else { Input::Amount }, value), (Input::Limit, limit)];
        judging.one(rule, Side::Owner, &inputs, when(value > limit, reason));
    };
    let count = |number: u32| Money::fen(i64::from(number));
    let per_day = rules.wallet_transfers_per_day.map(|most| (count(ask.sent.sent.saturating_add(1)), count(most)));
    limit(Rule::WalletPerDay, per_day, Reason::TransfersPerDayReached);
    limit(Rule::WalletPerTransfer, rules.wallet_transfer_max.map(|most| (ask.amount, most)), Reason::TransferTooLarge);
    let Judging { trace, mut reasons, .. } = judging;

    let has = ask.account.map(|account| sendable(account, of_owner, ask.from_wallet)).unwrap_or_default();
    let usable: Money = has.iter().map(|(_, amount)| *amount).sum();
    let taken = take(&has, ask.amount);
    let floor = if ask.from_wallet { Money::ZERO } else { rules.floor.amount() };
    trace.amount(Rule::WalletTransfer, Subject::Own, 0, &[(Input::Usable, usable), (Input::Floor, floor)], ask.amount);
    match taken {
        Some(taken) if reasons.is_empty() => Ok(taken),
        Some(_) => Err(reasons),
        None => {
            reasons.push(Reason::BalanceInsufficient);
            Err(reasons)
        }
    }
}
