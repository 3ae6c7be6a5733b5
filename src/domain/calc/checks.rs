//! What a table must be beyond its shape, so that no calculation can divide by zero, run past its rows or loop: the same for
//! tables of files and of callers.

use super::keys::Value;
use super::tables::BenefitWay;
use super::words::BenefitNeed;

/// More months than any life: a hundred years.
const MONTHS_MAX: u32 = 1_200;

/// What is wrong with a table, as the end of a sentence; none: it can be calculated with.
pub fn fault(value: &Value) -> Option<&'static str> {
    let months = |all: &[u32]| all.iter().any(|months| *months > MONTHS_MAX).then_some("has more than 1200 months");
    match value {
        Value::ContributionRates(rows) => {
            let twice = rows
                .iter()
                .enumerate()
                .any(|(at, row)| rows[..at].iter().any(|known| known.insurance == row.insurance));
            twice.then_some("names an insurance twice")
        }
        Value::InjuryRates(rates) => rates.classes.is_empty().then_some("has no classes"),
        Value::Benefits(ways) => {
            let asks = |way: &BenefitWay| way.needs.contains(&BenefitNeed::PaidMonths);
            if ways.iter().any(|way| way.needs.is_empty() || way.gives.is_empty()) {
                Some("has a way that asks for nothing or gives nothing")
            } else if ways.iter().any(|way| asks(way) != way.paid_months.is_some()) {
                Some("must have paid_months where a way needs PAID_MONTHS, and only there")
            } else {
                None
            }
        }
        Value::InjuryDefaultClass(class) => (*class == 0).then_some("must be 1 or more"),
        Value::HousingFund(fund) => {
            let inside = fund.lowest <= fund.usual && fund.usual <= fund.highest;
            (!inside).then_some("must have lowest ≤ usual ≤ highest")
        }
        Value::BaseBounds(bounds) => {
            if bounds.unit_fen == Some(0) {
                return Some("must have a unit_fen of 1 or more");
            }
            (bounds.lower > bounds.upper).then_some("has lower above upper")
        }
        Value::BaseYear(year) => {
            (!(1..=12).contains(&year.first_month)).then_some("must have a first_month of 1 to 12")
        }
        Value::FlexibleRates(rates) => {
            (rates.pension_account > rates.pension).then_some("puts more into the account than is paid")
        }
        Value::FlexibleTiers(tiers) => (!tiers.is_sorted()).then_some("must be in ascending order"),
        Value::ResidentTiers(tiers) => (!tiers.is_sorted()).then_some("must be in ascending order"),
        Value::ResidentSubsidies(rows) => {
            (!rows.is_sorted_by_key(|row| row.from_fen)).then_some("must be in ascending order of from_fen")
        }
        Value::RetiredCredit(credit) => (credit.fixed_fen.is_some() == credit.of_average_pension.is_some())
            .then_some("must have one of fixed_fen and of_average_pension"),
        Value::PayoutMonths(rows) => {
            let contiguous = rows.windows(2).all(|pair| pair[1].age == pair[0].age + 1);
            let sound = !rows.is_empty() && contiguous && rows.iter().all(|row| row.age < 150 && row.months > 0);
            (!sound).then_some("must have a row of 1 month or more for every age from the first to the last")
        }
        Value::PayoutRule(rule) => (rule.decimals > 6).then_some("has more than six decimals"),
        Value::PensionRounding(rounding) => {
            let decimals = [
                Some(rounding.period_index_decimals),
                rounding.index_decimals,
                rounding.years_decimals,
                rounding.transitional_years_decimals,
            ];
            decimals.into_iter().flatten().any(|decimals| decimals > 6).then_some("has more than six decimals")
        }
        Value::MinimumYears(rows) => {
            let sound =
                rows.first().is_some_and(|row| row.from_year == 0) && rows.is_sorted_by_key(|row| row.from_year);
            if sound {
                months(&rows.iter().map(|row| row.months).collect::<Vec<_>>())
            } else {
                Some("must begin with from_year 0 and ascend")
            }
        }
        Value::RetirementAges(rows) => {
            let twice =
                rows.iter().enumerate().any(|(at, row)| rows[..at].iter().any(|known| known.class == row.class));
            let still = rows.iter().filter_map(|row| row.delay.as_ref()).any(|delay| delay.birth_months == 0);
            let all: Vec<u32> = rows
                .iter()
                .flat_map(|row| [row.original_months, row.delay.as_ref().map_or(0, |delay| delay.most)])
                .collect();
            if twice {
                Some("names a class twice")
            } else if still {
                Some("must have birth_months of 1 or more")
            } else {
                months(&all)
            }
        }
        Value::FlexibleRetirement(flexible) => months(&[
            flexible.early_months,
            flexible.late_months,
            flexible.early_notice_months,
            flexible.late_notice_months,
        ]),
        Value::EarlyAges(rows) => {
            months(&rows.iter().flat_map(|row| [row.male_months, row.female_months]).collect::<Vec<_>>())
        }
        Value::LifelongMedical(rule) => months(&[rule.male_months, rule.female_months, rule.local_months]),
        Value::MedicalGap(gap) => months(&[gap.wait_months]),
        Value::Continuity(rule) => months(&[rule.grace_months]),
        Value::ResidentWaiting(waiting) => months(&[waiting.fixed_months, waiting.per_missed_year_months]),
        Value::Maternity(rule) => {
            if rule.days_of_month == 0 {
                return Some("must have days_of_month of 1 or more");
            }
            months(&[
                rule.continuous_months,
                rule.leave_days,
                rule.dystocia_days,
                rule.further_child_days,
                rule.days_of_month,
            ])
        }
        Value::GapEffects(rows) => {
            let twice = rows
                .iter()
                .enumerate()
                .any(|(at, row)| rows[..at].iter().any(|known| known.insurance == row.insurance));
            twice.then_some("names an insurance twice")
        }
        Value::UnemploymentMonths(scale) => {
            let sound = scale.rows.is_sorted_by_key(|row| row.paid_months) && !scale.rows.is_empty();
            let all: Vec<u32> = scale
                .rows
                .iter()
                .flat_map(|row| [row.paid_months, row.months])
                .chain([scale.per_further_year, scale.most])
                .collect();
            if sound { months(&all) } else { Some("must have rows in ascending order of paid_months") }
        }
        Value::UnemploymentConditions(conditions) => months(&[conditions.paid_months]),
        Value::UnemploymentNearRetirement(near) => months(&[near.within_months]),
        Value::FlexibleChange(change) => {
            let sound = match (change.window_first, change.window_last) {
                (Some(first), Some(last)) => first <= last,
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            (!sound).then_some("must have both window_first and window_last in this order, or neither")
        }
        Value::CertificationCycle(cycle) => {
            if cycle.months == 0 || cycle.dependant_months == 0 || cycle.first_months == 0 {
                return Some("must have months of 1 or more");
            }
            if cycle.start_month.is_some_and(|month| !(1..=12).contains(&month)) {
                return Some("must have a start_month of 1 to 12");
            }
            if cycle.start_month.is_some() && !cycle.every_calendar_year {
                return Some("has a start_month without every_calendar_year");
            }
            months(&[cycle.months, cycle.dependant_months, cycle.first_months])
        }
        Value::CertificationWays(ways) => {
            let twice =
                ways.iter().enumerate().any(|(at, way)| ways[..at].iter().any(|known| known.channel == way.channel));
            twice.then_some("names a channel twice")
        }
        Value::AverageWage(wage) | Value::PensionBase(wage) => (!wage.is_positive()).then_some("must be above 0"),
        Value::PensionFormula(_)
        | Value::Transitional(_)
        | Value::ContributionRounding(_)
        | Value::ActiveCredit(_)
        | Value::RetirementDay(_)
        | Value::ContinuityCounters(_)
        | Value::InjuryPension(_)
        | Value::CardUses(_)
        | Value::ResidentChange(_) => None,
    }
}
