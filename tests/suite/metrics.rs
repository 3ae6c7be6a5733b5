//! `--metrics-listen`, on the real program: what is counted where, that labels come from fixed lists and give nobody away, the
//! bounds of its door, and that the guide's table has every metric there is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gongji::domain::time::Moment;
use gongji::grpc::proto;
use gongji::store::memory::MemoryStore;
use gongji::store::{Change, CommitError, Committed, Store, StoreFuture};
use prost::Message as _;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::around::{Around, Wrapped};
use crate::kills::{self, Outcome, send};
use crate::malformed::Raw;
use crate::postgres::{Cluster, Durability, PostgresServer};
use crate::process::{PATIENCE, Server, ended, gongji, id_number, run, today, wait_until};
use crate::support::{self, Setup};

/// What one request of whoever collects gets.
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    // It may be refused before it is sent whole.
    let _ = stream.write_all(request.as_bytes());
    heard(stream)
}

fn heard(mut stream: TcpStream) -> (String, String) {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection ends"),
    }
    let text = String::from_utf8(text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: gongji\r\n\r\n";

/// Where a server tells its metrics, as its log says.
pub fn door(server: &Server) -> SocketAddr {
    let log = server.log();
    let told = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap_or_default());
    let fields = told.map(|said| said["fields"].clone()).find(|fields| fields["message"] == "metrics");
    let address = fields.expect("the log tells where")["address"].as_str().expect("an address").to_owned();
    address.parse().expect("an address")
}

/// A page as a collector reads it: strictly.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// Kind by name.
    families: BTreeMap<String, String>,
    /// Value by name and labels, as written.
    rows: BTreeMap<String, String>,
    /// Every label with its values.
    labels: BTreeMap<String, BTreeSet<String>>,
    text: String,
}

impl Scrape {
    pub fn of(address: SocketAddr) -> Self {
        let (status, text) = ask(address, GET);
        assert_eq!(status, "HTTP/1.1 200 OK");
        Self::read(text)
    }

    fn read(text: String) -> Self {
        let mut scrape = Self::default();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("# HELP ") {
                let (name, help) = words.split_once(' ').expect("a name and a meaning");
                assert!(
                    help.ends_with('.') && scrape.families.insert(name.to_owned(), String::new()).is_none(),
                    "{line}"
                );
                family = name.to_owned();
            } else if let Some(words) = line.strip_prefix("# TYPE ") {
                let (name, kind) = words.split_once(' ').expect("a name and a kind");
                assert_eq!(name, family);
                scrape.families.insert(name.to_owned(), kind.to_owned());
            } else {
                let (row, value) = line.rsplit_once(' ').expect("a row and its value");
                let name = row.split('{').next().unwrap_or_default();
                let endings = ["", "_bucket", "_sum", "_count"];
                assert!(endings.iter().any(|ending| *name == format!("{family}{ending}")), "{line} under {family}");
                let digits = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                assert!(digits && !value.is_empty(), "{line}");
                for (label, value) in labels(row) {
                    scrape.labels.entry(label).or_default().insert(value);
                }
                assert!(scrape.rows.insert(row.to_owned(), value.to_owned()).is_none(), "{row} twice");
            }
        }
        assert!(text.ends_with('\n'));
        for (name, kind) in &scrape.families {
            assert!(
                name.starts_with("gongji_") && ["counter", "gauge", "histogram"].contains(&kind.as_str()),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        }
        scrape.text = text;
        scrape
    }

    /// 0 for what was not counted yet.
    fn value(&self, row: &str) -> u64 {
        self.rows.get(row).map_or(0, |value| value.parse().expect("a whole number"))
    }

    fn rows_of(&self, name: &str) -> impl Iterator<Item = (&str, u64)> {
        let of = format!("{name}{{");
        self.rows.keys().filter(move |row| row.starts_with(&of)).map(|row| (row.as_str(), self.value(row)))
    }

