//! Asks the database for what a batch of jobs wants, in as few round trips as there are kinds of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::cell::{self, Cell, Unreadable};
use super::looks::{Found, Job, Looked};
use super::session::{Session, told};
use super::tables::{self, place_of};
use crate::domain::time::Moment;
use crate::store::codec::DecodeError;
use crate::store::{Head, Key, ListRow, StoreError, StoredRecord};

const HEAD: &str = "SELECT position, link, at FROM gongji.head";
const CLOCK: &str = "SELECT clock_timestamp()";
const RECORDS: &str =
    "SELECT position, at, content_hash, link, bytes FROM gongji.record WHERE position >= $1 ORDER BY position LIMIT $2";
const LIST: &str = "SELECT position, subject FROM gongji.list WHERE kind = $1 AND of = $2 AND position > $3 AND position <= $4 \
                    ORDER BY position LIMIT $5";

/// What came of a job.
pub(super) enum Answer {
    Looked(Looked),
    Head(Head),
    Clock(Moment),
    Records(Vec<StoredRecord>),
    List(Vec<ListRow>),
}

/// Why there is no answer.
#[derive(Clone)]
pub(super) enum Failed {
    Database(String),
    Shape,
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(told(&error))
    }
}

impl From<Unreadable> for Failed {
    fn from(_: Unreadable) -> Self {
        Self::Shape
    }
}

