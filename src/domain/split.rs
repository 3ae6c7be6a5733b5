//! Bill and policy → what the fund pays and what the person owes. Read top to bottom it is the regulation (domain terms:
//! 全自费, 超限价自费, 先行自付, 符合政策范围, 起付标准, 统筹基金支付).

use super::bill::{Adjudicated, Bill, BillContent, Line, Visit};
use super::member::Insurance;
use super::money::{Money, Rate};
use super::policy::{Deductible, FundShare, Policy, PriceCap, Rules};
use super::rule::{Input, Outcome, Rounded, Rule, Subject, Trace};
use super::vocabulary::{Component, DeductiblePer, ListClass};
use super::year_use::{UseOf, YearUse, used_for};

/// The bill divided; always total = full self-pay + over limit + first self-pay + in scope, and
/// person part = total − fund − hospital part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub total: Money,
    pub full_self_pay: Money,
    pub over_limit: Money,
    pub first_self_pay: Money,
    pub in_scope: Money,
    pub deductible: Money,
    pub fund: Money,
    pub hospital_part: Money,
    pub person_part: Money,
}

impl Split {
    /// What the person owes under each heading.
    pub fn component(&self, component: Component) -> Money {
        match component {
            Component::Deductible => self.deductible,
            Component::FirstSelfPay => self.first_self_pay,
            Component::OverLimit => self.over_limit,
            Component::FullSelfPay => self.full_self_pay,
            Component::CoPayment => {
                self.person_part - self.deductible - self.first_self_pay - self.over_limit - self.full_self_pay
            }
        }
    }
}

/// Splits the bill under the patient's policy, one step per amount. `used`: before the bill, in its year and region.
pub fn split(
    bill: &Bill,
    visit: &Visit,
    insurance: &Insurance,
    used: &[(UseOf, YearUse)],
    policy: &Policy,
    trace: &mut Trace,
) -> Split {
    let split = match &bill.content {
        BillContent::Lines(lines) => split_lines(bill.total, lines, visit, insurance, used, policy, trace),
        BillContent::Adjudicated(parts) => adopt(bill.total, parts, trace),
    };
    let inputs = [(Input::Total, split.total), (Input::Fund, split.fund), (Input::HospitalPart, split.hospital_part)];
    trace.amount(Rule::PersonPart, Subject::Bill, 0, &inputs, split.person_part);
    assert_eq!(
        split.total,
        split.full_self_pay + split.over_limit + split.first_self_pay + split.in_scope,
        "the bill is divided whole"
    );
    assert_eq!(split.total, split.fund + split.hospital_part + split.person_part, "somebody pays every fen");
    assert!(Component::ALL.iter().all(|component| !split.component(*component).is_negative()), "no part is negative");
    split
}

fn adopt(total: Money, parts: &Adjudicated, trace: &mut Trace) -> Split {
    let inputs =
        [(Input::Total, total), (Input::HospitalPart, parts.hospital_part), (Input::PersonPart, parts.person_part)];
    trace.amount(Rule::Adjudicated, Subject::Bill, 0, &inputs, parts.fund);
    Split {
        total,
        full_self_pay: parts.full_self_pay,
        over_limit: parts.over_limit,
        first_self_pay: parts.first_self_pay,
        in_scope: total - parts.full_self_pay - parts.over_limit - parts.first_self_pay,
        deductible: parts.deductible,
        fund: parts.fund,
        hospital_part: parts.hospital_part,
        person_part: parts.person_part,
    }
}

