//! 待遇条件: whether a benefit is due and what it is; lifelong medical insurance; the allowance of the disabled beside a pension.

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::{Month, Ratio};
use super::retirement::{legal_month, minimum_months};
use super::trace::{Detail, Rule, Trace, fen, text};
use super::unemployment;
use super::words::{Insurance, LeavingCause, RetirementClass};
use crate::domain::money::Money;
use crate::domain::reason::Reason;
use crate::domain::vocabulary::Sex;

/// What is known of somebody; what is left out counts as not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub insurance: Insurance,
    pub paid: u32,
    pub local_paid: u32,
    pub continuous: u32,
    pub worker: Option<(RetirementClass, Month)>,
    pub injury_recognised: bool,
    pub cause: Option<LeavingCause>,
    pub registered: bool,
    pub on_unemployment_benefit: bool,
    pub paying: bool,
    pub unit_average_wage: Option<Money>,
    pub children: u32,
    pub dystocia: bool,
}

/// One thing that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub code: &'static str,
    pub zh: &'static str,
    pub amount: Option<Money>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Benefits {
    pub reasons: Vec<Reason>,
    pub given: Vec<Given>,
    pub leave_days: u32,
    pub card_uses: Vec<(String, String)>,
}

pub fn check(law: &Law<'_>, facts: &Facts, trace: &mut Trace) -> Result<Benefits, Refusal> {
    let mut found = Benefits::default();
    match facts.insurance {
        Insurance::Pension => {
            let (class, birth) = facts.worker.ok_or_else(|| Refusal::field("class", "is required with birth_date"))?;
            years(law, facts.paid, &mut found, trace)?;
            age(law, class, birth, &mut found, trace)?;
            give(&mut found, "MONTHLY_PENSION", "按月领取基本养老金至终身", None, trace);
        }
        Insurance::Medical => medical(law, facts, &mut found, trace)?,
        Insurance::Injury => {
            condition(
                "injury_recognised",
                facts.injury_recognised,
                Reason::InjuryNotRecognised,
                &[],
                &mut found,
                trace,
            );
            give(&mut found, "INJURY_BENEFITS", "工伤医疗、伤残待遇等由工伤保险基金支付", None, trace);
        }
        Insurance::Unemployment => {
            let cause = facts.cause.ok_or_else(|| Refusal::field("cause", "is required"))?;
            found.reasons = unemployment::conditions(law, facts.paid, cause, facts.registered, trace)?;
            give(&mut found, "UNEMPLOYMENT_BENEFIT", "按月领取失业保险金", None, trace);
            if law.unemployment_conditions()?.medical_covered {
                give(
                    &mut found,
                    "MEDICAL_COVER",
                    "领取期间由失业保险基金缴纳职工医保费，继续享受职工医保待遇",
                    None,
                    trace,
                );
            }
        }
        Insurance::Maternity => maternity(law, facts, &mut found, trace)?,
        Insurance::HousingFund => {
            condition("paid_months", facts.paid > 0, Reason::YearsNotEnough, &[], &mut found, trace);
            give(&mut found, "HOUSING_FUND", "账户资金归本人，用于购房、建房、租房等住房支出", None, trace);
        }
    }
    if !found.reasons.is_empty() {
        found.given.clear();
        found.leave_days = 0;
    }
    found.card_uses = law.card_uses()?.iter().map(|row| (row.code.clone(), row.text.clone())).collect();
    trace.step(
        Rule::Benefit,
        "card_uses",
        &[Key::CardUses],
        || text(found.card_uses.len().to_string()),
        Detail::default,
    );
    Ok(found)
}

fn condition(
    name: &'static str,
    met: bool,
    reason: Reason,
    keys: &'static [Key],
    found: &mut Benefits,
    trace: &mut Trace,
) {
    trace.step(Rule::Condition, name, keys, || text(met.to_string()), Detail::default);
    if !met {
        found.reasons.push(reason);
    }
}

fn give(found: &mut Benefits, code: &'static str, zh: &'static str, amount: Option<Money>, trace: &mut Trace) {
    if found.reasons.is_empty() {
        trace.step(Rule::Benefit, code, &[], || text(zh), Detail::default);
        found.given.push(Given { code, zh, amount });
    }
}

