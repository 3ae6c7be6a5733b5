//! A primary with a synchronous standby, load running, the primary killed, the standby promoted: replicas find the new
//! primary by themselves, and nothing that was answered is missing.
//!
//! `GONGJI_FAILOVERS=50 cargo test --test suite postgres::failover -- --nocapture` fails over 50 times; `GONGJI_SEED=…` takes
//! that seed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use gongji::store::postgres::{PostgresOptions, PostgresStore};
use tonic_types::StatusExt;

use super::Pair;
use super::cluster::sql;
use super::load::{Replicas, Town, is_definite};
use super::server::{PostgresServer, migrate};
use crate::kills::{Outcome, credit, person, send};
use crate::process::{Dice, PATIENCE, Replay, Server, endpoint, from_env, run, wait_until};
use crate::store::HeadNow;

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
    let lost = |server: &Server| server.log().contains("the connection to the database is lost");
    assert!(replicas.all().iter().any(lost), "no failover met a running replica");
    replicas.stop();
}

/// Where the standby is away a commit waits for it. An administrator may end the wait; then the change stands on one machine
/// only, and whoever asked for it must not be told that it is done.
#[test]
fn a_commit_that_only_the_primary_has_is_not_told_as_done() {
    let mut pair = Pair::new();
    pair.primary.sql("CREATE DATABASE gongji");
    let url = pair.url("gongji");
    migrate(&url);
    let replicas = Replicas::start(1, &url, &["--drain-ms", "500"]);
    let server = &replicas.all()[0];
    let op = credit("alone".to_owned(), 1, 100);
    run(async {
        let channel = server.channel().await;
        let known = send(&channel, person(1, true)).await;
        assert!(matches!(known, Outcome::Done { .. }), "{known:?}");
        pair.standby.kill();
        let asked = tokio::spawn({
            let op = op.clone();
            async move { send(&channel, op).await }
        });
        let primary = pair.primary.url("postgres");
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        tokio::task::spawn_blocking(move || {
            wait_until("a commit that waits", PATIENCE, || {
                (sql(&primary, &format!("SELECT count(*) {waiting}")) != "0").then_some(())
            });
            sql(&primary, &format!("SELECT count(pg_cancel_backend(pid)) {waiting}"));
        })
        .await
        .expect("no panic");
        let Outcome::Refused(status) = asked.await.expect("no panic") else { panic!("it was told as done") };
        // Of the call itself, or of its time: it asks the database again, which waits for its standby.
        let reason = status.get_details_error_info().expect("of ours").reason;
        assert!(["OUTCOME_UNKNOWN", "TIME_LIMIT"].contains(&reason.as_str()), "{status:?}");
        pair.cluster.start(&pair.standby);
        let again = send(&server.channel().await, op).await;
        assert!(matches!(again, Outcome::Done { replayed: true, .. }), "the standby has it now: {again:?}");
    });
    // A server that is told to stop does not wait for ever for a standby that is away.
    pair.standby.kill();
    let address = server.address;
    let asked = std::thread::spawn(move || {
        run(async { send(&endpoint(address).connect_lazy(), credit("at-the-end".to_owned(), 1, 100)).await })
    });
    wait_until("a commit that waits", PATIENCE, || {
        (pair.primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "0").then_some(())
    });
    replicas.stop();
    let unheard = asked.join().expect("no panic");
    assert!(!is_definite(&unheard), "{unheard:?}");
}

/// A machine that hangs takes connections and says nothing more; a dead one refuses none either.
#[test]
fn hosts_that_are_silent_keep_nobody_from_the_one_that_answers() {
    let database = PostgresServer::shared().migrated();
    let (scheme, rest) = database.url().split_once("://").expect("a URL");
    let (who, place) = rest.rsplit_once('@').map_or((String::new(), rest), |(who, place)| (format!("{who}@"), place));
    for count in [1, 2] {
        let silent: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let named = silent.iter().map(|host| format!("{},", host.local_addr().expect("bound"))).collect::<String>();
        let store = PostgresStore::open(PostgresOptions::new(&format!("{scheme}://{who}{named}{place}")));
        assert_eq!(store.expect("found").head_now().position, 0, "behind {count}");
    }
}
