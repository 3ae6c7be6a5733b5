//! BindingService: who may use whose account.

mod read;
mod write;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::enums::{Wire, to_wire_all};
use super::explanation;
use super::fields::{Fields, all3};
use super::people::Names;
use super::proto::binding_service_server::BindingService;
use super::settlements::{excluded, left_out};
use super::{Service, proto, timestamp, wire_position};
use crate::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Visit};
use crate::domain::binding::{Binding, BindingState};
use crate::domain::ids::InstitutionCode;
use crate::domain::money::Money;
use crate::domain::policy::Policy;
use crate::domain::time::Moment;
use crate::domain::vocabulary::InstitutionKind;
use crate::ledger::bindings::CreateBinding;
use crate::ledger::queries::{BindingFilter, BindingView};
use crate::ledger::settle::Ask;
use crate::ledger::{Failure, OfMade};

use read::{FilingFields, Wanted, read_state};

type Reply<T> = Result<Response<T>, Status>;
const DEFAULT_VIEW: proto::ExplanationView = proto::ExplanationView::Full;

#[tonic::async_trait]
impl BindingService for Service {
    async fn check_binding(&self, request: Request<proto::CheckBindingRequest>) -> Reply<proto::CheckBindingResponse> {
        let proto::CheckBindingRequest {
            owner,
            beneficiary,
            relation,
            relation_detail,
            channel,
            evidence,
            start_date,
            last_day,
            caps,
            priority,
            explanation_view,
            min_ledger_position,
            grants,
        } = request.into_inner();
        let mut fields = Fields::new();
        let filing = FilingFields {
            owner,
            beneficiary,
            relation,
            relation_detail,
            channel,
            evidence,
            start_date,
            last_day,
            caps,
            priority,
            grants,
        };
        let ask = self.read_filing(&mut fields, filing);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let position = fields.position(min_ledger_position);
        let (ask, view, position) = fields.done(all3(ask, view, position))?;
        self.ledger.fresh_enough(position).await?;
        let answer = self.ledger.check_binding(&ask).await?;
        let decision = &answer.decision;
        let (policies, digests) = self.rendering(&answer.policies);
        let basis = self.basis(&policies, &digests, None);
        let yes = decision.reasons.is_empty();
        Ok(Response::new(proto::CheckBindingResponse {
            decision: (if yes { proto::Decision::Yes } else { proto::Decision::No }) as i32,
            reasons: explanation::reason_notes(&decision.reasons),
            missing_evidence: decision.missing.clone(),
            grants: if yes { to_wire_all(&decision.grants) } else { Vec::new() },
            explanation: explanation::render(&self.ledger.tell(decision.trace.clone()), &basis, view),
            pending_evidence: decision.pending.clone(),
            start_date: if yes { decision.start.to_string() } else { String::new() },
        }))
    }

    async fn create_binding(
        &self,
        request: Request<proto::CreateBindingRequest>,
    ) -> Reply<proto::CreateBindingResponse> {
        let proto::CreateBindingRequest {
            request_id,
            owner,
            beneficiary,
            relation,
            relation_detail,
            channel,
            evidence,
            start_date,
            last_day,
            caps,
            priority,
            explanation_view,
            grants,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let filing = FilingFields {
            owner,
            beneficiary,
            relation,
            relation_detail,
            channel,
            evidence,
            start_date,
            last_day,
            caps,
            priority,
            grants,
        };
        let ask = self.read_filing(&mut fields, filing);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let (request_id, ask, view) = fields.done(all3(request_id, ask, view))?;
        let done = self.ledger.run(&CreateBinding { caller: self.caller(), request_id, ask }).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        let names = self.names(vec![outcome.binding.owner, outcome.binding.beneficiary]).await.of_made()?;
        let now = self.ledger.now();
        Ok(Response::new(proto::CreateBindingResponse {
            // As it was answered first; what has become of it since stands in `current_state`.
            binding: Some(binding(&outcome.binding, &names, done.at, done.position)),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current.state(now.civil_day())),
        }))
    }

    async fn verify_binding(
        &self,
        request: Request<proto::VerifyBindingRequest>,
    ) -> Reply<proto::VerifyBindingResponse> {
        self.verify(request.into_inner()).await
    }

    async fn set_quota(&self, request: Request<proto::SetQuotaRequest>) -> Reply<proto::SetQuotaResponse> {
        self.quota(request.into_inner()).await
    }

    async fn reorder_bindings(
        &self,
        request: Request<proto::ReorderBindingsRequest>,
    ) -> Reply<proto::ReorderBindingsResponse> {
        self.reorder(request.into_inner()).await
    }

