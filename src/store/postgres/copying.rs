//! The mark of a data set that is being copied into a database: until the copy is whole nobody serves it.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::migrate::refused;
use super::options::{PostgresError, PostgresOptions};
use super::session::Maker;

/// Marks a data set of this secret that holds nothing yet. One that holds something goes on, marked as it is, and one of another
/// secret is somebody else's: either may be served.
pub async fn begin_copy(options: &PostgresOptions, secret: [u8; 32]) -> Result<(), PostgresError> {
    let sql = "INSERT INTO gongji.copying (one, begun_at) SELECT true, now() FROM gongji.head, gongji_person.secret \
               WHERE position = 0 AND secret = $1 ON CONFLICT (one) DO NOTHING";
    execute(options, sql, &[&secret.as_slice()]).await
}

/// The copy is whole.
pub async fn end_copy(options: &PostgresOptions) -> Result<(), PostgresError> {
    execute(options, "DELETE FROM gongji.copying", &[]).await
}

async fn execute(options: &PostgresOptions, sql: &str, of: &[&(dyn ToSql + Sync)]) -> Result<(), PostgresError> {
    let session = Maker::new(Arc::new(options.clone()))?.connect().await?;
    session.client.execute(sql, of).await.map(drop).map_err(|error| refused(options, &error))
}

/// Refuses one that is not whole, unless it is opened to go on with it.
pub(super) async fn check(options: &PostgresOptions, client: &Client) -> Result<(), PostgresError> {
    let found = client.query_one("SELECT EXISTS (SELECT FROM gongji.copying)", &[]).await;
    let begun: bool = found.map_err(|error| refused(options, &error))?.get(0);
    if begun && !options.copying { Err(PostgresError::Copying { url: options.url.clone() }) } else { Ok(()) }
}
