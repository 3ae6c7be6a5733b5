//! The store contract: keyed facts with versions, and one conditional commit. Stores know no rules.
//!
//! # Laws
//! Each has named checks in the conformance suite (`tests/suite/store/`), which every store runs whole.
//! 1. **Absence is version 0.** A key never written is found absent with version 0.
//! 2. **A version is the position** of the record of the change that last wrote the fact.
//! 3. **A change is applied whole or not at all**: its record, facts and index rows together.
//! 4. **Every expectation is compared** at commit, in order; the first that does not hold gives `Conflict`, or `Duplicate`
//!    when it is a request's, and the change leaves no trace. What was seen as it still is gives neither, unless the look is
//!    older than what the store remembers: then `Conflict`.
//! 5. **One verdict per change, in order**; a refused change does not hinder the others of its list, and a change sees the
//!    effects of those before it in the list.
//! 6. **Positions are gapless**, in commit order, and start at 1. What began after another was answered stands behind it.
//! 7. **The chain**: each record's link is `Head::next` of the one before; `at` never runs backwards.
//! 8. **A commit is seen at once** by every later load, list and page of records, and never unseen.
//! 9. **Durable means kept**: after `wait_durable(p)` returns, everything up to `p` survives any crash. A position that
//!    nobody has taken yet is waited for.
//! 10. **Lists are in position order**, bounded by both ends, cut at the limit and at nothing else; a list has one row a
//!     position, the last one given.
//! 11. **Bytes come back as written**: records are kept and never re-encoded, and every fact is read back as it was put.
//! 12. **A store that cannot carry on says so** (`StoreError`), for every later call, and never answers from doubt.
//! 13. **A change with an end** (`Change::before`) makes a record whose time lies before it, or is not applied: `Conflict`.
//!     Expectations are compared first.
//! 14. **A look is complete**: one fact for each key asked, in that order. Every change up to `Facts::began_at` is in it, and
//!     none after `Facts::read_at`.
//! 15. **A data set has one secret**, given when it was made and kept as long as the data.
//! 16. **A data set can be handed on** (`kept::Portable`): its changes, taken in by an empty store in their order, make the same
//!     data set, with the same positions, times and links. What does not follow is not taken, nor what comes with it.

pub mod chain;
pub mod codec;
pub mod embedded;
pub mod encoded;
pub mod entity;
mod folding;
mod held;
pub mod kept;
mod listed;
mod measured;
pub mod memory;
pub mod postgres;
mod recent;
pub mod record;
mod small;
mod tables;

use std::future::Future;
use std::pin::Pin;

pub use chain::Head;
pub use entity::{Entity, Key};

use crate::domain::time::Moment;
use crate::domain::wording::Wording;
use crate::metrics::Page;

/// A future that a trait object can return. For stores in this process it is ready at once.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a load found, with the version that a commit will expect.
#[derive(Clone, Debug)]
pub struct Fact {
    pub key: Key,
    /// 0 when absent.
    pub version: u64,
    pub entity: Option<Entity>,
}

/// One look at the named facts, in the order asked. It may be torn between two commits: then an expectation fails.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The head before the first fact was read: a key that has not changed since is as it was found.
    pub began_at: u64,
    /// The head after the last: a reply may leave when this position is durable.
    pub read_at: u64,
    pub facts: Vec<Fact>,
}

/// A list that a query walks: what kind, and of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListKey {
    pub kind: ListKind,
    pub of: [u8; 16],
}

/// The lists there are, with their stored codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListKind {
    /// Records that touched a member's account; leads to the settlements it paid for a relative.
    AccountEntries = 1,
    InstitutionSettlements = 2,
    PatientSettlements = 3,
    ExternalReference = 4,
    OwnerBindings = 5,
    BeneficiaryBindings = 6,
    /// Holds that run out on a civil day.
    HoldsOfDay = 7,
    /// Wallet transfers sent on a civil day.
    TransfersOfDay = 20,
    /// Members that were insured in a region at some time, each when they came.
    RegionMembers = 21,
    /// Closes of regions' years that were begun.
    YearCloses = 22,
    /// Where an institution's settlements changed after they were made; leads to the settlement.
    InstitutionChanges = 25,
    /// The regions a member was insured in: a row per record that says so, leading to the region's number.
    MemberRegions = 30,
}

impl ListKind {
    pub const ALL: [Self; 12] = [
        Self::AccountEntries,
        Self::InstitutionSettlements,
        Self::PatientSettlements,
        Self::ExternalReference,
        Self::OwnerBindings,
        Self::BeneficiaryBindings,
        Self::HoldsOfDay,
        Self::TransfersOfDay,
        Self::RegionMembers,
        Self::YearCloses,
        Self::InstitutionChanges,
        Self::MemberRegions,
    ];

    /// The kind with this stored code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// A row of a list: where it stands, and the id it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRow {
    pub position: u64,
    pub subject: u128,
}

