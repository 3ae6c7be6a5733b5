//! The arithmetic of a step as text.

use crate::domain::money::Money;
use crate::domain::rule::{Input, Outcome, Rule, Step, Trace};

/// The arithmetic as text, in fen, so that a person with a pocket calculator gets the same figure.
pub fn of(step: &Step, trace: &Trace) -> String {
    let Outcome::Amount(result) = step.outcome else {
        return String::new();
    };
    let input = |wanted: Input| {
        step.inputs.iter().find(|(input, _)| *input == wanted).map_or(Money::ZERO, |(_, amount)| *amount)
    };
    let minus = |first: Input, rest: &[Input]| {
        let rest: Vec<String> = rest.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("{} − {}", input(first), rest.join(" − "))
    };
    let min = |of: &[Input]| {
        let of: Vec<String> = of.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("min({})", of.join(", "))
    };
    let left = if let Some(rounded) = step.rounded {
        if step.rule == Rule::FundBand {
            format!("({}) ÷ {}", minus(Input::Limit, &[Input::FundPaidThisYear]), rounded.rate)
        } else {
            format!("{} × {}", rounded.of, rounded.rate)
        }
    } else {
        match step.rule {
            Rule::FundTotal | Rule::MutualAidTotal => {
                let parts: &[Rule] =
                    if step.rule == Rule::FundTotal { &[Rule::FundShare] } else { &[Rule::OwnerDraw, Rule::QuotaDraw] };
                let Some(sum) = sum_of(trace, parts, result) else { return String::new() };
                sum
            }
            Rule::InScope => minus(Input::Total, &[Input::FullSelfPay, Input::OverLimit, Input::FirstSelfPay]),
            Rule::Deductible => min(&[Input::InScope, Input::DeductibleLeft]),
            Rule::PriceCap => minus(Input::Amount, &[Input::PriceCap]),
            Rule::AidLimit => return String::new(),
            Rule::FundYearCap => min(&[Input::Fund, Input::CapLeft]),
            Rule::PersonPart => minus(Input::Total, &[Input::Fund, Input::HospitalPart]),
            Rule::Adjudicated => minus(Input::Total, &[Input::HospitalPart, Input::PersonPart]),
            Rule::OwnDraw => min(&[Input::Payable, Input::OwnBalance]),
            Rule::OwnerUsable | Rule::UsableByRelatives => {
                format!("min({}, max(0, {}))", input(Input::Drawable), minus(Input::Balance, &[Input::Floor]))
            }
            Rule::OwnerDraw | Rule::QuotaDraw if step.inputs.len() > 2 => {
                min(&[Input::StillToPay, Input::Usable, Input::CapLeft])
            }
            Rule::OwnerDraw | Rule::QuotaDraw => min(&[Input::StillToPay, Input::Usable]),
            Rule::Cash => minus(Input::PersonPart, &[Input::OwnAccount, Input::MutualAid]),
            Rule::HoldCash => {
                format!("{} + {} − {}", input(Input::Cash), input(Input::Held), input(Input::Accounts))
            }
            Rule::RefundOther => {
                format!("{} + {} + {}", input(Input::Fund), input(Input::HospitalPart), input(Input::Cash))
            }
            Rule::InterestTotal if step.inputs.len() > 1 => {
                format!("{} + {}", input(Input::InterestCurrent), input(Input::InterestPrior))
            }
            Rule::FullSelfPay
            | Rule::OverLimit
            | Rule::FirstSelfPay
            | Rule::FirstSelfPayGiven
            | Rule::FundShare
            | Rule::FundBand
            | Rule::GrantsOffered
            | Rule::OwnPayable
            | Rule::OwnAccountOrder
            | Rule::RelativesPayable
            | Rule::OwnerOrder
            | Rule::Excluded
            | Rule::TwoPersons
            | Rule::RelationAllowed
            | Rule::ModeBetween
            | Rule::OwnerInsurance
            | Rule::BeneficiaryInsurance
            | Rule::ChannelOffered
            | Rule::EvidenceComplete
            | Rule::NotBoundYet
            | Rule::MembersPerOwner
            | Rule::OwnersPerMember
            | Rule::PurposeAllowed
            | Rule::Transfer
            | Rule::RefundAccounts
            | Rule::CrossProvince
            | Rule::BindingsPerMember
            | Rule::FamilySize
            | Rule::OneFamilyPerPerson
            | Rule::CardActive
            | Rule::MinorEvidence
            | Rule::Verification
            | Rule::EffectiveDay
            | Rule::ReleaseOffered
            | Rule::CardActivation
            | Rule::WalletsOpen
            | Rule::WalletHours
            | Rule::WalletPerDay
            | Rule::WalletPerTransfer
            | Rule::WalletTransfer
            | Rule::WalletClaim
            | Rule::QuotaBetween
            | Rule::QuotaEvidence
            | Rule::QuotaLimit
            | Rule::QuotaSet
            | Rule::HoldTaken
            | Rule::RefundReversed
            | Rule::YearEnded
            | Rule::InterestCurrent
            | Rule::InterestPrior
            | Rule::InterestTotal
            | Rule::OwnExcluded
            | Rule::InsuranceReleases
            | Rule::WalletPayable => return String::new(),
        }
    };
    format!("{left} = {result}")
}

/// The amounts of other steps where they make this one; a yearly cap that cut them has a step of its own.
fn sum_of(trace: &Trace, rules: &[Rule], result: Money) -> Option<String> {
    let mut parts = Vec::new();
    for step in trace.steps.iter().filter(|step| rules.contains(&step.rule)) {
        let Outcome::Amount(amount) = step.outcome else { return None };
        parts.push(amount);
    }
    let is_it = !parts.is_empty() && parts.iter().copied().sum::<Money>() == result;
    is_it.then(|| parts.iter().map(Money::to_string).collect::<Vec<String>>().join(" + "))
}
