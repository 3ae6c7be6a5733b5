//! 基本养老金: basic, account and transitional pension, with the average index from a contribution history.

use super::keys::Key;
use super::law::{Law, Refusal, both};
use super::number::{Factor, Month, Ratio, age_text};
use super::retirement::minimum_months;
use super::tables::PensionRounding;
use super::trace::{Detail, Level, Rule, Trace, fen, text};
use super::words::{PayoutAge, TransitionalBase};
use crate::domain::money::{Money, Rounding};

/// What a span of a history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Paid,
    Deemed,
    Gap,
}

/// How a span's index is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanIndex {
    Given(Factor),
    OfBase { base: Money, average_wage: Money },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Month,
    pub last: Month,
    pub kind: SpanKind,
    /// None for a gap.
    pub index: Option<SpanIndex>,
}

/// What somebody has paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Spans(Vec<Span>),
    Summary { index: Factor, paid: u32, deemed: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pensioner {
    pub age_months: u32,
    /// In place of the table's.
    pub base: Option<Money>,
    pub record: Record,
    pub months_before_accounts: u32,
    pub balance: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pension {
    pub index: Ratio,
    pub years: Ratio,
    pub paid: u32,
    pub deemed: u32,
    pub payout: Ratio,
    pub basic: Money,
    pub account: Money,
    pub transitional: Money,
    pub total: Money,
    pub minimum: u32,
}

pub fn calculate(law: &Law<'_>, input: &Pensioner, trace: &mut Trace) -> Result<Pension, Refusal> {
    let rounding = law.pension_rounding()?.clone();
    let (exact_index, paid, deemed, terms) = match &input.record {
        Record::Summary { index, paid, deemed } => (Ratio::factor(*index), *paid, *deemed, Vec::new()),
        Record::Spans(spans) => average_index(spans, &rounding, trace)?,
    };
    let months = paid + deemed;
    let counted = if matches!(input.record, Record::Summary { .. }) { "paid_months" } else { "history" };
    let some = match months {
        0 => Err(Refusal::field(counted, "no month counts")),
        _ if months > input.age_months => {
            let beside = if counted == "paid_months" { "with deemed_months " } else { "" };
            let what = format!("{beside}is more than the {} months lived", input.age_months);
            Err(Refusal::field(counted, what))
        }
        _ => Ok(()),
    };
    let before = if input.months_before_accounts > months {
        Err(Refusal::field("months_before_accounts", format!("is more than the {months} months that count")))
    } else {
        Ok(())
    };
    both(some, before)?;
    let index = rounded(exact_index, rounding.index_decimals, rounding.rounding);
    trace.step(
        Rule::AverageIndex,
        "",
        &[Key::PensionRounding],
        || text(index.text()),
        || {
            let (name, operation) = if terms.is_empty() {
                ("average_index", exact_index.text())
            } else {
                ("months", format!("({}) ÷ {months}", terms.join(" + ")))
            };
            let given = if terms.is_empty() { exact_index.text() } else { months.to_string() };
            let detail = Detail::of(vec![(name, given)], operation);
            if rounding.index_decimals.is_some() {
                detail.rounded(rounding.rounding, exact_index, index.text())
            } else {
                detail
            }
        },
    );
    let years = years_of(months, rounding.years_decimals, rounding.rounding, Rule::PensionYears, trace);
    let (base, base_keys): (Money, &'static [Key]) = match input.base {
        Some(base) => (base, &[Key::PensionFormula, Key::PensionRounding]),
        None => (*law.pension_base()?, &[Key::PensionFormula, Key::PensionRounding, Key::PensionBase]),
    };
    let per_year = Ratio::factor(Factor::from_millionths(law.pension_formula()?.per_year.scaled()));
    let indexed = Ratio::of(base) * (Ratio::ONE + index) / Ratio::whole(2);
    let exact = indexed * years * per_year;
    let basic = exact.fen(rounding.rounding);
    trace.step(
        Rule::BasicPension,
        "",
        base_keys,
        || fen(basic),
        || {
            let inputs = vec![("base_fen", base.to_string()), ("index", index.text()), ("years", years.text())];
            let operation = format!("{base} × (1 + {}) ÷ 2 × {} × {}", index.text(), years.text(), per_year.text());
            Detail::of(inputs, operation).rounded(rounding.rounding, exact, basic)
        },
    );
    let payout = payout_months(law, input.age_months, rounding.rounding, trace)?;
    let exact = Ratio::of(input.balance) / payout;
    let account = exact.fen(rounding.rounding);
    trace.step(
        Rule::AccountPension,
        "",
        &[Key::PayoutMonths, Key::PayoutRule],
        || fen(account),
        || {
            let inputs = vec![("account_balance_fen", input.balance.to_string()), ("months", payout.text())];
            let operation = format!("{} ÷ {}", input.balance, payout.text());
            Detail::of(inputs, operation).rounded(rounding.rounding, exact, account)
        },
    );
    let transitional = transitional(law, input, base, index, indexed, &rounding, trace)?;
    let total = basic + account + transitional;
    let sum = || Detail::of(Vec::new(), format!("{basic} + {account} + {transitional}"));
    trace.step(Rule::PensionTotal, "", &[], || fen(total), sum);
    let year = Month::of(law.on).year();
    let minimum = minimum_months(law, year)?;
    let compared = || Detail::of(vec![("months", months.to_string())], format!("{months} ≥ {minimum} ({year})"));
    trace.step(Rule::MinimumYears, "", &[Key::MinimumYears], || text((months >= minimum).to_string()), compared);
    Ok(Pension { index, years, paid, deemed, payout, basic, account, transitional, total, minimum })
}

fn rounded(exact: Ratio, decimals: Option<u32>, mode: Rounding) -> Ratio {
    decimals.map_or(exact, |decimals| exact.round(decimals, mode))
}

fn years_of(months: u32, decimals: Option<u32>, mode: Rounding, rule: Rule, trace: &mut Trace) -> Ratio {
    let exact = Ratio::whole(months) / Ratio::whole(12);
    let years = rounded(exact, decimals, mode);
    let subject = if rule == Rule::PensionYears { "" } else { "before_accounts" };
    trace.step(
        Rule::PensionYears,
        subject,
        &[Key::PensionRounding],
        || text(years.text()),
        || {
            let detail = Detail::of(vec![("months", months.to_string())], format!("{months} ÷ 12"));
            if decimals.is_some() { detail.rounded(mode, exact, years.text()) } else { detail }
        },
    );
    years
}

/// The months-weighted mean of the spans' indices, the months paid and deemed, and the terms of the sum where they are shown.
/// Spans stand in order without holes; a gap counts for nothing.
fn average_index(
    spans: &[Span],
    rounding: &PensionRounding,
    trace: &mut Trace,
) -> Result<(Ratio, u32, u32, Vec<String>), Refusal> {
    let (mut paid, mut deemed) = (0_u32, 0_u32);
    let mut terms = Vec::new();
    let mut sum = Ratio::new(0, 1);
    for (place, span) in spans.iter().enumerate() {
        let Some(index) = span.index else { continue };
        let months = span.last.since(span.from) + 1;
        if span.kind == SpanKind::Deemed {
            deemed += months;
        } else {
            paid += months;
        }
        let exact = match index {
            SpanIndex::Given(index) => Ratio::factor(index),
            SpanIndex::OfBase { base, average_wage } => Ratio::of(base) / Ratio::of(average_wage),
        };
        let index_of_span = exact.round(rounding.period_index_decimals, rounding.rounding);
        if index_of_span.numerator() > 1_000 * index_of_span.denominator() {
            return Err(Refusal::field("history", "has an index above 1000"));
        }
        sum = sum + index_of_span * Ratio::whole(months);
        if trace.level == Level::Full {
            terms.push(format!("{} × {months}", index_of_span.text()));
        }
        trace.step(
            Rule::PeriodIndex,
            place.to_string(),
            &[Key::PensionRounding],
            || text(index_of_span.text()),
            || {
                let operation = match index {
                    SpanIndex::Given(index) => index.to_string(),
                    SpanIndex::OfBase { base, average_wage } => format!("{base} ÷ {average_wage}"),
                };
                let inputs = vec![
                    ("from_month", span.from.to_string()),
                    ("last_month", span.last.to_string()),
                    ("months", months.to_string()),
                ];
                Detail::of(inputs, operation).rounded(rounding.rounding, exact, index_of_span.text())
            },
        );
    }
    let months = paid + deemed;
    let mean = if months == 0 { sum } else { sum / Ratio::whole(months) };
    Ok((mean, paid, deemed, terms))
}

/// 计发月数 at an age: by the table at whole ages, by the policy's choice between them.
pub fn payout_months(law: &Law<'_>, age_months: u32, mode: Rounding, trace: &mut Trace) -> Result<Ratio, Refusal> {
    let (rows, rule) = (law.payout_months()?, law.payout_rule()?);
    let (years, months) = (age_months / 12, age_months % 12);
    let at = |age: u32| rows.iter().find(|row| row.age == age).map(|row| Ratio::whole(row.months));
    let outside = || {
        let (first, last) = (rows.first().map_or(0, |row| row.age), rows.last().map_or(0, |row| row.age));
        Refusal::field("retirement_age_months", format!("the table has ages {first} to {last}"))
    };
    let (found, exact, operation) = match (rule.mode, months) {
        (_, 0) | (PayoutAge::Floor, _) => (at(years).ok_or_else(outside)?, None, format!("{years}")),
        (PayoutAge::Ceiling, _) => (at(years + 1).ok_or_else(outside)?, None, format!("{}", years + 1)),
        (PayoutAge::Exact, _) => {
            return Err(Refusal::field("retirement_age_months", "the policy has whole ages only (payout_rule EXACT)"));
        }
        (PayoutAge::Interpolate, _) => {
            let (lower, upper) = (at(years).ok_or_else(outside)?, at(years + 1).ok_or_else(outside)?);
            let weight = |months: u32| Ratio::new(i128::from(months), 12);
            let exact = lower * weight(12 - months) + upper * weight(months);
            let operation = format!("{} × {}/12 + {} × {months}/12", lower.text(), 12 - months, upper.text());
            (exact.round(rule.decimals, mode), Some(exact), operation)
        }
    };
    if found.numerator() == 0 {
        return Err(Refusal::field("parameters", "payout_rule: rounds the months to nothing"));
    }
    trace.step(
        Rule::PayoutMonths,
        "",
        &[Key::PayoutMonths, Key::PayoutRule],
        || text(found.text()),
        || {
            let inputs = vec![("age", age_text(age_months)), ("mode", rule.mode.name().to_owned())];
            let detail = Detail::of(inputs, operation);
            match exact {
                Some(exact) => detail.rounded(mode, exact, found.text()),
                None => detail,
            }
        },
    );
    Ok(found)
}

fn transitional(
    law: &Law<'_>,
    input: &Pensioner,
    base: Money,
    index: Ratio,
    indexed: Ratio,
    rounding: &PensionRounding,
    trace: &mut Trace,
) -> Result<Money, Refusal> {
    if input.months_before_accounts == 0 {
        return Ok(Money::ZERO);
    }
    let rule = law.transitional()?;
    let years = years_of(
        input.months_before_accounts,
        rounding.transitional_years_decimals,
        rounding.rounding,
        Rule::TransitionalPension,
        trace,
    );
    let (of, formula) = match rule.base {
        TransitionalBase::IndexedAverage => (indexed, format!("{base} × (1 + {}) ÷ 2", index.text())),
        TransitionalBase::IndexedWage => (Ratio::of(base) * index, format!("{base} × {}", index.text())),
    };
    let coefficient = Ratio::factor(Factor::from_millionths(rule.coefficient.scaled()));
    let exact = of * years * coefficient;
    let amount = exact.fen(rounding.rounding);
    trace.step(
        Rule::TransitionalPension,
        "",
        &[Key::Transitional, Key::PensionRounding],
        || fen(amount),
        || {
            let inputs = vec![("years", years.text()), ("coefficient", rule.coefficient.to_string())];
            let operation = format!("{formula} × {} × {}", years.text(), rule.coefficient);
            Detail::of(inputs, operation).rounded(rounding.rounding, exact, amount)
        },
    );
    Ok(amount)
}
