//! Summaries of explanations as encoded bytes, put together from pieces made once for every policy revision. A summary is
//! most of what an answer about a bill says, and nearly all of it is the same text every time: copying pieces costs a
//! small part of building the message and encoding it. The bytes are those of the message; a test compares them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use prost::Message as _;

use super::enums::Wire;
use super::explanation::{self, Shown, parameter, result, revision, summary_steps, value};
use super::proto;
use super::wire::{bytes, put_decimal, put_message, put_number, put_short, put_text};
use crate::domain::bill::Bill;
use crate::domain::ids::ID_LENGTH;
use crate::domain::money::Rate;
use crate::domain::policy::{Param, Policy, PolicyBook};
use crate::domain::rule::{Input, Outcome, Rule, Step, Subject, Trace};
use crate::domain::vocabulary::Grade;
use crate::ledger::page::hex;
use crate::store::entity::StoredPolicy;

/// The pieces of every revision in the book, each made when it is first used. A revision that the book no longer has is
/// rendered from the stored one, by `explanation`.
pub struct Summaries(HashMap<[u8; 32], (Arc<Policy>, OnceLock<Pieces>)>);

struct Pieces {
    /// The revision as it stands among `Explanation.policy_revisions`.
    revision: Vec<u8>,
    /// By parameter: what a step says of the value that decided.
    values: Vec<Said>,
    /// The same for every row of the fund's ratios.
    rows: Vec<(Rate, Said)>,
    /// By parameter: how sure its source is.
    grades: Vec<Option<Grade>>,
    /// By rule: how sure the least sure of its parameters is.
    rule_grades: Vec<Option<Grade>>,
}

/// What a step says of a value: its citation, and the parameter, which stands behind the inputs.
struct Said {
    citation: Vec<u8>,
    parameter: Vec<u8>,
}

impl Said {
    const NOTHING: Self = Self { citation: Vec::new(), parameter: Vec::new() };
}

impl Pieces {
    fn of(policy: &Policy) -> Self {
        let stored = StoredPolicy::of(policy);
        let said = |param: Param, row: Option<String>| {
            let value = value(&stored, param)?;
            let parameter = explanation::short(parameter(value), row);
            let citation_id = value.citation.id.clone();
            let citation = proto::Step { citation_id, ..proto::Step::default() }.encode_to_vec();
            let parameter = proto::Step { parameters: vec![parameter], ..proto::Step::default() }.encode_to_vec();
            Some(Said { citation, parameter })
        };
        let revision = revision(&stored, &policy.revision.digest);
        let of_rows = explanation::row_names(&stored).into_iter().zip(&policy.rules.fund_shares);
        let row = |(name, row): (String, &crate::domain::policy::FundShare)| {
            let named = format!("{name}: {}", row.rate);
            (row.rate, said(Param::FundShares, Some(named)).unwrap_or(Said::NOTHING))
        };
        let grades: Vec<_> = Param::ALL.iter().map(|param| value(&stored, *param).map(|value| value.grade)).collect();
        Self {
            revision: proto::Explanation { policy_revisions: vec![revision], ..Default::default() }.encode_to_vec(),
            values: Param::ALL.iter().map(|param| said(*param, None).unwrap_or(Said::NOTHING)).collect(),
            rows: of_rows.map(row).collect(),
            rule_grades: Rule::ALL.iter().map(|rule| least_sure(&grades, rule.params())).collect(),
            grades,
        }
    }

    /// How sure the least sure value is that a step rests on.
    fn grade(&self, step: &Step) -> Option<Grade> {
        match step.params_of_outcome() {
            Some(params) => least_sure(&self.grades, params),
            None => *self.rule_grades.get(usize::from(step.rule.code()))?,
        }
    }

    /// What is said of the value that decided a step; none where it is not ready-made.
    fn said(&self, step: &Step) -> Option<&Said> {
        // Nothing here crosses provinces.
        let Some(param) = step.deciding(false) else { return Some(const { &Said::NOTHING }) };
        if step.rule == Rule::FundShare
            && let (Some((_, place)), Some(rounded)) =
                (step.inputs.iter().find(|(input, _)| *input == Input::Row), step.rounded)
        {
            let (rate, said) = self.rows.get(usize::try_from(place.as_fen()).ok()?)?;
            return (*rate == rounded.rate).then_some(said);
        }
        self.values.get(usize::from(param.code()))
    }
}

