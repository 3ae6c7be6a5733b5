//! The database under measurement: its tables, and how much it writes to its log.

use tokio_postgres::NoTls;

use crate::ledger::source::RandomIds;
use crate::store::postgres::{self, DatabaseUrl, PostgresOptions};

/// Records in a partition: a run makes a few.
const PARTITION_RECORDS: u64 = 10_000_000;

/// Makes the tables of a ledger.
pub async fn prepare(url: &DatabaseUrl) -> Result<(), String> {
    let secret = RandomIds::from_system().secret();
    let made = postgres::up(&PostgresOptions::new(&url.0), secret, PARTITION_RECORDS).await;
    made.map(|_| ()).map_err(|error| error.to_string())
}

async fn ask(url: &DatabaseUrl, work: &str, question: &str) -> Result<u64, String> {
    let wrong = |_: tokio_postgres::Error| format!("the database at {url} does not answer");
    let (client, connection) = tokio_postgres::connect(&url.0, NoTls).await.map_err(wrong)?;
    let driving = tokio::spawn(connection);
    client.batch_execute(work).await.map_err(wrong)?;
    let row = client.query_one(question, &[]).await.map_err(wrong)?;
    driving.abort();
    u64::try_from(row.get::<_, i64>(0)).map_err(|_| "a log has no length below 0".to_owned())
}

const LOG: &str = "SELECT (pg_current_wal_lsn() - '0/0')::bigint";

/// Brings statistics up to date once everybody is loaded, as a running database has them. Where the log ends.
pub async fn loaded(url: &DatabaseUrl) -> Result<u64, String> {
    ask(url, "ANALYZE", LOG).await
}

/// Where the log ends, in bytes.
pub async fn log_position(url: &DatabaseUrl) -> Result<u64, String> {
    ask(url, "", LOG).await
}
