//! `gongji bench --calculation`: CalculateContribution beside the bare echo, one call at a time and in a stream, in one run.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::echo::{self, EchoReply, EchoRequest};
use super::process::Process;
use super::report::median;
use super::wire::Light;
use crate::grpc::proto;
use crate::server;

const UNARY: &str = "/gongji.v1.CalculationService/CalculateContribution";
const BATCH: &str = "/gongji.v1.CalculationService/CalculateBatch";
/// Calls in flight, and over how many connections.
const IN_FLIGHT: (usize, usize) = (256, 4);
const ITEMS: usize = 1_000;
/// Messages that wait in the client for the stream.
const QUEUED: usize = 8;
const WARM_UP: Duration = Duration::from_millis(300);

/// A `CalculateContributionResponse`, as far as it is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Part {
    #[prost(int64, tag = "4")]
    base_fen: i64,
    #[prost(int64, tag = "9")]
    person_total_fen: i64,
}

/// A `CalculateBatchResponse`: results are counted and the last one is looked into.
#[derive(Clone, PartialEq, prost::Message)]
struct BatchPart {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    results: Vec<Bytes>,
}

/// One measured line.
struct Line {
    name: &'static str,
    per_second: Vec<f64>,
    least: Option<(f64, &'static str)>,
    /// Beside the echo of the same round.
    ratios: Vec<f64>,
}

/// What one kind of calls sends.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    view: proto::ExplanationView,
    ratio: Option<f64>,
}

const UNARY_KINDS: [Kind; 3] = [
    Kind { name: "contribution, NONE", view: proto::ExplanationView::None, ratio: Some(0.6) },
    Kind { name: "contribution, SUMMARY", view: proto::ExplanationView::Summary, ratio: None },
    Kind { name: "contribution, FULL", view: proto::ExplanationView::Full, ratio: None },
];
const BATCH_KINDS: [(Kind, f64); 2] = [
    (Kind { name: "batch, NONE", view: proto::ExplanationView::None, ratio: None }, 400_000.0),
    (Kind { name: "batch, SUMMARY", view: proto::ExplanationView::Summary, ratio: None }, 100_000.0),
];

fn request(number: i64, view: proto::ExplanationView) -> proto::CalculateContributionRequest {
    proto::CalculateContributionRequest {
        region_code: "310000".to_owned(),
        on: "2025-08-01".to_owned(),
        explanation_view: view as i32,
        wage_fen: Some(200_000 + number * 7_919 % 4_000_000),
        injury_class: i32::try_from(number % 8).unwrap_or(0) + 1,
        ..Default::default()
    }
}

