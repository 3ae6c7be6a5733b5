//! Bounds of the ledger's own.

use super::policies::RefusedGrades;

/// Each is a config field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often a change is decided anew after losing a race.
    pub retries: u32,
    /// How old a visit or filing may be, in days.
    pub max_backdate_days: u32,
    /// Active ties of one person, as owner or as beneficiary.
    pub bindings_per_member: u32,
    /// How long a quote's token holds, in seconds.
    pub quote_seconds: u32,
    /// How long money may be held, in seconds.
    pub hold_seconds: u32,
    /// Open holds of one person, as patient or as payer.
    pub holds_per_member: u32,
    /// Refunds of one settlement; one that returns all that is left is taken past it too.
    pub refunds_per_settlement: u32,
    /// Grades of policy values that are not decided on.
    pub refused_grades: RefusedGrades,
}
