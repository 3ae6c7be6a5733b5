//! The connection breaks at the COMMIT: before it, so that nothing was done, or after it, so that it was done and nobody
//! heard. Either way the caller's request has one effect, and its answer in the end.

use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;
use tonic_types::StatusExt;

use super::cluster::{PASSWORD, USER};
use super::load::is_definite;
use super::proxy::{Cut, Proxy};
use super::server::migrate;
use super::{Cluster, Durability};
use crate::kills::{Answer, Op, Outcome, credit, person, reference, send};
use crate::process::{Server, check_ledger, gongji, run};

const TURNS: usize = 12;

async fn until_definite(server: &Server, op: &Op) -> (Outcome, Vec<String>) {
    let mut reasons = Vec::new();
    for _ in 0..100 {
        let outcome = send(&server.channel().await, op.clone()).await;
        if is_definite(&outcome) {
            return (outcome, reasons);
        }
        let Outcome::Refused(status) = outcome else { panic!("the server itself is well: {outcome:?}") };
        reasons.push(status.get_details_error_info().expect("of ours").reason);
    }
    panic!("no answer to {op:?}, but {reasons:?}");
}

#[test]
fn a_commit_whose_connection_breaks_has_one_effect_and_one_answer() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    migrate(&node.url("gongji"));
    let proxy = Proxy::to(node.port);
    let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/gongji", proxy.port);
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", &url]));
    run(async {
        let first = send(&server.channel().await, person(1, true)).await;
        assert!(matches!(first, Outcome::Done { replayed: false, .. }), "{first:?}");
        let mut told = [Vec::new(), Vec::new()];
        for turn in 0..TURNS {
            let cut = [Cut::BeforeCommit, Cut::AfterCommit][turn % 2];
            let before = proxy.cuts();
            proxy.cut(cut);
            let op = credit(format!("cut-{turn}"), 1, 100);
            let (outcome, reasons) = until_definite(&server, &op).await;
            assert_eq!(proxy.cuts(), before + 1, "{cut:?}: the commit was met");
            let Outcome::Done { answer: Answer::Credit(answer), replayed } = outcome else {
                panic!("{cut:?}: {outcome:?}")
            };
            // Whoever was told nothing hears that it was done; whoever was told that nothing was done hears of the first time.
            if cut == Cut::BeforeCommit {
                assert!(!replayed, "{reasons:?}");
            } else if reasons.is_empty() {
                // Found out by the server itself.
            } else {
                assert!(replayed && reasons[0] == "OUTCOME_UNKNOWN", "{reasons:?}");
            }
            assert_eq!(answer.ledger_position, 2 + turn as i64);
            told[turn % 2].extend(reasons);
        }
        println!("{TURNS} commits cut: told before {:?}, after {:?}", told[0], told[1]);
        // Everything at once, with nothing under way: new connections, no complaint.
        proxy.cut_all();
        let (outcome, reasons) = until_definite(&server, &credit("last".to_owned(), 1, 100)).await;
        assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{reasons:?}");
        let request = proto::GetAccountRequest { member: reference(1), ..Default::default() };
        let account = AccountServiceClient::new(server.channel().await).get_account(request).await.expect("an account");
        let account = account.into_inner().account.expect("set");
        let posted: i64 = account.buckets.iter().map(|bucket| bucket.posted_fen).sum();
        assert_eq!(posted, 100 * (TURNS as i64 + 1));
        let report = check_ledger(server.channel().await).await;
        assert_eq!(report.records_checked, 2 + TURNS as i64);
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