fn years(law: &Law<'_>, paid: u32, found: &mut Benefits, trace: &mut Trace) -> Result<(), Refusal> {
    let minimum = minimum_months(law, Month::of(law.on).year())?;
    let met = paid >= minimum;
    let compared = || Detail::of(Vec::new(), format!("{paid} ≥ {minimum}"));
    trace.step(Rule::MinimumYears, "", &[Key::MinimumYears], || text(met.to_string()), compared);
    if !met {
        found.reasons.push(Reason::YearsNotEnough);
    }
    Ok(())
}

fn age(
    law: &Law<'_>,
    class: RetirementClass,
    birth: Month,
    found: &mut Benefits,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let legal = legal_month(law, class, birth)?;
    let now = Month::of(law.on);
    let compared = || Detail::of(Vec::new(), format!("{now} ≥ {legal}"));
    trace.step(Rule::LegalAge, "", &[Key::RetirementAges], || text(legal.to_string()), compared);
    if now < legal {
        found.reasons.push(Reason::AgeNotReached);
    }
    Ok(())
}

/// Paid now, paid by the unemployment fund, or full years at the legal age.
fn medical(law: &Law<'_>, facts: &Facts, found: &mut Benefits, trace: &mut Trace) -> Result<(), Refusal> {
    if facts.paying {
        condition("paying", true, Reason::PaymentInterrupted, &[], found, trace);
        give(found, "MEDICAL_REIMBURSEMENT", "享受职工医保待遇", None, trace);
        return Ok(());
    }
    if facts.on_unemployment_benefit && law.unemployment_conditions()?.medical_covered {
        let keys = &[Key::UnemploymentConditions];
        condition("on_unemployment_benefit", true, Reason::PaymentInterrupted, keys, found, trace);
        give(found, "MEDICAL_COVER", "领取失业保险金期间由失业保险基金缴费，享受职工医保待遇", None, trace);
        return Ok(());
    }
    let Some((class, birth)) = facts.worker else {
        condition("paying", false, Reason::PaymentInterrupted, &[], found, trace);
        return Ok(());
    };
    let sex = if class == RetirementClass::Male { Sex::Male } else { Sex::Female };
    let asked = Lifelong { sex, paid: facts.paid, local_paid: facts.local_paid, monthly_base: None };
    found.reasons.extend(lifelong(law, &asked, trace)?.reasons);
    age(law, class, birth, found, trace)?;
    give(found, "LIFELONG_MEDICAL", "不再缴费，终身享受职工医保待遇", None, trace);
    Ok(())
}

