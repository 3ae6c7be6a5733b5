//! Quotas (共济额度): a part of an owner's account set aside for one relative. While it is set the owner cannot use it; the
//! relative's bills are paid from it; what is not used goes back when it is given up.

use jiff::civil::Date;

use super::account::{Account, YearEnd};
use super::binding::Evidence;
use super::draw::usable_by_relatives;
use super::ids::{BindingId, MemberId};
use super::judging::{Judging, asked};
use super::member::Member;
use super::money::Money;
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::reason::Reason;
use super::region::RegionBook;
use super::rule::{Input, Rule, Subject, Trace};
use super::sharing::{self, Side};
use super::time::Moment;
use super::vocabulary::{Bucket, Relation};

/// What is asked when a quota is set above zero.
#[derive(Clone, Copy, Debug)]
pub struct QuotaAsk<'a> {
    pub owner: &'a Member,
    /// As of today.
    pub account: Option<&'a Account>,
    pub beneficiary: &'a Member,
    pub relation: Relation,
    /// As of today.
    pub quota: &'a Quota,
    /// What open holds hold of it: set aside as well, and back in it if they come to nothing.
    pub held: Money,
    pub wanted: Money,
    /// Of the binding, and handed in now.
    pub evidence: &'a [Evidence],
    pub on: Date,
}

/// Why a quota is refused, all reasons at once, with the evidence that is missing.
pub fn refusals(
    ask: &QuotaAsk<'_>,
    of_owner: &Policy,
    of_beneficiary: &Policy,
    regions: &RegionBook,
    trace: &mut Trace,
) -> (Vec<Reason>, Vec<String>) {
    let rules = &of_owner.rules;
    let mut judging = Judging::by([of_owner, of_beneficiary], trace);
    let relation_no = sharing::relation_refused(of_owner, of_beneficiary, ask.relation);
    judging.both(Rule::RelationAllowed, &[asked(ask.relation)], relation_no);
    judging.both(Rule::QuotaBetween, &[], sharing::quota_refused(of_owner, of_beneficiary, regions, ask.on));
    let owner_no = sharing::owner_refused(ask.owner, ask.account.is_some(), of_owner, of_beneficiary);
    judging.both(Rule::OwnerInsurance, &[], owner_no);
    let beneficiary_no = sharing::beneficiary_refused(ask.beneficiary, of_owner, of_beneficiary);
    judging.both(Rule::BeneficiaryInsurance, &[], beneficiary_no);
    let given = |kind: &&String| !ask.evidence.iter().any(|evidence| evidence.kind == **kind);
    let missing: Vec<String> = rules.quota_evidence.iter().filter(given).cloned().collect();
    judging.one(Rule::QuotaEvidence, Side::Owner, &[], (!missing.is_empty()).then_some(Reason::EvidenceMissing));
    if let Some(most) = rules.quota_max {
        let no = (ask.wanted + ask.held > most).then_some(Reason::QuotaTooLarge);
        let inputs = [(Input::Amount, ask.wanted), (Input::Held, ask.held), (Input::Limit, most)];
        judging.one(Rule::QuotaLimit, Side::Owner, &inputs, no);
    }
    let Judging { trace, mut reasons, .. } = judging;
    let before = ask.quota.left();
    if ask.quota.is_live() && ask.wanted == before {
        reasons.push(Reason::QuotaUnchanged);
    }
    if let Some(account) = ask.account {
        let usable = usable_by_relatives(account, of_owner, Subject::Own, 0, trace);
        let inputs = [(Input::QuotaBefore, before), (Input::Usable, usable)];
        trace.amount(Rule::QuotaSet, Subject::Own, 0, &inputs, ask.wanted);
        if ask.wanted > before + usable {
            reasons.push(Reason::BalanceInsufficient);
        }
    }
    (reasons, missing)
}

/// The quota of one binding, by the buckets it was taken from. All zero: none is set, or it is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub binding: BindingId,
    pub owner: MemberId,
    pub beneficiary: MemberId,
    /// The year its current-year part belongs to; it turns with the account.
    pub year: i16,
    pub current: Money,
    pub prior: Money,
    /// Since when a quota has been in force without a break; none: none is.
    pub since: Option<Moment>,
    /// What it held at the end of years that wait for the close of the owner's account, oldest first.
    pub ended: Vec<YearEnd>,
}

impl Quota {
    pub fn none(binding: BindingId, owner: MemberId, beneficiary: MemberId, today: Date) -> Self {
        let (current, prior) = (Money::ZERO, Money::ZERO);
        Self { binding, owner, beneficiary, year: today.year(), current, prior, since: None, ended: Vec::new() }
    }

    /// Whether a quota is in force: then the relative draws on it and on nothing else of the owner's.
    pub fn is_live(&self) -> bool {
        self.since.is_some()
    }

    pub fn left(&self) -> Money {
        self.current + self.prior
    }

    pub fn balance(&self, bucket: Bucket) -> Money {
        match bucket {
            Bucket::CurrentYear => self.current,
            Bucket::PriorYears => self.prior,
            Bucket::Wallet => Money::ZERO,
        }
    }