    async fn release_binding(
        &self,
        request: Request<proto::ReleaseBindingRequest>,
    ) -> Reply<proto::ReleaseBindingResponse> {
        self.release(request.into_inner()).await
    }

    async fn get_binding(&self, request: Request<proto::GetBindingRequest>) -> Reply<proto::GetBindingResponse> {
        let proto::GetBindingRequest { binding_id, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let id = fields.binding_id("binding_id", &binding_id);
        let position = fields.position(min_ledger_position);
        let (id, position) = fields.done(id.zip(position))?;
        self.ledger.fresh_enough(position).await?;
        let found = self.ledger.binding(id).await?;
        let names = self.names(vec![found.binding.owner, found.binding.beneficiary]).await?;
        let binding = shown(&found, &names, self.ledger.now());
        Ok(Response::new(proto::GetBindingResponse { binding: Some(binding) }))
    }

    async fn list_bindings(&self, request: Request<proto::ListBindingsRequest>) -> Reply<proto::ListBindingsResponse> {
        use proto::list_bindings_request::Party;
        let proto::ListBindingsRequest { party, state: wanted, on, page_size, page_token, min_ledger_position } =
            request.into_inner();
        let mut fields = Fields::new();
        let party = match party {
            Some(Party::Owner(owner)) => fields.person("owner", Some(owner)).map(|person| (true, person)),
            Some(Party::Beneficiary(person)) => {
                fields.person("beneficiary", Some(person)).map(|person| (false, person))
            }
            None => {
                fields.bad("party", "is required: owner or beneficiary");
                None
            }
        };
        let wanted = read_state(&mut fields, wanted);
        let on_day = fields.optional_day("on", &on);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let position = fields.position(min_ledger_position);
        let ((party, wanted, on_day), (size, position)) =
            fields.done(all3(party, wanted, on_day).zip(size.zip(position)))?;
        let head = self.ledger.fresh_enough(position).await?;
        let member = self.ledger.member(&party.1).await?.member.id;
        let filter = format!("bindings {} {member} {wanted:?} {on}", party.0);
        let page = self.ledger.page(&page_token, filter.as_bytes(), size, head)?;
        let now = self.ledger.now();
        let state = match wanted {
            Wanted::Any => None,
            Wanted::State(state) => Some(state),
        };
        let (found, next) = self
            .ledger
            .list_bindings(party.0, member, BindingFilter { state, today: now.civil_day(), on: on_day }, &page)
            .await?;
        let parties = found.iter().flat_map(|view| [view.binding.owner, view.binding.beneficiary]);
        let names = self.names(parties.collect()).await?;
        Ok(Response::new(proto::ListBindingsResponse {
            bindings: found.iter().map(|view| shown(view, &names, now)).collect(),
            next_page_token: next.map(|after| self.ledger.next_page(&page, after)).unwrap_or_default(),
        }))
    }

    async fn list_payers(&self, request: Request<proto::ListPayersRequest>) -> Reply<proto::ListPayersResponse> {
        let proto::ListPayersRequest {
            patient,
            visit_date,
            purpose,
            person_part_fen,
            explanation_view,
            min_ledger_position,
        } = request.into_inner();
        let mut fields = Fields::new();
        let patient = fields.person("patient", patient);
        let day = fields.optional_day("visit_date", &visit_date);
        if let Some(Some(day)) = day {
            fields.beside(self.ledger.check_day("visit_date", day, self.ledger.now().civil_day()));
        }
        let purpose = fields.word("purpose", purpose);
        let amount = fields.positive("person_part_fen", person_part_fen);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let position = fields.position(min_ledger_position);
        let ((patient, day, purpose), (amount, view, position)) =
            fields.done(all3(patient, day, purpose).zip(all3(amount, view, position)))?;
        self.ledger.fresh_enough(position).await?;
        let date = day.unwrap_or_else(|| self.ledger.now().civil_day());
        let member = self.ledger.member(&patient).await?.member;
        let institution = InstitutionCode::parse("LIST-PAYERS").ok_or(Failure::Bug("a fixed code is not a code"))?;
        let visit = Visit {
            institution_kind: InstitutionKind::Level1,
            care_region: member.insurance.region,
            purpose,
            date,
            external: ExternalRefs::default(),
        };
        let ask = Ask {
            institution,
            patient,
            visit,
            bill: person_part(amount).into(),
            papers: Vec::new(),
            day_given: day.is_some(),
        };
        let (draw, trace, used, _) = self.ledger.payers(&ask).await?;
        let owners = draw.contributions.iter().filter(|paid| !paid.is_own()).map(|paid| paid.payer);
        let names = self.names(owners.chain(left_out(&draw.excluded)).collect()).await?;
        let mut payers: Vec<proto::PayerOffer> = Vec::new();
        for paid in &draw.contributions {
            let binding_id = paid.binding.map(|id| id.to_string()).unwrap_or_default();
            match payers.iter_mut().find(|payer| payer.binding_id == binding_id) {
                Some(payer) => payer.can_pay_fen += paid.amount.as_fen(),
                None => payers.push(proto::PayerOffer {
                    binding_id,
                    masked_owner: if paid.is_own() { String::new() } else { names.of(paid.payer) },
                    relation: paid.relation.map(Wire::to_wire).unwrap_or_default(),
                    can_pay_fen: paid.amount.as_fen(),
                    order: i32::try_from(payers.len() + 1).unwrap_or(i32::MAX),
                }),
            }
        }
        let (policies, digests) = self.rendering(&used);
        let basis = self.basis(&policies, &digests, None);
        // The working shows balances, which are the owners' own affair: only the summary goes out.
        let view = if view == proto::ExplanationView::None { view } else { proto::ExplanationView::Summary };
        Ok(Response::new(proto::ListPayersResponse {
            total_can_pay_fen: (draw.own + draw.mutual_aid).as_fen(),
            cash_fen: draw.cash.as_fen(),
            excluded_payers: excluded(&draw.excluded, &names),
            explanation: explanation::render(&trace, &basis, view),
            payers,
        }))
    }
}

/// The person's part of a bill decided elsewhere, all of it co-payment.
fn person_part(amount: Money) -> Bill {
    let zero = Money::ZERO;
    let parts = Adjudicated {
        fund: zero,
        hospital_part: zero,
        deductible: zero,
        first_self_pay: zero,
        over_limit: zero,
        full_self_pay: zero,
        person_part: amount,
    };
    Bill { total: amount, content: BillContent::Adjudicated(parts) }
}

impl Service {
    pub(in crate::grpc) fn rendering(
        &self,
        policies: &[Arc<Policy>],
    ) -> (Vec<Arc<crate::store::entity::StoredPolicy>>, Vec<[u8; 32]>) {
        let digests = policies.iter().map(|policy| policy.revision.digest).collect();
        (self.ledger.revisions_of(policies), digests)
    }
}

fn state(state: BindingState) -> i32 {
    (match state {
        BindingState::Pending => proto::BindingState::PendingVerification,
        BindingState::Active => proto::BindingState::Active,
        BindingState::Released => proto::BindingState::Released,
        BindingState::Ended => proto::BindingState::Ended,
    }) as i32
}

/// A binding with what is left of its quota.
fn shown(view: &BindingView, names: &Names, now: Moment) -> proto::Binding {
    proto::Binding { quota_fen: view.quota.as_fen(), ..binding(&view.binding, names, now, view.position) }
}

fn binding(binding: &Binding, names: &Names, now: Moment, position: u64) -> proto::Binding {
    let created = Moment::from_micros(i64::try_from(binding.id.as_u128() >> 80).unwrap_or_default() * 1000);
    let fen = |amount: Option<Money>| amount.map(Money::as_fen);
    proto::Binding {
        binding_id: binding.id.to_string(),
        owner_member_id: binding.owner.to_string(),
        beneficiary_member_id: binding.beneficiary.to_string(),
        owner_masked_name: names.of(binding.owner),
        beneficiary_masked_name: names.of(binding.beneficiary),
        relation: binding.relation.to_wire(),
        relation_detail: binding.relation_detail.clone(),
        channel: binding.channel.to_wire(),
        // References may be document numbers: they are kept, not shown.
        evidence: binding
            .evidence
            .iter()
            .map(|evidence| proto::Evidence {
                r#type: evidence.kind.clone(),
                reference: String::new(),
                digest: evidence.digest.clone(),
            })
            .collect(),
        grants: to_wire_all(&binding.grants),
        state: state(binding.state(now.civil_day())),
        start_date: binding.start.to_string(),
        last_day: binding.last_day.map(|day| day.to_string()).unwrap_or_default(),
        caps: (!binding.caps.is_none()).then(|| proto::Caps {
            per_settlement_fen: fen(binding.caps.per_settlement),
            per_day_fen: fen(binding.caps.per_day),
            per_year_fen: fen(binding.caps.per_year),
        }),
        priority: i32::try_from(binding.priority).unwrap_or_default(),
        owner_region_code: binding.owner_region.to_string(),
        beneficiary_region_code: binding.beneficiary_region.to_string(),
        create_time: Some(timestamp(created)),
        release_time: binding.released().map(|(release, _)| timestamp(release.at)),
        ledger_position: wire_position(position),
        pending_evidence: binding.missing().to_vec(),
        release_effective_date: binding.released().map(|(_, from)| from.to_string()).unwrap_or_default(),
        quota_fen: 0,
    }
}
