//! The door for whole data sets. Tables keep a fact as it stands, not by the change that put it, so what is handed out is
//! walked: one transaction reads every table in the order of positions, through cursors, sorted once.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;

use super::answer::Failed;
use super::cell::{self, Unreadable};
use super::cells;
use super::judge::Pending;
use super::session::{Maker, Session};
use super::tables::{STANDING, TABLES, key_of};
use super::{PostgresStore, queue};
use crate::store::kept::{KeptChange, Portable, TakeError, heads};
use crate::store::record::{decode_entity, encode_entity};
use crate::store::{Change, CommitError, Head, Key, ListKey, ListKind, Store, StoreError, StoreFuture, StoredRecord};

/// Rows that a cursor gives at a time.
const FETCH: usize = 512;

/// Somebody wants changes.
pub(super) struct Ask {
    from: u64,
    limit: usize,
    reply: oneshot::Sender<Result<Vec<KeptChange>, StoreError>>,
}

/// Serves those who ask, on a connection of its own for as long as a walk lasts.
pub(super) async fn run(mut asks: mpsc::UnboundedReceiver<Ask>, maker: Maker) {
    let mut walk = None;
    while let Some(Ask { from, limit, reply }) = asks.recv().await {
        let page = page(&mut walk, &maker, from.max(1), limit).await;
        if page.is_err() {
            walk = None;
        }
        let _ = reply.send(page.map_err(|failed| failed.error()));
    }
}

async fn page(walk: &mut Option<Walk>, maker: &Maker, from: u64, limit: usize) -> Result<Vec<KeptChange>, Failed> {
    let goes_on = walk.take().filter(|walk| walk.next == from && from <= walk.head);
    let mut current = match goes_on {
        Some(walk) => walk,
        None => Walk::begin(maker, from).await?,
    };
    let changes = current.take(limit).await?;
    if current.next <= current.head {
        *walk = Some(current);
    }
    Ok(changes)
}

/// A fact or list row on its way, with its position.
type Found<T> = (u64, T);

/// A reading of the tables as of one moment, from a position on.
struct Walk {
    session: Session,
    next: u64,
    head: u64,
    facts: Vec<Cursor<(Key, Vec<u8>)>>,
    lists: Cursor<(ListKey, u128)>,
}

/// What a cursor has given and nobody has taken.
struct Cursor<T> {
    name: String,
    read: fn(usize, &Row) -> Result<Found<T>, Failed>,
    table: usize,
    ahead: VecDeque<Found<T>>,
    ended: bool,
}

impl Walk {
    async fn begin(maker: &Maker, from: u64) -> Result<Self, Failed> {
        let session = maker.connect().await.map_err(|error| Failed::Database(error.to_string()))?;
        let client = &session.client;
        client
            .batch_execute(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; \
                 SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_sort = on",
            )
            .await?;
        let head = cell::number(&client.query_one("SELECT position FROM gongji.head", &[]).await?, 0)?;
        let mut declared = format!(
            "DECLARE records NO SCROLL CURSOR FOR SELECT position, at, content_hash, link, bytes FROM gongji.record \
             WHERE position >= {from} ORDER BY position; \
             DECLARE lists NO SCROLL CURSOR FOR SELECT position, kind, of, subject FROM gongji.list \
             WHERE position >= {from} ORDER BY position;"
        );
        let mut facts = Vec::with_capacity(TABLES.len());
        for (place, table) in TABLES.iter().enumerate() {
            let key: Vec<String> = table.key.iter().map(|(name, _)| format!("t.{name}")).collect();
            let (name, join) = match place {
                STANDING => ("m.masked_name", "LEFT JOIN gongji_person.masked_name m ON m.member = t.member"),
                _ => ("NULL::text", ""),
            };
            declared.push_str(&format!(
                " DECLARE facts_{place} NO SCROLL CURSOR FOR SELECT t.version, t.body, {name}, {} FROM {} t {join} \
                 WHERE t.version >= {from} ORDER BY t.version;",
                key.join(", "),
                table.name
            ));
            facts.push(Cursor::new(format!("facts_{place}"), fact, place));
        }
        client.batch_execute(&declared).await?;
        Ok(Self { next: from, head, facts, lists: Cursor::new("lists".to_owned(), list_row, 0), session })
    }

