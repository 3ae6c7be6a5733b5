//! What an administrator, a network or a crash does to a database in use: each as a row, and after each everything that was
//! answered is there once.
//!
//! `GONGJI_OUTAGES=20 cargo test --test suite postgres::outages -- --nocapture` does each 20 times; `GONGJI_SEED=…` takes that
//! seed.

use super::load::{Replicas, Town};
use super::server::migrate;
use super::{Cluster, Durability, Node};
use crate::process::{Dice, Replay, from_env};

/// What happens, and what does it, in the middle of a round.
type Row = (&'static str, fn(&mut Cluster, &Node, &mut Dice));

/// Connections of the replicas.
const THEIRS: &str = "FROM pg_stat_activity WHERE datname = 'gongji' AND pid <> pg_backend_pid()";

const ROWS: [Row; 6] = [
    ("the database is restarted", |cluster, node, _| {
        node.stop();
        cluster.start(node);
    }),
    ("the database is killed and started", |cluster, node, _| {
        node.kill();
        cluster.start(node);
    }),
    ("every connection is ended, again and again", |_, node, dice| {
        for _ in 0..5 + dice.roll(5) {
            node.sql(&format!("SELECT count(pg_terminate_backend(pid)) {THEIRS}"));
        }
    }),
    ("transactions that run are ended one by one", |_, node, dice| {
        for _ in 0..20 + dice.roll(20) {
            let running = "AND state <> 'idle' ORDER BY random() LIMIT 1";
            node.sql(&format!("SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid {THEIRS} {running}) AS one"));
        }
    }),
    ("statements that run are cancelled one by one", |_, node, dice| {
        for _ in 0..20 + dice.roll(20) {
            let running = "AND state <> 'idle' ORDER BY random() LIMIT 1";
            node.sql(&format!("SELECT count(pg_cancel_backend(pid)) FROM (SELECT pid {THEIRS} {running}) AS one"));
        }
    }),
    ("no connection is let in for a while", |cluster, node, dice| {
        node.sql("ALTER DATABASE gongji ALLOW_CONNECTIONS false");
        node.sql(&format!("SELECT count(pg_terminate_backend(pid)) {THEIRS}"));
        for _ in 0..dice.roll(10) {
            node.sql("SELECT 1");
        }
        node.sql("ALTER DATABASE gongji ALLOW_CONNECTIONS true");
        let _ = cluster;
    }),
];

#[test]
fn whatever_happens_to_the_database_nothing_answered_is_lost() {
    let times = from_env("GONGJI_OUTAGES", 1);
    let seed = from_env("GONGJI_SEED", 0x0a7a6e);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_OUTAGES={times} cargo test --test suite postgres::outages -- --nocapture"
    ));
    let mut cluster = Cluster::new();
    let node = cluster.node("alone", Durability::Fast, &[]);
    node.sql("CREATE DATABASE gongji");
    migrate(&node.url("gongji"));
    let mut replicas = Replicas::start(2, &node.url("gongji"), &[]);
    let mut town = Town::new(&replicas, Dice::new(seed));
    for (what, happens) in ROWS {
        town.told = Default::default();
        for _ in 0..times {
            town.round(&mut replicas, |_, dice| happens(&mut cluster, &node, dice));
        }
        println!(
            "{what}, {times} times: {} sendings without an answer, longest silence {:.1?}",
            town.told.unknown, town.told.gap
        );
    }
    town.close(&replicas);
    replicas.stop();
}