/// One change, ready to be made true or refused.
#[derive(Clone, Debug)]
pub struct Change {
    /// The smallest `Facts::began_at` of the looks it rests on. A store that remembers which keys changed lately compares
    /// expectations with that memory alone; one whose memory is shorter answers `Conflict`.
    pub began_at: u64,
    /// All the facts its decision saw, read-only and absent ones too.
    pub expects: Vec<(Key, u64)>,
    pub puts: Vec<(Key, Entity)>,
    /// Canonical bytes of the ledger record and their hash.
    pub record: Vec<u8>,
    pub content_hash: [u8; 32],
    pub lists: Vec<(ListKey, u128)>,
    /// The record's time must be before this instant; none: any time will do.
    pub before: Option<Moment>,
}

/// A change that was made true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub position: u64,
    pub at: Moment,
}

/// Why a change was not made true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A fact it saw has changed.
    #[error("a fact changed meanwhile")]
    Conflict,
    /// Its request id has had its effect.
    #[error("the request id is taken")]
    Duplicate,
    /// Certainly not applied.
    #[error("not applied: {0}")]
    NotApplied(StoreError),
    /// Perhaps applied: only committing again under the same request id tells. With where and when it stands if it is, as
    /// far as the store came to that: another process may make an equal change at another place.
    #[error("the outcome is not known")]
    Unknown(Option<Committed>),
}

/// A ledger record as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    pub position: u64,
    pub at: Moment,
    pub content_hash: [u8; 32],
    pub link: [u8; 32],
    pub bytes: Vec<u8>,
}

/// The store itself is in trouble. Never told to a client in these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store cannot be reached or written")]
    Unavailable,
    #[error("the store has reached its configured size")]
    Full,
    #[error("stored bytes cannot be read: {0}")]
    Corrupt(#[from] codec::DecodeError),
    #[error("the store is closed")]
    Closed,
}

/// Keyed facts and an append-only ledger. See the module's laws.
pub trait Store: Send + Sync + 'static {
    /// `memory`, `embedded`, …
    fn kind(&self) -> &'static str;

    /// The data set's secret, made with it: keys the hashes of request ids, numbers and fingerprints.
    fn secret(&self) -> [u8; 32];

    /// A look at the named facts.
    fn load<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>>;

    /// As `load`, and behind the facts asked for, in the same look, those they lead to and that are asked for next: of a
    /// reference the standing of its member, of a standing the standings of those who may pay. It spares round trips and means
    /// nothing else: a store whose looks cost none leaves them out.
    fn load_ahead<'a>(&'a self, keys: &'a [Key]) -> StoreFuture<'a, Result<Facts, StoreError>> {
        self.load(keys)
    }

    /// Applies each change whole, or not at all. Applied means seen by every later load, not yet durable.
    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>>;

    /// Returns when everything up to `position` survives any crash, which may be long after: it is how one waits for the
    /// next record.
    fn wait_durable(&self, position: u64) -> StoreFuture<'_, Result<(), StoreError>>;

    /// Where the ledger stands, durable or not yet.
    fn head(&self) -> StoreFuture<'_, Result<Head, StoreError>>;

    /// What the store's own clock says, where it has one apart from this process': whoever serves compares the two.
    fn clock(&self) -> StoreFuture<'_, Result<Option<Moment>, StoreError>>;

    /// In which words explanations may be kept: those that all who serve the data set can read.
    fn wording(&self) -> Wording {
        Wording::Full
    }

    /// Records from a position on, at most `limit`.
    fn records(&self, from: u64, limit: usize) -> StoreFuture<'_, Result<Vec<StoredRecord>, StoreError>>;

    /// Rows of a list with `after < position <= until`, at most `limit`.
    fn list(
        &self,
        key: ListKey,
        after: u64,
        until: u64,
        limit: usize,
    ) -> StoreFuture<'_, Result<Vec<ListRow>, StoreError>>;

    /// Whether its oldest records may have been taken out into an archive. Where they may not, one that is not there is lost.
    fn archives(&self) -> bool {
        false
    }

    /// The door through which the whole data set goes to another store, or comes from one.
    fn portable(&self) -> Option<&dyn kept::Portable> {
        None
    }

    /// Writes down what it has counted. Asks nobody and waits for nothing, whatever state it is in.
    fn measure(&self, _: &mut Page) {}

    /// Makes everything durable and ends; later calls fail with `Closed`.
    fn close(&self) -> StoreFuture<'_, Result<(), StoreError>>;
}

/// Whether every expectation of a change holds; the version of each key is looked up by `version_of`.
pub fn check_expectations(change: &Change, mut version_of: impl FnMut(&Key) -> u64) -> Result<(), CommitError> {
    for (key, version) in &change.expects {
        if version_of(key) != *version {
            let taken = matches!(key, Key::Request(_));
            return Err(if taken { CommitError::Duplicate } else { CommitError::Conflict });
        }
    }
    Ok(())
}
