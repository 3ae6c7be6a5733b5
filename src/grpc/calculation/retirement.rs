//! CalculateRetirement on the wire.

use super::answer::{Beside, Calculation, Tail, common};
use super::read::{MONTHS_MAX, decision, int, notes};
use crate::domain::calc::law::{Law, Refusal};
use crate::domain::calc::number::age_text;
use crate::domain::calc::retirement::{self, Point, Retirement, Worker};
use crate::domain::calc::trace::Trace;
use crate::domain::reason::Reason;
use crate::grpc::fields::Fields;
use crate::grpc::proto;

impl Calculation for proto::CalculateRetirementRequest {
    type Input = Worker;
    type Outcome = Retirement;
    type Response = proto::CalculateRetirementResponse;

    const EXPLANATION: u32 = 9;

    common!();

    fn read(self, fields: &mut Fields, _: Beside) -> Option<Worker> {
        let class = fields.word("class", self.class);
        let birth = fields.birth("birth_date", &self.birth_date);
        let category = fields.optional_word("early_category", self.early_category);
        let paid =
            self.paid_months.map_or(Some(None), |months| fields.count("paid_months", months, 0, MONTHS_MAX).map(Some));
        fields.foreign("still_paying", self.still_paying && self.paid_months.is_none(), "a request with paid_months");
        let (birth, birth_day) = birth?;
        Some(Worker {
            class: class?,
            birth,
            birth_day,
            category: category?,
            paid: paid?,
            still_paying: self.still_paying,
        })
    }

    fn calculate(law: &Law<'_>, input: &Worker, trace: &mut Trace) -> Result<Retirement, Refusal> {
        retirement::calculate(law, input, trace)
    }

    fn respond(found: Retirement, tail: Tail) -> Self::Response {
        let Tail { weakest_grade, what_if, explanation } = tail;
        proto::CalculateRetirementResponse {
            original: Some(point(&found.original)),
            legal: Some(point(&found.legal)),
            delay_months: int(found.delay),
            earliest: Some(point(&found.earliest)),
            latest: Some(point(&found.latest)),
            by_category: found.by_category.as_ref().map(point),
            weakest_grade,
            what_if,
            explanation,
        }
    }
}

fn point(point: &Point) -> proto::RetirementPoint {
    let reasons: &[Reason] =
        if point.missing.is_some_and(|missing| missing > 0) { &[Reason::YearsNotEnough] } else { &[] };
    proto::RetirementPoint {
        age_months: int(point.age_months),
        age: age_text(point.age_months),
        month: point.month.to_string(),
        date: point.date.map(|date| date.to_string()).unwrap_or_default(),
        minimum_months: int(point.minimum),
        missing_months: int(point.missing.unwrap_or(0)),
        decision: point.missing.map_or(0, |_| decision(reasons)),
        notice_by: point.notice_by.map(|day| day.to_string()).unwrap_or_default(),
        reasons: notes(reasons),
    }
}