    /// Calls of a method that ended with a code.
    pub fn calls(&self, method: &str, code: &str) -> u64 {
        let label = format!("method=\"{method}\",code=\"{code}\"");
        self.rows_of("gongji_calls_total").filter(|(row, _)| row.contains(&label)).map(|(_, count)| count).sum()
    }

    /// Calls of a method that failed, by `CODE/REASON`: the fewer of the two counts.
    pub fn failed(&self, method: &str, word: &str) -> u64 {
        let (code, reason) = word.split_once('/').expect("both");
        let label = format!("method=\"{method}\",reason=\"{reason}\"");
        let failed = self.rows_of("gongji_failed_calls_total").filter(|(row, _)| row.contains(&label));
        failed.map(|(_, count)| count).sum::<u64>().min(self.calls(method, code))
    }

    /// Rows of these families that differ, with by how much.
    fn since(&self, before: &Self, names: &[&str]) -> Vec<String> {
        let all = names.iter().flat_map(|name| self.rows_of(name));
        let moved = all.map(|(row, value)| (row, value - before.value(row))).filter(|(_, more)| *more > 0);
        moved.map(|(row, more)| format!("{row} {more}")).collect()
    }

    /// No label has a value but those of the contract and of this program, and no word of these stands anywhere.
    pub fn gives_nobody_away<'a>(&self, private: impl IntoIterator<Item = &'a str>) {
        let pool = prost_reflect::DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors");
        let ours = || pool.services().filter(|service| service.full_name().starts_with("gongji.v1."));
        let methods = ours().flat_map(|service| service.methods().map(|it| it.name().to_owned()).collect::<Vec<_>>());
        let reasons = pool.get_enum_by_name("gongji.v1.Reason").expect("the reasons");
        let mut known: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        known.insert("service", ours().map(|service| service.name().to_owned()).collect());
        known.insert("method", methods.collect());
        known.insert("reason", reasons.values().map(|it| it.name().replace("REASON_", "")).collect());
        for (label, values) in &self.labels {
            match label.as_str() {
                "service" | "method" | "reason" => {
                    let strange =
                        values.iter().find(|value| *value != "unknown" && !known[label.as_str()].contains(*value));
                    assert_eq!(strange, None, "a {label} that is none");
                }
                "code" => {
                    assert!(values.iter().all(|code| code.bytes().all(|it| it == b'_' || it.is_ascii_uppercase())));
                }
                "cause" => {
                    let known = ["calls", "watches", "stopping", "in_the_way", "connection"];
                    assert!(values.iter().all(|cause| known.contains(&cause.as_str())), "{values:?}");
                }
                "result" => assert!(values.iter().all(|result| ["ok", "failed"].contains(&result.as_str()))),
                "version" | "store" | "policy_digest" => assert_eq!(values.len(), 1, "{label}"),
                "le" => assert!(values.iter().all(|bound| bound == "+Inf" || bound.parse::<f64>().is_ok())),
                other => panic!("a label that nobody knows: {other}"),
            }
        }
        for word in private {
            assert!(!self.text.contains(word), "{word} stands in the metrics");
        }
    }
}

/// Names and values of the labels of a row.
fn labels(row: &str) -> Vec<(String, String)> {
    let Some((_, inside)) = row.split_once('{') else { return Vec::new() };
    let inside = inside.strip_suffix("\"}").expect("closed");
    let pairs = inside.split("\",").map(|pair| pair.split_once("=\"").expect("a label"));
    pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

const HERE: [&str; 2] = ["--metrics-listen", "127.0.0.1:0"];

fn demo(more: &[&str]) -> Server {
    let clock = ["serve", "--demo", "--clock", "2025-06-03T09:00:00+08:00"];
    Server::start(gongji(&[&clock, &HERE[..], more].concat()))
}

async fn call(channel: &Channel, path: &str, message: Vec<u8>) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("connected");
    let path = PathAndQuery::try_from(path).expect("a path");
    if ["CalculateBatch", "StreamSettle"].iter().any(|streams| path.as_str().ends_with(streams)) {
        let messages = tokio_stream::iter([message]);
        let mut answers = client.streaming(Request::new(messages), path, Raw).await?.into_inner();
        while answers.message().await?.is_some() {}
        return Ok(());
    }
    client.unary(Request::new(message), path, Raw).await.map(drop)
}

