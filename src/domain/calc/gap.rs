//! 中断缴费: what a gap does to each insurance, to counters of continuous months, and the waiting period of residents.

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::Month;
use super::retirement::minimum_months;
use super::trace::{Detail, Rule, Trace, text};
use super::words::{Counter, GapEffect, Insurance};
use crate::domain::reason::Reason;

/// Months paid without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Paid {
    pub insurance: Insurance,
    pub from: Month,
    pub last: Month,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In order of insurance and month, without overlaps, none beyond the month asked about.
    pub paid: Vec<Paid>,
    /// The insurance that was named first.
    pub first: Option<Insurance>,
    pub missed_years: u32,
    pub resident_paid: Option<Month>,
}

/// How one insurance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub insurance: Insurance,
    pub effect: GapEffect,
    pub cumulative: u32,
    pub continuous: u32,
    pub gap: u32,
    pub gap_from: Option<Month>,
    pub resumed: Option<Month>,
    pub back: Option<Month>,
    pub reasons: Vec<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    pub standings: Vec<Standing>,
    pub counters: Vec<(Counter, u32)>,
    pub waiting: u32,
    pub resident_from: Option<Month>,
}

pub fn assess(law: &Law<'_>, input: &Asked, trace: &mut Trace) -> Result<Assessment, Refusal> {
    let now = Month::of(law.on);
    let mut standings = Vec::new();
    for insurance in Insurance::ALL.iter().copied() {
        let spans: Vec<Paid> = input.paid.iter().copied().filter(|paid| paid.insurance == insurance).collect();
        if !spans.is_empty() {
            standings.push(standing(law, insurance, &spans, now, trace)?);
        }
    }
    let counted = law.continuity()?.insurance;
    let of = |insurance: Insurance| standings.iter().find(|standing| standing.insurance == insurance);
    let of_counters = of(counted).or_else(|| input.first.and_then(of));
    // Interrupted now: the count begins anew.
    let continuous = of_counters
        .map_or(0, |standing| if standing.resumed.is_none() && standing.gap > 0 { 0 } else { standing.continuous });
    let mut counters = Vec::new();
    for counter in law.continuity_counters()? {
        trace.step(
            Rule::Counter,
            counter.name(),
            &[Key::ContinuityCounters, Key::Continuity],
            || text(continuous.to_string()),
            || Detail::of(vec![("continuous_months", continuous.to_string())], "0 after a gap"),
        );
        counters.push((*counter, continuous));
    }
    let (waiting, resident_from) = match input.resident_paid {
        None => (0, None),
        Some(month) => {
            let rule = law.resident_waiting()?;
            let waiting = rule.fixed_months + rule.per_missed_year_months * input.missed_years;
            let from = month.plus(waiting);
            trace.step(
                Rule::Waiting,
                "",
                &[Key::ResidentWaiting],
                || text(from.to_string()),
                || {
                    let inputs =
                        vec![("missed_years", input.missed_years.to_string()), ("paid_month", month.to_string())];
                    let operation = format!(
                        "{month} + {} + {} × {}",
                        rule.fixed_months, rule.per_missed_year_months, input.missed_years
                    );
                    Detail::of(inputs, operation)
                },
            );
            (waiting, Some(from))
        }
    };
    Ok(Assessment { standings, counters, waiting, resident_from })
}