    async fn take(&mut self, limit: usize) -> Result<Vec<KeptChange>, Failed> {
        let left = usize::try_from((self.head + 1).saturating_sub(self.next)).unwrap_or(usize::MAX);
        let count = left.min(limit);
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = self.session.client.query(&format!("FETCH FORWARD {count} FROM records"), &[]).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            changes.push(KeptChange { record: record(row)?, facts: Vec::new(), lists: Vec::new() });
        }
        let first = self.next;
        self.next = first + changes.len() as u64;
        let place = |position: u64| position.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        for cursor in &mut self.facts {
            while let Some((version, fact)) = cursor.before(self.next, &self.session).await? {
                let change = place(version).and_then(|place| changes.get_mut(place)).ok_or(Failed::Shape)?;
                change.facts.push(fact);
            }
        }
        while let Some((position, row)) = self.lists.before(self.next, &self.session).await? {
            let change = place(position).and_then(|place| changes.get_mut(place)).ok_or(Failed::Shape)?;
            change.lists.push(row);
        }
        Ok(changes)
    }
}

impl<T> Cursor<T> {
    fn new(name: String, read: fn(usize, &Row) -> Result<Found<T>, Failed>, table: usize) -> Self {
        Self { name, read, table, ahead: VecDeque::new(), ended: false }
    }

    /// The next one that lies before a position.
    async fn before(&mut self, end: u64, session: &Session) -> Result<Option<Found<T>>, Failed> {
        if self.ahead.is_empty() && !self.ended {
            let rows = session.client.query(&format!("FETCH FORWARD {FETCH} FROM {}", self.name), &[]).await?;
            self.ended = rows.len() < FETCH;
            for row in &rows {
                self.ahead.push_back((self.read)(self.table, row)?);
            }
        }
        Ok(self.ahead.pop_front_if(|(position, _)| *position < end))
    }
}

fn record(row: &Row) -> Result<StoredRecord, Unreadable> {
    Ok(StoredRecord {
        position: cell::number(row, 0)?,
        at: cell::moment(row, 1)?,
        content_hash: cell::digest(row, 2)?,
        link: cell::digest(row, 3)?,
        bytes: cell::bytes(row, 4)?.to_vec(),
    })
}

fn list_row(_: usize, row: &Row) -> Result<Found<(ListKey, u128)>, Failed> {
    let code = u8::try_from(cell::small(row, 1)?).map_err(|_| Failed::Shape)?;
    let kind = ListKind::from_code(code).ok_or(Failed::Shape)?;
    Ok((cell::number(row, 0)?, (ListKey { kind, of: cell::uuid(row, 2)?.to_be_bytes() }, cell::uuid(row, 3)?)))
}

fn fact(table: usize, row: &Row) -> Result<Found<(Key, Vec<u8>)>, Failed> {
    let body = cell::bytes(row, 1)?;
    let bytes = match table {
        STANDING => {
            let whole = cells::entity(body, cell::text(row, 2)?).map_err(|_| Failed::Shape)?;
            encode_entity(&whole)
        }
        _ => body.to_vec(),
    };
    Ok((cell::number(row, 0)?, (key_of(table, row, 3)?, bytes)))
}

/// A change as whoever made it first would have asked for it, to be applied behind the same head or not at all.
fn again(change: KeptChange, head: Head) -> Result<Pending, TakeError> {
    let KeptChange { record, facts, lists } = change;
    let read = |(key, bytes): (Key, Vec<u8>)| Ok((key, decode_entity(&bytes).map_err(StoreError::from)?));
    let puts = facts.into_iter().map(read).collect::<Result<_, TakeError>>()?;
    let (bytes, content_hash) = (record.bytes, record.content_hash);
    let asked = Change { began_at: 0, expects: Vec::new(), puts, record: bytes, content_hash, lists, before: None };
    Ok(Pending { follows: Some(head), ..Pending::new(asked, record.at) })
}

impl PostgresStore {
    async fn take_in(&self, changes: Vec<KeptChange>) -> Result<(), TakeError> {
        let heads = heads(self.head().await?, &changes)?;
        let ready = changes.into_iter().zip(&heads).map(|(change, head)| again(change, *head));
        let ready = ready.collect::<Result<Vec<Pending>, _>>()?;
        let verdicts = queue(&self.entries, ready).await;
        for (verdict, head) in verdicts.into_iter().zip(heads) {
            match verdict {
                Ok(_) => {}
                // Somebody else wrote meanwhile.
                Err(CommitError::Conflict | CommitError::Duplicate) => {
                    return Err(TakeError::DoesNotFollow(head.position));
                }
                Err(CommitError::NotApplied(error)) => return Err(error.into()),
                Err(CommitError::Unknown(_)) => return Err(StoreError::Unavailable.into()),
            }
        }
        Ok(())
    }

    async fn handed_out(&self, from: u64, limit: usize) -> Result<Vec<KeptChange>, StoreError> {
        // Says so when it is closed.
        self.head().await?;
        let (reply, answer) = oneshot::channel();
        self.walks.send(Ask { from, limit, reply }).map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Portable for PostgresStore {
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        Box::pin(self.handed_out(from, limit))
    }

    fn take(&self, changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>> {
        Box::pin(self.take_in(changes))
    }
}