fn card(number: &str) -> Option<proto::MemberRef> {
    Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::CardNumber(number.to_owned())) })
}

fn bill(id: &str, total_fen: i64) -> proto::SettleRequest {
    let visit = proto::Visit { visit_date: "2025-06-03".to_owned(), ..support::visit() };
    let request = support::settle(id, "", total_fen);
    proto::SettleRequest { patient: card("SZ-CARD-1001"), visit: Some(visit), ..request }
}

#[test]
fn each_call_counts_under_its_method_and_outcome() {
    let server = demo(&[]);
    let door = door(&server);
    let full = proto::LookUpMemberRequest {
        member: card("SZ-CARD-1002"),
        view: proto::View::Full as i32,
        ..Default::default()
    };
    let lost = support::refund_whole("r-1", "stl_00000000000000000000000000000000");
    let look = proto::LookUpMemberRequest { member: card("NO-CARD"), ..Default::default() };
    let credit = proto::CreditAccountRequest { member: card("SZ-CARD-1002"), ..support::credit("c-1", "", 100) };
    let fence = support::fence("f-1", "m-9");
    // An item without a calculation has an error of its own; a message without an item is none.
    let batch = proto::CalculateBatchRequest { items: vec![prost::bytes::Bytes::new()] };
    // What is called, with what it counts besides, if anything.
    let rows = [
        ("SettlementService/Settle", bill("m-1", 1_000).encode_to_vec(), "OK", "gongji_changes_total"),
        ("SettlementService/Settle", bill("m-1", 1_000).encode_to_vec(), "OK", "gongji_repeats_total"),
        ("SettlementService/Settle", bill("m-1", 1_001).encode_to_vec(), "ALREADY_EXISTS REQUEST_ID_REUSED", ""),
        ("SettlementService/Settle", bill("m-2", -1).encode_to_vec(), "INVALID_ARGUMENT INVALID_FIELDS", ""),
        ("SettlementService/Settle", vec![0xff; 9], "INVALID_ARGUMENT MALFORMED_MESSAGE", ""),
        ("SettlementService/RefundSettlement", lost.encode_to_vec(), "NOT_FOUND SETTLEMENT_NOT_FOUND", ""),
        ("AccountService/CreditAccount", credit.encode_to_vec(), "OK", "gongji_changes_total"),
        ("MemberService/LookUpMember", full.encode_to_vec(), "PERMISSION_DENIED REVEAL_NOT_ALLOWED", ""),
        ("SettlementService/ResolveOutcome", fence.encode_to_vec(), "OK", "gongji_changes_total"),
        ("SettlementService/Settle", bill("m-9", 1_000).encode_to_vec(), "FAILED_PRECONDITION REQUEST_FENCED", ""),
        ("MemberService/LookUpMember", look.encode_to_vec(), "NOT_FOUND MEMBER_NOT_FOUND", ""),
        ("LedgerService/CheckLedger", Vec::new(), "OK", ""),
        ("CalculationService/CalculateBatch", batch.encode_to_vec(), "OK", ""),
        ("CalculationService/CalculateBatch", Vec::new(), "INVALID_ARGUMENT INVALID_FIELDS", ""),
        ("SettlementService/Unheard", Vec::new(), "UNIMPLEMENTED NOT_IMPLEMENTED", ""),
    ];
    run(async {
        let channel = server.channel().await;
        for (path, message, expected, besides) in rows {
            let before = Scrape::of(door);
            let answer = call(&channel, &format!("/gongji.v1.{path}"), message).await;
            let after = Scrape::of(door);
            let (code, reason) = expected.split_once(' ').unwrap_or((expected, ""));
            let told = answer.err().and_then(|status| status.get_details_error_info()).map(|info| info.reason);
            assert_eq!(told.unwrap_or_default(), reason, "{path}");
            let (service, method) = path.split_once('/').expect("both");
            let [service, method] = if method == "Unheard" { ["unknown"; 2] } else { [service, method] };
            let row =
                |name: &str, label: String| format!("{name}{{service=\"{service}\",method=\"{method}\"{label}}} 1");
            let mut wanted = vec![
                row("gongji_calls_total", format!(",code=\"{code}\"")),
                row("gongji_call_duration_seconds_count", String::new()),
            ];
            if !reason.is_empty() {
                wanted.push(row("gongji_failed_calls_total", format!(",reason=\"{reason}\"")));
            }
            let names = [
                "gongji_calls_total",
                "gongji_call_duration_seconds_count",
                "gongji_failed_calls_total",
                "gongji_admission_refusals_total",
            ];
            assert_eq!(after.since(&before, &names), wanted, "{path} {expected}");
            for name in ["gongji_changes_total", "gongji_repeats_total", "gongji_races_lost_total"] {
                assert_eq!(after.value(name) - before.value(name), u64::from(name == besides), "{name} of {path}");
            }
            let moved = after.value("gongji_ledger_position") - before.value("gongji_ledger_position");
            assert_eq!(moved, u64::from(besides == "gongji_changes_total"), "the ledger's position");
        }
    });
}

