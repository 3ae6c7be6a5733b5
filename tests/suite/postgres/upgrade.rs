//! A schema moves while the program serves on it: migrations are applied to a database in use, a program meets a schema that
//! is newer than itself, and one that it must not touch.

use std::process::Output;

use gongji::domain::rule::Step;
use gongji::grpc::proto;
use gongji::store::Store;
use gongji::store::postgres::{self, MIGRATIONS, Migration, PostgresError, PostgresOptions, PostgresStore, SCHEMA};

use super::load::{Replicas, Town};
use super::server::migrate;
use super::{Database, PostgresServer};
use crate::feed::{PEOPLE, load, people};
use crate::kills::{Answer, Outcome, binding, credit, send, settle};
use crate::process::{Dice, PATIENCE, Replay, Server, check_ledger, ended, from_env, gongji, run, today, wait_until};
use crate::support::Setup;
use crate::wording::newer_steps;

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

pub fn serve(url: &str) -> [&str; 5] {
    ["serve", "--store", "postgres", "--database-url", url]
}

/// `gongji migrate up`, all of it or up to one.
pub fn up_to(url: &str, last: Option<i32>) -> Output {
    let last = last.map(|last| last.to_string());
    let mut words = vec!["migrate", "up", "--partition-records", "200", "--database-url", url];
    words.extend(last.iter().flat_map(|last| ["--to", last]));
    ended(gongji(&words))
}

