//! The schema: plain SQL files built into the program, applied one by one, each in a transaction of its own.
//!
//! A migration works with the previous program still serving, so replicas need not stop: it adds, and what it takes away
//! was no longer used by the program before. `serves` says how old a schema's programs may be to serve on it. What those
//! cannot read is written only once a later migration says that they are gone: one that this program can do without.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row, Transaction};

use super::options::{PostgresError, PostgresOptions};
use super::partition;
use super::session::{Maker, Trouble, told};
use crate::domain::calc::words::CertificationState;
use crate::domain::vocabulary::{Bucket, Channel, InsuranceState, Relation, Scheme};
use crate::domain::wording::Wording;
use crate::store::ListKind;

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i32,
    pub name: &'static str,
    pub sql: &'static str,
    /// The oldest schema whose programs still serve when this one is applied.
    pub serves: i32,
    /// Whether this program serves only with it.
    pub needed: bool,
}

/// Those that this program knows, in their order.
pub const MIGRATIONS: [Migration; 3] = [
    Migration {
        version: 1,
        name: "data set",
        sql: include_str!("migrations/0001_data_set.sql"),
        serves: 1,
        needed: true,
    },
    Migration {
        version: 2,
        name: "words and checks",
        sql: include_str!("migrations/0002_words_and_checks.sql"),
        serves: 1,
        needed: true,
    },
    Migration {
        version: 3,
        name: "explanations in full",
        sql: include_str!("migrations/0003_explanations_in_full.sql"),
        // Those of schema 1 do not know the words that are stored from here on.
        serves: FULL_WORDING,
        needed: false,
    },
];

/// Programs from this schema on read every word of an explanation.
const FULL_WORDING: i32 = 2;

/// The newest schema that this program knows.
pub const SCHEMA: i32 = newest(&MIGRATIONS);

/// The oldest on which it serves.
pub const NEEDED: i32 = oldest(&MIGRATIONS);

const fn newest(migrations: &[Migration]) -> i32 {
    if let [.., last] = migrations { last.version } else { 0 }
}

const fn oldest(migrations: &[Migration]) -> i32 {
    match migrations {
        [] => 0,
        [.., last] if last.needed => last.version,
        [before @ .., _] => oldest(before),
    }
}

/// In which words explanations are stored where programs from this schema on may serve.
pub(super) fn wording(serves: i32) -> Wording {
    if serves >= FULL_WORDING { Wording::Full } else { Wording::First }
}

/// What a session of this program is called, so that whoever migrates sees which programs serve. Those of schema 1 said no number.
pub(super) fn session_name(migrations: &[Migration]) -> String {
    format!("gongji/{}", newest(migrations))
}

/// How many sessions of older programs there are.
const OLDER: &str = "
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND $1 > CASE
    WHEN application_name = 'gongji' THEN 1
    WHEN application_name ~ '^gongji/[0-9]{1,9}$' THEN substr(application_name, 8)::integer
END";

/// Between two attempts to apply.
const BREATH: Duration = Duration::from_millis(500);

const JOURNAL: &str = "
CREATE SCHEMA IF NOT EXISTS gongji;
COMMENT ON SCHEMA gongji IS 'Ledger, balances, bindings: ids and amounts only.';
CREATE TABLE IF NOT EXISTS gongji.migration (
    version integer NOT NULL PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL,
    serves integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE gongji.migration IS 'Migrations that were applied.';
COMMENT ON COLUMN gongji.migration.version IS 'number of the migration, from 1';
COMMENT ON COLUMN gongji.migration.name IS 'what it does';
COMMENT ON COLUMN gongji.migration.digest IS 'SHA-256 of its text';
COMMENT ON COLUMN gongji.migration.serves IS 'oldest schema whose programs still serve on it';
COMMENT ON COLUMN gongji.migration.applied_at IS 'when';";

/// A migration as it stands in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub version: i32,
    pub name: String,
    /// The oldest schema whose programs serve on it.
    pub serves: i32,
    /// In the database's words; none: not applied yet.
    pub at: Option<String>,
}

impl Applied {
    fn missing(migration: &Migration) -> Self {
        let Migration { version, name, serves, .. } = *migration;
        Self { version, name: name.to_owned(), serves, at: None }
    }
}

fn digest(sql: &str) -> Vec<u8> {
    Sha256::digest(sql.as_bytes()).to_vec()
}

/// What went wrong while a schema was looked at or made.
pub(super) fn refused(options: &PostgresOptions, error: &tokio_postgres::Error) -> PostgresError {
    let url = options.url.clone();
    match (Trouble::of(error), error.code()) {
        (Trouble::Lost, _) | (_, None) => PostgresError::Unreachable { url, what: told(error) },
        (_, Some(code)) => PostgresError::Refused { url, code: code.code().to_owned() },
    }
}

