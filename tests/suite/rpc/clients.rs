//! Clients that keep no rules: they do not read, say nothing, or are not there any more. The server keeps its limits, and
//! others are served.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use gongji::store::embedded::Fault;
use prost::Message as _;
use prost::bytes::Bytes;
use proto::calculation_service_client::CalculationServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codegen::http::Request;
use tonic::transport::Endpoint;

use crate::process::PATIENCE;
use crate::support::*;

/// More than a window of a stream holds.
fn much() -> proto::CalculateBatchRequest {
    let contribution = proto::CalculateContributionRequest {
        region_code: "440300".to_owned(),
        on: "2026-06-01".to_owned(),
        wage_fen: Some(700_000),
        average_wage_fen: Some(500_000),
        ..Default::default()
    };
    let calculation = Some(proto::calculation_item::Calculation::Contribution(contribution));
    let item = proto::CalculationItem { item_id: "1".to_owned(), calculation };
    proto::CalculateBatchRequest { items: vec![Bytes::from(item.encode_to_vec()); 500] }
}

#[test]
fn streams_that_nobody_reads_give_their_places_back() {
    let server = Setup::memory().with(|config| (config.concurrent_requests, config.stream_idle_ms) = (2, 200)).start();
    server.wait(async {
        let mut unread = Vec::new();
        for _ in 0..2 {
            let channel = Endpoint::from_shared(format!("http://{}", server.address())).expect("an address");
            let channel = channel.initial_stream_window_size(65_535).connect_lazy();
            let (send, sent) = mpsc::channel(1);
            send.send(much()).await.expect("room");
            let begun = CalculationServiceClient::new(channel).calculate_batch(ReceiverStream::new(sent)).await;
            unread.push((send, begun.expect("begun").into_inner()));
        }
        let mut others = proto::ledger_service_client::LedgerServiceClient::new(server.channel());
        let deadline = Instant::now() + PATIENCE;
        while let Err(status) = others.get_head(proto::GetHeadRequest::default()).await {
            assert_eq!(words(&status), "ResourceExhausted OVERLOADED");
            assert!(Instant::now() < deadline, "the places are never given back");
        }
    });
}

/// Waits for the other side to close; what came before.
fn closed(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("it is not closed: {error}"),
        Ok(_) | Err(_) => read,
    }
}

#[test]
fn connections_that_say_nothing_are_closed() {
    let server = Setup::memory().with(|config| (config.connections, config.hello_ms) = (3, 100)).start();
    let silent: Vec<TcpStream> = ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"]
        .into_iter()
        .map(|beginning| {
            let mut stream = TcpStream::connect(server.address()).expect("connects");
            stream.write_all(beginning.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let head = server.wait(async {
        let mut others = proto::ledger_service_client::LedgerServiceClient::new(server.channel());
        tokio::time::timeout(PATIENCE, others.get_head(proto::GetHeadRequest::default())).await
    });
    head.expect("others are let in").expect("answered");
    silent.into_iter().for_each(|stream| drop(closed(stream)));
}

const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// A client of HTTP/2 that answers by hand.
struct ByHand(TcpStream);

impl ByHand {
    fn connect(server: &TestServer) -> Self {
        let mut stream = TcpStream::connect(server.address()).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
        let mut client = Self(stream);
        client.send(SETTINGS, 0, &[]);
        client
    }

    fn send(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("short");
        let head = [0, 0, length, kind, flags, 0, 0, 0, 0];
        self.0.write_all(&[&head, payload].concat()).expect("sent");
    }

    /// What the next PING holds.
    fn asked(&mut self) -> Vec<u8> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).expect("a frame");
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.0.read_exact(&mut payload).expect("a whole frame");
            if head[3] == PING && head[4] == 0 {
                return payload;
            }
        }
    }
}

#[test]
fn a_connection_whose_client_is_gone_is_closed() {
    let setup = Setup::memory();
    let mut setup =
        setup.with(|config| (config.connections, config.keepalive_ms, config.keepalive_answer_ms) = (1, 50, 50));
    // That call would come from a client that has not answered between two waits.
    setup.check_at_end = false;
    let server = setup.start();
    let mut gone = ByHand::connect(&server);
    gone.asked();
    closed(gone.0);
    let mut next = ByHand::connect(&server);
    next.asked();
}

#[test]
fn a_connection_whose_client_answers_stays() {
    let server = Setup::memory().with(|config| config.keepalive_ms = 50).start();
    let mut there = ByHand::connect(&server);
    for _ in 0..4 {
        let asked = there.asked();
        there.send(PING, 1, &asked);
    }
}

/// A settlement waits for a disk that stands still; the caller's time passes on the server.
#[test]
fn the_time_of_a_caller_is_told_in_the_words_of_all() {
    for (given, call_time_ms) in [("100m", 60_000), ("60S", 100), ("100000u", 100)] {
        let server = Setup::embedded().with(|config| config.call_time_ms = call_time_ms).start();
        let (mother, son) = server.family(50_000);
        let request = settle("t", &mother, 1_000);
        server.faults().set(Fault::Paused);
        let late =
            server.wait(by_hand(&server, "/gongji.v1.SettlementService/Settle", given, &request.encode_to_vec()));
        server.faults().set(Fault::None);
        assert_eq!(words(&late), "DeadlineExceeded TIME_LIMIT", "{given}");
        assert!(server.settle(request).expect("found").replayed, "the call ended, not the change");
        assert_eq!(server.balances(&son), (0, 49_000));
    }
}

/// The status of a call by a client that leaves time to the server.
async fn by_hand(server: &TestServer, path: &str, given: &str, message: &[u8]) -> Status {
    let stream = tokio::net::TcpStream::connect(server.address()).await.expect("connects");
    let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = Request::builder().method("POST").uri(format!("http://{}{path}", server.address()));
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", given)];
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut requests = requests.ready().await.expect("ready");
    let (response, mut body) = requests.send_request(request.body(()).expect("a request"), false).expect("sent");
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    body.send_data(Bytes::from([&[0], &length[..], message].concat()), true).expect("sent");
    let response = tokio::time::timeout(PATIENCE, response).await.expect("in time").expect("answered");
    let status = Status::from_header_map(response.headers()).expect("it has ended with its headers");
    connection.abort();
    status
}
