//! What the PostgreSQL store promises beyond the laws of every store: its schema, its second line of defence, its bounds,
//! and how it comes back when connections are cut.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use gongji::store::chain::content_hash;
use gongji::store::postgres::{self, MIGRATIONS, PostgresError, PostgresOptions, PostgresStore, SCHEMA};
use gongji::store::{Change, CommitError, Store, StoreError};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

use crate::postgres::{Database, PostgresServer};
use crate::process::{PATIENCE, wait_until};
use crate::samples;
use crate::store::{
    HeadNow, SECRET, Verbs, account_key, at, block_on, change, fen_of, kinds, ledger_database, migrated,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn open(database: &Database, set: impl FnOnce(&mut PostgresOptions)) -> Arc<PostgresStore> {
    let mut options = PostgresOptions::new(database.url());
    set(&mut options);
    PostgresStore::open(options).expect("opens")
}

fn over(database: &Database) -> Arc<dyn Store> {
    open(database, |_| {})
}

fn refusal(database: &Database) -> String {
    match PostgresStore::open(PostgresOptions::new(database.url())) {
        Ok(_) => panic!("it opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_schema_that_is_not_this_programs_is_refused_by_name() {
    let database = PostgresServer::shared().fresh_database();
    assert!(refusal(&database).contains("gongji migrate up"), "{}", refusal(&database));
    let status = || runtime().block_on(postgres::status(&PostgresOptions::new(database.url()))).expect("a status");
    assert!(status().iter().all(|migration| migration.at.is_none()));
    for _ in 0..2 {
        migrated(database.url(), 100);
    }
    let found = status();
    assert_eq!(found.last().map(|last| (last.version, last.at.is_some())), Some((SCHEMA, true)));
    over(&database);
    database.sql("UPDATE gongji.migration SET digest = decode(repeat('00', 32), 'hex')");
    assert!(refusal(&database).contains("migration 1"), "{}", refusal(&database));
    database.sql("DELETE FROM gongji.migration");
    assert!(refusal(&database).contains("gongji migrate up"));
    database.sql("INSERT INTO gongji.migration (version, name, digest, serves) VALUES (900, 'later', '', 900)");
    assert!(refusal(&database).contains("newer program"), "{}", refusal(&database));
}

/// As an engine is whose transactions are all serializable: whoever was in the way of another is told so, and tries again.
#[test]
fn a_database_that_is_always_serializable_is_made_and_served_by_many_at_once() {
    const MANY: u128 = 4;
    const EACH: i64 = 25;
    let database = PostgresServer::shared().fresh_database();
    let name = database.sql("SELECT current_database()");
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", name.trim()));
    thread::scope(|scope| (1..=MANY).for_each(|_| _ = scope.spawn(|| migrated(database.url(), 20))));
    // Servers of their own, over the same partitions and the same head.
    thread::scope(|scope| {
        for number in 1..=MANY {
            let database = &database;
            scope.spawn(move || {
                let store: Arc<dyn Store> = open(database, |options| options.retries = 100);
                (1..=EACH).for_each(|fen| assert!(store.put(number, fen) > 0));
            });
        }
    });
    let store = over(&database);
    let keys: Vec<_> = (1..=MANY).map(account_key).collect();
    let facts = store.look(&keys);
    assert!((0..keys.len()).all(|place| fen_of(&facts, place) == Some(EACH)));
    let positions: Vec<u64> = store.all().iter().map(|record| record.position).collect();
    assert_eq!(positions, (1..=MANY as u64 * EACH as u64).collect::<Vec<_>>());
}

#[test]
fn what_a_newer_schema_still_serves_is_served() {
    let database = ledger_database();
    database.sql("INSERT INTO gongji.migration (version, name, digest, serves) VALUES (900, 'later', '', 1)");
    assert_eq!(over(&database).put(1, 5), 1);
}

#[test]
fn every_table_and_column_says_what_it_is() {
    let database = ledger_database();
    let bare = database.sql(
        "SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
         WHERE n.nspname LIKE 'gongji%' AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
         AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    );
    assert_eq!(bare.trim(), "");
    let tables = database
        .sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'gongji'::regnamespace AND relkind IN ('r', 'p')");
    assert!(tables.trim().parse::<u32>().expect("a number") > 20, "the tables were found");
}

#[test]
fn balances_stand_in_columns_and_names_apart() {
    let database = ledger_database();
    let store = over(&database);
    store.put(7, 1_234);
    assert_eq!(database.sql("SELECT current_fen, version FROM gongji.standing").trim(), "1234|1");
    assert_eq!(database.sql("SELECT masked_name FROM gongji_person.masked_name").trim(), "测*");
    let told = database.sql("SELECT count(*) FROM gongji.standing WHERE position('测'::bytea IN body) > 0");
    assert_eq!(told.trim(), "0", "the name is not among the balances");
}

/// What stands in columns is read by people and by nobody here, so a cell in the wrong place would be noticed by none: one row
/// of each kind of fact, record and posting, column by column, as it was once compared with the samples by eye.
/// `GONGJI_WRITE_SAMPLES=1` writes the file anew.
#[test]
fn columns_say_what_the_bytes_say() {
    let database = ledger_database();
    let store = over(&database);
    let mut changes: Vec<Change> = Vec::new();
    for record in samples::encoded_records() {
        changes.push(Change { content_hash: content_hash(&record), record, ..change(0, &[], &[]) });
    }
    changes[0].puts = kinds::one_of_each();
    let verdicts = block_on(store.commit(changes, at(1_000)));
    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    let tables = database.sql(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname LIKE 'gongji%' AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
         AND c.relname NOT IN ('migration', 'dataset', 'secret', 'head', 'word', 'partition', 'list', 'copying') ORDER BY 1",
    );
    let mut text = String::new();
    for table in tables.lines() {
        // Of postings each that is another, wherever it lies.
        let without = if table == "gongji.posting" { "position" } else { "body" };
        let rows = database.sql(&format!(
            "SET timezone = 'UTC'; SELECT DISTINCT row, row ->> 'from_kind', row ->> 'to_kind', (row ->> 'position')::int \
             FROM (SELECT to_jsonb(t) - 'body' - 'bytes' - 'content_hash' - 'link' - '{without}' AS row FROM {table} t) rows \
             ORDER BY 4, 2, 3"
        ));
        assert!(!rows.is_empty(), "{table} has no row: its kind has no sample");
        text.extend(rows.lines().filter_map(|row| Some(format!("{table} {}}}\n", row.rsplit_once('}')?.0))));
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/samples/columns.txt");
    if std::env::var_os("GONGJI_WRITE_SAMPLES").is_some() {
        std::fs::write(&file, &text).expect("writes the samples");
    }
    assert_eq!(text, std::fs::read_to_string(&file).expect("the samples are committed"));
    // Whoever reads the codes finds their names, those of methods that no sample used too.
    let nameless = "SELECT count(*) FROM gongji.record r WHERE NOT EXISTS \
                    (SELECT FROM gongji.word w WHERE w.list = 'event' AND w.code = r.event)";
    assert_eq!(database.sql(nameless), "0");
    let methods = methods();
    assert!(methods.len() > 20, "they were found");
    let named = database.sql("SELECT code FROM gongji.word WHERE list = 'method'");
    let named: BTreeSet<&str> = named.lines().collect();
    assert!(methods.iter().all(|code| named.contains(code.as_str())), "{methods:?} {named:?}");
}

/// The stored codes of all methods, as the ledger's files have them.
fn methods() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger");
    let files = std::fs::read_dir(folder).expect("there").map(|file| file.expect("a file").path());
    let texts = files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).expect("text"));
    let code = |line: &str| Some(line.split_once("METHOD: u8 = ")?.1.trim_end_matches(';').to_owned());
    texts.flat_map(|text| text.lines().filter_map(code).collect::<Vec<_>>()).collect()
}

#[test]
fn a_change_that_will_not_do_hinders_nobody() {
    let database = ledger_database();
    let store = over(&database);
    let changes = vec![change(0, &[], &[(1, 10)]), change(0, &[], &[(2, -1)]), change(0, &[], &[(3, 30)])];
    let verdicts = block_on(store.commit(changes, at(1_000)));
    let positions: Vec<_> = verdicts.iter().map(|verdict| verdict.map(|done| done.position)).collect();
    assert_eq!(positions, [Ok(1), Err(CommitError::NotApplied(StoreError::Unavailable)), Ok(2)]);
    let facts = store.look(&[account_key(1), account_key(2), account_key(3)]);
    assert_eq!([fen_of(&facts, 0), fen_of(&facts, 1), fen_of(&facts, 2)], [Some(10), None, Some(30)]);
}

#[test]
fn the_database_itself_refuses_a_balance_below_zero_and_a_sum_that_is_none() {
    let database = ledger_database();
    over(&database).put(1, 10);
    for statement in [
        "UPDATE gongji.standing SET current_fen = -1",
        "INSERT INTO gongji.settlement VALUES (gen_random_uuid(), 1, 'H', gen_random_uuid(), 1, now(), 1, now(), 10, 1, 2, 3, 3, 2, 0, '')",
    ] {
        let refused = crate::postgres::try_sql(database.url(), statement);
        assert!(refused.as_ref().is_err_and(|error| error.contains("check constraint")), "{refused:?}");
    }
}

#[test]
fn it_works_again_by_itself_when_connections_are_cut() {
    let database = ledger_database();
    let store = over(&database);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND application_name LIKE 'gongji/%'";
    for round in 1..=5 {
        database.sql(cut);
        // A commit that was not asked for yet is tried again; so are looks.
        assert_eq!(store.put(u128::from(round % 2 + 1), 10), round);
        assert_eq!(store.head_now().position, round);
    }
}

#[test]
fn a_commit_waits_for_others_so_long_and_no_longer() {
    let database = ledger_database();
    let store = open(&database, |options| {
        options.lock = Duration::from_millis(50);
        options.retries = 2;
    });
    let runtime = runtime();
    let (client, connection) = runtime.block_on(tokio_postgres::connect(database.url(), NoTls)).expect("connects");
    let driving = runtime.spawn(connection);
    let run = |sql: &str| runtime.block_on(client.batch_execute(sql)).expect("runs");
    run("BEGIN; SELECT 1 FROM gongji.head FOR UPDATE");
    let held: Arc<dyn Store> = store.clone();
    assert_eq!(held.try_one(change(0, &[], &[(1, 1)])), Err(CommitError::NotApplied(StoreError::Unavailable)));
    assert_eq!(store.counters().retries.load(Ordering::Relaxed), 2, "as often as it may");
    run("ROLLBACK");
    assert_eq!(held.put(1, 2), 1);
    driving.abort();
}

/// A value of `/metrics`.
fn told(store: &PostgresStore, name: &str) -> u64 {
    let mut page = gongji::metrics::Page::default();
    store.measure(&mut page);
    let text = page.into_text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is told")).parse().expect("a number")
}

/// Whoever waits in a statement is told by the database when its time is over: what keeps it waiting is let go much later, and
/// so would the program give up its connection.
#[test]
fn a_statement_takes_so_long_and_no_longer() {
    let database = ledger_database();
    let store = open(&database, |options| {
        (options.statement, options.connections) = (Duration::from_millis(100), 1);
        (options.lock, options.connect) = (PATIENCE / 2, PATIENCE);
        (options.commit, options.retries) = (PATIENCE, 2);
    });
    let held: Arc<dyn Store> = store.clone();
    assert_eq!((held.put(1, 1), held.head_now().position), (1, 1));
    let runtime = runtime();
    let (client, connection) = runtime.block_on(tokio_postgres::connect(database.url(), NoTls)).expect("connects");
    let driving = runtime.spawn(connection);
    let run = |sql: &str| runtime.block_on(client.batch_execute(sql)).expect("runs");
    let connections = "gongji_database_connections_made_total";
    let before = told(&store, connections);
    // A row that every commit needs, and a table that a look reads.
    run("BEGIN; SELECT 1 FROM gongji.head FOR UPDATE");
    assert_eq!(held.try_one(change(0, &[], &[(1, 2)])), Err(CommitError::NotApplied(StoreError::Unavailable)));
    assert_eq!(store.counters().retries.load(Ordering::Relaxed), 2, "as often as it may");
    run("ROLLBACK; BEGIN; LOCK TABLE gongji.standing IN ACCESS EXCLUSIVE MODE");
    assert_eq!(block_on(held.load(&[account_key(1)])).map(|_| ()), Err(StoreError::Unavailable));
    run("ROLLBACK");
    assert_eq!(told(&store, connections), before, "each connection goes on");
    assert_eq!(fen_of(&held.look(&[account_key(1)]), 0), Some(1));
    assert_eq!(held.put(1, 3), 2);
    driving.abort();
}

#[test]
fn so_many_connections_read_and_no_more() {
    for connections in [1, 3] {
        let database = ledger_database();
        let store: Arc<dyn Store> = open(&database, |options| {
            options.connections = connections;
            options.group = 64;
            (options.lock, options.statement) = (PATIENCE, PATIENCE);
        });
        store.put(1, 7);
        let runtime = runtime();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(database.url(), NoTls)).expect("connects");
        let driving = runtime.spawn(connection);
        let run = |sql: &str| runtime.block_on(client.batch_execute(sql)).expect("runs");
        run("BEGIN; LOCK TABLE gongji.standing IN ACCESS EXCLUSIVE MODE");
        let ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'gongji/%'";
        let looked = thread::scope(|scope| {
            // More than so many connections take at once, so each of them has something to ask.
            let looks = scope.spawn(|| {
                let keys = [account_key(1)];
                block_on(futures_util::future::join_all((0..400).map(|_| store.load(&keys))))
            });
            let waiting = format!("SELECT count(*) {ours} AND wait_event_type = 'Lock'");
            wait_until("readers that wait", PATIENCE, || {
                (database.sql(&waiting) == connections.to_string()).then_some(())
            });
            let all: usize = database.sql(&format!("SELECT count(*) {ours}")).parse().expect("a number");
            assert!(all <= connections + 1, "one more writes: {all}");
            run("ROLLBACK");
            looks.join().expect("they end")
        });
        assert!(looked.iter().all(|facts| facts.as_ref().is_ok_and(|facts| fen_of(facts, 0) == Some(7))));
        driving.abort();
    }
}

