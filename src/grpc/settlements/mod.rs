//! SettlementService: the hospital's five minutes.

mod batch;
mod hold;
mod read;
mod write;

use tonic::{Request, Response, Status, Streaming};

use super::explanation::{self, Basis};
use super::fields::{Fields, all3};
use super::proto::settlement_service_server::SettlementService;
use super::{Service, proto, timestamp, wire_position};
use crate::domain::bill::Bill;
use crate::domain::draw::Contribution;
use crate::domain::rule::Trace;
use crate::domain::wording::Told;
use crate::ledger::Failure;
use crate::ledger::refund::RefundSettlement;
use crate::ledger::settle::{Settle, SettleOutcome};
use crate::ledger::{Begun, Done, OfMade, RestsOn};
use prost::Message as _;
use read::{filter_of, read_by, read_key, read_refund, read_state, settlement_id_field};
use write::{amounts, contributions, parts, people, state};
pub(super) use write::{excluded, left_out};

/// The encoded message, which is what the generated answers hold (`build.rs`); nothing for `NONE`.
fn encoded(trace: &Trace, basis: &Basis<'_>, view: proto::ExplanationView) -> Vec<u8> {
    explanation::render(trace, basis, view).map(|message| message.encode_to_vec()).unwrap_or_default()
}

impl Service {
    /// A summary from ready-made pieces.
    fn summary(
        &self,
        trace: &Trace,
        digests: &[[u8; 32]],
        bill: Option<&Bill>,
        view: proto::ExplanationView,
    ) -> Option<Vec<u8>> {
        if view == proto::ExplanationView::Summary { self.summaries.render(trace, digests, bill) } else { None }
    }

    /// The encoded explanation of what was decided under these policies, now or years ago.
    async fn explain(
        &self,
        trace: &Trace,
        digests: &[[u8; 32]],
        bill: Option<&Bill>,
        view: proto::ExplanationView,
    ) -> Result<Vec<u8>, Failure> {
        if let Some(summary) = self.summary(trace, digests, bill, view) {
            return Ok(summary);
        }
        let policies = self.ledger.revisions(digests).await?;
        Ok(encoded(trace, &self.basis(&policies, digests, bill), view))
    }

    /// One settlement as far as its answer, to be told when what it rests on is durable.
    async fn begin_settle(
        &self,
        request: proto::SettleRequest,
    ) -> Result<(Result<proto::SettleResponse, Failure>, RestsOn), Status> {
        let proto::SettleRequest {
            request_id,
            institution_code,
            patient,
            visit,
            bill,
            paper_authorisations,
            quote_token,
            explanation_view,
        } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ask = self.read_ask(&mut fields, &institution_code, patient, visit, bill, paper_authorisations);
        if !fields.is_empty() {
            fields.beside(self.ledger.check_quote_token(&quote_token));
        }
        let (ask, view, request_id) = fields.done(all3(ask, view, request_id))?;
        let command = Settle { request_id, ask, token: quote_token };
        let Begun { result, rests_on } = self.ledger.begin(&command).await;
        // Put together while all of it is at hand, and told when it may be.
        let answer = match result {
            Ok(done) => self.settled(&command, done, view).await.of_made(),
            Err(failure) => Err(failure),
        };
        Ok((answer, rests_on))
    }

    async fn settled(
        &self,
        command: &Settle,
        done: Done<SettleOutcome>,
        view: proto::ExplanationView,
    ) -> Result<proto::SettleResponse, Failure> {
        let Done { mut outcome, position, replayed, at: _ } = done;
        let known = std::mem::take(&mut outcome.names);
        let names =
            self.names_beside(known, people(&outcome.settlement.contributions, &outcome.settlement.excluded)).await?;
        let digests = &outcome.settlement.policies;
        Ok(proto::SettleResponse {
            settlement: Some(self.settlement(&outcome.settlement, &names, position).await?),
            explanation: self.explain(&outcome.trace, digests, Some(&command.ask.bill), view).await?,
            ledger_position: wire_position(position),
            replayed,
            current_state: state(outcome.current_state),
        })
    }
}