/// Measures and prints.
pub async fn run(time: Duration, rounds: u32, runtimes: u32) -> Result<(), String> {
    let start = |more: &str| {
        Process::start(&[format!("--runtimes={runtimes}"), "--store=memory".to_owned(), more.to_owned()], None)
    };
    let (echo, api) = (start("--echo")?, start("--people=0")?);
    let mut lines: Vec<Line> = vec![Line { name: "echo", per_second: Vec::new(), least: None, ratios: Vec::new() }];
    for kind in UNARY_KINDS {
        let least = kind.ratio.map(|ratio| (ratio, "of the echo"));
        lines.push(Line { name: kind.name, per_second: Vec::new(), least, ratios: Vec::new() });
    }
    for (kind, least) in BATCH_KINDS {
        let least = Some((least, "a second"));
        lines.push(Line { name: kind.name, per_second: Vec::new(), least, ratios: Vec::new() });
    }
    for round in 0..rounds {
        let body = Bytes::from(EchoRequest::new(7).encode_to_vec());
        let bare = unary::<EchoReply>(&echo, echo::PATH, vec![body], time, |reply| reply.id.len() == 35).await?;
        lines[0].per_second.push(bare);
        for (place, kind) in UNARY_KINDS.iter().enumerate() {
            let bodies = (0..64).map(|number| Bytes::from(request(number, kind.view).encode_to_vec())).collect();
            let found =
                unary::<Part>(&api, UNARY, bodies, time, |part| part.base_fen > 0 && part.person_total_fen > 0).await?;
            lines[1 + place].per_second.push(found);
            lines[1 + place].ratios.push(found / bare);
        }
        for (place, (kind, _)) in BATCH_KINDS.iter().enumerate() {
            let found = batch(&api, *kind, time).await?;
            lines[1 + UNARY_KINDS.len() + place].per_second.push(found);
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    println!("{:<24} {:>14} {:>10}   wanted", "calculations", "a second", "of echo");
    for line in lines {
        let rate = median(line.per_second);
        let ratio = if line.ratios.is_empty() { String::new() } else { format!("{:.2}", median(line.ratios)) };
        let wanted = line.least.map(|(least, of)| format!("at least {least} {of}")).unwrap_or_default();
        println!("{:<24} {rate:>14.0} {ratio:>10}   {wanted}", line.name);
    }
    Ok(())
}

async fn connect(server: &Process) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(server::STREAM_WINDOW)
        .initial_connection_window_size(server::CONNECTION_WINDOW);
    endpoint.connect().await.map_err(|error| error.to_string())
}

/// Calls a second; every reply is looked at.
async fn unary<R: Message + Default + 'static>(
    server: &Process,
    path: &'static str,
    bodies: Vec<Bytes>,
    time: Duration,
    is_good: fn(&R) -> bool,
) -> Result<f64, String> {
    let (in_flight, connections) = IN_FLIGHT;
    let mut channels = Vec::with_capacity(connections);
    for _ in 0..connections {
        channels.push(connect(server).await?);
    }
    let (begin, end) = (Instant::now() + WARM_UP, Instant::now() + WARM_UP + time);
    let one = |number: usize| {
        let mut grpc = Grpc::new(channels[number % connections].clone());
        let bodies = bodies.clone();
        tokio::spawn(async move {
            let mut calls = 0_u64;
            for place in number.. {
                grpc.ready().await.map_err(|error| error.to_string())?;
                let body = bodies[place % bodies.len()].clone();
                let path = PathAndQuery::from_static(path);
                let reply = grpc.unary(Request::new(body), path, Light::<R>::default()).await;
                let reply = reply.map_err(|status| status.to_string())?.into_inner();
                if !is_good(&reply) {
                    return Err("a reply is not what it should be".to_owned());
                }
                let now = Instant::now();
                if now >= end {
                    break;
                }
                calls += u64::from(now >= begin);
            }
            Ok::<u64, String>(calls)
        })
    };
    let tasks: Vec<_> = (0..in_flight).map(one).collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.map_err(|error| error.to_string())??;
    }
    Ok(calls as f64 / time.as_secs_f64())
}

/// Results a second of one stream over one connection; every result is counted, and its order looked at by its number.
async fn batch(server: &Process, kind: Kind, time: Duration) -> Result<f64, String> {
    let items = (0..ITEMS).map(|number| {
        let request = request(i64::try_from(number).unwrap_or(0), kind.view);
        let calculation = Some(proto::calculation_item::Calculation::Contribution(request));
        Bytes::from(proto::CalculationItem { item_id: String::new(), calculation }.encode_to_vec())
    });
    let body = Bytes::from(proto::CalculateBatchRequest { items: items.collect() }.encode_to_vec());
    let (sender, messages) = mpsc::channel::<Bytes>(QUEUED);
    let mut grpc = Grpc::new(connect(server).await?).max_decoding_message_size(64 << 20);
    grpc.ready().await.map_err(|error| error.to_string())?;
    let end = Instant::now() + WARM_UP + time;
    let sending = tokio::spawn(async move { while Instant::now() < end && sender.send(body.clone()).await.is_ok() {} });
    let path = PathAndQuery::from_static(BATCH);
    let answers =
        grpc.streaming(Request::new(ReceiverStream::new(messages)), path, Light::<BatchPart>::default()).await;
    let answers = answers.map_err(|status| status.to_string())?.into_inner();
    let counted = count(answers, Instant::now() + WARM_UP).await?;
    sending.await.map_err(|error| error.to_string())?;
    Ok(counted)
}

async fn count(
    mut answers: impl Stream<Item = Result<BatchPart, Status>> + Unpin,
    begin: Instant,
) -> Result<f64, String> {
    let (mut results, mut began, mut ended) = (0_usize, begin, begin);
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|status| status.to_string())?;
        if answer.results.len() != ITEMS || answer.results.iter().any(|result| result.len() < 64) {
            return Err("a message has not every result".to_owned());
        }
        let now = Instant::now();
        if now < begin {
            began = now;
            continue;
        }
        results += answer.results.len();
        ended = now;
    }
    Ok(results as f64 / (ended - began).as_secs_f64().max(1e-9))
}
