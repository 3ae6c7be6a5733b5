//! 待遇条件: whether a benefit is due and what it is; lifelong medical insurance; the allowance of the disabled beside a pension.

use super::keys::Key;
use super::law::{Law, Refusal};
use super::number::{Month, Ratio};
use super::retirement::{earliest_month, legal_month, minimum_months};
use super::tables::BenefitWay;
use super::trace::{Detail, Rule, Trace, fen, text};
use super::unemployment;
use super::words::{BenefitNeed, GiftAmount, Insurance, LeavingCause, RetirementClass};
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
    /// The month of retirement; none: the legal one.
    pub retirement: Option<Month>,
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
    pub code: String,
    pub text: String,
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
    if let Some((_, birth)) = facts.worker {
        law.born("birth_date", birth)?;
        law.lived("paid_months", facts.paid, birth)?;
    }
    let mut found = Benefits::default();
    let ways: Vec<&BenefitWay> = law.benefits()?.iter().filter(|way| way.insurance == facts.insurance).collect();
    if ways.is_empty() {
        return Err(Refusal::NotKnown(Key::Benefits));
    }
    for way in &ways {
        // A way about which nothing was said is passed over, unless it is the only one.
        if let Some((field, what)) = unsaid(way, facts) {
            if ways.len() == 1 {
                return Err(Refusal::field(field, what));
            }
            continue;
        }
        let mut reasons = Vec::new();
        for need in &way.needs {
            reasons.extend(judge(law, facts, way, *need, trace)?);
        }
        if reasons.is_empty() {
            found.reasons.clear();
            give(law, facts, way, &mut found, trace)?;
            break;
        }
        // A no is the no of every way.
        for reason in reasons {
            if !found.reasons.contains(&reason) {
                found.reasons.push(reason);
            }
        }
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

/// The field without which a way cannot be judged.
fn unsaid(way: &BenefitWay, facts: &Facts) -> Option<(&'static str, &'static str)> {
    use BenefitNeed as Need;
    let asks = |needs: &[Need]| way.needs.iter().any(|need| needs.contains(need));
    if facts.worker.is_none() && asks(&[Need::MinimumYears, Need::LegalAge, Need::LifelongYears]) {
        return Some(("class", "is required, with birth_date"));
    }
    (facts.cause.is_none() && asks(&[Need::UnemploymentConditions])).then_some(("cause", "is required"))
}

/// The reasons why one need is not met.
fn judge(
    law: &Law<'_>,
    facts: &Facts,
    way: &BenefitWay,
    need: BenefitNeed,
    trace: &mut Trace,
) -> Result<Vec<Reason>, Refusal> {
    use BenefitNeed as Need;
    let mut no = |name: &'static str, met: bool, keys: &'static [Key], compared: String, reason: Reason| {
        let detail = || Detail::of(Vec::new(), compared);
        trace.step(Rule::Condition, name, keys, || text(met.to_string()), detail);
        if met { Vec::new() } else { vec![reason] }
    };
    let said = String::new();
    let (interrupted, table) = (Reason::PaymentInterrupted, &[Key::Benefits][..]);
    Ok(match (need, facts.worker, facts.cause) {
        (Need::PaidMonths, ..) => {
            let least = way.paid_months.unwrap_or_default();
            no("paid_months", facts.paid >= least, table, format!("{} ≥ {least}", facts.paid), Reason::YearsNotEnough)
        }
        (Need::Paying, ..) => no("paying", facts.paying, table, said, interrupted),
        (Need::OnUnemploymentBenefit, ..) => {
            no("on_unemployment_benefit", facts.on_unemployment_benefit, table, said, interrupted)
        }
        (Need::MedicalCovered, ..) => {
            let covered = law.unemployment_conditions()?.medical_covered;
            no("medical_covered", covered, &[Key::UnemploymentConditions, Key::Benefits], said, interrupted)
        }
        (Need::InjuryRecognised, ..) => {
            no("injury_recognised", facts.injury_recognised, table, said, Reason::InjuryNotRecognised)
        }
        (Need::ContinuousMonths, ..) => {
            let (have, least) = (facts.continuous, law.maternity()?.continuous_months);
            let keys = &[Key::Maternity, Key::Benefits];
            let reason = Reason::ContinuousMonthsNotEnough;
            no("continuous_months", have >= least, keys, format!("{have} ≥ {least}"), reason)
        }
        (Need::UnemploymentConditions, _, Some(cause)) => {
            unemployment::conditions(law, facts.paid, cause, facts.registered, trace)?
        }
        // The minimum is that of the year of retirement: where none is named, the legal month's once it is past.
        (Need::MinimumYears, Some((class, birth)), _) => {
            let retires = match facts.retirement {
                Some(month) => month,
                None => legal_month(law, class, birth)?.min(Month::of(law.on)),
            };
            years(law, facts.paid, retires.year(), trace)?
        }
        (Need::LegalAge, Some((class, birth)), _) => match facts.retirement {
            Some(month) => chosen_age(law, class, birth, month, trace)?,
            None => age(law, class, birth, trace)?,
        },
        (Need::LifelongYears, Some((class, _)), _) => {
            let sex = if class == RetirementClass::Male { Sex::Male } else { Sex::Female };
            let asked = Lifelong { sex, paid: facts.paid, local_paid: facts.local_paid, monthly_base: None };
            lifelong(law, &asked, trace)?.reasons
        }
        (Need::UnemploymentConditions, _, None) => return Err(Refusal::field("cause", "is required")),
        (Need::MinimumYears | Need::LegalAge | Need::LifelongYears, None, _) => {
            return Err(Refusal::field("class", "is required with birth_date"));
        }
    })
}

/// What a way gives once all it needs is met.
fn give(
    law: &Law<'_>,
    facts: &Facts,
    way: &BenefitWay,
    found: &mut Benefits,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    if facts.insurance == Insurance::Maternity {
        found.leave_days = leave_days(law, facts, trace)?;
    }
    for gift in &way.gives {
        let mut left_out = false;
        for need in gift.needs.iter().flatten() {
            left_out |= !judge(law, facts, way, *need, trace)?.is_empty();
        }
        if left_out {
            continue;
        }
        let amount = match (gift.amount, facts.unit_average_wage) {
            (Some(GiftAmount::MaternityAllowance), Some(wage)) => Some(allowance(law, wage, found.leave_days, trace)?),
            (Some(GiftAmount::MaternityAllowance), None) | (None, _) => None,
        };
        let said = || text(gift.text.as_str());
        trace.step(Rule::Benefit, gift.code.clone(), &[Key::Benefits], said, Detail::default);
        found.given.push(Given { code: gift.code.clone(), text: gift.text.clone(), amount });
    }
    Ok(())
}

fn years(law: &Law<'_>, paid: u32, year: i32, trace: &mut Trace) -> Result<Vec<Reason>, Refusal> {
    let minimum = minimum_months(law, year)?;
    let met = paid >= minimum;
    let compared = || Detail::of(Vec::new(), format!("{paid} ≥ {minimum} ({year})"));
    trace.step(Rule::MinimumYears, "", &[Key::MinimumYears], || text(met.to_string()), compared);
    Ok(if met { Vec::new() } else { vec![Reason::YearsNotEnough] })
}

fn age(law: &Law<'_>, class: RetirementClass, birth: Month, trace: &mut Trace) -> Result<Vec<Reason>, Refusal> {
    let legal = legal_month(law, class, birth)?;
    let now = Month::of(law.on);
    let compared = || Detail::of(Vec::new(), format!("{now} ≥ {legal}"));
    trace.step(Rule::LegalAge, "", &[Key::RetirementAges], || text(legal.to_string()), compared);
    Ok(if now < legal { vec![Reason::AgeNotReached] } else { Vec::new() })
}

/// The month that somebody chose: from the earliest one of flexible retirement on, and not before it has come. There is no
/// last one here: who lacks years pays on beyond it.
fn chosen_age(
    law: &Law<'_>,
    class: RetirementClass,
    birth: Month,
    month: Month,
    trace: &mut Trace,
) -> Result<Vec<Reason>, Refusal> {
    let earliest = earliest_month(law, class, birth)?;
    let now = Month::of(law.on);
    let compared =
        || Detail::of(vec![("retirement_month", month.to_string())], format!("{earliest} ≤ {month} ≤ {now}"));
    let keys = &[Key::FlexibleRetirement, Key::RetirementAges];
    trace.step(Rule::EarliestAge, "", keys, || text(earliest.to_string()), compared);
    let reached = earliest <= month && month <= now;
    Ok(if reached { Vec::new() } else { vec![Reason::AgeNotReached] })
}

fn leave_days(law: &Law<'_>, facts: &Facts, trace: &mut Trace) -> Result<u32, Refusal> {
    let rule = law.maternity()?;
    let further = facts.children.saturating_sub(1);
    let extra = if facts.dystocia { rule.dystocia_days } else { 0 };
    let days = rule.leave_days + extra + rule.further_child_days * further;
    let sum =
        || Detail::of(Vec::new(), format!("{} + {extra} + {} × {further}", rule.leave_days, rule.further_child_days));
    trace.step(Rule::MaternityDays, "", &[Key::Maternity], || text(days.to_string()), sum);
    Ok(days)
}

fn allowance(law: &Law<'_>, wage: Money, days: u32, trace: &mut Trace) -> Result<Money, Refusal> {
    let (rule, rounding) = (law.maternity()?, *law.contribution_rounding()?);
    let exact = Ratio::of(wage) * Ratio::whole(days) / Ratio::whole(rule.days_of_month);
    if exact.numerator() / exact.denominator() > i128::from(Money::INPUT_MAX) {
        return Err(Refusal::field("unit_average_wage_fen", "gives an allowance beyond the largest amount"));
    }
    let amount = exact.fen(rounding);
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
    Ok(amount)
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
    let detail = || {
        let inputs =
            vec![("pension_started", input.started.to_string()), ("difference_paid", rule.difference_paid.to_string())];
        let due = stops && rule.difference_paid;
        Detail::of(inputs, if due { format!("max({} − {pension}, 0)", input.allowance) } else { "0".to_owned() })
    };
    trace.step(Rule::InjuryDifference, "", &[Key::InjuryPension], || fen(lower), detail);
    let total = allowance + pension + lower;
    let sum = || Detail::of(Vec::new(), format!("{allowance} + {pension} + {lower}"));
    trace.step(Rule::InjuryTotal, "", &[], || fen(total), sum);
    Ok(DisabledFound { allowance, pension, difference: lower, total })
}
