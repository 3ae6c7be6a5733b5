//! The close of a year (年度结转): what an account held when the year ended bears interest, which joins its prior years.
//!
//! That the current year's money counts as prior years' from the first instant of the new year is no part of this: the
//! account turns by itself (`Account::turn_year`) and keeps what it held until a close has dealt with it.

use super::account::{Account, YearEnd};
use super::ids::RegionCode;
use super::money::{Money, Rate};
use super::policy::Policy;
use super::posting::{Party, Posting};
use super::quota::Quota;
use super::reason::Reason;
use super::rule::{Input, Outcome, Rounded, Rule, Subject, Trace};
use super::time::Moment;
use super::vocabulary::{Bucket, InterestBasis};

/// How far the close of a region's year has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YearClose {
    pub region: RegionCode,
    pub year: i16,
    /// A region's year may be closed again, for accounts that came from elsewhere unclosed.
    pub round: u32,
    pub started: Moment,
    pub ended: Option<Moment>,
    /// Members up to this position of the ledger are done, and all are at this one.
    pub after: u64,
    pub until: u64,
    pub tally: Tally,
}

/// What became of the accounts that a close looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub closed: u64,
    /// Had nothing to close: closed before, no account in that year, or insured elsewhere by now.
    pub without: u64,
    /// Could not be closed: the interest does not fit, or its values are of a refused grade.
    pub refused: u64,
    pub interest: Money,
}

impl YearClose {
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

/// Closes one account's year: takes its end off the list of those that wait, with what the owner's quotas held then, and posts
/// the interest. Account and quotas have turned to the day of the close.
pub fn close(
    account: &mut Account,
    quotas: &mut [Quota],
    year: i16,
    policy: &Policy,
    trace: &mut Trace,
    postings: &mut Vec<Posting>,
) -> Result<(YearEnd, Money), Reason> {
    let place = account.ended.iter().position(|end| end.year == year).ok_or(Reason::YearNothingToClose)?;
    let of_quotas = quotas.iter_mut().filter_map(|quota| quota.take_end(year));
    let end = of_quotas.fold(account.ended.remove(place), YearEnd::plus);
    trace.amount(Rule::YearEnded, Subject::Own, 0, &[(Input::Balance, end.current + end.prior)], end.current);
    let interest = interest(&end, policy, trace);
    if interest.is_positive() {
        account.receive(Bucket::PriorYears, interest, Party::Interest(policy.region), postings)?;
    }
    Ok((end, interest))
}

fn interest(end: &YearEnd, policy: &Policy, trace: &mut Trace) -> Money {
    let Some(rule) = &policy.rules.year_interest else {
        trace.amount(Rule::InterestTotal, Subject::Own, 0, &[], Money::ZERO);
        return Money::ZERO;
    };
    let mut share = |step: Rule, of: Money, rate: Rate| {
        let amount = of.share(rate, rule.rounding).amount;
        let rounded = Some(Rounded { of, rate, mode: rule.rounding });
        trace.push(step, Subject::Own, 0, &[(Input::Balance, of)], rounded, Outcome::Amount(amount));
        amount
    };
    let on_current = match rule.basis {
        InterestBasis::YearEndBalance => share(Rule::InterestCurrent, end.current, rule.current_rate),
        InterestBasis::PriorYearsBalance => Money::ZERO,
    };
    let on_prior = share(Rule::InterestPrior, end.prior, rule.prior_rate);
    let inputs = [(Input::InterestCurrent, on_current), (Input::InterestPrior, on_prior)];
    trace.amount(Rule::InterestTotal, Subject::Own, 0, &inputs, on_current + on_prior);
    on_current + on_prior
}
