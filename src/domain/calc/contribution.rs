//! 缴费: what employees and their units pay on a base; wage minus own contributions; the effect of another base.

use super::credit;
use super::keys::Key;
use super::law::{Law, Refusal, both};
use super::number::{Factor, Month, Ratio};
use super::plan::{INSURANCES, Parts, Plan};
use super::trace::{Detail, Rule, Trace, fen, text};
use super::words::Insurance;
use crate::domain::money::{Money, Rate, Rounding};

/// One employee's month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Employee {
    /// 当月工资.
    pub wage: Money,
    /// 申报缴费工资: last year's monthly average, or what is declared; the base before it is bounded.
    pub base_wage: Money,
    /// In place of the table's.
    pub average_wage: Option<Money>,
    pub injury_class: Option<u32>,
    pub injury_float: Option<Factor>,
    /// Zero: none is paid.
    pub housing_person: Option<Rate>,
    pub housing_unit: Option<Rate>,
    /// Another declared wage to compare with.
    pub compared: Option<Money>,
}

/// What one base costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnBase {
    pub base: Money,
    pub parts: Parts,
    pub net_wage: Money,
    /// Base ÷ average wage, in millionths.
    pub index: Factor,
}

/// Another base beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub other: OnBase,
    /// What enters the medical account more on the first base (个人账户划入), of both parts.
    pub medical_account: Money,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    pub average_wage: Money,
    pub plan: Plan,
    pub found: OnBase,
    pub compared: Option<Compared>,
    pub from: Month,
    pub last: Month,
}

pub fn calculate(law: &Law<'_>, input: &Employee, trace: &mut Trace) -> Result<Contribution, Refusal> {
    let average_wage = average_wage(law, input.average_wage, trace)?;
    let (plan, by_class) = plan(law, input, average_wage, trace)?;
    let (from, last) = base_year(law, trace)?;
    let (index_decimals, index_mode) = {
        let rounding = law.pension_rounding()?;
        (rounding.period_index_decimals, rounding.rounding)
    };
    let on_base = |wage: Money| {
        let base = Money::fen(plan.base(wage.as_fen()));
        let parts = plan.parts(base.as_fen());
        let net_wage = input.wage - Money::fen(parts.person_total());
        let index = index_of(base, average_wage, index_decimals, index_mode);
        OnBase { base, parts, net_wage, index }
    };
    let found = on_base(input.base_wage);
    let told = Told { plan: &plan, by_class, average_wage, wage: input.wage, index_mode };
    explain(&told, "", input.base_wage, &found, trace);
    let mut compared = None;
    if let Some(wage) = input.compared {
        let other = on_base(wage);
        explain(&told, "compared", wage, &other, trace);
        let medical_account = compare(law, &found, &other, trace)?;
        compared = Some(Compared { other, medical_account });
    }
    Ok(Contribution { average_wage, plan, found, compared, from, last })
}

/// The table's average wage, or the caller's.
pub fn average_wage(law: &Law<'_>, given: Option<Money>, trace: &mut Trace) -> Result<Money, Refusal> {
    let (wage, keys): (Money, &'static [Key]) = match given {
        Some(wage) => (wage, &[]),
        None => (*law.average_wage()?, &[Key::AverageWage]),
    };
    if !wage.is_positive() {
        return Err(Refusal::field("average_wage_fen", "must be above 0"));
    }
    let name = if given.is_some() { "given" } else { "table" };
    trace.step(
        Rule::AverageWage,
        "",
        keys,
        || fen(wage),
        || Detail::of(vec![("average_wage_fen", wage.to_string())], name),
    );
    Ok(wage)
}

