//! Renders a trace: titles, operations and citations, from the steps and the policy revisions they rest on. NONE, SUMMARY
//! and FULL are views of one trace.

use std::fmt;
use std::sync::Arc;

use super::enums::{Wire, reason_to_wire};
use super::{operation, proto};
use crate::domain::bill::{Bill, BillContent};
use crate::domain::ids::RegionCode;
use crate::domain::money::Money;
use crate::domain::policy::Param;
use crate::domain::reason::Reason;
use crate::domain::region::{Opening, RegionBook};
use crate::domain::rule::{Input, Outcome, Rule, Step, Subject, Trace};
use crate::domain::vocabulary::{Grade, Relation};
use crate::ledger::page::hex;
use crate::store::entity::{StoredCitation, StoredPolicy, StoredValue};

/// What a trace is rendered with.
pub struct Basis<'a> {
    /// The policies its steps point to, in their order.
    pub policies: &'a [Arc<StoredPolicy>],
    pub digests: &'a [[u8; 32]],
    /// Names the lines.
    pub bill: Option<&'a Bill>,
    /// Tells when regions of different provinces opened for each other.
    pub regions: &'a RegionBook,
}

/// A value longer than this is left out of a summary: it stands in the policy.
const SUMMARY_VALUE_MAX: usize = 64;

/// The explanation, or nothing for `NONE`.
pub fn render(trace: &Trace, basis: &Basis<'_>, view: proto::ExplanationView) -> Option<proto::Explanation> {
    let full = match view {
        proto::ExplanationView::None => return None,
        proto::ExplanationView::Unspecified | proto::ExplanationView::Summary => false,
        proto::ExplanationView::Full => true,
    };
    let steps = if full {
        trace.steps.iter().map(|step| full_step(step, trace, basis)).collect()
    } else {
        summary_steps(trace).map(|step| summary_step(step, trace, basis)).collect()
    };
    let citations = if full { citations(trace, basis) } else { Vec::new() };
    let revisions = basis.policies.iter().zip(basis.digests).map(|(policy, digest)| revision(policy, digest));
    Some(proto::Explanation {
        view: view as i32,
        steps,
        citations,
        policy_revisions: revisions.collect(),
        lowest_grade: lowest_grade(trace, basis).map_or(0, Wire::to_wire),
        policy_set_digest: hex(&trace.policy_set),
    })
}

/// The steps that a summary shows. Where rows of the fund's table paid, they say more than their sum.
pub fn summary_steps(trace: &Trace) -> impl Iterator<Item = &Step> {
    let rows = trace.steps.iter().any(|step| step.rule == Rule::FundShare);
    trace.steps.iter().filter(move |step| in_summary(step) && !(rows && step.rule == Rule::FundTotal))
}

/// Amounts of the bill and of the payers, and refusals; not the working in between.
fn in_summary(step: &Step) -> bool {
    let about_a_line = matches!(step.subject, Subject::Line(_));
    let working = matches!(
        step.rule,
        Rule::OwnPayable
            | Rule::WalletPayable
            | Rule::RelativesPayable
            | Rule::OwnerUsable
            | Rule::OwnAccountOrder
            | Rule::FundBand
    );
    !about_a_line && (!working || matches!(step.outcome, Outcome::No(_)))
}

/// The values that a step rests on, the deciding one first.
fn params(step: &Step, basis: &Basis<'_>) -> impl Iterator<Item = Param> + use<> {
    let across = across(step, basis).is_some();
    let listed = step.params_across().filter(|_| across).unwrap_or_else(|| step.params());
    let first = step.deciding(across);
    first.into_iter().chain(listed.iter().copied().filter(move |param| Some(*param) != first))
}

fn policy<'a>(step: &Step, basis: &Basis<'a>) -> Option<&'a StoredPolicy> {
    basis.policies.get(usize::from(step.policy)).map(Arc::as_ref)
}

pub fn value(policy: &StoredPolicy, param: Param) -> Option<&StoredValue> {
    policy.value(param)
}

/// The least sure grade among the values and openings that the steps rest on.
fn lowest_grade(trace: &Trace, basis: &Basis<'_>) -> Option<Grade> {
    let values = trace.steps.iter().flat_map(|step| {
        let policy = policy(step, basis);
        params(step, basis).filter_map(move |param| value(policy?, param))
    });
    let openings = trace.steps.iter().flat_map(|step| openings(step, basis));
    values.map(|value| value.grade).chain(openings.map(|(_, opening)| opening.citation.grade)).max()
}