/// What another process commits is looked for as often as is said, and not oftener.
#[test]
fn others_records_are_looked_for_so_often_and_no_oftener() {
    for (poll, hears) in [(Duration::from_millis(1), true), (100 * PATIENCE, false)] {
        let database = ledger_database();
        let (store, other) = (open(&database, |options| options.poll = poll), over(&database));
        let mut waiting = store.wait_durable(1);
        let mut is_pending = || waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(is_pending());
        // It has looked for the first time, and there was nothing yet.
        wait_until("a look", PATIENCE, || (told(&store, "gongji_database_look_group_jobs_count") > 0).then_some(()));
        assert_eq!(other.put(1, 5), 1);
        if hears {
            wait_until("the other's record", PATIENCE, || (!is_pending()).then_some(()));
        } else {
            assert!(is_pending(), "the next look is long from now");
            // Whoever looks for something else hears of it too.
            assert_eq!(block_on(store.head()).expect("a head").position, 1);
            wait_until("the other's record", PATIENCE, || (!is_pending()).then_some(()));
        }
    }
}

#[test]
fn a_transaction_holds_so_many_changes_and_no_more() {
    for (group, most) in [(3, 3), (7, 7)] {
        let database = ledger_database();
        let store = open(&database, |options| options.group = group);
        let changes = (0..7).map(|number| change(0, &[], &[(number, 1)])).collect();
        let verdicts = block_on(store.commit(changes, at(1_000)));
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
        let largest = database
            .sql("SELECT max(many) FROM (SELECT count(*) AS many FROM gongji.record GROUP BY xmin::text) AS sizes");
        assert!(largest.trim().parse::<usize>().expect("a number") <= most, "{largest}");
        assert_eq!(store.counters().changes.load(Ordering::Relaxed), 7);
    }
}

