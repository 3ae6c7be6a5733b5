//! Many items in one call: each as a call of its own would be answered, in order, one effect each, whatever becomes of
//! the call.

use gongji::store::embedded::Fault;
use prost::Message as _;
use proto::settle_result::Result as Came;
use proto::settlement_service_client::SettlementServiceClient;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic_types::StatusExt;

use crate::process::{PATIENCE, wait_until};
use crate::store::HeadNow;
use crate::support::*;

fn in_batch(server: &TestServer, items: Vec<proto::SettleRequest>) -> Vec<proto::SettleResult> {
    server.batch_settle(proto::BatchSettleRequest { items }).expect("a batch is answered").results
}

fn messages(items: Vec<proto::SettleRequest>) -> Vec<proto::StreamSettleRequest> {
    items.into_iter().map(|item| proto::StreamSettleRequest { item: Some(item) }).collect()
}

fn in_stream(server: &TestServer, items: Vec<proto::SettleRequest>) -> Vec<proto::SettleResult> {
    server.wait(async {
        let mut client = SettlementServiceClient::new(server.channel());
        let answers = client.stream_settle(tokio_stream::iter(messages(items))).await.expect("begun").into_inner();
        answers.map(|answer| answer.expect("answered").result.expect("set")).collect().await
    })
}

/// What came of an item: how much relatives paid, or the words of its error.
fn came(result: &proto::SettleResult) -> String {
    match result.result.as_ref().expect("set") {
        Came::Response(response) => {
            let aid = response.settlement.as_ref().expect("set").amounts.expect("set").mutual_aid_fen;
            format!("{aid}{}", if response.replayed { " again" } else { "" })
        }
        Came::Error(error) => words(&as_status(error)),
    }
}

/// Both ways of sending many.
fn for_each_way(case: impl Fn(Setup, fn(&TestServer, Vec<proto::SettleRequest>) -> Vec<proto::SettleResult>)) {
    for way in [in_batch, in_stream] {
        for_each_store(|setup| case(setup, way));
    }
}

#[test]
fn every_item_is_answered_as_by_itself_and_in_order() {
    for_each_way(|setup, way| {
        // Rows that rest on each other: only one at a time has an order of effects.
        let server = setup.with(|config| config.bulk_window = 1).start();
        let (mother, son) = server.family(50_000);
        let rows = [
            ("one", settle("one", &mother, 1_000), "1000"),
            ("another of the family", settle("two", &mother, 2_000), "2000"),
            ("the first again", settle("one", &mother, 1_000), "1000 again"),
            ("its id for another bill", settle("one", &mother, 1_001), "AlreadyExists REQUEST_ID_REUSED"),
            ("nobody", settle("three", "mem_00000000000000000000000000000000", 1), "NotFound MEMBER_NOT_FOUND"),
            ("more than there is", settle("four", &mother, 60_000), "47000"),
            (
                "nothing",
                proto::SettleRequest::default(),
                "InvalidArgument INVALID_FIELDS bill institution_code patient request_id visit",
            ),
            (
                "a stale token",
                proto::SettleRequest { quote_token: "0".to_owned(), ..settle("five", &mother, 1) },
                "InvalidArgument QUOTE_TOKEN_INVALID quote_token",
            ),
            ("nothing left", settle("six", &mother, 500), "0"),
        ];
        let results = way(&server, rows.iter().map(|(_, item, _)| item.clone()).collect());
        assert_eq!(results.len(), rows.len());
        for ((name, item, expected), result) in rows.iter().zip(&results) {
            assert_eq!((came(result).as_str(), &result.request_id), (*expected, &item.request_id), "{name}");
        }
        assert_eq!(server.balances(&son), (0, 0));
        // What a call of its own finds is the very same.
        let Some(Came::Response(first)) = &results[0].result else { panic!("{results:?}") };
        let again = server.settle(settle("one", &mother, 1_000)).expect("found");
        assert_eq!(proto::SettleResponse { replayed: false, ..again }, *first);
        assert!(!first.explanation.is_empty(), "with its explanation");
    });
}

#[test]
fn more_items_than_are_under_way_together_are_all_settled() {
    for_each_way(|setup, way| {
        let server = setup.with(|config| (config.bulk_window, config.bulk_running) = (3, 2)).start();
        let (mother, son) = server.family(50_000);
        let items = (0..40).map(|place| settle(&format!("w-{place}"), &mother, 100 + place)).collect();
        let results: Vec<String> = way(&server, items).iter().map(came).collect();
        assert_eq!(results, (0..40).map(|place| (100 + place).to_string()).collect::<Vec<_>>());
        assert_eq!(server.balances(&son), (0, 50_000 - 40 * 100 - 39 * 40 / 2));
    });
}

