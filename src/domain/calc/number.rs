//! Exact numbers of the calculations: factors with six decimals, fractions without loss, months. Nothing here is rounded
//! but by a named mode.

use std::fmt;

use jiff::civil::{Date, date};
use rust_decimal::Decimal;

use crate::domain::money::{Money, Rounding};

/// A number from 0 to 1000 with at most six decimals, held as millionths: bounds such as 60 % and 300 %, indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Factor(i64);

impl Factor {
    pub const SCALE: i64 = 1_000_000;
    pub const ONE: Self = Self(Self::SCALE);
    const MAX: i64 = 1_000 * Self::SCALE;

    /// Reads plain decimal text such as `0.6` or `3`; refuses signs, exponents and more than six decimals.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let plain = !text.is_empty() && text.len() <= 11 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let decimal = if plain { Decimal::from_str_exact(text).ok() } else { None };
        let mut decimal = decimal.ok_or("is not a plain decimal such as 0.6")?;
        if decimal.scale() > 6 {
            return Err("has more than six decimals");
        }
        decimal.rescale(6);
        let scaled = i64::try_from(decimal.mantissa()).unwrap_or(i64::MAX);
        if scaled > Self::MAX { Err("lies outside 0 to 1000") } else { Ok(Self(scaled)) }
    }

    pub const fn millionths(self) -> i64 {
        self.0
    }

    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every line of every answer names a rate, and the decimal library's formatter is several times slower.
        let (whole, mut rest) = (self.0 / Self::SCALE, self.0 % Self::SCALE);
        if rest == 0 {
            return whole.fmt(f);
        }
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let text = std::str::from_utf8(&digits).map_err(|_| fmt::Error)?;
        write!(f, "{whole}.{}", text.trim_end_matches('0'))
    }
}

/// An exact fraction of a non-negative number. Bounds on what comes in keep every product below within 127 bits; if one did
/// not fit, the call stops rather than carry on with a wrong number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    pub const ONE: Self = Self { num: 1, den: 1 };

    pub fn new(num: i128, den: i128) -> Self {
        assert!(num >= 0 && den > 0, "fractions here are not negative");
        let common = gcd(num, den);
        Self { num: num / common, den: den / common }
    }

    pub fn of(money: Money) -> Self {
        Self::new(i128::from(money.as_fen()), 1)
    }

    pub fn factor(factor: Factor) -> Self {
        Self::new(i128::from(factor.millionths()), i128::from(Factor::SCALE))
    }

    pub fn whole(number: u32) -> Self {
        Self::new(i128::from(number), 1)
    }

    pub fn numerator(self) -> i128 {
        self.num
    }

    pub fn denominator(self) -> i128 {
        self.den
    }

    /// The nearest number of `decimals` decimals, by `mode`.
    pub fn round(self, decimals: u32, mode: Rounding) -> Self {
        let scale = 10_i128.pow(decimals);
        Self::new(mode.divide(times(self.num, scale), self.den), scale)
    }

    /// Whole fen, where this is an amount in fen.
    pub fn fen(self, mode: Rounding) -> Money {
        let fen = mode.divide(self.num, self.den);
        Money::fen(i64::try_from(fen).expect("amounts are bounded"))
    }

    /// Decimal text: exact where it ends within twelve decimals, else cut there and closed with `…`.
    pub fn text(self) -> String {
        let whole = self.num / self.den;
        let mut rest = self.num % self.den;
        let mut text = whole.to_string();
        if rest > 0 {
            text.push('.');
        }
        for _ in 0..12 {
            if rest == 0 {
                return text;
            }
            rest = times(rest, 10);
            text.push(char::from(b'0' + u8::try_from(rest / self.den).expect("a digit")));
            rest %= self.den;
        }
        if rest > 0 {
            text.push('…');
        }
        text
    }

    /// The same as a number that programs read: cut off where it does not end.
    pub fn decimal(self) -> String {
        self.text().trim_end_matches('…').to_owned()
    }
}

impl std::ops::Mul for Ratio {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        // Crosswise first, so that products stay small.
        let (a, b) = (Self::new(self.num, other.den), Self::new(other.num, self.den));
        Self { num: times(a.num, b.num), den: times(a.den, b.den) }
    }
}

impl std::ops::Div for Ratio {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        assert!(other.num > 0, "no division by zero");
        self * Self { num: other.den, den: other.num }
    }
}

