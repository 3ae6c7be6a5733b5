//! A change as a data set keeps it, and the door through which a data set goes from one store into another.

use super::codec::DecodeError;
use super::{Head, Key, ListKey, Store, StoreError, StoreFuture, StoredRecord, chain, record};

/// A change with all that it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptChange {
    pub record: StoredRecord,
    /// The facts it put, as canonical bytes, in no order. One that a later change has put again may be left out.
    pub facts: Vec<(Key, Vec<u8>)>,
    /// The list rows it made, in no order.
    pub lists: Vec<(ListKey, u128)>,
}

/// Why changes were not taken in. None of their list was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    #[error("change {0} does not follow from the one before")]
    DoesNotFollow(u64),
    #[error("a fact of change {0} cannot be read: {1}")]
    Unreadable(u64, DecodeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A store whose data set can be handed on whole. Law 16 of the store contract.
pub trait Portable: Store {
    /// Changes from a position on as they are kept, at most `limit`.
    fn changes(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<KeptChange>, StoreError>>;

    /// Takes in changes of another data set that follow the head, with their positions, times and links as they are. Each is
    /// applied whole and in order; if one of them does not follow or cannot be read, none is. Taken in means seen by every
    /// later load, not yet durable.
    fn take(&self, changes: Vec<KeptChange>) -> StoreFuture<'_, Result<(), TakeError>>;
}

impl KeptChange {
    /// Where the ledger stands behind this change, if it follows and all of it can be read.
    pub fn after(&self, before: &Head) -> Result<Head, TakeError> {
        let record = &self.record;
        let head = before.next(&record.content_hash, record.at);
        let told = Head { position: record.position, link: record.link, at: record.at };
        if head != told || chain::content_hash(&record.bytes) != record.content_hash {
            return Err(TakeError::DoesNotFollow(record.position));
        }
        for (_, bytes) in &self.facts {
            record::decode_entity(bytes).map_err(|cause| TakeError::Unreadable(record.position, cause))?;
        }
        Ok(head)
    }
}

/// Where the ledger stands behind each of these changes.
pub fn heads(before: Head, changes: &[KeptChange]) -> Result<Vec<Head>, TakeError> {
    let mut head = before;
    let next = |change: &KeptChange| {
        head = change.after(&head)?;
        Ok(head)
    };
    changes.iter().map(next).collect()
}
