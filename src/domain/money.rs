//! Whole fen, exact rates and the named roundings: the only place that rounds.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use rust_decimal::Decimal;

/// An amount of money in whole fen (分, 1/100 yuan).
///
/// Amounts from outside are at most [`Money::INPUT_MAX`] and lists are bounded, so the checked operators below cannot
/// overflow on any admitted input; if one did, the process stops that call rather than carry on with a wrong sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    pub const ZERO: Self = Self(0);
    /// Ten billion yuan: larger than any bill, small enough that a million of them still fit.
    pub const INPUT_MAX: i64 = 1_000_000_000_000;
    /// The most one bucket may hold.
    pub const BALANCE_MAX: Self = Self(Self::INPUT_MAX * 1_000);

    pub const fn fen(fen: i64) -> Self {
        Self(fen)
    }

    pub const fn as_fen(self) -> i64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// `self - other`, but never below zero.
    pub fn minus_or_zero(self, other: Self) -> Self {
        (self - other).max(Self::ZERO)
    }

    /// The share `rate` of this amount, rounded to whole fen by `rounding`; `before` keeps the exact value for the explanation.
    pub fn share(self, rate: Rate, rounding: Rounding) -> Share {
        let numerator = i128::from(self.0) * i128::from(rate.0);
        let fen = rounding.divide(numerator, i128::from(Rate::ONE.0));
        Share { amount: Self(i64::try_from(fen).expect("a share of an admitted amount fits")), numerator, rounding }
    }

    /// The amount whose share `rate`, rounded by `rounding`, is this one: rounded itself so that the share comes back to the fen.
    pub fn whole_of(self, rate: Rate, rounding: Rounding) -> Self {
        let towards = match rounding {
            Rounding::HalfUp | Rounding::HalfEven => Rounding::HalfUp,
            Rounding::Floor => Rounding::Ceiling,
            Rounding::Ceiling => Rounding::Floor,
        };
        let fen = towards.divide(i128::from(self.0) * i128::from(Rate::ONE.0), i128::from(rate.0));
        let whole = Self(i64::try_from(fen).expect("no more than the amount that was shared"));
        assert_eq!(whole.share(rate, rounding).amount, self, "the share of the whole comes back");
        whole
    }
}

/// The outcome of [`Money::share`]: the rounded amount beside the exact one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub amount: Money,
    numerator: i128,
    pub rounding: Rounding,
}

impl Share {
    /// The exact value in fen as decimal text, e.g. `448785` or `33.5`.
    pub fn exact_text(&self) -> String {
        Decimal::from_i128_with_scale(self.numerator, Rate::SCALE).normalize().to_string()
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("money overflow"))
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("money overflow"))
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.checked_neg().expect("money overflow"))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// Whole fen, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A share between 0 and 1 with at most six decimals, held exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(i64);

impl Rate {
    const SCALE: u32 = 6;
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(1_000_000);

    /// Reads decimal text such as `0.05`; refuses signs, exponents, more than six decimals and anything outside 0..=1.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let decimal = if plain { Decimal::from_str_exact(text).ok() } else { None };
        let decimal = decimal.ok_or(RateError::NotDecimal)?;
        if decimal.scale() > Self::SCALE {
            return Err(RateError::TooPrecise);
        }
        if decimal > Decimal::ONE {
            return Err(RateError::OutOfRange);
        }
        let mut scaled = decimal;
        scaled.rescale(Self::SCALE);
        Ok(Self(i64::try_from(scaled.mantissa()).expect("at most one million")))
    }

    /// What is left of one: the person's share beside the fund's.
    pub fn complement(self) -> Self {
        Self(Self::ONE.0 - self.0)
    }

    pub const fn scaled(self) -> i64 {
        self.0
    }

    /// Restores a rate from its stored millionths.
    pub fn from_scaled(scaled: i64) -> Option<Self> {
        (0..=Self::ONE.0).contains(&scaled).then_some(Self(scaled))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Decimal::new(self.0, Self::SCALE).normalize().fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("is not a plain decimal such as 0.05")]
    NotDecimal,
    #[error("has more than six decimals")]
    TooPrecise,
    #[error("lies outside 0 to 1")]
    OutOfRange,
}