#[test]
fn items_of_many_count_for_themselves() {
    let server = demo(&["--settle-batch-items", "3"]);
    let door = door(&server);
    let items = |items: &[proto::SettleRequest]| proto::BatchSettleRequest { items: items.to_vec() }.encode_to_vec();
    let three = items(&[bill("m-1", 1_000), bill("m-1", 1_001), bill("m-2", 1_000)]);
    let one = proto::StreamSettleRequest { item: Some(bill("m-2", -1)) }.encode_to_vec();
    let row = proto::CreditAccountRequest { member: card("SZ-CARD-1002"), ..support::credit("c-1", "", 100) };
    let credit = proto::ImportCreditsRequest { row: Some(row) }.encode_to_vec();
    let nobody = proto::ImportMembersRequest::default().encode_to_vec();
    let empty = proto::CalculateBatchRequest { items: vec![prost::bytes::Bytes::new()] }.encode_to_vec();
    // What is called, how many of its items came to something, and why others did not.
    let rows: [(&str, Vec<u8>, u64, &[&str]); 7] = [
        ("SettlementService/BatchSettle", three, 2, &["REQUEST_ID_REUSED"]),
        ("SettlementService/StreamSettle", one, 0, &["INVALID_FIELDS"]),
        ("AccountService/ImportCredits", credit.clone(), 1, &[]),
        ("AccountService/ImportCredits", credit, 1, &[]),
        ("MemberService/ImportMembers", nobody, 0, &["INVALID_FIELDS"]),
        ("CalculationService/CalculateBatch", empty, 0, &["INVALID_FIELDS"]),
        ("SettlementService/BatchSettle", items(&[]), 0, &[]),
    ];
    run(async {
        let channel = server.channel().await;
        for (path, message, ok, reasons) in rows {
            let before = Scrape::of(door);
            let _ = call(&channel, &format!("/gongji.v1.{path}"), message).await;
            let (service, method) = path.split_once('/').expect("both");
            let labels = format!("service=\"{service}\",method=\"{method}\"");
            let all = [("ok", ok), ("failed", reasons.len() as u64)];
            let all = all.into_iter().filter(|(_, count)| *count > 0);
            let mut wanted: Vec<String> =
                all.map(|(word, count)| format!("gongji_items_total{{{labels},result=\"{word}\"}} {count}")).collect();
            wanted.sort();
            let failed = |reason| format!("gongji_failed_items_total{{{labels},reason=\"{reason}\"}} 1");
            wanted.extend(reasons.iter().map(failed));
            let names = ["gongji_items_total", "gongji_failed_items_total"];
            assert_eq!(Scrape::of(door).since(&before, &names), wanted, "{path}");
        }
    });
}

