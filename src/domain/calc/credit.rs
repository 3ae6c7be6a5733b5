//! 个人账户划入: what enters a medical account in a month.

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::{Factor, Ratio};
use super::trace::{Detail, Rule, Trace, fen};
use crate::domain::money::{Money, Rate};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credited {
    Active { base: Money, unit_part: Money },
    Retired { average_pension: Option<Money> },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    pub own: Money,
    pub unit: Money,
    pub fixed: Money,
    pub total: Money,
}

/// What enters the account of somebody at work, without the steps: for a comparison, whose own steps tell it.
pub fn active(law: &Law<'_>, base: Money, unit_part: Money) -> Result<Money, Refusal> {
    let (rule, rounding) = (law.active_credit()?, *law.contribution_rounding()?);
    Ok(base.share(rule.of_base, rounding).amount + unit_part.share(rule.of_unit_part, rounding).amount)
}

pub fn calculate(law: &Law<'_>, input: &Credited, trace: &mut Trace) -> Result<Credit, Refusal> {
    let rounding = *law.contribution_rounding()?;
    let mut share = |rule: Rule, keys: &'static [Key], of: Money, rate: Rate| {
        let share = of.share(rate, rounding);
        let exact = || Ratio::of(of) * Ratio::factor(Factor::from_millionths(rate.scaled()));
        let inputs = || vec![("of_fen", of.to_string()), ("rate", rate.to_string())];
        let detail = || Detail::of(inputs(), format!("{of} × {rate}")).rounded(rounding, exact(), share.amount);
        trace.step(rule, "", keys, || fen(share.amount), detail);
        share.amount
    };
    let mut credit = Credit::default();
    match *input {
        Credited::Active { base, unit_part } => {
            let rule = law.active_credit()?;
            credit.own = share(Rule::CreditOwn, &[Key::ActiveCredit, Key::ContributionRounding], base, rule.of_base);
            credit.unit =
                share(Rule::CreditUnit, &[Key::ActiveCredit, Key::ContributionRounding], unit_part, rule.of_unit_part);
        }
        Credited::Retired { average_pension } => {
            let rule = law.retired_credit()?;
            credit.fixed = match (rule.fixed_fen, rule.of_average_pension) {
                (Some(fixed), _) => {
                    if average_pension.is_some() {
                        let what = "must be left out: the credit is a fixed amount";
                        return Err(Refusal::field("average_pension_fen", what));
                    }
                    let detail = || Detail::of(Vec::new(), fixed.to_string());
                    trace.step(Rule::CreditRetired, "", &[Key::RetiredCredit], || fen(fixed), detail);
                    fixed
                }
                (None, rate) => {
                    let Some(average) = average_pension else {
                        return Err(Refusal::field("average_pension_fen", "is required: the credit is a share of it"));
                    };
                    let keys = &[Key::RetiredCredit, Key::ContributionRounding];
                    share(Rule::CreditRetired, keys, average, rate.unwrap_or_default())
                }
            };
        }
    }
    credit.total = credit.own + credit.unit + credit.fixed;
    let detail = || Detail::of(Vec::new(), format!("{} + {} + {}", credit.own, credit.unit, credit.fixed));
    trace.step(Rule::CreditTotal, "", &[], || fen(credit.total), detail);
    Ok(credit)
}
