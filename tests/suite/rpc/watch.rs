//! Watch: every record from a position on, in order, each once, durable; filters, checkpoints, ends and bounds.

use std::sync::Arc;
use std::time::Duration;

use gongji::store::embedded::Fault;
use gongji::store::memory::MemoryStore;
use gongji::store::{Store, StoreError, StoreFuture, StoredRecord};

use crate::around::{Around, Wrapped};
use proto::RecordKind as K;
use tonic::{Status, Streaming};

use crate::store::HeadNow;
use crate::support::*;

type Feed = Streaming<proto::WatchResponse>;

/// No answer of a sound server takes as long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(server: &TestServer, request: proto::WatchRequest) -> Result<Feed, Status> {
    let mut client = proto::ledger_service_client::LedgerServiceClient::new(server.channel());
    client.watch(request).await.map(tonic::Response::into_inner)
}

async fn message(feed: &mut Feed) -> Result<proto::WatchResponse, Status> {
    let next = tokio::time::timeout(PATIENCE, feed.message()).await.expect("a message or an end comes");
    next.map(|message| message.expect("a watch has no end of its own"))
}

/// Reads until the consumer is up to date: records, and the last checkpoint.
async fn caught_up(feed: &mut Feed) -> (Vec<proto::Record>, proto::Checkpoint) {
    let mut records = Vec::new();
    loop {
        let message = message(feed).await.expect("it goes on");
        records.extend(message.records);
        let checkpoint = message.checkpoint.expect("every message has one");
        assert!(records.last().is_none_or(|record| record.position <= checkpoint.position));
        if checkpoint.caught_up {
            return (records, checkpoint);
        }
    }
}

fn everything(server: &TestServer) -> Vec<proto::Record> {
    server.list_records(proto::ListRecordsRequest { page_size: 500, ..Default::default() }).expect("a page").records
}

fn from(position: i64) -> proto::WatchRequest {
    proto::WatchRequest { from_position: position, ..Default::default() }
}

/// A settlement, half of it given back; two regions, two institutions.
fn history(server: &TestServer) -> (String, String) {
    let (mother, son) = server.family(50_000);
    let id = server.settle(settle("s", &mother, 1_000)).expect("settled").settlement.expect("set").settlement_id;
    server.refund_settlement(refund_whole("f", &id)).expect("refunded");
    let elsewhere = proto::SettleRequest { institution_code: "H002".to_owned(), ..settle("t", &mother, 300) };
    server.settle(elsewhere).expect("settled");
    let stranger = server.member(9, "330100", 100);
    let mut moved = person(9, "440300").insurance.expect("set");
    moved.start_date = MORNING[..10].to_owned();
    let request = proto::UpdateInsuranceRequest {
        request_id: "u".to_owned(),
        member: by_id(&stranger),
        insurance: Some(moved),
        ..Default::default()
    };
    server.update_insurance(request).expect("moved");
    (mother, son)
}

#[test]
fn a_watch_gives_the_ledger_from_any_position_and_after_a_restart() {
    for_each_store(|setup| {
        let mut server = setup.start();
        history(&server);
        server.restart();
        let all = everything(&server);
        assert_eq!(all.len(), 10);
        for position in 0..=all.len() + 1 {
            let digest = match position {
                0 | 1 => String::new(),
                _ => all[position - 2].link.clone(),
            };
            let request = proto::WatchRequest { after_digest: digest, ..from(position as i64) };
            let (records, checkpoint) =
                server.wait(async { caught_up(&mut open(&server, request).await.expect("opens")).await });
            assert_eq!(records, all[position.saturating_sub(1)..], "from {position}");
            assert_eq!((checkpoint.position, checkpoint.digest.as_str()), (10, all[9].link.as_str()));
        }
    });
}

fn check(server: &TestServer, filter: proto::WatchRequest, expected: &[i64]) {
    let (records, checkpoint) =
        server.wait(async { caught_up(&mut open(server, filter.clone()).await.expect("opens")).await });
    let positions: Vec<i64> = records.iter().map(|record| record.position).collect();
    assert_eq!((positions.as_slice(), checkpoint.position), (expected, server.head()), "{filter:?}");
}

