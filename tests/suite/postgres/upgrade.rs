//! A schema moves while the program serves on it: migrations are applied to a database in use, a program meets a schema that
//! is newer than itself, and one that it must not touch.

use super::load::{Replicas, Town};
use super::server::migrate;
use super::{Database, PostgresServer};
use crate::process::{Dice, Replay, Server, check_ledger, ended, from_env, gongji, run};

/// What the next version's migration would leave behind, for programs from this schema on.
fn pretend_newer(database: &Database, serves: u32) {
    database.sql(&format!(
        "BEGIN; ALTER TABLE gongji.standing ADD COLUMN IF NOT EXISTS of_the_future text; \
         ALTER TABLE gongji.settlement ADD COLUMN IF NOT EXISTS of_the_future bigint; \
         CREATE TABLE IF NOT EXISTS gongji.future (one boolean PRIMARY KEY); \
         INSERT INTO gongji.migration (version, name, digest, serves) \
         SELECT max(version) + 1, 'of the future', '\\x00', {serves} FROM gongji.migration; COMMIT"
    ));
}

fn serve(url: &str) -> [&str; 5] {
    ["serve", "--store", "postgres", "--database-url", url]
}

#[test]
fn replicas_serve_on_while_the_schema_moves() {
    let seed = from_env("GONGJI_SEED", 0x56ad);
    let _replay = Replay(format!("GONGJI_SEED={seed} cargo test --test suite postgres::upgrade -- --nocapture"));
    let database = PostgresServer::shared().migrated();
    let mut replicas = Replicas::start(2, database.url(), &[]);
    let mut town = Town::new(&replicas, Dice::new(seed));
    // The same program's migrations again, by two at once.
    town.round(&mut replicas, |_, _| {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| migrate(database.url()));
            }
        });
    });
    // A newer one's, which lets this one serve: those that run go on, and one that starts now serves too.
    town.round(&mut replicas, |replicas, dice| {
        pretend_newer(&database, 1);
        replicas.kill(dice.roll(2));
    });
    // One that this program must not serve on: it refuses to start, and says why.
    pretend_newer(&database, 1_000);
    let output = ended(gongji(&serve(database.url())));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("needs a newer program"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("only-for-tests"), "{said}");
    town.close(&replicas);
    replicas.stop();
}

#[test]
fn a_database_without_our_schema_or_with_another_is_refused_by_name() {
    let server = PostgresServer::shared();
    let refused = |words: &[&str], part: &str| {
        let output = ended(gongji(words));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(part), "{words:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("only-for-tests"), "{said}");
    };
    let empty = server.fresh_database();
    refused(&serve(empty.url()), "gongji migrate up");
    let changed = server.migrated();
    changed.sql("UPDATE gongji.migration SET digest = '\\x00' WHERE version = 1");
    refused(&serve(changed.url()), "migration 1");
    refused(&["migrate", "up", "--database-url", changed.url()], "migration 1");
    refused(&serve("postgres://tester:only-for-tests@127.0.0.1:1/nowhere"), "127.0.0.1:1");
    let gone = empty.url().replacen(empty.name(), "no_such_database", 1);
    refused(&serve(&gone), "no_such_database");
    // What was refused was left alone.
    assert_eq!(empty.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'gongji%'"), "0");
}

#[test]
fn migrations_are_told_and_repeated_without_effect() {
    let database = PostgresServer::shared().fresh_database();
    let status = || {
        let output = ended(gongji(&["migrate", "status", "--database-url", database.url()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = status();
    migrate(database.url());
    let after = status();
    assert_ne!(before, after);
    let journal = || database.sql("SELECT version, name, encode(digest, 'hex'), applied_at FROM gongji.migration");
    let applied = journal();
    migrate(database.url());
    assert_eq!((status(), journal()), (after, applied));
    let server = Server::start(gongji(&serve(database.url())));
    run(async { check_ledger(server.channel().await).await });
}
