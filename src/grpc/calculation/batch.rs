//! `CalculateBatch`: messages of items in, messages of results out, in order. The functions are those of the single methods;
//! nothing is kept from one message to the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use prost::Message as _;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Status, Streaming};

use super::answer::{Asked, Calculation, Trouble, answer};
use crate::grpc::fields::Fields;
use crate::grpc::status::transport;
use crate::grpc::{Service, proto};

/// How many items are calculated before other calls of the thread have their turn.
const TURN: usize = 64;

type Results = Pin<Box<dyn Stream<Item = Result<proto::CalculateBatchResponse, Status>> + Send>>;

pub fn stream(service: Service, requests: Streaming<proto::CalculateBatchRequest>) -> Results {
    Box::pin(requests.then(move |message| {
        let service = service.clone();
        async move { answer_message(&service, message.map_err(|status| reworded(&status))?).await }
    }))
}

/// What the transport says of a message carries no details; it gets the words of its reason.
pub fn reworded(status: &Status) -> Status {
    if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) {
        transport::too_large()
    } else if matches!(status.code(), Code::Cancelled | Code::Unavailable) {
        transport::shutting_down()
    } else {
        transport::malformed()
    }
}

async fn answer_message(
    service: &Service,
    message: proto::CalculateBatchRequest,
) -> Result<proto::CalculateBatchResponse, Status> {
    let asked = Asked {
        book: &service.ledger.book.calculation,
        limits: service.limits.calculation,
        today: service.ledger.now().civil_day(),
        view: proto::ExplanationView::None,
    };
    let most = asked.limits.batch_items as usize;
    if message.items.is_empty() || message.items.len() > most {
        let mut fields = Fields::new();
        fields.bad("items", format!("must be 1 to {most} items"));
        return Err(fields.refuse());
    }
    let mut results = Vec::with_capacity(message.items.len());
    let mut room = asked.limits.answer_bytes as usize;
    for (place, item) in message.items.into_iter().enumerate() {
        if place % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        results.push(within(&mut room, item, &asked));
    }
    Ok(proto::CalculateBatchResponse { results })
}

/// The result of one item as long as there is room for it in the answer; once there is none, nothing more is calculated.
fn within(room: &mut usize, item: proto::CalculationItem, asked: &Asked<'_>) -> proto::CalculationResult {
    let item_id = if *room == 0 {
        item.item_id
    } else {
        let result = answer_item(item, asked);
        match room.checked_sub(result.encoded_len()) {
            Some(left) => {
                *room = left;
                return result;
            }
            None => *room = 0,
        }
        result.item_id
    };
    let error = proto::CalculationError {
        reason: proto::Reason::MessageTooLarge as i32,
        message: "本批结果过大，请减少每条消息的计算项或降低说明的详细程度。".to_owned(),
        ..Default::default()
    };
    proto::CalculationResult { item_id, result: Some(proto::calculation_result::Result::Error(error)) }
}

/// The result of one item, or why there is none; a fault of ours ends that item alone.
pub fn answer_item(item: proto::CalculationItem, asked: &Asked<'_>) -> proto::CalculationResult {
    let proto::CalculationItem { item_id, calculation } = item;
    let calculated = catch_unwind(AssertUnwindSafe(|| calculate(&item_id, calculation, asked)));
    let result = match calculated {
        Ok(Ok(result)) => result,
        Ok(Err(trouble)) => proto::calculation_result::Result::Error(trouble.into()),
        Err(_) => proto::calculation_result::Result::Error(proto::CalculationError {
            reason: proto::Reason::InternalError as i32,
            message: "系统内部错误，请联系管理员。".to_owned(),
            ..Default::default()
        }),
    };
    proto::CalculationResult { item_id, result: Some(result) }
}

fn calculate(
    item_id: &str,
    calculation: Option<proto::calculation_item::Calculation>,
    asked: &Asked<'_>,
) -> Result<proto::calculation_result::Result, Trouble> {
    use proto::calculation_item::Calculation as Item;
    use proto::calculation_result::Result as Found;
    let mut fields = Fields::new();
    fields.optional_code("item_id", item_id);
    if calculation.is_none() {
        fields.bad("calculation", "is required");
    }
    let (Some(calculation), true) = (calculation, fields.is_empty()) else {
        return Err(Trouble::Fields(fields.into_violations()));
    };
    fn one<Q: Calculation>(request: Q, asked: &Asked<'_>, wrap: fn(Q::Response) -> Found) -> Result<Found, Trouble> {
        answer(request, asked).map(wrap)
    }
    match calculation {
        Item::Contribution(request) => one(request, asked, Found::Contribution),
        Item::AccountCredit(request) => one(request, asked, Found::AccountCredit),
        Item::Pension(request) => one(request, asked, Found::Pension),
        Item::Retirement(request) => one(request, asked, Found::Retirement),
        Item::ContributionGap(request) => one(request, asked, Found::ContributionGap),
        Item::Benefits(request) => one(request, asked, Found::Benefits),
        Item::UnemploymentBenefit(request) => one(request, asked, Found::UnemploymentBenefit),
        Item::LifelongMedical(request) => one(request, asked, Found::LifelongMedical),
        Item::TierChange(request) => one(request, asked, Found::TierChange),
        Item::CertificationDue(request) => one(request, asked, Found::CertificationDue),
        Item::InjuryAndPension(request) => one(request, asked, Found::InjuryAndPension),
    }
}
