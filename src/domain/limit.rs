//! What the owner's region lets one beneficiary draw from one account: per settlement, day and year.

use jiff::civil::Date;

use super::draw::Owner;
use super::money::Money;
use super::reason::Reason;
use super::rule::{Input, Rule, Trace};

/// What is left of the limits, if there are any.
pub(super) fn left(owner: &Owner<'_>, today: Date, trace: &mut Trace) -> Result<Option<Money>, Reason> {
    let rules = &owner.policy.rules;
    let (day, year) = owner.aid.of(today);
    let per_day = rules.aid_per_day.map(|limit| limit.minus_or_zero(day));
    let per_year = rules.aid_per_year.map(|limit| limit.minus_or_zero(year));
    let Some(left) = [rules.aid_per_settlement, per_day, per_year].into_iter().flatten().min() else {
        return Ok(None);
    };
    let inputs = [(Input::UsedToday, day), (Input::UsedThisYear, year), (Input::LimitLeft, left)];
    trace.amount(Rule::AidLimit, owner.subject(), owner.policy_index, &inputs, left);
    match left {
        Money::ZERO if per_year == Some(Money::ZERO) => Err(Reason::YearLimitReached),
        Money::ZERO if per_day == Some(Money::ZERO) => Err(Reason::DayLimitReached),
        Money::ZERO => Err(Reason::CapReached),
        left => Ok(Some(left)),
    }
}
