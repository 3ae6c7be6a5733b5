//! Replicas whose clocks differ from the database's. One that differs too far says that it does not serve, and serves
//! again when it has been set right; the others do not mind.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::PostgresServer;
use crate::kills::{Outcome, credit, person, send};
use crate::process::{PATIENCE, Server, check_ledger, gongji, run};

/// A clock of the database that is set by hand, for whoever finds it before the real one.
const OTHER_CLOCK: &str = "
CREATE SCHEMA other;
CREATE TABLE other.ahead (by interval NOT NULL);
INSERT INTO other.ahead VALUES ('0 s');
CREATE FUNCTION other.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
AS 'SELECT pg_catalog.clock_timestamp() + by FROM other.ahead';
GRANT ALL ON SCHEMA other TO PUBLIC";

async fn until(server: &Server, wanted: ServingStatus) {
    let mut health = HealthClient::new(server.channel().await);
    let asked = HealthCheckRequest { service: String::new() };
    let mut words = health.watch(asked).await.expect("health can be watched").into_inner();
    let told = async {
        while words.message().await.expect("it goes on").expect("a watch has no end").status != wanted as i32 {}
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("never {wanted:?}:\n{}", server.log()));
}

#[test]
fn a_replica_whose_clock_is_too_far_from_the_databases_does_not_serve() {
    let database = PostgresServer::shared().migrated();
    database.sql(OTHER_CLOCK);
    let start = |url: &str| Server::start(gongji(&["serve", "--store", "postgres", "--database-url", url]));
    let right = start(database.url());
    let joint = if database.url().contains('?') { '&' } else { '?' };
    let wrong = start(&format!("{}{joint}options=-c%20search_path%3Dother%2Cpg_catalog", database.url()));
    run(async {
        let first = send(&wrong.channel().await, person(1, true)).await;
        assert!(matches!(first, Outcome::Done { .. }), "{first:?}");
        for (number, by) in ["1 hour", "-1 hour"].into_iter().enumerate() {
            database.sql(&format!("UPDATE other.ahead SET by = '{by}'"));
            until(&wrong, ServingStatus::NotServing).await;
            until(&right, ServingStatus::Serving).await;
            let done = send(&right.channel().await, credit(format!("right-{number}"), 1, 100)).await;
            assert!(matches!(done, Outcome::Done { replayed: false, .. }), "{done:?}");
            database.sql("UPDATE other.ahead SET by = '0 s'");
            until(&wrong, ServingStatus::Serving).await;
            let done = send(&wrong.channel().await, credit(format!("again-{number}"), 1, 100)).await;
            assert!(matches!(done, Outcome::Done { replayed: false, .. }), "{done:?}");
        }
        assert_eq!(check_ledger(right.channel().await).await.records_checked, 5);
    });
    for server in [right, wrong] {
        let (status, _, log) = server.terminate();
        assert!(status.success() && !log.contains("panicked"), "{log}");
    }
}

/// A database that is away is told by health too, and a replica needs no restart when it is back.
#[test]
fn a_replica_without_its_database_does_not_serve_until_it_is_back() {
    let mut cluster = super::Cluster::new();
    let node = cluster.node("alone", super::Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    super::server::migrate(&node.url("gongji"));
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", &node.url("gongji")]));
    run(async {
        node.stop();
        until(&server, ServingStatus::NotServing).await;
        cluster.start(&node);
        until(&server, ServingStatus::Serving).await;
        let done = send(&server.channel().await, person(1, true)).await;
        assert!(matches!(done, Outcome::Done { replayed: false, .. }), "{done:?}");
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
