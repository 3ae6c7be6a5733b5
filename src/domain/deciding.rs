//! Which policy values a refusal is about.

use super::policy::Param;
use super::reason::Reason;
use super::rule::Rule;

/// What a rule that both sides have to allow rests on in the beneficiary's region, whose tiers are nothing to the owner.
pub(super) fn params_of_beneficiary(rule: Rule) -> &'static [Param] {
    if rule == Rule::OwnerInsurance { &[Param::OwnerStates] } else { rule.params() }
}

/// The deciding value first; none where the reason rests on no value.
pub(super) fn params_of_reason(reason: Reason) -> &'static [Param] {
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
