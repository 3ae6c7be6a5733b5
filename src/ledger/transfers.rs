//! `TransferFunds`: money moves to a relative beforehand, at once within a region, or by wallet within and across provinces.

use std::sync::Arc;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::ids::{MemberId, RequestId, TransferId};
use crate::domain::member::{Member, MemberRef};
use crate::domain::money::Money;
use crate::domain::policy::Policy;
use crate::domain::record::{Event, Record, Transfer};
use crate::domain::rule::Trace;
use crate::domain::sharing;
use crate::domain::time::Moment;
use crate::domain::transfer;
use crate::domain::vocabulary::{Bucket, Mode, Relation};
use crate::domain::wallet::{self, Sending, SentTransfer, TransferState, WalletDay};
use crate::domain::wording::Told;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKey, ListKind};

/// `TransferFunds`. Its own filing: it carries relation and commitment.
#[derive(Clone, Debug)]
pub struct TransferFunds {
    pub caller: Caller,
    pub request_id: RequestId,
    pub owner: MemberRef,
    pub beneficiary: MemberRef,
    pub relation: Relation,
    pub relation_detail: String,
    pub amount: Money,
    /// Reference of the signed 承诺书.
    pub commitment: String,
    /// None: the one that is open between the two today.
    pub mode: Option<Mode>,
    pub from_wallet: bool,
}

/// A transfer, the accounts it changed, and why it was allowed.
#[derive(Clone, Debug)]
pub struct TransferOutcome {
    pub transfer: Transfer,
    pub mode: Mode,
    pub owner: Account,
    /// None where the money is still on its way.
    pub beneficiary: Option<Account>,
    pub claim_before: Option<Moment>,
    /// As of now.
    pub state: TransferState,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

/// Both people of a transfer with the policies of the day.
struct Sides<'a> {
    owner: &'a Member,
    beneficiary: &'a Member,
    policies: [Arc<Policy>; 2],
}

impl Command for TransferFunds {
    type Outcome = TransferOutcome;
    const METHOD: u8 = 21;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields
            .person("owner", &self.owner)
            .person("beneficiary", &self.beneficiary)
            .field("relation", &self.relation)
            .field("relation_detail", &self.relation_detail)
            .field("amount_fen", &self.amount)
            .field("commitment_ref", &self.commitment)
            .field("mode", &self.mode)
            .field("from_wallet", &self.from_wallet);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<TransferOutcome>, Failure> {
        let today = now.civil_day();
        ledger.check_detail(self.relation, &self.relation_detail)?;
        let owner = ledger.resolve_as(reading, &self.owner, "owner").await?;
        let beneficiary = ledger.resolve_as(reading, &self.beneficiary, "beneficiary").await?;
        reading.get(&[Key::Standing(owner), Key::Standing(beneficiary)]).await?;
        let (from, to) = (reading.member(owner)?, reading.member(beneficiary)?);
        let policies = [ledger.policy_of(from, today)?, ledger.policy_of(to, today)?];
        let open = sharing::modes_between(&policies[0], &policies[1], &ledger.book.regions, today);
        let by_wallet = match (self.mode, open) {
            (Some(mode), _) => mode == Mode::WalletTransfer,
            (None, Ok(modes)) => !modes.contains(&Mode::TransferBeforehand) && modes.contains(&Mode::WalletTransfer),
            // Closed: the reason is the same either way, unless the wallet was asked for.
            (None, Err(_)) => self.from_wallet,
        };
        if self.from_wallet && !by_wallet {
            return Err(Failure::invalid("from_wallet", "must be false: money of a wallet moves to wallets only"));
        }
        if by_wallet {
            let (wallets, day) = ([Key::Wallet(owner), Key::Wallet(beneficiary)], Key::WalletDay(owner, today));
            reading.get(&[wallets[0], wallets[1], day]).await?;
            let (owner, beneficiary) = (reading.member(owner)?, reading.member(beneficiary)?);
            self.send(ledger, reading, &Sides { owner, beneficiary, policies }, now, fresh)
        } else {
            self.move_at_once(ledger, reading, &Sides { owner: from, beneficiary: to, policies }, now, fresh)
        }
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<TransferOutcome, Failure> {
        let key = Key::Decided(request);
        reading.get(&[key]).await?;
        let trace = reading.decided(&key)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        if let Event::Transferred { transfer, owner_after, beneficiary_after, policies } = record.event {
            return Ok(TransferOutcome {
                transfer,
                mode: Mode::TransferBeforehand,
                owner: owner_after,
                beneficiary: Some(beneficiary_after),
                claim_before: None,
                state: TransferState::Claimed,
                trace,
                policies,
            });
        }
        let Event::TransferSent { transfer, claim_before, owner_after, policies } = record.event else {
            return Err(Failure::Bug("a transfer request made another record"));
        };
        let key = Key::Transfer(transfer.id);
        reading.get(&[key]).await?;
        let state = reading.transfer(&key)?.ok_or(Failure::Bug("a transfer is missing"))?.state;
        Ok(TransferOutcome {
            transfer,
            mode: Mode::WalletTransfer,
            owner: owner_after,
            beneficiary: None,
            claim_before: Some(claim_before),
            state,
            trace,
            policies,
        })
    }
}

impl TransferFunds {
    fn transfer(&self, fresh: Fresh, owner: MemberId, beneficiary: MemberId) -> Transfer {
        let id = TransferId::from_u128(fresh.id);
        let (relation, relation_detail, amount) = (self.relation, self.relation_detail.clone(), self.amount);
        Transfer { id, owner, beneficiary, relation, relation_detail, amount }
    }