type Reply<T> = Result<Response<T>, Status>;
const DEFAULT_VIEW: proto::ExplanationView = proto::ExplanationView::Summary;

#[tonic::async_trait]
impl SettlementService for Service {
    async fn quote_settlement(
        &self,
        request: Request<proto::QuoteSettlementRequest>,
    ) -> Reply<proto::QuoteSettlementResponse> {
        let proto::QuoteSettlementRequest {
            institution_code,
            patient,
            visit,
            bill,
            paper_authorisations,
            explanation_view,
            min_ledger_position,
        } = request.into_inner();
        let mut fields = Fields::new();
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let position = fields.position(min_ledger_position);
        let ask = self.read_ask(&mut fields, &institution_code, patient, visit, bill, paper_authorisations);
        let (ask, view, position) = fields.done(all3(ask, view, position))?;
        if position > 0 {
            self.ledger.fresh_enough(position).await?;
        }
        let mut quote = self.ledger.quote(&ask).await?;
        let known = std::mem::take(&mut quote.names);
        let decision = &quote.decision;
        let names = self.names_beside(known, people(&decision.contributions, &decision.excluded)).await?;
        let digests: Vec<[u8; 32]> = quote.policies.iter().map(|policy| policy.revision.digest).collect();
        let explanation = match self.summary(&quote.trace, &digests, Some(&ask.bill), view) {
            Some(summary) => summary,
            None => {
                let policies = self.ledger.revisions_of(quote.policies.iter().copied());
                let basis = self.basis(&policies, &digests, Some(&ask.bill));
                encoded(&quote.trace, &basis, view)
            }
        };
        Ok(Response::new(proto::QuoteSettlementResponse {
            amounts: Some(amounts(&decision.amounts)),
            contributions: contributions(&decision.contributions, &names),
            excluded_payers: excluded(&decision.excluded, &names),
            explanation,
            quote_token: quote.token.seal(&self.ledger.keys),
            quote_expire_time: Some(timestamp(quote.token.expires)),
            read_position: wire_position(quote.read_at),
        }))
    }

    async fn settle(&self, request: Request<proto::SettleRequest>) -> Reply<proto::SettleResponse> {
        let (answer, rests_on) = self.begin_settle(request.into_inner()).await?;
        self.ledger.durable(rests_on).await?;
        Ok(Response::new(answer?))
    }

    async fn batch_settle(&self, request: Request<proto::BatchSettleRequest>) -> Reply<proto::BatchSettleResponse> {
        batch::settle(self, request.into_inner()).await.map(Response::new)
    }

    type StreamSettleStream = batch::Results;

    async fn stream_settle(
        &self,
        request: Request<Streaming<proto::StreamSettleRequest>>,
    ) -> Reply<Self::StreamSettleStream> {
        Ok(Response::new(batch::stream(self, request)))
    }