impl std::ops::Add for Ratio {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let common = gcd(self.den, other.den);
        let (mine, theirs) = (other.den / common, self.den / common);
        let num = times(self.num, mine).checked_add(times(other.num, theirs)).expect("bounded");
        Self::new(num, times(self.den, mine))
    }
}

fn times(a: i128, b: i128) -> i128 {
    a.checked_mul(b).expect("bounded inputs")
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// A calendar month, counted from the year 0. The law of retirement and contribution speaks of months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

impl Month {
    /// Reads `YYYY-MM`; years 1900 to 2999.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 7
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return None;
        }
        let (year, month) = (text[..4].parse::<i32>().ok()?, text[5..].parse::<i32>().ok()?);
        ((1900..3000).contains(&year) && (1..=12).contains(&month)).then(|| Self(year * 12 + month - 1))
    }

    pub fn of(day: Date) -> Self {
        Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1)
    }

    pub fn new(year: i32, month: i32) -> Self {
        Self(year * 12 + month - 1)
    }

    pub fn plus(self, months: u32) -> Self {
        Self(self.0.saturating_add(i32::try_from(months).unwrap_or(i32::MAX)))
    }

    pub fn minus(self, months: u32) -> Self {
        Self(self.0.saturating_sub(i32::try_from(months).unwrap_or(i32::MAX)))
    }

    /// Months from `earlier` to this one; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> u32 {
        u32::try_from(self.0 - earlier.0).unwrap_or(0)
    }

    pub fn year(self) -> i32 {
        self.0.div_euclid(12)
    }

    pub fn month(self) -> i32 {
        self.0.rem_euclid(12) + 1
    }

    /// The first day.
    pub fn first_day(self) -> Date {
        let year = i16::try_from(self.year().clamp(0, 9_998)).expect("clamped");
        date(year, i8::try_from(self.month()).expect("1 to 12"), 1)
    }

    /// This day of the month, or the month's last one where it has fewer.
    pub fn day(self, day: i8) -> Date {
        let first = self.first_day();
        let last = first.days_in_month();
        date(first.year(), first.month(), day.clamp(1, last))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As with factors: every answer names months.
        let (year, month) = (self.year(), self.month());
        if !(0..10_000).contains(&year) {
            return write!(f, "{year:04}-{month:02}");
        }
        let digit = |number: i32| b'0' + u8::try_from(number % 10).unwrap_or(0);
        let text = [
            digit(year / 1000),
            digit(year / 100),
            digit(year / 10),
            digit(year),
            b'-',
            digit(month / 10),
            digit(month),
        ];
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// `60年1个月`-like length in a form both languages read: `60y1m`.
pub fn age_text(months: u32) -> String {
    format!("{}y{}m", months / 12, months % 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_exact_and_round_as_named() {
        let third = Ratio::new(1, 3);
        assert_eq!((third + third + third, third.text().as_str()), (Ratio::ONE, "0.333333333333…"));
        assert_eq!(
            (Ratio::new(7_200_000, 139).fen(Rounding::HalfUp), Ratio::new(5, 8).text()),
            (Money::fen(51_799), "0.625".into())
        );
        assert_eq!(Ratio::new(43_416_666, 1_000_000).round(4, Rounding::HalfUp).text(), "43.4167");
        assert_eq!(Ratio::new(25, 1000).round(2, Rounding::HalfEven).text(), "0.02");
        assert_eq!((Ratio::new(6, 4) / Ratio::new(3, 2)).text(), "1");
    }

    #[test]
    fn months_count_and_clamp() {
        let month = |text: &str| Month::parse(text).expect("a month");
        assert_eq!(month("1972-01").plus(742).to_string(), "2033-11");
        assert_eq!(month("2033-11").day(31).to_string(), "2033-11-30");
        assert_eq!((month("2025-02").since(month("2024-12")), month("2024-12").since(month("2025-02"))), (2, 0));
        for bad in ["2025-13", "2025-00", "1899-12", "3000-01", "2025-1", "2025-01-01", "2０25-01"] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn factors_are_bounded_plain_decimals() {
        let row = |text: &str| Factor::parse(text).map(|factor| factor.to_string());
        assert_eq!((row("3"), row("0.60"), row("1000")), (Ok("3".into()), Ok("0.6".into()), Ok("1000".into())));
        assert_eq!((row("0.000001"), row("12.050")), (Ok("0.000001".into()), Ok("12.05".into())));
        for bad in ["", "-1", "+1", "1e3", "0.0000001", "1000.000001", "٣"] {
            assert!(row(bad).is_err(), "{bad}");
        }
    }
}
