//! The grants of `docs/deployment.md`, run as they are printed there: the program works with its role, the ledger cannot be
//! rewritten by it, and who may see balances does not see names.

use super::cluster::{sql, try_sql};
use super::server::migrate;
use super::upgrade::{OldSession, up_to};
use super::{Cluster, Durability, printed};
use crate::kills::{Outcome, credit, person, send};
use crate::process::{PATIENCE, Server, check_ledger, gongji, run, wait_until};

#[test]
fn the_printed_grants_let_each_role_do_its_work_and_no_more() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    let url = node.url("gongji");
    migrate(&url);
    sql(&url, printed("CREATE ROLE gongji_app"));
    for role in ["gongji_app", "gongji_analyst"] {
        sql(&url, &format!("ALTER ROLE {role} PASSWORD 'of-{role}'"));
    }
    let as_role = |role: &str| url.replacen("tester:only-for-tests", &format!("{role}:of-{role}"), 1);
    let (app, analyst) = (as_role("gongji_app"), as_role("gongji_analyst"));
    let server = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", &app]));
    run(async {
        let channel = server.channel().await;
        for op in [person(1, true), credit("one".to_owned(), 1, 100), credit("two".to_owned(), 1, 100)] {
            let outcome = send(&channel, op).await;
            assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}\n{}", server.log());
        }
        check_ledger(channel).await;
    });
    assert_eq!(sql(&analyst, "SELECT count(*) FROM gongji.record"), "3");
    // Partitions that the owner makes while it runs are found when they are needed; when they end, it says so before.
    let fill = |name: &'static str, changes: u64| {
        run(async {
            let channel = server.channel().await;
            for number in 0..changes {
                let outcome = send(&channel, credit(format!("{name}-{number}"), 1, 100)).await;
                assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}\n{}", server.log());
            }
        });
    };
    fill("first", 590);
    assert!(server.log().contains("the last partition is being filled"), "{}", server.log());
    migrate(&url);
    fill("second", 20);
    assert_eq!(sql(&analyst, "SELECT count(*) > 600 FROM gongji.record"), "t");
    for (who, statement) in [
        (&app, "UPDATE gongji.record SET bytes = ''"),
        (&app, "UPDATE gongji.record_1 SET bytes = ''"),
        (&app, "DELETE FROM gongji.record_1"),
        (&app, "DELETE FROM gongji.posting"),
        (&app, "UPDATE gongji.posting_1 SET amount_fen = 1"),
        (&app, "INSERT INTO gongji.posting_1 SELECT * FROM gongji.posting"),
        (&app, "DELETE FROM gongji.request"),
        (&app, "DELETE FROM gongji.settlement"),
        (&app, "TRUNCATE gongji.record"),
        (&app, "DELETE FROM gongji.list"),
        (&app, "DROP TABLE gongji.head"),
        (&app, "CREATE TABLE gongji.mine ()"),
        (&analyst, "SELECT * FROM gongji_person.person"),
        (&analyst, "SELECT * FROM gongji_person.reference"),
        (&analyst, "SELECT * FROM gongji_person.secret"),
        (&analyst, "SELECT * FROM gongji_health.basis"),
        (&analyst, "UPDATE gongji.head SET position = 0"),
    ] {
        let refused = try_sql(who, statement).expect_err(statement);
        let words = ["permission denied", "must be owner", "read-only transaction"];
        assert!(words.iter().any(|word| refused.contains(word)), "{statement}: {refused}");
    }
    let (status, _, log) = server.terminate();
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// The database's owner, who is nobody's superior, sees programs of another role that could not read what a migration allows.
#[test]
fn an_owner_sees_older_programs_of_another_role() {
    let mut cluster = Cluster::new();
    let node = cluster.node("apart", Durability::Fast, &[]);
    for role in ["bureau", "program"] {
        node.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'of-{role}'"));
    }
    node.sql("CREATE DATABASE gongji OWNER bureau");
    let as_role = |role: &str| node.url("gongji").replacen("tester:only-for-tests", &format!("{role}:of-{role}"), 1);
    let (owner, program) = (as_role("bureau"), as_role("program"));
    assert_eq!(sql(&owner, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"), "f");
    assert!(up_to(&owner, Some(2)).status.success());
    let old = OldSession::of(&program);
    let refused = up_to(&owner, None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("1 connections of such programs"), "{said}");
    assert_eq!(sql(&owner, "SELECT max(version) FROM gongji.migration"), "2");
    old.end();
    wait_until("the end of that session", PATIENCE, || up_to(&owner, None).status.success().then_some(()));
    assert_eq!(sql(&owner, "SELECT max(version) FROM gongji.migration"), "3");
}