/// Both bounds on the base, as the tables say, in fen.
pub fn bounds(law: &Law<'_>, average_wage: Money, trace: &mut Trace) -> Result<(Money, Money), Refusal> {
    let bounds = law.base_bounds()?;
    let (rounding, keys): (Rounding, &'static [Key]) = match bounds.rounding {
        Some(rounding) => (rounding, &[Key::BaseBounds]),
        None => (*law.contribution_rounding()?, &[Key::BaseBounds, Key::ContributionRounding]),
    };
    let unit = i128::from(bounds.unit_fen.unwrap_or(1));
    let mut of = |rule: Rule, factor: Factor| {
        // Whole numbers here, fractions only where they are shown: millions of rows come this way.
        let product = i128::from(average_wage.as_fen()) * i128::from(factor.millionths());
        let amount = rounding.divide(product, i128::from(Factor::SCALE) * unit) * unit;
        if amount > i128::from(Money::INPUT_MAX) {
            return Err(Refusal::field("average_wage_fen", "gives a bound beyond the largest amount"));
        }
        let amount = Money::fen(i64::try_from(amount).expect("checked"));
        trace.step(
            rule,
            "",
            keys,
            || fen(amount),
            || {
                let mut inputs = vec![("average_wage_fen", average_wage.to_string()), ("share", factor.to_string())];
                let mut operation = format!("{average_wage} × {factor}");
                if unit > 1 {
                    inputs.push(("unit_fen", unit.to_string()));
                    operation = format!("round({operation} ÷ {unit}) × {unit}");
                }
                let exact = Ratio::of(average_wage) * Ratio::factor(factor);
                Detail::of(inputs, operation).rounded(rounding, exact, amount)
            },
        );
        Ok(amount)
    };
    let (lower, upper) = (of(Rule::LowerBound, bounds.lower)?, of(Rule::UpperBound, bounds.upper)?);
    if lower > upper {
        return Err(Refusal::field("parameters", "base_bounds: lower lies above upper"));
    }
    Ok((lower, upper))
}

/// The plan, and whether the injury rate is that of a class.
fn plan(law: &Law<'_>, input: &Employee, average_wage: Money, trace: &mut Trace) -> Result<(Plan, bool), Refusal> {
    let (lower, upper) = bounds(law, average_wage, trace)?;
    let rounding = *law.contribution_rounding()?;
    let mut plan =
        Plan { lower: lower.as_fen(), upper: upper.as_fen(), person: [0; INSURANCES], unit: [0; INSURANCES], rounding };
    let rows = law.contribution_rates()?;
    for row in rows {
        let place = usize::from(row.insurance.code() - 1);
        plan.person[place] = row.person.scaled();
        plan.unit[place] = row.unit.scaled();
    }
    let flat = rows.iter().any(|row| row.insurance == Insurance::Injury);
    let housing_person = housing(law, "housing_fund_person_rate", input.housing_person);
    let housing_unit = housing(law, "housing_fund_unit_rate", input.housing_unit);
    let (injury, (person, unit)) = both(injury(law, input, flat, trace), both(housing_person, housing_unit))?;
    if let Some(rate) = injury {
        plan.unit[usize::from(Insurance::Injury.code() - 1)] = rate.scaled();
    }
    let place = usize::from(Insurance::HousingFund.code() - 1);
    plan.person[place] = person.scaled();
    plan.unit[place] = unit.scaled();
    assert!(plan.is_bounded(), "bounds and rates were admitted");
    Ok((plan, injury.is_some()))
}

