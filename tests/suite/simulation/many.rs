//! Calls of many items, on the wire: what a client writes and reads, through the services themselves. An item is the same
//! call as one by itself, so the auditor predicts each by itself; which of them comes first nobody promises.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use gongji::domain::bill::{Adjudicated, Bill, BillContent, ExternalRefs, Line, Visit};
use gongji::domain::ids::{BindingId, MemberId, SettlementId};
use gongji::domain::reason::Reason;
use gongji::domain::time::day_text;
use gongji::domain::vocabulary::{Bucket, Relation};
use gongji::grpc::enums::{Wire, reason_to_wire};
use gongji::grpc::proto::account_service_server::AccountService;
use gongji::grpc::proto::member_service_server::MemberService;
use gongji::grpc::proto::settlement_service_server::SettlementService;
use gongji::grpc::{Service, proto};
use gongji::ledger::Failure;
use gongji::ledger::failure::{Thing, Violation};
use http_body::{Body, Frame};
use prost::Message;
use tokio_stream::StreamExt;
use tonic::codec::Codec;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::bend::Tamper;
use super::op::{Answer, Bought, Named, Op, Reply, Told, What, card};
use super::stage::Stage;
use super::store::Turns;
use crate::process::id_number;
use crate::support::as_status;

/// How many are sent in one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    BatchSettle,
    StreamSettle,
    ImportMembers,
    ImportCredits,
}

/// One result of many: the request id that it names, and what came of that item.
pub type Came = (String, Result<Answer, Failure>);

/// Sends them all, and reads what came of each.
pub async fn send(
    service: &Service,
    stage: &Arc<Stage>,
    tamper: &Tamper,
    way: Way,
    items: &[Arc<Op>],
) -> Result<Vec<Came>, Failure> {
    let mut items: Vec<Op> = items.iter().map(|item| item.as_ref().clone()).collect();
    if let Some(bend) = tamper.items {
        bend(&mut items);
    }
    let mut came = match way {
        Way::BatchSettle => {
            let items = items.iter().map(settle).collect();
            let answer = service.batch_settle(Request::new(proto::BatchSettleRequest { items })).await;
            answer.map_err(|status| failure(&status))?.into_inner().results.into_iter().map(settled).collect()
        }
        Way::StreamSettle => {
            let messages = items.iter().map(|item| proto::StreamSettleRequest { item: Some(settle(item)) });
            let answers = service.stream_settle(streamed(stage, messages)).await.map_err(|status| failure(&status))?;
            let mut answers = pin!(answers.into_inner());
            let mut came = Vec::new();
            while let Some(answer) = answers.next().await {
                came.push(settled(answer.map_err(|status| failure(&status))?.result.unwrap_or_default()));
            }
            came
        }
        Way::ImportMembers => {
            let messages = items.iter().map(|item| proto::ImportMembersRequest { row: Some(create(item)) });
            let answer = service.import_members(streamed(stage, messages)).await.map_err(|status| failure(&status))?;
            let proto::ImportMembersResponse { results, stopped } = answer.into_inner();
            imported(results, stopped)?
        }
        Way::ImportCredits => {
            let messages = items.iter().map(|item| proto::ImportCreditsRequest { row: Some(credit(item)) });
            let answer = service.import_credits(streamed(stage, messages)).await.map_err(|status| failure(&status))?;
            let proto::ImportCreditsResponse { results, stopped } = answer.into_inner();
            imported(results, stopped)?
        }
    };
    if let Some(bend) = tamper.came {
        bend(&mut came);
    }
    Ok(came)
}

/// What a client of the wire can know of a reply.
pub fn on_the_wire(reply: &Reply) -> Reply {
    match reply {
        Reply::Settled { id, told } => Reply::Settled { id: *id, told: shown(told.clone()) },
        Reply::Member { id, .. } | Reply::Account { id, .. } => Reply::Row { id: *id },
        other => other.clone(),
    }
}

/// Relatives are known by their binding, and a contribution's year is the ledger's own.
fn shown(mut told: Told) -> Told {
    let nobody = MemberId::from_u128(0);
    for paid in &mut told.paid {
        paid.0 = if paid.2.is_none() { paid.0 } else { nobody };
        paid.4 = 0;
    }
    told.excluded.iter_mut().for_each(|excluded| excluded.0 = nobody);
    told
}

