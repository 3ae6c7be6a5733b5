//! Renders the steps of a calculation: titles, tables with their days and sources, the arithmetic.

use crate::domain::calc::law::{Entry, Law};
use crate::domain::calc::trace::{Outcome, Step, Trace};
use crate::domain::policy::Citation;
use crate::grpc::enums::Wire;
use crate::grpc::proto;

/// A table longer than this is left out of a summary.
pub const SUMMARY_VALUE_MAX: usize = 64;

pub fn render(trace: Trace, law: &Law<'_>, view: proto::ExplanationView) -> Option<proto::Explanation> {
    let full = match view {
        proto::ExplanationView::None => return None,
        proto::ExplanationView::Unspecified | proto::ExplanationView::Summary => false,
        proto::ExplanationView::Full => true,
    };
    let mut steps = Vec::with_capacity(trace.steps.len());
    let citations = if full { citations(&trace, law) } else { Vec::new() };
    let lowest_grade = trace.weakest(law).map_or(0, Wire::to_wire);
    steps.extend(trace.steps.into_iter().map(|made| step(made, law, full)));
    let revision = &law.revision;
    // Before the first law nothing begins and nothing is known.
    let day = |day: jiff::civil::Date| if day == jiff::civil::Date::MIN { String::new() } else { day.to_string() };
    let revisions = vec![proto::PolicyRevision {
        region_code: law.region.to_string(),
        digest: revision.digest_text.clone(),
        start_date: if full { day(revision.start) } else { String::new() },
        end_date: revision.end.filter(|_| full).map(|day| day.to_string()).unwrap_or_default(),
        known_from: if full { day(revision.known_from) } else { String::new() },
    }];
    Some(proto::Explanation {
        view: view as i32,
        steps,
        citations,
        policy_revisions: revisions,
        lowest_grade,
        policy_set_digest: String::new(),
    })
}

fn step(step: Step, law: &Law<'_>, full: bool) -> proto::Step {
    let entries = step.keys.iter().filter_map(|key| law.entry(*key));
    let deciding = entries.clone().next();
    let shown = entries.take(if full { usize::MAX } else { 1 });
    let (result, result_fen) = match step.outcome {
        Outcome::Fen(amount) => (amount.to_string(), Some(amount.as_fen())),
        Outcome::Text(text) => (text, None),
    };
    proto::Step {
        rule_id: step.rule.id().to_owned(),
        title: if full { step.rule.zh().to_owned() } else { String::new() },
        subject: step.subject.into_owned(),
        citation_id: deciding
            .and_then(|entry| entry.origin.as_ref())
            .map(|origin| origin.citation.id.clone())
            .unwrap_or_default(),
        inputs: step
            .detail
            .inputs
            .into_iter()
            .map(|(name, value)| proto::NamedValue { name: name.to_owned(), value })
            .collect(),
        parameters: shown.map(|entry| parameter(entry, full)).collect(),
        operation: step.detail.operation,
        rounding: step.detail.rounded.map(|rounded| proto::Rounding {
            mode: rounded.mode.name().to_owned(),
            before: rounded.before,
            after: rounded.after,
        }),
        result,
        result_fen,
    }
}

fn parameter(entry: &Entry, full: bool) -> proto::Parameter {
    let value = if full || entry.text.len() <= SUMMARY_VALUE_MAX { entry.text.clone() } else { String::new() };
    let origin = entry.origin.as_ref();
    proto::Parameter {
        name: entry.key.name().to_owned(),
        value,
        region_code: origin.map(|origin| origin.region_text.clone()).unwrap_or_default(),
        start_date: origin.map(|origin| origin.start_text.clone()).unwrap_or_default(),
        citation_id: origin.map(|origin| origin.citation.id.clone()).unwrap_or_default(),
        grade: origin.map_or(0, |origin| origin.grade.to_wire()),
        note: origin.filter(|_| full).map(|origin| origin.note.clone()).unwrap_or_default(),
    }
}

fn citations(trace: &Trace, law: &Law<'_>) -> Vec<proto::Citation> {
    let mut found: Vec<proto::Citation> = Vec::new();
    for entry in trace.used().filter_map(|key| law.entry(key)) {
        let Some(origin) = &entry.origin else { continue };
        if found.iter().all(|known| known.id != origin.citation.id) {
            found.push(citation(&origin.citation));
        }
    }
    found
}

fn citation(citation: &Citation) -> proto::Citation {
    proto::Citation {
        id: citation.id.clone(),
        document: citation.document.clone(),
        article: citation.article.clone(),
        effective_date: citation.effective.map(|day| day.to_string()).unwrap_or_default(),
        url: citation.url.clone(),
        grade: citation.grade.to_wire(),
        note: citation.note.clone(),
        place: String::new(),
    }
}
