//! Each bound of the configuration, at it and one past it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gongji::config::Config;
use gongji::domain::time::Moment;
use gongji::store::embedded::Fault;
use gongji::store::memory::MemoryStore;
use gongji::store::{Change, CommitError, Committed, Store, StoreFuture};

use crate::around::{Around, Wrapped};

use crate::process::{PATIENCE, wait_until};
use crate::support::*;

/// What came of a call, in words.
fn outcome<T>(answer: Result<T, tonic::Status>) -> String {
    answer.map_or_else(|status| words(&status), |_| "ok".to_owned())
}

/// A request at the bound, one past it, and what the second is told.
fn check<T>(name: &str, mut call: impl FnMut(usize) -> Result<T, tonic::Status>, bound: usize, past: &str) {
    assert_eq!(outcome(call(bound)), "ok", "{name} at {bound}");
    assert_eq!(outcome(call(bound + 1)), past, "{name} past {bound}");
}

fn lines(count: usize) -> proto::Bill {
    let line = |place| proto::Line {
        line_id: format!("L{place}"),
        item_code: "X".to_owned(),
        category: proto::ItemCategory::Drug as i32,
        list_class: proto::ListClass::A as i32,
        amount_fen: 1,
        ..Default::default()
    };
    proto::Bill { total_fen: count as i64, lines: (0..count).map(line).collect(), adjudicated: None }
}

#[test]
fn lists_in_a_request_have_bounds() {
    let small = |config: &mut Config| {
        config.bill_lines = 3;
        config.paper_authorisations = 2;
        config.evidence = 5;
        config.page_size_default = 2;
        config.page_size_max = 4;
    };
    let server = Setup::memory().with(small).start();
    let (mother, son) = server.family(50_000);
    let other = server.member(3, "440300", 0);
    let bill = |count| {
        server.settle(proto::SettleRequest { bill: Some(lines(count)), ..settle(&format!("l-{count}"), &mother, 1) })
    };
    check("bill_lines", bill, 3, "InvalidArgument INVALID_FIELDS bill.lines");
    let papers = |count| {
        let paper = proto::PaperAuthorisation {
            owner: by_id(&son),
            user_card: "CARD-1".to_owned(),
            relation: proto::Relation::Parent as i32,
            phone: "0755-1234567".to_owned(),
            signature_ref: "slip".to_owned(),
        };
        let request = settle(&format!("p-{count}"), &mother, 1);
        server.settle(proto::SettleRequest { paper_authorisations: vec![paper; count], ..request })
    };
    check("paper_authorisations", papers, 2, "InvalidArgument INVALID_FIELDS paper_authorisations");
    let proofs = |count| {
        let mut request = filing(&format!("e-{count}"), &son, &other);
        request.evidence = request.evidence.into_iter().cycle().take(count).collect();
        server.create_binding(request)
    };
    check("evidence", proofs, 5, "InvalidArgument INVALID_FIELDS evidence");
    let pages = |size| {
        let page_size = i32::try_from(size).expect("small");
        server.list_records(proto::ListRecordsRequest { page_size, ..Default::default() })
    };
    check("page_size_max", pages, 4, "InvalidArgument INVALID_FIELDS page_size");
    assert_eq!(server.list_records(proto::ListRecordsRequest::default()).expect("a page").records.len(), 2);
    let negative = server.list_records(proto::ListRecordsRequest { page_size: -1, ..Default::default() });
    assert_eq!(failed(negative), "InvalidArgument INVALID_FIELDS page_size");
}

#[test]
fn codes_and_amounts_have_bounds() {
    let server = Setup::memory().start();
    let (mother, _) = server.family(50_000);
    let named = |length: usize| server.settle(settle(&"x".repeat(length), &mother, 1));
    check("request_id_length", named, 64, "InvalidArgument INVALID_FIELDS request_id");
    let institution = |length: usize| {
        server.settle(proto::SettleRequest { institution_code: "H".repeat(length), ..settle("i", &mother, 1) })
    };
    check("institution_code", institution, 32, "InvalidArgument INVALID_FIELDS institution_code");
    let most = 1_000_000_000_000;
    let amount = |fen: usize| server.credit_account(credit(&format!("c-{fen}"), &mother, fen as i64));
    check("amount_fen", amount, most, "InvalidArgument INVALID_FIELDS amount_fen");
    let told = server.get_server_info(proto::GetServerInfoRequest {}).expect("told").limits;
    let value = |name: &str| told.iter().find(|limit| limit.name == name).map(|limit| limit.value);
    assert_eq!((value("amount_fen"), value("request_id_length")), (Some(most as i64), Some(64)));
}

