//! Which policy values a step rests on, and which of them decided.

use super::money::Money;
use super::policy::Param;
use super::reason::Reason;
use super::rule::{Input, Outcome, Rule, Step, Trace};
use super::sharing::Side;

impl Step {
    /// The values it rests on: for a refusal, those its reason is about. What relatives pay rests on everything that lets them
    /// pay; where they pay nothing, nothing let them.
    pub fn params(&self) -> &'static [Param] {
        self.params_of_outcome().unwrap_or_else(|| self.rule.params())
    }

    /// Those of its outcome; none where it rests on those of its rule, as nearly every step does.
    pub fn params_of_outcome(&self) -> Option<&'static [Param]> {
        match self.outcome {
            Outcome::No(reason) if self.rule == Rule::Excluded => Some(params_of_reason(reason)),
            // Not the modes between provinces: a region shares nothing with anybody.
            Outcome::No(reason @ Reason::SharingNotOpen) if self.rule == Rule::CrossProvince => {
                Some(params_of_reason(reason))
            }
            Outcome::Amount(Money::ZERO) if self.rule == Rule::MutualAidTotal => Some(&[Param::RelativeComponents]),
            _ if self.rule == Rule::OwnerInsurance && self.policy == Side::Beneficiary.index() => {
                Some(params_of_beneficiary(self.rule))
            }
            Outcome::No(_) | Outcome::Yes | Outcome::Amount(_) => None,
        }
    }

    /// The values it rests on where the two regions lie in different provinces: a payer whom the rules between provinces leave
    /// out. Which of both it is, is told by the policies and not by the step.
    pub fn params_across(&self) -> Option<&'static [Param]> {
        let of_mode = [Reason::ModeNotDirect, Reason::ModeNotQuota, Reason::RegionNotOpen];
        let is_it = matches!(self.outcome, Outcome::No(reason) if of_mode.contains(&reason));
        (self.rule == Rule::Excluded && is_it).then_some(&[Param::CrossProvinceModes])
    }

    /// The places of the two policies between whose regions it decides, the owner's first; across provinces it rests on their openings too.
    /// Who pays pays for the patient, whose policy is the first; other steps are about the first two.
    pub fn between(&self) -> Option<(usize, usize)> {
        use Rule as R;
        if self.rule == R::QuotaDraw || self.params_across().is_some() {
            return Some((usize::from(self.policy), 0));
        }
        let of_two = [R::ModeBetween, R::CrossProvince, R::QuotaBetween, R::Transfer, R::WalletTransfer];
        of_two.contains(&self.rule).then_some((0, 1))
    }

    /// The value that decided; none where it rests on none. `across`: the two regions lie in different provinces.
    pub fn deciding(&self, across: bool) -> Option<Param> {
        let by_modes = !across && matches!(self.rule, Rule::QuotaDraw | Rule::QuotaBetween);
        let listed = self.params_across().filter(|_| across).unwrap_or_else(|| self.params());
        let bound = self.bound().or(by_modes.then_some(Param::Modes));
        bound.or_else(|| self.refusing(listed)).or_else(|| listed.first().copied())
    }

    /// Of several values that of which a refusal is.
    fn refusing(&self, listed: &[Param]) -> Option<Param> {
        let Outcome::No(reason) = self.outcome else { return None };
        if (self.rule, reason) == (Rule::OwnExcluded, Reason::ComponentNotPayable) {
            return Some(Param::OwnComponents);
        }
        params_of_reason(reason).iter().find(|param| listed.contains(param)).copied()
    }

    /// What kept an amount from being larger.
    fn bound(&self) -> Option<Param> {
        let Outcome::Amount(amount) = self.outcome else {
            // Where nothing lies in the buckets, no floor keeps it.
            let empty = self.rule == Rule::Excluded && self.input(Input::Drawable) == Some(Money::ZERO);
            return empty.then_some(Param::RelativeBuckets);
        };
        let is = |input: Input| self.input(input) == Some(amount);
        if matches!(self.rule, Rule::OwnerUsable | Rule::UsableByRelatives) {
            return (self.input(Input::Drawable) > Some(amount)).then_some(Param::Floor);
        }
        if !(self.draws() || self.rule == Rule::AidLimit) || self.draws() && is(Input::StillToPay) {
            return None;
        }
        let by_floor = self.draws() && is(Input::Usable) && self.input(Input::Floor).is_some();
        let limit = LIMITS.iter().find(|(input, _)| is(*input));
        limit.map(|(_, param)| *param).or(by_floor.then_some(Param::Floor))
    }

    fn draws(&self) -> bool {
        matches!(self.rule, Rule::OwnerDraw | Rule::QuotaDraw)
    }

    /// The binding's own cap, where it bounded what an owner gave: no policy says so.
    fn capped(&self) -> Option<Money> {
        let Outcome::Amount(amount) = self.outcome else { return None };
        let by_bill = self.input(Input::StillToPay) == Some(amount);
        let cap = self.input(Input::CapLeft).filter(|cap| self.draws() && !by_bill && *cap == amount);
        cap.filter(|_| self.bound().is_none())
    }
}

