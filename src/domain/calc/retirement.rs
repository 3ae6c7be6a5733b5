//! 退休年龄: original, legal, earliest and latest month, with the minimum years of each year. Only months count; the day is a
//! convention of the policy.

use jiff::civil::Date;

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::{Month, age_text};
use super::tables::{AgeRow, Flexible};
use super::trace::{Detail, Rule, Trace, text};
use super::words::{EarlyCategory, RetirementClass, RetirementDay};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    pub class: RetirementClass,
    pub birth: Month,
    /// None: only the month is known.
    pub birth_day: Option<i8>,
    pub category: Option<EarlyCategory>,
    /// Months paid by the day asked about.
    pub paid: Option<u32>,
    pub still_paying: bool,
}

/// One point at which somebody may retire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub age_months: u32,
    pub month: Month,
    pub date: Option<Date>,
    pub minimum: u32,
    /// None: years were not given.
    pub missing: Option<u32>,
    pub notice_by: Option<Date>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retirement {
    pub original: Point,
    pub legal: Point,
    pub delay: u32,
    pub earliest: Point,
    pub latest: Point,
    pub by_category: Option<Point>,
}

pub fn calculate(law: &Law<'_>, input: &Worker, trace: &mut Trace) -> Result<Retirement, Refusal> {
    law.born("birth_date", input.birth)?;
    law.lived("paid_months", input.paid.unwrap_or(0), input.birth)?;
    let row = row(law, input.class)?;
    let delay = delay(row, input.birth, trace);
    let legal_age = row.original_months + delay;
    let legal_month = input.birth.plus(legal_age);
    let flexible = flexible(law, legal_month)?;
    let at = |age: u32, notice: u32| point(law, input, age, notice);
    let original = at(row.original_months, 0)?;
    let legal = at(legal_age, 0)?;
    // Never below the original age; among the months allowed the first in which the years suffice.
    let first = first_age(row, legal_age, flexible.early_months);
    let mut earliest = at(first, flexible.early_notice_months)?;
    for age in first..legal_age {
        let tried = at(age, flexible.early_notice_months)?;
        if tried.missing.is_none_or(|missing| missing == 0) {
            earliest = tried;
            break;
        }
        if age + 1 == legal_age {
            earliest = at(legal_age, 0)?;
        }
    }
    let latest_notice = if flexible.late_months > 0 { flexible.late_notice_months } else { 0 };
    let mut latest = at(legal_age + flexible.late_months, 0)?;
    // The agreement is made before the legal month, not before the late one.
    latest.notice_by = (latest_notice > 0).then(|| notice_day(&legal, latest_notice));
    if earliest.age_months == legal_age {
        earliest.notice_by = None;
    }
    let by_category = match input.category {
        None => None,
        Some(category) => {
            let found = at(category_age(law, category, input.class)?, 0)?;
            let outcome = || text(format!("{} {}", age_text(found.age_months), found.month));
            let detail = || Detail::of(minimum_of(&found), sum_of(&found));
            trace.step(Rule::EarlyCategory, category.name(), &[Key::EarlyAges, Key::MinimumYears], outcome, detail);
            Some(found)
        }
    };
    let keys: &'static [Key] = &[Key::RetirementAges, Key::MinimumYears];
    explain(Rule::OriginalAge, &original, keys, || sum_of(&original), trace);
    explain(Rule::LegalAge, &legal, keys, || sum_of(&legal), trace);
    let keys: &'static [Key] = &[Key::FlexibleRetirement, Key::RetirementAges, Key::MinimumYears];
    let early = || {
        let (from, to) = (age_text(first), age_text(legal_age));
        let least = format!("max({to} − {} months, {}) = {from}", flexible.early_months, age_text(row.original_months));
        if input.paid.is_some() {
            format!("{least}; first month from {from} to {to} with the minimum months; {}", sum_of(&earliest))
        } else {
            format!("{least}; {}", sum_of(&earliest))
        }
    };
    explain(Rule::EarliestAge, &earliest, keys, early, trace);
    let late = || format!("{} + {} months; {}", age_text(legal_age), flexible.late_months, sum_of(&latest));
    explain(Rule::LatestAge, &latest, keys, late, trace);
    notice("earliest", &earliest, &earliest, flexible.early_notice_months, trace);
    notice("latest", &latest, &legal, flexible.late_notice_months, trace);
    if legal.date.is_some() {
        let date = legal.date.map(|date| date.to_string()).unwrap_or_default();
        trace.step(Rule::RetirementDay, "", &[Key::RetirementDay], || text(date), Detail::default);
    }
    Ok(Retirement { original, legal, delay, earliest, latest, by_category })
}

/// 弹性退休 as it held in the legal month: nobody who reached the legal age before it began could choose.
fn flexible(law: &Law<'_>, legal_month: Month) -> Result<Flexible, Refusal> {
    let known = law.flexible_retirement()?.clone();
    let begins = law.entry(Key::FlexibleRetirement).and_then(|entry| entry.origin.as_ref()).map(|origin| origin.start);
    let held = begins.is_none_or(|start| legal_month >= Month::of(start));
    Ok(if held {
        known
    } else {
        Flexible { early_months: 0, late_months: 0, early_notice_months: 0, late_notice_months: 0 }
    })
}

