//! The schema: plain SQL files built into the program, applied one by one, each in a transaction of its own.
//!
//! A migration works with the previous program still serving, so replicas need not stop: it adds, and what it takes away
//! was no longer used by the program before. `serves` says how old a schema's programs may be to serve on it.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::options::{PostgresError, PostgresOptions};
use super::partition;
use super::session::{Maker, Trouble, told};
use crate::domain::calc::words::CertificationState;
use crate::domain::vocabulary::{Bucket, Channel, InsuranceState, Relation, Scheme};
use crate::store::ListKind;

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i32,
    pub name: &'static str,
    pub sql: &'static str,
    /// The oldest schema whose programs still serve when this one is applied.
    pub serves: i32,
}

/// Those that this program knows, in their order.
pub const MIGRATIONS: [Migration; 2] = [
    Migration { version: 1, name: "data set", sql: include_str!("migrations/0001_data_set.sql"), serves: 1 },
    Migration {
        version: 2,
        name: "words and checks",
        sql: include_str!("migrations/0002_words_and_checks.sql"),
        // Programs before it cannot read all explanations that those with it write.
        serves: 2,
    },
];

/// What this program reads and writes.
pub const SCHEMA: i32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

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
    /// In the database's words; none: not applied yet.
    pub at: Option<String>,
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

/// Applies what is missing. `secret` is the data set's if this makes it; `partition_records` likewise.
pub async fn up(
    options: &PostgresOptions,
    secret: [u8; 32],
    partition_records: u64,
) -> Result<Vec<Applied>, PostgresError> {
    let maker = Maker::new(Arc::new(options.clone()))?;
    let mut session = maker.connect().await?;
    let mut left = options.retries;
    while let Err(error) = apply(options, &mut session.client, secret, partition_records).await {
        left = again(options, &error, left)?;
        // Others get their turn.
        tokio::time::sleep(BREATH).await;
    }
    check(options, &session.client).await?;
    while let Err(error) = ahead(&mut session.client).await {
        left = again(options, &error, left)?;
    }
    listed(options, &session.client).await
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

async fn apply(
    options: &PostgresOptions,
    client: &mut Client,
    secret: [u8; 32],
    partition_records: u64,
) -> Result<(), tokio_postgres::Error> {
    // A long migration is whole or not at all; nobody waits for its statements but whoever called it.
    client.batch_execute("SET statement_timeout = 0; SET enable_seqscan = on; SET enable_hashjoin = on").await?;
    journal(client).await?;
    for migration in options.migrations {
        let work = client.transaction().await?;
        // The row that says it was applied comes first and is the lock: a second one waits here for the first one's end,
        // and then finds it applied, or applies it.
        let sql = "INSERT INTO gongji.migration (version, name, digest, serves) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (version) DO NOTHING";
        let row = (migration.version, migration.name, digest(migration.sql), migration.serves);
        if work.execute(sql, &[&row.0, &row.1, &row.2, &row.3]).await? == 1 {
            work.batch_execute(migration.sql).await?;
            if migration.version == 1 {
                begin(&work, secret, partition_records).await?;
            }
        }
        work.commit().await?;
    }
    words(client).await
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

/// Refuses a schema that this program cannot serve on.
pub(super) async fn check(options: &PostgresOptions, client: &Client) -> Result<(), PostgresError> {
    let url = || options.url.clone();
    let needed = options.migrations.last().map_or(0, |migration| migration.version);
    if !is_there(client).await.map_err(|error| refused(options, &error))? {
        return Err(PostgresError::NoDataSet { url: url() });
    }
    let found = client.query("SELECT version, digest, serves FROM gongji.migration ORDER BY version", &[]).await;
    let found = found.map_err(|error| refused(options, &error))?;
    let mut newest = 0;
    for row in &found {
        newest = row.get::<_, i32>(0);
        if newest > needed && row.get::<_, i32>(2) > needed {
            return Err(PostgresError::Ahead { url: url(), found: newest, known: needed });
        }
        let known = options.migrations.iter().find(|migration| migration.version == newest);
        if known.is_some_and(|migration| digest(migration.sql) != row.get::<_, Vec<u8>>(1)) {
            return Err(PostgresError::Changed { url: url(), version: newest });
        }
    }
    match newest {
        0 => Err(PostgresError::NoDataSet { url: url() }),
        found if found < needed => Err(PostgresError::Behind { url: url(), found, needed }),
        _ => Ok(()),
    }
}

/// Every migration this program knows, and when it was applied.
pub async fn status(options: &PostgresOptions) -> Result<Vec<Applied>, PostgresError> {
    let maker = Maker::new(Arc::new(options.clone()))?;
    let session = maker.connect().await?;
    match check(options, &session.client).await {
        Err(PostgresError::NoDataSet { .. }) => {
            let none = |it: &Migration| Applied { version: it.version, name: it.name.to_owned(), at: None };
            Ok(options.migrations.iter().map(none).collect())
        }
        Err(PostgresError::Behind { .. }) | Ok(()) => listed(options, &session.client).await,
        Err(error) => Err(error),
    }
}

async fn listed(options: &PostgresOptions, client: &Client) -> Result<Vec<Applied>, PostgresError> {
    let sql =
        "SELECT version, name, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SSOF') FROM gongji.migration ORDER BY version";
    let found = client.query(sql, &[]).await.map_err(|error| refused(options, &error))?;
    let mut applied: Vec<Applied> =
        found.iter().map(|row| Applied { version: row.get(0), name: row.get(1), at: Some(row.get(2)) }).collect();
    let missing = options.migrations.iter().filter(|it| !found.iter().any(|row| row.get::<_, i32>(0) == it.version));
    applied.extend(missing.map(|it| Applied { version: it.version, name: it.name.to_owned(), at: None }));
    Ok(applied)
}
