//! `Watch`: the request read, and the ledger's steps as messages.

use std::pin::Pin;

use futures_util::stream;
use tokio_stream::Stream;
use tonic::Status;

use super::fields::Fields;
use super::{Service, ledger, proto, wire_position};
use crate::domain::ids::{InstitutionCode, MemberId, RegionCode};
use crate::ledger::page::{hex, unhex};
use crate::ledger::watch::{Filter, Step, Watch};

/// The stream of answers.
pub type Feed = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>> + Send>>;

pub async fn stream(service: &Service, request: proto::WatchRequest) -> Result<Feed, Status> {
    let (from, after, filter) = read(request, service.limits.watch_filter_values as usize)?;
    let watch = Watch::begin(service.ledger.clone(), from, after, filter, service.limits.watch).await?;
    // What is polled next is made when the message before it has been taken, so that one who does not read costs no more.
    Ok(Box::pin(stream::try_unfold(watch, |mut watch| async move {
        let step = watch.step().await?;
        Ok(Some((message(&step), watch)))
    })))
}

fn message(step: &Step) -> proto::WatchResponse {
    let checkpoint = proto::Checkpoint {
        position: wire_position(step.checkpoint.position),
        digest: hex(&step.checkpoint.link),
        caught_up: step.caught_up,
    };
    let records = step.records.iter().map(|(stored, content)| ledger::record(stored, content));
    proto::WatchResponse { records: records.collect(), checkpoint: Some(checkpoint) }
}

type Asked = (u64, Option<[u8; 32]>, Filter);

fn read(request: proto::WatchRequest, most: usize) -> Result<Asked, Status> {
    let proto::WatchRequest { from_position, after_digest, kinds, member_ids, institution_codes, region_codes } =
        request;
    let mut fields = Fields::new();
    let from = u64::try_from(from_position).ok();
    if from.is_none() {
        fields.bad("from_position", "must be 0 or more");
    }
    let after = if after_digest.is_empty() { None } else { unhex::<32>(&after_digest) };
    if after.is_none() && !after_digest.is_empty() {
        fields.bad("after_digest", "must be empty or 64 lower-case hexadecimal digits");
    }
    let mut list = |field: &str, length: usize| {
        if length > most {
            fields.bad(field, format!("must be at most {most} values"));
        }
        length <= most
    };
    let few = [
        list("kinds", kinds.len()),
        list("member_ids", member_ids.len()),
        list("institution_codes", institution_codes.len()),
        list("region_codes", region_codes.len()),
    ];
    let mut wanted = Vec::new();
    for (place, kind) in kinds.iter().enumerate().filter(|_| few[0]) {
        match proto::RecordKind::try_from(*kind) {
            Ok(kind) if kind != proto::RecordKind::Unspecified => wanted.push(kind),
            Ok(_) | Err(_) => fields.bad(format!("kinds[{place}]"), "must be a known value"),
        }
    }
    let members = parsed(&mut fields, "member_ids", &member_ids, few[1], MemberId::parse, "must be \"mem_…\"");
    let plain = "must be 1 to 32 visible ASCII characters";
    let institutions =
        parsed(&mut fields, "institution_codes", &institution_codes, few[2], InstitutionCode::parse, plain);
    let regions = parsed(&mut fields, "region_codes", &region_codes, few[3], RegionCode::parse, "must be six digits");
    let event = Box::new(move |event: &_| wanted.is_empty() || wanted.contains(&ledger::kind(event)));
    let from = fields.done(from)?;
    Ok((from, after, Filter { event, members, institutions, regions }))
}

fn parsed<T>(
    fields: &mut Fields,
    name: &str,
    texts: &[String],
    few: bool,
    parse: impl Fn(&str) -> Option<T>,
    description: &str,
) -> Vec<T> {
    let mut values = Vec::new();
    for (place, text) in texts.iter().enumerate().filter(|_| few) {
        match parse(text) {
            Some(value) => values.push(value),
            None => fields.bad(format!("{name}[{place}]"), description),
        }
    }
    values
}