#[test]
fn filters_narrow_each_other_and_never_change_their_mind() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = history(&server);
        // 1 mother, 2 son, 3 the son's credit, 4 binding, 5 settlement, 6 refund, 7 settlement at H002, 8 a stranger of
        // Hangzhou, 9 a credit there, 10 the stranger moves to Shenzhen.
        let kinds = |kinds: &[K]| kinds.iter().map(|kind| *kind as i32).collect();
        let text = |text: &str| vec![text.to_owned()];
        let all = proto::WatchRequest::default;
        let stranger = everything(&server)[7].subject_id.clone();
        check(&server, all(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        check(&server, proto::WatchRequest { kinds: kinds(&[K::Settled, K::Refunded]), ..all() }, &[5, 6, 7]);
        check(&server, proto::WatchRequest { member_ids: text(&mother), ..all() }, &[1, 4, 5, 6, 7]);
        check(&server, proto::WatchRequest { member_ids: text(&son), ..all() }, &[2, 3, 4, 5, 6, 7]);
        check(&server, proto::WatchRequest { member_ids: text(&stranger), ..all() }, &[8, 9, 10]);
        check(&server, proto::WatchRequest { member_ids: vec![mother, stranger], ..from(6) }, &[6, 7, 8, 9, 10]);
        check(&server, proto::WatchRequest { institution_codes: text("H002"), ..all() }, &[7]);
        check(&server, proto::WatchRequest { institution_codes: text(HOSPITAL), ..all() }, &[5, 6]);
        check(&server, proto::WatchRequest { region_codes: text("330100"), ..all() }, &[8, 9, 10]);
        check(&server, proto::WatchRequest { region_codes: text("440300"), ..all() }, &[1, 2, 3, 4, 5, 6, 7, 10]);
        let both = proto::WatchRequest {
            kinds: kinds(&[K::Settled]),
            member_ids: text(&son),
            institution_codes: text(HOSPITAL),
            region_codes: text("440300"),
            ..all()
        };
        check(&server, both.clone(), &[5]);
        check(&server, proto::WatchRequest { region_codes: text("330100"), ..both }, &[]);
    });
}

#[test]
fn what_comes_is_told_when_it_is_durable_and_silence_is_told_too() {
    let server = Setup::embedded().with(|config| config.watch_checkpoint_ms = 20).start();
    let (mother, _) = server.family(50_000);
    server.wait(async {
        let mut feed = open(&server, from(5)).await.expect("opens");
        let (records, first) = caught_up(&mut feed).await;
        assert_eq!((records.len(), first.position), (0, 4), "who is up to date hears so at once");
        server.faults().set(Fault::Paused);
        let mut client = proto::settlement_service_client::SettlementServiceClient::new(server.channel());
        let request = settle("s", &mother, 1_000);
        let settling = tokio::spawn(async move { client.settle(request).await });
        while server.ledger().store().head_now().position == 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            let silent = message(&mut feed).await.expect("a sign of life");
            assert_eq!((silent.records.len(), silent.checkpoint.expect("set").position), (0, 4));
        }
        server.faults().set(Fault::None);
        loop {
            let told = message(&mut feed).await.expect("it goes on");
            if let [record] = &told.records[..] {
                assert_eq!(
                    (record.kind(), record.position, told.checkpoint.expect("set").position),
                    (K::Settled, 5, 5)
                );
                break;
            }
        }
        settling.await.expect("runs").expect("settled");
    });
}

#[test]
fn a_filter_that_nothing_passes_is_told_how_far_it_is() {
    let server = Setup::memory().with(|config| config.watch_checkpoint_ms = 20).start();
    let (mother, _) = server.family(50_000);
    server.wait(async {
        let nobody = proto::WatchRequest { institution_codes: vec!["NOBODY".to_owned()], ..from(0) };
        let mut feed = open(&server, nobody).await.expect("opens");
        let mut position = caught_up(&mut feed).await.1.position;
        let mut client = proto::settlement_service_client::SettlementServiceClient::new(server.channel());
        client.settle(settle("s", &mother, 1_000)).await.expect("settled");
        while position < 5 {
            let told = message(&mut feed).await.expect("it goes on");
            assert!(told.records.is_empty());
            position = told.checkpoint.expect("set").position;
        }
    });
}

