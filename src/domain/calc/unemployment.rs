//! 失业保险金: for how many months, and when it goes on until the legal age.

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::Month;
use super::retirement::legal_month;
use super::trace::{Detail, Rule, Trace, fen, text};
use super::words::{LeavingCause, RetirementClass};
use crate::domain::money::Money;
use crate::domain::reason::Reason;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unemployed {
    pub paid: u32,
    pub unused: u32,
    pub cause: LeavingCause,
    pub registered: bool,
    pub monthly: Option<Money>,
    /// Whether the legal age is near can be told.
    pub worker: Option<(RetirementClass, Month)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Months {
    pub reasons: Vec<Reason>,
    pub scale: u32,
    pub carried: u32,
    pub months: u32,
    pub is_upper_bound: bool,
    pub extended_to: Option<Month>,
    pub total: Money,
}

/// What is missing of the conditions.
pub fn conditions(
    law: &Law<'_>,
    paid: u32,
    cause: LeavingCause,
    registered: bool,
    trace: &mut Trace,
) -> Result<Vec<Reason>, Refusal> {
    let rule = law.unemployment_conditions()?;
    let mut reasons = Vec::new();
    let checks = [
        ("paid_months", paid >= rule.paid_months, Reason::YearsNotEnough, format!("{paid} ≥ {}", rule.paid_months)),
        (
            "cause",
            !rule.involuntary || cause == LeavingCause::Dismissed,
            Reason::LeftVoluntarily,
            cause.name().to_owned(),
        ),
        ("registered", !rule.registered || registered, Reason::NotRegistered, registered.to_string()),
    ];
    for (name, met, reason, operation) in checks {
        trace.step(
            Rule::Condition,
            name,
            &[Key::UnemploymentConditions],
            || text(met.to_string()),
            || Detail::of(Vec::new(), operation.as_str()),
        );
        if !met {
            reasons.push(reason);
        }
    }
    Ok(reasons)
}

pub fn calculate(law: &Law<'_>, input: &Unemployed, trace: &mut Trace) -> Result<Months, Refusal> {
    let reasons = conditions(law, input.paid, input.cause, input.registered, trace)?;
    let scale = law.unemployment_months()?;
    let mut found = Months { is_upper_bound: scale.is_upper_bound, ..Months::default() };
    if !reasons.is_empty() {
        found.reasons = reasons;
        return Ok(found);
    }
    let row = scale.rows.iter().rev().find(|row| row.paid_months <= input.paid);
    let (from, months) = row.map_or((0, 0), |row| (row.paid_months, row.months));
    let further = (input.paid - from) / 12;
    found.scale = (months + scale.per_further_year * further).min(scale.most);
    trace.step(
        Rule::UnemploymentScale,
        "",
        &[Key::UnemploymentMonths],
        || text(found.scale.to_string()),
        || {
            let operation = format!("min({months} + {} × {further}, {})", scale.per_further_year, scale.most);
            Detail::of(vec![("paid_months", input.paid.to_string()), ("row_from_months", from.to_string())], operation)
        },
    );
    found.months = (found.scale + input.unused).min(scale.most);
    found.carried = found.months - found.scale;
    let carried =
        || Detail::of(vec![("unused_months", input.unused.to_string())], format!("{} − {}", found.months, found.scale));
    trace.step(Rule::UnemploymentCarry, "", &[Key::UnemploymentMonths], || text(found.carried.to_string()), carried);
    let capped = || Detail::of(Vec::new(), format!("min({} + {}, {})", found.scale, input.unused, scale.most));
    trace.step(Rule::UnemploymentCap, "", &[Key::UnemploymentMonths], || text(found.months.to_string()), capped);
    if let Some((class, birth)) = input.worker {
        extend(law, class, birth, &mut found, trace)?;
    }
    if let Some(monthly) = input.monthly {
        let total = i128::from(monthly.as_fen()) * i128::from(found.months);
        let total = i64::try_from(total).ok().filter(|total| *total <= Money::INPUT_MAX);
        let total =
            total.ok_or_else(|| Refusal::field("monthly_benefit_fen", "gives a sum beyond the largest amount"))?;
        found.total = Money::fen(total);
        let product = || Detail::of(Vec::new(), format!("{monthly} × {}", found.months));
        trace.step(Rule::UnemploymentTotal, "", &[], || fen(found.total), product);
    }
    Ok(found)
}

/// Where the benefit would end less than so many months before the legal age, it goes on until then.
fn extend(
    law: &Law<'_>,
    class: RetirementClass,
    birth: Month,
    found: &mut Months,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let within = law.unemployment_near_retirement()?.within_months;
    let legal = legal_month(law, class, birth)?;
    let begin = Month::of(law.on);
    let end = begin.plus(found.months);
    let left = legal.since(end);
    if left > 0 && left < within {
        found.months = legal.since(begin);
        found.extended_to = Some(legal);
    }
    trace.step(
        Rule::UnemploymentExtension,
        "",
        &[Key::UnemploymentNearRetirement, Key::RetirementAges],
        || text(found.extended_to.map_or_else(|| "none".to_owned(), |month| month.to_string())),
        || {
            Detail::of(
                vec![("legal_month", legal.to_string()), ("end_month", end.to_string())],
                format!("0 < {left} < {within}"),
            )
        },
    );
    Ok(())
}