/// The unit's injury rate: by class, floated; none where no class is named and the day's rates have a flat one.
fn injury(law: &Law<'_>, input: &Employee, flat: bool, trace: &mut Trace) -> Result<Option<Rate>, Refusal> {
    if input.injury_class.is_none() && input.injury_float.is_some() {
        return Err(Refusal::field("injury_float", "needs injury_class"));
    }
    if input.injury_class.is_none() && flat {
        return Ok(None);
    }
    let rates = law.injury_rates()?;
    let (class, keys): (u32, &'static [Key]) = match input.injury_class {
        Some(class) => (class, &[Key::InjuryRates]),
        None => (*law.injury_default_class()?, &[Key::InjuryRates, Key::InjuryDefaultClass]),
    };
    let place = usize::try_from(class).ok().and_then(|class| class.checked_sub(1));
    let Some(base) = place.and_then(|place| rates.classes.get(place)).copied() else {
        let most = rates.classes.len();
        return Err(if input.injury_class.is_some() {
            Refusal::field("injury_class", format!("must be 1 to {most}"))
        } else {
            Refusal::field("parameters", format!("injury_default_class: must be 1 to {most}"))
        });
    };
    let float = input.injury_float.unwrap_or(Factor::ONE);
    let floats = if class == 1 { &rates.first_class_floats } else { &rates.other_class_floats };
    if float != Factor::ONE && !floats.contains(&float) {
        let known: Vec<String> = floats.iter().map(|float| format!(", {float}")).collect();
        return Err(Refusal::field("injury_float", format!("must be one of 1{}", known.concat())));
    }
    let product = i128::from(base.scaled()) * i128::from(float.millionths());
    let million = i128::from(Factor::SCALE);
    let rate = (product % million == 0).then(|| i64::try_from(product / million).ok()).flatten();
    let rate = rate.and_then(Rate::from_scaled);
    let rate =
        rate.ok_or_else(|| Refusal::field("injury_float", "gives a rate above 1 or of more than six decimals"))?;
    trace.step(
        Rule::InjuryRate,
        Insurance::Injury.name(),
        keys,
        || text(rate.to_string()),
        || Detail::of(vec![("class", class.to_string()), ("float", float.to_string())], format!("{base} × {float}")),
    );
    Ok(Some(rate))
}

fn housing(law: &Law<'_>, field: &'static str, given: Option<Rate>) -> Result<Rate, Refusal> {
    let range = law.housing_fund()?;
    let rate = given.unwrap_or(range.usual);
    if rate != Rate::ZERO && !(range.lowest..=range.highest).contains(&rate) {
        return Err(Refusal::field(field, format!("must be 0, or {} to {}", range.lowest, range.highest)));
    }
    Ok(rate)
}

/// The twelve months around the day asked about during which a declared base does not change.
fn base_year(law: &Law<'_>, trace: &mut Trace) -> Result<(Month, Month), Refusal> {
    let first_month = law.base_year()?.first_month;
    let asked = Month::of(law.on);
    let start = Month::new(asked.year(), i32::try_from(first_month).unwrap_or(1));
    let from = if start > asked { start.minus(12) } else { start };
    let last = from.plus(11);
    let operation = || Detail::of(vec![("first_month", first_month.to_string())], format!("{from} … {last}"));
    trace.step(Rule::BaseYear, "", &[Key::BaseYear], || text(format!("{from}/{last}")), operation);
    Ok((from, last))
}

fn index_of(base: Money, average_wage: Money, decimals: u32, rounding: Rounding) -> Factor {
    let scale = 10_i128.pow(decimals);
    let index = rounding.divide(i128::from(base.as_fen()) * scale, i128::from(average_wage.as_fen()));
    let millionths = index * (i128::from(Factor::SCALE) / scale);
    Factor::from_millionths(i64::try_from(millionths).expect("bases are bounded"))
}

/// What the steps of every base tell.
struct Told<'a> {
    plan: &'a Plan,
    by_class: bool,
    average_wage: Money,
    wage: Money,
    index_mode: Rounding,
}

