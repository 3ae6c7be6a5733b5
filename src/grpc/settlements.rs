//! SettlementService: the hospital's five minutes.

use std::collections::HashSet;

use tonic::{Request, Response, Status};

use super::enums::{Wire, reason_to_wire};
use super::explanation::{self, Basis};
use super::fields::Fields;
use super::people::Names;
use super::proto::settlement_service_server::SettlementService;
use super::{Service, proto, timestamp, wire_position};
use crate::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use crate::domain::draw::{Contribution, Excluded};
use crate::domain::ids::{MemberId, SettlementId};
use crate::domain::settlement::{Amounts, Parts, RefundAsk, Settlement, SettlementState};
use crate::ledger::Failure;
use crate::ledger::queries::{SettlementKey, SettlementsBy};
use crate::ledger::quote::Quoted;
use crate::ledger::refund::RefundSettlement;
use crate::ledger::settle::{Ask, Paper, Settle};

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
        self.ledger.fresh_enough(position).await?;
        let quote = self.ledger.quote(&ask).await?;
        let decision = &quote.decision;
        let names = self.names(people(&decision.contributions, &decision.excluded)).await?;
        let digests: Vec<[u8; 32]> = quote.policies.iter().map(|policy| policy.revision.digest).collect();
        let policies = self.ledger.revisions_of(&quote.policies);
        let basis = Basis { policies: &policies, digests: &digests, bill: Some(&ask.bill) };
        Ok(Response::new(proto::QuoteSettlementResponse {
            amounts: Some(amounts(&decision.amounts)),
            contributions: contributions(&decision.contributions, &names),
            excluded_payers: excluded(&decision.excluded, &names),
            explanation: explanation::render(&decision.trace, &basis, view),
            quote_token: quote.token.seal(&self.ledger.keys),
            quote_expire_time: Some(timestamp(quote.token.expires)),
            read_position: wire_position(quote.read_at),
        }))
    }

    async fn settle(&self, request: Request<proto::SettleRequest>) -> Reply<proto::SettleResponse> {
        let proto::SettleRequest {
            request_id,
            institution_code,
            patient,
            visit,
            bill,
            paper_authorisations,
            quote_token,
            explanation_view,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let view = fields.explanation_view(explanation_view, DEFAULT_VIEW);
        let ask = self.read_ask(&mut fields, &institution_code, patient, visit, bill, paper_authorisations);
        let (ask, view, request_id) = fields.done(all3(ask, view, request_id))?;
        let token = if quote_token.is_empty() { None } else { Some(Quoted::open(&quote_token, &self.ledger.keys)?) };
        let command = Settle { request_id, ask, token };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let names = self.names(people(&outcome.settlement.contributions, &outcome.settlement.excluded)).await?;
        let digests = &outcome.settlement.policies;
        let policies = self.ledger.revisions(digests).await?;
        let basis = Basis { policies: &policies, digests, bill: Some(&command.ask.bill) };
        Ok(Response::new(proto::SettleResponse {
            settlement: Some(self.settlement(&outcome.settlement, &names, done.position).await?),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current_state),
        }))
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
        let names = self.names(people(&outcome.settlement.contributions, &outcome.settlement.excluded)).await?;
        let returned = outcome.refund.returned.iter().map(|(place, amount)| Contribution {
            amount: *amount,
            ..outcome.settlement.contributions[usize::from(*place)].clone()
        });
        let returned: Vec<Contribution> = returned.collect();
        let digests = &outcome.settlement.policies;
        let policies = self.ledger.revisions(digests).await?;
        let basis = Basis { policies: &policies, digests, bill: None };
        Ok(Response::new(proto::RefundSettlementResponse {
            settlement: Some(self.settlement(&outcome.settlement, &names, done.position).await?),
            returned: contributions(&returned, &names),
            refunded: Some(parts(&outcome.refund.parts)),
            explanation: explanation::render(&outcome.trace, &basis, view),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            current_state: state(outcome.current_state),
        }))
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
        let policies = self.ledger.revisions(digests).await?;
        let rendered = found.basis.as_ref().and_then(|stored| {
            let basis = Basis { policies: &policies, digests, bill: Some(&stored.bill) };
            explanation::render(&stored.trace, &basis, view)
        });
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
        let state = match wanted {
            Wanted::Any => None,
            Wanted::Never => return Ok(Response::new(proto::ListSettlementsResponse::default())),
            Wanted::State(state) => Some(state),
        };
        let (found, next) = self.ledger.list_settlements(&by, day, state, &page).await?;
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

pub(super) fn all3<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}