#[test]
fn what_cannot_be_watched_is_refused_by_name() {
    let server = Setup::memory().with(|config| config.watch_filter_values = 2).start();
    history(&server);
    let refused = |request| failed(server.wait(open(&server, request)).map(|_| ()));
    assert_eq!(refused(from(12)), "FailedPrecondition POSITION_NOT_REACHED");
    assert_eq!(
        refused(proto::WatchRequest { after_digest: "00".repeat(32), ..from(5) }),
        "FailedPrecondition CHAIN_DIFFERS"
    );
    let empty = proto::WatchRequest { after_digest: "00".repeat(32), ..from(1) };
    assert!(server.wait(open(&server, empty)).is_ok(), "the digest of nothing");
    let bad = proto::WatchRequest {
        from_position: -1,
        after_digest: "AB".to_owned(),
        kinds: vec![1, 0, 9_999],
        member_ids: vec!["mem_1".to_owned(); 3],
        institution_codes: vec![String::new()],
        region_codes: vec!["440300".to_owned(), "44".to_owned()],
    };
    let named = "after_digest from_position institution_codes[0] kinds member_ids region_codes[1]";
    assert_eq!(refused(bad), format!("InvalidArgument INVALID_FIELDS {named}"));
    let kinds = proto::WatchRequest { kinds: vec![0, 9_999], ..proto::WatchRequest::default() };
    assert_eq!(refused(kinds), "InvalidArgument INVALID_FIELDS kinds[0] kinds[1]");
    let two = proto::WatchRequest { region_codes: vec!["440300".to_owned(); 2], ..from(0) };
    assert!(server.wait(open(&server, two.clone())).is_ok(), "at the bound");
    let three = proto::WatchRequest { region_codes: vec!["440300".to_owned(); 3], ..two };
    assert_eq!(refused(three), "InvalidArgument INVALID_FIELDS region_codes");
}

#[test]
fn so_many_watch_at_once() {
    let server = Setup::memory().with(|config| config.watch_streams = 2).start();
    history(&server);
    server.wait(async {
        let mut feeds = [open(&server, from(0)).await.expect("opens"), open(&server, from(0)).await.expect("opens")];
        let past = open(&server, from(0)).await.map(|_| ()).expect_err("one too many");
        assert_eq!(words(&past), "ResourceExhausted OVERLOADED");
        assert!(told(&past).retry);
        for feed in &mut feeds {
            assert_eq!(caught_up(feed).await.0.len(), 10);
        }
        // A place is free as soon as the server hears that somebody has left.
        drop(feeds);
        while open(&server, from(0)).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_message_ends_after_so_many_bytes() {
    let server = Setup::memory().with(|config| config.watch_message_bytes = 1).start();
    history(&server);
    server.wait(async {
        let mut feed = open(&server, from(0)).await.expect("opens");
        for position in 1..=10 {
            let message = message(&mut feed).await.expect("it goes on");
            let positions: Vec<i64> = message.records.iter().map(|record| record.position).collect();
            assert_eq!((positions, message.checkpoint.expect("set").position), (vec![position], position));
        }
    });
}

#[test]
fn a_stop_ends_every_watch_with_a_word() {
    let mut server = Setup::embedded().start();
    history(&server);
    let connect = server.connect_elsewhere();
    let (caught, is_caught) = std::sync::mpsc::channel();
    let ended = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = proto::ledger_service_client::LedgerServiceClient::new(connect().await);
            let mut feed = client.watch(from(0)).await.expect("opens").into_inner();
            assert_eq!(caught_up(&mut feed).await.0.len(), 10);
            caught.send(()).expect("somebody waits");
            message(&mut feed).await.expect_err("the server stops")
        })
    });
    is_caught.recv().expect("it watches");
    server.restart();
    let status = ended.join().expect("runs");
    assert_eq!(words(&status), "Unavailable SHUTTING_DOWN");
    assert!(told(&status).retry, "connect again");
}

/// A ledger of which the beginning is not kept.
struct Compacted {
    inner: MemoryStore,
    first: std::sync::atomic::AtomicU64,
    archives: bool,
}

