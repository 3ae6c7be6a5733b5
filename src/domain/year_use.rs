//! What a person has used of a pool's fund (年度累计): counted for each calendar year of visits, pool and kind of care, so that a
//! hospital stay moves no outpatient value and another pool's fund none of this one's.
//!
//! Which kinds of care count together is the policy's to say: a value names its purposes, and what was used for them is summed.

use super::ids::RegionCode;
use super::money::Money;
use super::vocabulary::Purpose;

/// What is counted on its own, in the order in which a standing keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UseOf {
    /// Of the visits.
    pub year: i16,
    /// Where the person was insured.
    pub region: RegionCode,
    pub purpose: Purpose,
}

/// Yearly deductible paid, and what the fund paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct YearUse {
    pub deductible: Money,
    pub fund: Money,
}

/// What was used for these purposes; none named: for all that is in the rows.
pub fn used_for(rows: &[(UseOf, YearUse)], purposes: &[Purpose]) -> YearUse {
    let counts = |of: &UseOf| purposes.is_empty() || purposes.contains(&of.purpose);
    rows.iter().filter(|(of, _)| counts(of)).fold(YearUse::default(), |sum, (_, used)| YearUse {
        deductible: sum.deductible + used.deductible,
        fund: sum.fund + used.fund,
    })
}