#[test]
fn a_call_that_nobody_waits_for_any_more_was_cut_off_and_a_watch_has_no_duration() {
    let server = demo(&["--watch-streams", "1"]);
    let door = door(&server);
    let cut = "gongji_calls_total{service=\"LedgerService\",method=\"Watch\",code=\"CANCELLED\"}";
    // The connection by which the server was found ready may be seen to end a moment later.
    wait_until("the end of the first connection", PATIENCE, || {
        (Scrape::of(door).value("gongji_connections") == 0).then_some(())
    });
    run(async {
        let mut client = proto::ledger_service_client::LedgerServiceClient::new(server.channel().await);
        let mut watch = client.watch(proto::WatchRequest::default()).await.expect("watches").into_inner();
        watch.message().await.expect("a first word");
        let open = Scrape::of(door);
        assert_eq!((open.value("gongji_watch_streams"), open.value("gongji_watch_streams_max")), (1, 1));
        assert_eq!((open.value("gongji_connections"), open.value(cut)), (1, 0));
        let second = client.watch(proto::WatchRequest::default()).await.expect_err("one too many");
        assert_eq!(second.code(), Code::ResourceExhausted);
    });
    let after = wait_until("the end of the watch", PATIENCE, || {
        Some(Scrape::of(door)).filter(|scrape| scrape.value("gongji_watch_streams") == 0)
    });
    assert_eq!(after.value(cut), 1);
    assert_eq!(after.value("gongji_admission_refusals_total{cause=\"watches\"}"), 1);
    assert_eq!(after.rows_of("gongji_call_duration_seconds_count").count(), 0, "of a stream without an end");
    assert!(Scrape::of(door).value("gongji_connections") <= 1, "connections that have gone are not counted");
}

/// A store that does what it was told to with the next commits.
struct Bent {
    inner: MemoryStore,
    conflicts: AtomicUsize,
    unknown: AtomicUsize,
}

impl Around for Bent {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        let next = |left: &AtomicUsize| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let error = match () {
            () if next(&self.conflicts) => CommitError::Conflict,
            () if next(&self.unknown) => CommitError::Unknown(None),
            () => return self.inner.commit(changes, now),
        };
        Box::pin(std::future::ready(changes.iter().map(|_| Err(error)).collect()))
    }
}

#[test]
fn races_and_commits_without_a_verdict_are_counted() {
    let inner = MemoryStore::new([7; 32], 1_000);
    let store = Arc::new(Wrapped(Bent { inner, conflicts: AtomicUsize::new(0), unknown: AtomicUsize::new(0) }));
    let server = Setup::over(store.clone()).start();
    let (mother, _) = server.family(50_000);
    let counted = || {
        let mut page = gongji::metrics::Page::default();
        server.ledger().measure(&mut page);
        let scrape = Scrape::read(page.into_text());
        ["changes_total", "races_lost_total", "changes_alone_total", "commits_unknown_total"]
            .map(|name| scrape.value(&format!("gongji_{name}")))
    };
    let before = counted();
    let since = || {
        let mut after = counted();
        after.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
        after
    };
    for (name, conflicts, unknown, expected) in
        [("a", 0, 0, [1, 0, 0, 0]), ("b", 3, 0, [2, 3, 2, 0]), ("c", 0, 2, [3, 3, 2, 2])]
    {
        store.conflicts.store(conflicts, Ordering::SeqCst);
        store.unknown.store(unknown, Ordering::SeqCst);
        server.settle(support::settle(name, &mother, 100)).expect("settled");
        assert_eq!(since(), expected, "{conflicts} races lost, {unknown} commits without a verdict");
    }
}

