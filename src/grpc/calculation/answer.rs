//! One calculation from request to answer: what is common to all of them.

use std::collections::HashMap;

use jiff::civil::Date;
use prost::Message;
use tonic::{Code, Status};

use super::CalculationLimits;
use super::{explain, summary};
use crate::domain::calc::keys::Key;
use crate::domain::calc::law::{CalcBook, Entry, Law, Refusal};
use crate::domain::calc::trace::{Level, Trace};
use crate::grpc::enums::Wire;
use crate::grpc::fields::Fields;
use crate::grpc::{proto, status};
use crate::ledger::failure::Thing;
use crate::ledger::{Failure, Violation};

/// The largest table a caller may pass, in bytes.
const OWN_PARAMETER_BYTES: usize = 8_192;

/// With what a calculation is answered.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub book: &'a CalcBook,
    pub limits: CalculationLimits,
    /// The server's own day, for requests that name none.
    pub today: Date,
    /// What `UNSPECIFIED` means.
    pub view: proto::ExplanationView,
}

/// What a request is read by beside its own fields.
#[derive(Clone, Copy)]
pub struct Beside {
    pub limits: CalculationLimits,
    /// None: the day asked about is none.
    pub on: Option<Date>,
}

/// The first four fields of every request.
pub struct Common {
    pub region_code: String,
    pub on: String,
    pub parameters: Vec<proto::OwnParameter>,
    pub explanation_view: i32,
}

/// The last three fields of every answer.
pub struct Tail {
    pub weakest_grade: i32,
    pub what_if: bool,
    pub explanation: Option<proto::Explanation>,
}

/// A request of one kind.
pub trait Calculation: Sized {
    type Input;
    type Outcome;
    type Response;

    /// The number of the explanation among the answer's fields.
    const EXPLANATION: u32;

    /// Takes the common fields out.
    fn common(&mut self) -> Common;

    /// The typed input; notes every bad field.
    fn read(self, fields: &mut Fields, beside: Beside) -> Option<Self::Input>;

    fn calculate(law: &Law<'_>, input: &Self::Input, trace: &mut Trace) -> Result<Self::Outcome, Refusal>;

    fn respond(outcome: Self::Outcome, tail: Tail) -> Self::Response;
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    Fields(Vec<Violation>),
    NoSuchRegion,
    NotKnown(Key),
}

/// What was calculated, before it is put into an answer.
pub struct Figures<'a, Q: Calculation> {
    outcome: Q::Outcome,
    trace: Trace,
    law: Law<'a>,
    view: proto::ExplanationView,
}

pub fn answer<Q: Calculation>(request: Q, asked: &Asked<'_>) -> Result<Q::Response, Trouble> {
    let Figures { outcome, trace, law, view } = figures(request, asked)?;
    let tail = Tail::of(&trace, &law);
    Ok(Q::respond(outcome, Tail { explanation: explain::render(trace, &law, view), ..tail }))
}

/// The same as bytes, behind what is there already. A summary is written as it is and never built.
pub fn encode<Q: Calculation>(request: Q, asked: &Asked<'_>, out: &mut Vec<u8>) -> Result<(), Trouble>
where
    Q::Response: Message,
{
    let Figures { outcome, trace, law, view } = figures::<Q>(request, asked)?;
    let tail = Tail::of(&trace, &law);
    let written = match view {
        proto::ExplanationView::None => Q::respond(outcome, tail).encode(out),
        proto::ExplanationView::Unspecified | proto::ExplanationView::Summary => {
            let written = Q::respond(outcome, tail).encode(out);
            summary::put(&trace, &law, Q::EXPLANATION, out);
            written
        }
        proto::ExplanationView::Full => {
            Q::respond(outcome, Tail { explanation: explain::render(trace, &law, view), ..tail }).encode(out)
        }
    };
    written.expect("memory takes what is written");
    Ok(())
}

fn figures<'a, Q: Calculation>(mut request: Q, asked: &Asked<'a>) -> Result<Figures<'a, Q>, Trouble> {
    let Common { region_code, on, parameters, explanation_view } = request.common();
    let mut fields = Fields::new();
    let region = fields.region("region_code", &region_code);
    let on = fields.optional_day("on", &on).map(|day| day.unwrap_or(asked.today));
    let view = fields.explanation_view(explanation_view, asked.view);
    let own = own_parameters(&mut fields, &parameters, asked.book);
    let input = request.read(&mut fields, Beside { limits: asked.limits, on });
    let bad = !fields.is_empty();
    let (Some(region), Some(on), Some(view), Some(own), Some(input), false) = (region, on, view, own, input, bad)
    else {
        return Err(Trouble::Fields(fields.into_violations()));
    };
    let mut law = asked.book.law_there(region, on).ok_or(Trouble::NoSuchRegion)?;
    law.own = own;
    let level = match view {
        proto::ExplanationView::None => Level::None,
        proto::ExplanationView::Unspecified | proto::ExplanationView::Summary => Level::Summary,
        proto::ExplanationView::Full => Level::Full,
    };
    let mut trace = Trace::new(level);
    let outcome = Q::calculate(&law, &input, &mut trace).map_err(|refusal| match refusal {
        Refusal::NotKnown(key) => Trouble::NotKnown(key),
        Refusal::Fields(fields) => {
            let violation = |(field, description): (&str, String)| Violation { field: field.to_owned(), description };
            Trouble::Fields(fields.into_iter().map(violation).collect())
        }
    })?;
    Ok(Figures { outcome, trace, law, view })
}