fn least_sure(grades: &[Option<Grade>], params: &[Param]) -> Option<Grade> {
    params.iter().filter_map(|param| *grades.get(usize::from(param.code()))?).max()
}

impl Summaries {
    pub fn of(book: &PolicyBook) -> Self {
        let every = book.every_revision().map(|policy| (policy.revision.digest, (policy.clone(), OnceLock::new())));
        Self(every.collect())
    }

    fn pieces(&self, digest: &[u8; 32]) -> Option<&Pieces> {
        let (policy, pieces) = self.0.get(digest)?;
        Some(pieces.get_or_init(|| Pieces::of(policy)))
    }

    /// Whether a step rests on the openings of two provinces, which are no pieces of a revision.
    fn crosses_provinces(&self, trace: &Trace, digests: &[[u8; 32]]) -> bool {
        let province = |place: usize| Some(self.0.get(digests.get(place)?)?.0.region.province());
        let crosses = |(one, other)| province(one).zip(province(other)).is_some_and(|(one, other)| one != other);
        trace.steps.iter().filter_map(Step::between).any(crosses)
    }

    /// The encoded summary; none where a piece is missing, or openings are to be told.
    pub fn render(&self, trace: &Trace, digests: &[[u8; 32]], bill: Option<&Bill>) -> Option<Vec<u8>> {
        if self.crosses_provinces(trace, digests) {
            return None;
        }
        let pieces: Vec<&Pieces> = digests.iter().map(|digest| self.pieces(digest)).collect::<Option<_>>()?;
        let mut out = Vec::with_capacity(2048);
        out.push(VIEW);
        put_number(&mut out, proto::ExplanationView::Summary as u64);
        let mut inner = Vec::with_capacity(512);
        for step in summary_steps(trace) {
            inner.clear();
            put_step(&mut inner, step, trace, pieces.get(usize::from(step.policy)).copied(), bill)?;
            out.push(STEPS);
            put_number(&mut out, inner.len() as u64);
            out.extend_from_slice(&inner);
        }
        pieces.iter().for_each(|pieces| out.extend_from_slice(&pieces.revision));
        let grades = trace.steps.iter().filter_map(|step| pieces.get(usize::from(step.policy))?.grade(step));
        if let Some(lowest) = grades.max() {
            out.push(LOWEST_GRADE);
            put_number(&mut out, u64::from(lowest.to_wire().unsigned_abs()));
        }
        put_short(&mut out, POLICY_SET, hex(&trace.policy_set).as_bytes());
        Some(out)
    }
}

// Field numbers with their wire types, as the encoding writes them: of `Explanation`, then of `Step`.
const VIEW: u8 = 1 << 3;
const STEPS: u8 = 2 << 3 | 2;
const LOWEST_GRADE: u8 = 5 << 3;
const POLICY_SET: u8 = 6 << 3 | 2;
const RULE_ID: u8 = 1 << 3 | 2;
const SUBJECT: u8 = 3 << 3 | 2;
const INPUTS: u32 = 5;
const RESULT: u8 = 9 << 3 | 2;
const RESULT_FEN: u8 = 10 << 3;

/// Fields in the order of their numbers, as the message's own encoding has them.
fn put_step(out: &mut Vec<u8>, step: &Step, trace: &Trace, pieces: Option<&Pieces>, bill: Option<&Bill>) -> Option<()> {
    put_short(out, RULE_ID, step.rule.id().as_bytes());
    put_subject(out, step.subject, bill);
    let said = pieces.map_or(Some(const { &Said::NOTHING }), |pieces| pieces.said(step))?;
    out.extend_from_slice(&said.citation);
    if let Some(cap) = trace.capped(step) {
        put_message(out, INPUTS, |out| {
            put_short(out, bytes(1), Input::CapLeft.name().as_bytes());
            put_decimal(out, bytes(2), cap.as_fen());
        });
    }
    out.extend_from_slice(&said.parameter);
    match step.outcome {
        Outcome::Amount(amount) => {
            put_decimal(out, RESULT, amount.as_fen());
            out.push(RESULT_FEN);
            // As protobuf has it: a negative number takes ten bytes.
            put_number(out, amount.as_fen().cast_unsigned());
        }
        Outcome::Yes | Outcome::No(_) => put_text(out, RESULT, result(step).0),
    }
    Some(())
}

