//! The arithmetic of a step as text.

use crate::domain::money::Money;
use crate::domain::rule::{Input, Outcome, Rule, Step, Trace};

/// The arithmetic as text, in fen, so that a person with a pocket calculator gets the same figure.
pub fn of(step: &Step, trace: &Trace) -> String {
    let Outcome::Amount(result) = step.outcome else {
        return String::new();
    };
    let input = |wanted: Input| step.input(wanted).unwrap_or(Money::ZERO);
    let minus = |first: Input, rest: &[Input]| {
        let rest: Vec<String> = rest.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("{} − {}", input(first), rest.join(" − "))
    };
    let min = |of: &[Input]| {
        let of: Vec<String> = of.iter().map(|wanted| input(*wanted).to_string()).collect();
        format!("min({})", of.join(", "))
    };
    // Of these, those that there were.
    let given = |of: &[Input]| -> Vec<String> {
        of.iter().filter_map(|wanted| step.input(*wanted)).map(|amount| amount.to_string()).collect()
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
            Rule::OwnPayable | Rule::WalletPayable | Rule::RelativesPayable => {
                let parts = given(&COMPONENTS);
                if parts.is_empty() {
                    return String::new();
                }
                parts.join(" + ")
            }
            Rule::AidLimit => {
                let limits = given(&LIMITS);
                if limits.is_empty() {
                    return String::new();
                }
                format!("min({})", limits.join(", "))
            }
            Rule::FundYearCap => min(&[Input::Fund, Input::CapLeft]),
            Rule::PersonPart => minus(Input::Total, &[Input::Fund, Input::HospitalPart]),
            Rule::Adjudicated => minus(Input::Total, &[Input::HospitalPart, Input::PersonPart]),
            Rule::OwnDraw => min(&[Input::Payable, Input::OwnBalance]),
            Rule::OwnerUsable | Rule::UsableByRelatives => {
                format!("min({}, max(0, {}))", input(Input::Drawable), minus(Input::Balance, &[Input::Floor]))
            }
            Rule::OwnerDraw | Rule::QuotaDraw => {
                let [one, two, three] = LIMITS;
                let bounds = given(&[Input::StillToPay, Input::Usable, Input::CapLeft, one, two, three]);
                format!("min({})", bounds.join(", "))
            }
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
            | Rule::OwnAccountOrder
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
            | Rule::InsuranceReleases => return String::new(),
        }
    };
    format!("{left} = {result}")
}

/// Of which what accounts may pay is the sum.
const COMPONENTS: [Input; 5] =
    [Input::Deductible, Input::CoPayment, Input::FirstSelfPay, Input::OverLimit, Input::FullSelfPay];

/// What is left of a region's limits for one beneficiary.
const LIMITS: [Input; 3] = [Input::AidPerSettlementLeft, Input::AidPerDayLeft, Input::AidPerYearLeft];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::Subject;

    /// Steps as earlier versions stored them are told as they were.
    #[test]
    fn what_was_stored_with_fewer_inputs_is_told_as_before() {
        struct Row(Rule, &'static [(Input, i64)], i64, &'static str);
        let rows = [
            Row(Rule::OwnPayable, &[], 70, ""),
            Row(Rule::RelativesPayable, &[], 0, ""),
            Row(Rule::AidLimit, &[(Input::UsedToday, 1), (Input::UsedThisYear, 2), (Input::LimitLeft, 3)], 3, ""),
            Row(Rule::OwnerDraw, &[(Input::StillToPay, 9), (Input::Usable, 8)], 8, "min(9, 8) = 8"),
            Row(
                Rule::QuotaDraw,
                &[(Input::StillToPay, 9), (Input::Usable, 8), (Input::CapLeft, 7)],
                7,
                "min(9, 8, 7) = 7",
            ),
        ];
        for Row(rule, inputs, result, expected) in rows {
            let inputs: Vec<_> = inputs.iter().map(|(input, fen)| (*input, Money::fen(*fen))).collect();
            let mut trace = Trace::new();
            trace.amount(rule, Subject::Own, 0, &inputs, Money::fen(result));
            assert_eq!(of(&trace.steps[0], &trace), expected, "{rule:?}");
        }
    }
}
