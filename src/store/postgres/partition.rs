//! Partitions of records and postings, made before they are needed. Old ones may be moved to other disks, and detached once
//! they are archived; only what reads the whole ledger misses them.

use tokio_postgres::Client;

/// So many whole partitions lie ahead when new ones are made.
const AHEAD: i64 = 3;

/// Makes partitions until enough lie beyond `position`.
pub(super) async fn ensure(client: &mut Client, position: u64) -> Result<(), tokio_postgres::Error> {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    let size: i64 = client.query_one("SELECT partition_records FROM gongji.dataset", &[]).await?.get(0);
    let wanted = position.saturating_add(size.saturating_mul(AHEAD));
    loop {
        let work = client.transaction().await?;
        let last: i64 = work.query_one("SELECT coalesce(max(last), 0) FROM gongji.partition", &[]).await?.get(0);
        if last >= wanted {
            return Ok(());
        }
        let (first, next) = (last + 1, last + size);
        // One at a time, whoever makes them, a replica or an administrator: the row is the lock. A second one waits here for
        // the first one's end, and if that made it looks anew.
        let row = "INSERT INTO gongji.partition (first, last) VALUES ($1, $2) ON CONFLICT (first) DO NOTHING";
        if work.execute(row, &[&first, &next]).await? == 0 {
            work.rollback().await?;
            continue;
        }
        for table in ["record", "posting"] {
            let name = format!("gongji.{table}_{first}");
            // Made apart and attached, which does not stop those who write; the check spares a look through it.
            let sql = format!(
                "CREATE TABLE {name} (LIKE gongji.{table} INCLUDING ALL); \
                 ALTER TABLE {name} ADD CONSTRAINT range CHECK (position >= {first} AND position <= {next}); \
                 ALTER TABLE gongji.{table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({}); \
                 ALTER TABLE {name} DROP CONSTRAINT range",
                next + 1
            );
            work.batch_execute(&sql).await?;
        }
        work.commit().await?;
    }
}

/// The last position there is room for, and where the last partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub last: u64,
    pub last_from: u64,
}

impl Room {
    pub async fn read(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let sql = "SELECT coalesce(max(last), 0), coalesce(max(first), 0) FROM gongji.partition";
        let row = client.query_one(sql, &[]).await?;
        let [last, last_from] = [0, 1].map(|place| u64::try_from(row.get::<_, i64>(place)).unwrap_or(0));
        Ok(Self { last, last_from })
    }
}
