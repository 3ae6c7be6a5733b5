//! Verdicts on a group of changes, in order, each seeing those before it. Pure: what the database holds is a parameter.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::cell::Cell;
use super::cells::{FactRow, posting};
use crate::domain::time::Moment;
use crate::store::codec::DecodeError;
use crate::store::{Change, CommitError, Committed, Head, Key, StoreError, check_expectations, record};

/// Versions of keys; absent ones are left out.
pub(super) type Versions = HashMap<Key, u64, RandomState>;

/// A change, made ready by whoever wants it, so that the one who commits need not.
pub(super) struct Pending {
    pub change: Change,
    pub now: Moment,
    /// Where the ledger must stand with it, for a change that was made elsewhere.
    pub follows: Option<Head>,
    /// What it puts; or why it cannot be written.
    pub facts: Result<Vec<FactRow>, StoreError>,
    pub event: Cell,
    /// Columns of its postings after the position.
    pub postings: Vec<Vec<Cell>>,
    pub bytes: Cell,
    pub content_hash: Cell,
}

impl Pending {
    pub fn new(mut change: Change, now: Moment) -> Self {
        let puts = std::mem::take(&mut change.puts);
        let facts = puts.iter().map(|(key, entity)| FactRow::new(*key, entity)).collect::<Option<Vec<_>>>();
        let facts = facts.ok_or(StoreError::Corrupt(DecodeError::Value));
        // Bytes that this version cannot read are kept like any others; they only have no columns of their own.
        let read = record::decode_record(&change.record).ok();
        let postings = read.iter().flat_map(|record| record.postings.iter().enumerate());
        let postings = postings.map(|(place, it)| posting(place, it)).collect();
        // A record's bytes begin with the format and the event's stored code.
        let event = match (&read, change.record.get(1)) {
            (Some(_), Some(code)) => Cell::small(*code),
            _ => Cell::Null,
        };
        let bytes = Cell::Bytes(std::mem::take(&mut change.record));
        let content_hash = Cell::Bytes(change.content_hash.to_vec());
        Self { change, now, follows: None, facts, event, postings, bytes, content_hash }
    }

    /// The version at which it saw a fact; none: it did not look.
    pub fn expected(&self, key: &Key) -> Option<u64> {
        self.change.expects.iter().find(|(known, _)| known == key).map(|(_, version)| *version)
    }
}

/// A change that holds, by its place in the group.
pub(super) struct Applied {
    pub place: usize,
    pub head: Head,
}

pub(super) struct Judged {
    pub verdicts: Vec<Result<Committed, CommitError>>,
    pub applied: Vec<Applied>,
    pub head: Head,
}

/// `versions` holds what the database has of every key that is expected; absent ones are left out.
pub(super) fn judge(mut head: Head, mut versions: Versions, group: &[&Pending]) -> Judged {
    let mut applied = Vec::with_capacity(group.len());
    let mut verdicts = Vec::with_capacity(group.len());
    for (place, pending) in group.iter().enumerate() {
        let verdict = judge_one(&head, &versions, pending);
        if let Ok((next, facts)) = verdict {
            head = next;
            versions.extend(facts.iter().map(|fact| (fact.key, head.position)));
            applied.push(Applied { place, head });
        }
        verdicts.push(verdict.map(|(head, _)| Committed { position: head.position, at: head.at }));
    }
    Judged { verdicts, applied, head }
}

fn judge_one<'p>(head: &Head, versions: &Versions, pending: &'p Pending) -> Result<(Head, &'p [FactRow]), CommitError> {
    let facts = pending.facts.as_ref().map_err(|error| CommitError::NotApplied(*error))?;
    let change = &pending.change;
    check_expectations(change, |key| versions.get(key).copied().unwrap_or_default())?;
    let next = head.next(&change.content_hash, pending.now);
    let elsewhere = pending.follows.is_some_and(|head| head != next);
    if elsewhere || change.before.is_some_and(|end| next.at >= end) {
        return Err(CommitError::Conflict);
    }
    Ok((next, facts))
}