#[test]
fn what_callers_name_is_never_a_label() {
    let server = demo(&[]);
    let door = door(&server);
    let mut named: Vec<String> = Vec::new();
    run(async {
        let channel = server.channel().await;
        let day = today(channel.clone()).await;
        for number in 0..8 {
            let op = kills::person(number, true);
            assert!(matches!(send(&channel, op).await, Outcome::Done { .. }));
            send(&channel, kills::credit(format!("given-{number}"), number, 10_000)).await;
            let settled = kills::settle(format!("paid-{number}"), "H-SECRET-1", number, &day, 500, 100);
            assert!(matches!(send(&channel, settled).await, Outcome::Done { .. }));
            let words =
                [format!("人{number}"), id_number(number), format!("CARD-{number}"), format!("person-{number}")];
            named.extend(words.into_iter().chain([format!("given-{number}"), format!("paid-{number}")]));
            // The same words where a method's name should be, and a header's.
            let path = format!("/gongji.v1.SettlementService/{}", id_number(number));
            let refused = call(&channel, &path, Vec::new()).await.expect_err("no such method");
            assert_eq!(refused.code(), Code::Unimplemented);
        }
        named.extend(["H-SECRET-1", "440300", "林秀英", "mem_", "stl_", "127.0.0.1"].map(str::to_owned));
    });
    let before = Scrape::of(door);
    before.gives_nobody_away(named.iter().map(String::as_str));
    run(async {
        let channel = server.channel().await;
        for number in 0..300 {
            let path = format!("/gongji.v1.Service{number}/Method{number}");
            call(&channel, &path, Vec::new()).await.expect_err("no such method");
        }
    });
    ask(door, &format!("GET /metrics?{0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {0}\r\n\r\n", id_number(0)));
    let after = Scrape::of(door);
    after.gives_nobody_away(named.iter().map(String::as_str));
    assert_eq!(after.rows.len(), before.rows.len(), "no caller makes a row");
}

#[test]
fn the_door_answers_one_question_and_has_bounds() {
    let server = demo(&[]);
    let door = door(&server);
    let head = |bytes: usize| {
        let filler = bytes - GET.len() - "X: \r\n".len();
        GET.replace("Host", &format!("X: {}\r\nHost", "y".repeat(filler)))
    };
    let lines = |lines: usize| GET.replace("Host", &format!("{}Host", "X: y\r\n".repeat(lines - 1)));
    let not_found = "HTTP/1.1 404 Not Found";
    for (name, request, expected) in [
        ("the question", GET.to_owned(), "HTTP/1.1 200 OK"),
        ("with a query", GET.replace("metrics", "metrics?name=x"), "HTTP/1.1 200 OK"),
        ("of an older client", GET.replace("1.1", "1.0"), "HTTP/1.0 200 OK"),
        ("another place", GET.replace("metrics", ""), not_found),
        ("a place below", GET.replace("metrics", "metrics/"), not_found),
        ("another verb", GET.replace("GET", "POST"), not_found),
        ("its head alone", GET.replace("GET", "HEAD"), not_found),
        ("no HTTP", "what is\r\n\r\n".to_owned(), "HTTP/1.1 400 Bad Request"),
        ("a head that fits", head(8_000), "HTTP/1.1 200 OK"),
        ("a head too large", head(20_000), "HTTP/1.1 431 Request Header Fields Too Large"),
        ("as many lines as may be", lines(64), "HTTP/1.1 200 OK"),
        ("one line more", lines(65), "HTTP/1.1 431 Request Header Fields Too Large"),
    ] {
        let (status, body) = ask(door, &request);
        assert_eq!(status, expected, "{name}");
        assert_eq!(body.contains("gongji_calls_running 0"), status.ends_with("200 OK"), "{name}: {body:.200}");
    }
    // Two questions on one connection: the first is answered, and that is the end of it.
    let (status, body) = ask(door, &GET.repeat(2));
    assert_eq!((status.as_str(), body.matches("# TYPE gongji_info").count()), ("HTTP/1.1 200 OK", 1));
}

