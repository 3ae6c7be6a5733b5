//! 调整缴费档次: whether a tier can be changed on a day, from when it holds, and what is due.

use jiff::civil::Date;

use super::chosen::{check_tier, subsidy};
use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::Month;
use super::tables::{FlexibleChange, MonthDay};
use super::trace::{Detail, Rule, Trace, fen, text};
use super::words::{ContributionScheme, ResidentChangeRule, TierChannel, TierEffect};
use crate::domain::money::Money;
use crate::domain::reason::Reason;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub scheme: ContributionScheme,
    pub first_choice: bool,
    pub changes: u32,
    pub channel: Option<TierChannel>,
    pub paid: Money,
    pub new_tier: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub reasons: Vec<Reason>,
    pub window: Option<(Date, Date)>,
    pub effective: Option<Month>,
    pub due: Money,
    pub subsidy: Money,
    pub channels: Vec<TierChannel>,
}

pub fn calculate(law: &Law<'_>, input: &Asked, trace: &mut Trace) -> Result<Change, Refusal> {
    let mut found = match input.scheme {
        ContributionScheme::Flexible => flexible(law, input, trace)?,
        ContributionScheme::Resident => resident(law, input, trace)?,
        ContributionScheme::Employee => {
            return Err(Refusal::field("scheme", "must be FLEXIBLE or RESIDENT: employees choose no tier"));
        }
    };
    if !found.reasons.is_empty() {
        found.effective = None;
        found.due = Money::ZERO;
        found.subsidy = Money::ZERO;
    }
    Ok(found)
}

fn day_of(year: i16, day: MonthDay) -> Date {
    let day_of_month = i8::try_from(day.day).expect("at most 31");
    Month::new(i32::from(year), i32::try_from(day.month).expect("at most 12")).day(day_of_month)
}

fn flexible(law: &Law<'_>, input: &Asked, trace: &mut Trace) -> Result<Change, Refusal> {
    let rule = law.flexible_change()?;
    let mut found = Change { channels: rule.channels.clone(), ..Change::default() };
    let year = law.on.year();
    found.window =
        rule.window_first.zip(rule.window_last).map(|(first, last)| (day_of(year, first), day_of(year, last)));
    if input.first_choice {
        // Chosen with the first contribution: it holds from that month.
        found.effective = Some(Month::of(law.on));
        trace.step(Rule::Window, "first_choice", &[Key::FlexibleChange], || text("true"), Detail::default);
    } else {
        let inside = found.window.is_none_or(|(first, last)| (first..=last).contains(&law.on));
        trace.step(
            Rule::Window,
            "",
            &[Key::FlexibleChange],
            || text(inside.to_string()),
            || Detail::of(Vec::new(), window_text(law.on, found.window)),
        );
        if !inside {
            found.reasons.push(Reason::TierWindowClosed);
        }
        changes(input.changes, rule.per_year, &[Key::FlexibleChange], &mut found, trace);
        found.effective = Some(effective(rule, law.on));
    }
    channel(input.channel, &[Key::FlexibleChange], &mut found, trace);
    let month = found.effective.map(|month| month.to_string()).unwrap_or_default();
    trace.step(
        Rule::EffectiveMonth,
        "",
        &[Key::FlexibleChange],
        || text(month),
        || Detail::of(Vec::new(), rule.effect.name()),
    );
    Ok(found)
}

fn window_text(on: Date, window: Option<(Date, Date)>) -> String {
    window.map_or_else(|| "any day".to_owned(), |(first, last)| format!("{first} ≤ {on} ≤ {last}"))
}

fn effective(rule: &FlexibleChange, on: Date) -> Month {
    let now = Month::of(on);
    match rule.effect {
        TierEffect::ThisMonth => now,
        TierEffect::NextMonth => now.plus(1),
        TierEffect::NextJanuary => Month::new(now.year() + 1, 1),
    }
}

fn changes(made: u32, per_year: u32, keys: &'static [Key], found: &mut Change, trace: &mut Trace) {
    let left = per_year == 0 || made < per_year;
    let compared =
        || Detail::of(Vec::new(), if per_year == 0 { "any number".to_owned() } else { format!("{made} < {per_year}") });
    trace.step(Rule::ChangesLeft, "", keys, || text(left.to_string()), compared);
    if !left {
        found.reasons.push(Reason::TierChangesUsedUp);
    }
}

fn channel(asked: Option<TierChannel>, keys: &'static [Key], found: &mut Change, trace: &mut Trace) {
    let Some(asked) = asked else { return };
    let offered = found.channels.contains(&asked);
    trace.step(Rule::Channel, asked.name(), keys, || text(offered.to_string()), Detail::default);
    if !offered {
        found.reasons.push(Reason::TierChannelNotOffered);
    }
}

fn resident(law: &Law<'_>, input: &Asked, trace: &mut Trace) -> Result<Change, Refusal> {
    check_tier(law, "new_tier_fen", input.new_tier)?;
    let rule = law.resident_change()?;
    let mut found = Change { channels: rule.channels.clone(), ..Change::default() };
    if !input.first_choice {
        changes(input.changes, rule.per_year, &[Key::ResidentChange], &mut found, trace);
    }
    channel(input.channel, &[Key::ResidentChange], &mut found, trace);
    let now = Month::of(law.on);
    let next_year = rule.rule == ResidentChangeRule::NextYearIfPaid && input.paid.is_positive();
    let month = if next_year { Month::new(now.year() + 1, 1) } else { now };
    found.effective = Some(month);
    let named = || Detail::of(vec![("paid_fen", input.paid.to_string())], rule.rule.name());
    trace.step(Rule::EffectiveMonth, "", &[Key::ResidentChange], || text(month.to_string()), named);
    if next_year {
        return Ok(found);
    }
    if input.paid.is_positive() && input.new_tier <= input.paid {
        found.reasons.push(Reason::TierNotHigher);
    }
    found.due = input.new_tier.minus_or_zero(input.paid);
    let difference = || Detail::of(Vec::new(), format!("{} − {}", input.new_tier, input.paid));
    trace.step(Rule::DifferenceDue, "", &[Key::ResidentChange], || fen(found.due), difference);
    let after = subsidy(law, input.new_tier, trace)?;
    let before = if input.paid.is_positive() { subsidy(law, input.paid, trace)? } else { Money::ZERO };
    found.subsidy = after.minus_or_zero(before);
    let detail = || Detail::of(Vec::new(), format!("{after} − {before}"));
    trace.step(Rule::SubsidyDifference, "", &[Key::ResidentSubsidies], || fen(found.subsidy), detail);
    Ok(found)
}
