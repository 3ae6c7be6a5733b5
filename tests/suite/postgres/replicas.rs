//! Three processes over one database, one of them killed in every round.
//!
//! `GONGJI_REPLICA_KILLS=200 cargo test --test suite postgres::replicas -- --nocapture` kills 200 times instead of a few;
//! `GONGJI_SEED=…` takes that seed.

use super::PostgresServer;
use super::load::{Replicas, Town};
use crate::kills::kill_again_and_again;
use crate::process::{Dice, Replay, Server, from_env, gongji};

#[test]
fn replicas_that_are_killed_lose_nothing_and_double_nothing() {
    let kills = from_env("GONGJI_REPLICA_KILLS", 4);
    let seed = from_env("GONGJI_SEED", 0x3_0ff5);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_REPLICA_KILLS={kills} cargo test --test suite postgres::replicas -- --nocapture"
    ));
    let database = PostgresServer::shared().migrated();
    let mut replicas = Replicas::start(3, database.url(), &[]);
    let mut town = Town::new(&replicas, Dice::new(seed));
    let began = std::time::Instant::now();
    for _ in 0..kills {
        town.round(&mut replicas, |replicas, dice| replicas.kill(dice.roll(3)));
    }
    town.close(&replicas);
    println!(
        "{kills} kills of a replica, seed {seed}, {:.1?}: {} requests, {} effects; {} sendings without an answer, {} given \
         up for another replica; longest silence {:.1?}",
        began.elapsed(),
        town.auditor.known(),
        town.auditor.effects(),
        town.told.unknown,
        town.told.given_up,
        town.told.gap
    );
    assert!(town.told.unknown > 0 && town.told.given_up > 0, "no kill and no change of mind met a running request");
    replicas.stop();
}

/// One server at a time, as the other stores are killed: `GONGJI_KILLS=200 cargo test --test suite kills -- --nocapture`.
#[test]
fn one_server_after_the_other_kills_nothing_answered() {
    let database = PostgresServer::shared().migrated();
    kill_again_and_again(5, &|| {
        Server::start(gongji(&["serve", "--store", "postgres", "--database-url", database.url()]))
    });
}