impl Failed {
    /// Notes it, and says what may be told.
    pub fn error(&self) -> StoreError {
        match self {
            Self::Database(error) => {
                tracing::warn!(error, "a look at the database failed");
                StoreError::Unavailable
            }
            Self::Shape => StoreError::Corrupt(DecodeError::Value),
        }
    }
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Vec<(usize, Answer)>, Failed>> + Send + 'a>>;

/// An answer for each job, in their order. All looks at facts are one statement.
pub(super) async fn answers(session: &mut Session, batch: &[Job]) -> Vec<Result<Answer, Failed>> {
    match prepare(session, batch).await {
        Err(failed) => batch.iter().map(|_| Err(failed.clone())).collect(),
        Ok(prepared) => ask(&session.client, batch, &prepared).await,
    }
}

/// The statements of a batch, by text.
type Prepared = BTreeMap<Arc<str>, Statement>;

fn looks_of(batch: &[Job]) -> Gathered {
    let mut gathered = Gathered::default();
    for (job, it) in batch.iter().enumerate() {
        let Job::Look { keys, .. } = it else { continue };
        gathered.jobs.push((job, keys.len()));
        for (place, key) in keys.iter().enumerate() {
            gathered.add(job, place, key);
        }
    }
    gathered
}

async fn prepare(session: &mut Session, batch: &[Job]) -> Result<(Gathered, Arc<str>, Prepared), Failed> {
    let gathered = looks_of(batch);
    let kinds: Vec<usize> = gathered.kinds.keys().copied().collect();
    let look: Arc<str> = tables::look(&kinds, true).into();
    let mut prepared = Prepared::new();
    for job in batch {
        let sql: Arc<str> = match job {
            Job::Look { .. } => look.clone(),
            Job::Head { .. } => HEAD.into(),
            Job::Clock { .. } => CLOCK.into(),
            Job::Records { .. } => RECORDS.into(),
            Job::List { .. } => LIST.into(),
        };
        let statement = session.prepared(&sql).await?;
        prepared.insert(sql, statement);
    }
    Ok((gathered, look, prepared))
}

/// The keys of all looks, by kind.
#[derive(Default)]
struct Gathered {
    kinds: BTreeMap<usize, Kind>,
    /// Which jobs look, and at how many facts.
    jobs: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Kind {
    /// The parts of the keys, one array for each column of the natural key.
    columns: Vec<Vec<Cell>>,
    /// Whose each key is: job, and place among the job's.
    whose: Vec<(usize, usize)>,
}

impl Gathered {
    fn add(&mut self, job: usize, place: usize, key: &Key) {
        let (table, cells) = place_of(key);
        let kind = self.kinds.entry(table).or_default();
        kind.columns.resize_with(cells.len(), Vec::new);
        for (column, cell) in kind.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        kind.whose.push((job, place));
    }
}

async fn ask(
    client: &Client,
    batch: &[Job],
    (gathered, look, prepared): &(Gathered, Arc<str>, Prepared),
) -> Vec<Result<Answer, Failed>> {
    let statement = |sql: &str| prepared.get(sql).expect("prepared for this batch");
    let mut asked: Vec<Answering<'_>> = Vec::new();
    if !gathered.jobs.is_empty() {
        asked.push(Box::pin(look_together(client, statement(look), gathered)));
    }
    for (place, job) in batch.iter().enumerate() {
        match job {
            Job::Look { .. } => {}
            Job::Head { .. } => asked.push(Box::pin(async move {
                let row = client.query_one(statement(HEAD), &[]).await?;
                let head =
                    Head { position: cell::number(&row, 0)?, link: cell::digest(&row, 1)?, at: cell::moment(&row, 2)? };
                Ok(vec![(place, Answer::Head(head))])
            })),
            Job::Clock { .. } => asked.push(Box::pin(async move {
                let row = client.query_one(statement(CLOCK), &[]).await?;
                Ok(vec![(place, Answer::Clock(cell::moment(&row, 0)?))])
            })),
            Job::Records { from, limit, .. } => asked.push(Box::pin(async move {
                let (from, limit) = (Cell::big(*from), Cell::big(*limit as u64));
                let rows = client.query(statement(RECORDS), &[&from, &limit]).await?;
                let read = |row| -> Result<StoredRecord, Failed> {
                    Ok(StoredRecord {
                        position: cell::number(row, 0)?,
                        at: cell::moment(row, 1)?,
                        content_hash: cell::digest(row, 2)?,
                        link: cell::digest(row, 3)?,
                        bytes: cell::bytes(row, 4)?.to_vec(),
                    })
                };
                let records = rows.iter().map(read).collect::<Result<_, _>>()?;
                Ok(vec![(place, Answer::Records(records))])
            })),
            Job::List { key, after, until, limit, .. } => asked.push(Box::pin(async move {
                let of = [Cell::small(key.kind as u8), Cell::Uuid(u128::from_be_bytes(key.of))];
                let bounds = [*after, *until, *limit as u64].map(Cell::big);
                let rows = client.query(statement(LIST), &[&of[0], &of[1], &bounds[0], &bounds[1], &bounds[2]]).await?;
                let read = |row| -> Result<ListRow, Failed> {
                    Ok(ListRow { position: cell::number(row, 0)?, subject: cell::uuid(row, 1)? })
                };
                let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
                Ok(vec![(place, Answer::List(rows))])
            })),
        }
    }
    collect(batch, gathered, join_all(asked).await)
}

/// Puts answers in the order of their jobs.
fn collect(
    batch: &[Job],
    gathered: &Gathered,
    asked: Vec<Result<Vec<(usize, Answer)>, Failed>>,
) -> Vec<Result<Answer, Failed>> {
    let mut answers: Vec<Result<Answer, Failed>> = batch.iter().map(|_| Err(Failed::Shape)).collect();
    // The looks were asked first, the others in the order of their jobs.
    let looks = usize::from(!gathered.jobs.is_empty());
    let others: Vec<usize> = (0..batch.len()).filter(|place| !matches!(batch[*place], Job::Look { .. })).collect();
    for (number, outcome) in asked.into_iter().enumerate() {
        match outcome {
            Ok(found) => found.into_iter().for_each(|(place, answer)| answers[place] = Ok(answer)),
            Err(failed) if number < looks => {
                gathered.jobs.iter().for_each(|(place, _)| answers[*place] = Err(failed.clone()));
            }
            Err(failed) => answers[others[number - looks]] = Err(failed),
        }
    }
    answers
}

async fn look_together(
    client: &Client,
    statement: &Statement,
    gathered: &Gathered,
) -> Result<Vec<(usize, Answer)>, Failed> {
    let columns = gathered.kinds.values().flat_map(|kind| &kind.columns);
    let params: Vec<&(dyn ToSql + Sync)> = columns.map(|column| column as &(dyn ToSql + Sync)).collect();
    let rows = client.query(statement, &params).await?;
    let mut facts: BTreeMap<usize, Vec<Found>> =
        gathered.jobs.iter().map(|(job, keys)| (*job, vec![None; *keys])).collect();
    let mut head = None;
    for row in &rows {
        let (kind, ord) = (cell::small(row, 0)?, cell::number(row, 1)?);
        let version = cell::number(row, 2)?;
        let Ok(kind) = usize::try_from(kind) else {
            head = Some(version);
            continue;
        };
        let whose =
            gathered.kinds.get(&kind).and_then(|kind| kind.whose.get(usize::try_from(ord).ok()?.checked_sub(1)?));
        let (job, place) = whose.ok_or(Failed::Shape)?;
        let found = (version, cell::bytes(row, 3)?.to_vec(), cell::text(row, 4)?);
        facts.get_mut(job).and_then(|facts| facts.get_mut(*place)).ok_or(Failed::Shape)?.replace(found);
    }
    let head = head.ok_or(Failed::Shape)?;
    Ok(facts.into_iter().map(|(job, facts)| (job, Answer::Looked(Looked { head, facts }))).collect())
}
