//! Accounts: credits, corrections, and transfers beforehand.

use std::sync::Arc;

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::ids::{RequestId, TransferId};
use crate::domain::member::MemberRef;
use crate::domain::money::Money;
use crate::domain::posting::Party;
use crate::domain::reason::Reason;
use crate::domain::record::{CreditKind, Event, Record, Transfer};
use crate::domain::rule::Trace;
use crate::domain::time::Moment;
use crate::domain::transfer;
use crate::domain::vocabulary::{Bucket, Relation};
use crate::store::entity::Decided;
use crate::store::{Entity, Key, ListKind};

/// `CreditAccount`: a monthly credit, or a correction, which may be negative.
#[derive(Clone, Debug)]
pub struct CreditAccount {
    pub caller: Caller,
    pub request_id: RequestId,
    pub member: MemberRef,
    pub bucket: Bucket,
    pub amount: Money,
    pub kind: CreditKind,
    pub note: String,
}

impl Command for CreditAccount {
    type Outcome = Account;
    const METHOD: u8 = 20;

    fn request(&self) -> (String, &RequestId) {
        (self.caller.scope.clone(), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fields
            .person("member", &self.member)
            .field("bucket", &self.bucket)
            .field("amount_fen", &self.amount)
            .field("kind", &self.kind)
            .field("note_ref", &self.note);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        _: Fresh,
    ) -> Result<Plan<Account>, Failure> {
        let id = ledger.resolve(reading, &self.member).await?;
        reading.get(&[Key::Standing(id)]).await?;
        let member = reading.member(id)?;
        let mut account = reading.account(id)?.cloned().ok_or(Failure::NotFound(Thing::Account))?;
        let mut postings = Vec::new();
        account.turn_year(now.civil_day(), &mut postings);
        let source = Party::Credits(member.insurance.region);
        if self.amount.is_negative() {
            if account.balance(self.bucket) < -self.amount {
                return Err(Failure::refused(Reason::BalanceInsufficient));
            }
            account.pay(self.bucket, -self.amount, source, &mut postings);
        } else {
            account.receive(self.bucket, self.amount, source, &mut postings).map_err(Failure::refused)?;
        }
        let event = Event::Credited {
            after: account.clone(),
            bucket: self.bucket,
            amount: self.amount,
            kind: self.kind,
            note: self.note.clone(),
        };
        let mut standings = Standings::new(reading);
        standings.of(id)?.account = Some(account.clone());
        Ok(Plan {
            record: Record { event, postings },
            puts: standings.into_puts().collect(),
            lists: vec![(list_of(ListKind::AccountEntries, id.as_u128()), 0)],
            outcome: account,
        })
    }

    async fn replay(&self, _: &Ledger, _: &mut Reading<'_>, record: Record, _: [u8; 16]) -> Result<Account, Failure> {
        let Event::Credited { after, .. } = record.event else {
            return Err(Failure::Bug("a credit request made another record"));
        };
        Ok(after)
    }
}

/// `TransferFunds`: prior-year money becomes a relative's. Its own filing: it carries relation and commitment.
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
}

/// Both accounts after a transfer, and why it was allowed.
#[derive(Clone, Debug)]
pub struct TransferOutcome {
    pub transfer: Transfer,
    pub owner: Account,
    pub beneficiary: Account,
    pub trace: Trace,
    pub policies: Vec<[u8; 32]>,
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
            .field("commitment_ref", &self.commitment);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<TransferOutcome>, Failure> {
        let today = now.civil_day();
        let owner = ledger.resolve(reading, &self.owner).await?;
        let beneficiary = ledger.resolve(reading, &self.beneficiary).await?;
        reading.get(&[Key::Standing(owner), Key::Standing(beneficiary)]).await?;
        let (from, to) = (reading.member(owner)?, reading.member(beneficiary)?);
        let (of_owner, of_beneficiary) = (ledger.policy_of(from, today)?, ledger.policy_of(to, today)?);
        let account = reading.account(owner)?.map(|account| account.as_of(today));
        let mut trace = Trace::under(ledger.book.digest);
        let reasons = transfer::refusals(
            from,
            account.as_ref(),
            to,
            self.relation,
            self.amount,
            &of_owner,
            &of_beneficiary,
            &ledger.book.regions,
            today,
            &mut trace,
        );
        if !reasons.is_empty() {
            return Err(Failure::Refused(reasons));
        }
        let mut postings = Vec::new();
        let mut source = reading.account(owner)?.cloned().ok_or(Failure::NotFound(Thing::Account))?;
        // A relative without an account gets one: the money is theirs from now on.
        let mut target = reading.account(beneficiary)?.cloned().unwrap_or_else(|| Account::opened(beneficiary, today));
        source.turn_year(today, &mut postings);
        target.turn_year(today, &mut postings);
        transfer::apply(&mut source, &mut target, self.amount, &mut postings).map_err(Failure::refused)?;

        let id = TransferId::from_u128(fresh.id);
        let (relation, relation_detail, amount) = (self.relation, self.relation_detail.clone(), self.amount);
        let transfer = Transfer { id, owner, beneficiary, relation, relation_detail, amount };
        let policies = vec![of_owner.revision.digest, of_beneficiary.revision.digest];
        let mut standings = Standings::new(reading);
        standings.of(owner)?.account = Some(source.clone());
        standings.of(beneficiary)?.account = Some(target.clone());
        let mut puts: Vec<(Key, Entity)> = standings.into_puts().collect();
        let decided = Decided { trace: trace.clone(), policies: policies.clone() };
        puts.push((Key::Decided(fresh.request), Entity::Decided(Arc::new(decided))));
        ledger.policy_puts(&[of_owner, of_beneficiary], &mut puts);
        let event = Event::Transferred {
            transfer: transfer.clone(),
            owner_after: source.clone(),
            beneficiary_after: target.clone(),
            policies: policies.clone(),
        };
        let lists =
            [owner, beneficiary].map(|member| (list_of(ListKind::AccountEntries, member.as_u128()), 0)).to_vec();
        let outcome = TransferOutcome { transfer, owner: source, beneficiary: target, trace, policies };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        request: [u8; 16],
    ) -> Result<TransferOutcome, Failure> {
        let Event::Transferred { transfer, owner_after, beneficiary_after, policies } = record.event else {
            return Err(Failure::Bug("a transfer request made another record"));
        };
        let key = Key::Decided(request);
        reading.get(&[key]).await?;
        let trace = reading.decided(&key)?.map(|decided| decided.trace.clone()).unwrap_or_default();
        Ok(TransferOutcome { transfer, owner: owner_after, beneficiary: beneficiary_after, trace, policies })
    }
}
