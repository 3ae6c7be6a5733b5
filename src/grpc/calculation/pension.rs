//! CalculatePension on the wire.

use super::answer::{Beside, Calculation, Tail, common};
use super::read::{MONTHS_MAX, decision, int, notes};
use crate::domain::calc::law::{Law, Refusal};
use crate::domain::calc::number::Month;
use crate::domain::calc::pension::{self, Pension, Pensioner, Record, Span, SpanIndex, SpanKind};
use crate::domain::calc::trace::Trace;
use crate::domain::reason::Reason;
use crate::grpc::fields::Fields;
use crate::grpc::proto;

/// The age comes from the month of birth and the day asked about, which is read elsewhere.
pub enum Age {
    Months(u32),
    Born(Month),
}

impl Calculation for proto::CalculatePensionRequest {
    type Input = (Age, Pensioner);
    type Outcome = Pension;
    type Response = proto::CalculatePensionResponse;

    const EXPLANATION: u32 = 15;

    common!();

    fn read(self, fields: &mut Fields, beside: Beside) -> Option<Self::Input> {
        let age = match (self.birth_month.as_str(), self.retirement_age_months) {
            ("", 0) => {
                fields.bad("retirement_age_months", "one of retirement_age_months and birth_month must be given");
                None
            }
            ("", months) => fields.count("retirement_age_months", months, 1, MONTHS_MAX).map(Age::Months),
            (month, 0) => fields.month("birth_month", month).map(Age::Born),
            (_, _) => {
                fields.bad("birth_month", "must be left out where retirement_age_months is given");
                None
            }
        };
        let base = self.base_fen.map_or(Some(None), |fen| fields.positive("base_fen", fen).map(Some));
        let paid = fields.count("paid_months", self.paid_months, 0, MONTHS_MAX);
        let deemed = fields.count("deemed_months", self.deemed_months, 0, MONTHS_MAX);
        let before = fields.count("months_before_accounts", self.months_before_accounts, 0, MONTHS_MAX);
        let balance = fields.money("account_balance_fen", self.account_balance_fen);
        let record = if self.history.is_empty() {
            let index = if self.average_index.is_empty() {
                fields.bad("average_index", "one of history and average_index must be given");
                None
            } else {
                fields.factor("average_index", &self.average_index)
            };
            if let (Some(paid), Some(deemed)) = (paid, deemed)
                && paid + deemed > MONTHS_MAX.unsigned_abs()
            {
                fields.bad("deemed_months", format!("makes more than {MONTHS_MAX} months with paid_months"));
            }
            index.zip(paid.zip(deemed)).map(|(index, (paid, deemed))| Record::Summary { index, paid, deemed })
        } else {
            let summary = [
                ("average_index", !self.average_index.is_empty()),
                ("paid_months", self.paid_months != 0),
                ("deemed_months", self.deemed_months != 0),
            ];
            for (field, given) in summary {
                fields.foreign(field, given, "a request without history");
            }
            spans(&self.history, fields, beside.limits.periods as usize).map(Record::Spans)
        };
        if let Some(now) = beside.on.map(Month::of) {
            let born = match &age {
                Some(Age::Born(born)) if *born < now => Some(*born),
                Some(Age::Born(_)) => {
                    fields.bad("birth_month", "must lie before the month of retirement");
                    None
                }
                Some(Age::Months(months)) => Some(now.minus(*months)),
                None => None,
            };
            if let Some(Record::Spans(spans)) = &record {
                if spans.last().is_some_and(|span| span.last > now) {
                    fields.bad("history", "reaches beyond the month of retirement");
                }
                if spans.first().zip(born).is_some_and(|(span, born)| span.from < born) {
                    fields.bad("history", "begins before the birth");
                }
            }
        }
        let pensioner = Pensioner {
            age_months: 0,
            base: base?,
            record: record?,
            months_before_accounts: before?,
            balance: balance?,
        };
        Some((age?, pensioner))
    }

