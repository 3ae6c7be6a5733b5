//! A thousand callers at once, over several connections.

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
        let server = setup.start();
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
        let server = setup.start();
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
