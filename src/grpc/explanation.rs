//! Renders a trace: titles, operations and citations, from the steps and the policy revisions they rest on. NONE, SUMMARY
//! and FULL are views of one trace.

use std::sync::Arc;

use super::enums::{Wire, reason_to_wire};
use super::proto;
use crate::domain::bill::{Bill, BillContent};
use crate::domain::money::Money;
use crate::domain::policy::Param;
use crate::domain::reason::Reason;
use crate::domain::rule::{Input, Outcome, Rule, Step, Subject, Trace};
use crate::ledger::page::hex;
use crate::store::entity::{StoredCitation, StoredPolicy, StoredValue};

/// What a trace is rendered with.
pub struct Basis<'a> {
    /// The policies its steps point to, in their order.
    pub policies: &'a [Arc<StoredPolicy>],
    pub digests: &'a [[u8; 32]],
    /// Names the lines.
    pub bill: Option<&'a Bill>,
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
    // Where rows of the fund's table paid, they say more than their sum.
    let rows = trace.steps.iter().any(|step| step.rule == Rule::FundShare);
    let shown = trace.steps.iter().filter(|step| full || (in_summary(step) && !(rows && step.rule == Rule::FundTotal)));
    let steps = shown.map(|step| if full { full_step(step, basis) } else { summary_step(step, basis) }).collect();
    let citations = if full { citations(trace, basis) } else { Vec::new() };
    let revisions = basis.policies.iter().zip(basis.digests).map(|(policy, digest)| revision(policy, digest));
    Some(proto::Explanation { view: view as i32, steps, citations, policy_revisions: revisions.collect() })
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
            | Rule::OwnerOrder
    );
    !about_a_line && (!working || matches!(step.outcome, Outcome::No(_)))
}

fn policy<'a>(step: &Step, basis: &Basis<'a>) -> Option<&'a StoredPolicy> {
    basis.policies.get(usize::from(step.policy)).map(Arc::as_ref)
}

fn value(policy: &StoredPolicy, param: Param) -> Option<&StoredValue> {
    policy.values.iter().find(|value| value.param == param)
}

/// The parameter that decides: for a refusal, the one its reason is about.
fn params(step: &Step) -> &'static [Param] {
    match step.outcome {
        Outcome::No(reason) if step.rule == Rule::Excluded => params_of_reason(reason),
        Outcome::No(_) | Outcome::Yes | Outcome::Amount(_) => step.rule.params(),
    }
}

fn params_of_reason(reason: Reason) -> &'static [Param] {
    match reason {
        Reason::SharingNotOpen | Reason::ModeNotDirect | Reason::ModeNotTransfer => &[Param::Modes],
        Reason::RelationNotAllowed => &[Param::Relations],
        Reason::BeneficiaryOutOfScope => &[Param::BeneficiaryScope],
        Reason::OwnerTierNotAllowed => &[Param::OwnerTiers],
        Reason::OwnerStateNotAllowed => &[Param::OwnerStates],
        Reason::BeneficiaryStateNotAllowed => &[Param::BeneficiaryStates],
        Reason::BeneficiarySchemeNotAllowed => &[Param::BeneficiarySchemes],
        Reason::FamilyServiceDoesNotSpend | Reason::ChannelNotAvailable | Reason::EvidenceMissing => &[Param::Channels],
        Reason::MembersPerOwnerExceeded => &[Param::MembersPerOwner],
        Reason::OwnersPerMemberExceeded => &[Param::OwnersPerMember],
        Reason::OwnersPerSettlementExceeded => &[Param::OwnersPerSettlement],
        Reason::OwnBalanceNotZero => &[Param::OwnAccountOrder],
        Reason::NothingUsable => &[Param::Floor, Param::RelativeBuckets],
        Reason::PurposeNotAllowed => &[Param::RelativePurposes],
        Reason::PurposeProhibited => &[Param::ProhibitedPurposes],
        Reason::ComponentNotPayable => &[Param::RelativeComponents],
        Reason::PaperAuthorisationNotAllowed => &[Param::PaperAuthorisation],
        Reason::PaperNotRegularised => &[Param::PaperRegulariseDays],
        Reason::FamilyCodeIsNotSharing | Reason::CardNotActive | Reason::StepSkipped | Reason::BindingNotVerified => {
            &[Param::Channels]
        }
        Reason::OwnerWalletNotOpen | Reason::BeneficiaryWalletNotOpen | Reason::WalletNotOffered => {
            &[Param::WalletSources]
        }
        Reason::WalletClosedHours => &[Param::WalletClosedHours],
        Reason::TransfersPerDayReached => &[Param::WalletTransfersPerDay],
        Reason::TransferTooLarge => &[Param::WalletTransferMax],
        Reason::TransferReturned => &[Param::WalletReturnTime],
        Reason::ModeNotQuota => &[Param::CrossProvinceModes, Param::Modes],
        Reason::QuotaTooLarge => &[Param::QuotaMax],
        Reason::OrderNotForUser => &[Param::OwnerOrder],
        Reason::NotTheIssuingBank => &[Param::CardActivation],
        Reason::RegionNotOpen
        | Reason::SamePerson
        | Reason::OwnerNotEmployee
        | Reason::OwnerWithoutAccount
        | Reason::BeneficiaryNotInsured
        | Reason::BindingAlreadyActive
        | Reason::BindingNotActive
        | Reason::BindingNotStarted
        | Reason::BindingEnded
        | Reason::BindingsPerMemberExceeded
        | Reason::CapReached
        | Reason::NothingLeftToPay
        | Reason::BalanceInsufficient
        | Reason::BalanceTooLarge
        | Reason::RefundExceedsPaid
        | Reason::AlreadyRefunded
        | Reason::QuoteStale
        | Reason::QuoteExpired
        | Reason::InsuranceUnchanged
        | Reason::BindingAlreadyVerified
        | Reason::CardAlreadyActive
        | Reason::CardNotOnRecord
        | Reason::WalletAlreadyOpen
        | Reason::TransferAlreadyClaimed
        | Reason::QuotaUsedUp
        | Reason::BindingHasLastDay
        | Reason::QuotaUnchanged
        | Reason::PositionNotReached => &[],
    }
}

