//! The balances and counters that a settlement touched, and the two movements on them: money that comes back, and money
//! that is taken once more. Everything is as of today; the caller has turned accounts and quotas.

use jiff::civil::Date;

use crate::domain::account::Account;
use crate::domain::binding::{AidUse, Family, Tie};
use crate::domain::draw::Contribution;
use crate::domain::ids::{BindingId, MemberId};
use crate::domain::money::Money;
use crate::domain::posting::{Party, Posting};
use crate::domain::quota::Quota;
use crate::domain::reason::Reason;
use crate::domain::time::Moment;

/// See the module.
#[derive(Clone, Debug)]
pub struct Books {
    pub today: Date,
    /// Of those who paid.
    pub accounts: Vec<Account>,
    /// In force, of bindings that were drawn on.
    pub quotas: Vec<Quota>,
    /// The patient's.
    pub family: Family,
    /// What the patient drew from each owner, where it is counted.
    pub aid: Vec<(MemberId, AidUse)>,
    pub postings: Vec<Posting>,
}

impl Books {
    /// Draws a contribution for the first time, as was just decided.
    pub(super) fn draw(&mut self, paid: &Contribution, to: Party) {
        let live = |quota: &&mut Quota| quota.is_live() && Some(quota.binding) == paid.binding;
        if let Some(quota) = self.quotas.iter_mut().find(live) {
            quota.pay(paid.bucket, paid.amount, to, &mut self.postings);
        } else {
            account_of(&mut self.accounts, paid.payer).pay(paid.bucket, paid.amount, to, &mut self.postings);
        }
        if let Some(tie) = tie_of(&mut self.family, paid) {
            tie.recount(self.today, self.today, paid.amount);
        }
        self.count_aid(paid, self.today, paid.amount);
    }

    /// Gives money back to the payer, bucket and year it came from.
    ///
    /// What came from a reservation is let back in whatever the bucket holds by now: it was there before.
    pub(super) fn give_back(
        &mut self,
        paid: &Contribution,
        amount: Money,
        from: Party,
        drawn_at: Moment,
    ) -> Result<(), Reason> {
        let reserved = matches!(from, Party::Hold(_));
        if let Some(quota) = quota_of(&mut self.quotas, paid.binding, drawn_at) {
            let bucket = quota.bucket_of_year(paid.bucket, paid.year);
            quota.receive(bucket, amount, from, &mut self.postings);
        } else {
            let account = account_of(&mut self.accounts, paid.payer);
            let bucket = account.bucket_of_year(paid.bucket, paid.year);
            if reserved {
                account.restore(bucket, amount, from, &mut self.postings);
            } else {
                account.receive(bucket, amount, from, &mut self.postings)?;
            }
        }
        self.count(paid, -amount, drawn_at);
        Ok(())
    }

    /// Takes money that was given back once more, from where it lies now, while it is there.
    pub(super) fn take_again(
        &mut self,
        paid: &Contribution,
        amount: Money,
        to: Party,
        drawn_at: Moment,
    ) -> Result<(), Reason> {
        if let Some(quota) = quota_of(&mut self.quotas, paid.binding, drawn_at) {
            let bucket = quota.bucket_of_year(paid.bucket, paid.year);
            if quota.balance(bucket) < amount {
                return Err(Reason::RefundSpent);
            }
            quota.pay(bucket, amount, to, &mut self.postings);
        } else {
            let account = account_of(&mut self.accounts, paid.payer);
            let bucket = account.bucket_of_year(paid.bucket, paid.year);
            if account.balance(bucket) < amount {
                return Err(Reason::RefundSpent);
            }
            account.pay(bucket, amount, to, &mut self.postings);
        }
        self.count(paid, amount, drawn_at);
        Ok(())
    }

    /// Counts money drawn again, or with a negative amount money back: in the period it was counted in, and in no other.
    fn count(&mut self, paid: &Contribution, amount: Money, drawn_at: Moment) {
        let on = drawn_at.civil_day();
        if let Some(tie) = tie_of(&mut self.family, paid) {
            tie.recount(self.today, on, amount);
        }
        self.count_aid(paid, on, amount);
    }

    fn count_aid(&mut self, paid: &Contribution, on: Date, amount: Money) {
        let of_owner = self.aid.iter_mut().find(|(owner, _)| paid.counted && *owner == paid.payer);
        if let Some((_, aid)) = of_owner {
            aid.recount(self.today, on, amount);
        }
    }
}

fn account_of(accounts: &mut [Account], payer: MemberId) -> &mut Account {
    let account = accounts.iter_mut().find(|account| account.member == payer);
    account.expect("a payer's account was loaded")
}

/// What a quota paid goes back into it while it is in force without a break; afterwards it is the owner's again.
fn quota_of(quotas: &mut [Quota], binding: Option<BindingId>, drawn_at: Moment) -> Option<&mut Quota> {
    let unbroken = |quota: &&mut Quota| quota.since.is_some_and(|since| since <= drawn_at);
    quotas.iter_mut().find(|quota| Some(quota.binding) == binding).filter(unbroken)
}

/// The tie that a contribution was drawn through, where it has caps to count towards.
fn tie_of<'a>(family: &'a mut Family, paid: &Contribution) -> Option<&'a mut Tie> {
    let binding = paid.binding?;
    family.ties.iter_mut().find(|tie| tie.binding == binding && !tie.caps.is_none())
}
