//! `ImportMembers` and `ImportCredits`: the way of the method for one, row by row, and one answer with all results.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt, StreamExt, future};
use prost::Message as _;
use tonic::{Request, Status, Streaming};

use super::bulk::told_id;
use super::items::Many;
use super::status::{self, transport};
use super::{Service, proto, wire_position};

/// What came of the rows, and why no more were taken in.
pub struct Imported {
    pub results: Vec<proto::ImportResult>,
    pub stopped: Option<tonic_types::Status>,
}

pub async fn members(service: &Service, request: Request<Streaming<proto::ImportMembersRequest>>) -> Imported {
    rows(service, Many::ImportMembers, request, |service, proto::ImportMembersRequest { row }| {
        let row = row.unwrap_or_default();
        let request_id = told_id(row.request_id.clone());
        let done = async move {
            let done = service.create_one(row).await?;
            let member_id = done.member.map(|member| member.member_id).unwrap_or_default();
            Ok(proto::ImportedRow { member_id, ledger_position: done.ledger_position, replayed: done.replayed })
        };
        (request_id, done)
    })
    .await
}

pub async fn credits(service: &Service, request: Request<Streaming<proto::ImportCreditsRequest>>) -> Imported {
    rows(service, Many::ImportCredits, request, |service, proto::ImportCreditsRequest { row }| {
        let row = row.unwrap_or_default();
        let request_id = told_id(row.request_id.clone());
        let done = async move {
            let done = service.credit_one(row).await?;
            let member_id = done.outcome.member.to_string();
            Ok(proto::ImportedRow { member_id, ledger_position: wire_position(done.position), replayed: done.replayed })
        };
        (request_id, done)
    })
    .await
}

/// Rows until there are no more, or as many as one answer holds. What was begun is finished and told.
async fn rows<M, F, W>(service: &Service, many: Many, request: Request<Streaming<M>>, mut work: W) -> Imported
where
    F: Future<Output = Result<proto::ImportedRow, Status>> + Send + 'static,
    W: FnMut(Service, M) -> (String, F),
{
    let bulk = &service.bulk;
    let most = bulk.limits.import_rows as usize;
    let room = AtomicUsize::new(bulk.limits.answer_bytes as usize);
    let mut begun = 0;
    let mut ended = false;
    let one = |message: Result<M, Status>| {
        let message = message.and_then(|row| {
            if begun < most && room.load(Ordering::Relaxed) > 0 { Ok(row) } else { Err(transport::too_large()) }
        });
        match message {
            Ok(row) if !ended => {
                begun += 1;
                let (request_id, done) = work(service.clone(), row);
                let service = service.clone();
                bulk.one(|| done).map(move |done| Ok(result(&service, many, request_id, done))).left_future()
            }
            // After the first end nothing more is begun, whatever else has come.
            Ok(_) => future::ready(Err(transport::too_large())).right_future(),
            Err(status) => {
                ended = true;
                future::ready(Err(status)).right_future()
            }
        }
    };
    let mut done = bulk.in_order(bulk.intake(request).within(bulk.limits.import_time), one, future::ready);
    let mut imported = Imported { results: Vec::new(), stopped: None };
    while let Some(found) = done.next().await {
        match found {
            Ok(result) => {
                let left = room.load(Ordering::Relaxed).saturating_sub(result.encoded_len());
                room.store(left, Ordering::Relaxed);
                imported.results.push(result);
            }
            Err(status) => {
                imported.stopped = Some(status::within(&status));
                break;
            }
        }
    }
    imported
}

fn result(
    service: &Service,
    many: Many,
    request_id: String,
    done: Result<proto::ImportedRow, Status>,
) -> proto::ImportResult {
    use proto::import_result::Result as Came;
    let came = match done {
        Ok(row) => {
            service.items.ok(many);
            Came::Imported(row)
        }
        Err(error) => {
            service.items.failed(many, &error);
            Came::Error(status::within(&error))
        }
    };
    proto::ImportResult { request_id, result: Some(came) }
}