    async fn refund_settlement(
        &self,
        request: Request<proto::RefundSettlementRequest>,
    ) -> Reply<proto::RefundSettlementResponse> {
        let proto::RefundSettlementRequest { request_id, institution_code, settlement_id, what, explanation_view } =
            request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let institution = fields.institution("institution_code", &institution_code);
        let id = settlement_id_field(&mut fields, &settlement_id);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ask = read_refund(&mut fields, what);
        let read = all3(request_id, institution, id).zip(view).zip(ask);
        let (((request_id, institution, settlement_id), view), ask) = fields.done(read)?;
        let done =
            self.ledger.run(&RefundSettlement { request_id, institution, settlement: settlement_id, ask }).await?;
        let outcome = &done.outcome;
        let names =
            self.names(people(&outcome.settlement.contributions, &outcome.settlement.excluded)).await.of_made()?;
        let returned = outcome.refund.returned.iter().map(|(place, amount)| Contribution {
            amount: *amount,
            ..outcome.settlement.contributions[usize::from(*place)].clone()
        });
        let returned: Vec<Contribution> = returned.collect();
        let digests = &outcome.settlement.policies;
        Ok(Response::new(proto::RefundSettlementResponse {
            settlement: Some(self.settlement(&outcome.settlement, &names, done.position).await.of_made()?),
            returned: contributions(&returned, &names),
            refunded: Some(parts(&outcome.refund.parts)),
            explanation: self.explain(&outcome.trace, digests, None, view).await.of_made()?,
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current_state),
        }))
    }

    async fn hold_settlement(
        &self,
        request: Request<proto::HoldSettlementRequest>,
    ) -> Reply<proto::HoldSettlementResponse> {
        self.hold_bill(request).await
    }

    async fn confirm_settlement(
        &self,
        request: Request<proto::ConfirmSettlementRequest>,
    ) -> Reply<proto::ConfirmSettlementResponse> {
        self.confirm_hold(request).await
    }

    async fn release_hold(&self, request: Request<proto::ReleaseHoldRequest>) -> Reply<proto::ReleaseHoldResponse> {
        self.release_held(request).await
    }

    async fn resolve_outcome(
        &self,
        request: Request<proto::ResolveOutcomeRequest>,
    ) -> Reply<proto::ResolveOutcomeResponse> {
        self.resolve_lost(request).await
    }

    async fn get_settlement(
        &self,
        request: Request<proto::GetSettlementRequest>,
    ) -> Reply<proto::GetSettlementResponse> {
        let proto::GetSettlementRequest { key, explanation_view, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let key = read_key(&mut fields, key);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let position = fields.position(min_ledger_position);
        let (key, view, position) = fields.done(all3(key, view, position))?;
        self.ledger.fresh_enough(position).await?;
        let found = self.ledger.settlement(&key).await?;
        let names = self.names(people(&found.settlement.contributions, &found.settlement.excluded)).await?;
        let digests = &found.settlement.policies;
        let rendered = match &found.basis {
            Some(stored) => {
                let confirmation = self.ledger.confirmation(&found.settlement).await?;
                let whole = (!confirmation.steps.is_empty()).then(|| Told::clone(&stored.trace).then(&confirmation));
                self.explain(whole.as_ref().unwrap_or(&stored.trace), digests, Some(&stored.bill), view).await?
            }
            None => Vec::new(),
        };
        Ok(Response::new(proto::GetSettlementResponse {
            settlement: Some(self.settlement(&found.settlement, &names, found.position).await?),
            explanation: rendered,
        }))
    }

    async fn list_settlements(
        &self,
        request: Request<proto::ListSettlementsRequest>,
    ) -> Reply<proto::ListSettlementsResponse> {
        let proto::ListSettlementsRequest { by, on, state: wanted, page_size, page_token, min_ledger_position } =
            request.into_inner();
        let mut fields = Fields::new();
        let by = read_by(&mut fields, by);
        let day = fields.optional_day("on", &on);
        let wanted = read_state(&mut fields, wanted);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let position = fields.position(min_ledger_position);
        let (by, size, position, day, wanted) = fields.done(
            all3(by, size, position)
                .zip(day)
                .zip(wanted)
                .map(|(((by, size, position), day), wanted)| (by, size, position, day, wanted)),
        )?;
        let head = self.ledger.fresh_enough(position).await?;
        let filter = format!("settlements {by:?} {on} {wanted:?} {}", filter_of(&by));
        let page = self.ledger.page(&page_token, filter.as_bytes(), size, head)?;
        let (found, next) = self.ledger.list_settlements(&by, day, wanted, &page).await?;
        let everybody = found.iter().flat_map(|view| people(&view.settlement.contributions, &view.settlement.excluded));
        let names = self.names(everybody.collect()).await?;
        let mut settlements = Vec::with_capacity(found.len());
        for view in &found {
            settlements.push(self.settlement(&view.settlement, &names, view.position).await?);
        }
        Ok(Response::new(proto::ListSettlementsResponse {
            settlements,
            next_page_token: next.map(|after| self.ledger.next_page(&page, after)).unwrap_or_default(),
        }))
    }
}