#[test]
fn whoever_stands_in_the_door_waits_for_room_or_is_let_go() {
    let server = demo(&["--metrics-connections", "2", "--metrics-time-ms", "600000"]);
    let address = door(&server);
    // As many as may be ask nothing; the next one is heard when one of them has gone, and not before.
    let mut silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(address).expect("connected")).collect();
    let mut third = TcpStream::connect(address).expect("connected");
    third.write_all(GET.as_bytes()).expect("sent");
    third.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let waits = third.read(&mut [0]).expect_err("nobody answers");
    assert!(matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waits}");
    drop(silent.pop());
    third.set_read_timeout(Some(PATIENCE)).expect("set");
    assert_eq!(heard(third).0, "HTTP/1.1 200 OK");
    drop((silent, server));
    // Who asks nothing for too long is let go.
    let server = demo(&["--metrics-time-ms", "1"]);
    let silent = TcpStream::connect(door(&server)).expect("connected");
    silent.set_read_timeout(Some(PATIENCE)).expect("set");
    assert_eq!(heard(silent), (String::new(), String::new()));
}

#[test]
fn a_door_that_cannot_be_is_refused_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").to_string();
    for (words, parts) in [
        (["--metrics-listen", &port], ["metrics_listen: cannot listen on", &port]),
        (["--listen", &port], ["listen: cannot listen on", &port]),
        (["--metrics-listen", "0.0.0.0:0"], ["metrics_listen", "--insecure"]),
        (["--metrics-listen", "here"], ["--metrics-listen", "here"]),
        (["--metrics-connections", "0"], ["metrics_connections", "at least 1"]),
        (["--metrics-time-ms", "0"], ["metrics_time_ms", "at least 1"]),
    ] {
        let mut all = vec!["serve", "--store", "memory"];
        all.extend((words[0] != "--listen").then_some(["--listen", "127.0.0.1:0"]).into_iter().flatten());
        let output = ended(gongji(&[&all[..], &words].concat()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && parts.iter().all(|part| said.contains(part)), "{words:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("serving"), "{words:?}: {said}");
    }
    // From the environment, beyond loopback where that was asked for, and off where nothing was.
    let mut command = gongji(&["config", "--insecure"]);
    let output = ended({
        command.env("GONGJI_METRICS_LISTEN", "0.0.0.0:9464");
        command
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("metrics_listen = \"0.0.0.0:9464\"\n"));
    let output = ended(gongji(&["config", "--metrics-listen", ""]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("metrics_listen = \"\"\n"));
}

/// What the guide's table says there is: name, kind.
fn documented(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter(|line| line.starts_with("| `gongji_"));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let named = cells.map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned()));
    named.map(|(name, kind)| (name.split('{').next().unwrap_or_default().to_owned(), kind)).collect()
}

#[test]
fn the_guide_has_every_metric_there_is_and_no_other() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let embedded = Server::on(dir.path(), &HERE);
    let database = PostgresServer::shared().migrated();
    let words = ["serve", "--store", "postgres", "--database-url", database.url()];
    let postgres = Server::start(gongji(&[&words, &HERE[..]].concat()));
    let mut there = BTreeMap::new();
    for server in [&embedded, &postgres, &demo(&[])] {
        run(async { send(&server.channel().await, kills::person(1, true)).await });
        let scrape = Scrape::of(door(server));
        scrape.gives_nobody_away([]);
        assert_eq!(scrape.value("gongji_ready"), 1);
        assert!(scrape.value("gongji_ledger_durable_position") >= 1);
        there.extend(scrape.families);
    }
    for guide in [include_str!("../../docs/operating.md"), include_str!("../../docs/operating.zh-CN.md")] {
        assert_eq!(documented(guide), there);
    }
}