    fn calculate(law: &Law<'_>, (age, input): &Self::Input, trace: &mut Trace) -> Result<Pension, Refusal> {
        let now = Month::of(law.on);
        let age_months = match age {
            Age::Months(months) => *months,
            Age::Born(born) => now.since(*born),
        };
        pension::calculate(law, &Pensioner { age_months, ..input.clone() }, trace).map_err(|mut refusal| {
            if let (Age::Born(_), Refusal::Fields(fields)) = (age, &mut refusal) {
                for (field, _) in fields.iter_mut().filter(|(field, _)| *field == "retirement_age_months") {
                    *field = "birth_month";
                }
            }
            refusal
        })
    }

    fn respond(found: Pension, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        let enough = found.paid + found.deemed >= found.minimum;
        let reasons: &[Reason] = if enough { &[] } else { &[Reason::YearsNotEnough] };
        proto::CalculatePensionResponse {
            average_index: found.index.decimal(),
            years: found.years.decimal(),
            paid_months: int(found.paid),
            deemed_months: int(found.deemed),
            payout_months: found.payout.decimal(),
            basic_fen: found.basic.as_fen(),
            account_fen: found.account.as_fen(),
            transitional_fen: found.transitional.as_fen(),
            total_fen: found.total.as_fen(),
            minimum_months: int(found.minimum),
            decision: decision(reasons),
            reasons: notes(reasons),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

/// The spans of a history: in order, each beginning in the month after the one before.
fn spans(history: &[proto::HistoryPeriod], fields: &mut Fields, most: usize) -> Option<Vec<Span>> {
    if history.len() > most {
        fields.bad("history", format!("has more than {most} periods"));
        return None;
    }
    let before = fields.len();
    let mut found: Vec<Span> = Vec::with_capacity(history.len());
    let mut expected: Option<Month> = None;
    for (place, period) in history.iter().enumerate() {
        let noted = fields.len();
        let read = span(period, fields);
        if let (Some(span), Some(expected)) = (&read, expected) {
            if span.from < expected {
                fields.bad("from_month", "overlaps the period before it");
            } else if span.from > expected {
                fields.bad("from_month", "leaves a hole after the period before it; a gap is a period of kind GAP");
            }
        }
        fields.place_since(noted, &format_args!("history[{place}]"));
        expected = read.as_ref().map(|span| span.last.plus(1));
        found.extend(read);
    }
    if fields.len() == before {
        let months: u32 = found.iter().map(|span| span.last.since(span.from) + 1).sum();
        if months > MONTHS_MAX.unsigned_abs() {
            fields.bad("history", format!("has more than {MONTHS_MAX} months"));
        }
    }
    (fields.len() == before).then_some(found)
}

fn span(period: &proto::HistoryPeriod, fields: &mut Fields) -> Option<Span> {
    let from = fields.month("from_month", &period.from_month);
    let last = fields.month("last_month", &period.last_month);
    if let (Some(from), Some(last)) = (from, last)
        && last < from
    {
        fields.bad("last_month", "lies before from_month");
        return None;
    }
    let kind = match proto::HistoryKind::try_from(period.kind) {
        Ok(proto::HistoryKind::Unspecified | proto::HistoryKind::Paid) => SpanKind::Paid,
        Ok(proto::HistoryKind::Deemed) => SpanKind::Deemed,
        Ok(proto::HistoryKind::Gap) => SpanKind::Gap,
        Err(_) => {
            fields.bad("kind", "must be a known value");
            return None;
        }
    };
    let amounts = period.base_fen != 0 || period.average_wage_fen != 0;
    let index = match (kind, period.index.as_str()) {
        (SpanKind::Gap, index) => {
            fields.foreign("index", amounts || !index.is_empty(), "paid and deemed periods");
            None
        }
        (_, "") => {
            let base = fields.positive("base_fen", period.base_fen);
            let average_wage = fields.positive("average_wage_fen", period.average_wage_fen);
            Some(SpanIndex::OfBase { base: base?, average_wage: average_wage? })
        }
        (_, index) => {
            fields.foreign("base_fen", amounts, "a period without index");
            Some(SpanIndex::Given(fields.factor("index", index)?))
        }
    };
    Some(Span { from: from?, last: last?, kind, index })
}
