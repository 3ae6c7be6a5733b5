//! What is kept of a call while it is decided, perhaps more than once.

use std::sync::Arc;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::{Done, Fresh};
use crate::domain::ids::SettlementId;
use crate::store::entity::Request;

/// One call, across its attempts.
pub(super) struct Asked<'a> {
    pub content: Arc<Request>,
    pub fields: Fingerprint<'a>,
    pub fresh: Fresh,
    /// Somebody else did something under the request id meanwhile.
    pub taken: bool,
    /// Contents of commits that had no verdict. From then on only what stands under the request id, or a commit that does
    /// not collide with it, tells what became of them: a refusal may have been read too early.
    pub unanswered: Vec<[u8; 32]>,
}

impl Asked<'_> {
    /// What may be told of a failure.
    pub fn told(&self, failure: Failure) -> Failure {
        if self.unanswered.is_empty() { failure } else { Failure::OutcomeUnknown }
    }
}

pub(super) enum Attempt<T> {
    Settled(Result<Done<T>, Failure>),
    /// Somebody else was faster: decide anew.
    Lost,
    /// These holds stand in the way.
    RanOut(Vec<SettlementId>),
}