fn person(named: Named) -> Option<proto::MemberRef> {
    use proto::member_ref::Ref;
    let named = match named {
        Named::Id(id) => Ref::MemberId(id.to_text()),
        Named::Card(number) => Ref::CardNumber(card(number)),
    };
    Some(proto::MemberRef { r#ref: Some(named) })
}

fn settle(item: &Op) -> proto::SettleRequest {
    let What::Settle(bought, _) = &item.what else { unreachable!("only settlements are planned here") };
    let Bought { institution, patient, visit, bill, papers, card: number } = bought;
    let paper = |(owner, relation): &(MemberId, Relation)| proto::PaperAuthorisation {
        owner: person(Named::Id(*owner)),
        user_card: card(*number),
        relation: relation.to_wire(),
        phone: "13800000000".to_owned(),
        signature_ref: "sig".to_owned(),
    };
    proto::SettleRequest {
        request_id: item.id.clone(),
        institution_code: (*institution).to_owned(),
        patient: person(*patient),
        visit: Some(visited(visit)),
        bill: Some(billed(bill)),
        paper_authorisations: papers.iter().map(paper).collect(),
        quote_token: String::new(),
        explanation_view: proto::ExplanationView::None as i32,
    }
}

fn visited(visit: &Visit) -> proto::Visit {
    let ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no } = visit.external.clone();
    proto::Visit {
        institution_kind: visit.institution_kind.to_wire(),
        care_region_code: visit.care_region.to_text(),
        purpose: visit.purpose.to_wire(),
        visit_date: day_text(visit.date),
        external_refs: Some(proto::ExternalRefs { mdtrt_id, medins_setl_id, msgid, invoice_no }),
    }
}

fn billed(bill: &Bill) -> proto::Bill {
    let (mut lines, mut adjudicated) = (Vec::new(), None);
    match &bill.content {
        BillContent::Lines(of_bill) => lines.extend(of_bill.iter().map(line)),
        BillContent::Adjudicated(parts) => {
            let Adjudicated { fund, hospital_part, deductible, first_self_pay, over_limit, full_self_pay, person_part } =
                parts;
            adjudicated = Some(proto::AdjudicatedBill {
                fund_fen: fund.as_fen(),
                hospital_part_fen: hospital_part.as_fen(),
                deductible_fen: deductible.as_fen(),
                first_self_pay_fen: first_self_pay.as_fen(),
                over_limit_fen: over_limit.as_fen(),
                full_self_pay_fen: full_self_pay.as_fen(),
                person_part_fen: person_part.as_fen(),
            });
        }
    }
    proto::Bill { total_fen: bill.total.as_fen(), lines, adjudicated }
}

fn line(line: &Line) -> proto::Line {
    proto::Line {
        line_id: line.id.clone(),
        item_code: line.item_code.clone(),
        item_name: line.item_name.clone(),
        category: line.category.to_wire(),
        list_class: line.class.to_wire(),
        amount_fen: line.amount.as_fen(),
        over_limit_fen: line.over_limit.as_fen(),
        first_self_pay_rate: line.first_self_pay_rate.map(|rate| rate.to_string()).unwrap_or_default(),
    }
}

fn create(item: &Op) -> proto::CreateMemberRequest {
    let What::Create { number, insurance } = &item.what else { unreachable!("only members are planned here") };
    proto::CreateMemberRequest {
        request_id: item.id.clone(),
        name: format!("张{number}"),
        id_number: id_number(*number),
        card_number: Some(card(*number)),
        insurance: Some(proto::Insurance {
            scheme: insurance.scheme.to_wire(),
            tier: insurance.tier.clone(),
            state: insurance.state.to_wire(),
            region_code: insurance.region.to_text(),
            has_account: insurance.has_account,
            start_date: String::new(),
        }),
        ..proto::CreateMemberRequest::default()
    }
}

fn credit(item: &Op) -> proto::CreditAccountRequest {
    let What::Credit { who, bucket, fen } = &item.what else { unreachable!("only credits are planned here") };
    let kind = if *fen < 0 { proto::CreditKind::Correction } else { proto::CreditKind::Monthly };
    proto::CreditAccountRequest {
        request_id: item.id.clone(),
        member: person(*who),
        bucket: bucket.to_wire(),
        amount_fen: *fen,
        kind: kind as i32,
        note_ref: String::new(),
    }
}

fn settled(result: proto::SettleResult) -> Came {
    use proto::settle_result::Result as Is;
    let came = match result.result {
        Some(Is::Response(response)) => read(response).ok_or(Failure::Bug("an answer of an item cannot be read")),
        Some(Is::Error(error)) => Err(failure(&as_status(&error))),
        None => Err(Failure::Bug("an item has neither answer nor error")),
    };
    (result.request_id, came)
}

fn read(response: proto::SettleResponse) -> Option<Answer> {
    let settlement = response.settlement?;
    let amounts = settlement.amounts?;
    let patient = MemberId::parse(&settlement.patient_member_id)?;
    let split = [
        amounts.total_fen,
        amounts.full_self_pay_fen,
        amounts.over_limit_fen,
        amounts.first_self_pay_fen,
        amounts.in_scope_fen,
        amounts.deductible_fen,
        amounts.fund_fen,
        amounts.hospital_part_fen,
        amounts.person_part_fen,
    ];
    let paid = settlement.contributions.iter().map(|paid| {
        let relation = Relation::from_wire(paid.relation);
        let payer = if relation.is_none() { patient } else { MemberId::from_u128(0) };
        let bucket = Bucket::from_wire(paid.bucket)?;
        Some((payer, BindingId::parse(&paid.binding_id), relation, bucket, 0, paid.amount_fen, paid.refunded_fen))
    });
    let excluded = settlement.excluded_payers.iter().map(|excluded| {
        let reason = Reason::ALL.iter().find(|reason| reason_to_wire(**reason) == excluded.reason)?;
        Some((MemberId::from_u128(0), BindingId::parse(&excluded.binding_id), *reason))
    });
    let told = Told {
        split,
        own: amounts.own_account_fen,
        aid: amounts.mutual_aid_fen,
        cash: amounts.cash_fen,
        paid: paid.collect::<Option<_>>()?,
        excluded: excluded.collect::<Option<_>>()?,
    };
    let reply = Reply::Settled { id: SettlementId::parse(&settlement.settlement_id)?, told };
    let position = u64::try_from(response.ledger_position).ok()?;
    Some(Answer { reply, position, replayed: response.replayed, quoted: None })
}

fn imported(results: Vec<proto::ImportResult>, stopped: Option<tonic_types::Status>) -> Result<Vec<Came>, Failure> {
    use proto::import_result::Result as Is;
    if let Some(stopped) = stopped {
        return Err(failure(&as_status(&stopped)));
    }
    let came = |result: proto::ImportResult| {
        let came = match result.result {
            Some(Is::Imported(row)) => {
                let read = MemberId::parse(&row.member_id).zip(u64::try_from(row.ledger_position).ok());
                let answer = |(id, position)| Answer {
                    reply: Reply::Row { id },
                    position,
                    replayed: row.replayed,
                    quoted: None,
                };
                read.map(answer).ok_or(Failure::Bug("a row of an import cannot be read"))
            }
            Some(Is::Error(error)) => Err(failure(&as_status(&error))),
            None => Err(Failure::Bug("a row has neither answer nor error")),
        };
        (result.request_id, came)
    };
    Ok(results.into_iter().map(came).collect())
}

/// A status as the failure that it was made of, as far as the auditor tells failures apart.
pub fn failure(status: &Status) -> Failure {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else { return Failure::Bug("an error says no reason") };
    match info.reason.as_str() {
        "INVALID_FIELDS" => {
            let bad = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
            let one = |bad: tonic_types::FieldViolation| Violation { field: bad.field, description: bad.description };
            Failure::Invalid(bad.into_iter().map(one).collect())
        }
        "MEMBER_NOT_FOUND" => Failure::NotFound(Thing::Member),
        "ACCOUNT_NOT_FOUND" => Failure::NotFound(Thing::Account),
        "REQUEST_ID_REUSED" => Failure::RequestIdReused(Vec::new()),
        "MEMBER_ALREADY_EXISTS" => Failure::MemberExists,
        "CONTENTION" => Failure::Contention,
        "STORE_UNAVAILABLE" => Failure::StoreUnavailable,
        "OUTCOME_UNKNOWN" => Failure::OutcomeUnknown,
        _ => {
            let Some(names) = info.metadata.get("reasons") else {
                return Failure::Bug("an error is none that an item may have");
            };
            let known = |name| Reason::ALL.iter().copied().find(|reason| reason.name() == name);
            match names.split(',').map(known).collect() {
                Some(reasons) => Failure::Refused(reasons),
                None => Failure::Bug("a reason is none that an item may have"),
            }
        }
    }
}

/// A request that streams messages, with pauses between them.
fn streamed<M>(stage: &Arc<Stage>, messages: impl Iterator<Item = M>) -> Request<Streaming<M>>
where
    M: Message + Default + 'static,
{
    let frame = |message: M| {
        let mut frame = BytesMut::new();
        // Not compressed, and so many bytes.
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.encoded_len()).expect("a short message"));
        message.encode(&mut frame).expect("a buffer grows");
        frame.freeze()
    };
    let frames = Frames { stage: stage.clone(), frames: messages.map(frame).collect(), pause: Turns(0) };
    let decoder = ProstCodec::<M, M>::default().decoder();
    Request::new(Streaming::new_request(decoder, frames, None, None))
}

struct Frames {
    stage: Arc<Stage>,
    frames: VecDeque<Bytes>,
    pause: Turns,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        if Pin::new(&mut self.pause).poll(context).is_pending() {
            return Poll::Pending;
        }
        let pause = self.stage.state().dice.roll(3);
        self.pause = Turns(pause);
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(Frame::data(frame))))
    }
}
