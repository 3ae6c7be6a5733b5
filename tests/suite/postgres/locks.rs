//! Somebody holds what every commit needs. Callers are answered within the time-out, nothing was changed for them, and when
//! it is let go everything goes on.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;

use super::PostgresServer;
use crate::kills::{Outcome, credit, person, reference, send};
use crate::process::{PATIENCE, Server, check_ledger, gongji, run, wait_until};
use tonic_types::StatusExt;

/// A session that has begun a transaction and goes on to do nothing.
struct Session(Child);

impl Session {
    fn holding(url: &str, statement: &str) -> Self {
        let mut psql = Command::new(super::cluster::if_there("psql"));
        psql.args(["--no-psqlrc", "--quiet", url]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = psql.spawn().expect("psql can be started");
        let input = child.stdin.as_mut().expect("piped");
        writeln!(input, "BEGIN; {statement}; SET application_name = 'holding';").expect("it reads");
        wait_until("the lock", PATIENCE, || {
            let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holding' AND datname = current_database()";
            (super::cluster::sql(url, held) == "1").then_some(())
        });
        Self(child)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// As often as a commit may be tried again, a lock would outlast the call; the time for all attempts does not.
const ATTEMPTS: [&str; 4] = ["--database-retries", "1000", "--database-commit-ms", "1200"];

/// One of the two ends the wait: the time for a lock, or that for a statement.
const BOUNDS: [[&str; 4]; 2] = [
    ["--database-lock-ms", "500", "--database-statement-ms", "60000"],
    ["--database-lock-ms", "60000", "--database-statement-ms", "500"],
];

#[test]
fn a_lock_that_somebody_holds_is_a_definite_answer() {
    for bounds in BOUNDS {
        held(&bounds);
    }
}

fn held(bounds: &[&str]) {
    let database = PostgresServer::shared().migrated();
    let url = database.url();
    let words = [&["serve", "--store", "postgres", "--database-url", url][..], &ATTEMPTS, bounds].concat();
    let server = Server::start(gongji(&words));
    let reason = |status: &tonic::Status| status.get_details_error_info().expect("of ours").reason;
    run(async {
        let channel = server.channel().await;
        let first = send(&channel, person(1, true)).await;
        assert!(matches!(first, Outcome::Done { .. }), "{first:?}");
        for (number, lock) in
            ["SELECT * FROM gongji.head FOR UPDATE", "LOCK TABLE gongji.record IN ACCESS EXCLUSIVE MODE"]
                .into_iter()
                .enumerate()
        {
            let op = credit(format!("locked-{number}"), 1, 100);
            let held = Session::holding(database.url(), lock);
            let Outcome::Refused(status) = send(&channel, op.clone()).await else { panic!("{lock}: it was not held") };
            assert_eq!(reason(&status), "STORE_UNAVAILABLE", "{bounds:?}, {lock}: {status:?}");
            drop(held);
            let again = send(&channel, op).await;
            assert!(matches!(again, Outcome::Done { replayed: false, .. }), "{lock}: {again:?}");
        }
        // What is read is held too.
        let mut accounts = AccountServiceClient::new(channel.clone());
        let ask = proto::GetAccountRequest { member: reference(1), ..Default::default() };
        let held = Session::holding(database.url(), "LOCK TABLE gongji.standing IN ACCESS EXCLUSIVE MODE");
        let status = accounts.get_account(ask.clone()).await.expect_err("it cannot be read");
        assert_eq!(reason(&status), "STORE_UNAVAILABLE", "{bounds:?}: {status:?}");
        drop(held);
        accounts.get_account(ask).await.expect("it is let go");
        let report = check_ledger(channel).await;
        assert_eq!(report.records_checked, 3);
    });
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}
