//! CalculateTierChange and CalculateCertificationDue on the wire.

use super::answer::{Beside, Calculation, Tail, common};
use super::read::{decision, notes};
use crate::domain::calc::certification::{self, Asked, Due, Since};
use crate::domain::calc::law::{Law, Refusal};
use crate::domain::calc::tier::{self, Change};
use crate::domain::calc::trace::Trace;
use crate::domain::calc::words::{ContributionScheme, Precondition};
use crate::grpc::enums::{Wire, to_wire_all};
use crate::grpc::fields::Fields;
use crate::grpc::proto;

impl Calculation for proto::CalculateTierChangeRequest {
    type Input = tier::Asked;
    type Outcome = Change;
    type Response = proto::CalculateTierChangeResponse;

    const EXPLANATION: u32 = 11;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<tier::Asked> {
        let scheme = fields.word("scheme", self.scheme);
        let changes = fields.count("changes_this_year", self.changes_this_year, 0, 100);
        let channel = fields.optional_word("channel", self.channel);
        let paid = fields.money("paid_fen", self.paid_fen);
        let new_tier = fields.money("new_tier_fen", self.new_tier_fen);
        let resident = scheme != Some(ContributionScheme::Flexible);
        fields.foreign("paid_fen", self.paid_fen > 0 && !resident, "RESIDENT");
        fields.foreign("new_tier_fen", self.new_tier_fen > 0 && !resident, "RESIDENT");
        Some(tier::Asked {
            scheme: scheme?,
            first_choice: self.first_choice,
            changes: changes?,
            channel: channel?,
            paid: paid?,
            new_tier: new_tier?,
        })
    }

    fn calculate(law: &Law<'_>, input: &tier::Asked, trace: &mut Trace) -> Result<Change, Refusal> {
        tier::calculate(law, input, trace)
    }

    fn respond(found: Change, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let (first, last) = found.window.map(|(a, b)| (a.to_string(), b.to_string())).unwrap_or_default();
        proto::CalculateTierChangeResponse {
            decision: decision(&found.reasons),
            reasons: notes(&found.reasons),
            window_first: first,
            window_last: last,
            effective_month: found.effective.map(|month| month.to_string()).unwrap_or_default(),
            due_fen: found.due.as_fen(),
            subsidy_difference_fen: found.subsidy.as_fen(),
            channels: to_wire_all(&found.channels),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

/// Words without repetition.
pub fn preconditions(fields: &mut Fields, field: &str, numbers: &[i32]) -> Option<Vec<Precondition>> {
    if numbers.len() > Precondition::ALL.len() {
        fields.bad(field, "has more entries than there are words");
        return None;
    }
    let read: Vec<Option<Precondition>> =
        numbers.iter().enumerate().map(|(place, number)| fields.word(&format!("{field}[{place}]"), *number)).collect();
    read.into_iter().collect()
}

impl Calculation for proto::CalculateCertificationDueRequest {
    type Input = (Asked, bool);
    type Outcome = (Due, bool);
    type Response = proto::CalculateCertificationDueResponse;

    const EXPLANATION: u32 = 12;

    common!();

    fn read(self, fields: &mut Fields, beside: Beside) -> Option<Self::Input> {
        let certified = fields.optional_day("last_certified", &self.last_certified);
        let paid = fields.optional_day("first_paid", &self.first_paid);
        let since = match (certified, paid) {
            (Some(Some(day)), Some(None)) => Some(Since::Certified(day)),
            (Some(None), Some(Some(day))) => Some(Since::FirstPaid(day)),
            (Some(given), Some(_)) => {
                let what = if given.is_some() { "may be given, not both" } else { "must be given" };
                fields.bad("last_certified", format!("one of last_certified and first_paid {what}"));
                None
            }
            _ => None,
        };
        for (field, day) in [("last_certified", certified), ("first_paid", paid)] {
            let later = day.flatten().zip(beside.on).is_some_and(|(day, on)| day > on);
            if later {
                fields.bad(field, "lies after the day asked about");
            }
        }
        let channel = fields.optional_word("channel", self.channel);
        let met = preconditions(fields, "met", &self.met);
        let asked =
            Asked { since: since?, dependant: self.dependant, channel: channel?, met: met?, by_proxy: self.by_proxy };
        Some((asked, self.channel != 0))
    }

    fn calculate(law: &Law<'_>, (asked, judged): &Self::Input, trace: &mut Trace) -> Result<Self::Outcome, Refusal> {
        Ok((certification::calculate(law, asked, trace)?, *judged))
    }

    fn respond((found, judged): Self::Outcome, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let ways = found.ways.iter().map(|(way, missing)| proto::CertificationWay {
            channel: way.channel.to_wire(),
            preconditions: to_wire_all(&way.preconditions),
            missing: to_wire_all(missing),
            proxy: way.proxy,
            result: way.result.name().to_owned(),
            steps: way.steps.clone(),
        });
        proto::CalculateCertificationDueResponse {
            due_date: found.days.due.to_string(),
            not_before: found.days.not_before.to_string(),
            rolling_due_date: found.days.rolling.to_string(),
            calendar_due_date: found.days.calendar.map(|day| day.to_string()).unwrap_or_default(),
            state: found.state.to_wire(),
            stopped_from: found.stopped_from.map(|day| day.to_string()).unwrap_or_default(),
            decision: if judged { decision(&found.reasons) } else { 0 },
            reasons: notes(&found.reasons),
            ways: ways.collect(),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}