#[test]
fn a_batch_has_so_many_items_and_bytes() {
    let server = Setup::memory().with(|config| config.settle_batch_items = 5).start();
    let (mother, _) = server.family(50_000);
    let items = |name: &str, count: usize| -> Vec<proto::SettleRequest> {
        (0..count).map(|place| settle(&format!("{name}-{place}"), &mother, 100)).collect()
    };
    assert_eq!(in_batch(&server, items("at", 5)).len(), 5);
    for count in [0, 6] {
        let refused = server.batch_settle(proto::BatchSettleRequest { items: items("past", count) });
        assert_eq!(failed(refused), "InvalidArgument INVALID_FIELDS items");
    }
    // Past the bytes an answer has no explanation, and its money all the same.
    let size = |results: &[proto::SettleResult]| proto::BatchSettleResponse { results: results.to_vec() }.encoded_len();
    let whole = in_batch(&server, items("at", 5));
    let all = size(&whole);
    let Some(Came::Response(response)) = &whole[4].result else { panic!("{whole:?}") };
    // Without the last explanation there is still a byte too much: what it is about is told, so one before it goes too.
    let two = all - response.explanation.len() - 8;
    for (bytes, left_out) in [(all, 0), (all - 1, 1), (two, 2), (1, 5)] {
        let server = Setup::memory().with(|config| config.bulk_answer_bytes = bytes as u32).start();
        let (mother, son) = server.family(50_000);
        let items = (0..5).map(|place| settle(&format!("at-{place}"), &mother, 100)).collect::<Vec<_>>();
        in_batch(&server, items.clone());
        let results = in_batch(&server, items);
        let told: Vec<bool> = results.iter().map(|result| result.explanation_left_out).collect();
        let expected: Vec<bool> = (0..5).map(|place| place >= 5 - left_out).collect();
        assert_eq!(told, expected, "{bytes} bytes");
        assert!(size(&results) <= bytes || left_out == 5);
        for result in &results {
            let Some(Came::Response(response)) = &result.result else { panic!("{result:?}") };
            assert_eq!(response.explanation.is_empty(), result.explanation_left_out);
            assert!(response.settlement.is_some());
        }
        assert_eq!(server.balances(&son), (0, 49_500));
    }
}

/// A stream that stays open, and what comes from it.
struct Open {
    send: mpsc::Sender<proto::StreamSettleRequest>,
    answers: tonic::Streaming<proto::StreamSettleResponse>,
}

impl Open {
    async fn begin(server: &TestServer) -> Self {
        let (send, sent) = mpsc::channel(64);
        let mut client = SettlementServiceClient::new(server.channel());
        let answers = client.stream_settle(ReceiverStream::new(sent)).await.expect("begun").into_inner();
        Self { send, answers }
    }

    async fn send(&self, item: proto::SettleRequest) {
        self.send.send(proto::StreamSettleRequest { item: Some(item) }).await.expect("room");
    }

    async fn next(&mut self) -> Result<String, Status> {
        let answer = self.answers.next().await.expect("there is more");
        answer.map(|answer| came(&answer.result.expect("set")))
    }
}

/// Waits until the ledger has this many records, durable or not.
fn wait_for_head(server: &TestServer, position: i64) {
    let ledger = server.ledger();
    wait_until("the items", PATIENCE, || {
        (i64::try_from(ledger.store().head_now().position).expect("small") == position).then_some(())
    });
}

#[test]
fn a_stream_is_a_running_call_with_an_end() {
    let server = Setup::memory().with(|config| (config.concurrent_requests, config.stream_idle_ms) = (1, 200)).start();
    server.wait(async {
        let mut open = Open::begin(&server).await;
        open.send(proto::SettleRequest::default()).await;
        open.next().await.expect("answered");
        let mut client = SettlementServiceClient::new(server.channel());
        let refused = client.settle(proto::SettleRequest::default()).await.expect_err("no room");
        assert_eq!(words(&refused), "ResourceExhausted OVERLOADED");
        // It stands still.
        assert_eq!(words(&open.next().await.expect_err("ended")), "DeadlineExceeded TIME_LIMIT");
        let there = client.settle(proto::SettleRequest::default()).await.expect_err("nothing was sent");
        assert!(words(&there).starts_with("InvalidArgument INVALID_FIELDS"));
    });
}