#[test]
fn a_lost_database_is_told_in_time_and_a_stopped_wait_ends() {
    let database = ledger_database();
    let store: Arc<dyn Store> = open(&database, |options| {
        options.wait = Duration::from_millis(100);
        options.connect = Duration::from_millis(100);
        options.retries = 1;
    });
    store.put(1, 10);
    // Nobody may connect, and those who are connected are cut.
    let other = PostgresServer::shared().fresh_database();
    other.sql(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", database.name()));
    other.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", database.name()));
    assert_eq!(block_on(store.load(&[account_key(1)])).map(|_| ()), Err(StoreError::Unavailable));
    assert_eq!(store.try_one(change(0, &[], &[])), Err(CommitError::NotApplied(StoreError::Unavailable)));
    assert_eq!(block_on(store.clock()), Err(StoreError::Unavailable));
    other.sql(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", database.name()));
    wait_until("the database is back", PATIENCE, || block_on(store.load(&[account_key(1)])).ok());
    // Each of its connections comes back by itself.
    let head = wait_until("all of it", PATIENCE, || block_on(store.head()).ok());
    assert_eq!(head.position, 1);
}

#[test]
fn what_another_process_commits_is_seen_and_waited_for() {
    let database = ledger_database();
    let (one, other) = (over(&database), over(&database));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| block_on(one.wait_durable(3)));
        for position in 1..=3 {
            assert_eq!(other.put(9, 10), position);
        }
        assert_eq!(waits.join().expect("it ends"), Ok(()));
    });
    assert_eq!(fen_of(&one.look(&[account_key(9)]), 0), Some(10));
    assert_eq!(one.put(9, 20), 4, "positions are one order for all");
    assert_eq!((one.secret(), other.secret()), (SECRET, SECRET));
}

