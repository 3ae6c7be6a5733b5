//! The mark of a data set that is being copied into a database: until the copy is whole nobody serves it.

use std::sync::Arc;

use tokio_postgres::Client;

use super::migrate::refused;
use super::options::{PostgresError, PostgresOptions};
use super::session::Maker;

/// Marks a data set that holds nothing yet. One that holds something goes on, marked as it is: somebody may be serving it.
pub async fn begin_copy(options: &PostgresOptions) -> Result<(), PostgresError> {
    let sql = "INSERT INTO gongji.copying (one, begun_at) SELECT true, now() FROM gongji.head WHERE position = 0 \
               ON CONFLICT (one) DO NOTHING";
    execute(options, sql).await
}

/// The copy is whole.
pub async fn end_copy(options: &PostgresOptions) -> Result<(), PostgresError> {
    execute(options, "DELETE FROM gongji.copying").await
}

async fn execute(options: &PostgresOptions, sql: &str) -> Result<(), PostgresError> {
    let session = Maker::new(Arc::new(options.clone()))?.connect().await?;
    session.client.execute(sql, &[]).await.map(drop).map_err(|error| refused(options, &error))
}

/// Refuses one that is not whole, unless it is opened to go on with it.
pub(super) async fn check(options: &PostgresOptions, client: &Client) -> Result<(), PostgresError> {
    let found = client.query_one("SELECT EXISTS (SELECT FROM gongji.copying)", &[]).await;
    let begun: bool = found.map_err(|error| refused(options, &error))?.get(0);
    if begun && !options.copying { Err(PostgresError::Copying { url: options.url.clone() }) } else { Ok(()) }
}
