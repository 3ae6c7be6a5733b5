//! `gongji copy`: a whole data set goes from one store to another, change by change, with its positions, times and links as
//! they are. Broken off, the same line goes on where it was. It has succeeded when the target was read again and compared,
//! and its balances folded anew.

mod command;

pub use command::{Options, run};

use crate::store::kept::{KeptChange, Portable, TakeError};
use crate::store::{Head, Key, StoreError};

/// Changes that go over at a time; between two such pages others have the disk.
const PAGE: usize = 256;
/// Pages between two waits for the target's disk.
const PAGES_UNSYNCED: u64 = 16;

/// Why a data set was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the source cannot be read: {0}")]
    Source(StoreError),
    #[error("the target cannot be written: {0}")]
    Target(StoreError),
    #[error("the target holds another data set: its change {0} is not the source's")]
    OtherContent(u64),
    #[error("the target was made for another data set, with a secret of its own")]
    OtherSecret,
    #[error("the source is damaged: {0}")]
    Damaged(TakeError),
    #[error("the source is damaged: change {0} is missing")]
    Missing(u64),
    #[error("the source was written to while it was copied; run the same line again, it goes on")]
    Moved,
    #[error("what was read again from the target is not what was written: change {0}")]
    Differs(u64),
    #[error("the balances of the copy are not what its postings sum to: {0}")]
    Balances(String),
    #[error("{0}")]
    Other(String),
}

/// Copies what the target does not have yet; tells changes as they go over, and how many there are.
pub async fn copy(from: &dyn Portable, to: &dyn Portable, mut told: impl FnMut(u64, u64)) -> Result<Head, CopyError> {
    if from.secret() != to.secret() {
        return Err(CopyError::OtherSecret);
    }
    let end = from.head().await.map_err(CopyError::Source)?;
    let there = to.head().await.map_err(CopyError::Target)?;
    begins_alike(from, there).await?;
    let (mut next, mut pages) = (there.position + 1, 0_u64);
    while next <= end.position {
        let changes = page(from, next, end.position).await?;
        next += changes.len() as u64;
        to.take(changes).await.map_err(|error| match error {
            TakeError::Store(error) => CopyError::Target(error),
            TakeError::DoesNotFollow(_) | TakeError::Unreadable(..) => CopyError::Damaged(error),
        })?;
        pages += 1;
        if pages.is_multiple_of(PAGES_UNSYNCED) {
            to.wait_durable(next - 1).await.map_err(CopyError::Target)?;
        }
        told(next - 1, end.position);
    }
    to.wait_durable(end.position).await.map_err(CopyError::Target)?;
    Ok(end)
}

/// Refuses a target whose changes are not the first of the source's; one link stands for all before it.
async fn begins_alike(from: &dyn Portable, there: Head) -> Result<(), CopyError> {
    if there.position == 0 {
        return Ok(());
    }
    let ours = from.records(there.position, 1).await.map_err(CopyError::Source)?;
    let same = ours.first().is_some_and(|record| (record.position, record.link) == (there.position, there.link));
    if same { Ok(()) } else { Err(CopyError::OtherContent(there.position)) }
}

/// The next changes of the source, gapless.
async fn page(from: &dyn Portable, next: u64, end: u64) -> Result<Vec<KeptChange>, CopyError> {
    let most = usize::try_from(end + 1 - next).unwrap_or(PAGE).min(PAGE);
    let changes = from.changes(next, most).await.map_err(CopyError::Source)?;
    match changes.first() {
        Some(first) if first.record.position == next => Ok(changes),
        Some(_) | None => Err(CopyError::Missing(next)),
    }
}

/// Reads both again and compares them: every record, every list row, and every fact as it stands at the end.
pub async fn compare(from: &dyn Portable, to: &dyn Portable, mut told: impl FnMut(u64, u64)) -> Result<(), CopyError> {
    let end = from.head().await.map_err(CopyError::Source)?;
    if to.head().await.map_err(CopyError::Target)? != end {
        return Err(CopyError::Moved);
    }
    let mut next = 1;
    while next <= end.position {
        let ours = page(from, next, end.position).await?;
        let theirs = to.changes(next, ours.len()).await.map_err(CopyError::Target)?;
        if theirs.len() != ours.len() {
            return Err(CopyError::Differs(next + theirs.len() as u64));
        }
        for (one, other) in ours.into_iter().zip(theirs) {
            if !same(to, one, other).await.map_err(CopyError::Target)? {
                return Err(CopyError::Differs(next));
            }
            next += 1;
        }
        told(next - 1, end.position);
    }
    Ok(())
}

/// Whether a change reads the same in the target. A fact that either has left out must have been put again later.
async fn same(to: &dyn Portable, mut one: KeptChange, mut other: KeptChange) -> Result<bool, StoreError> {
    for change in [&mut one, &mut other] {
        change.facts.sort_unstable();
        change.lists.sort_unstable();
    }
    if (&one.record, &one.lists) != (&other.record, &other.lists) {
        return Ok(false);
    }
    if one.facts == other.facts {
        return Ok(true);
    }
    let missing = |of: &[(Key, Vec<u8>)], from: &[(Key, Vec<u8>)]| -> Vec<Key> {
        of.iter().filter(|fact| from.binary_search(fact).is_err()).map(|(key, _)| *key).collect()
    };
    let keys = [missing(&one.facts, &other.facts), missing(&other.facts, &one.facts)].concat();
    let facts = to.load(&keys).await?.facts;
    Ok(facts.iter().all(|fact| fact.version > one.record.position))
}