#[test]
fn one_person_takes_part_in_so_many_bindings() {
    let server = Setup::memory().with(|config| config.bindings_per_member = 2).start();
    let (mother, son) = server.family(50_000);
    let others: Vec<String> = (3..6).map(|number| server.member(number, "440300", 0)).collect();
    server.bind(&son, &others[0]);
    // As owner, and as beneficiary.
    let past = "FailedPrecondition BINDINGS_PER_MEMBER_EXCEEDED";
    assert_eq!(failed(server.create_binding(filing("o", &son, &others[1]))), past);
    server.bind(&others[0], &mother);
    assert_eq!(failed(server.create_binding(filing("b", &others[1], &mother))), past);
    assert_eq!(outcome(server.create_binding(filing("free", &others[1], &others[2]))), "ok");
}

#[test]
fn a_message_has_so_many_bytes() {
    let server = Setup::memory().with(|config| config.message_bytes = 1_000).start();
    let (mother, _) = server.family(50_000);
    let mut request = quote_of(&settle("m", &mother, 1));
    request.paper_authorisations = vec![proto::PaperAuthorisation::default()];
    let length = |request: &proto::QuoteSettlementRequest| prost::Message::encoded_len(request);
    let before = length(&request);
    // A long text in a field that is wrong anyway: at the bound the field is looked at, past it nothing is.
    request.paper_authorisations[0].signature_ref = "x".repeat(1_000 - before - 5);
    while length(&request) < 1_000 {
        request.paper_authorisations[0].signature_ref.push('x');
    }
    assert_eq!(length(&request), 1_000);
    assert!(failed(server.quote_settlement(request.clone())).starts_with("InvalidArgument INVALID_FIELDS"));
    request.paper_authorisations[0].signature_ref.push('x');
    assert_eq!(failed(server.quote_settlement(request)), "ResourceExhausted MESSAGE_TOO_LARGE");
}

#[test]
fn a_visit_is_so_old() {
    let server = Setup::memory().with(|config| config.max_backdate_days = 10).start();
    let (mother, _) = server.family(50_000);
    let on = |day: &str| {
        let visit = proto::Visit { visit_date: day.to_owned(), ..visit() };
        outcome(server.settle(proto::SettleRequest { visit: Some(visit), ..settle(day, &mother, 1) }))
    };
    let past = "InvalidArgument INVALID_FIELDS visit.visit_date";
    assert_eq!([on("2025-02-21"), on("2025-02-20"), on("2025-03-04")], ["ok", past, past].map(str::to_owned));
}

#[test]
fn a_quote_holds_so_long() {
    for_each_store(|setup| {
        let server = setup.with(|config| config.quote_seconds = 60).start();
        let (mother, _) = server.family(50_000);
        let mut request = settle("q-1", &mother, 1_000);
        let quote = server.quote_settlement(quote_of(&request)).expect("quoted");
        request.quote_token = quote.quote_token;
        server.clock().add_seconds(60);
        assert_eq!(failed(server.settle(request.clone())), "FailedPrecondition QUOTE_EXPIRED");
        server.clock().add_seconds(-1);
        assert_eq!(outcome(server.settle(request)), "ok");
    });
}

#[test]
fn money_is_held_so_long() {
    let server = Setup::memory().with(|config| config.hold_seconds = 60).start();
    let (mother, _) = server.family(50_000);
    let hold = |seconds: i64, nanos: i32| {
        let request = hold_of(&settle(&format!("h-{seconds}-{nanos}"), &mother, 1), seconds);
        let hold_for = Some(prost_types::Duration { seconds, nanos });
        outcome(server.hold_settlement(proto::HoldSettlementRequest { hold_for, ..request }))
    };
    let past = "InvalidArgument INVALID_FIELDS hold_for";
    assert_eq!([hold(1, 0), hold(60, 0)], ["ok", "ok"]);
    for (seconds, nanos) in [(61, 0), (0, 0), (-1, 0), (i64::MAX, 0), (i64::MIN, 0), (59, 1), (1, -1), (0, i32::MAX)] {
        assert_eq!(hold(seconds, nanos), past, "{seconds} s and {nanos} ns");
    }
    let none = proto::HoldSettlementRequest { hold_for: None, ..hold_of(&settle("none", &mother, 1), 1) };
    assert_eq!(failed(server.hold_settlement(none)), past);
}