impl Service {
    fn read_ask(
        &self,
        fields: &mut Fields,
        institution_code: &str,
        patient: Option<proto::MemberRef>,
        visit: Option<proto::Visit>,
        bill: Option<proto::Bill>,
        papers: Vec<proto::PaperAuthorisation>,
    ) -> Option<Ask> {
        let institution = fields.institution("institution_code", institution_code);
        let patient = fields.person("patient", patient);
        let visit = read_visit(fields, visit);
        let bill = self.read_bill(fields, bill);
        let papers = self.read_papers(fields, papers);
        Some(Ask { institution: institution?, patient: patient?, visit: visit?, bill: bill?, papers: papers? })
    }

    fn read_bill(&self, fields: &mut Fields, bill: Option<proto::Bill>) -> Option<Bill> {
        let Some(proto::Bill { total_fen, lines, adjudicated }) = bill else {
            fields.bad("bill", "is required");
            return None;
        };
        let total = fields.positive("bill.total_fen", total_fen);
        let content = match (lines, adjudicated) {
            (lines, None) if !lines.is_empty() => {
                if lines.len() > self.limits.bill_lines as usize {
                    fields.bad("bill.lines", format!("has more than {} lines", self.limits.bill_lines));
                    return None;
                }
                read_lines(fields, lines).map(BillContent::Lines)
            }
            (lines, Some(parts)) if lines.is_empty() => read_adjudicated(fields, parts).map(BillContent::Adjudicated),
            _ => {
                fields.bad("bill", "must have either lines or adjudicated");
                None
            }
        };
        let bill = Bill { total: total?, content: content? };
        let faults = bill.faults();
        let good = faults.is_empty();
        for (field, what) in faults {
            fields.bad(field, what);
        }
        good.then_some(bill)
    }

