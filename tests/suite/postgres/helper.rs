//! The servers under the tests are what they promise to be.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Pair;
use super::cluster::{Cluster, Durability, sql, try_sql};
use super::server::{PostgresServer, with_database};
use crate::process::{PATIENCE, signal, wait_until};

#[test]
fn databases_are_fresh_apart_and_dropped() {
    let server = PostgresServer::shared();
    let (one, other) = (server.fresh_database(), server.fresh_database());
    one.sql("CREATE TABLE mine (number int)");
    let copy = server.copy_of(one.name());
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'";
    assert_eq!((one.sql(tables), other.sql(tables), copy.sql(tables)), ("1".into(), "0".into(), "1".into()));
    let (url, name) = (other.url().to_owned(), one.name().to_owned());
    drop((one, copy));
    assert_eq!(sql(&url, &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")), "0");
}

#[test]
fn a_database_is_named_within_any_url() {
    for (url, expected) in [
        ("postgres://a:b@127.0.0.1:5432/postgres", "postgres://a:b@127.0.0.1:5432/new"),
        (
            "postgres://a@one:1,two:2/x?target_session_attrs=read-write",
            "postgres://a@one:1,two:2/new?target_session_attrs=read-write",
        ),
        ("postgresql://localhost", "postgresql://localhost/new"),
        ("postgres://localhost?user=a", "postgres://localhost/new?user=a"),
    ] {
        assert_eq!(with_database(url, "new"), expected);
    }
}

#[test]
fn a_synced_server_syncs() {
    let database = PostgresServer::synced().fresh_database();
    let shown = ["fsync", "synchronous_commit", "full_page_writes"].map(|name| database.sql(&format!("SHOW {name}")));
    assert_eq!(shown, ["on", "on", "on"]);
}

#[test]
fn a_stranger_is_not_let_in() {
    let database = PostgresServer::synced().fresh_database();
    let wrong = database.url().replacen("only-for-tests", "guessed", 1);
    assert!(try_sql(&wrong, "SELECT 1").expect_err("refused").contains("password authentication failed"));
}

/// A server in a process of its own, which waits to be killed.
#[test]
#[ignore = "the victim of the next test, which starts it by name"]
fn victim() {
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    println!("\nVICTIM {} {}", node.url("postgres"), cluster.folder().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_server_dies_with_its_process_however_that_dies() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "postgres::helper::victim", "--nocapture"]).process_group(0);
    let mut victim = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let lines = BufReader::new(victim.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let line = lines.into_iter().find_map(|line| line.strip_prefix("VICTIM ").map(str::to_owned)).expect("it starts");
    let (url, folder) = line.split_once(' ').expect("two words");
    assert_eq!(try_sql(url, "SELECT 1"), Ok("1".to_owned()));
    // The whole group, as a terminal or a build service would.
    signal(victim.id(), "KILL");
    victim.wait().expect("killed");
    wait_until("the end of its folder", PATIENCE, || (!Path::new(folder).exists()).then_some(()));
    let refused = try_sql(url, "SELECT 1").expect_err("nobody is there");
    assert!(refused.contains("refused"), "{refused}");
}

#[test]
fn a_dropped_cluster_leaves_nothing() {
    let folder: PathBuf = {
        let mut cluster = Cluster::new();
        let killed = cluster.node("killed", Durability::Fast, &[]);
        cluster.node("running", Durability::Fast, &[]);
        killed.kill();
        assert!(try_sql(&killed.url("postgres"), "SELECT 1").is_err());
        cluster.folder().to_owned()
    };
    assert!(!folder.exists());
}

#[test]
fn a_pair_fails_over_and_back_with_what_it_acknowledged() {
    let mut pair = Pair::new();
    sql(&pair.url("postgres"), "CREATE TABLE told (number int)");
    for turn in 1..=2 {
        sql(&pair.url("postgres"), &format!("INSERT INTO told VALUES ({turn})"));
        pair.primary.kill();
        pair.fail_over();
        let told = sql(&pair.url("postgres"), "SELECT count(*) FROM told");
        assert_eq!(told, turn.to_string(), "what was acknowledged is there");
        pair.rebuild_standby();
    }
    // In good order it comes back on its port.
    pair.primary.stop();
    pair.cluster.start(&pair.primary);
    assert_eq!(sql(&pair.url("postgres"), "SELECT count(*) FROM told"), "2");
}
