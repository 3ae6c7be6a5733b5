//! What the owner's region lets one beneficiary draw from one account: per settlement, day and year.

use jiff::civil::Date;

use super::draw::Owner;
use super::money::Money;
use super::reason::Reason;
use super::rule::{Input, Inputs, Rule, Trace};

/// The least of what is left of the limits, if there are any.
pub(super) fn left(owner: &Owner<'_>, today: Date, trace: &mut Trace) -> Result<Option<(Input, Money)>, Reason> {
    let rules = &owner.policy.rules;
    let (day, year) = owner.aid.of(today);
    let per_day = rules.aid_per_day.map(|limit| limit.minus_or_zero(day));
    let per_year = rules.aid_per_year.map(|limit| limit.minus_or_zero(year));
    let lefts = [
        (Input::AidPerSettlementLeft, rules.aid_per_settlement),
        (Input::AidPerDayLeft, per_day),
        (Input::AidPerYearLeft, per_year),
    ];
    let lefts = lefts.into_iter().filter_map(|(input, left)| Some((input, left?)));
    let Some(least) = lefts.clone().min_by_key(|(_, left)| *left) else {
        return Ok(None);
    };
    let used = [(Input::UsedToday, day), (Input::UsedThisYear, year)];
    let inputs: Inputs = used.into_iter().chain(lefts).collect();
    trace.amount(Rule::AidLimit, owner.subject(), owner.policy_index, &inputs, least.1);
    match least.1 {
        Money::ZERO if per_year == Some(Money::ZERO) => Err(Reason::YearLimitReached),
        Money::ZERO if per_day == Some(Money::ZERO) => Err(Reason::DayLimitReached),
        Money::ZERO => Err(Reason::CapReached),
        _ => Ok(Some(least)),
    }
}
