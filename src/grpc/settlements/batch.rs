//! `BatchSettle` and `StreamSettle`: the way of `Settle`, for many.

use std::future::Future;
use std::pin::Pin;

use futures_util::{FutureExt, Stream, StreamExt, future, stream};
use prost::Message as _;
use tonic::{Request, Status, Streaming};

use crate::grpc::bulk::told_id;
use crate::grpc::fields::Fields;
use crate::grpc::items::Many;
use crate::grpc::{Service, proto, status};
use crate::ledger::RestsOn;

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
    let work = |item| one(service.clone(), item);
    let tell = |item: Result<Item, Status>| async { Ok::<_, Status>(item?.told(service, Many::BatchSettle).await) };
    let mut results = service.bulk.in_order(stream::iter(items), work, tell);
    while let Some(result) = results.next().await {
        answer.push(within(&mut room, result?));
    }
    let mut answer = proto::BatchSettleResponse { results: answer };
    // What the last ones did is told whatever room the explanations before them took: so of those the last are left out.
    let mut over = answer.encoded_len().saturating_sub(limits.answer_bytes as usize);
    for result in answer.results.iter_mut().rev() {
        if over == 0 {
            break;
        }
        let before = result.encoded_len();
        leave_out(result);
        over = over.saturating_sub(before.saturating_sub(result.encoded_len()));
    }
    Ok(answer)
}

/// Item by item.
pub fn stream(service: &Service, request: Request<Streaming<proto::StreamSettleRequest>>) -> Results {
    let bulk = service.bulk.clone();
    let (working, telling) = (service.clone(), service.clone());
    let work = move |message: Result<proto::StreamSettleRequest, Status>| match message {
        Ok(proto::StreamSettleRequest { item }) => one(working.clone(), item.unwrap_or_default()).left_future(),
        Err(status) => future::ready(Err(status)).right_future(),
    };
    let tell = move |item: Result<Item, Status>| {
        let service = telling.clone();
        async move { Ok(proto::StreamSettleResponse { result: Some(item?.told(&service, Many::StreamSettle).await) }) }
    };
    Box::pin(bulk.as_read(bulk.intake(request), work, tell))
}

/// What came of one item, and what that rests on.
struct Item {
    request_id: String,
    came: Result<proto::SettleResponse, Status>,
    rests_on: Option<RestsOn>,
}

/// Carries out one item.
fn one(service: Service, item: proto::SettleRequest) -> impl Future<Output = Result<Item, Status>> {
    let request_id = told_id(item.request_id.clone());
    let bulk = service.bulk.clone();
    let begun = bulk.one(|| async move {
        service.bulk.room(&service.ledger).await;
        let (answer, rests_on) = service.begin_settle(item).await?;
        service.bulk.note(rests_on);
        Ok((answer, rests_on))
    });
    begun.map(|begun| {
        let (came, rests_on) = match begun {
            Ok((answer, rests_on)) => (answer.map_err(Status::from), Some(rests_on)),
            Err(status) => (Err(status), None),
        };
        Ok(Item { request_id, came, rests_on })
    })
}

impl Item {
    /// Its result, when it may be told.
    async fn told(self, service: &Service, many: Many) -> proto::SettleResult {
        use proto::settle_result::Result as Came;
        let Self { request_id, came, rests_on } = self;
        let durable = match rests_on {
            Some(rests_on) => service.ledger.durable(rests_on).await.map_err(Status::from),
            None => Ok(()),
        };
        let came = match durable.and(came) {
            Ok(response) => {
                service.items.ok(many);
                Came::Response(response)
            }
            Err(error) => {
                service.items.failed(many, &error);
                Came::Error(status::within(&error))
            }
        };
        proto::SettleResult { request_id, result: Some(came), explanation_left_out: false }
    }
}

/// The result as far as there is room: what was done is always told, why only while the answer stays of a size that clients
/// take.
fn within(room: &mut usize, mut result: proto::SettleResult) -> proto::SettleResult {
    if result.encoded_len() > *room {
        leave_out(&mut result);
    }
    *room = room.saturating_sub(result.encoded_len());
    result
}

fn leave_out(result: &mut proto::SettleResult) {
    if let Some(proto::settle_result::Result::Response(response)) = &mut result.result
        && !response.explanation.is_empty()
    {
        response.explanation = Vec::new();
        result.explanation_left_out = true;
    }
}