    /// 划转: prior-year money becomes the relative's.
    fn move_at_once(
        &self,
        ledger: &Ledger,
        reading: &Reading<'_>,
        sides: &Sides<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<TransferOutcome>, Failure> {
        let today = now.civil_day();
        let (owner, beneficiary) = (sides.owner.id, sides.beneficiary.id);
        let account = reading.account(owner)?.map(|account| account.as_of(today));
        let mut trace = Trace::under(ledger.book.digest);
        let reasons = transfer::refusals(
            sides.owner,
            account.as_ref(),
            sides.beneficiary,
            (self.relation, &self.relation_detail),
            self.amount,
            &sides.policies[0],
            &sides.policies[1],
            &ledger.book.regions,
            today,
            &mut trace,
        );
        if !reasons.is_empty() {
            return Err(Failure::Refused(reasons));
        }
        ledger.check_grades(&trace, &sides.policies, today)?;
        let trace = ledger.tell(trace);
        let mut postings = Vec::new();
        let mut source = reading.account(owner)?.cloned().ok_or(Failure::NotFound(Thing::Account))?;
        // A relative without an account gets one: the money is theirs from now on.
        let mut target = reading.account(beneficiary)?.cloned().unwrap_or_else(|| Account::opened(beneficiary, today));
        source.turn_year(today, reading.marks(owner)?, &mut postings);
        target.turn_year(today, reading.marks(beneficiary)?, &mut postings);
        transfer::apply(&mut source, &mut target, self.amount, &mut postings).map_err(Failure::refused)?;

        let transfer = self.transfer(fresh, owner, beneficiary);
        let moved = SentTransfer {
            transfer: transfer.clone(),
            commitment: self.commitment.clone(),
            from: vec![(Bucket::PriorYears, self.amount)],
            year: source.year,
            sent_on: today,
            claim_before: now,
            state: TransferState::Claimed,
        };
        let policies: Vec<[u8; 32]> = sides.policies.iter().map(|policy| policy.revision.digest).collect();
        let mut standings = Standings::new(reading);
        standings.of(owner)?.account = Some(source.clone());
        standings.of(beneficiary)?.account = Some(target.clone());
        let mut puts = vec![
            (Key::Transfer(transfer.id), Entity::Transfer(Arc::new(moved))),
            (Key::Decided(fresh.request), decided(&trace, &policies)),
        ];
        puts.extend(standings.into_puts());
        ledger.policy_puts(&sides.policies, &mut puts);
        let event = Event::Transferred {
            transfer: transfer.clone(),
            owner_after: source.clone(),
            beneficiary_after: target.clone(),
            policies: policies.clone(),
        };
        let lists =
            [owner, beneficiary].map(|member| (list_of(ListKind::AccountEntries, member.as_u128()), 0)).to_vec();
        let outcome = TransferOutcome {
            transfer,
            mode: Mode::TransferBeforehand,
            owner: source,
            beneficiary: Some(target),
            claim_before: None,
            state: TransferState::Claimed,
            trace,
            policies,
        };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    /// 医保钱包转账: the money leaves the sender and waits.
    fn send(
        &self,
        ledger: &Ledger,
        reading: &Reading<'_>,
        sides: &Sides<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<TransferOutcome>, Failure> {
        let today = now.civil_day();
        let (owner, beneficiary) = (sides.owner.id, sides.beneficiary.id);
        let day_key = Key::WalletDay(owner, today);
        let account = reading.account(owner)?.map(|account| account.as_of(today));
        let sent = reading.wallet_day(&day_key)?.copied().unwrap_or_default();
        let ask = Sending {
            owner: sides.owner,
            account: account.as_ref(),
            beneficiary: sides.beneficiary,
            relation: self.relation,
            relation_detail: &self.relation_detail,
            amount: self.amount,
            from_wallet: self.from_wallet,
            owner_wallet: reading.wallet(&Key::Wallet(owner))?.is_some(),
            beneficiary_wallet: reading.wallet(&Key::Wallet(beneficiary))?.is_some(),
            sent,
            now,
        };
        let mut trace = Trace::under(ledger.book.digest);
        let [of_owner, of_beneficiary] = &sides.policies;
        let from = wallet::decide_sending(&ask, of_owner, of_beneficiary, &ledger.book.regions, &mut trace)
            .map_err(Failure::Refused)?;
        ledger.check_grades(&trace, &sides.policies, today)?;
        let trace = ledger.tell(trace);
        let mut postings = Vec::new();
        let mut source = reading.account(owner)?.cloned().ok_or(Failure::NotFound(Thing::Account))?;
        source.turn_year(today, reading.marks(owner)?, &mut postings);
        let transfer = self.transfer(fresh, owner, beneficiary);
        let claim_before = wallet::claim_before(of_owner, today);
        let moved = SentTransfer {
            transfer: transfer.clone(),
            commitment: self.commitment.clone(),
            from,
            year: source.year,
            sent_on: today,
            claim_before,
            state: TransferState::Pending,
        };
        moved.send(&mut source, &mut postings);
        let sent = WalletDay { sent: sent.sent.saturating_add(1), amount: sent.amount + self.amount };
        let policies: Vec<[u8; 32]> = sides.policies.iter().map(|policy| policy.revision.digest).collect();
        let mut standings = Standings::new(reading);
        standings.of(owner)?.account = Some(source.clone());
        let mut puts = vec![
            (day_key, Entity::WalletDay(sent)),
            (Key::Transfer(transfer.id), Entity::Transfer(Arc::new(moved))),
            (Key::Decided(fresh.request), decided(&trace, &policies)),
        ];
        puts.extend(standings.into_puts());
        ledger.policy_puts(&sides.policies, &mut puts);
        let event = Event::TransferSent {
            transfer: transfer.clone(),
            claim_before,
            owner_after: source.clone(),
            policies: policies.clone(),
        };
        let lists =
            vec![(list_of(ListKind::AccountEntries, owner.as_u128()), 0), (sent_on(today), transfer.id.as_u128())];
        let outcome = TransferOutcome {
            transfer,
            mode: Mode::WalletTransfer,
            owner: source,
            beneficiary: None,
            claim_before: Some(claim_before),
            state: TransferState::Pending,
            trace,
            policies,
        };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }
}

fn decided(trace: &Told, policies: &[[u8; 32]]) -> Entity {
    Entity::Decided(Arc::new(Decided { trace: trace.clone(), policies: policies.to_vec() }))
}

/// The list of the wallet transfers of a day.
pub(super) fn sent_on(day: jiff::civil::Date) -> ListKey {
    let number = u128::try_from(crate::domain::time::day_number(day)).unwrap_or_default();
    list_of(ListKind::TransfersOfDay, number)
}