/// How a fraction of a fen becomes whole; named in the policy and in the explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// 四舍五入: half a fen goes up.
    HalfUp,
    /// Half a fen goes to the even neighbour.
    HalfEven,
    /// 舍去: towards zero.
    Floor,
    /// 进一: away from zero.
    Ceiling,
}

impl Rounding {
    pub const fn name(self) -> &'static str {
        match self {
            Self::HalfUp => "HALF_UP_FEN",
            Self::HalfEven => "HALF_EVEN_FEN",
            Self::Floor => "FLOOR_FEN",
            Self::Ceiling => "CEILING_FEN",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::HalfUp, Self::HalfEven, Self::Floor, Self::Ceiling].into_iter().find(|mode| mode.name() == name)
    }

    /// Divides non-negative numbers; money is split, never a debt.
    pub fn divide(self, numerator: i128, denominator: i128) -> i128 {
        assert!(numerator >= 0 && denominator > 0, "only non-negative amounts are shared");
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let up = match self {
            Self::Floor => false,
            Self::Ceiling => rest > 0,
            Self::HalfUp => rest * 2 >= denominator,
            Self::HalfEven => rest * 2 > denominator || (rest * 2 == denominator && whole % 2 == 1),
        };
        whole + i128::from(up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_share(fen: i64, rate: &str, rounding: Rounding, expected: i64, exact: &str) {
        let share = Money::fen(fen).share(Rate::parse(rate).expect("test rate"), rounding);
        assert_eq!((share.amount.as_fen(), share.exact_text().as_str()), (expected, exact), "{fen} x {rate}");
    }

    #[test]
    fn shares_round_as_named() {
        check_share(8_975_700, "0.05", Rounding::HalfUp, 448_785, "448785");
        check_share(5, "0.5", Rounding::HalfUp, 3, "2.5");
        check_share(5, "0.5", Rounding::HalfEven, 2, "2.5");
        check_share(7, "0.5", Rounding::HalfEven, 4, "3.5");
        check_share(5, "0.5", Rounding::Floor, 2, "2.5");
        check_share(1, "0.000001", Rounding::Ceiling, 1, "0.000001");
        check_share(Money::INPUT_MAX, "1", Rounding::Floor, Money::INPUT_MAX, "1000000000000");
        check_share(0, "0.7", Rounding::Ceiling, 0, "0");
    }

    #[test]
    fn the_whole_of_a_share_has_that_share() {
        for rounding in [Rounding::HalfUp, Rounding::HalfEven, Rounding::Floor, Rounding::Ceiling] {
            for rate in ["1", "0.7", "0.333333", "0.5", "0.000007"] {
                let rate = Rate::parse(rate).expect("test rate");
                for fen in [1, 2, 3, 10, 99, 1_000_003] {
                    let whole = Money::fen(fen).whole_of(rate, rounding);
                    assert_eq!(whole.share(rate, rounding).amount, Money::fen(fen), "{fen} of {rate} {rounding:?}");
                }
            }
        }
        assert_eq!(
            Money::fen(10_000).whole_of(Rate::parse("0.7").expect("a rate"), Rounding::HalfUp),
            Money::fen(14_286)
        );
    }

    #[test]
    fn rates_are_bounded_plain_decimals() {
        let row = |text: &str| Rate::parse(text).map(|rate| rate.to_string());
        assert_eq!(row("0.30"), Ok("0.3".to_owned()));
        assert_eq!(row("1"), Ok("1".to_owned()));
        assert_eq!(row("0.000001"), Ok("0.000001".to_owned()));
        assert_eq!(row("0.0000001"), Err(RateError::TooPrecise));
        assert_eq!(row("1.000001"), Err(RateError::OutOfRange));
        for bad in ["", "-0.1", "+0.1", "1e-2", "0,5", " 0.5", "0.5 ", ".", "0000000000.5"] {
            assert_eq!(row(bad), Err(RateError::NotDecimal), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_left_below_zero_by_minus_or_zero() {
        assert_eq!(Money::fen(3).minus_or_zero(Money::fen(5)), Money::ZERO);
        assert_eq!(Money::fen(5).minus_or_zero(Money::fen(3)), Money::fen(2));
    }
}