impl Tail {
    fn of(trace: &Trace, law: &Law<'_>) -> Self {
        let weakest_grade = trace.weakest(law).map_or(0, Wire::to_wire);
        Self { weakest_grade, what_if: !law.own.is_empty(), explanation: None }
    }
}

/// The caller's own tables, read as those of the files are.
fn own_parameters(fields: &mut Fields, given: &[proto::OwnParameter], book: &CalcBook) -> Option<Vec<Entry>> {
    let before = fields.len();
    if given.len() > Key::ALL.len() {
        fields.bad("parameters", format!("has more than {} entries", Key::ALL.len()));
        return None;
    }
    let mut own: Vec<Entry> = Vec::with_capacity(given.len());
    let mut named: Vec<Key> = Vec::with_capacity(given.len());
    for (place, parameter) in given.iter().enumerate() {
        let Some(key) = Key::parse(&parameter.name) else {
            fields.bad(format!("parameters[{place}].name"), "is not the name of a table");
            continue;
        };
        let field = format!("parameters[{place}].value");
        if named.contains(&key) {
            fields.bad(format!("parameters[{place}].name"), "is given twice");
            continue;
        }
        named.push(key);
        if parameter.value.len() > OWN_PARAMETER_BYTES {
            fields.bad(field, format!("is longer than {OWN_PARAMETER_BYTES} bytes"));
        } else {
            match book.read(key, &parameter.value) {
                Ok(entry) => own.push(entry),
                Err(mistakes) => {
                    for (place, what) in mistakes {
                        let below = place.strip_prefix("value").unwrap_or_default();
                        fields.bad(format!("{field}{below}"), what);
                    }
                }
            }
        }
    }
    (fields.len() == before).then_some(own)
}

impl From<Trouble> for Status {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fields(violations) => status::of(&Failure::Invalid(violations)),
            Trouble::NoSuchRegion => status::of(&Failure::NoRegion { thing: Thing::Region, field: "region_code" }),
            Trouble::NotKnown(key) => {
                let metadata = HashMap::from([("parameter".to_owned(), key.name().to_owned())]);
                let text = format!("no {} of that region and day is on file; pass it in parameters", key.name());
                status::make(Code::FailedPrecondition, "VALUE_NOT_KNOWN", &text, NOT_KNOWN, metadata)
            }
        }
    }
}

const NOT_KNOWN: &str = "当日当地没有该项参数，请在请求中自行给出。";

impl From<Trouble> for proto::CalculationError {
    fn from(trouble: Trouble) -> Self {
        let mut error = Self::default();
        match trouble {
            Trouble::Fields(violations) => {
                error.reason = proto::Reason::InvalidFields as i32;
                error.message = "请求内容有误，请检查标明的字段。".to_owned();
                let violation = |Violation { field, description }| proto::CalculationViolation { field, description };
                error.violations = violations.into_iter().map(violation).collect();
            }
            Trouble::NoSuchRegion => {
                error.reason = proto::Reason::RegionNotFound as i32;
                error.message = "没有找到该统筹区，或该统筹区在该日期无效。".to_owned();
            }
            Trouble::NotKnown(key) => {
                error.reason = proto::Reason::ValueNotKnown as i32;
                error.message = NOT_KNOWN.to_owned();
                error.parameter = key.name().to_owned();
            }
        }
        error
    }
}

/// Implements the parts of [`Calculation`] that are the same everywhere.
macro_rules! common {
    () => {
        fn common(&mut self) -> $crate::grpc::calculation::answer::Common {
            $crate::grpc::calculation::answer::Common {
                region_code: std::mem::take(&mut self.region_code),
                on: std::mem::take(&mut self.on),
                parameters: std::mem::take(&mut self.parameters),
                explanation_view: self.explanation_view,
            }
        }
    };
}
pub(super) use common;