fn maternity(law: &Law<'_>, facts: &Facts, found: &mut Benefits, trace: &mut Trace) -> Result<(), Refusal> {
    let rule = law.maternity()?;
    let met = facts.continuous >= rule.continuous_months;
    let compared = || Detail::of(Vec::new(), format!("{} ≥ {}", facts.continuous, rule.continuous_months));
    trace.step(Rule::Condition, "continuous_months", &[Key::Maternity], || text(met.to_string()), compared);
    if !met {
        found.reasons.push(Reason::ContinuousMonthsNotEnough);
    }
    let further = facts.children.saturating_sub(1);
    let extra = if facts.dystocia { rule.dystocia_days } else { 0 };
    found.leave_days = rule.leave_days + extra + rule.further_child_days * further;
    let sum =
        || Detail::of(Vec::new(), format!("{} + {extra} + {} × {further}", rule.leave_days, rule.further_child_days));
    trace.step(Rule::MaternityDays, "", &[Key::Maternity], || text(found.leave_days.to_string()), sum);
    give(found, "MATERNITY_MEDICAL", "生育医疗费用由基金支付", None, trace);
    let Some(wage) = facts.unit_average_wage else {
        give(found, "MATERNITY_ALLOWANCE", "生育津贴", None, trace);
        return Ok(());
    };
    let rounding = *law.contribution_rounding()?;
    let exact = Ratio::of(wage) * Ratio::whole(found.leave_days) / Ratio::whole(rule.days_of_month);
    if exact.numerator() / exact.denominator() > i128::from(Money::INPUT_MAX) {
        return Err(Refusal::field("unit_average_wage_fen", "gives an allowance beyond the largest amount"));
    }
    let amount = exact.fen(rounding);
    let days = found.leave_days;
    trace.step(
        Rule::MaternityAllowance,
        "",
        &[Key::Maternity, Key::ContributionRounding],
        || fen(amount),
        || {
            let inputs = vec![("unit_average_wage_fen", wage.to_string())];
            Detail::of(inputs, format!("{wage} ÷ {} × {days}", rule.days_of_month)).rounded(rounding, exact, amount)
        },
    );
    give(found, "MATERNITY_ALLOWANCE", "生育津贴", Some(amount), trace);
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifelong {
    pub sex: Sex,
    pub paid: u32,
    pub local_paid: u32,
    pub monthly_base: Option<Money>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifelongFound {
    pub reasons: Vec<Reason>,
    pub required: u32,
    pub required_local: u32,
    pub missing: u32,
    pub buyout: bool,
    pub buyout_cost: Money,
}

/// 退休后终身享受医保: the months, what is missing, and what paying it at once costs at the medical rates of the day.
pub fn lifelong(law: &Law<'_>, input: &Lifelong, trace: &mut Trace) -> Result<LifelongFound, Refusal> {
    let rule = law.lifelong_medical()?;
    let required = match input.sex {
        Sex::Male => rule.male_months,
        Sex::Female => rule.female_months,
    };
    trace.step(
        Rule::LifelongYears,
        input.sex.name(),
        &[Key::LifelongMedical],
        || text(required.to_string()),
        || Detail::of(vec![("local_months", rule.local_months.to_string())], ""),
    );
    let (short, short_local) =
        (required.saturating_sub(input.paid), rule.local_months.saturating_sub(input.local_paid));
    let missing = short.max(short_local);
    let operation = || format!("max({required} − {}, {} − {}, 0)", input.paid, rule.local_months, input.local_paid);
    let detail = || Detail::of(Vec::new(), operation());
    trace.step(Rule::LifelongShortfall, "", &[Key::LifelongMedical], || text(missing.to_string()), detail);
    let mut found = LifelongFound {
        reasons: if missing > 0 { vec![Reason::YearsNotEnough] } else { Vec::new() },
        required,
        required_local: rule.local_months,
        missing,
        buyout: rule.buyout,
        buyout_cost: Money::ZERO,
    };
    if let Some(base) = input.monthly_base.filter(|_| missing > 0 && rule.buyout) {
        let row = law.contribution_rates()?.iter().find(|row| row.insurance == Insurance::Medical);
        let row = row.ok_or(Refusal::NotKnown(Key::ContributionRates))?;
        let millionths = row.person.scaled() + row.unit.scaled();
        let exact = Ratio::of(base) * Ratio::new(i128::from(millionths), 1_000_000) * Ratio::whole(missing);
        if exact.numerator() / exact.denominator() > i128::from(Money::INPUT_MAX) {
            return Err(Refusal::field("monthly_base_fen", "gives a sum beyond the largest amount"));
        }
        let rounding = *law.contribution_rounding()?;
        found.buyout_cost = exact.fen(rounding);
        trace.step(
            Rule::LifelongBuyout,
            "",
            &[Key::ContributionRates, Key::ContributionRounding],
            || fen(found.buyout_cost),
            || {
                let operation = format!("{base} × ({} + {}) × {missing}", row.person, row.unit);
                Detail::of(Vec::new(), operation).rounded(rounding, exact, found.buyout_cost)
            },
        );
    }
    Ok(found)
}

/// 伤残津贴与养老金, a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    pub allowance: Money,
    pub pension: Money,
    pub started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisabledFound {
    pub allowance: Money,
    pub pension: Money,
    pub difference: Money,
    pub total: Money,
}

pub fn injury_and_pension(law: &Law<'_>, input: &Disabled, trace: &mut Trace) -> Result<DisabledFound, Refusal> {
    let rule = law.injury_pension()?;
    let stops = input.started && rule.allowance_stops;
    let allowance = if stops { Money::ZERO } else { input.allowance };
    let pension = if input.started { input.pension } else { Money::ZERO };
    trace.step(
        Rule::DisabilityStops,
        "",
        &[Key::InjuryPension],
        || fen(allowance),
        || {
            Detail::of(
                vec![("allowance_fen", input.allowance.to_string()), ("pension_started", input.started.to_string())],
                "",
            )
        },
    );
    let lower = if stops && rule.difference_paid { input.allowance.minus_or_zero(pension) } else { Money::ZERO };
    let detail = || Detail::of(Vec::new(), format!("max({} − {pension}, 0)", input.allowance));
    trace.step(Rule::InjuryDifference, "", &[Key::InjuryPension], || fen(lower), detail);
    let total = allowance + pension + lower;
    let sum = || Detail::of(Vec::new(), format!("{allowance} + {pension} + {lower}"));
    trace.step(Rule::InjuryTotal, "", &[], || fen(total), sum);
    Ok(DisabledFound { allowance, pension, difference: lower, total })
}