fn split_lines(
    total: Money,
    lines: &[Line],
    visit: &Visit,
    insurance: &Insurance,
    used: &[(UseOf, YearUse)],
    policy: &Policy,
    trace: &mut Trace,
) -> Split {
    let mut split = Split { total, ..Split::default() };
    // In scope per row of the fund's ratios: the ratio and its rounding apply once to the sum of a row.
    let mut rows: Vec<(usize, Money)> = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let in_scope = split_line(place, line, visit, policy, &mut split, trace);
        let row = policy.rules.fund_shares.iter().position(|row| covers(row, line, visit, insurance));
        if let Some(row) = row {
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, sum)) => *sum += in_scope,
                None => rows.push((row, in_scope)),
            }
        }
        split.in_scope += in_scope;
    }
    let inputs = [
        (Input::Total, total),
        (Input::FullSelfPay, split.full_self_pay),
        (Input::OverLimit, split.over_limit),
        (Input::FirstSelfPay, split.first_self_pay),
    ];
    let by_policy = lines.iter().any(|line| takes_policy_rate(line, &policy.rules));
    let first_self_pay = if by_policy { Rule::FirstSelfPay } else { Rule::FirstSelfPayGiven };
    for (rule, amount) in [
        (Rule::FullSelfPay, split.full_self_pay),
        (Rule::OverLimit, split.over_limit),
        (first_self_pay, split.first_self_pay),
    ] {
        if amount.is_positive() {
            trace.amount(rule, Subject::Bill, 0, &[(Input::Total, total)], amount);
        }
    }
    trace.amount(Rule::InScope, Subject::Bill, 0, &inputs, split.in_scope);
    rows.sort_unstable_by_key(|(row, _)| *row);

    let row = policy.rules.deductibles.iter().find(|row| deductible_applies(row, visit, insurance));
    let mut deductible_left = row.map_or(Money::ZERO, |row| match row.per {
        DeductiblePer::Year => row.amount.minus_or_zero(used_for(used, &row.purposes).deductible),
        DeductiblePer::Visit => row.amount,
    });
    let covered: Money = rows.iter().map(|(_, sum)| *sum).sum();
    split.deductible = deductible_left.min(covered);
    if row.is_some() {
        let inputs = [(Input::InScope, covered), (Input::DeductibleLeft, deductible_left)];
        trace.amount(Rule::Deductible, Subject::Bill, 0, &inputs, split.deductible);
    }
    for (row, sum) in rows {
        let below = deductible_left.min(sum);
        deductible_left -= below;
        let inputs = [
            (Input::InScope, sum),
            (Input::Deductible, below),
            (Input::AboveDeductible, sum - below),
            (Input::Row, Money::fen(row as i64)),
        ];
        let paid = used_for(used, &policy.rules.fund_shares[row].purposes).fund;
        split.fund += fund_part(&policy.rules, row, &inputs, paid + split.fund, trace);
    }
    let counted = &policy.rules.fund_year_cap_purposes;
    if let Some(cap) = policy.rules.fund_year_cap
        && any_or(counted, &visit.purpose)
    {
        let paid = used_for(used, counted).fund;
        let left = cap.minus_or_zero(paid);
        let inputs = [(Input::Fund, split.fund), (Input::FundPaidThisYear, paid), (Input::CapLeft, left)];
        split.fund = split.fund.min(left);
        trace.amount(Rule::FundYearCap, Subject::Bill, 0, &inputs, split.fund);
    }
    trace.amount(Rule::FundTotal, Subject::Bill, 0, &[(Input::InScope, split.in_scope)], split.fund);
    split.person_part = total - split.fund;
    split
}

/// The fund's part of what a row covers above the deductible, one step per rate. Where the row's rate changes with what the fund
/// has paid in the year (分段累计), a rate holds up to the fen at which the next begins, and what is left is shared by that.
fn fund_part(rules: &Rules, row: usize, inputs: &[(Input, Money); 4], paid: Money, trace: &mut Trace) -> Money {
    let (share, mode) = (&rules.fund_shares[row], rules.fund_rounding);
    let [_, _, (_, mut left), _] = *inputs;
    let mut fund = Money::ZERO;
    let rates = std::iter::once(share.rate).chain(share.bands.iter().map(|band| band.rate));
    let ends = share.bands.iter().map(|band| Some(band.fund_paid)).chain([None]);
    for (rate, end) in rates.zip(ends) {
        let room = end.map(|end| end.minus_or_zero(paid + fund));
        if room == Some(Money::ZERO) {
            continue;
        }
        let mut of = left;
        if let (Some(room), Some(end)) = (room, end)
            && left.share(rate, mode).amount > room
        {
            of = room.whole_of(rate, mode);
            let inputs = [(Input::Limit, end), (Input::FundPaidThisYear, paid + fund), inputs[3]];
            trace.push(
                Rule::FundBand,
                Subject::Bill,
                0,
                &inputs,
                Some(Rounded { of, rate, mode }),
                Outcome::Amount(of),
            );
        }
        let part = of.share(rate, mode).amount;
        let rounded = Some(Rounded { of, rate, mode });
        trace.push(Rule::FundShare, Subject::Bill, 0, inputs, rounded, Outcome::Amount(part));
        fund += part;
        left -= of;
        if left.is_zero() {
            break;
        }
    }
    fund
}