impl Compacted {
    /// A server with some history, all of which is kept so far.
    fn start(archives: bool) -> (Arc<Wrapped<Self>>, TestServer, String, String) {
        let inner = MemoryStore::new([7; 32], 1_000);
        let store = Arc::new(Wrapped(Self { inner, first: 0.into(), archives }));
        let mut setup = Setup::over(store.clone());
        setup.check_at_end = false;
        let server = setup.start();
        let (mother, son) = history(&server);
        (store, server, mother, son)
    }
}

impl Around for Compacted {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>> {
        self.inner.records(from.max(self.first.load(std::sync::atomic::Ordering::SeqCst)), limit)
    }

    fn archives(&self) -> bool {
        self.archives
    }
}

const COMPACTED: &str = "FailedPrecondition POSITION_COMPACTED";

#[test]
fn a_position_that_is_not_kept_is_refused_by_name() {
    let (store, server, mother, son) = Compacted::start(true);
    store.first.store(6, std::sync::atomic::Ordering::SeqCst);
    for (position, refused) in [(0, true), (1, true), (6, true), (7, false), (11, false)] {
        let outcome = server.wait(async {
            match open(&server, from(position)).await {
                Ok(mut feed) => message(&mut feed).await.map(|_| ()),
                Err(status) => Err(status),
            }
        });
        assert_eq!(outcome.is_err(), refused, "from {position}");
        if let Err(status) = outcome {
            let told = told(&status);
            assert_eq!((told.reason.as_str(), told.metadata["first_position"].as_str()), ("POSITION_COMPACTED", "6"));
        }
    }
    // Nor is a list cut, or a ledger called broken, for want of what was archived.
    let records = |from_position| proto::ListRecordsRequest { from_position, ..Default::default() };
    assert_eq!(failed(server.list_records(records(0))), COMPACTED);
    assert_eq!(failed(server.list_records(records(5))), COMPACTED);
    assert_eq!(server.list_records(records(6)).expect("kept").records[0].position, 6);
    let entries = proto::ListEntriesRequest { member: by_id(&son), ..Default::default() };
    let refused = [
        server.check_ledger(proto::CheckLedgerRequest {}).map(drop),
        server.list_entries(entries).map(drop),
        server.settle(settle("s", &mother, 1_000)).map(drop),
    ];
    let names = refused.map(|answer| answer.map_or_else(|status| words(&status), |()| "ok".to_owned()));
    assert_eq!(names, [COMPACTED; 3]);
}

/// Where nothing is ever archived, a beginning that is not there is damage, and told as that.
#[test]
fn a_beginning_that_is_lost_is_not_told_as_archived() {
    let (store, server, ..) = Compacted::start(false);
    store.first.store(2, std::sync::atomic::Ordering::SeqCst);
    let found = server.check_ledger(proto::CheckLedgerRequest {}).expect("checked");
    let told: Vec<&str> = found.problems.iter().take(2).map(String::as_str).collect();
    assert_eq!(told, ["record 2: does not follow the one before", "record 2: breaks the chain"]);
    let records = proto::ListRecordsRequest::default();
    assert_eq!(failed(server.list_records(records)), "Internal INTERNAL_ERROR");
}

/// Money that a confirmation gives back into a quota is its owner's, though no account and no payer of the bill says so.
#[test]
fn an_owner_is_told_what_a_confirmation_gives_back() {
    for_each_store(|setup| {
        let server = setup.start();
        let (owner, patient, _) = server.quota(100_000, 50_000);
        let mut bill = settle("h", &patient, 300);
        let visit = bill.visit.as_mut().expect("set");
        (visit.care_region_code, visit.visit_date) = ("510100".to_owned(), "2026-02-01".to_owned());
        let held = server.hold_settlement(hold_of(&bill, 600)).expect("held");
        let id = held.settlement.expect("set").settlement_id;
        let nothing = proto::ConfirmSettlementRequest { accounts_fen: Some(0), ..confirm("k", &id) };
        let confirmed = server.confirm_settlement(nothing).expect("confirmed");
        assert_eq!(confirmed.returned_fen, 300);
        let of_owner = proto::WatchRequest { member_ids: vec![owner], ..from(held.ledger_position) };
        check(&server, of_owner, &[held.ledger_position, confirmed.ledger_position]);
    });
}
