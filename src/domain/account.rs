//! Personal accounts (个人账户): buckets that never go below zero and turn with the year by themselves.

use jiff::civil::Date;

use super::ids::MemberId;
use super::money::Money;
use super::posting::{Party, Posting};
use super::reason::Reason;
use super::settlement::hold::Mark;
use super::vocabulary::Bucket;

/// One member's account. `year` is the year the current-year bucket belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub member: MemberId,
    pub year: i16,
    pub current: Money,
    pub prior: Money,
    pub wallet: Money,
    /// Years that have ended and wait for their close, oldest first: one a year at most.
    pub ended: Vec<YearEnd>,
}

/// What an account held at the end of 31 December, held money with it: until it is paid it is in the account. What was set aside
/// as a quota keeps an end of its own; what was sent from a wallet was out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearEnd {
    pub year: i16,
    pub current: Money,
    pub prior: Money,
}

impl YearEnd {
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { current: self.current + other.current, prior: self.prior + other.prior, ..self }
    }
}

impl Account {
    pub fn opened(member: MemberId, today: Date) -> Self {
        let (year, zero) = (today.year(), Money::ZERO);
        Self { member, year, current: zero, prior: zero, wallet: zero, ended: Vec::new() }
    }

    pub fn balance(&self, bucket: Bucket) -> Money {
        match bucket {
            Bucket::CurrentYear => self.current,
            Bucket::PriorYears => self.prior,
            Bucket::Wallet => self.wallet,
        }
    }

    /// What the personal account holds; the wallet is another purse.
    pub fn total(&self) -> Money {
        self.current + self.prior
    }

    pub fn sum(&self, buckets: &[Bucket]) -> Money {
        buckets.iter().map(|bucket| self.balance(*bucket)).sum()
    }

    /// The bucket in which money of `year` lies now.
    pub fn bucket_of_year(&self, bucket: Bucket, year: i16) -> Bucket {
        if bucket == Bucket::CurrentYear && year < self.year { Bucket::PriorYears } else { bucket }
    }

    /// When the year has turned, the current-year money counts as prior-year money at once; the posting that says so is
    /// written by the first change that touches the account afterwards. What was there at the end of each year is kept for
    /// its close, with what holds that are open yet hold of its owner's money: `held` are the owner's marks, and none of them
    /// goes before the account has turned.
    pub fn turn_year(&mut self, today: Date, held: &[Mark], postings: &mut Vec<Posting>) {
        while self.year < today.year() {
            let of_holds = Mark::held_at_end(held, self.year);
            let (current, prior) = (self.current + of_holds.current, self.prior + of_holds.prior);
            self.ended.push(YearEnd { year: self.year, current, prior });
            self.year += 1;
            let amount = self.current;
            if amount.is_positive() {
                self.move_money(Bucket::CurrentYear, Bucket::PriorYears, amount, postings);
            }
        }
    }

    /// The balances as they stand on a day, without writing anything.
    pub fn as_of(&self, today: Date) -> Self {
        let mut account = self.clone();
        account.turn_year(today, &[], &mut Vec::new());
        account
    }

    /// Takes on what something else of the owner's held at the end of a year.
    pub fn add_end(&mut self, end: YearEnd) {
        match self.ended.iter_mut().find(|known| known.year == end.year) {
            Some(known) => *known = known.plus(end),
            None => {
                let place = self.ended.partition_point(|known| known.year < end.year);
                self.ended.insert(place, end);
            }
        }
    }

    fn move_money(&mut self, from: Bucket, to: Bucket, amount: Money, postings: &mut Vec<Posting>) {
        let from_after = self.change(from, -amount);
        let to_after = self.change(to, amount);
        postings.push(Posting {
            from: Party::Bucket(self.member, from),
            to: Party::Bucket(self.member, to),
            amount,
            from_after: Some(from_after),
            to_after: Some(to_after),
        });
    }

    /// Takes money out. The caller has looked at the balance: paying more than there is would be a bug, and stops here.
    pub fn pay(&mut self, bucket: Bucket, amount: Money, to: Party, postings: &mut Vec<Posting>) {
        let from_after = self.change(bucket, -amount);
        let from = Party::Bucket(self.member, bucket);
        postings.push(Posting { from, to, amount, from_after: Some(from_after), to_after: None });
    }

    /// Takes money in, up to what one bucket may hold.
    pub fn receive(
        &mut self,
        bucket: Bucket,
        amount: Money,
        from: Party,
        postings: &mut Vec<Posting>,
    ) -> Result<(), Reason> {
        if self.balance(bucket) + amount > Money::BALANCE_MAX {
            return Err(Reason::BalanceTooLarge);
        }
        let to_after = self.change(bucket, amount);
        let to = Party::Bucket(self.member, bucket);
        postings.push(Posting { from, to, amount, from_after: None, to_after: Some(to_after) });
        Ok(())
    }

    /// Takes money in that a hold had set aside. Nothing keeps it from coming back: it was in the account before.
    pub fn restore(&mut self, bucket: Bucket, amount: Money, from: Party, postings: &mut Vec<Posting>) {
        let to_after = self.change(bucket, amount);
        let to = Party::Bucket(self.member, bucket);
        postings.push(Posting { from, to, amount, from_after: None, to_after: Some(to_after) });
    }

    fn change(&mut self, bucket: Bucket, by: Money) -> Money {
        let balance = match bucket {
            Bucket::CurrentYear => &mut self.current,
            Bucket::PriorYears => &mut self.prior,
            Bucket::Wallet => &mut self.wallet,
        };
        *balance += by;
        assert!(!balance.is_negative(), "no balance below zero");
        *balance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        crate::domain::time::parse_day(text).expect("test day")
    }

    #[test]
    fn the_year_turns_by_itself_and_once() {
        let member = MemberId::from_u128(1);
        let account =
            Account { current: Money::fen(300), prior: Money::fen(20), ..Account::opened(member, day("2025-12-31")) };
        assert_eq!(account.as_of(day("2025-12-31")).current.as_fen(), 300);
        let mut turned = account;
        let mut postings = Vec::new();
        turned.turn_year(day("2026-01-01"), &[], &mut postings);
        turned.turn_year(day("2026-01-01"), &[], &mut postings);
        assert_eq!((turned.current.as_fen(), turned.prior.as_fen(), turned.year, postings.len()), (0, 320, 2026, 1));
        let end = |year, current, prior| YearEnd { year, current: Money::fen(current), prior: Money::fen(prior) };
        assert_eq!(turned.ended, [end(2025, 300, 20)]);
        assert_eq!(turned.as_of(day("2028-05-01")).ended, [end(2025, 300, 20), end(2026, 0, 320), end(2027, 0, 320)]);
        assert_eq!(turned.bucket_of_year(Bucket::CurrentYear, 2025), Bucket::PriorYears);
        assert_eq!(turned.bucket_of_year(Bucket::CurrentYear, 2026), Bucket::CurrentYear);
    }

    #[test]
    fn a_bucket_holds_so_much_and_no_more() {
        let mut account = Account::opened(MemberId::from_u128(1), day("2026-01-01"));
        let from = Party::Cash;
        assert_eq!(account.receive(Bucket::PriorYears, Money::BALANCE_MAX, from.clone(), &mut Vec::new()), Ok(()));
        let refused = account.receive(Bucket::PriorYears, Money::fen(1), from, &mut Vec::new());
        assert_eq!(refused, Err(Reason::BalanceTooLarge));
    }
}
