//! Imports: a result per row in the order of the rows, as the method for one would answer; what is told is done, what was not
//! taken in is said.

use gongji::config::Config;
use proto::account_service_client::AccountServiceClient;
use proto::import_result::Result as Came;
use proto::member_service_client::MemberServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::*;

/// What came of a row.
fn came(result: &proto::ImportResult) -> String {
    match result.result.as_ref().expect("set") {
        Came::Imported(row) => format!("done{}", if row.replayed { " again" } else { "" }),
        Came::Error(error) => words(&as_status(error)),
    }
}

fn stopped(told: Option<&tonic_types::Status>) -> String {
    told.map_or_else(|| "all".to_owned(), |status| words(&as_status(status)))
}

fn import_members(server: &TestServer, rows: Vec<proto::CreateMemberRequest>) -> proto::ImportMembersResponse {
    let rows: Vec<_> = rows.into_iter().map(|row| proto::ImportMembersRequest { row: Some(row) }).collect();
    server.wait(async {
        let mut client = MemberServiceClient::new(server.channel());
        client.import_members(tokio_stream::iter(rows)).await.expect("answered").into_inner()
    })
}

fn import_credits(server: &TestServer, rows: Vec<proto::CreditAccountRequest>) -> proto::ImportCreditsResponse {
    let rows: Vec<_> = rows.into_iter().map(|row| proto::ImportCreditsRequest { row: Some(row) }).collect();
    server.wait(async {
        let mut client = AccountServiceClient::new(server.channel());
        client.import_credits(tokio_stream::iter(rows)).await.expect("answered").into_inner()
    })
}

#[test]
fn every_person_is_recorded_as_by_itself() {
    for_each_store(|setup| {
        // Rows that meet are carried out together, and which is first is decided by the store: one at a time here.
        let server = setup.with(|config| config.bulk_window = 1).start();
        let twice = proto::CreateMemberRequest { request_id: "other".to_owned(), ..person(1, "440300") };
        let rows = [
            (person(1, "440300"), "done"),
            (person(2, "330100"), "done"),
            (person(1, "440300"), "done again"),
            (twice, "AlreadyExists MEMBER_ALREADY_EXISTS"),
            (
                proto::CreateMemberRequest { name: "别人".to_owned(), ..person(2, "330100") },
                "AlreadyExists REQUEST_ID_REUSED",
            ),
            (
                proto::CreateMemberRequest::default(),
                "InvalidArgument INVALID_FIELDS id_number insurance name request_id",
            ),
            (person(3, "440300"), "done"),
        ];
        let answer = import_members(&server, rows.iter().map(|(row, _)| row.clone()).collect());
        assert_eq!((answer.results.len(), stopped(answer.stopped.as_ref())), (rows.len(), "all".to_owned()));
        for ((row, expected), result) in rows.iter().zip(&answer.results) {
            assert_eq!((came(result).as_str(), &result.request_id), (*expected, &row.request_id));
        }
        assert_eq!(server.head(), 3);
        // The ids are those of the people.
        let Some(Came::Imported(first)) = &answer.results[0].result else { panic!("{answer:?}") };
        let found = server.create_member(person(1, "440300")).expect("found");
        assert_eq!((found.replayed, found.member.expect("set").member_id), (true, first.member_id.clone()));
        assert_eq!(found.ledger_position, first.ledger_position);
    });
}

