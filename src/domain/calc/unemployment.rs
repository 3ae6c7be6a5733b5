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
    if let Some((_, birth)) = input.worker {
        law.born("birth_date", birth)?;
        law.lived("paid_months", input.paid, birth)?;
    }
    let mut reasons = conditions(law, input.paid, input.cause, input.registered, trace)?;
    let legal = match input.worker {
        None => None,
        Some((class, birth)) => Some(legal_month(law, class, birth)?),
    };
    if let Some(legal) = legal {
        let now = Month::of(law.on);
        let works = now < legal;
        let compared = || Detail::of(Vec::new(), format!("{now} < {legal}"));
        trace.step(Rule::LegalAge, "", &[Key::RetirementAges], || text(works.to_string()), compared);
        if !works {
            reasons.push(Reason::AgeReached);
        }
    }
    if !reasons.is_empty() {
        return Ok(Months { reasons, ..Months::default() });
    }
    let scale = law.unemployment_months()?;
    let mut found = Months { is_upper_bound: scale.is_upper_bound, ..Months::default() };
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
    let capped = || {
        let inputs = vec![("unused_months", input.unused.to_string())];
        Detail::of(inputs, format!("min({} + {}, {})", found.scale, input.unused, scale.most))
    };
    trace.step(Rule::UnemploymentCap, "", &[Key::UnemploymentMonths], || text(found.months.to_string()), capped);
    let carried = || Detail::of(Vec::new(), format!("{} − {}", found.months, found.scale));
    trace.step(Rule::UnemploymentCarry, "", &[Key::UnemploymentMonths], || text(found.carried.to_string()), carried);
    if let Some(legal) = legal {
        until_retirement(law, legal, &mut found, trace)?;
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

/// Where the benefit would end less than so many months before the legal age, it goes on until then; it never goes on longer.
fn until_retirement(law: &Law<'_>, legal: Month, found: &mut Months, trace: &mut Trace) -> Result<(), Refusal> {
    let within = law.unemployment_near_retirement()?.within_months;
    let begin = Month::of(law.on);
    let end = begin.plus(found.months);
    let (uncut, months) = (found.months, legal.since(begin));
    let inputs = || vec![("legal_month", legal.to_string()), ("end_month", end.to_string())];
    if end > legal {
        found.months = months;
        let cut = || Detail::of(inputs(), format!("min({uncut}, {legal} − {begin})"));
        trace.step(Rule::UnemploymentCut, "", &[Key::RetirementAges], || text(months.to_string()), cut);
        return Ok(());
    }
    let left = legal.since(end);
    if left > 0 && left < within {
        found.months = months;
        found.extended_to = Some(legal);
    }
    let told = if found.extended_to.is_some() { legal.to_string() } else { "none".to_owned() };
    let operation = || {
        let test = format!("0 < {left} < {within}");
        if found.extended_to.is_some() { format!("{test}; {legal} − {begin} = {months}") } else { test }
    };
    trace.step(
        Rule::UnemploymentExtension,
        "",
        &[Key::UnemploymentNearRetirement, Key::RetirementAges],
        || text(told),
        || Detail::of(inputs(), operation()),
    );
    Ok(())
}
