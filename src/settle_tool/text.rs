//! Settlements, explanations and resolutions as lines to read.

use std::fmt::Write as _;

use crate::grpc::proto;

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn state(settlement: &proto::Settlement) -> String {
    word(settlement.state().as_str_name(), "SETTLEMENT_STATE_")
}

/// Amounts in fen, as everywhere on the wire.
pub(super) fn settlement(settlement: &proto::Settlement) -> String {
    let mut out = String::new();
    let amounts = settlement.amounts.unwrap_or_default();
    let _ =
        writeln!(out, "结算 {}  {}  机构 {}", settlement.settlement_id, state(settlement), settlement.institution_code);
    let _ = writeln!(
        out,
        "总费用 {} = 统筹基金 {} + 医院负担 {} + 本人账户 {} + 家庭共济 {} + 现金 {}（以下金额单位均为分）",
        amounts.total_fen,
        amounts.fund_fen,
        amounts.hospital_part_fen,
        amounts.own_account_fen,
        amounts.mutual_aid_fen,
        amounts.cash_fen,
    );
    for paid in &settlement.contributions {
        let bucket = word(paid.bucket().as_str_name(), "BUCKET_");
        let who = match paid.payer() {
            proto::Payer::Relative => format!("{} {}", paid.owner_masked_name, paid.binding_id),
            proto::Payer::Self_ | proto::Payer::Unspecified => "本人".to_owned(),
        };
        let _ = writeln!(out, "  支付 {} {bucket} {who}", paid.amount_fen);
    }
    for excluded in &settlement.excluded_payers {
        let own = excluded.relation() == proto::Relation::Unspecified;
        let who = if own { "本人" } else { &excluded.owner_masked_name };
        let _ = writeln!(out, "  不支付 {who} {}", excluded.message);
    }
    if settlement.held_fen > 0 {
        let _ = writeln!(out, "  预留 {}", settlement.held_fen);
    }
    for refund in &settlement.refunds {
        let parts = refund.amounts.unwrap_or_default();
        let sum = parts.fund_fen + parts.hospital_part_fen + parts.accounts_fen + parts.cash_fen;
        let reversed = if refund.reversed_by.is_empty() { "" } else { "（已冲正）" };
        let _ = writeln!(out, "  退费 {sum} {}{reversed}", refund.request_id);
    }
    out
}

/// Every step, with what it rests on.
pub(super) fn explanation(explanation: &proto::Explanation) -> String {
    let mut out = String::new();
    for (place, step) in explanation.steps.iter().enumerate() {
        let _ = write!(out, "{:>3}. {} [{}] {}", place + 1, step.title, step.rule_id, step.subject);
        if !step.operation.is_empty() {
            let _ = write!(out, ": {}", step.operation);
        }
        let _ = writeln!(out, " → {}", step.result);
        for input in &step.inputs {
            let _ = writeln!(out, "       {} = {}", input.name, input.value);
        }
        for parameter in &step.parameters {
            let (name, value) = (&parameter.name, &parameter.value);
            let _ = writeln!(out, "       {name} = {value}  {} {}", parameter.region_code, parameter.start_date);
        }
        if !step.citation_id.is_empty() {
            let _ = writeln!(out, "       依据 {}", step.citation_id);
        }
    }
    for citation in &explanation.citations {
        let grade = word(citation.grade().as_str_name(), "GRADE_");
        let _ = writeln!(out, "依据 {}: {} {} [{grade}]", citation.id, citation.document, citation.article);
    }
    for revision in &explanation.policy_revisions {
        let _ = writeln!(out, "政策版本 {}", revision.region_code);
    }
    out
}

/// Whether the bill that it was about has gone back whole.
fn is_given_back(done: &proto::ResolveOutcomeResponse) -> bool {
    done.settlement.as_ref().is_some_and(|settlement| settlement.state() == proto::SettlementState::Refunded)
}

pub(super) fn resolution(done: &proto::ResolveOutcomeResponse) -> String {
    let sentence = match done.outcome() {
        proto::ResolvedOutcome::Applied if is_given_back(done) => "已生效，款项已全部退回。",
        proto::ResolvedOutcome::Applied => "已生效。",
        proto::ResolvedOutcome::NotApplied => "尚未生效，仍可能到达；如需作废请加 --fence。",
        proto::ResolvedOutcome::Fenced => "未生效，已作废，不会再生效。",
        proto::ResolvedOutcome::Reversed => "已冲正（预留则已释放或已过期），不再有效。",
        proto::ResolvedOutcome::Unspecified => "结果不明。",
    };
    let mut out = format!("{}  {sentence}\n", word(done.outcome().as_str_name(), "RESOLVED_OUTCOME_"));
    if done.original_position > 0 {
        let method = word(done.original_method().as_str_name(), "ORIGINAL_METHOD_");
        let _ = writeln!(out, "原请求 {method}，账本位置 {}", done.original_position);
    }
    if let Some(found) = &done.settlement {
        out.push_str(&settlement(found));
    }
    out
}
