//! A primary with a synchronous standby, load running, the primary killed, the standby promoted: replicas find the new
//! primary by themselves, and nothing that was answered is missing.
//!
//! `GONGJI_FAILOVERS=50 cargo test --test suite postgres::failover -- --nocapture` fails over 50 times; `GONGJI_SEED=…` takes
//! that seed.

use std::time::{Duration, Instant};

use super::Pair;
use super::load::{Replicas, Town};
use super::server::migrate;
use crate::process::{Dice, Replay, from_env};

#[test]
fn a_failover_loses_nothing_and_doubles_nothing() {
    let failovers = from_env("GONGJI_FAILOVERS", 2);
    let seed = from_env("GONGJI_SEED", 0xfa11);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_FAILOVERS={failovers} cargo test --test suite postgres::failover -- --nocapture"
    ));
    let mut pair = Pair::new();
    pair.primary.sql("CREATE DATABASE gongji");
    let url = pair.url("gongji");
    migrate(&url);
    let mut replicas = Replicas::start(3, &url, &[]);
    let mut town = Town::new(&replicas, Dice::new(seed));
    let (mut promotions, mut outages) = (Vec::new(), Vec::new());
    for _ in 0..failovers {
        let mut promotion = Duration::ZERO;
        town.told.gap = Duration::ZERO;
        town.round(&mut replicas, |_, _| {
            let killed = Instant::now();
            pair.primary.kill();
            pair.fail_over();
            promotion = killed.elapsed();
        });
        promotions.push(promotion);
        outages.push(town.told.gap);
        pair.rebuild_standby();
    }
    town.close(&replicas);
    println!(
        "{failovers} failovers, seed {seed}: {} requests, {} effects, {} sendings without an answer; killed until promoted \
         {promotions:.1?}, nobody answered for {outages:.1?}",
        town.auditor.known(),
        town.auditor.effects(),
        town.told.unknown,
    );
    assert!(town.told.unknown > 0, "no failover met a running request");
    replicas.stop();
}
