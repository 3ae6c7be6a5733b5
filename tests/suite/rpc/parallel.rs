//! A thousand callers at once, over several connections.

use proto::binding_service_client::BindingServiceClient;
use proto::settlement_service_client::SettlementServiceClient;
use tokio::task::JoinSet;
use tonic::Status;

use crate::support::*;

const CALLS: usize = 1_000;
const CONNECTIONS: usize = 8;

/// Sends all requests at once and answers in no order.
fn all_at_once(server: &TestServer, requests: Vec<proto::SettleRequest>) -> Vec<Result<proto::SettleResponse, Status>> {
    server.wait(async {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        let mut calls = JoinSet::new();
        for (number, request) in requests.into_iter().enumerate() {
            let mut client = SettlementServiceClient::new(connections[number % CONNECTIONS].clone());
            calls.spawn(async move { client.settle(request).await.map(tonic::Response::into_inner) });
        }
        calls.join_all().await
    })
}

#[test]
fn a_thousand_calls_with_one_id_have_one_effect() {
    for_each_store(|setup| {
        // On a database one family after another is a matter of round trips.
        let server = setup.with(|config| config.call_time_ms = 120_000).start();
        let (mother, son) = server.family(50_000);
        let answers = all_at_once(&server, vec![settle("one", &mother, 10_000); CALLS]);
        let mut answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("every call is answered")).collect();
        let first = answers.iter().filter(|answer| !answer.replayed).count();
        answers.iter_mut().for_each(|answer| answer.replayed = false);
        answers.dedup();
        assert_eq!((first, answers.len()), (1, 1), "one effect, one answer");
        assert_eq!(server.balances(&son), (0, 40_000));
    });
}

#[test]
fn a_thousand_bills_of_one_family_spend_exactly_what_there_is() {
    for_each_store(|setup| {
        // On a database one family after another is a matter of round trips.
        let server = setup.with(|config| config.call_time_ms = 120_000).start();
        // Money for half of them.
        let (mother, son) = server.family(CALLS as i64 / 2 * 100);
        let requests = (0..CALLS).map(|number| settle(&format!("n-{number}"), &mother, 100)).collect();
        let answers = all_at_once(&server, requests);
        let (mut paid, mut cash) = (0, 0);
        for answer in answers {
            let amounts = answer.expect("cash is always an answer").settlement.expect("set").amounts.expect("set");
            match (amounts.mutual_aid_fen, amounts.cash_fen) {
                (100, 0) => paid += 1,
                (0, 100) => cash += 1,
                other => panic!("half a payment: {other:?}"),
            }
        }
        assert_eq!((paid, cash), (CALLS / 2, CALLS / 2));
        assert_eq!(server.balances(&son), (0, 0));
    });
}

/// Files all at once; the reasons of those refused, sorted.
fn filed_at_once(server: &TestServer, filings: Vec<proto::CreateBindingRequest>) -> Vec<String> {
    let answers = server.wait(async {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
        let mut calls = JoinSet::new();
        for (number, request) in filings.into_iter().enumerate() {
            let mut client = BindingServiceClient::new(connections[number % CONNECTIONS].clone());
            calls.spawn(async move { client.create_binding(request).await });
        }
        calls.join_all().await
    });
    let refused = answers.into_iter().filter_map(Result::err).map(|status| told(&status).metadata["reasons"].clone());
    let mut refused: Vec<String> = refused.collect();
    refused.sort();
    refused
}

#[test]
fn limits_of_people_hold_whoever_files_at_once() {
    for_each_store(|setup| {
        // On a database one family after another is a matter of round trips.
        let server = setup.with(|config| config.call_time_ms = 120_000).start();
        // Hubei: an owner has six members.
        let owner = server.member(1, "420100", 0);
        let members: Vec<String> = (2..18).map(|number| server.member(number, "420100", 0)).collect();
        let filings =
            members.iter().enumerate().map(|(number, member)| filing(&format!("f-{number}"), &owner, member)).collect();
        assert_eq!(filed_at_once(&server, filings), vec!["MEMBERS_PER_OWNER_EXCEEDED"; 10]);
        // Suzhou: one family for each, whichever owner is first.
        let child = server.member(20, "320500", 0);
        let owners: Vec<String> = (21..31).map(|number| server.member(number, "320500", 0)).collect();
        let filings = owners.iter().enumerate().map(|(number, owner)| filing(&format!("g-{number}"), owner, &child));
        assert_eq!(filed_at_once(&server, filings.collect()), vec!["ALREADY_IN_ANOTHER_FAMILY"; 9]);
    });
}

#[test]
fn a_limit_of_a_day_is_drawn_to_the_fen_whoever_settles_at_once() {
    for_each_store(|setup| {
        // On a database one family after another is a matter of round trips.
        let server = setup.with(|config| config.call_time_ms = 120_000).start();
        // The demonstration pool: 300 yuan a day from one owner to one beneficiary.
        let (mother, son) = (server.member(1, "980300", 0), server.member(2, "980300", 900_000));
        server.create_binding(filing("bound", &son, &mother)).expect("bound");
        let requests = (0..130).map(|number| settle(&format!("n-{number}"), &mother, 301)).collect();
        let paid = all_at_once(&server, requests).into_iter().map(|answer| {
            let settled = answer.expect("cash is always an answer").settlement.expect("set");
            settled.amounts.expect("set").mutual_aid_fen
        });
        let paid: i64 = paid.sum();
        assert_eq!((paid, server.balances(&son)), (30_000, (0, 870_000)));
    });
}
