//! The arithmetic of employees' contributions in whole numbers: what one base costs whom. One plan serves one person or a
//! column of millions; the law enters when the plan is made, so nothing is looked up in between.
//!
//! Amounts are fen, rates millionths: both are bounded, so a product stays below 10^18 and fits 64 bits exactly.

use super::words::Insurance;
use crate::domain::money::{Money, Rounding};

/// How many insurances there are, the housing fund with them.
pub const INSURANCES: usize = Insurance::ALL.len();

const MILLION: i64 = 1_000_000;

/// Bounds and rates of one unit on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub lower: i64,
    pub upper: i64,
    /// Millionths, in the order of [`Insurance::ALL`]; both zero where an insurance is not paid.
    pub person: [i64; INSURANCES],
    pub unit: [i64; INSURANCES],
    pub rounding: Rounding,
}

/// Fen for each insurance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub person: [i64; INSURANCES],
    pub unit: [i64; INSURANCES],
}

impl Parts {
    pub fn person_total(&self) -> i64 {
        self.person.iter().sum()
    }

    pub fn unit_total(&self) -> i64 {
        self.unit.iter().sum()
    }
}

/// Results of many persons, column by column, in fen.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    pub base: Vec<i64>,
    pub person: [Vec<i64>; INSURANCES],
    pub unit: [Vec<i64>; INSURANCES],
    pub person_total: Vec<i64>,
    pub unit_total: Vec<i64>,
}

impl Plan {
    /// Whether every product fits: amounts up to the input bound, rates up to one.
    pub fn is_bounded(&self) -> bool {
        let fits = |amount: i64| (0..=Money::INPUT_MAX).contains(&amount);
        let rates = self.person.iter().chain(&self.unit).all(|rate| (0..=MILLION).contains(rate));
        fits(self.lower) && fits(self.upper) && self.lower <= self.upper && rates
    }

    /// 60 % … 300 %: the wage where it lies between the bounds, else the bound.
    pub fn base(&self, wage: i64) -> i64 {
        wage.clamp(self.lower, self.upper)
    }

    pub fn parts(&self, base: i64) -> Parts {
        let mut parts = Parts::default();
        for place in 0..INSURANCES {
            parts.person[place] = share(base, self.person[place], self.rounding);
            parts.unit[place] = share(base, self.unit[place], self.rounding);
        }
        parts
    }

    /// Calculates a column of wages into `out`, which keeps its memory from call to call. Wages are from 0 to
    /// [`Money::INPUT_MAX`].
    pub fn columns(&self, wages: &[i64], out: &mut Columns) {
        assert!(self.is_bounded(), "a plan is bounded when it is made");
        let largest = wages.iter().copied().max().unwrap_or(0);
        let least = wages.iter().copied().min().unwrap_or(0);
        assert!(least >= 0 && largest <= Money::INPUT_MAX, "wages are admitted before they come here");
        out.base.clear();
        out.base.extend(wages.iter().map(|wage| self.base(*wage)));
        for total in [&mut out.person_total, &mut out.unit_total] {
            total.clear();
            total.resize(wages.len(), 0);
        }
        for place in 0..INSURANCES {
            let sides = [
                (&mut out.person[place], self.person[place], &mut out.person_total),
                (&mut out.unit[place], self.unit[place], &mut out.unit_total),
            ];
            for (column, rate, total) in sides {
                column.clear();
                match (rate, self.rounding) {
                    (0, _) => column.resize(out.base.len(), 0),
                    // The mode is taken out of the loop, so that the loop is plain arithmetic.
                    (_, Rounding::HalfUp) => {
                        column.extend(out.base.iter().map(|base| (base * rate + MILLION / 2) / MILLION));
                    }
                    (_, mode) => column.extend(out.base.iter().map(|base| share(*base, rate, mode))),
                }
                if rate > 0 {
                    total.iter_mut().zip(column.iter()).for_each(|(total, part)| *total += part);
                }
            }
        }
    }
}

/// `base × rate`, rounded to whole fen.
pub fn share(base: i64, millionths: i64, rounding: Rounding) -> i64 {
    let product = base * millionths;
    let (whole, rest) = (product / MILLION, product % MILLION);
    let up = match rounding {
        Rounding::HalfUp => rest * 2 >= MILLION,
        Rounding::HalfEven => rest * 2 > MILLION || (rest * 2 == MILLION && whole % 2 == 1),
        Rounding::Floor => false,
        Rounding::Ceiling => rest > 0,
    };
    whole + i64::from(up)
}

#[cfg(test)]
mod tests {
    use rust_decimal::{Decimal, RoundingStrategy};

    use super::*;

    const MODES: [Rounding; 4] = [Rounding::HalfUp, Rounding::HalfEven, Rounding::Floor, Rounding::Ceiling];

    /// What a decimal library says.
    fn by_decimal(base: i64, millionths: i64, rounding: Rounding) -> i64 {
        let strategy = match rounding {
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::Floor => RoundingStrategy::ToZero,
            Rounding::Ceiling => RoundingStrategy::AwayFromZero,
        };
        let exact = Decimal::from(base) * Decimal::new(millionths, 6);
        i64::try_from(exact.round_dp_with_strategy(0, strategy).mantissa()).expect("whole fen")
    }

    /// A small generator of our own: the same numbers in every run.
    fn next(state: &mut u64) -> i64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(*state >> 20).expect("44 bits")
    }

    #[test]
    fn scaled_integers_are_the_decimals() {
        let mut state = 7;
        for case in 0..200_000 {
            let base = match case % 4 {
                0 => next(&mut state) % 10_000,
                1 => next(&mut state) % 10_000_000,
                _ => next(&mut state) % (Money::INPUT_MAX + 1),
            };
            let rate = if case % 3 == 0 { next(&mut state) % 40 * 5_000 } else { next(&mut state) % (MILLION + 1) };
            let mode = MODES[case % 4];
            assert_eq!(share(base, rate, mode), by_decimal(base, rate, mode), "{base} x {rate} {mode:?}");
        }
        for mode in MODES {
            assert_eq!(share(Money::INPUT_MAX, MILLION, mode), Money::INPUT_MAX);
            assert_eq!((share(0, MILLION, mode), share(1, 0, mode)), (0, 0));
        }
        assert_eq!(MODES.map(|mode| share(5, 500_000, mode)), [3, 2, 2, 3]);
    }

    #[test]
    fn a_column_is_its_persons() {
        for rounding in MODES {
            let plan = Plan {
                lower: 300_001,
                upper: 1_500_007,
                person: [80_000, 20_000, 5_000, 0, 0, 120_000],
                unit: [160_000, 80_333, 5_000, 2_400, 0, 120_000],
                rounding,
            };
            let mut state = 9;
            let wages: Vec<i64> = (0..5_000).map(|_| next(&mut state) % 2_000_000).collect();
            let mut columns = Columns::default();
            plan.columns(&wages, &mut columns);
            for (row, wage) in wages.iter().enumerate() {
                let base = plan.base(*wage);
                let parts = plan.parts(base);
                assert_eq!((columns.base[row], columns.person_total[row]), (base, parts.person_total()));
                assert_eq!(columns.unit_total[row], parts.unit_total());
                for place in 0..INSURANCES {
                    assert_eq!(columns.person[place][row], parts.person[place]);
                    assert_eq!(columns.unit[place][row], parts.unit[place]);
                }
            }
        }
    }
}