/// Whether the policy's rate decides what of a line the person pays first, and not the line's own.
fn takes_policy_rate(line: &Line, rules: &Rules) -> bool {
    line.class == ListClass::B
        && line.first_self_pay_rate.is_none()
        && !rules.full_self_pay_classes.contains(&line.class)
}

/// Divides one line; returns what of it is in scope.
fn split_line(
    place: usize,
    line: &Line,
    visit: &Visit,
    policy: &Policy,
    split: &mut Split,
    trace: &mut Trace,
) -> Money {
    let subject = Subject::Line(u16::try_from(place).unwrap_or(u16::MAX));
    let amount = (Input::Amount, line.amount);
    if policy.rules.full_self_pay_classes.contains(&line.class) {
        trace.amount(Rule::FullSelfPay, subject, 0, &[amount], line.amount);
        split.full_self_pay += line.amount;
        return Money::ZERO;
    }
    let cap = policy.rules.price_caps.iter().find(|row| caps(row, line, visit)).map(|row| row.amount);
    let over_cap = cap.map_or(Money::ZERO, |cap| line.amount.minus_or_zero(cap));
    // What the hospital found over a limit stands; the region's own cap can only add to it.
    let over_limit = line.over_limit.max(over_cap);
    if over_limit.is_positive() {
        if over_cap > line.over_limit {
            let inputs = [amount, (Input::PriceCap, cap.unwrap_or_default())];
            trace.amount(Rule::PriceCap, subject, 0, &inputs, over_limit);
        } else {
            trace.amount(Rule::OverLimit, subject, 0, &[amount], over_limit);
        }
        split.over_limit += over_limit;
    }
    let within = line.amount - over_limit;
    let (rule, rate) = if takes_policy_rate(line, &policy.rules) {
        (Rule::FirstSelfPay, policy.rules.first_self_pay_rate)
    } else {
        (Rule::FirstSelfPayGiven, line.first_self_pay_rate.unwrap_or(Rate::ZERO))
    };
    if rate == Rate::ZERO {
        return within;
    }
    let first = within.share(rate, policy.rules.fund_rounding);
    let rounded = Some(Rounded { of: within, rate, mode: first.rounding });
    let inputs = [amount, (Input::OverLimit, over_limit)];
    trace.push(rule, subject, 0, &inputs, rounded, Outcome::Amount(first.amount));
    split.first_self_pay += first.amount;
    within - first.amount
}

fn any_or<T: PartialEq>(list: &[T], item: &T) -> bool {
    list.is_empty() || list.contains(item)
}

fn covers(row: &FundShare, line: &Line, visit: &Visit, insurance: &Insurance) -> bool {
    any_or(&row.schemes, &insurance.scheme)
        && any_or(&row.tiers, &insurance.tier)
        && any_or(&row.states, &insurance.state)
        && any_or(&row.institution_kinds, &visit.institution_kind)
        && any_or(&row.purposes, &visit.purpose)
        && any_or(&row.list_classes, &line.class)
        && any_or(&row.categories, &line.category)
        && !row.excluded_categories.contains(&line.category)
}

fn caps(row: &PriceCap, line: &Line, visit: &Visit) -> bool {
    any_or(&row.item_codes, &line.item_code)
        && any_or(&row.categories, &line.category)
        && any_or(&row.institution_kinds, &visit.institution_kind)
}

fn deductible_applies(row: &Deductible, visit: &Visit, insurance: &Insurance) -> bool {
    any_or(&row.schemes, &insurance.scheme)
        && any_or(&row.tiers, &insurance.tier)
        && any_or(&row.institution_kinds, &visit.institution_kind)
        && any_or(&row.purposes, &visit.purpose)
}

/// What of a bill's deductible counts towards the year's: nothing where one is asked for at every visit.
pub fn year_deductible(split: &Split, visit: &Visit, insurance: &Insurance, policy: &Policy) -> Money {
    match policy.rules.deductibles.iter().find(|row| deductible_applies(row, visit, insurance)).map(|row| row.per) {
        Some(DeductiblePer::Visit) => Money::ZERO,
        Some(DeductiblePer::Year) | None => split.deductible,
    }
}
