//! Accounts: credits and corrections.

use super::failure::{Failure, Thing};
use super::fingerprint::Fingerprint;
use super::reading::{Reading, Standings};
use super::{Caller, Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::ids::RequestId;
use crate::domain::member::MemberRef;
use crate::domain::money::Money;
use crate::domain::posting::Party;
use crate::domain::reason::Reason;
use crate::domain::record::{CreditKind, Event, Record};
use crate::domain::time::Moment;
use crate::domain::vocabulary::Bucket;
use crate::store::{Key, ListKind};

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
        // What is left of an account is corrected; nothing is paid in monthly where the insurance has none, though a wallet, or
        // what an earlier insurance left, is kept in one.
        let pays_in = self.kind == CreditKind::Correction || member.insurance.has_account;
        let account = reading.account(id)?.filter(|_| pays_in).cloned();
        let mut account = account.ok_or(Failure::NotFound(Thing::Account))?;
        let mut postings = Vec::new();
        account.turn_year(now.civil_day(), reading.marks(id)?, &mut postings);
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
