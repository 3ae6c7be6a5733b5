//! What becomes of a binding after it was filed: verified, put in order, given a quota, released.

use tonic::{Response, Status};

use super::read::{read_party, read_target};
use super::{DEFAULT_VIEW, binding, state};
use crate::grpc::explanation;
use crate::grpc::fields::{Fields, all3};
use crate::grpc::{Service, proto, wire_position};
use crate::ledger::OfMade;
use crate::ledger::quotas::SetQuota;
use crate::ledger::release::ReleaseBinding;
use crate::ledger::verify::{ReorderBindings, VerifyBinding};

type Reply<T> = Result<Response<T>, Status>;

impl Service {
    pub(super) async fn verify(&self, request: proto::VerifyBindingRequest) -> Reply<proto::VerifyBindingResponse> {
        let proto::VerifyBindingRequest { request_id, binding_id, evidence, explanation_view } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let id = fields.binding_id("binding_id", &binding_id);
        if evidence.is_empty() {
            fields.bad("evidence", "is required: the next steps");
        }
        let evidence = self.read_evidence(&mut fields, evidence);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ((request_id, id, evidence), view) = fields.done(all3(request_id, id, evidence).zip(view))?;
        let command = VerifyBinding { caller: self.caller(), request_id, binding: id, evidence };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        let names = self.names(vec![outcome.binding.owner, outcome.binding.beneficiary]).await.of_made()?;
        let now = self.ledger.now();
        Ok(Response::new(proto::VerifyBindingResponse {
            binding: Some(binding(&outcome.binding, &names, done.at, done.position)),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current.state(now.civil_day())),
        }))
    }

    pub(super) async fn quota(&self, request: proto::SetQuotaRequest) -> Reply<proto::SetQuotaResponse> {
        let proto::SetQuotaRequest { request_id, binding_id, quota_fen, evidence, explanation_view } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let id = fields.binding_id("binding_id", &binding_id);
        let wanted = fields.money("quota_fen", quota_fen);
        let evidence = self.read_evidence(&mut fields, evidence);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ((request_id, id, wanted), (evidence, view)) =
            fields.done(all3(request_id, id, wanted).zip(evidence.zip(view)))?;
        let done =
            self.ledger.run(&SetQuota { caller: self.caller(), request_id, binding: id, wanted, evidence }).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        let names = self.names(vec![outcome.binding.owner, outcome.binding.beneficiary]).await.of_made()?;
        let quota_fen = outcome.quota.left().as_fen();
        let binding = binding(&outcome.binding, &names, done.at, done.position);
        Ok(Response::new(proto::SetQuotaResponse {
            binding: Some(proto::Binding { quota_fen, ..binding }),
            owner_account: Some(self.account_after(&outcome.owner, &done).await?),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    pub(super) async fn reorder(
        &self,
        request: proto::ReorderBindingsRequest,
    ) -> Reply<proto::ReorderBindingsResponse> {
        let proto::ReorderBindingsRequest { request_id, beneficiary, binding_ids } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let beneficiary = fields.person("beneficiary", beneficiary);
        // No person has more bindings than this, so a longer list cannot be the right one.
        let most = self.ledger.limits.bindings_per_member as usize;
        if binding_ids.is_empty() || binding_ids.len() > most {
            fields.bad("binding_ids", format!("must be 1 to {most} bindings"));
        }
        let mut order = Vec::new();
        for (place, id) in binding_ids.iter().take(most).enumerate() {
            let field = format!("binding_ids[{place}]");
            if let Some(id) = fields.binding_id(&field, id) {
                if order.contains(&id) {
                    fields.bad(field, "is named twice");
                }
                order.push(id);
            }
        }
        let (request_id, beneficiary) = fields.done(request_id.zip(beneficiary))?;
        let done = self.ledger.run(&ReorderBindings { caller: self.caller(), request_id, beneficiary, order }).await?;
        let parties = done.outcome.iter().flat_map(|binding| [binding.owner, binding.beneficiary]);
        let names = self.names(parties.collect()).await.of_made()?;
        Ok(Response::new(proto::ReorderBindingsResponse {
            bindings: done.outcome.iter().map(|found| binding(found, &names, done.at, done.position)).collect(),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    pub(super) async fn release(&self, request: proto::ReleaseBindingRequest) -> Reply<proto::ReleaseBindingResponse> {
        let proto::ReleaseBindingRequest { request_id, target, requested_by, channel, evidence, explanation_view } =
            request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let target = read_target(&mut fields, target);
        let by = read_party(&mut fields, requested_by);
        let channel = fields.word("channel", channel);
        let evidence = self.read_evidence(&mut fields, evidence);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ((request_id, target, by), (channel, evidence, view)) =
            fields.done(all3(request_id, target, by).zip(all3(channel, evidence, view)))?;
        let command = ReleaseBinding { caller: self.caller(), request_id, target, by, channel, evidence };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let names = self.names(vec![outcome.binding.owner, outcome.binding.beneficiary]).await.of_made()?;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        let now = self.ledger.now();
        Ok(Response::new(proto::ReleaseBindingResponse {
            binding: Some(binding(&outcome.binding, &names, now, done.position)),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current.state(now.civil_day())),
            explanation: explanation::render(&outcome.trace, &basis, view),
        }))
    }
}