#[test]
fn every_account_is_credited_once() {
    for_each_store(|setup| {
        // Rows that meet are carried out together, and which is first is decided by the store: one at a time here.
        let server = setup.with(|config| config.bulk_window = 1).start();
        let (mother, son) = server.family(0);
        let correction =
            proto::CreditAccountRequest { kind: proto::CreditKind::Correction as i32, ..credit("less", &mother, -500) };
        let rows = [
            (credit("a", &mother, 1_000), "done"),
            (credit("b", &son, 2_000), "done"),
            (credit("a", &mother, 1_000), "done again"),
            (credit("a", &mother, 1_001), "AlreadyExists REQUEST_ID_REUSED"),
            (credit("c", "mem_00000000000000000000000000000000", 1), "NotFound MEMBER_NOT_FOUND"),
            (correction, "done"),
            (
                proto::CreditAccountRequest { kind: 2, ..credit("too-much", &mother, -501) },
                "FailedPrecondition BALANCE_INSUFFICIENT",
            ),
            (credit("d", &son, 0), "InvalidArgument INVALID_FIELDS amount_fen"),
        ];
        let requests: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
        let answer = import_credits(&server, requests.clone());
        let told: Vec<String> = answer.results.iter().map(came).collect();
        assert_eq!(told, rows.iter().map(|(_, expected)| (*expected).to_owned()).collect::<Vec<_>>());
        // All of it again: nothing more is done.
        let again = import_credits(&server, requests);
        assert_eq!(again.results.iter().map(came).filter(|came| came == "done").count(), 0);
        assert_eq!((server.balances(&mother), server.balances(&son)), ((0, 500), (0, 2_000)));
    });
}

/// How many of five rows are taken in, and why not the others.
fn taken(change: impl FnOnce(&mut Config), rows: usize) -> (usize, String) {
    let server = Setup::memory().with(change).start();
    let (mother, _) = server.family(0);
    let rows: Vec<_> = (0..rows).map(|place| credit(&format!("r-{place}"), &mother, 100)).collect();
    let answer = import_credits(&server, rows);
    // What is told is done, and no more.
    assert_eq!(server.balances(&mother), (0, 100 * answer.results.len() as i64));
    (answer.results.len(), stopped(answer.stopped.as_ref()))
}

#[test]
fn one_call_takes_so_many_rows_and_bytes() {
    let too_large = "ResourceExhausted MESSAGE_TOO_LARGE".to_owned();
    assert_eq!(taken(|config| config.import_rows = 5, 5), (5, "all".to_owned()));
    assert_eq!(taken(|config| config.import_rows = 5, 6), (5, too_large.clone()));
    let one_by_one = |bytes| move |config: &mut Config| (config.bulk_answer_bytes, config.bulk_window) = (bytes, 1);
    assert_eq!(taken(one_by_one(1), 5), (1, too_large));
    assert_eq!(taken(one_by_one(10_000), 5), (5, "all".to_owned()));
}

#[test]
fn an_import_that_stands_still_is_answered_with_what_was_done() {
    let changes: [fn(&mut Config); 2] = [|config| config.stream_idle_ms = 30, |config| config.import_time_ms = 300];
    for change in changes {
        let server = Setup::memory().with(change).start();
        let (mother, _) = server.family(0);
        let answer = server.wait(async {
            let mut client = AccountServiceClient::new(server.channel());
            let (send, sent) = mpsc::channel(1);
            let row = Some(credit("one", &mother, 100));
            send.send(proto::ImportCreditsRequest { row }).await.expect("room");
            let answer = client.import_credits(ReceiverStream::new(sent)).await;
            drop(send);
            answer.expect("answered").into_inner()
        });
        let told: Vec<String> = answer.results.iter().map(came).collect();
        assert_eq!(
            (told, stopped(answer.stopped.as_ref())),
            (vec!["done".to_owned()], "DeadlineExceeded TIME_LIMIT".to_owned())
        );
        assert_eq!(server.balances(&mother), (0, 100));
    }
}

#[test]
fn a_row_that_is_too_large_ends_an_import_and_nothing_else() {
    let server = Setup::memory().with(|config| config.message_bytes = 1_000).start();
    let (mother, _) = server.family(0);
    let long = proto::CreditAccountRequest { note_ref: "x".repeat(1_000), ..credit("two", &mother, 100) };
    let answer = import_credits(&server, vec![credit("one", &mother, 100), long, credit("three", &mother, 100)]);
    assert_eq!(answer.results.iter().map(came).collect::<Vec<_>>(), ["done"]);
    assert_eq!(stopped(answer.stopped.as_ref()), "ResourceExhausted MESSAGE_TOO_LARGE");
    assert_eq!(server.balances(&mother), (0, 100));
}
