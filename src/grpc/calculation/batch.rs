//! `CalculateBatch`: messages of items in, messages of results out, in order. The functions are those of the single methods;
//! nothing is kept from one message to the next. A large message is decoded, calculated and encoded item by item on threads
//! of their own, so that other calls of the connection's thread do not wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use bytes::Bytes;
use jiff::civil::Date;
use prost::Message as _;
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

use super::answer::{self, Asked, Calculation, Trouble, answer};
use crate::grpc::bulk::reworded;
use crate::grpc::fields::Fields;
use crate::grpc::items::Many;
use crate::grpc::status::transport;
use crate::grpc::wire::{bytes, put_message, put_text};
use crate::grpc::{Service, proto, status};
use crate::ledger::{Failure, Violation};

/// So many items are calculated at once by the thread that serves the connection: asking others costs more.
const INLINE: usize = 32;

/// Into how many parts a larger message is cut; no more of all messages are worked on at a time than there are processors.
const SHARES: usize = 8;

const INTERNAL: &str = "系统内部错误，请联系管理员。";

type Results = Pin<Box<dyn Stream<Item = Result<proto::CalculateBatchResponse, Status>> + Send>>;

pub fn stream(service: Service, requests: Streaming<proto::CalculateBatchRequest>) -> Results {
    Box::pin(requests.then(move |message| {
        let service = service.clone();
        async move { answer_message(&service, message.map_err(|status| reworded(&status))?).await }
    }))
}

async fn answer_message(
    service: &Service,
    message: proto::CalculateBatchRequest,
) -> Result<proto::CalculateBatchResponse, Status> {
    let limits = service.limits.calculation;
    let most = limits.batch_items as usize;
    let items = message.items;
    if items.is_empty() || items.len() > most {
        let mut fields = Fields::new();
        fields.bad("items", format!("must be 1 to {most} items"));
        return Err(fields.refuse());
    }
    let today = service.ledger.now().civil_day();
    let mut room = limits.answer_bytes as usize;
    let mut results = Vec::with_capacity(items.len());
    if items.len() <= INLINE {
        fill(service, today, &items, &mut room, &mut results);
        return Ok(answered(service, results));
    }
    let share = items.len().div_ceil(SHARES).max(INLINE);
    let mut shares = Vec::with_capacity(SHARES);
    for share in items.chunks(share) {
        let place = service.calculating.clone().acquire_owned().await.map_err(|_| transport::shutting_down())?;
        let (service, share, mut room) = (service.clone(), share.to_vec(), room);
        shares.push(tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut results = Vec::with_capacity(share.len());
            fill(&service, today, &share, &mut room, &mut results);
            results
        }));
    }
    for (share, asked) in shares.into_iter().zip(items.chunks(share)) {
        let found = share.await.map_err(|_| status::of(&Failure::Bug("a share of a batch was not calculated")))?;
        results.extend(found.into_iter().zip(asked).map(|(result, item)| within(&mut room, result, item)));
    }
    Ok(answered(service, results))
}

/// The bytes of a result, and the reason if it is an error.
type Told = (Bytes, Option<proto::Reason>);

fn answered(service: &Service, results: Vec<Told>) -> proto::CalculateBatchResponse {
    let told = |(result, reason): Told| {
        match reason {
            None => service.items.ok(Many::CalculateBatch),
            Some(reason) => service.items.failed_for(Many::CalculateBatch, spelt(reason)),
        }
        result
    };
    proto::CalculateBatchResponse { results: results.into_iter().map(told).collect() }
}