/// How far migrations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Version(i32),
    /// As far as this program needs them; all where the data set is made with them. What takes the program before its way back is for
    /// somebody to decide.
    Needed,
}

/// Applies what is missing. `secret` is the data set's if this makes it; `partition_records` likewise.
pub async fn up(
    options: &PostgresOptions,
    secret: [u8; 32],
    partition_records: u64,
) -> Result<Vec<Applied>, PostgresError> {
    up_to(options, Until::Version(i32::MAX), secret, partition_records).await
}

/// The same up to this one.
pub async fn up_to(
    options: &PostgresOptions,
    until: Until,
    secret: [u8; 32],
    partition_records: u64,
) -> Result<Vec<Applied>, PostgresError> {
    let maker = Maker::new(Arc::new(options.clone()))?;
    let mut session = maker.connect().await?;
    let mut left = options.retries;
    let halted = loop {
        match apply(options, &mut session.client, until, secret, partition_records).await {
            Ok(halted) => break halted,
            Err(error) => left = again(options, &error, left)?,
        }
        // Others get their turn.
        tokio::time::sleep(BREATH).await;
    };
    check(options, &session.client).await?;
    while let Err(error) = ahead(&mut session.client).await {
        left = again(options, &error, left)?;
    }
    match halted {
        Some(older) => Err(older),
        None => listed(options, &session.client).await,
    }
}

/// How often it may still be tried, if somebody else was in the way: what that one made is found, and not made again.
fn again(options: &PostgresOptions, error: &tokio_postgres::Error, left: u32) -> Result<u32, PostgresError> {
    // Whoever cancels it means it.
    let in_the_way = Trouble::of(error) == Trouble::Again && error.code() != Some(&SqlState::QUERY_CANCELED);
    let left = left.checked_sub(1).filter(|_| in_the_way);
    left.ok_or_else(|| refused(options, error))
}

/// Makes partitions beyond where the ledger stands: the program's own role may not be allowed to.
async fn ahead(client: &mut Client) -> Result<(), tokio_postgres::Error> {
    let position: i64 = client.query_one("SELECT position FROM gongji.head", &[]).await?.get(0);
    partition::ensure(client, u64::try_from(position).unwrap_or(0)).await
}

/// Applies them, as far as whoever serves lets it.
async fn apply(
    options: &PostgresOptions,
    client: &mut Client,
    until: Until,
    secret: [u8; 32],
    partition_records: u64,
) -> Result<Option<PostgresError>, tokio_postgres::Error> {
    // A long migration is whole or not at all; nobody waits for its statements but whoever called it.
    client.batch_execute("SET statement_timeout = 0; SET enable_seqscan = on; SET enable_hashjoin = on").await?;
    journal(client).await?;
    let mut halted = None;
    let mut last = match until {
        Until::Version(last) => last,
        Until::Needed => oldest(options.migrations),
    };
    for migration in options.migrations {
        if migration.version > last {
            break;
        }
        let work = client.transaction().await?;
        // The row that says it was applied comes first and is the lock: a second one waits here for the first one's end,
        // and then finds it applied, or applies it.
        let sql = "INSERT INTO gongji.migration (version, name, digest, serves) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (version) DO NOTHING";
        let row = (migration.version, migration.name, digest(migration.sql), migration.serves);
        if work.execute(sql, &[&row.0, &row.1, &row.2, &row.3]).await? == 1 {
            let older = migration.serves > 1;
            let sessions = if older { work.query_one(OLDER, &[&migration.serves]).await?.get(0) } else { 0 };
            if sessions > 0 {
                let (url, Migration { version, serves, .. }) = (options.url.clone(), *migration);
                halted = Some(PostgresError::OlderServe { url, version, serves, sessions });
                break;
            }
            work.batch_execute(migration.sql).await?;
            if migration.version == 1 {
                begin(&work, secret, partition_records).await?;
                if until == Until::Needed {
                    last = newest(options.migrations);
                }
            }
        }
        work.commit().await?;
    }
    words(client).await?;
    Ok(halted)
}