    fn party(&self, bucket: Bucket) -> Party {
        Party::Quota(self.binding, bucket)
    }

    fn change(&mut self, bucket: Bucket, by: Money) -> Money {
        let balance = match bucket {
            Bucket::CurrentYear => &mut self.current,
            Bucket::PriorYears | Bucket::Wallet => &mut self.prior,
        };
        *balance += by;
        assert!(!balance.is_negative(), "no quota below zero");
        *balance
    }

    /// As an account turns: what was of the current year is of prior years, and what was there at the end of each year is
    /// kept for its close.
    pub fn turn_year(&mut self, today: Date, postings: &mut Vec<Posting>) {
        while self.year < today.year() {
            if self.left().is_positive() {
                self.ended.push(YearEnd { year: self.year, current: self.current, prior: self.prior });
            }
            self.year += 1;
            let amount = self.current;
            if amount.is_positive() {
                let from_after = self.change(Bucket::CurrentYear, -amount);
                let to_after = self.change(Bucket::PriorYears, amount);
                let (from, to) = (self.party(Bucket::CurrentYear), self.party(Bucket::PriorYears));
                postings.push(Posting { from, to, amount, from_after: Some(from_after), to_after: Some(to_after) });
            }
        }
    }

    /// Takes out what it held at the end of a year, for that year's close.
    pub fn take_end(&mut self, year: i16) -> Option<YearEnd> {
        let place = self.ended.iter().position(|end| end.year == year)?;
        Some(self.ended.remove(place))
    }

    /// No quota is in force any more: what its years' ends found is the account's to keep.
    fn give_up(&mut self, account: &mut Account) {
        self.since = None;
        self.ended.drain(..).for_each(|end| account.add_end(end));
    }

    /// The quota as it stands on a day, without writing anything.
    pub fn as_of(&self, today: Date) -> Self {
        let mut quota = self.clone();
        quota.turn_year(today, &mut Vec::new());
        quota
    }

    /// Sets money of the account aside. The caller has looked at the balance.
    pub fn freeze(&mut self, account: &mut Account, bucket: Bucket, amount: Money, postings: &mut Vec<Posting>) {
        let first = postings.len();
        account.pay(bucket, amount, self.party(bucket), postings);
        postings[first].to_after = Some(self.change(bucket, amount));
    }

    /// Gives money back to the account.
    pub fn give_back(
        &mut self,
        account: &mut Account,
        bucket: Bucket,
        amount: Money,
        postings: &mut Vec<Posting>,
    ) -> Result<(), Reason> {
        let first = postings.len();
        account.receive(bucket, amount, self.party(bucket), postings)?;
        postings[first].from_after = Some(self.change(bucket, -amount));
        Ok(())
    }

    /// Ends the quota: all that is left goes back.
    pub fn end(&mut self, account: &mut Account, postings: &mut Vec<Posting>) -> Result<Money, Reason> {
        let left = self.left();
        for bucket in [Bucket::PriorYears, Bucket::CurrentYear] {
            let amount = self.balance(bucket);
            if amount.is_positive() {
                self.give_back(account, bucket, amount, postings)?;
            }
        }
        self.give_up(account);
        Ok(left)
    }

    /// Pays a bill.
    pub fn pay(&mut self, bucket: Bucket, amount: Money, to: Party, postings: &mut Vec<Posting>) {
        let from_after = Some(self.change(bucket, -amount));
        postings.push(Posting { from: self.party(bucket), to, amount, from_after, to_after: None });
    }

    /// Takes back what it had paid.
    pub fn receive(&mut self, bucket: Bucket, amount: Money, from: Party, postings: &mut Vec<Posting>) {
        let to_after = Some(self.change(bucket, amount));
        postings.push(Posting { from, to: self.party(bucket), amount, from_after: None, to_after });
    }

    /// The bucket in which money of `year` lies now.
    pub fn bucket_of_year(&self, bucket: Bucket, year: i16) -> Bucket {
        if bucket == Bucket::CurrentYear && year < self.year { Bucket::PriorYears } else { bucket }
    }

    /// Sets the quota to `wanted`: takes what is more from the account's buckets in their order, or gives back what is less
    /// in the opposite order.
    pub fn set(
        &mut self,
        wanted: Money,
        account: &mut Account,
        buckets: &[Bucket],
        now: Moment,
        postings: &mut Vec<Posting>,
    ) -> Result<(), Reason> {
        let before = self.left();
        if wanted > before {
            let mut more = wanted - before;
            for bucket in buckets {
                let amount = more.min(account.balance(*bucket));
                if amount.is_positive() {
                    self.freeze(account, *bucket, amount, postings);
                    more -= amount;
                }
            }
            assert!(more.is_zero(), "usable money lies in the drawable buckets");
        } else {
            let mut less = before - wanted;
            for bucket in [Bucket::CurrentYear, Bucket::PriorYears] {
                let amount = less.min(self.balance(bucket));
                if amount.is_positive() {
                    self.give_back(account, bucket, amount, postings)?;
                    less -= amount;
                }
            }
        }
        match wanted.is_zero() {
            true => self.give_up(account),
            false => self.since = self.since.or(Some(now)),
        }
        Ok(())
    }
}
