//! What is kept of a call while it is decided, perhaps more than once.

use std::sync::Arc;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::{Done, Fresh};
use crate::domain::ids::SettlementId;
use crate::store::entity::Request;
use crate::store::{Committed, StoredRecord};

/// One call, across its attempts.
pub(super) struct Asked<'a> {
    pub content: Arc<Request>,
    pub fields: Fingerprint<'a>,
    pub fresh: Fresh,
    /// Somebody else did something under the request id meanwhile.
    pub taken: bool,
    /// Commits that had no verdict: where and when each would stand, and its content. From then on only what stands under the
    /// request id, or a commit that does not collide with it, tells what became of them: a refusal may have been read too early.
    pub unanswered: Vec<(Option<Committed>, [u8; 32])>,
}

impl Asked<'_> {
    /// What may be told of a failure.
    pub fn told(&self, failure: Failure) -> Failure {
        if self.unanswered.is_empty() { failure } else { Failure::OutcomeUnknown }
    }

    /// Whether a record is what a commit of this call made. Contents alone do not tell: the same refund sent to two
    /// replicas is the same record, and only one of them made it.
    pub fn did(&self, stored: &StoredRecord) -> bool {
        let stands = Committed { position: stored.position, at: stored.at };
        let is_it = |(perhaps, content): &(Option<Committed>, [u8; 32])| {
            *content == stored.content_hash && perhaps.is_none_or(|perhaps| perhaps == stands)
        };
        self.unanswered.iter().any(is_it)
    }
}

pub(super) enum Attempt<T> {
    Settled(Result<Done<T>, Failure>),
    /// Somebody else was faster: decide anew.
    Lost,
    /// These holds stand in the way.
    RanOut(Vec<SettlementId>),
}
