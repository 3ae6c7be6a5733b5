//! Why a call has no ordinary answer. Two families: what the client is told (most of these), and trouble of our own, which
//! is logged with an id and told in general words.

use crate::domain::ids::SettlementId;
use crate::domain::reason::Reason;
use crate::domain::settlement::Amounts;
use crate::store::StoreError;

/// One bad field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, `bill.lines[2].amount_fen`.
    pub field: String,
    /// What is wrong with it, in English, without its value.
    pub description: String,
}

/// The thing an id did not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Region,
    /// A region where a province is asked for.
    Province,
    /// A region that is there, and where nobody is insured.
    Pool,
    Member,
    Account,
    Binding,
    Settlement,
    Transfer,
    YearClose,
}

/// See the module. Ordered as the wire's status codes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Invalid(Vec<Violation>),
    PageTokenInvalid,
    QuoteTokenInvalid,
    NotFound(Thing),
    /// No such region, province or pool, and the field that names it.
    NoRegion {
        thing: Thing,
        field: &'static str,
    },
    /// No such person: which kind of reference named nobody, and the field where a request names several people.
    NobodyThere {
        named_by: &'static str,
        field: String,
    },
    /// The names of the fields that differ.
    RequestIdReused(Vec<String>),
    MemberExists,
    /// A card that is somebody else's.
    NumberExists,
    /// All reasons at once; never empty.
    Refused(Vec<Reason>),
    EvidenceMissing(Vec<String>),
    /// The values whose grade this server refuses: `440300/fund_shares DEMO`.
    GradeRefused(Vec<String>),
    /// The quoted and the present amounts.
    QuoteStale(Box<QuoteDifference>),
    /// The position of the first record that is kept.
    PositionCompacted(u64),
    RevealNotAllowed,
    Contention,
    EtagMismatch,
    StoreFull,
    StoreUnavailable,
    OutcomeUnknown,
    /// No answer yet: these holds have run out and have to be ended before anything rests on what they held. Never leaves
    /// the ledger.
    RanOut(Vec<SettlementId>),
    /// No answer yet: what was to be undone has changed meanwhile. Never leaves the ledger.
    LookAgain,
    /// A broken promise of our own; the text is for the log.
    Bug(&'static str),
}

/// What a quote said and what would be decided now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteDifference {
    pub quoted: crate::ledger::quote::Quoted,
    pub now: Amounts,
}

impl Failure {
    pub fn refused(reason: Reason) -> Self {
        Self::Refused(vec![reason])
    }

    /// The same, of the owner on a paper.
    #[allow(clippy::wildcard_enum_match_arm, reason = "every other failure names no paper")]
    pub fn of_paper(self, place: usize) -> Self {
        match self {
            Self::NobodyThere { named_by, .. } => {
                Self::NobodyThere { named_by, field: format!("paper_authorisations[{place}].owner") }
            }
            other => other,
        }
    }

    /// The bad fields of all, if any is bad.
    pub fn all(judged: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let mut violations = Vec::new();
        for outcome in judged {
            match outcome {
                Ok(()) => {}
                Err(Self::Invalid(bad)) => violations.extend(bad),
                Err(other) => return Err(other),
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(Self::Invalid(violations)) }
    }

    pub fn invalid(field: &str, description: &str) -> Self {
        Self::Invalid(vec![Violation { field: field.to_owned(), description: description.to_owned() }])
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable | StoreError::Closed => Self::StoreUnavailable,
            StoreError::Full => Self::StoreFull,
            StoreError::Corrupt(_) => Self::Bug("stored bytes cannot be read"),
        }
    }
}
