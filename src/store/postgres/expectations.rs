//! How a commit begins: the head is locked, and the versions of all that the group expects are found. Nobody else can commit
//! from then on.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::cell::{self, Cell, Unreadable};
use super::committer::trouble;
use super::judge::{Pending, Versions};
use super::known::Known;
use super::session::{Session, Trouble};
use super::tables::{self, Wanted, place_of};
use crate::store::{Head, Key};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const LOCK: &str = "SELECT position, link, at FROM gongji.head FOR UPDATE";

fn failed(error: Error) -> Trouble {
    trouble(&error)
}

fn shape(_: Unreadable) -> Trouble {
    Trouble::Refused
}

/// Where the ledger stands, and the versions of what is expected; absent facts may be left out. One round trip, whether the
/// database is asked for versions or need not be; two when somebody else turns out to have committed.
pub(super) async fn begin(
    session: &mut Session,
    group: &[&Pending],
    known: &Known,
) -> Result<(Head, Versions), Trouble> {
    let lock = session.prepared(&LOCK.into()).await.map_err(failed)?;
    if known.is_alone() {
        let (begun, row) =
            tokio::join!(biased; session.client.batch_execute(BEGIN), session.client.query_one(&lock, &[]));
        begun.map_err(failed)?;
        let head = head(&row.map_err(failed)?)?;
        let versions = match known.versions(&head, group) {
            Some(versions) => versions,
            None => {
                let expected = Expected::of(group);
                let rows = expected.rows(session).await?;
                expected.versions(&rows)?
            }
        };
        return Ok((head, versions));
    }
    let expected = Expected::of(group);
    // Prepared before anything is locked.
    expected.prepare(session).await?;
    let begin = session.client.batch_execute(BEGIN);
    let row = session.client.query_one(&lock, &[]);
    let (begun, row, rows) = tokio::join!(biased; begin, row, expected.ask(session));
    begun.map_err(failed)?;
    // The first that failed is the cause: what was sent behind it is only told that the transaction is over.
    let row = row.map_err(failed)?;
    let rows = rows.map_err(failed)?;
    Ok((head(&row)?, expected.versions(&rows)?))
}

fn head(row: &Row) -> Result<Head, Trouble> {
    Ok(Head {
        position: cell::number(row, 0).map_err(shape)?,
        link: cell::digest(row, 1).map_err(shape)?,
        at: cell::moment(row, 2).map_err(shape)?,
    })
}

/// The keys that a group expects, by kind.
struct Expected {
    kinds: BTreeMap<usize, (Vec<Vec<Cell>>, Vec<Key>)>,
    sql: std::sync::Arc<str>,
}

impl Expected {
    fn of(group: &[&Pending]) -> Self {
        let mut kinds: BTreeMap<usize, (Vec<Vec<Cell>>, Vec<Key>)> = BTreeMap::new();
        let mut seen: HashSet<Key, RandomState> = HashSet::default();
        for (key, _) in group.iter().flat_map(|pending| &pending.change.expects) {
            if !seen.insert(*key) {
                continue;
            }
            let (table, cells) = place_of(key);
            let (columns, keys) = kinds.entry(table).or_default();
            columns.resize_with(cells.len(), Vec::new);
            columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            keys.push(*key);
        }
        let tables: Vec<usize> = kinds.keys().copied().collect();
        Self { kinds, sql: tables::look(&tables, Wanted::Versions).into() }
    }

    async fn prepare(&self, session: &mut Session) -> Result<(), Trouble> {
        if !self.kinds.is_empty() {
            session.prepared(&self.sql).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn rows(&self, session: &mut Session) -> Result<Vec<Row>, Trouble> {
        self.prepare(session).await?;
        self.ask(session).await.map_err(failed)
    }

    async fn ask(&self, session: &Session) -> Result<Vec<Row>, Error> {
        let Some(statement) = session.known(&self.sql) else { return Ok(Vec::new()) };
        let columns = self.kinds.values().flat_map(|(columns, _)| columns);
        let params: Vec<&(dyn ToSql + Sync)> = columns.map(|column| column as &(dyn ToSql + Sync)).collect();
        session.client.query(statement, &params).await
    }

    fn versions(&self, rows: &[Row]) -> Result<Versions, Trouble> {
        let mut versions = Versions::with_capacity_and_hasher(rows.len(), RandomState::default());
        for row in rows {
            let kind = usize::try_from(cell::small(row, 0).map_err(shape)?).map_err(|_| Trouble::Refused)?;
            let place = usize::try_from(cell::number(row, 1).map_err(shape)?).map_err(|_| Trouble::Refused)?;
            let key = self.kinds.get(&kind).and_then(|(_, keys)| keys.get(place.checked_sub(1)?));
            versions.insert(*key.ok_or(Trouble::Refused)?, cell::number(row, 2).map_err(shape)?);
        }
        Ok(versions)
    }
}