fn summary_step(step: &Step, basis: &Basis<'_>) -> proto::Step {
    let deciding = params(step).first().and_then(|param| value(policy(step, basis)?, *param));
    let parameter = deciding.map(|value| {
        let mut parameter = parameter(value);
        if let (Some(row), Some(rounded)) = (row_name(step, basis, Input::Row), step.rounded) {
            parameter.value = format!("{row}: {}", rounded.rate);
        }
        if parameter.value.len() > SUMMARY_VALUE_MAX {
            parameter.value.clear();
        }
        parameter
    });
    let (result, result_fen) = result(step);
    proto::Step {
        rule_id: step.rule.id().to_owned(),
        subject: subject(step.subject, basis.bill),
        citation_id: deciding.map(|value| value.citation.id.clone()).unwrap_or_default(),
        parameters: parameter.into_iter().collect(),
        result,
        result_fen,
        ..proto::Step::default()
    }
}

fn full_step(step: &Step, basis: &Basis<'_>) -> proto::Step {
    let values = params(step).iter().filter_map(|param| value(policy(step, basis)?, *param));
    let parameters: Vec<proto::Parameter> = values.map(parameter).collect();
    let inputs = step.inputs.iter().map(|(input, amount)| proto::NamedValue {
        name: input.name().to_owned(),
        value: row_name(step, basis, *input).unwrap_or_else(|| amount.to_string()),
    });
    let rounding = step.rounded.map(|rounded| {
        let share = rounded.of.share(rounded.rate, rounded.mode);
        let (before, after) = (share.exact_text(), share.amount.to_string());
        proto::Rounding { mode: rounded.mode.name().to_owned(), before, after }
    });
    let (result, result_fen) = result(step);
    proto::Step {
        rule_id: step.rule.id().to_owned(),
        title: title(step),
        subject: subject(step.subject, basis.bill),
        citation_id: parameters.first().map(|parameter| parameter.citation_id.clone()).unwrap_or_default(),
        inputs: inputs.collect(),
        parameters,
        operation: operation(step),
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

/// The fund's ratio names the row of the table that matched.
fn row_name(step: &Step, basis: &Basis<'_>, input: Input) -> Option<String> {
    if input != Input::Row {
        return None;
    }
    let place = step.inputs.iter().find(|(input, _)| *input == Input::Row).map(|(_, place)| place.as_fen())?;
    let text = &value(policy(step, basis)?, Param::FundShares)?.text;
    let name = text.split("\"name\":\"").nth(usize::try_from(place).ok()? + 1)?.split('"').next()?;
    Some(name.to_owned())
}

fn result(step: &Step) -> (String, Option<i64>) {
    match step.outcome {
        Outcome::Amount(amount) => (amount.to_string(), Some(amount.as_fen())),
        Outcome::Yes => ("YES".to_owned(), None),
        Outcome::No(reason) => (reason.name().to_owned(), None),
    }
}

fn subject(subject: Subject, bill: Option<&Bill>) -> String {
    match subject {
        Subject::Bill => "bill".to_owned(),
        Subject::Own => "payer:self".to_owned(),
        Subject::Binding(id) => format!("payer:{id}"),
        Subject::Paper(place) => format!("payer:paper-{place}"),
        Subject::Line(place) => {
            let line = bill.and_then(|bill| match &bill.content {
                BillContent::Lines(lines) => lines.get(usize::from(place)),
                BillContent::Adjudicated(_) => None,
            });
            line.map_or_else(|| format!("line:{place}"), |line| format!("line:{}", line.id))
        }
    }
}

/// The arithmetic as text, in fen, so that a person with a pocket calculator gets the same figure.
fn operation(step: &Step) -> String {
    let Outcome::Amount(result) = step.outcome else {
        return String::new();
    };
    let input = |wanted: Input| {
        step.inputs.iter().find(|(input, _)| *input == wanted).map_or(Money::ZERO, |(_, amount)| *amount)
    };
    let minus = |first: Input, rest: &[Input]| {
        let rest: Vec<String> = rest.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("{} − {}", input(first), rest.join(" − "))
    };
    let min = |of: &[Input]| {
        let of: Vec<String> = of.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("min({})", of.join(", "))
    };
    let left = if let Some(rounded) = step.rounded {
        format!("{} × {}", rounded.of, rounded.rate)
    } else {
        match step.rule {
            Rule::InScope => minus(Input::Total, &[Input::FullSelfPay, Input::OverLimit, Input::FirstSelfPay]),
            Rule::Deductible => min(&[Input::InScope, Input::DeductibleLeft]),
            Rule::FundYearCap => min(&[Input::Fund, Input::CapLeft]),
            Rule::PersonPart => minus(Input::Total, &[Input::Fund, Input::HospitalPart]),
            Rule::Adjudicated => minus(Input::Total, &[Input::HospitalPart, Input::PersonPart]),
            Rule::OwnDraw => min(&[Input::Payable, Input::OwnBalance]),
            Rule::OwnerUsable | Rule::UsableByRelatives => {
                format!("min({}, max(0, {}))", input(Input::Drawable), minus(Input::Balance, &[Input::Floor]))
            }
            Rule::OwnerDraw | Rule::QuotaDraw if step.inputs.len() > 2 => {
                min(&[Input::StillToPay, Input::Usable, Input::CapLeft])
            }
            Rule::OwnerDraw | Rule::QuotaDraw => min(&[Input::StillToPay, Input::Usable]),
            Rule::Cash => minus(Input::PersonPart, &[Input::OwnAccount, Input::MutualAid]),
            Rule::RefundOther => {
                format!("{} + {} + {}", input(Input::Fund), input(Input::HospitalPart), input(Input::Cash))
            }
            Rule::FullSelfPay
            | Rule::OverLimit
            | Rule::FirstSelfPay
            | Rule::FundShare
            | Rule::FundTotal
            | Rule::OwnPayable
            | Rule::OwnAccountOrder
            | Rule::RelativesPayable
            | Rule::OwnerOrder
            | Rule::Excluded
            | Rule::MutualAidTotal
            | Rule::TwoPersons
            | Rule::RelationAllowed
            | Rule::ModeBetween
            | Rule::OwnerInsurance
            | Rule::BeneficiaryInsurance
            | Rule::ChannelOffered
            | Rule::EvidenceComplete
            | Rule::NotBoundYet
            | Rule::MembersPerOwner
            | Rule::OwnersPerMember
            | Rule::PurposeAllowed
            | Rule::Transfer
            | Rule::RefundAccounts
            | Rule::CrossProvince
            | Rule::BindingsPerMember
            | Rule::CardActive
            | Rule::MinorEvidence
            | Rule::Verification
            | Rule::EffectiveDay
            | Rule::ReleaseOffered
            | Rule::CardActivation
            | Rule::WalletsOpen
            | Rule::WalletHours
            | Rule::WalletPerDay
            | Rule::WalletPerTransfer
            | Rule::WalletTransfer
            | Rule::WalletClaim
            | Rule::QuotaBetween
            | Rule::QuotaEvidence
            | Rule::QuotaLimit
            | Rule::QuotaSet
            | Rule::WalletPayable => return String::new(),
        }
    };
    format!("{left} = {result}")
}

fn parameter(value: &StoredValue) -> proto::Parameter {
    proto::Parameter {
        name: value.param.name().to_owned(),
        value: value.text.clone(),
        region_code: value.region.to_string(),
        start_date: value.start.to_string(),
        citation_id: value.citation.id.clone(),
        grade: value.grade.to_wire(),
    }
}

fn citations(trace: &Trace, basis: &Basis<'_>) -> Vec<proto::Citation> {
    let mut found: Vec<proto::Citation> = Vec::new();
    for step in &trace.steps {
        for param in params(step) {
            if let Some(value) = policy(step, basis).and_then(|policy| value(policy, *param))
                && found.iter().all(|known| known.id != value.citation.id)
            {
                found.push(citation(&value.citation));
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