/// A session as programs of schema 1 have: its name says no number.
pub struct OldSession {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
    driving: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl OldSession {
    pub fn of(url: &str) -> Self {
        let url = format!("{url}{}application_name=gongji", if url.contains('?') { '&' } else { '?' });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (client, connection) =
            runtime.block_on(tokio_postgres::connect(&url, tokio_postgres::NoTls)).expect("connects");
        let driving = runtime.spawn(connection);
        runtime.block_on(client.simple_query("SELECT 1")).expect("answers");
        Self { runtime, client, driving }
    }

    pub fn end(self) {
        drop(self.client);
        self.runtime.block_on(self.driving).expect("no panic").expect("ends well");
    }
}

/// What is stored in words that programs of schema 1 cannot read.
pub fn newer_words(database: &Database) -> Vec<Step> {
    let sql =
        "SELECT encode(body, 'hex') FROM gongji_health.basis UNION ALL SELECT encode(body, 'hex') FROM gongji.decided";
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("two digits");
    let found = database.sql(sql);
    let bodies = found.lines().filter(|line| !line.is_empty());
    bodies.flat_map(|line| newer_steps(&line.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>())).collect()
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

/// The schema of the next program: ours and one migration more, which only adds.
const NEXT: [Migration; MIGRATIONS.len() + 1] = {
    let next = Migration {
        version: SCHEMA + 1,
        name: "wards and notes",
        sql: include_str!("next_schema.sql"),
        serves: SCHEMA,
        needed: true,
    };
    let mut all = [next; MIGRATIONS.len() + 1];
    let mut place = 0;
    while place < MIGRATIONS.len() {
        all[place] = MIGRATIONS[place];
        place += 1;
    }
    all
};

fn next(url: &str) -> PostgresOptions {
    let mut options = PostgresOptions::new(url);
    options.migrations = &NEXT;
    options
}

/// The next program's migration is applied under the load of this one, and from then on both serve: what is asked of one and
/// repeated to the other is done once, and both find the same ledger right.
#[test]
fn the_next_program_and_this_one_serve_one_database() {
    let database = PostgresServer::shared().migrated();
    let old = Server::start(gongji(&serve(database.url())));
    run(people(&old));
    let refused = PostgresStore::open(next(database.url())).err().expect("the next program wants its schema");
    let words = format!("has schema {SCHEMA}, this program needs {}", SCHEMA + 1);
    assert!(refused.to_string().contains(&words), "{refused}");
    let first = std::thread::scope(|scope| {
        let loading = scope.spawn(|| run(load(&old, 0, 600)));
        let applied =
            wait_until("the migration", PATIENCE, || match run(postgres::up(&next(database.url()), [0; 32], 200)) {
                Ok(applied) => Some(applied),
                // Whoever changes tables waits for those who use them, and may be the one who has to give way.
                Err(PostgresError::Refused { code, .. }) if ["40P01", "55P03"].contains(&code.as_str()) => None,
                Err(error) => panic!("{error}"),
            });
        assert_eq!(applied.iter().filter(|migration| migration.at.is_some()).count(), NEXT.len());
        loading.join().expect("whoever loads is answered throughout")
    });
    let store = PostgresStore::open(next(database.url())).expect("the next program serves");
    let setup = Setup::over(store);
    setup.clock.set(&jiff::Timestamp::now().to_string());
    let new = setup.start();
    let records = new.wait(async {
        let channels = [old.channel().await, new.channel()];
        let day = today(old.channel().await).await;
        for number in 0..120 {
            let op = || match number % 3 {
                0 => credit(format!("both-{number}"), number % PEOPLE, 100),
                _ => settle(format!("both-{number}"), "H001", number % PEOPLE, &day, 500, 200),
            };
            let [one, other] = [number % 2, 1 - number % 2].map(|place| &channels[place]);
            let done = send(one, op()).await;
            let Outcome::Done { answer, replayed: false } = done else { panic!("{number}: {done:?}") };
            let again = send(other, op()).await;
            assert!(matches!(&again, Outcome::Done { answer: found, replayed: true } if *found == answer), "{again:?}");
        }
        let mut found = Vec::new();
        for channel in channels {
            found.push(check_ledger(channel).await.records_checked);
        }
        assert_eq!(found[0], found[1]);
        found[0]
    });
    assert_eq!(records as usize, PEOPLE + first as usize + 120, "each once");
    drop(new);
    // This program starts on it too, applies nothing, and the new columns and views hold what it writes.
    migrate(database.url());
    drop(old);
    let old = Server::start(gongji(&serve(database.url())));
    run(async { check_ledger(old.channel().await).await });
    let seen =
        "SELECT sum(settlements) || ' ' || sum(total_fen) FROM gongji.institution_day WHERE institution = 'H001'";
    assert_eq!(database.sql(seen), "80 40000");
    assert_eq!(database.sql("SELECT count(*) FROM gongji.posting WHERE audited IS NULL OR audited"), "0");
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

/// As long as programs of schema 1 may serve, explanations are stored in their words; once the database says that none does,
/// a server that runs stores all of them, without a restart.
#[test]
fn explanations_are_stored_in_the_words_that_all_who_serve_can_read() {
    let database = PostgresServer::shared().fresh_database();
    let status = || {
        let output = ended(gongji(&["migrate", "status", "--database-url", database.url()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let done = up_to(database.url(), Some(2));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(status().contains("for when no program of a schema before 2 serves any more"), "{}", status());
    let too_far = up_to(database.url(), Some(SCHEMA + 1));
    assert!(!too_far.status.success());
    let beat = [&serve(database.url())[..], &["--readiness-ms", "50"]].concat();
    let server = Server::start(gongji(&beat));
    run(people(&server));
    let bind = |number: usize| {
        run(async {
            let channel = server.channel().await;
            let op = binding(&channel, format!("words-{number}"), number, number + 1).await;
            let done = send(&channel, op.clone()).await;
            let Outcome::Done { answer: Answer::Bind(answer), replayed: false } = done else { panic!("{done:?}") };
            (op, answer)
        })
    };
    let subjects = |answer: &proto::CreateBindingResponse| -> Vec<String> {
        answer.explanation.iter().flat_map(|all| &all.steps).map(|step| step.subject.clone()).collect()
    };
    let (op, before) = bind(0);
    assert!(newer_words(&database).is_empty(), "{:?}", newer_words(&database));
    let all = |answer, wanted: &str| {
        let found = subjects(answer);
        !found.is_empty() && found.iter().all(|subject| subject == wanted)
    };
    assert!(all(&before, "bill"), "{before:?}");
    let old = OldSession::of(database.url());
    let refused = up_to(database.url(), None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("1 connections of such programs"), "{said}");
    assert_eq!(database.sql("SELECT max(version) FROM gongji.migration"), "2");
    old.end();
    // Whoever brings the schema up to date at its start leaves the old program its way back, whether or not one is there.
    let another = Server::start(gongji(&[&beat[..], &["--migrate", "true"]].concat()));
    assert!(another.log().contains("no program of a schema before 2"), "{}", another.log());
    assert_eq!(database.sql("SELECT max(version) FROM gongji.migration"), "2");
    drop(another);
    wait_until("the end of that session", PATIENCE, || up_to(database.url(), None).status.success().then_some(()));
    assert!(!status().contains("not applied"), "{}", status());
    let mut number = 0;
    let after = wait_until("newer words", PATIENCE, || {
        number += 2;
        let (_, answer) = bind(number);
        (!newer_words(&database).is_empty()).then_some(answer)
    });
    assert!(all(&after, "pair"), "{after:?}");
    // What was told is told again as it was.
    run(async {
        let again = send(&server.channel().await, op).await;
        assert!(
            matches!(&again, Outcome::Done { answer: Answer::Bind(answer), replayed: true } if *answer == before),
            "{again:?}"
        );
        check_ledger(server.channel().await).await;
    });
    // One that starts now knows it from the beginning.
    drop(server);
    let server = Server::start(gongji(&serve(database.url())));
    run(async { check_ledger(server.channel().await).await });
}
