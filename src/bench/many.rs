//! Many settlements a call: batches one after another, or a stream that is kept full.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::lanes::{Shared, lock};
use super::wire::{Kind, Light, MANY, ResultsPart};

fn bad() -> Status {
    Status::data_loss("the reply is not what it should be")
}

async fn ready(grpc: &mut Grpc<Channel>) -> Result<(), Status> {
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
}

/// One batch after another until it is time to stop.
pub(super) async fn batches(mut grpc: Grpc<Channel>, shared: &Shared) -> Result<(), Status> {
    while !shared.stop.load(Ordering::Relaxed) {
        let items = lock(&shared.requests).items(MANY);
        let began = Instant::now();
        ready(&mut grpc).await?;
        let path = PathAndQuery::from_static(Kind::BatchEmbedded.path());
        let answer: ResultsPart = grpc.unary(Request::new(items), path, Light::default()).await?.into_inner();
        if answer.each().count() != MANY {
            return Err(bad());
        }
        answer.each().for_each(|aided| shared.note(began, aided.ok_or_else(bad)));
    }
    Ok(())
}

/// A stream with as many items without an answer as there may be.
pub(super) async fn stream(mut grpc: Grpc<Channel>, shared: &Shared) -> Result<(), Status> {
    let (send, sent) = mpsc::channel(MANY);
    ready(&mut grpc).await?;
    let path = PathAndQuery::from_static(Kind::StreamEmbedded.path());
    let request = Request::new(ReceiverStream::new(sent));
    let answers = grpc.streaming(request, path, Light::<ResultsPart>::default()).await?;
    let mut answers = answers.into_inner();
    let mut send = Some(send);
    let mut times = VecDeque::with_capacity(MANY);
    loop {
        if shared.stop.load(Ordering::Relaxed) {
            send = None;
        }
        while let Some(send) = send.as_ref().filter(|_| times.len() < MANY) {
            let item = lock(&shared.requests).items(1);
            times.push_back(Instant::now());
            send.send(item).await.map_err(|_| bad())?;
        }
        let Some(answer) = answers.message().await? else { break };
        let began = times.pop_front().ok_or_else(bad)?;
        let aided = answer.each().next().flatten();
        shared.note(began, aided.ok_or_else(bad));
    }
    if times.is_empty() { Ok(()) } else { Err(bad()) }
}
