//! Three processes over one database, one of them killed in every round; or every second, whatever is under way.
//!
//! `GONGJI_REPLICA_KILLS=200 cargo test --test suite postgres::replicas -- --nocapture` kills 200 times instead of a few,
//! `GONGJI_REPLICA_BEATS=200` so many times on the beat; `GONGJI_SEED=…` takes that seed.

use std::time::Duration;

use gongji::grpc::proto::{IfApplied, ResolvedOutcome};
use tonic_types::StatusExt;

use super::PostgresServer;
use super::load::{Replicas, Town};
use crate::kills::{Answer, Outcome, binding, credit, hold, kill_again_and_again, person, resolve, send, settle};
use crate::process::{Dice, Replay, Server, check_ledger, from_env, gongji, run, today};

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

/// However much is under way: a kill every second while the load goes on, and everything compared at the end.
#[test]
fn a_replica_killed_every_second_loses_nothing_and_doubles_nothing() {
    let kills = from_env("GONGJI_REPLICA_BEATS", 4);
    let seed = from_env("GONGJI_SEED", 0xbea7);
    let _replay = Replay(format!(
        "GONGJI_SEED={seed} GONGJI_REPLICA_BEATS={kills} cargo test --test suite postgres::replicas::a_replica -- --nocapture"
    ));
    let database = PostgresServer::shared().migrated();
    let mut replicas = Replicas::start(3, database.url(), &[]);
    let steady = Server::start(gongji(&["serve", "--store", "postgres", "--database-url", database.url()]));
    let mut town = Town::new(&replicas, Dice::new(seed));
    let began = std::time::Instant::now();
    let beats = town.on_a_beat(&mut replicas, &steady, kills, Duration::from_secs(1));
    let took = began.elapsed();
    replicas.await_ready();
    town.close(&replicas);
    println!(
        "{} kills of a replica in {took:.1?}, seed {seed}: {} requests, {} effects; {} sendings without an answer, {} given \
         up for another replica; longest from kill to kill {:.2?}",
        beats.len(),
        town.auditor.known(),
        town.auditor.effects(),
        town.told.unknown,
        town.told.given_up,
        beats.iter().max().expect("some"),
    );
    assert_eq!(beats.len() as u64, kills);
    assert!(town.told.unknown > 0, "no kill met a running request");
    let (status, _, log) = steady.terminate();
    assert!(status.success(), "{log}");
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

/// A fence at one replica while its original is at the other: one of the two is in effect, and both replicas say which.
#[test]
fn a_fence_and_its_original_at_two_replicas_have_one_outcome() {
    const CASES: i64 = 160;
    let database = PostgresServer::shared().migrated();
    let replicas = Replicas::start(2, database.url(), &["--holds-per-member", "1000"]);
    run(async {
        let (here, there) = (replicas.all()[0].channel().await, replicas.all()[1].channel().await);
        let day = today(here.clone()).await;
        for op in [person(0, true), person(1, false), credit("money".to_owned(), 0, 10 * CASES)] {
            let outcome = send(&here, op).await;
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        }
        let outcome = send(&here, binding(&here, "bound".to_owned(), 0, 1).await).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        let (mut applied, mut fenced) = (0, 0);
        for case in 0..CASES {
            let id = format!("o-{case}");
            let original = settle(id.clone(), "H001", 1, &day, 10, 0);
            let original = if case % 3 == 0 { hold(original) } else { original };
            let doubt = resolve(format!("f-{case}"), "H001", &id, IfApplied::Keep);
            let (one, other) = if case % 2 == 0 { (&here, &there) } else { (&there, &here) };
            // Some one after the other, so that both outcomes are met; the others at once.
            let (said, told) = match case % 16 {
                0 => {
                    let said = send(one, original.clone()).await;
                    (said, send(other, doubt.clone()).await)
                }
                1 => {
                    let told = send(other, doubt.clone()).await;
                    (send(one, original.clone()).await, told)
                }
                _ => tokio::join!(send(one, original.clone()), send(other, doubt.clone())),
            };
            let is_fenced = |told: &Outcome| match told {
                Outcome::Found(found) => *found == ResolvedOutcome::Fenced,
                Outcome::Done { answer: Answer::Resolve(answer), .. } => answer.outcome() == ResolvedOutcome::Fenced,
                told => panic!("case {case}: {told:?}"),
            };
            let is_applied = |said: &Outcome| match said {
                Outcome::Done { .. } => true,
                Outcome::Refused(status) => {
                    let reason = status.get_details_error_info().expect("of ours").reason;
                    assert_eq!(reason, "REQUEST_FENCED", "case {case}: {status:?}");
                    false
                }
                said => panic!("case {case}: {said:?}"),
            };
            let stands = is_applied(&said);
            assert_eq!(is_fenced(&told), !stands, "case {case}: {said:?}, {told:?}");
            // Whoever asks the other one hears the same.
            for channel in [one, other] {
                assert_eq!(is_applied(&send(channel, original.clone()).await), stands, "case {case}");
                assert_eq!(is_fenced(&send(channel, doubt.clone()).await), !stands, "case {case}");
            }
            applied += i64::from(stands);
            fenced += i64::from(!stands);
        }
        println!("{applied} originals and {fenced} fences were first");
        assert!(applied > 0 && fenced > 0, "one side alone was ever first");
        // Either is one record.
        assert_eq!(check_ledger(here).await.records_checked, 4 + CASES);
    });
    replicas.stop();
}
