//! Settlements → the wire.

use crate::domain::bill::{ExternalRefs, Visit};
use crate::domain::draw::{Contribution, Excluded};
use crate::domain::ids::{BindingId, MemberId};
use crate::domain::settlement::hold::HoldState;
use crate::domain::settlement::{Amounts, Parts, Settlement, SettlementState};
use crate::domain::time::day_text;
use crate::grpc::enums::{Wire, reason_to_wire};
use crate::grpc::people::Names;
use crate::grpc::{Service, proto, timestamp, wire_position};
use crate::ledger::Failure;

/// Whose names an answer shows.
pub(super) fn people(contributions: &[Contribution], excluded: &[Excluded]) -> Vec<MemberId> {
    let paying =
        contributions.iter().filter(|contribution| !contribution.is_own()).map(|contribution| contribution.payer);
    paying.chain(left_out(excluded)).collect()
}

/// The relatives among them: the patient is not named.
pub(in crate::grpc) fn left_out(excluded: &[Excluded]) -> impl Iterator<Item = MemberId> {
    excluded.iter().filter(|excluded| !excluded.is_own()).map(|excluded| excluded.payer)
}

pub(super) fn state(state: SettlementState) -> i32 {
    (match state {
        SettlementState::Held => proto::SettlementState::Held,
        SettlementState::Confirmed => proto::SettlementState::Confirmed,
        SettlementState::Released => proto::SettlementState::Released,
        SettlementState::Expired => proto::SettlementState::Expired,
        SettlementState::PartiallyRefunded => proto::SettlementState::PartiallyRefunded,
        SettlementState::Refunded => proto::SettlementState::Refunded,
    }) as i32
}

pub(super) fn amounts(amounts: &Amounts) -> proto::Amounts {
    let split = &amounts.split;
    proto::Amounts {
        total_fen: split.total.as_fen(),
        full_self_pay_fen: split.full_self_pay.as_fen(),
        over_limit_fen: split.over_limit.as_fen(),
        first_self_pay_fen: split.first_self_pay.as_fen(),
        in_scope_fen: split.in_scope.as_fen(),
        deductible_fen: split.deductible.as_fen(),
        fund_fen: split.fund.as_fen(),
        hospital_part_fen: split.hospital_part.as_fen(),
        person_part_fen: split.person_part.as_fen(),
        own_account_fen: amounts.own_account.as_fen(),
        mutual_aid_fen: amounts.mutual_aid.as_fen(),
        cash_fen: amounts.cash.as_fen(),
    }
}

pub(super) fn contributions(contributions: &[Contribution], names: &Names) -> Vec<proto::Contribution> {
    use crate::domain::rule::Rule;
    let one = |contribution: &Contribution| {
        let own = contribution.is_own();
        let (payer, rule, mode) = match (own, contribution.from_quota) {
            (true, _) => (proto::Payer::Self_, Rule::OwnDraw, proto::Mode::Unspecified),
            (false, false) => (proto::Payer::Relative, Rule::OwnerDraw, proto::Mode::DirectDraw),
            (false, true) => (proto::Payer::Relative, Rule::QuotaDraw, proto::Mode::Quota),
        };
        proto::Contribution {
            payer: payer as i32,
            binding_id: contribution.binding.map(BindingId::to_text).unwrap_or_default(),
            owner_masked_name: if own { String::new() } else { names.of(contribution.payer) },
            relation: contribution.relation.map(Wire::to_wire).unwrap_or_default(),
            bucket: contribution.bucket.to_wire(),
            amount_fen: contribution.amount.as_fen(),
            refunded_fen: contribution.refunded.as_fen(),
            rule_id: rule.id().to_owned(),
            paper: !own && contribution.binding.is_none(),
            mode: mode as i32,
        }
    };
    contributions.iter().map(one).collect()
}

pub(in crate::grpc) fn excluded(excluded: &[Excluded], names: &Names) -> Vec<proto::ExcludedPayer> {
    let one = |excluded: &Excluded| proto::ExcludedPayer {
        binding_id: excluded.binding.map(BindingId::to_text).unwrap_or_default(),
        owner_masked_name: if excluded.is_own() { String::new() } else { names.of(excluded.payer) },
        relation: excluded.relation.map(Wire::to_wire).unwrap_or_default(),
        reason: reason_to_wire(excluded.reason),
        message: excluded.reason.sentence().to_owned(),
    };
    excluded.iter().map(one).collect()
}

pub(super) fn parts(parts: &Parts) -> proto::RefundParts {
    proto::RefundParts {
        fund_fen: parts.fund.as_fen(),
        hospital_part_fen: parts.hospital_part.as_fen(),
        accounts_fen: parts.accounts.as_fen(),
        cash_fen: parts.cash.as_fen(),
    }
}

impl Service {
    pub(super) async fn settlement(
        &self,
        settlement: &Settlement,
        names: &Names,
        position: u64,
    ) -> Result<proto::Settlement, Failure> {
        let refunded_at = self.ledger.refund_positions(settlement).await?;
        Ok(to_settlement(settlement, names, position, &refunded_at))
    }
}

pub(super) fn to_settlement(
    settlement: &Settlement,
    names: &Names,
    position: u64,
    refunded_at: &[u64],
) -> proto::Settlement {
    let Visit { institution_kind, care_region, purpose, date, external } = &settlement.visit;
    let ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no } = external.clone();
    let refunds = settlement.refunds.iter().zip(refunded_at).map(|(refund, position)| proto::Refund {
        request_id: refund.request_id.clone(),
        amounts: Some(parts(&refund.parts)),
        ledger_position: wire_position(*position),
        time: Some(timestamp(refund.at)),
        reversed_by: refund.reversal.as_ref().map(|reversal| reversal.request_id.clone()).unwrap_or_default(),
    });
    let hold_end = settlement.hold.as_ref().and_then(|hold| match hold.state {
        HoldState::Open => None,
        HoldState::Confirmed { at, .. } | HoldState::Released { at } | HoldState::Expired { at } => Some(at),
    });
    proto::Settlement {
        settlement_id: settlement.id.to_text(),
        state: state(settlement.state()),
        institution_code: settlement.institution.as_str().to_owned(),
        patient_member_id: settlement.patient.to_text(),
        visit: Some(proto::Visit {
            institution_kind: institution_kind.to_wire(),
            care_region_code: care_region.to_text(),
            purpose: purpose.to_wire(),
            visit_date: day_text(*date),
            external_refs: Some(proto::ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no }),
        }),
        amounts: Some(amounts(&settlement.amounts)),
        contributions: contributions(&settlement.contributions, names),
        excluded_payers: excluded(&settlement.excluded, names),
        refunds: refunds.collect(),
        refunded: Some(parts(&settlement.refunded())),
        reversed_by: settlement.reversed_by.clone(),
        create_time: Some(timestamp(settlement.created_at)),
        ledger_position: wire_position(position),
        expire_time: settlement.hold.as_ref().map(|hold| timestamp(hold.expires)),
        hold_end_time: hold_end.map(timestamp),
        held_fen: settlement.held().as_fen(),
    }
}