    fn read_papers(&self, fields: &mut Fields, papers: Vec<proto::PaperAuthorisation>) -> Option<Vec<Paper>> {
        if papers.len() > self.limits.paper_authorisations as usize {
            fields.bad("paper_authorisations", format!("has more than {} entries", self.limits.paper_authorisations));
            return None;
        }
        let read = papers.into_iter().enumerate().map(|(place, paper)| {
            let proto::PaperAuthorisation { owner, user_card, relation, phone, signature_ref } = paper;
            let at = |name: &str| format!("paper_authorisations[{place}].{name}");
            let owner = fields.person(&at("owner"), owner);
            let user_card = fields.code(&at("user_card"), &user_card);
            let relation = fields.word(&at("relation"), relation);
            let phone = fields.code(&at("phone"), &phone);
            let signature_ref = fields.code(&at("signature_ref"), &signature_ref);
            Some(Paper {
                owner: owner?,
                user_card: user_card?,
                relation: relation?,
                phone: phone?,
                signature_ref: signature_ref?,
            })
        });
        // Collected first, so that every entry's fields are looked at.
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

fn read_visit(fields: &mut Fields, visit: Option<proto::Visit>) -> Option<Visit> {
    let Some(proto::Visit { institution_kind, care_region_code, purpose, visit_date, external_refs }) = visit else {
        fields.bad("visit", "is required");
        return None;
    };
    let institution_kind = fields.word("visit.institution_kind", institution_kind);
    let care_region = fields.region("visit.care_region_code", &care_region_code);
    let purpose = fields.word("visit.purpose", purpose);
    let date = fields.day("visit.visit_date", &visit_date);
    let proto::ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no } = external_refs.unwrap_or_default();
    let mdtrt_id = fields.optional_code("visit.external_refs.mdtrt_id", &mdtrt_id);
    let medins_setl_id = fields.optional_code("visit.external_refs.medins_setl_id", &medins_setl_id);
    let msgid = fields.optional_code("visit.external_refs.msgid", &msgid);
    let invoice_no = fields.optional_code("visit.external_refs.invoice_no", &invoice_no);
    let external =
        ExternalRefs { mdtrt_id: mdtrt_id?, medins_setl_id: medins_setl_id?, msgid: msgid?, invoice_no: invoice_no? };
    Some(Visit {
        institution_kind: institution_kind?,
        care_region: care_region?,
        purpose: purpose?,
        date: date?,
        external,
    })
}

fn read_lines(fields: &mut Fields, lines: Vec<proto::Line>) -> Option<Vec<Line>> {
    let mut ids = HashSet::with_capacity(lines.len());
    let mut read = Vec::with_capacity(lines.len());
    let mut good = true;
    for (place, line) in lines.into_iter().enumerate() {
        if !ids.insert(line.line_id.clone()) {
            fields.bad(format!("bill.lines[{place}].line_id"), "is not unique in the bill");
            good = false;
        }
        match read_line(fields, place, line) {
            Some(line) => read.push(line),
            None => good = false,
        }
    }
    good.then_some(read)
}

fn read_line(fields: &mut Fields, place: usize, line: proto::Line) -> Option<Line> {
    let proto::Line {
        line_id,
        item_code,
        item_name,
        category,
        list_class,
        amount_fen,
        over_limit_fen,
        first_self_pay_rate,
    } = line;
    // The path is made only where something is wrong: bills are long and mostly right.
    let before = fields.len();
    let id = fields.code("line_id", &line_id);
    let item_code = fields.code("item_code", &item_code);
    let item_name = fields.text("item_name", &item_name, 128, false);
    let category = fields.word("category", category);
    let class = fields.word("list_class", list_class);
    let amount = fields.money("amount_fen", amount_fen);
    let over_limit = fields.money("over_limit_fen", over_limit_fen);
    let rate = fields.rate("first_self_pay_rate", &first_self_pay_rate);
    fields.place_since(before, &format_args!("bill.lines[{place}]"));
    Some(Line {
        id: id?,
        item_code: item_code?,
        item_name: item_name?,
        category: category?,
        class: class?,
        amount: amount?,
        over_limit: over_limit?,
        first_self_pay_rate: rate?,
    })
}

fn read_adjudicated(fields: &mut Fields, parts: proto::AdjudicatedBill) -> Option<Adjudicated> {
    let proto::AdjudicatedBill {
        fund_fen,
        hospital_part_fen,
        deductible_fen,
        first_self_pay_fen,
        over_limit_fen,
        full_self_pay_fen,
        person_part_fen,
    } = parts;
    let fund = fields.money("bill.adjudicated.fund_fen", fund_fen);
    let hospital_part = fields.money("bill.adjudicated.hospital_part_fen", hospital_part_fen);
    let deductible = fields.money("bill.adjudicated.deductible_fen", deductible_fen);
    let first_self_pay = fields.money("bill.adjudicated.first_self_pay_fen", first_self_pay_fen);
    let over_limit = fields.money("bill.adjudicated.over_limit_fen", over_limit_fen);
    let full_self_pay = fields.money("bill.adjudicated.full_self_pay_fen", full_self_pay_fen);
    let person_part = fields.money("bill.adjudicated.person_part_fen", person_part_fen);
    Some(Adjudicated {
        fund: fund?,
        hospital_part: hospital_part?,
        deductible: deductible?,
        first_self_pay: first_self_pay?,
        over_limit: over_limit?,
        full_self_pay: full_self_pay?,
        person_part: person_part?,
    })
}

fn settlement_id_field(fields: &mut Fields, text: &str) -> Option<SettlementId> {
    let id = SettlementId::parse(text);
    if id.is_none() {
        fields.bad("settlement_id", "must be stl_ and 32 hexadecimal digits");
    }
    id
}

fn read_refund(fields: &mut Fields, what: Option<proto::refund_settlement_request::What>) -> Option<RefundAsk> {
    use proto::refund_settlement_request::What;
    match what {
        Some(What::Whole(true)) => Some(RefundAsk::Whole),
        Some(What::Parts(proto::RefundParts { fund_fen, hospital_part_fen, accounts_fen, cash_fen })) => {
            let fund = fields.money("parts.fund_fen", fund_fen);
            let hospital_part = fields.money("parts.hospital_part_fen", hospital_part_fen);
            let accounts = fields.money("parts.accounts_fen", accounts_fen);
            let cash = fields.money("parts.cash_fen", cash_fen);
            let parts = Parts { fund: fund?, hospital_part: hospital_part?, accounts: accounts?, cash: cash? };
            if parts.is_empty() {
                fields.bad("parts", "must return something");
                return None;
            }
            Some(RefundAsk::Parts(parts))
        }
        Some(What::Whole(false)) | None => {
            fields.bad("what", "is required: whole = true, or parts");
            None
        }
    }
}

fn read_key(fields: &mut Fields, key: Option<proto::get_settlement_request::Key>) -> Option<SettlementKey> {
    use proto::external_key::Ref;
    use proto::get_settlement_request::Key;
    match key {
        Some(Key::SettlementId(id)) => settlement_id_field(fields, &id).map(SettlementKey::Id),
        Some(Key::Request(proto::RequestKey { institution_code, request_id })) => {
            let institution = fields.institution("request.institution_code", &institution_code);
            let request_id = fields.request_id(&request_id);
            Some(SettlementKey::Request(institution?, request_id?))
        }
        Some(Key::External(proto::ExternalKey { institution_code, r#ref })) => {
            let institution = fields.institution("external.institution_code", &institution_code);
            let named = match r#ref {
                Some(Ref::MdtrtId(text)) => Some(("mdtrt_id", text)),
                Some(Ref::MedinsSetlId(text)) => Some(("medins_setl_id", text)),
                Some(Ref::Msgid(text)) => Some(("msgid", text)),
                Some(Ref::InvoiceNo(text)) => Some(("invoice_no", text)),
                None => {
                    fields.bad("external.ref", "is required: one external reference");
                    None
                }
            };
            let (kind, text) = named?;
            let text = fields.code(&format!("external.{kind}"), &text);
            Some(SettlementKey::External(institution?, kind, text?))
        }
        None => {
            fields.bad("key", "is required: settlement_id, request or external");
            None
        }
    }
}

fn read_by(fields: &mut Fields, by: Option<proto::list_settlements_request::By>) -> Option<SettlementsBy> {
    use proto::list_settlements_request::By;
    match by {
        Some(By::InstitutionCode(code)) => {
            fields.institution("institution_code", &code).map(SettlementsBy::Institution)
        }
        Some(By::Patient(patient)) => fields.person("patient", Some(patient)).map(SettlementsBy::Patient),
        Some(By::Owner(owner)) => fields.person("owner", Some(owner)).map(SettlementsBy::Owner),
        None => {
            fields.bad("by", "is required: institution_code, patient or owner");
            None
        }
    }
}

/// What tells one listing from another; goes into a sealed digest only.
fn filter_of(by: &SettlementsBy) -> String {
    match by {
        SettlementsBy::Institution(code) => code.as_str().to_owned(),
        SettlementsBy::Patient(person) | SettlementsBy::Owner(person) => person.parts().1,
    }
}

/// The state a listing asks for. States that this server never gives match nothing.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    Any,
    Never,
    State(SettlementState),
}

fn read_state(fields: &mut Fields, state: Option<i32>) -> Option<Wanted> {
    use proto::SettlementState as S;
    let Some(state) = state else {
        return Some(Wanted::Any);
    };
    match S::try_from(state) {
        Ok(S::Confirmed) => Some(Wanted::State(SettlementState::Confirmed)),
        Ok(S::PartiallyRefunded) => Some(Wanted::State(SettlementState::PartiallyRefunded)),
        Ok(S::Refunded) => Some(Wanted::State(SettlementState::Refunded)),
        Ok(S::Held | S::Released | S::Expired) => Some(Wanted::Never),
        Ok(S::Unspecified) | Err(_) => {
            fields.bad("state", "must be a known value");
            None
        }
    }
}

/// Whose names an answer shows.
fn people(contributions: &[Contribution], excluded: &[Excluded]) -> Vec<MemberId> {
    let paying =
        contributions.iter().filter(|contribution| !contribution.is_own()).map(|contribution| contribution.payer);
    paying.chain(excluded.iter().map(|excluded| excluded.payer)).collect()
}

fn state(state: SettlementState) -> i32 {
    (match state {
        SettlementState::Confirmed => proto::SettlementState::Confirmed,
        SettlementState::PartiallyRefunded => proto::SettlementState::PartiallyRefunded,
        SettlementState::Refunded => proto::SettlementState::Refunded,
    }) as i32
}

fn amounts(amounts: &Amounts) -> proto::Amounts {
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

fn contributions(contributions: &[Contribution], names: &Names) -> Vec<proto::Contribution> {
    use crate::domain::rule::Rule;
    let one = |contribution: &Contribution| {
        let own = contribution.is_own();
        let payer = if own { proto::Payer::Self_ } else { proto::Payer::Relative };
        proto::Contribution {
            payer: payer as i32,
            binding_id: contribution.binding.map(|id| id.to_string()).unwrap_or_default(),
            owner_masked_name: if own { String::new() } else { names.of(contribution.payer) },
            relation: contribution.relation.map(Wire::to_wire).unwrap_or_default(),
            bucket: contribution.bucket.to_wire(),
            amount_fen: contribution.amount.as_fen(),
            refunded_fen: contribution.refunded.as_fen(),
            rule_id: (if own { Rule::OwnDraw } else { Rule::OwnerDraw }).id().to_owned(),
            paper: !own && contribution.binding.is_none(),
        }
    };
    contributions.iter().map(one).collect()
}

pub(super) fn excluded(excluded: &[Excluded], names: &Names) -> Vec<proto::ExcludedPayer> {
    let one = |excluded: &Excluded| proto::ExcludedPayer {
        binding_id: excluded.binding.map(|id| id.to_string()).unwrap_or_default(),
        owner_masked_name: names.of(excluded.payer),
        relation: excluded.relation.to_wire(),
        reason: reason_to_wire(excluded.reason),
        message: excluded.reason.sentence().to_owned(),
    };
    excluded.iter().map(one).collect()
}

fn parts(parts: &Parts) -> proto::RefundParts {
    proto::RefundParts {
        fund_fen: parts.fund.as_fen(),
        hospital_part_fen: parts.hospital_part.as_fen(),
        accounts_fen: parts.accounts.as_fen(),
        cash_fen: parts.cash.as_fen(),
    }
}

impl Service {
    async fn settlement(
        &self,
        settlement: &Settlement,
        names: &Names,
        position: u64,
    ) -> Result<proto::Settlement, Failure> {
        let refunded_at = self.ledger.refund_positions(settlement).await?;
        Ok(to_settlement(settlement, names, position, &refunded_at))
    }
}

fn to_settlement(settlement: &Settlement, names: &Names, position: u64, refunded_at: &[u64]) -> proto::Settlement {
    let Visit { institution_kind, care_region, purpose, date, external } = &settlement.visit;
    let ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no } = external.clone();
    let refunds = settlement.refunds.iter().zip(refunded_at).map(|(refund, position)| proto::Refund {
        request_id: refund.request_id.clone(),
        amounts: Some(parts(&refund.parts)),
        ledger_position: wire_position(*position),
        time: Some(timestamp(refund.at)),
    });
    proto::Settlement {
        settlement_id: settlement.id.to_string(),
        state: state(settlement.state()),
        institution_code: settlement.institution.as_str().to_owned(),
        patient_member_id: settlement.patient.to_string(),
        visit: Some(proto::Visit {
            institution_kind: institution_kind.to_wire(),
            care_region_code: care_region.to_string(),
            purpose: purpose.to_wire(),
            visit_date: date.to_string(),
            external_refs: Some(proto::ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no }),
        }),
        amounts: Some(amounts(&settlement.amounts)),
        contributions: contributions(&settlement.contributions, names),
        excluded_payers: excluded(&settlement.excluded, names),
        refunds: refunds.collect(),
        refunded: Some(parts(&settlement.refunded())),
        reversed_by: String::new(),
        create_time: Some(timestamp(settlement.created_at)),
        ledger_position: wire_position(position),
    }
}

impl From<crate::store::StoreError> for Status {
    fn from(error: crate::store::StoreError) -> Self {
        Failure::from(error).into()
    }
}