/// The steps of one base; those of the compared one say so.
fn explain(told: &Told<'_>, which: &'static str, base_wage: Money, found: &OnBase, trace: &mut Trace) {
    let Told { plan, by_class, average_wage, wage, index_mode } = *told;
    let base = found.base;
    let clamp = || {
        let inputs = vec![
            ("base_wage_fen", base_wage.to_string()),
            ("lower_fen", plan.lower.to_string()),
            ("upper_fen", plan.upper.to_string()),
        ];
        Detail::of(inputs, format!("min(max({base_wage}, {}), {})", plan.lower, plan.upper))
    };
    trace.step(Rule::Base, which, &[Key::BaseBounds], || fen(base), clamp);
    trace.step(
        Rule::ContributionIndex,
        which,
        &[Key::PensionRounding],
        || text(found.index.to_string()),
        || {
            let exact = Ratio::of(base) / Ratio::of(average_wage);
            Detail::of(Vec::new(), format!("{base} ÷ {average_wage}")).rounded(index_mode, exact, found.index)
        },
    );
    for insurance in Insurance::ALL.iter().copied() {
        let place = usize::from(insurance.code() - 1);
        let sides = [
            (Rule::PersonPart, plan.person[place], found.parts.person[place]),
            (Rule::UnitPart, plan.unit[place], found.parts.unit[place]),
        ];
        for (rule, millionths, amount) in sides.into_iter().filter(|(_, rate, _)| *rate > 0) {
            let (rate, amount) = (Factor::from_millionths(millionths), Money::fen(amount));
            trace.step(
                rule,
                subject(insurance, which),
                keys_of(insurance, by_class),
                || fen(amount),
                || {
                    let inputs = vec![("base_fen", base.to_string()), ("rate", rate.to_string())];
                    let exact = Ratio::of(base) * Ratio::factor(rate);
                    Detail::of(inputs, format!("{base} × {rate}")).rounded(plan.rounding, exact, amount)
                },
            );
        }
    }
    let sums = [
        (Rule::PersonTotal, &found.parts.person, found.parts.person_total()),
        (Rule::UnitTotal, &found.parts.unit, found.parts.unit_total()),
    ];
    for (rule, parts, total) in sums {
        let sum = || parts.iter().filter(|part| **part > 0).map(ToString::to_string).collect::<Vec<_>>().join(" + ");
        trace.step(rule, which, &[], || fen(Money::fen(total)), || Detail::of(Vec::new(), sum()));
    }
    let (net, own) = (found.net_wage, found.parts.person_total());
    trace.step(
        Rule::NetWage,
        which,
        &[],
        || fen(net),
        || Detail::of(vec![("wage_fen", wage.to_string())], format!("{wage} − {own}")),
    );
}

fn subject(insurance: Insurance, which: &str) -> std::borrow::Cow<'static, str> {
    if which.is_empty() { insurance.name().into() } else { format!("{} {which}", insurance.name()).into() }
}

const fn keys_of(insurance: Insurance, by_class: bool) -> &'static [Key] {
    match insurance {
        Insurance::HousingFund => &[Key::HousingFund, Key::ContributionRounding],
        Insurance::Injury if by_class => &[Key::InjuryRates, Key::ContributionRounding],
        Insurance::Injury
        | Insurance::Pension
        | Insurance::Medical
        | Insurance::Unemployment
        | Insurance::Maternity => &[Key::ContributionRates, Key::ContributionRounding],
    }
}

/// What a lower base saves now and costs later: less in the own accounts, a lower index.
fn compare(law: &Law<'_>, found: &OnBase, other: &OnBase, trace: &mut Trace) -> Result<Money, Refusal> {
    let credited = |on: &OnBase| credit::active(law, on.base, Money::fen(on.parts.unit[1]));
    let (mine, theirs) = (credited(found)?, credited(other)?);
    let pairs = [
        ("base", found.base, other.base),
        ("person_total", Money::fen(found.parts.person_total()), Money::fen(other.parts.person_total())),
        ("unit_total", Money::fen(found.parts.unit_total()), Money::fen(other.parts.unit_total())),
        ("pension_account", Money::fen(found.parts.person[0]), Money::fen(other.parts.person[0])),
        ("medical_account", mine, theirs),
    ];
    for (what, mine, theirs) in pairs {
        let operation = || Detail::of(Vec::new(), format!("{mine} − {theirs}"));
        let keys: &[Key] =
            if what == "medical_account" { &[Key::ActiveCredit, Key::ContributionRounding] } else { &[] };
        trace.step(Rule::Comparison, what, keys, || fen(mine - theirs), operation);
    }
    trace.step(
        Rule::Comparison,
        "index",
        &[Key::PensionRounding],
        || text(format!("{} / {}", found.index, other.index)),
        || Detail::of(Vec::new(), format!("{} ÷ average wage / {} ÷ average wage", found.base, other.base)),
    );
    Ok(mine - theirs)
}