fn spelt(reason: proto::Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

/// The results of items one after another, as long as there is room for them.
fn fill(service: &Service, today: Date, items: &[Bytes], room: &mut usize, results: &mut Vec<Told>) {
    let asked = Asked {
        book: &service.ledger.book.calculation,
        limits: service.limits.calculation,
        today,
        view: proto::ExplanationView::None,
    };
    let mut out = Vec::with_capacity(1_024);
    for item in items {
        if *room == 0 {
            results.push(too_large(item));
            continue;
        }
        out.clear();
        let reason = encode_item(item, &asked, &mut out);
        results.push(within(room, (Bytes::copy_from_slice(&out), reason), item));
    }
}

/// The result if there is room for it in the answer; once there is none, there is none for all that follow.
fn within(room: &mut usize, result: Told, item: &Bytes) -> Told {
    match room.checked_sub(result.0.len()) {
        Some(left) if *room > 0 => {
            *room = left;
            result
        }
        Some(_) | None => {
            *room = 0;
            too_large(item)
        }
    }
}

fn too_large(item: &Bytes) -> Told {
    let item_id = proto::CalculationItem::decode(item.clone()).map(|item| item.item_id).unwrap_or_default();
    let sentence = "本批结果过大，请减少每条消息的计算项或降低说明的详细程度。";
    let reason = proto::Reason::MessageTooLarge;
    (result_of(item_id, failed(reason, sentence)).encode_to_vec().into(), Some(reason))
}

fn failed(reason: proto::Reason, sentence: &str) -> proto::CalculationError {
    proto::CalculationError { reason: reason as i32, message: sentence.to_owned(), ..Default::default() }
}

fn result_of(item_id: String, error: proto::CalculationError) -> proto::CalculationResult {
    proto::CalculationResult { item_id, result: Some(proto::calculation_result::Result::Error(error)) }
}

/// The bytes of what [`answer_item`] answers, and the reason if that is an error. An item that cannot be read is an error of
/// its own.
pub fn encode_item(item: &Bytes, asked: &Asked<'_>, out: &mut Vec<u8>) -> Option<proto::Reason> {
    let Ok(proto::CalculationItem { item_id, calculation }) = proto::CalculationItem::decode(item.clone()) else {
        let error = failed(proto::Reason::MalformedMessage, "计算项无法解析。");
        return put_error(String::new(), error, out);
    };
    if !item_id.is_empty() {
        put_text(out, bytes(1), &item_id);
    }
    let start = out.len();
    let calculated = catch_unwind(AssertUnwindSafe(|| encode(&item_id, calculation, asked, out)));
    let error = match calculated {
        Ok(Ok(())) => return None,
        Ok(Err(trouble)) => trouble.into(),
        Err(_) => failed(proto::Reason::InternalError, INTERNAL),
    };
    out.truncate(start);
    put_error(String::new(), error, out)
}

fn put_error(item_id: String, error: proto::CalculationError, out: &mut Vec<u8>) -> Option<proto::Reason> {
    let reason = error.reason();
    result_of(item_id, error).encode(out).expect("memory takes what is written");
    Some(reason)
}

fn encode(
    item_id: &str,
    calculation: Option<proto::calculation_item::Calculation>,
    asked: &Asked<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Trouble> {
    use proto::calculation_item::Calculation as Item;
    macro_rules! kinds {
        ($($kind:ident $number:literal)*) => {
            match calculation {
                $(Some(Item::$kind(request)) => put_message(out, $number, |out| answer::encode(request, asked, out)),)*
                None => Err(nothing_asked()),
            }
        };
    }
    let calculated = kinds! {
        Contribution 2 AccountCredit 3 Pension 4 Retirement 5 ContributionGap 6 Benefits 7 UnemploymentBenefit 8
        LifelongMedical 9 TierChange 10 CertificationDue 11 InjuryAndPension 12
    };
    named(item_id, calculated)
}

/// The result of one item, or why there is none; a fault of ours ends that item alone.
pub fn answer_item(item: proto::CalculationItem, asked: &Asked<'_>) -> proto::CalculationResult {
    let proto::CalculationItem { item_id, calculation } = item;
    let calculated = catch_unwind(AssertUnwindSafe(|| calculate(&item_id, calculation, asked)));
    let result = match calculated {
        Ok(Ok(result)) => result,
        Ok(Err(trouble)) => proto::calculation_result::Result::Error(trouble.into()),
        Err(_) => proto::calculation_result::Result::Error(failed(proto::Reason::InternalError, INTERNAL)),
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
    fn one<Q: Calculation>(request: Q, asked: &Asked<'_>, wrap: fn(Q::Response) -> Found) -> Result<Found, Trouble> {
        answer(request, asked).map(wrap)
    }
    let Some(calculation) = calculation else { return named(item_id, Err(nothing_asked())) };
    let calculated = match calculation {
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
    };
    named(item_id, calculated)
}

fn nothing_asked() -> Trouble {
    Trouble::Fields(vec![Violation { field: "calculation".to_owned(), description: "is required".to_owned() }])
}

/// What came of an item, and beside it what is wrong with its name.
fn named<T>(item_id: &str, calculated: Result<T, Trouble>) -> Result<T, Trouble> {
    let mut fields = Fields::new();
    if fields.optional_code("item_id", item_id).is_some() {
        return calculated;
    }
    let mut violations = fields.into_violations();
    if let Err(Trouble::Fields(more)) = calculated {
        violations.extend(more);
    }
    Err(Trouble::Fields(violations))
}
