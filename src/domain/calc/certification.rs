//! 待遇领取资格认证: when the next one is due, how it stands on a day, and which channels are open to somebody.

use jiff::civil::Date;

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::Month;
use super::tables::{CertificationCycle, CertificationWay};
use super::trace::{Detail, Rule, Trace, text};
use super::words::{CertificationChannel, Precondition};
use crate::domain::reason::Reason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    Certified(Date),
    FirstPaid(Date),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub since: Since,
    pub dependant: bool,
    pub channel: Option<CertificationChannel>,
    pub met: Vec<Precondition>,
    pub by_proxy: bool,
}

/// How a certification stands on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The next one does not count yet.
    Valid,
    Open,
    Overdue,
}

/// The days of the next certification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub rolling: Date,
    pub calendar: Option<Date>,
    pub not_before: Date,
    pub due: Date,
}

impl Days {
    pub fn state(&self, on: Date) -> State {
        if on > self.due {
            State::Overdue
        } else if on >= self.not_before {
            State::Open
        } else {
            State::Valid
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub days: Days,
    pub state: State,
    pub stopped_from: Option<Date>,
    pub reasons: Vec<Reason>,
    /// Every channel with what the person lacks.
    pub ways: Vec<(CertificationWay, Vec<Precondition>)>,
}

/// Both conditions at once: not more than so many months after the last one, and, where the region says so, within the next
/// year of certification.
pub fn days(cycle: &CertificationCycle, since: Since, dependant: bool) -> Days {
    let (Since::FirstPaid(from) | Since::Certified(from)) = since;
    let after = |day: Date, months| Month::of(day).plus(months).day(day.day());
    let opens_or_due = after(from, months(cycle, since, dependant));
    if begins_later(cycle, since) {
        // The first cycle only begins on that day, and is as long as any other.
        let rolling = after(opens_or_due, lasts(cycle, dependant));
        let calendar = cycle.every_calendar_year.then(|| year_of(cycle, opens_or_due).1);
        let due = calendar.map_or(rolling, |last| rolling.min(last));
        return Days { rolling, calendar, not_before: opens_or_due, due };
    }
    let rolling = opens_or_due;
    if !cycle.every_calendar_year {
        return Days { rolling, calendar: None, not_before: from, due: rolling };
    }
    let next = year_of(cycle, from).1.tomorrow().unwrap_or(from);
    let (first, last) = year_of(cycle, next);
    // A cycle shorter than a year may end before the next year begins: then the interval alone decides.
    let not_before = if rolling < first { from } else { first };
    Days { rolling, calendar: Some(last), not_before, due: rolling.min(last) }
}

/// The first and the last day of the year of certification in which a day lies.
fn year_of(cycle: &CertificationCycle, day: Date) -> (Date, Date) {
    let start = cycle.start_month.and_then(|month| i32::try_from(month).ok()).unwrap_or(1);
    let year = i32::from(day.year()) - i32::from(i32::from(day.month()) < start);
    let first = Month::new(year, start);
    (first.first_day(), first.plus(11).day(31))
}

/// Whether the months after the first payment lead to the day on which the cycle begins.
fn begins_later(cycle: &CertificationCycle, since: Since) -> bool {
    matches!(since, Since::FirstPaid(_)) && cycle.first_opens == Some(true)
}

/// Whether a pass on a day begins the next cycle. One before the first cycle has begun does not: nothing was due yet, and what
/// is due stays so.
pub fn counts(cycle: &CertificationCycle, since: Since, dependant: bool, on: Date) -> bool {
    !begins_later(cycle, since) || on >= days(cycle, since, dependant).not_before
}

/// How long a cycle lasts, in months.
fn lasts(cycle: &CertificationCycle, dependant: bool) -> u32 {
    if dependant { cycle.dependant_months } else { cycle.months }
}

/// The months from the day given; a dependant's may be fewer than those after a first payment.
fn months(cycle: &CertificationCycle, since: Since, dependant: bool) -> u32 {
    match since {
        Since::FirstPaid(_) if dependant => cycle.first_months.min(cycle.dependant_months),
        Since::FirstPaid(_) => cycle.first_months,
        Since::Certified(_) => lasts(cycle, dependant),
    }
}

pub fn calculate(law: &Law<'_>, input: &Asked, trace: &mut Trace) -> Result<Due, Refusal> {
    let cycle = law.certification_cycle()?;
    let (name, from) = match input.since {
        Since::Certified(day) => ("last_certified", day),
        Since::FirstPaid(day) => ("first_paid", day),
    };
    let days = days(cycle, input.since, input.dependant);
    let keys: &'static [Key] = &[Key::CertificationCycle];
    let operation = || {
        let mut sum = format!("{from} + {} months", months(cycle, input.since, input.dependant));
        if begins_later(cycle, input.since) {
            sum = format!("{sum} + {} months", lasts(cycle, input.dependant));
        }
        Detail::of(vec![(name, from.to_string())], sum)
    };
    trace.step(Rule::RollingDue, "", keys, || text(days.rolling.to_string()), operation);
    if let Some(calendar) = days.calendar {
        let detail = || Detail::of(Vec::new(), format!("{} … {calendar}", days.not_before));
        trace.step(Rule::CalendarYearDue, "", keys, || text(calendar.to_string()), detail);
    }
    let least = || Detail::of(Vec::new(), format!("min({}, {})", days.rolling, days.calendar.unwrap_or(days.rolling)));
    trace.step(Rule::CertificationDue, "", keys, || text(days.due.to_string()), least);
    let state = days.state(law.on);
    let stopped_from = (state == State::Overdue).then(|| days.due.tomorrow().unwrap_or(days.due));
    let compared = || Detail::of(Vec::new(), format!("{} ≤ {} ≤ {}", days.not_before, law.on, days.due));
    trace.step(Rule::CertificationState, "", keys, || text(format!("{state:?}").to_uppercase()), compared);
    let ways = law.certification_ways()?;
    let offered = || text(ways.iter().map(|way| way.channel.name()).collect::<Vec<_>>().join(","));
    trace.step(Rule::CertificationWays, "", &[Key::CertificationWays], offered, Detail::default);
    let reasons = match input.channel {
        None => Vec::new(),
        Some(channel) => {
            let reasons = open(ways, channel, &input.met, input.by_proxy);
            let names: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
            trace.step(
                Rule::CertificationChannel,
                channel.name(),
                &[Key::CertificationWays],
                || text(if names.is_empty() { "YES".to_owned() } else { names.join(",") }),
                Detail::default,
            );
            reasons
        }
    };
    let ways = ways.iter().map(|way| (way.clone(), missing(way, &input.met))).collect();
    Ok(Due { days, state, stopped_from, reasons, ways })
}

fn missing(way: &CertificationWay, met: &[Precondition]) -> Vec<Precondition> {
    way.preconditions.iter().copied().filter(|needed| !met.contains(needed)).collect()
}

/// Why a channel is not open to somebody; empty: it is.
pub fn open(
    ways: &[CertificationWay],
    channel: CertificationChannel,
    met: &[Precondition],
    by_proxy: bool,
) -> Vec<Reason> {
    let Some(way) = ways.iter().find(|way| way.channel == channel) else {
        return vec![Reason::CertificationChannelNotOffered];
    };
    let mut reasons = Vec::new();
    if !missing(way, met).is_empty() {
        reasons.push(Reason::PreconditionMissing);
    }
    if by_proxy && !way.proxy {
        reasons.push(Reason::ProxyNotAllowed);
    }
    reasons
}
