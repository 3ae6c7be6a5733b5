//! Summaries of calculations as encoded bytes: rule, source, deciding table and result of every step, written straight from
//! the steps and tables. They are what [`super::explain`] builds for that view; a test compares them.

use super::explain::SUMMARY_VALUE_MAX;
use crate::domain::calc::law::{Entry, Law};
use crate::domain::calc::trace::{Outcome, Step, Trace};
use crate::grpc::enums::Wire;
use crate::grpc::proto;
use crate::grpc::wire::{bytes, number, put_message, put_number, put_text};

/// The explanation as a field of an answer.
pub fn put(trace: &Trace, law: &Law<'_>, field: u32, out: &mut Vec<u8>) {
    put_message(out, field, |out| explanation(trace, law, out));
}

fn explanation(trace: &Trace, law: &Law<'_>, out: &mut Vec<u8>) {
    out.push(number(1));
    put_number(out, proto::ExplanationView::Summary as u64);
    for made in &trace.steps {
        put_message(out, 2, |out| step(made, law, out));
    }
    put_message(out, 4, |out| {
        put_text(out, bytes(1), law.region);
        put_text(out, bytes(2), &law.revision.digest_text);
    });
    put_grade(out, 5, trace.weakest(law).map_or(0, Wire::to_wire));
}

fn step(step: &Step, law: &Law<'_>, out: &mut Vec<u8>) {
    let deciding = step.keys.iter().find_map(|key| law.entry(*key));
    put_given(out, 1, step.rule.id());
    put_given(out, 3, &step.subject);
    if let Some(origin) = deciding.and_then(|entry| entry.origin.as_ref()) {
        put_given(out, 4, &origin.citation.id);
    }
    if let Some(entry) = deciding {
        put_message(out, 6, |out| parameter(entry, out));
    }
    match &step.outcome {
        Outcome::Fen(amount) => {
            put_text(out, bytes(9), amount);
            out.push(number(10));
            // As protobuf has it: a negative number takes ten bytes.
            put_number(out, amount.as_fen().cast_unsigned());
        }
        Outcome::Text(text) => put_given(out, 9, text),
    }
}

fn parameter(entry: &Entry, out: &mut Vec<u8>) {
    put_given(out, 1, entry.key.name());
    if entry.text.len() <= SUMMARY_VALUE_MAX {
        put_given(out, 2, &entry.text);
    }
    let Some(origin) = &entry.origin else { return };
    put_given(out, 3, &origin.region_text);
    put_given(out, 4, &origin.start_text);
    put_given(out, 5, &origin.citation.id);
    put_grade(out, 6, origin.grade.to_wire());
}

/// Text of a field that is left out where it is empty.
fn put_given(out: &mut Vec<u8>, field: u8, text: &str) {
    if !text.is_empty() {
        out.push(bytes(field));
        put_number(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

fn put_grade(out: &mut Vec<u8>, field: u8, grade: i32) {
    if grade != 0 {
        out.push(number(field));
        put_number(out, u64::from(grade.unsigned_abs()));
    }
}