#[test]
fn one_person_has_so_many_open_holds() {
    let server = Setup::memory().with(|config| config.holds_per_member = 2).start();
    let (mother, son) = server.family(50_000);
    let other = server.member(3, "440300", 0);
    server.bind(&son, &other);
    let hold = |name: &str, patient: &str| server.hold_settlement(hold_of(&settle(name, patient, 100), 60));
    let first = hold("1", &mother).expect("held").settlement.expect("set").settlement_id;
    assert_eq!(outcome(hold("2", &mother)), "ok");
    // The patient has as many, and so has the payer of another patient.
    let past = "FailedPrecondition HOLDS_PER_MEMBER_EXCEEDED";
    assert_eq!(failed(hold("3", &mother)), past);
    assert_eq!(failed(hold("4", &other)), past);
    server.release_hold(release_of("r", &first)).expect("released");
    assert_eq!(outcome(hold("4", &other)), "ok");
    server.clock().add_seconds(60);
    assert_eq!([outcome(hold("5", &mother)), outcome(hold("6", &other))], ["ok", "ok"]);
}

#[test]
fn one_settlement_has_so_many_refunds() {
    let server = Setup::memory().with(|config| config.refunds_per_settlement = 3).start();
    let (mother, son) = server.family(50_000);
    let bill = server.settle(settle("s", &mother, 10_000)).expect("settled").settlement.expect("set").settlement_id;
    let part = |name: &str| {
        let parts = proto::RefundParts { accounts_fen: 1, ..Default::default() };
        outcome(server.refund_settlement(refund_parts(name, &bill, parts)))
    };
    let put_back = |name: &str| {
        let request = proto::ResolveOutcomeRequest {
            if_applied: proto::IfApplied::Reverse as i32,
            ..fence(&format!("back-{name}"), name)
        };
        outcome(server.resolve_outcome(request))
    };
    assert_eq!([part("1"), part("2")], ["ok", "ok"]);
    // What was put back counts as well.
    assert_eq!([put_back("2"), part("3")], ["ok", "ok"]);
    let past = "FailedPrecondition REFUNDS_PER_SETTLEMENT_EXCEEDED";
    assert_eq!([part("4"), put_back("3")], [past, "ok"]);
    assert_eq!(part("5"), past);
    // All that is left goes back in one whatever the number, and that is the end of it.
    assert_eq!(server.balances(&son), (0, 40_001));
    assert_eq!(outcome(server.refund_settlement(refund_whole("6", &bill))), "ok");
    assert_eq!([put_back("6"), put_back("1")], [past, past]);
    assert_eq!(server.balances(&son), (0, 50_000));
}

#[test]
fn the_memory_store_holds_so_many_records() {
    let server = Setup::memory().with(|config| config.memory_records = 4).start();
    let (mother, _) = server.family(50_000);
    assert_eq!(server.head(), 4);
    let full = server.settle(settle("s", &mother, 1)).expect_err("full");
    assert_eq!(words(&full), "ResourceExhausted STORE_FULL");
    assert!(!told(&full).retry, "waiting makes no room");
    assert_eq!(server.quote_settlement(quote_of(&settle("s", &mother, 1))).expect("reads go on").read_position, 4);
}

/// A settlement waits for a disk that stands still: the time limit ends the call, not the change, and the repeat finds it.
#[test]
fn a_call_takes_so_long() {
    let server = Setup::embedded().with(|config| config.call_time_ms = 100).start();
    let (mother, son) = server.family(50_000);
    server.faults().set(Fault::Paused);
    let late = server.settle(settle("t", &mother, 1_000));
    server.faults().set(Fault::None);
    assert_eq!(failed(late), "DeadlineExceeded TIME_LIMIT");
    let found = server.settle(settle("t", &mother, 1_000)).expect("found");
    assert!(found.replayed);
    assert_eq!(server.balances(&son), (0, 49_000));
}

