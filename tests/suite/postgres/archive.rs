//! A partition of the ledger taken out as `docs/deployment.md` writes it: what goes on, and what is refused by name.

use gongji::grpc::proto;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;

use super::PostgresServer;
use super::server::migrate;
use crate::feed::{load, people};
use crate::process::{Server, gongji, run};
use crate::support::words;

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