fn standing(
    law: &Law<'_>,
    insurance: Insurance,
    spans: &[Paid],
    now: Month,
    trace: &mut Trace,
) -> Result<Standing, Refusal> {
    let rows = law.gap_effects()?;
    let effect = rows.iter().find(|row| row.insurance == insurance).map(|row| row.effect);
    let effect = effect.ok_or(Refusal::NotKnown(Key::GapEffects))?;
    let cumulative: u32 = spans.iter().map(|span| span.last.since(span.from) + 1).sum();
    // The last unbroken run: spans that meet are one.
    let mut run = spans[spans.len() - 1];
    let mut before: Option<Month> = None;
    for span in spans.iter().rev().skip(1) {
        if span.last.plus(1) == run.from {
            run.from = span.from;
        } else {
            before = Some(span.last);
            break;
        }
    }
    let interrupted = run.last.plus(law.continuity()?.grace_months) < now;
    let (gap_from, gap, resumed) = if interrupted {
        (Some(run.last.plus(1)), now.since(run.last), None)
    } else {
        match before {
            Some(last) => (Some(last.plus(1)), run.from.since(last) - 1, Some(run.from)),
            None => (None, 0, None),
        }
    };
    let continuous = run.last.since(run.from) + 1;
    let subject = insurance.name();
    let months = || {
        Detail::of(
            vec![("from_month", run.from.to_string()), ("last_month", run.last.to_string())],
            format!("{} − {} + 1", run.last, run.from),
        )
    };
    let terms = || {
        let each: Vec<String> = spans.iter().map(|span| format!("({} − {} + 1)", span.last, span.from)).collect();
        Detail::of(Vec::new(), each.join(" + "))
    };
    trace.step(Rule::CumulativeMonths, subject, &[], || text(cumulative.to_string()), terms);
    trace.step(Rule::ContinuousMonths, subject, &[], || text(continuous.to_string()), months);
    trace.step(
        Rule::GapMonths,
        subject,
        &[Key::Continuity],
        || text(gap.to_string()),
        || Detail::of(gap_from.map(|month| ("gap_from_month", month.to_string())).into_iter().collect(), ""),
    );
    trace.step(Rule::GapEffect, subject, &[Key::GapEffects], || text(effect.name()), Detail::default);
    let mut found =
        Standing { insurance, effect, cumulative, continuous, gap, gap_from, resumed, back: None, reasons: Vec::new() };
    judge(law, &mut found, now, trace)?;
    Ok(found)
}

/// What holds in the month asked about.
fn judge(law: &Law<'_>, found: &mut Standing, now: Month, trace: &mut Trace) -> Result<(), Refusal> {
    let interrupted = found.gap > 0 && found.resumed.is_none();
    let subject = found.insurance.name();
    match found.effect {
        GapEffect::Cumulative => {
            let minimum = minimum_months(law, now.year())?;
            if found.cumulative < minimum {
                found.reasons.push(Reason::YearsNotEnough);
            }
            let compared = || Detail::of(Vec::new(), format!("{} ≥ {minimum}", found.cumulative));
            let enough = found.cumulative >= minimum;
            trace.step(Rule::MinimumYears, subject, &[Key::MinimumYears], || text(enough.to_string()), compared);
        }
        GapEffect::BenefitStops => {
            let wait = law.medical_gap()?.wait_months;
            found.back = found.resumed.map(|month| month.plus(wait));
            let back = found.back.map(|month| month.to_string()).unwrap_or_default();
            trace.step(
                Rule::BenefitsBack,
                subject,
                &[Key::MedicalGap],
                || text(back),
                || {
                    Detail::of(
                        vec![("wait_months", wait.to_string())],
                        found.resumed.map_or_else(String::new, |month| format!("{month} + {wait}")),
                    )
                },
            );
            if interrupted {
                found.reasons.push(Reason::PaymentInterrupted);
            } else if found.back.is_some_and(|back| now < back) {
                found.reasons.push(Reason::WaitingPeriod);
            }
        }
        GapEffect::ContinuousRestarts => {
            let needed = law.maternity()?.continuous_months;
            if interrupted {
                found.reasons.push(Reason::PaymentInterrupted);
            }
            let enough = found.continuous >= needed;
            if !enough {
                found.reasons.push(Reason::ContinuousMonthsNotEnough);
            }
            let compared = || Detail::of(Vec::new(), format!("{} ≥ {needed}", found.continuous));
            trace.step(Rule::Condition, subject, &[Key::Maternity], || text(enough.to_string()), compared);
        }
        GapEffect::Continues => {
            if interrupted {
                found.reasons.push(Reason::PaymentInterrupted);
            }
        }
    }
    Ok(())
}
