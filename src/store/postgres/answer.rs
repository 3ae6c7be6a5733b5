//! Asks the database for what a batch of jobs wants, in as few round trips as there are kinds of them.

use futures_util::future::join_all;

use super::cell::{self, Cell, Unreadable};
use super::facts::{Look, look};
use super::looks::Job;
use super::names::Names;
use super::session::{Session, told};
use crate::domain::time::Moment;
use crate::store::codec::DecodeError;
use crate::store::{Facts, Head, ListRow, StoreError, StoredRecord};

const HEAD: &str = "SELECT position, link, at FROM gongji.head";
const BEAT: &str = "SELECT clock_timestamp(), (SELECT max(serves) FROM gongji.migration)";
const RECORDS: &str =
    "SELECT position, at, content_hash, link, bytes FROM gongji.record WHERE position >= $1 ORDER BY position LIMIT $2";
const LIST: &str = "SELECT position, subject FROM gongji.list WHERE kind = $1 AND of = $2 AND position > $3 AND position <= $4 \
                    ORDER BY position LIMIT $5";

/// What whoever serves asks for regularly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    /// The database's clock.
    pub at: Moment,
    /// The oldest schema whose programs may serve it.
    pub serves: i32,
}

/// What came of a job.
pub(super) enum Answer {
    Looked(Facts),
    Head(Head),
    Beat(Beat),
    Records(Vec<StoredRecord>),
    List(Vec<ListRow>),
}

/// Why there is no answer.
#[derive(Clone)]
pub(super) enum Failed {
    Database(String),
    /// Not what was asked for: another schema.
    Shape,
    /// A fact's bytes.
    Damaged(DecodeError),
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
            Self::Damaged(damage) => StoreError::Corrupt(*damage),
        }
    }
}

/// An answer for each job, in their order. All looks at facts are one.
pub(super) async fn answers(session: &mut Session, batch: &[Job], names: &Names) -> Vec<Result<Answer, Failed>> {
    let mut answers: Vec<Result<Answer, Failed>> = batch.iter().map(|_| Err(Failed::Shape)).collect();
    let (mut lookers, mut looks, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (place, job) in batch.iter().enumerate() {
        match job {
            Job::Look { keys, ahead, .. } => {
                lookers.push(place);
                looks.push(Look { keys, ahead: *ahead });
            }
            Job::Head { .. } | Job::Beat { .. } | Job::Records { .. } | Job::List { .. } => others.push(place),
        }
    }
    if !looks.is_empty() {
        match look(session, &looks, names).await {
            Ok(found) => {
                for (place, facts) in lookers.into_iter().zip(found) {
                    answers[place] = facts.map(Answer::Looked).map_err(Failed::Damaged);
                }
            }
            Err(failed) => lookers.into_iter().for_each(|place| answers[place] = Err(failed.clone())),
        }
    }
    for sql in others.iter().filter_map(|place| statement(&batch[*place])) {
        if let Err(error) = session.prepared(&sql.into()).await {
            let failed = Failed::from(error);
            others.into_iter().for_each(|place| answers[place] = Err(failed.clone()));
            return answers;
        }
    }
    let asked = others.iter().map(|place| ask(session, &batch[*place]));
    for (place, answer) in others.iter().zip(join_all(asked).await) {
        answers[*place] = answer;
    }
    answers
}

/// What a job asks by itself.
fn statement(job: &Job) -> Option<&'static str> {
    match job {
        Job::Look { .. } => None,
        Job::Head { .. } => Some(HEAD),
        Job::Beat { .. } => Some(BEAT),
        Job::Records { .. } => Some(RECORDS),
        Job::List { .. } => Some(LIST),
    }
}

async fn ask(session: &Session, job: &Job) -> Result<Answer, Failed> {
    let client = &session.client;
    let Some(statement) = statement(job).and_then(|sql| session.known(sql)) else { return Err(Failed::Shape) };
    Ok(match job {
        Job::Look { .. } => return Err(Failed::Shape),
        Job::Head { .. } => {
            let row = client.query_one(statement, &[]).await?;
            let (position, link) = (cell::number(&row, 0)?, cell::digest(&row, 1)?);
            Answer::Head(Head { position, link, at: cell::moment(&row, 2)? })
        }
        Job::Beat { .. } => {
            let row = client.query_one(statement, &[]).await?;
            Answer::Beat(Beat { at: cell::moment(&row, 0)?, serves: row.try_get(1)? })
        }
        Job::Records { from, limit, .. } => {
            let (from, limit) = (Cell::big(*from), Cell::big(*limit as u64));
            let rows = client.query(statement, &[&from, &limit]).await?;
            let read = |row| -> Result<StoredRecord, Failed> {
                Ok(StoredRecord {
                    position: cell::number(row, 0)?,
                    at: cell::moment(row, 1)?,
                    content_hash: cell::digest(row, 2)?,
                    link: cell::digest(row, 3)?,
                    bytes: cell::bytes(row, 4)?.to_vec(),
                })
            };
            Answer::Records(rows.iter().map(read).collect::<Result<_, _>>()?)
        }
        Job::List { key, after, until, limit, .. } => {
            let of = [Cell::small(key.kind as u8), Cell::Uuid(u128::from_be_bytes(key.of))];
            let bounds = [*after, *until, *limit as u64].map(Cell::big);
            let rows = client.query(statement, &[&of[0], &of[1], &bounds[0], &bounds[1], &bounds[2]]).await?;
            let read = |row| -> Result<ListRow, Failed> {
                Ok(ListRow { position: cell::number(row, 0)?, subject: cell::uuid(row, 1)? })
            };
            Answer::List(rows.iter().map(read).collect::<Result<_, _>>()?)
        }
    })
}
