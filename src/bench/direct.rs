//! `gongji bench --direct`: the measured methods called in this process, from the bytes of a request to the bytes of its
//! answer. What is left of a call without transport: for profilers, and for comparing two builds on a busy machine.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use prost::Message;
use tonic::{Request, Status};

use super::requests::{Requests, View};
use super::wire::{Checked, Kind, MANY, QuotePart, SettlePart};
use super::{data, process, server};
use crate::config::{Config, Given, StoreChoice};
use crate::grpc::proto::settlement_service_server::SettlementService;
use crate::grpc::{Service, proto};
use crate::store::postgres::DatabaseUrl;

/// Calls before those that count.
const WARM_UP: u64 = 2_000;

/// Measures the kinds one after another, each `calls` times, and prints a line for each.
pub async fn run(
    kinds: &[Kind],
    people: u64,
    calls: u64,
    view: View,
    dir: &Path,
    database: Option<&DatabaseUrl>,
) -> Result<(), String> {
    for kind in kinds {
        let store = match kind {
            Kind::Echo | Kind::EchoSized => continue,
            Kind::Quote | Kind::SettleMemory => StoreChoice::Memory,
            Kind::SettleEmbedded | Kind::BatchEmbedded | Kind::StreamEmbedded => StoreChoice::Embedded,
            Kind::SettlePostgres | Kind::BatchPostgres => StoreChoice::Postgres,
        };
        let (data_dir, database_url) = (Some(dir.join("direct")), database.cloned());
        let given = Given { store: Some(store), data_dir, database_url, ..Given::default() };
        let mut config = Config::read(given, None, false).map_err(|error| error.to_string())?;
        config.memory_records = u64::MAX;
        let service = Service(server::api(&config, people).await?);
        let mut requests = Requests::new(people / data::FAMILY, process::nonce(), 0, &process::today(), view);
        repeat(&service, *kind, &mut requests, WARM_UP).await?;
        let (began, cpu) = (Instant::now(), process::cpu_seconds(std::process::id())?);
        repeat(&service, *kind, &mut requests, calls).await?;
        let cpu = process::cpu_seconds(std::process::id())? - cpu;
        println!(
            "{}: {:.1} µs CPU a settlement, {:.0}/s",
            kind.name(),
            cpu * 1e6 / calls as f64,
            calls as f64 / began.elapsed().as_secs_f64()
        );
        service.ledger.store().close().await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// So many settlements, many under way together, so that one sync serves many.
async fn repeat(service: &Service, kind: Kind, requests: &mut Requests, calls: u64) -> Result<(), String> {
    let many = kind.is_many();
    let number = if many { calls.div_ceil(MANY as u64) } else { calls };
    let sent = (0..number).map(|_| if many { requests.items(MANY) } else { requests.next(kind) });
    let together = if many { 4 } else { MANY };
    let mut answers = stream::iter(sent).map(|bytes| call(service, kind, bytes)).buffer_unordered(together);
    while let Some(answer) = answers.next().await {
        answer.map_err(|status| status.to_string())?;
    }
    Ok(())
}

async fn call(service: &Service, kind: Kind, bytes: Bytes) -> Result<(), Status> {
    let aided = match kind {
        Kind::Echo | Kind::EchoSized => None,
        Kind::Quote => {
            let answer = service.quote_settlement(Request::new(read(bytes)?)).await?;
            checked::<QuotePart>(&answer.into_inner())
        }
        Kind::SettleMemory | Kind::SettleEmbedded | Kind::SettlePostgres => {
            let answer = service.settle(Request::new(read(bytes)?)).await?;
            checked::<SettlePart>(&answer.into_inner())
        }
        Kind::BatchEmbedded | Kind::StreamEmbedded | Kind::BatchPostgres => {
            let request: proto::BatchSettleRequest = read(bytes)?;
            let answer = service.batch_settle(Request::new(request)).await?.into_inner();
            (answer.results.len() == MANY && !answer.encode_to_vec().is_empty()).then_some(true)
        }
    };
    aided.map(drop).ok_or_else(|| Status::data_loss("the reply is not what it should be"))
}

fn read<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

/// Encodes an answer, and looks into it as the client of a run does.
fn checked<R: Checked>(answer: &impl Message) -> Option<bool> {
    R::decode(&*answer.encode_to_vec()).ok()?.aided()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::wire::QUOTE_BYTES;

    #[test]
    fn the_sized_echo_has_the_size_of_a_quote() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let given = Given { store: Some(StoreChoice::Memory), ..Given::default() };
        let config = Config::read(given, None, false).expect("defaults");
        let service = Service(runtime.block_on(server::api(&config, 4_000)).expect("loaded"));
        let mut requests = Requests::new(4_000 / data::FAMILY, process::nonce(), 0, &process::today(), View::Summary);
        let near = |one: usize, other: usize| one.abs_diff(other) * 10 <= other;
        for _ in 0..20 {
            let (quote, sized) = (requests.next(Kind::Quote), requests.next(Kind::EchoSized));
            assert!(near(sized.len(), quote.len()), "{} asks for {}", sized.len(), quote.len());
            let request = Request::new(read(quote).expect("a request"));
            let answer = runtime.block_on(service.quote_settlement(request)).expect("a quote").into_inner();
            let bytes = usize::try_from(QUOTE_BYTES).expect("small");
            assert!(near(bytes, answer.encoded_len()), "{bytes} stand for {}", answer.encoded_len());
        }
    }
}
