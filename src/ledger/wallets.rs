//! `OpenWallet` and `ClaimTransfer`.

use std::sync::Arc;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::ids::{RequestId, TransferId};
use crate::domain::member::MemberRef;
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record, Transfer};
use crate::domain::rule::{Input, Rule, Subject, Trace};
use crate::domain::time::Moment;
use crate::domain::wallet::Wallet;
use crate::domain::wording::Told;
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

/// `OpenWallet`.
#[derive(Clone, Debug)]
pub struct OpenWallet {
    pub caller: Caller,
    pub request_id: RequestId,
    pub member: MemberRef,
}

impl Command for OpenWallet {
    type Outcome = Account;
    const METHOD: u8 = 23;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.person("member", &self.member);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<Account>, Failure> {
        let today = now.civil_day();
        let id = ledger.resolve(reading, &self.member).await?;
        let key = Key::Wallet(id);
        reading.get(&[Key::Standing(id), key]).await?;
        if ledger.policy_of(reading.member(id)?, today)?.rules.wallet_sources.is_empty() {
            return Err(Failure::refused(Reason::WalletNotOffered));
        }
        if reading.wallet(&key)?.is_some() {
            return Err(Failure::refused(Reason::WalletAlreadyOpen));
        }
        // Who has no personal account has one for the wallet alone.
        let mut postings = Vec::new();
        let mut account = reading.account(id)?.cloned().unwrap_or_else(|| Account::opened(id, today));
        account.turn_year(today, reading.marks(id)?, &mut postings);
        let lists =
            if postings.is_empty() { Vec::new() } else { vec![(list_of(ListKind::AccountEntries, id.as_u128()), 0)] };
        let mut standings = Standings::new(reading);
        standings.of(id)?.account = Some(account.clone());
        let mut puts = vec![(key, Entity::Wallet(Arc::new(Wallet { member: id, opened_at: now })))];
        puts.extend(standings.into_puts());
        let event = Event::WalletOpened { after: account.clone() };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome: account })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, record: Record, _: [u8; 16]) -> Result<Account, Failure> {
        let Event::WalletOpened { after } = record.event else {
            return Err(Failure::Bug("a request to open a wallet made another record"));
        };
        Ok(after)
    }
}

/// `ClaimTransfer`.
#[derive(Clone, Debug)]
pub struct ClaimTransfer {
    pub caller: Caller,
    pub request_id: RequestId,
    pub transfer: TransferId,
    pub beneficiary: MemberRef,
}

/// A transfer taken.
#[derive(Clone, Debug)]
pub struct ClaimOutcome {
    pub transfer: Transfer,
    pub beneficiary: Account,
    pub trace: Told,
    pub policies: Vec<[u8; 32]>,
}

impl Command for ClaimTransfer {
    type Outcome = ClaimOutcome;
    const METHOD: u8 = 22;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields.field("transfer_id", &self.transfer).person("beneficiary", &self.beneficiary);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<ClaimOutcome>, Failure> {
        let today = now.civil_day();
        let id = ledger.resolve(reading, &self.beneficiary).await?;
        let key = Key::Transfer(self.transfer);
        reading.get(&[key, Key::Standing(id)]).await?;
        // Whose it is not need not know that it exists.
        let found = reading.transfer(&key)?.filter(|sent| sent.transfer.beneficiary == id);
        let mut sent = found.cloned().ok_or(Failure::NotFound(Thing::Transfer))?;
        if let Some(reason) = sent.claim_refused(now) {
            return Err(Failure::refused(reason));
        }
        reading.expect_before(sent.claim_before);
        let policy = ledger.policy_of(reading.member(id)?, today)?;
        let mut trace = Trace::under(ledger.book.digest);
        let amount = sent.transfer.amount;
        trace.amount(Rule::WalletClaim, Subject::Own, 0, &[(Input::Amount, amount)], amount);
        let mut postings = Vec::new();
        let mut account = reading.account(id)?.cloned().unwrap_or_else(|| Account::opened(id, today));
        account.turn_year(today, reading.marks(id)?, &mut postings);
        sent.claim(&mut account, &mut postings).map_err(Failure::refused)?;
        let policies = vec![policy.revision.digest];
        let transfer = sent.transfer.clone();
        let trace = ledger.tell(trace);
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        let mut puts = vec![
            (key, Entity::Transfer(Arc::new(sent))),
            (Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))),
        ];
        let mut standings = Standings::new(reading);
        standings.of(id)?.account = Some(account.clone());
        puts.extend(standings.into_puts());
        ledger.policy_puts(&[policy], &mut puts);
        let event = Event::TransferClaimed {
            transfer: transfer.clone(),
            beneficiary_after: account.clone(),
            policies: policies.clone(),
        };
        let lists = vec![(list_of(ListKind::AccountEntries, id.as_u128()), 0)];
        let outcome = ClaimOutcome { transfer, beneficiary: account, trace, policies };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<ClaimOutcome, Failure> {
        let Event::TransferClaimed { transfer, beneficiary_after, policies } = record.event else {
            return Err(Failure::Bug("a claim made another record"));
        };
        let key = Key::Decided(request);
        reading.get(&[key]).await?;
        let trace = reading.decided(&key)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        Ok(ClaimOutcome { transfer, beneficiary: beneficiary_after, trace, policies })
    }
}
