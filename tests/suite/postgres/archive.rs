//! What is taken out of a database as `docs/deployment.md` writes it, a partition of the ledger or a person: what goes on, and what is
//! refused by name.

use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;

use super::server::migrate;
use super::{PostgresServer, printed};
use crate::feed::{load, people};
use crate::kills::{Outcome, credit, send, settle};
use crate::process::{Server, check_ledger, gongji, run, today};
use crate::support::words;

/// Whoever is erased as printed is known to nobody, and those around are served as before.
#[test]
fn a_person_is_erased_and_the_ledger_goes_on() {
    let database = PostgresServer::shared().fresh_database();
    migrate(database.url());
    let serve = || Server::start(gongji(&["serve", "--store", "postgres", "--database-url", database.url()]));
    let server = serve();
    run(async {
        people(&server).await;
        let channel = server.channel().await;
        let day = today(channel.clone()).await;
        for number in 0..4 {
            for op in [
                credit(format!("credit-{number}"), number, 5_000),
                settle(format!("settle-{number}"), "H001", number, &day, 500, 200),
            ] {
                let outcome = send(&channel, op).await;
                assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
            }
        }
    });
    // One who has settled.
    let member = database.sql("SELECT patient FROM gongji.settlement ORDER BY created_at LIMIT 1");
    for line in printed("DELETE FROM gongji_person.reference").lines() {
        database.sql(&line.replace("01a208617bc87f029ed6732d981b2106", &member));
    }
    let tables =
        ["person", "reference"].map(|table| format!("SELECT count(*) FROM gongji_person.{table} WHERE member = "));
    assert_eq!(tables.map(|sql| database.sql(&format!("{sql}'{member}'"))), ["0", "0"]);
    drop(server);
    let server = serve();
    run(async {
        let channel = server.channel().await;
        check_ledger(channel.clone()).await;
        let by = Some(proto::list_settlements_request::By::InstitutionCode("H001".to_owned()));
        let request = proto::ListSettlementsRequest { by, page_size: 50, ..Default::default() };
        let listed = SettlementServiceClient::new(channel.clone()).list_settlements(request).await;
        assert!(!listed.expect("listed").into_inner().settlements.is_empty());
        let member_id = format!("mem_{}", member.replace('-', ""));
        let request = proto::GetAccountRequest {
            member: Some(proto::MemberRef { r#ref: Some(proto::member_ref::Ref::MemberId(member_id)) }),
            ..Default::default()
        };
        AccountServiceClient::new(channel).get_account(request).await.expect("the account is there");
    });
}

#[test]
fn a_ledger_goes_on_without_its_first_partition() {
    let database = PostgresServer::shared().fresh_database();
    migrate(database.url());
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", database.url()]));
    run(async {
        people(&server).await;
        load(&server, 0, 300).await;
    });
    for table in ["record", "posting"] {
        database.sql(&format!("ALTER TABLE gongji.{table} DETACH PARTITION gongji.{table}_1 CONCURRENTLY"));
    }
    run(async {
        load(&server, 300, 320).await;
        let mut client = LedgerServiceClient::new(server.channel().await);
        let from = |from_position| proto::ListRecordsRequest { from_position, ..Default::default() };
        let refused = [
            client.list_records(from(1)).await.map(drop),
            client.list_records(from(200)).await.map(drop),
            client.list_records(from(201)).await.map(drop),
            client.check_ledger(proto::CheckLedgerRequest {}).await.map(drop),
        ];
        let names = refused.map(|answer| answer.map_or_else(|status| words(&status), |()| "ok".to_owned()));
        let compacted = "FailedPrecondition POSITION_COMPACTED";
        assert_eq!(names, [compacted, compacted, "ok", compacted]);
    });
}
