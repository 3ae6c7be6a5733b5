//! 待遇领取资格认证 as recorded: one person's latest, moved on until it passes or is refused. The rules of due days and channels
//! stand in `calc::certification`.

use jiff::civil::Date;

use super::calc::words::{CertificationChannel, CertificationResult, CertificationState};
use super::ids::{CertificationId, MemberId};

/// The latest certification of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certification {
    pub id: CertificationId,
    pub member: MemberId,
    pub channel: CertificationChannel,
    /// Somebody else does it, such as a child.
    pub by_proxy: bool,
    /// A surviving dependant (供养遗属).
    pub dependant: bool,
    pub state: CertificationState,
    pub began: Date,
    /// None while it is open.
    pub ended: Option<Date>,
    /// The last one that passed, this one included.
    pub last_passed: Option<Date>,
    /// The first day without payment that this one, late, made good: paid afterwards from here.
    pub resumed_from: Option<Date>,
}

impl Certification {
    pub fn is_open(&self) -> bool {
        matches!(self.state, CertificationState::Appointed | CertificationState::Submitted)
    }
}

/// Whether a new certification may begin in a state: a visit by appointment, a review by submitting; only a channel that
/// answers at once ends where it begins.
pub fn may_begin(result: CertificationResult, state: CertificationState) -> bool {
    match state {
        CertificationState::Appointed => result == CertificationResult::Visit,
        CertificationState::Submitted => result != CertificationResult::Visit,
        CertificationState::Passed | CertificationState::Refused => result == CertificationResult::AtOnce,
    }
}

/// Whether an open certification may move on to a state.
pub fn may_move(from: CertificationState, to: CertificationState) -> bool {
    match from {
        CertificationState::Appointed => to != CertificationState::Appointed,
        CertificationState::Submitted => matches!(to, CertificationState::Passed | CertificationState::Refused),
        CertificationState::Passed | CertificationState::Refused => false,
    }
}