/// Makes the table of migrations. Of several who do that at once all but one are refused by the rows of the system's own
/// tables, which no `IF NOT EXISTS` waits for; by then it is made.
async fn journal(client: &Client) -> Result<(), tokio_postgres::Error> {
    if is_there(client).await? {
        return Ok(());
    }
    match client.batch_execute(JOURNAL).await {
        Err(error) if !is_there(client).await? => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn is_there(client: &Client) -> Result<bool, tokio_postgres::Error> {
    Ok(client.query_one("SELECT to_regclass('gongji.migration') IS NOT NULL", &[]).await?.get(0))
}

/// What a data set is made with.
async fn begin(work: &Transaction<'_>, secret: [u8; 32], records: u64) -> Result<(), tokio_postgres::Error> {
    work.execute("INSERT INTO gongji_person.secret (one, secret) VALUES (true, $1)", &[&secret.as_slice()]).await?;
    let sql = "INSERT INTO gongji.dataset (one, partition_records, made_at) VALUES (true, $1, now())";
    work.execute(sql, &[&i64::try_from(records).unwrap_or(i64::MAX)]).await?;
    Ok(())
}

/// The names of stored codes, for whoever reads the tables.
async fn words(client: &Client) -> Result<(), tokio_postgres::Error> {
    macro_rules! of {
        ($($list:literal: $type:ty;)*) => {{
            let mut rows: Vec<(&str, i16, String, &str)> = Vec::new();
            $(rows.extend(<$type>::ALL.iter().map(|it| ($list, i16::from(it.code()), it.name().to_owned(), it.zh())));)*
            rows
        }};
    }
    let mut rows = of! {
        "relation": Relation; "bucket": Bucket; "scheme": Scheme; "insurance_state": InsuranceState; "channel": Channel;
        "certification_state": CertificationState;
    };
    rows.extend(ListKind::ALL.iter().map(|kind| ("list", *kind as i16, format!("{kind:?}"), "")));
    let sql = "INSERT INTO gongji.word (list, code, name, zh) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (list, code) DO UPDATE SET name = excluded.name, zh = excluded.zh";
    let statement = client.prepare(sql).await?;
    for (list, code, name, zh) in &rows {
        client.execute(&statement, &[list, code, name, zh]).await?;
    }
    Ok(())
}

/// Refuses a schema that this program cannot serve on. The oldest schema whose programs may serve beside it.
pub(super) async fn check(options: &PostgresOptions, client: &Client) -> Result<i32, PostgresError> {
    let url = || options.url.clone();
    let (needed, known) = (oldest(options.migrations), newest(options.migrations));
    if !is_there(client).await.map_err(|error| refused(options, &error))? {
        return Err(PostgresError::NoDataSet { url: url() });
    }
    let found = client.query("SELECT version, digest, serves FROM gongji.migration ORDER BY version", &[]).await;
    let found = found.map_err(|error| refused(options, &error))?;
    let (mut last, mut serves) = (0, 0);
    for row in &found {
        (last, serves) = (row.get::<_, i32>(0), serves.max(row.get::<_, i32>(2)));
        if last > known && serves > known {
            return Err(PostgresError::Ahead { url: url(), found: last, known });
        }
        let ours = options.migrations.iter().find(|migration| migration.version == last);
        if ours.is_some_and(|migration| digest(migration.sql) != row.get::<_, Vec<u8>>(1)) {
            return Err(PostgresError::Changed { url: url(), version: last });
        }
    }
    match last {
        0 => Err(PostgresError::NoDataSet { url: url() }),
        found if found < needed => Err(PostgresError::Behind { url: url(), found, needed }),
        _ => Ok(serves),
    }
}

/// Every migration this program knows, and when it was applied.
pub async fn status(options: &PostgresOptions) -> Result<Vec<Applied>, PostgresError> {
    let maker = Maker::new(Arc::new(options.clone()))?;
    let session = maker.connect().await?;
    match check(options, &session.client).await {
        Err(PostgresError::NoDataSet { .. }) => Ok(options.migrations.iter().map(Applied::missing).collect()),
        Err(PostgresError::Behind { .. }) | Ok(_) => listed(options, &session.client).await,
        Err(error) => Err(error),
    }
}

async fn listed(options: &PostgresOptions, client: &Client) -> Result<Vec<Applied>, PostgresError> {
    let sql = "SELECT version, name, serves, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SSOF') FROM gongji.migration \
               ORDER BY version";
    let found = client.query(sql, &[]).await.map_err(|error| refused(options, &error))?;
    let read = |row: &Row| Applied { version: row.get(0), name: row.get(1), serves: row.get(2), at: Some(row.get(3)) };
    let mut applied: Vec<Applied> = found.iter().map(read).collect();
    let missing = options.migrations.iter().filter(|it| !found.iter().any(|row| row.get::<_, i32>(0) == it.version));
    applied.extend(missing.map(Applied::missing));
    Ok(applied)
}