#[test]
fn groups_bytes_and_syncs_of_the_embedded_store_are_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::on(dir.path(), &HERE);
    run(crate::feed::people(&server));
    let scrape = Scrape::of(door(&server));
    let people = crate::feed::PEOPLE as u64;
    assert_eq!(scrape.value("gongji_ledger_durable_position"), people);
    assert_eq!(scrape.value("gongji_commit_group_changes_sum"), people);
    assert_eq!(scrape.value("gongji_commit_group_changes_count"), scrape.value("gongji_commit_duration_seconds_count"));
    assert_eq!((scrape.value("gongji_store_queued_bytes"), scrape.value("gongji_store_failed")), (0, 0));
    assert!(scrape.value("gongji_store_unindexed_bytes") > people * 100);
    assert_eq!(scrape.value("gongji_store_unindexed_bytes_max"), 256 << 20);
}

/// The page is told, and true, while the database is away.
#[test]
fn a_database_that_goes_and_comes_is_seen() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    let url = node.url("gongji");
    let made = ended(gongji(&["migrate", "up", "--database-url", &url]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let words =
        ["serve", "--store", "postgres", "--database-url", &url, "--database-wait-ms", "200", "--readiness-ms", "50"];
    let server = Server::start(gongji(&[&words, &HERE[..]].concat()));
    let door = door(&server);
    run(crate::feed::people(&server));
    let scrape = Scrape::of(door);
    let people = crate::feed::PEOPLE as u64;
    assert_eq!((scrape.value("gongji_ready"), scrape.value("gongji_ledger_position")), (1, people));
    assert_eq!(scrape.value("gongji_commit_group_changes_sum"), people);
    assert!(scrape.value("gongji_database_look_group_jobs_sum") >= people);
    assert!(scrape.value("gongji_database_connections") >= 2, "one reads, one writes");
    assert_eq!(scrape.value("gongji_database_connections_lost_total"), 0);
    node.kill();
    let away = wait_until("a server that is not ready", PATIENCE, || {
        Some(Scrape::of(door)).filter(|scrape| scrape.value("gongji_ready") == 0)
    });
    assert_eq!(away.value("gongji_ledger_position"), people);
    assert!(away.value("gongji_database_connections_lost_total") > 0, "{}", away.text);
    let refused = run(async { send(&server.channel().await, kills::credit("away".to_owned(), 1, 1)).await });
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
    let away = Scrape::of(door);
    assert!(away.value("gongji_database_connect_failures_total") > 0);
    let failed =
        "gongji_failed_calls_total{service=\"AccountService\",method=\"CreditAccount\",reason=\"STORE_UNAVAILABLE\"}";
    assert_eq!((away.value(failed), away.value("gongji_database_connections")), (1, 0));
    cluster.start(&node);
    wait_until("a server that is ready again", PATIENCE, || {
        (Scrape::of(door).value("gongji_ready") == 1).then_some(())
    });
    let done = run(async { send(&server.channel().await, kills::credit("away".to_owned(), 1, 1)).await });
    assert!(matches!(done, Outcome::Done { replayed: false, .. }), "{done:?}");
    assert_eq!(Scrape::of(door).value("gongji_ledger_position"), people + 1);
}

/// Whoever waits for a standby that is not there is told how long, and nothing is lost when it comes back.
#[test]
fn a_commit_that_waits_for_its_standby_is_seen() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    let url = node.url("gongji");
    let made = ended(gongji(&["migrate", "up", "--database-url", &url]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server =
        Server::start(gongji(&[&["serve", "--store", "postgres", "--database-url", &url], &HERE[..]].concat()));
    let door = door(&server);
    let waiting = || Scrape::of(door).value("gongji_database_commit_waiting_seconds");
    run(async { send(&server.channel().await, kills::person(1, true)).await });
    assert_eq!(waiting(), 0);
    node.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    node.reload();
    let outcome = std::thread::scope(|scope| {
        let sent =
            scope.spawn(|| run(async { send(&server.channel().await, kills::credit("late".to_owned(), 1, 1)).await }));
        wait_until("a COMMIT that waits", PATIENCE, || (waiting() >= 1).then_some(()));
        node.sql("ALTER SYSTEM RESET synchronous_standby_names");
        node.reload();
        sent.join().expect("no panic")
    });
    assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}");
    wait_until("no COMMIT that waits", PATIENCE, || (waiting() == 0).then_some(()));
}