impl Trace {
    /// The binding's own cap, where it bounded what an owner gave. In its first words a trace calls what is left of the region's limits
    /// so, too: then a step of its own says it.
    pub fn capped(&self, step: &Step) -> Option<Money> {
        let cap = step.capped()?;
        let of_limit = |other: &Step| {
            (other.rule, other.subject) == (Rule::AidLimit, step.subject) && other.input(Input::LimitLeft) == Some(cap)
        };
        (!self.steps.iter().any(of_limit)).then_some(cap)
    }
}

/// What a rule that both sides have to allow rests on in the beneficiary's region, whose tiers are nothing to the owner.
pub(super) fn params_of_beneficiary(rule: Rule) -> &'static [Param] {
    if rule == Rule::OwnerInsurance { &[Param::OwnerStates] } else { rule.params() }
}

/// What is left of a limit per beneficiary, and whose limit it is.
const LIMITS: [(Input, Param); 3] = [
    (Input::AidPerSettlementLeft, Param::AidPerSettlement),
    (Input::AidPerDayLeft, Param::AidPerDay),
    (Input::AidPerYearLeft, Param::AidPerYear),
];

/// The deciding value first; none where the reason rests on no value.
fn params_of_reason(reason: Reason) -> &'static [Param] {
    match reason {
        Reason::SharingNotOpen | Reason::ModeNotDirect | Reason::ModeNotTransfer => &[Param::Modes],
        Reason::RelationNotAllowed => &[Param::Relations],
        Reason::BeneficiaryOutOfScope => &[Param::BeneficiaryScope],
        Reason::OwnerTierNotAllowed => &[Param::OwnerTiers],
        Reason::OwnerStateNotAllowed => &[Param::OwnerStates],
        Reason::BeneficiaryStateNotAllowed => &[Param::BeneficiaryStates],
        Reason::BeneficiarySchemeNotAllowed => &[Param::BeneficiarySchemes],
        Reason::FamilyServiceDoesNotSpend | Reason::ChannelNotAvailable | Reason::EvidenceMissing => &[Param::Channels],
        Reason::MembersPerOwnerExceeded => &[Param::MembersPerOwner],
        Reason::OwnersPerMemberExceeded => &[Param::OwnersPerMember],
        Reason::OwnersPerSettlementExceeded => &[Param::OwnersPerSettlement],
        Reason::OwnBalanceNotZero => &[Param::OwnAccountOrder],
        Reason::FamilySizeExceeded => &[Param::FamilySize],
        Reason::AlreadyInAnotherFamily => &[Param::OneFamilyPerPerson],
        Reason::DayLimitReached => &[Param::AidPerDay],
        Reason::YearLimitReached => &[Param::AidPerYear],
        Reason::NothingUsable => &[Param::Floor, Param::RelativeBuckets],
        Reason::PurposeNotAllowed => &[Param::RelativePurposes],
        Reason::GrantNotOffered => &[Param::Channels],
        Reason::UseNotChosen => &[Param::PremiumPurposes, Param::Channels],
        Reason::PurposeProhibited => &[Param::ProhibitedPurposes],
        Reason::ComponentNotPayable => &[Param::RelativeComponents],
        Reason::PaperAuthorisationNotAllowed => &[Param::PaperAuthorisation],
        Reason::PaperNotRegularised => &[Param::PaperRegulariseDays],
        Reason::FamilyCodeIsNotSharing | Reason::CardNotActive | Reason::StepSkipped | Reason::BindingNotVerified => {
            &[Param::Channels]
        }
        Reason::OwnerWalletNotOpen | Reason::BeneficiaryWalletNotOpen | Reason::WalletNotOffered => {
            &[Param::WalletSources]
        }
        Reason::WalletClosedHours => &[Param::WalletClosedHours],
        Reason::TransfersPerDayReached => &[Param::WalletTransfersPerDay],
        Reason::TransferTooLarge => &[Param::WalletTransferMax],
        Reason::TransferReturned => &[Param::WalletReturnTime],
        Reason::ModeNotQuota => &[Param::CrossProvinceModes, Param::Modes],
        Reason::QuotaTooLarge => &[Param::QuotaMax],
        Reason::OrderNotForUser => &[Param::OwnerOrder],
        Reason::NotTheIssuingBank => &[Param::CardActivation],
        Reason::RegionNotOpen
        | Reason::SamePerson
        | Reason::OwnerNotEmployee
        | Reason::OwnerWithoutAccount
        | Reason::BeneficiaryNotInsured
        | Reason::YearsNotEnough
        | Reason::AgeNotReached
        | Reason::AgeReached
        | Reason::PaymentInterrupted
        | Reason::WaitingPeriod
        | Reason::ContinuousMonthsNotEnough
        | Reason::InjuryNotRecognised
        | Reason::LeftVoluntarily
        | Reason::NotRegistered
        | Reason::TierWindowClosed
        | Reason::TierChangesUsedUp
        | Reason::TierNotHigher
        | Reason::TierChannelNotOffered
        | Reason::CertificationChannelNotOffered
        | Reason::PreconditionMissing
        | Reason::ProxyNotAllowed
        | Reason::CertificationNotOpen
        | Reason::BindingAlreadyActive
        | Reason::BindingNotActive
        | Reason::BindingNotStarted
        | Reason::BindingEnded
        | Reason::BindingsPerMemberExceeded
        | Reason::CapReached
        | Reason::GradeRefused
        | Reason::NothingLeftToPay
        | Reason::BalanceInsufficient
        | Reason::BalanceTooLarge
        | Reason::RefundExceedsPaid
        | Reason::AlreadyRefunded
        | Reason::HoldConfirmed
        | Reason::HoldReleased
        | Reason::HoldExpired
        | Reason::NotHeld
        | Reason::HoldOpen
        | Reason::ConfirmExceedsHeld
        | Reason::HoldsPerMemberExceeded
        | Reason::RequestFenced
        | Reason::NotReversible
        | Reason::RefundSpent
        | Reason::RefundsPerSettlementExceeded
        | Reason::QuoteStale
        | Reason::QuoteExpired
        | Reason::InsuranceUnchanged
        | Reason::BindingAlreadyVerified
        | Reason::CardAlreadyActive
        | Reason::CardNotOnRecord
        | Reason::WalletAlreadyOpen
        | Reason::TransferAlreadyClaimed
        | Reason::QuotaUsedUp
        | Reason::BindingHasLastDay
        | Reason::QuotaUnchanged
        | Reason::PositionNotReached
        | Reason::YearNotOver
        | Reason::YearNothingToClose
        | Reason::YearCloseRunning
        | Reason::ReconciliationTooLarge
        | Reason::ReconciliationTooDifferent
        | Reason::PositionCompacted
        | Reason::ChainDiffers => &[],
    }
}
