//! The auditor's division of a bill.

use std::collections::BTreeMap;

use gongji::domain::bill::{BillContent, Line, Visit};
use gongji::domain::member::Insurance;
use gongji::domain::money::{Rate, Rounding};
use gongji::domain::policy::{Deductible, Rules};
use gongji::domain::vocabulary::{DeductiblePer, ListClass, Purpose};
use gongji::domain::year_use::UseOf;

use crate::simulation::op::Bought;

/// Yearly deductible and fund used.
pub type Years = BTreeMap<UseOf, [i64; 2]>;

/// A share of an amount: whole fen by the named rounding, computed on millionths.
pub fn share(fen: i64, rate: Rate, rounding: Rounding) -> i64 {
    let millionths = i128::from(fen) * i128::from(rate.scaled());
    let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
    let up = match rounding {
        Rounding::HalfUp => rest * 2 >= 1_000_000,
        Rounding::HalfEven => rest * 2 > 1_000_000 || (rest * 2 == 1_000_000 && whole % 2 == 1),
        Rounding::Floor => false,
        Rounding::Ceiling => rest > 0,
    };
    i64::try_from(whole).expect("fits") + i64::from(up)
}

/// total, full self-pay, over limit, first self-pay, in scope, deductible, fund, hospital part, person's part
pub fn split(bought: &Bought, insurance: &Insurance, years: &Years, rules: &Rules) -> [i64; 9] {
    let total = bought.bill.total.as_fen();
    let lines = match &bought.bill.content {
        BillContent::Lines(lines) => lines,
        BillContent::Adjudicated(parts) => {
            let [full, over, first] =
                [parts.full_self_pay, parts.over_limit, parts.first_self_pay].map(|part| part.as_fen());
            let rest = [parts.deductible, parts.fund, parts.hospital_part].map(|part| part.as_fen());
            let person = total - rest[1] - rest[2];
            return [total, full, over, first, total - full - over - first, rest[0], rest[1], rest[2], person];
        }
    };
    let (mut full, mut over, mut first) = (0, 0, 0);
    let mut in_rows = vec![0_i64; rules.fund_shares.len()];
    for line in lines {
        let amount = line.amount.as_fen();
        if rules.full_self_pay_classes.contains(&line.class) {
            full += amount;
            continue;
        }
        let capped = rules.price_caps.iter().find(|row| {
            (row.categories.is_empty() || row.categories.contains(&line.category))
                && (row.item_codes.is_empty() || row.item_codes.contains(&line.item_code))
        });
        let above = capped.map_or(0, |row| (amount - row.amount.as_fen()).max(0)).max(line.over_limit.as_fen());
        let own_rate = match (line.first_self_pay_rate, line.class) {
            (Some(rate), _) => rate,
            (None, ListClass::B) => rules.first_self_pay_rate,
            (None, ListClass::A | ListClass::C) => Rate::ZERO,
        };
        let ahead = share(amount - above, own_rate, rules.fund_rounding);
        over += above;
        first += ahead;
        if let Some(row) = rules.fund_shares.iter().position(|row| matches(row, line, insurance)) {
            in_rows[row] += amount - above - ahead;
        }
    }
    let used = |purposes: &[Purpose]| so_far(years, &bought.visit, insurance, purposes);
    let mut threshold = applying(insurance, &bought.visit, rules).map_or(0, |row| match row.per {
        DeductiblePer::Visit => row.amount.as_fen(),
        DeductiblePer::Year => (row.amount.as_fen() - used(&row.purposes)[0]).max(0),
    });
    let deductible = threshold.min(in_rows.iter().sum());
    let mut fund = 0;
    for (row, sum) in rules.fund_shares.iter().zip(in_rows) {
        let below = threshold.min(sum);
        threshold -= below;
        fund += share(sum - below, row.rate, rules.fund_rounding);
    }
    let capped = &rules.fund_year_cap_purposes;
    if let Some(cap) = rules.fund_year_cap.filter(|_| capped.is_empty() || capped.contains(&bought.visit.purpose)) {
        fund = fund.min((cap.as_fen() - used(capped)[1]).max(0));
    }
    [total, full, over, first, total - full - over - first, deductible, fund, 0, total - fund]
}

fn matches(row: &gongji::domain::policy::FundShare, line: &Line, insurance: &Insurance) -> bool {
    (row.list_classes.is_empty() || row.list_classes.contains(&line.class))
        && (row.schemes.is_empty() || row.schemes.contains(&insurance.scheme))
        && (row.states.is_empty() || row.states.contains(&insurance.state))
        && !row.excluded_categories.contains(&line.category)
}

fn applying<'r>(insurance: &Insurance, visit: &Visit, rules: &'r Rules) -> Option<&'r Deductible> {
    rules.deductibles.iter().find(|row| {
        (row.schemes.is_empty() || row.schemes.contains(&insurance.scheme))
            && (row.institution_kinds.is_empty() || row.institution_kinds.contains(&visit.institution_kind))
            && (row.purposes.is_empty() || row.purposes.contains(&visit.purpose))
    })
}

/// What of a deductible counts towards the year's.
pub fn yearly(insurance: &Insurance, visit: &Visit, deductible: i64, rules: &Rules) -> i64 {
    let by_visit = applying(insurance, visit, rules).is_some_and(|row| row.per == DeductiblePer::Visit);
    if by_visit { 0 } else { deductible }
}

/// What was used of the fund before: in the year of the visit, where the patient is insured, for these kinds of care.
pub fn so_far(years: &Years, visit: &Visit, insurance: &Insurance, purposes: &[Purpose]) -> [i64; 2] {
    let mut sum = [0; 2];
    for (of, used) in years {
        let here = (of.year, of.region) == (visit.date.year(), insurance.region);
        if here && (purposes.is_empty() || purposes.contains(&of.purpose)) {
            sum = [sum[0] + used[0], sum[1] + used[1]];
        }
    }
    sum
}