fn row<'a>(law: &'a Law<'_>, class: RetirementClass) -> Result<&'a AgeRow, Refusal> {
    law.retirement_ages()?.iter().find(|row| row.class == class).ok_or(Refusal::NotKnown(Key::RetirementAges))
}

/// The legal month of somebody, without steps.
pub fn legal_month(law: &Law<'_>, class: RetirementClass, birth: Month) -> Result<Month, Refusal> {
    let row = row(law, class)?;
    Ok(birth.plus(row.original_months + delay_months(row, birth)))
}

/// The earliest month of flexible retirement, never below the original age, without steps and whatever the years.
pub fn earliest_month(law: &Law<'_>, class: RetirementClass, birth: Month) -> Result<Month, Refusal> {
    let row = row(law, class)?;
    let legal_age = row.original_months + delay_months(row, birth);
    let early = flexible(law, birth.plus(legal_age))?.early_months;
    Ok(birth.plus(first_age(row, legal_age, early)))
}

fn first_age(row: &AgeRow, legal_age: u32, early_months: u32) -> u32 {
    legal_age.saturating_sub(early_months).max(row.original_months)
}

/// One month for every few months of birth, up to the most; none before the first delayed month of birth.
fn delay_months(row: &AgeRow, birth: Month) -> u32 {
    match &row.delay {
        Some(delay) if birth >= delay.first_birth => {
            (birth.since(delay.first_birth) / delay.birth_months + 1).min(delay.most)
        }
        Some(_) | None => 0,
    }
}

fn delay(row: &AgeRow, birth: Month, trace: &mut Trace) -> u32 {
    let found = delay_months(row, birth);
    trace.step(
        Rule::DelayMonths,
        row.class.name(),
        &[Key::RetirementAges],
        || text(found.to_string()),
        || match &row.delay {
            Some(delay) if birth >= delay.first_birth => {
                let since = birth.since(delay.first_birth);
                Detail::of(
                    vec![("birth", birth.to_string()), ("first_birth", delay.first_birth.to_string())],
                    format!("min(⌊{since} ÷ {}⌋ + 1, {})", delay.birth_months, delay.most),
                )
            }
            Some(delay) => Detail::of(vec![("birth", birth.to_string())], format!("{birth} < {}", delay.first_birth)),
            None => Detail::of(vec![("birth", birth.to_string())], "0"),
        },
    );
    found
}

/// The minimum of a year of retirement.
pub fn minimum_months(law: &Law<'_>, year: i32) -> Result<u32, Refusal> {
    let year = u32::try_from(year).unwrap_or(0);
    let row = law.minimum_years()?.iter().rev().find(|row| row.from_year <= year);
    row.map(|row| row.months).ok_or(Refusal::NotKnown(Key::MinimumYears))
}

fn point(law: &Law<'_>, input: &Worker, age_months: u32, notice: u32) -> Result<Point, Refusal> {
    let month = input.birth.plus(age_months);
    let date = match (law.retirement_day()?, input.birth_day) {
        (RetirementDay::ClampToMonthEnd, Some(day)) => Some(month.day(day)),
        (RetirementDay::ClampToMonthEnd, None) | (RetirementDay::MonthOnly, _) => None,
    };
    let minimum = minimum_months(law, month.year())?;
    let more = if input.still_paying { month.since(Month::of(law.on)) } else { 0 };
    let missing = input.paid.map(|paid| minimum.saturating_sub(paid + more));
    let mut point = Point { age_months, month, date, minimum, missing, notice_by: None };
    point.notice_by = (notice > 0).then(|| notice_day(&point, notice));
    Ok(point)
}

/// So many months before the day, or before the first day of the month.
fn notice_day(point: &Point, months: u32) -> Date {
    let day = point.date.map_or(1, Date::day);
    point.month.minus(months).day(day)
}

fn category_age(law: &Law<'_>, category: EarlyCategory, class: RetirementClass) -> Result<u32, Refusal> {
    let row = law.early_ages()?.iter().find(|row| row.category == category);
    let row = row.ok_or(Refusal::NotKnown(Key::EarlyAges))?;
    Ok(if class == RetirementClass::Male { row.male_months } else { row.female_months })
}

/// By when the wish must be told.
fn notice(which: &'static str, told: &Point, before: &Point, months: u32, trace: &mut Trace) {
    let Some(day) = told.notice_by else { return };
    let from = before.date.map_or_else(|| before.month.first_day().to_string(), |date| date.to_string());
    let operation = || Detail::of(Vec::new(), format!("{from} − {months} months"));
    trace.step(Rule::Notice, which, &[Key::FlexibleRetirement], || text(day.to_string()), operation);
}

/// From birth to the month of a point.
fn sum_of(point: &Point) -> String {
    format!("{} + {}", point.month.minus(point.age_months), age_text(point.age_months))
}

fn minimum_of(point: &Point) -> Vec<(&'static str, String)> {
    let mut inputs = vec![("minimum_months", point.minimum.to_string())];
    inputs.extend(point.missing.map(|missing| ("missing_months", missing.to_string())));
    inputs
}

fn explain(rule: Rule, point: &Point, keys: &'static [Key], operation: impl FnOnce() -> String, trace: &mut Trace) {
    let outcome = || text(format!("{} {}", age_text(point.age_months), point.month));
    trace.step(rule, "", keys, outcome, || Detail::of(minimum_of(point), operation()));
}
