//! 缴费 by choice: flexible employment chooses a base or a tier, residents a yearly tier with the government's subsidy.

use super::contribution::{average_wage, bounds};
use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::{Factor, Ratio};
use super::trace::{Detail, Rule, Trace, fen};
use super::words::Insurance;
use crate::domain::money::{Money, Rate};

/// What somebody in flexible employment chooses. Amounts are of the same period as the average wage: a month or a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flexible {
    pub average_wage: Option<Money>,
    /// Exactly one of both.
    pub tier: Option<Factor>,
    pub base: Option<Money>,
    pub pension: bool,
    pub medical: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlexibleContribution {
    pub average_wage: Money,
    pub lower: Money,
    pub upper: Money,
    pub base: Money,
    pub pension: Money,
    pub pension_rate: Rate,
    pub to_account: Money,
    pub to_pool: Money,
    pub medical: Money,
    pub medical_rate: Rate,
    pub total: Money,
}

pub fn flexible(law: &Law<'_>, input: &Flexible, trace: &mut Trace) -> Result<FlexibleContribution, Refusal> {
    let average_wage = average_wage(law, input.average_wage, trace)?;
    let (lower, upper) = bounds(law, average_wage, trace)?;
    let rounding = *law.contribution_rounding()?;
    let base = match (input.tier, input.base) {
        (Some(tier), None) => {
            let tiers = law.flexible_tiers()?;
            if !tiers.contains(&tier) {
                let known: Vec<String> = tiers.iter().map(ToString::to_string).collect();
                return Err(Refusal::field("tier", format!("must be one of {}", known.join(", "))));
            }
            let exact = Ratio::of(average_wage) * Ratio::factor(tier);
            let share = exact.fen(rounding);
            trace.step(
                Rule::Tier,
                "",
                &[Key::FlexibleTiers, Key::ContributionRounding],
                || fen(share),
                || {
                    Detail::of(vec![("tier", tier.to_string())], format!("{average_wage} × {tier}"))
                        .rounded(rounding, exact, share)
                },
            );
            let shares = law.base_bounds()?;
            if !(shares.lower..=shares.upper).contains(&tier) {
                let what =
                    format!("gives a base outside the bounds, {} to {} of the average", shares.lower, shares.upper);
                return Err(Refusal::field("tier", what));
            }
            // A bound may be rounded otherwise than a tier: the lowest tier is the lower bound then.
            share.max(lower).min(upper)
        }
        (None, Some(base)) => base,
        _ => return Err(Refusal::field("tier", "one of tier and base_wage_fen must be given")),
    };
    if !(lower..=upper).contains(&base) {
        let what = format!("must lie between {lower} and {upper} fen");
        return Err(Refusal::field("base_wage_fen", what));
    }
    let between = || Detail::of(Vec::new(), format!("{lower} ≤ {base} ≤ {upper}"));
    trace.step(Rule::Base, "", &[Key::BaseBounds], || fen(base), between);
    let rates = law.flexible_rates()?;
    let mut pay = |rule: Rule, of: Insurance, rate: Rate, paid: bool| {
        if !paid {
            return Money::ZERO;
        }
        let share = base.share(rate, rounding);
        trace.step(
            rule,
            of.name(),
            &[Key::FlexibleRates, Key::ContributionRounding],
            || fen(share.amount),
            || {
                let exact = Ratio::of(base) * Ratio::factor(Factor::from_millionths(rate.scaled()));
                let inputs = vec![("base_fen", base.to_string()), ("rate", rate.to_string())];
                Detail::of(inputs, format!("{base} × {rate}")).rounded(rounding, exact, share.amount)
            },
        );
        share.amount
    };
    let pension = pay(Rule::PersonPart, Insurance::Pension, rates.pension, input.pension);
    // Never more than was paid, however both were rounded.
    let to_account = pay(Rule::ToAccount, Insurance::Pension, rates.pension_account, input.pension).min(pension);
    let medical = pay(Rule::PersonPart, Insurance::Medical, rates.medical, input.medical);
    let (to_pool, total) = (pension - to_account, pension + medical);
    if input.pension {
        let operation = || Detail::of(Vec::new(), format!("{pension} − {to_account}"));
        trace.step(Rule::ToPool, Insurance::Pension.name(), &[Key::FlexibleRates], || fen(to_pool), operation);
    }
    trace.step(Rule::PersonTotal, "", &[], || fen(total), || Detail::of(Vec::new(), format!("{pension} + {medical}")));
    Ok(FlexibleContribution {
        average_wage,
        lower,
        upper,
        base,
        pension,
        pension_rate: rates.pension,
        to_account,
        to_pool,
        medical,
        medical_rate: rates.medical,
        total,
    })
}

/// A resident's year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidentContribution {
    pub paid: Money,
    pub subsidy: Money,
    pub to_account: Money,
}

pub fn resident(law: &Law<'_>, tier: Money, trace: &mut Trace) -> Result<ResidentContribution, Refusal> {
    check_tier(law, "resident_tier_fen", tier)?;
    trace.step(Rule::Tier, "", &[Key::ResidentTiers], || fen(tier), || Detail::of(Vec::new(), tier.to_string()));
    let subsidy = subsidy(law, tier, trace)?;
    let to_account = tier + subsidy;
    let operation = || Detail::of(Vec::new(), format!("{tier} + {subsidy}"));
    trace.step(Rule::ToAccount, "", &[Key::ResidentSubsidies], || fen(to_account), operation);
    Ok(ResidentContribution { paid: tier, subsidy, to_account })
}

pub fn check_tier(law: &Law<'_>, field: &'static str, tier: Money) -> Result<(), Refusal> {
    let tiers = law.resident_tiers()?;
    if tiers.contains(&tier) {
        return Ok(());
    }
    let known: Vec<String> = tiers.iter().map(ToString::to_string).collect();
    Err(Refusal::field(field, format!("must be one of {} fen", known.join(", "))))
}

/// What the government adds to a tier.
pub fn subsidy(law: &Law<'_>, tier: Money, trace: &mut Trace) -> Result<Money, Refusal> {
    let rows = law.resident_subsidies()?;
    let row = rows.iter().rev().find(|row| row.from_fen <= tier);
    let amount = row.map_or(Money::ZERO, |row| row.subsidy_fen);
    let from = row.map_or(Money::ZERO, |row| row.from_fen);
    trace.step(
        Rule::Subsidy,
        "",
        &[Key::ResidentSubsidies],
        || fen(amount),
        || Detail::of(vec![("tier_fen", tier.to_string())], format!("{tier} ≥ {from}")),
    );
    Ok(amount)
}