#[test]
fn a_stop_answers_what_was_taken_in() {
    // However slow the machine: the stop waits for the stream, and not the stream for the stop.
    let mut server = Setup::embedded().with(|config| config.drain_ms = 60_000).start();
    let (mother, _) = server.family(50_000);
    let start = server.head();
    server.faults().set(Fault::Paused);
    let mut open = server.wait(async {
        let open = Open::begin(&server).await;
        for place in 0..3 {
            open.send(settle(&format!("d-{place}"), &mother, 100 + place)).await;
        }
        open
    });
    // The client's side of the connection works only while it is waited for.
    let ledger = server.ledger();
    server.wait(async {
        while i64::try_from(ledger.store().head_now().position).expect("small") < start + 3 {
            tokio::task::yield_now().await;
        }
    });
    server.begin_stop();
    server.wait(async {
        // From the moment on that others are refused, or their connection ends, nothing more is taken in.
        let mut client = SettlementServiceClient::new(server.channel());
        loop {
            match client.settle(proto::SettleRequest::default()).await {
                Err(status) if status.get_details_error_info().is_none() => break,
                Err(status) if words(&status) == "Unavailable SHUTTING_DOWN" => break,
                other => assert!(failed(other).starts_with("InvalidArgument")),
            }
        }
        server.faults().set(Fault::None);
        for place in 0..3 {
            assert_eq!(open.next().await.expect("answered"), (100 + place).to_string());
        }
        assert_eq!(words(&open.next().await.expect_err("ended")), "Unavailable SHUTTING_DOWN");
    });
    server.restart();
    let again = server.settle(settle("d-2", &mother, 102)).expect("found");
    assert!(again.replayed);
    assert_eq!(server.head(), start + 3);
}

#[test]
fn only_so_many_wait_for_a_disk_that_stands_still() {
    let running = 3;
    let server = Setup::embedded().with(|config| config.bulk_running = running).start();
    let (mother, son) = server.family(50_000);
    let start = server.head();
    server.faults().set(Fault::Paused);
    let items: Vec<_> = (0..20).map(|place| settle(&format!("s-{place}"), &mother, 100)).collect();
    server.wait(async {
        let mut open = Open::begin(&server).await;
        for item in &items {
            open.send(item.clone()).await;
        }
        let ledger = server.ledger();
        let head = || i64::try_from(ledger.store().head_now().position).expect("small");
        let most = start + i64::from(running) + 1;
        while head() < most {
            tokio::task::yield_now().await;
        }
        // Calls that come behind all of them and are answered without the disk: the items have had their turn by then.
        let mut client = SettlementServiceClient::new(server.channel());
        for _ in 0..20 {
            let refused = client.settle(proto::SettleRequest::default()).await;
            assert!(failed(refused).starts_with("InvalidArgument"));
        }
        assert_eq!(head(), most);
        server.faults().set(Fault::None);
        for _ in &items {
            assert_eq!(open.next().await.expect("answered"), "100");
        }
    });
    assert_eq!((server.head(), server.balances(&son)), (start + 20, (0, 48_000)));
}

#[test]
fn a_stream_that_is_dropped_leaves_every_item_definite() {
    let server = Setup::embedded().start();
    let (mother, son) = server.family(50_000);
    let start = server.head();
    server.faults().set(Fault::Paused);
    let items: Vec<_> = (0..20).map(|place| settle(&format!("c-{place}"), &mother, 100)).collect();
    server.wait(async {
        let open = Open::begin(&server).await;
        for item in &items {
            open.send(item.clone()).await;
        }
        let ledger = server.ledger();
        while i64::try_from(ledger.store().head_now().position).expect("small") < start + 20 {
            tokio::task::yield_now().await;
        }
        drop(open);
    });
    server.faults().set(Fault::None);
    wait_for_head(&server, start + 20);
    let results: Vec<String> = in_batch(&server, items).iter().map(came).collect();
    assert_eq!(results, vec!["100 again"; 20]);
    assert_eq!(server.balances(&son), (0, 48_000));
}

#[test]
fn what_came_before_a_message_that_cannot_be_read_is_answered() {
    let server = Setup::memory().with(|config| config.message_bytes = 2_000).start();
    let (mother, son) = server.family(50_000);
    let long = proto::SettleRequest { quote_token: "x".repeat(3_000), ..settle("long", &mother, 1) };
    let (first, ended) = server.wait(async {
        let mut open = Open::begin(&server).await;
        open.send(settle("first", &mother, 100)).await;
        open.send(long).await;
        open.send(settle("after", &mother, 100)).await;
        (open.next().await, open.next().await)
    });
    assert_eq!(first.expect("answered"), "100");
    assert_eq!(words(&ended.expect_err("ended")), "ResourceExhausted MESSAGE_TOO_LARGE");
    assert_eq!(server.balances(&son), (0, 49_900));
    assert!(
        !server.settle(settle("after", &mother, 100)).expect("settled").replayed,
        "what came after was not taken in"
    );
}
