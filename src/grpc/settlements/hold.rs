//! Holds and what resolves them; and what became of a lost answer.

use tonic::{Request, Response};

use super::read::{read_hold_for, read_if_applied, read_on_missing, settlement_id_field};
use super::write::{people, state};
use super::{DEFAULT_VIEW, Reply};
use crate::domain::ids::RequestId;
use crate::domain::settlement::Settlement;
use crate::grpc::fields::{Fields, all3};
use crate::grpc::{Service, proto, wire_position};
use crate::ledger::hold::{ConfirmSettlement, HoldSettlement, ReleaseHold};
use crate::ledger::resolve::{Applied, Original, ResolveOutcome, Resolved};
use crate::ledger::settle::Settle;
use crate::ledger::{Failure, OfMade};

impl Service {
    pub(super) async fn hold_bill(
        &self,
        request: Request<proto::HoldSettlementRequest>,
    ) -> Reply<proto::HoldSettlementResponse> {
        let proto::HoldSettlementRequest {
            request_id,
            institution_code,
            patient,
            visit,
            bill,
            paper_authorisations,
            quote_token,
            hold_for,
            explanation_view,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let hold_for = read_hold_for(&mut fields, hold_for, self.ledger.limits.hold_seconds);
        let ask = self.read_ask(&mut fields, &institution_code, patient, visit, bill, paper_authorisations);
        if !fields.is_empty() {
            fields.beside(self.ledger.check_quote_token(&quote_token));
        }
        let ((ask, view, request_id), hold_for) = fields.done(all3(ask, view, request_id).zip(hold_for))?;
        let command = HoldSettlement { settle: Settle { request_id, ask, token: quote_token }, hold_for };
        let mut done = self.ledger.run(&command).await?;
        let known = std::mem::take(&mut done.outcome.names);
        let outcome = &done.outcome;
        let settlement = &outcome.settlement;
        let names =
            self.names_beside(known, people(&settlement.contributions, &settlement.excluded)).await.of_made()?;
        let bill = Some(command.settle.ask.bill.as_ref());
        Ok(Response::new(proto::HoldSettlementResponse {
            settlement: Some(self.settlement(settlement, &names, done.position).await.of_made()?),
            explanation: self.explain(&outcome.trace, &settlement.policies, bill, view).await.of_made()?,
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current_state),
        }))
    }

    pub(super) async fn confirm_hold(
        &self,
        request: Request<proto::ConfirmSettlementRequest>,
    ) -> Reply<proto::ConfirmSettlementResponse> {
        let proto::ConfirmSettlementRequest {
            request_id,
            institution_code,
            settlement_id,
            accounts_fen,
            explanation_view,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let institution = fields.institution("institution_code", &institution_code);
        let id = settlement_id_field(&mut fields, &settlement_id);
        let accounts = fields.optional_money("accounts_fen", accounts_fen);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let read = all3(request_id, institution, id).zip(accounts).zip(view);
        let (((request_id, institution, settlement), accounts), view) = fields.done(read)?;
        let done = self.ledger.run(&ConfirmSettlement { request_id, institution, settlement, accounts }).await?;
        let outcome = &done.outcome;
        Ok(Response::new(proto::ConfirmSettlementResponse {
            settlement: Some(self.named(&outcome.settlement, done.position).await.of_made()?),
            returned_fen: outcome.returned.as_fen(),
            explanation: self.explain(&outcome.trace, &outcome.settlement.policies, None, view).await.of_made()?,
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current_state),
        }))
    }

    pub(super) async fn release_held(
        &self,
        request: Request<proto::ReleaseHoldRequest>,
    ) -> Reply<proto::ReleaseHoldResponse> {
        let proto::ReleaseHoldRequest { request_id, institution_code, settlement_id } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let institution = fields.institution("institution_code", &institution_code);
        let id = settlement_id_field(&mut fields, &settlement_id);
        let (request_id, institution, settlement) = fields.done(all3(request_id, institution, id))?;
        let done = self.ledger.run(&ReleaseHold { request_id, institution, settlement }).await?;
        Ok(Response::new(proto::ReleaseHoldResponse {
            settlement: Some(self.named(&done.outcome.settlement, done.position).await.of_made()?),
            returned_fen: done.outcome.returned.as_fen(),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    pub(super) async fn resolve_lost(
        &self,
        request: Request<proto::ResolveOutcomeRequest>,
    ) -> Reply<proto::ResolveOutcomeResponse> {
        let proto::ResolveOutcomeRequest { request_id, institution_code, original_request_id, on_missing, if_applied } =
            request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let institution = fields.institution("institution_code", &institution_code);
        let original = RequestId::parse(&original_request_id);
        if original.is_none() {
            fields.bad("original_request_id", "must be 1 to 64 visible ASCII characters");
        }
        if original.is_some() && original == request_id {
            fields.bad("original_request_id", "must be another request than this one");
        }
        let fence = read_on_missing(&mut fields, on_missing);
        let reverse = read_if_applied(&mut fields, if_applied);
        let read = all3(request_id, institution, original).zip(fence).zip(reverse);
        let (((request_id, institution, original), fence), reverse) = fields.done(read)?;
        let ask = ResolveOutcome { request_id, institution, original, fence, reverse };
        let done = self.ledger.resolve_outcome(&ask).await?;
        let (outcome, applied) = match done.resolved {
            Resolved::Applied(applied) => (proto::ResolvedOutcome::Applied, Some(applied)),
            Resolved::NotApplied => (proto::ResolvedOutcome::NotApplied, None),
            Resolved::Fenced => (proto::ResolvedOutcome::Fenced, None),
            Resolved::Reversed(applied) => (proto::ResolvedOutcome::Reversed, Some(applied)),
        };
        let method = applied.as_ref().map(method_of).unwrap_or_default();
        let position = done.position.unwrap_or_default();
        let settlement = match applied.as_ref().and_then(|applied| applied.settlement.as_ref()) {
            Some((settlement, changed)) => Some(self.named(settlement, position.max(*changed)).await.of_made()?),
            None => None,
        };
        Ok(Response::new(proto::ResolveOutcomeResponse {
            outcome: outcome as i32,
            original_method: method as i32,
            settlement,
            original_position: wire_position(applied.map(|applied| applied.position).unwrap_or_default()),
            ledger_position: wire_position(position),
            replayed: done.replayed,
        }))
    }

    /// A settlement with the names of those who pay.
    async fn named(&self, settlement: &Settlement, position: u64) -> Result<proto::Settlement, Failure> {
        let names = self.names(people(&settlement.contributions, &settlement.excluded)).await?;
        self.settlement(settlement, &names, position).await
    }
}

fn method_of(applied: &Applied) -> proto::OriginalMethod {
    match applied.original {
        Original::Settle => proto::OriginalMethod::Settle,
        Original::Hold => proto::OriginalMethod::HoldSettlement,
        Original::Confirm => proto::OriginalMethod::ConfirmSettlement,
        Original::Release => proto::OriginalMethod::ReleaseHold,
        Original::Refund(_) => proto::OriginalMethod::RefundSettlement,
        Original::Resolve => proto::OriginalMethod::ResolveOutcome,
    }
}
