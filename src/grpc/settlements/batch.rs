//! `BatchSettle` and `StreamSettle`: the way of `Settle`, for many.

use std::pin::Pin;

use futures_util::{FutureExt, Stream, StreamExt, future, stream};
use prost::Message as _;
use tonic::{Request, Status, Streaming};

use crate::grpc::bulk::told_id;
use crate::grpc::fields::Fields;
use crate::grpc::{Service, proto, status};

pub type Results = Pin<Box<dyn Stream<Item = Result<proto::StreamSettleResponse, Status>> + Send>>;

/// All items of one request.
pub async fn settle(
    service: &Service,
    request: proto::BatchSettleRequest,
) -> Result<proto::BatchSettleResponse, Status> {
    let proto::BatchSettleRequest { items } = request;
    let limits = &service.bulk.limits;
    let most = limits.settle_items as usize;
    if items.is_empty() || items.len() > most {
        let mut fields = Fields::new();
        fields.bad("items", format!("must be 1 to {most} items"));
        return Err(fields.refuse());
    }
    let mut answer = Vec::with_capacity(items.len());
    let mut room = limits.answer_bytes as usize;
    let results = service.bulk.in_order(stream::iter(items), |item| one(service.clone(), item));
    let mut results = std::pin::pin!(results);
    while let Some(result) = results.next().await {
        answer.push(within(&mut room, result));
    }
    Ok(proto::BatchSettleResponse { results: answer })
}

/// Item by item.
pub fn stream(service: &Service, request: Request<Streaming<proto::StreamSettleRequest>>) -> Results {
    let bulk = service.bulk.clone();
    let (service, apart) = (service.clone(), bulk.clone());
    let answers = bulk.in_order(bulk.intake(request), move |message| match message {
        Ok(proto::StreamSettleRequest { item }) => {
            let result = apart.apart(one(service.clone(), item.unwrap_or_default()));
            let told = |result: Result<_, Status>| Ok(proto::StreamSettleResponse { result: Some(result?) });
            result.map(told).left_future()
        }
        Err(status) => future::ready(Err(status)).right_future(),
    });
    Box::pin(answers)
}

/// What came of one item.
async fn one(service: Service, item: proto::SettleRequest) -> proto::SettleResult {
    use proto::settle_result::Result as Came;
    let request_id = told_id(item.request_id.clone());
    let came = match service.bulk.one(service.settle_one(item)).await {
        Ok(response) => Came::Response(response),
        Err(error) => Came::Error(status::within(&error)),
    };
    proto::SettleResult { request_id, result: Some(came), explanation_left_out: false }
}

/// The result as far as there is room: what was done is always told, why only while the answer stays of a size that clients
/// take.
fn within(room: &mut usize, mut result: proto::SettleResult) -> proto::SettleResult {
    if result.encoded_len() > *room
        && let Some(proto::settle_result::Result::Response(response)) = &mut result.result
        && !response.explanation.is_empty()
    {
        response.explanation = Vec::new();
        result.explanation_left_out = true;
    }
    *room = room.saturating_sub(result.encoded_len());
    result
}