/// What [`Shown`] says, most of it without a formatter.
fn put_subject(out: &mut Vec<u8>, subject: Subject, bill: Option<&Bill>) {
    const PAYER: &[u8] = b"payer:";
    match subject {
        Subject::Bill => put_short(out, SUBJECT, b"bill"),
        Subject::Pair => put_short(out, SUBJECT, b"pair"),
        Subject::Own => put_short(out, SUBJECT, b"payer:self"),
        Subject::Binding(id) => {
            out.extend_from_slice(&[SUBJECT, (PAYER.len() + ID_LENGTH) as u8]);
            out.extend_from_slice(PAYER);
            out.extend_from_slice(&id.to_ascii());
        }
        Subject::Line(_) | Subject::Paper(_) => put_text(out, SUBJECT, Shown { subject, bill }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bill::{BillContent, Line};
    use crate::domain::ids::BindingId;
    use crate::domain::money::Money;
    use crate::domain::reason::Reason;
    use crate::domain::rule::Rounded;
    use crate::domain::vocabulary::{Category, ListClass};
    use crate::grpc::explanation::{Basis, render};
    use crate::policy::{self, PolicyFiles};

    /// Every rule about everything with every end, and every row of the fund's ratios.
    fn traces(policy: &Policy) -> Vec<Trace> {
        let mut outcomes = vec![Outcome::Yes];
        outcomes
            .extend([0, 1, 63, 64, 8_191, 8_192, -5, i64::MAX, i64::MIN].map(|fen| Outcome::Amount(Money::fen(fen))));
        outcomes.extend(Reason::ALL.iter().map(|reason| Outcome::No(*reason)));
        let binding = Subject::Binding(BindingId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_002a));
        let subjects = [Subject::Bill, Subject::Own, binding, Subject::Paper(3), Subject::Line(0), Subject::Line(9)];
        let subjects = subjects.into_iter().chain([Subject::Pair]);
        let mut traces = Vec::new();
        for subject in subjects {
            let mut trace = Trace::new();
            for (rule, outcome) in Rule::ALL.iter().flat_map(|rule| outcomes.iter().map(move |end| (*rule, *end))) {
                trace.push(rule, subject, u8::from(matches!(outcome, Outcome::Yes)) * 7, &[], None, outcome);
            }
            traces.push(trace);
        }
        let mut rows = Trace::new();
        for (place, row) in policy.rules.fund_shares.iter().enumerate() {
            let inputs = [(Input::InScope, Money::fen(5)), (Input::Row, Money::fen(place as i64))];
            let rounded = Rounded { of: Money::fen(5), rate: row.rate, mode: policy.rules.fund_rounding };
            rows.push(Rule::FundShare, Subject::Bill, 0, &inputs, Some(rounded), Outcome::Amount(Money::fen(5)));
        }
        rows.amount(Rule::FundTotal, Subject::Bill, 0, &[], Money::fen(5));
        traces.push(rows);
        // What bounded a payment: the bill, a limit, the floor, a cap, or what lies in the buckets.
        let mut bounded = Trace::new();
        let bounds =
            [Input::AidPerSettlementLeft, Input::AidPerDayLeft, Input::AidPerYearLeft, Input::Floor, Input::CapLeft];
        for rule in [Rule::OwnerDraw, Rule::QuotaDraw, Rule::AidLimit] {
            for (bound, still) in bounds.into_iter().flat_map(|bound| [(bound, 5), (bound, 6)]) {
                let inputs =
                    [(Input::StillToPay, Money::fen(still)), (Input::Usable, Money::fen(5)), (bound, Money::fen(5))];
                bounded.amount(rule, binding, 0, &inputs, Money::fen(5));
            }
        }
        traces.push(bounded);
        traces
    }

    #[test]
    fn pieces_are_the_bytes_of_the_message() {
        let book = policy::load(&PolicyFiles::embedded()).expect("the built-in policies load");
        let summaries = Summaries::of(&book);
        let line = Line {
            id: "L".repeat(150),
            item_code: "x".to_owned(),
            item_name: String::new(),
            category: Category::Drug,
            class: ListClass::A,
            amount: Money::fen(5),
            over_limit: Money::ZERO,
            first_self_pay_rate: None,
        };
        let bill = Bill { total: Money::fen(5), content: BillContent::Lines(vec![line]) };
        let mut compared = 0;
        let mut seen = std::collections::HashSet::new();
        for policy in book.every_revision() {
            // Most regions say in other regions' words what the national policy says.
            if !seen.insert(policy.values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>()) {
                continue;
            }
            let digests = [policy.revision.digest];
            let stored = [Arc::new(StoredPolicy::of(policy))];
            for trace in traces(policy) {
                let basis = Basis { policies: &stored, digests: &digests, bill: Some(&bill), regions: &book.regions };
                let message = render(&trace, &basis, proto::ExplanationView::Summary).expect("a summary");
                let pieces = summaries.render(&trace, &digests, Some(&bill)).expect("every piece is there");
                assert_eq!(proto::Explanation::decode(&*pieces), Ok(message.clone()), "{}", policy.region);
                assert!(pieces == message.encode_to_vec(), "{}: other bytes of an equal message", policy.region);
                compared += message.steps.len();
            }
        }
        assert!(compared > 10_000, "{compared} steps were compared");
    }

    /// In its first words a trace calls both so, and says of a limit in a step of its own.
    #[test]
    fn a_regions_limit_is_not_told_as_the_bindings_cap() {
        let book = policy::load(&PolicyFiles::embedded()).expect("the built-in policies load");
        let policy = book.every_revision().next().expect("there are policies");
        let digests = [policy.revision.digest];
        let [one, other] = [1, 2].map(|id| Subject::Binding(BindingId::from_u128(id)));
        for (limit_of, left, told) in [(one, 5, false), (one, 4, true), (other, 5, true)] {
            let mut trace = Trace::new();
            trace.amount(Rule::AidLimit, limit_of, 0, &[(Input::LimitLeft, Money::fen(left))], Money::fen(left));
            let paid = [(Input::StillToPay, 9), (Input::Usable, 8), (Input::CapLeft, 5)];
            let paid = paid.map(|(input, fen)| (input, Money::fen(fen)));
            trace.amount(Rule::OwnerDraw, one, 0, &paid, Money::fen(5));
            let pieces = Summaries::of(&book).render(&trace, &digests, None).expect("every piece is there");
            let stored = [Arc::new(StoredPolicy::of(policy))];
            let basis = Basis { policies: &stored, digests: &digests, bill: None, regions: &book.regions };
            let message = render(&trace, &basis, proto::ExplanationView::Summary).expect("a summary");
            assert!(pieces == message.encode_to_vec());
            let draw = message.steps.iter().find(|step| step.rule_id == "draw.relative").expect("who pays is told");
            assert_eq!(draw.inputs.iter().any(|input| input.name == "cap_left_fen"), told, "{limit_of:?} {left}");
        }
    }

    #[test]
    fn what_is_not_ready_made_is_left_to_the_message() {
        let book = policy::load(&PolicyFiles::embedded()).expect("the built-in policies load");
        let summaries = Summaries::of(&book);
        let policy = book.every_revision().find(|policy| !policy.rules.fund_shares.is_empty()).expect("a fund pays");
        let digest = policy.revision.digest;
        assert_eq!(summaries.render(&Trace::new(), &[[7; 32]], None), None, "an unknown revision");
        let mut trace = Trace::new();
        let rounded = Rounded { of: Money::fen(5), rate: Rate::ZERO, mode: policy.rules.fund_rounding };
        let row = [(Input::Row, Money::fen(0))];
        trace.push(Rule::FundShare, Subject::Bill, 0, &row, Some(rounded), Outcome::Amount(Money::fen(5)));
        assert_eq!(summaries.render(&trace, &[digest], None), None, "another rate than the row's");
    }
}
