//! Instants and Chinese civil days. Nothing here reads a clock: time comes in as a parameter.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Chinese civil time is a fixed +08:00; policies change at its midnight.
pub const CIVIL_OFFSET_HOURS: i8 = 8;

/// An instant in microseconds since 1970-01-01T00:00:00Z, always made by the server's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The instant after it: no clock here tells smaller steps.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub fn plus_seconds(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(i64::from(seconds).saturating_mul(1_000_000)))
    }

    /// The midnight in China that ends this instant's civil day.
    #[must_use]
    pub const fn day_end(self) -> Self {
        const DAY: i64 = 86_400_000_000;
        const OFFSET: i64 = CIVIL_OFFSET_HOURS as i64 * 3_600_000_000;
        let days = self.0.saturating_add(OFFSET).div_euclid(DAY).saturating_add(1);
        Self(days.saturating_mul(DAY).saturating_sub(OFFSET))
    }

    /// The civil day in China at this instant.
    pub fn civil_day(self) -> Date {
        self.civil().date()
    }

    /// The time of that day, to the microsecond.
    pub fn civil_time(self) -> Time {
        self.civil().time()
    }

    fn civil(self) -> DateTime {
        let stamp = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX);
        Offset::constant(CIVIL_OFFSET_HOURS).to_datetime(stamp)
    }

    /// The instant of a civil day and time in China.
    pub fn of_civil(day: Date, time: Time) -> Self {
        let stamp = Offset::constant(CIVIL_OFFSET_HOURS).to_timestamp(day.to_datetime(time));
        Self(stamp.map_or(i64::MAX, Timestamp::as_microsecond))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_microsecond(self.0) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Reads `YYYY-MM-DD` and nothing else; years 1900 to 2999.
pub fn parse_day(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    if !shaped {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i16>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let in_range = (1900..3000).contains(&year);
    if in_range { Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok() } else { None }
}

/// A day as `YYYY-MM-DD`: what `to_string` makes too, in a fraction of the time.
pub fn day_text(day: Date) -> String {
    let Ok(year) = u16::try_from(day.year()) else { return day.to_string() };
    let digit = |number: u16, unit: u16| b'0' + (number / unit % 10) as u8;
    let (month, of_month) = (day.month().unsigned_abs().into(), day.day().unsigned_abs().into());
    let text = [
        digit(year, 1_000),
        digit(year, 100),
        digit(year, 10),
        digit(year, 1),
        b'-',
        digit(month, 10),
        digit(month, 1),
        b'-',
        digit(of_month, 10),
        digit(of_month, 1),
    ];
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

/// A day as one number, `20261122`, for stored records and order keys.
pub fn day_number(day: Date) -> i32 {
    i32::from(day.year()) * 10_000 + i32::from(day.month()) * 100 + i32::from(day.day())
}

pub fn day_from_number(number: i32) -> Option<Date> {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_exact_text() {
        assert_eq!(parse_day("2024-02-29").map(day_number), Some(20_240_229));
        for bad in [
            "2023-02-29",
            "2024-2-29",
            "24-02-29",
            "2024-13-01",
            "2024-02-29 ",
            "1899-12-31",
            "3000-01-01",
            "+024-01-01",
        ] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
        assert_eq!(day_from_number(20_240_229), parse_day("2024-02-29"));
        for text in ["1900-01-01", "2024-02-29", "2999-12-31"] {
            let day = parse_day(text).expect("a day");
            assert_eq!((day_text(day), day.to_string()), (text.to_owned(), text.to_owned()));
        }
        assert_eq!(day_from_number(20_230_229), None);
    }

    #[test]
    fn the_day_turns_at_chinese_midnight() {
        let before = Moment::from_micros(1_733_068_799_999_999); // 2024-12-01T23:59:59.999999+08:00
        assert_eq!(before.civil_day().to_string(), "2024-12-01");
        assert_eq!(before.plus_seconds(1).civil_day().to_string(), "2024-12-02");
        assert_eq!([before.day_end(), before.next().day_end()], [before.next(), before.next().plus_seconds(86_400)]);
        for micros in [0, -1, -28_800_000_001, 57_600_000_000, 1_767_110_399_999_999] {
            let now = Moment::from_micros(micros);
            let tomorrow = now.civil_day().tomorrow().expect("a day");
            assert_eq!(now.day_end(), Moment::of_civil(tomorrow, Time::midnight()), "{now}");
        }
    }
}