/// The two regions that a step is about, the owner's first, where they lie in different provinces.
fn across(step: &Step, basis: &Basis<'_>) -> Option<[RegionCode; 2]> {
    let (one, other) = step.between()?;
    let region = |place: usize| basis.policies.get(place).map(|policy| policy.region);
    Some([region(one)?, region(other)?]).filter(|[one, other]| one.province() != other.province())
}

/// The openings that a step between two provinces rests on. They are no policy values and are not kept with a decision: told is
/// what is known of them now, which for an old decision may be more than was known then.
fn openings<'a>(step: &Step, basis: &Basis<'a>) -> impl Iterator<Item = (RegionCode, &'a Opening)> {
    let regions = basis.regions;
    across(step, basis).into_iter().flatten().filter_map(|region| Some((region, regions.opening(region)?)))
}

fn opened((region, opening): (RegionCode, &Opening)) -> proto::Parameter {
    proto::Parameter {
        name: "cross_province_since".to_owned(),
        value: opening.since.to_string(),
        region_code: region.to_string(),
        start_date: opening.since.to_string(),
        citation_id: opening.citation.id.clone(),
        grade: opening.citation.grade.to_wire(),
        note: String::new(),
    }
}

fn summary_step(step: &Step, trace: &Trace, basis: &Basis<'_>) -> proto::Step {
    let deciding = params(step, basis).next().and_then(|param| value(policy(step, basis)?, param));
    let parameter = deciding.map(|value| {
        let row = row_name(step, basis, Input::Row).zip(step.rounded);
        short(parameter(value), row.map(|(row, rounded)| format!("{row}: {}", rounded.rate)))
    });
    let (result, result_fen) = result(step);
    proto::Step {
        rule_id: step.rule.id().to_owned(),
        subject: Shown { subject: step.subject, bill: basis.bill }.to_string(),
        citation_id: deciding.map(|value| value.citation.id.clone()).unwrap_or_default(),
        inputs: trace.capped(step).map(capped).into_iter().collect(),
        parameters: parameter.into_iter().chain(openings(step, basis).map(opened)).collect(),
        result,
        result_fen,
        ..proto::Step::default()
    }
}

/// What a summary says where no policy but the binding's own cap bounded an amount.
pub fn capped(cap: Money) -> proto::NamedValue {
    proto::NamedValue { name: Input::CapLeft.name().to_owned(), value: cap.to_string() }
}

/// A parameter as a summary shows it: the row that matched instead of the whole table, and no long text.
pub fn short(mut parameter: proto::Parameter, row: Option<String>) -> proto::Parameter {
    parameter.value = row.unwrap_or(parameter.value);
    if parameter.value.len() > SUMMARY_VALUE_MAX {
        parameter.value.clear();
    }
    parameter
}

fn full_step(step: &Step, trace: &Trace, basis: &Basis<'_>) -> proto::Step {
    let values = params(step, basis).filter_map(|param| value(policy(step, basis)?, param));
    let parameters: Vec<proto::Parameter> = values.map(parameter).chain(openings(step, basis).map(opened)).collect();
    let named = |name: &str, value| proto::NamedValue { name: name.to_owned(), value };
    let inputs =
        step.inputs.iter().map(|(input, amount)| named(input.name(), input_text(step, basis, *input, *amount)));
    let given = step.rounded.filter(|_| step.rule == Rule::FirstSelfPayGiven);
    let inputs = inputs.chain(given.map(|rounded| named("first_self_pay_rate", rounded.rate.to_string())));
    // Where a rate ends, its share comes back to the fen: the step behind it says so.
    let rounding = step.rounded.filter(|_| step.rule != Rule::FundBand).map(|rounded| {
        let share = rounded.of.share(rounded.rate, rounded.mode);
        let (before, after) = (share.exact_text(), share.amount.to_string());
        proto::Rounding { mode: rounded.mode.name().to_owned(), before, after }
    });
    let (result, result_fen) = result(step);
    proto::Step {
        rule_id: step.rule.id().to_owned(),
        title: title(step),
        subject: Shown { subject: step.subject, bill: basis.bill }.to_string(),
        citation_id: parameters.first().map(|parameter| parameter.citation_id.clone()).unwrap_or_default(),
        inputs: inputs.collect(),
        parameters,
        operation: operation::of(step, trace),
        rounding,
        result,
        result_fen,
    }
}