#[test]
fn so_many_calls_run_at_once() {
    let server = Setup::embedded().with(|config| config.concurrent_requests = 3).start();
    let (mother, _) = server.family(50_000);
    server.faults().set(Fault::Paused);
    let answers = server.wait(async {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..4 {
            let mut client = proto::settlement_service_client::SettlementServiceClient::new(server.channel());
            let request = settle(&format!("c-{number}"), &mother, 1);
            calls.spawn(async move { client.settle(request).await });
        }
        // Three wait for the disk; the fourth is told at once, and only then the disk goes on.
        let refused = calls.join_next().await.expect("one ends").expect("it does not panic");
        server.faults().set(Fault::None);
        let mut answers = vec![outcome(refused.inspect_err(|status| assert!(told(status).retry)))];
        while let Some(answer) = calls.join_next().await {
            answers.push(outcome(answer.expect("it does not panic")));
        }
        answers
    });
    assert_eq!(answers, ["ResourceExhausted OVERLOADED", "ok", "ok", "ok"]);
    assert_eq!(outcome(server.settle(settle("after", &mother, 1))), "ok");
}

/// A check waits for what it has seen to be on the disk; another at the same time is told at once.
#[test]
fn so_many_checks_of_the_ledger_run_at_once() {
    let server = Setup::embedded().with(|config| config.call_time_ms = 100).start();
    let (mother, _) = server.family(50_000);
    server.faults().set(Fault::Paused);
    assert_eq!(failed(server.settle(settle("s", &mother, 1))), "DeadlineExceeded TIME_LIMIT");
    let answers = server.wait(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let mut client = proto::ledger_service_client::LedgerServiceClient::new(server.channel());
            calls.spawn(async move { client.check_ledger(proto::CheckLedgerRequest {}).await });
        }
        let refused = calls.join_next().await.expect("one ends").expect("it does not panic");
        server.faults().set(Fault::None);
        let checked = calls.join_next().await.expect("the other ends").expect("it does not panic");
        assert!(checked.as_ref().is_ok_and(|checked| checked.get_ref().ok), "{checked:?}");
        [outcome(refused), outcome(checked)]
    });
    assert_eq!(answers, ["ResourceExhausted OVERLOADED", "ok"]);
}

#[test]
fn a_check_of_the_ledger_that_nobody_waits_for_ends() {
    let short = |config: &mut Config| (config.call_time_ms, config.check_time_ms) = (100, 100);
    let server = Setup::embedded().with(short).start();
    let (mother, _) = server.family(50_000);
    server.faults().set(Fault::Paused);
    assert_eq!(failed(server.settle(settle("s", &mother, 1))), "DeadlineExceeded TIME_LIMIT");
    let check = || failed(server.check_ledger(proto::CheckLedgerRequest {}));
    assert_eq!(check(), "DeadlineExceeded TIME_LIMIT");
    // Its place is free as soon as its thread has heard of it.
    let given_back = wait_until("a place", PATIENCE, || {
        let answer = check();
        (answer != "ResourceExhausted OVERLOADED").then_some(answer)
    });
    server.faults().set(Fault::None);
    assert_eq!(given_back, "DeadlineExceeded TIME_LIMIT");
}

/// A store on which every change of the kind wanted loses its race.
struct Losing {
    inner: MemoryStore,
    /// How many commits are lost before one is let through.
    losses: AtomicU64,
}

impl Around for Losing {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        let lost = self.losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if lost {
            return Box::pin(std::future::ready(changes.iter().map(|_| Err(CommitError::Conflict)).collect()));
        }
        self.inner.commit(changes, now)
    }
}

#[test]
fn a_change_that_lost_so_many_races_is_given_up() {
    let store = Arc::new(Wrapped(Losing { inner: MemoryStore::new([7; 32], 1_000), losses: AtomicU64::new(0) }));
    let server = Setup::over(store.clone()).with(|config| config.retries = 3).start();
    let (mother, _) = server.family(50_000);
    store.losses.store(3, Ordering::SeqCst);
    assert_eq!(outcome(server.settle(settle("won", &mother, 1))), "ok");
    store.losses.store(4, Ordering::SeqCst);
    let lost = server.settle(settle("lost", &mother, 1)).expect_err("given up");
    assert_eq!(words(&lost), "Aborted CONTENTION");
    assert!(told(&lost).retry);
    assert_eq!(store.losses.load(Ordering::SeqCst), 0);
    assert!(!server.settle(settle("lost", &mother, 1)).expect("settled").replayed, "the lost one left no trace");
}