#[test]
fn partitions_are_made_before_they_are_needed() {
    let database = PostgresServer::shared().fresh_database();
    migrated(database.url(), 5);
    let store = over(&database);
    for number in 0..40_u64 {
        store.put(number.into(), 1);
    }
    let made = database.sql("SELECT count(*), max(last) FROM gongji.partition");
    let (count, last) = made.trim().split_once('|').expect("two columns");
    assert!(
        count.parse::<u64>().expect("a number") * 5 == last.parse::<u64>().expect("a number") && last != "40",
        "{made}"
    );
    assert_eq!(store.all().len(), 40);
}

/// As replicas and an administrator do who start together: each comes to its end, and all is there once.
#[test]
fn tables_and_partitions_are_made_once_whoever_makes_them_together() {
    const HANDS: usize = 6;
    let database = PostgresServer::shared().fresh_database();
    let together = || {
        let begin = Barrier::new(HANDS);
        thread::scope(|scope| {
            for _ in 0..HANDS {
                scope.spawn(|| {
                    let options = PostgresOptions { lock: PATIENCE, ..PostgresOptions::new(database.url()) };
                    begin.wait();
                    runtime().block_on(postgres::up(&options, SECRET, 10)).expect("migrates");
                });
            }
        });
    };
    let partitions =
        "SELECT count(*), min(first), max(last), count(*) FILTER (WHERE last - first <> 9) FROM gongji.partition";
    let tables =
        "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('gongji.record'::regclass, 'gongji.posting'::regclass)";
    together();
    let made = ["gongji.migration", "gongji.dataset", "gongji_person.secret", "gongji.head"];
    let rows = made.map(|table| database.sql(&format!("SELECT count(*) FROM {table}")));
    assert_eq!(rows, [MIGRATIONS.len().to_string().as_str(), "1", "1", "1"]);
    assert_eq!((database.sql(partitions), database.sql(tables)), ("3|1|30|0".into(), "6".into()));
    // A ledger that went on without room ahead.
    database.sql("UPDATE gongji.head SET position = 200");
    together();
    assert_eq!((database.sql(partitions), database.sql(tables)), ("23|1|230|0".into(), "46".into()));
}

#[test]
fn a_url_or_a_certifier_that_is_none_is_refused_without_the_password() {
    let refused = |url: &str, ca: &str| {
        let options = PostgresOptions { ca: ca.into(), ..PostgresOptions::new(url) };
        match PostgresStore::open(options) {
            Ok(_) => panic!("it opened"),
            Err(error) => error.to_string(),
        }
    };
    for (url, ca, expected) in [
        ("nonsense", "", "database_url"),
        ("postgres:///nowhere", "", "database_url"),
        ("postgres://ann:secret@127.0.0.1:1/x", "", "postgres://ann:***@127.0.0.1:1/x cannot be reached"),
        ("postgres://ann:secret@127.0.0.1:1/x?sslmode=require", "", "database_ca"),
        ("postgres://ann:secret@127.0.0.1:1/x", "/nowhere.pem", "database_ca: /nowhere.pem"),
    ] {
        let text = refused(url, ca);
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    }
    assert!(matches!(PostgresStore::open(PostgresOptions::new("")), Err(PostgresError::Url)));
}