fn title(step: &Step) -> String {
    match step.outcome {
        Outcome::No(reason) => format!("{}：{}", step.rule.title(), reason.sentence()),
        Outcome::Yes | Outcome::Amount(_) => step.rule.title().to_owned(),
    }
}

/// Amounts are amounts; what is no amount has a name.
fn input_text(step: &Step, basis: &Basis<'_>, input: Input, amount: Money) -> String {
    let relation =
        || Relation::from_code(u8::try_from(amount.as_fen()).ok()?).map(|relation| relation.name().to_owned());
    let name = if input == Input::Relation { relation() } else { row_name(step, basis, input) };
    name.unwrap_or_else(|| amount.to_string())
}

/// The fund's ratio names the row of the table that matched.
fn row_name(step: &Step, basis: &Basis<'_>, input: Input) -> Option<String> {
    if input != Input::Row {
        return None;
    }
    let place = step.inputs.iter().find(|(input, _)| *input == Input::Row).map(|(_, place)| place.as_fen())?;
    let names = row_names(policy(step, basis)?);
    names.into_iter().nth(usize::try_from(place).ok()?)
}

/// The names of the rows of the fund's ratios, in their order, as the revision's own text has them.
pub fn row_names(policy: &StoredPolicy) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Row {
        name: String,
    }
    let rows = value(policy, Param::FundShares).and_then(|value| serde_json::from_str::<Vec<Row>>(&value.text).ok());
    rows.unwrap_or_default().into_iter().map(|row| row.name).collect()
}

pub fn result(step: &Step) -> (String, Option<i64>) {
    match step.outcome {
        Outcome::Amount(amount) => (amount.to_string(), Some(amount.as_fen())),
        Outcome::Yes => ("YES".to_owned(), None),
        Outcome::No(reason) => (reason.name().to_owned(), None),
    }
}

/// What a step is about, as text; the bill names its lines.
pub struct Shown<'a> {
    pub subject: Subject,
    pub bill: Option<&'a Bill>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Bill => f.write_str("bill"),
            Subject::Pair => f.write_str("pair"),
            Subject::Own => f.write_str("payer:self"),
            Subject::Binding(id) => write!(f, "payer:{id}"),
            Subject::Paper(place) => write!(f, "payer:paper-{place}"),
            Subject::Line(place) => {
                let line = self.bill.and_then(|bill| match &bill.content {
                    BillContent::Lines(lines) => lines.get(usize::from(place)),
                    BillContent::Adjudicated(_) => None,
                });
                match line {
                    Some(line) => write!(f, "line:{}", line.id),
                    None => write!(f, "line:{place}"),
                }
            }
        }
    }
}

pub fn parameter(value: &StoredValue) -> proto::Parameter {
    proto::Parameter {
        name: value.param.name().to_owned(),
        value: value.text.clone(),
        region_code: value.region.to_string(),
        start_date: value.start.to_string(),
        citation_id: value.citation.id.clone(),
        grade: value.grade.to_wire(),
        note: String::new(),
    }
}

fn citations(trace: &Trace, basis: &Basis<'_>) -> Vec<proto::Citation> {
    let mut found: Vec<proto::Citation> = Vec::new();
    for step in &trace.steps {
        for param in params(step, basis) {
            if let Some(value) = policy(step, basis).and_then(|policy| value(policy, param))
                && found.iter().all(|known| known.id != value.citation.id)
            {
                found.push(citation(&value.citation));
            }
        }
        for (_, opening) in openings(step, basis) {
            if found.iter().all(|known| known.id != opening.citation.id) {
                found.push(super::regions::citation(&opening.citation));
            }
        }
    }
    found
}

fn citation(citation: &StoredCitation) -> proto::Citation {
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

/// A revision on the wire.
pub fn revision(policy: &StoredPolicy, digest: &[u8; 32]) -> proto::PolicyRevision {
    proto::PolicyRevision {
        region_code: policy.region.to_string(),
        digest: hex(digest),
        start_date: policy.start.to_string(),
        end_date: policy.end.map(|day| day.to_string()).unwrap_or_default(),
        known_from: policy.known_from.to_string(),
    }
}

/// Reasons inside an answer.
pub fn reason_notes(reasons: &[Reason]) -> Vec<proto::ReasonNote> {
    let note = |reason: &Reason| proto::ReasonNote {
        reason: reason_to_wire(*reason),
        message: reason.sentence().to_owned(),
        subject: String::new(),
    };
    reasons.iter().map(note).collect()
}
