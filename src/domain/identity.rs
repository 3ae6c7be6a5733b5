//! GB 11643 citizen identity numbers (公民身份号码): check character, real birth date, the old 15-digit form; and masking.

use std::fmt;

use jiff::civil::Date;

use super::vocabulary::Sex;

/// A checked 18-character identity number. Personal data: it has no `Display`, and its `Debug` is masked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdNumber(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdNumberError {
    #[error("must be 18 characters, or the old 15 digits")]
    Shape,
    #[error("names no possible birth date")]
    BirthDate,
    #[error("has a wrong check character")]
    Check,
}

impl IdNumber {
    /// Reads 17 digits and a check character (`x` is taken for `X`), or 15 digits, which are completed with the century 19.
    pub fn parse(text: &str) -> Result<Self, IdNumberError> {
        let bytes = text.as_bytes();
        let digits = |range: &[u8]| range.iter().all(u8::is_ascii_digit);
        let full = match bytes.len() {
            15 if digits(bytes) => {
                let body = format!("{}19{}", &text[..6], &text[6..]);
                let check = check_character(body.as_bytes());
                format!("{body}{check}")
            }
            18 if digits(&bytes[..17]) && matches!(bytes[17], b'0'..=b'9' | b'X' | b'x') => text.to_ascii_uppercase(),
            _ => return Err(IdNumberError::Shape),
        };
        let number = Self(full);
        number.date().ok_or(IdNumberError::BirthDate)?;
        if char::from(number.0.as_bytes()[17]) != check_character(&number.0.as_bytes()[..17]) {
            return Err(IdNumberError::Check);
        }
        Ok(number)
    }

    /// The characters themselves, for storage and keyed look-up only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn date(&self) -> Option<Date> {
        let part = |range: std::ops::Range<usize>| self.0[range].parse::<i16>().ok();
        let (year, month, day) = (part(6..10)?, part(10..12)?, part(12..14)?);
        if year < 1850 {
            return None;
        }
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    }

    pub fn birth_date(&self) -> Date {
        self.date().expect("checked when read")
    }

    /// Full years on a day: who has a birthday that day is a year older.
    pub fn age_on(&self, day: Date) -> u32 {
        let birth = self.birth_date();
        let had_birthday = (day.month(), day.day()) >= (birth.month(), birth.day());
        let years = i32::from(day.year()) - i32::from(birth.year()) - i32::from(!had_birthday);
        u32::try_from(years).unwrap_or_default()
    }

    /// Odd sequence numbers are male.
    pub fn sex(&self) -> Sex {
        let odd = (self.0.as_bytes()[16] - b'0') % 2 == 1;
        if odd { Sex::Male } else { Sex::Female }
    }

    /// `4403**********002X`.
    pub fn masked(&self) -> String {
        format!("{}**********{}", &self.0[..4], &self.0[14..])
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdNumber(masked)")
    }
}

/// ISO 7064 MOD 11-2 over the first 17 digits.
pub fn check_character(body: &[u8]) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let sum: u32 = body.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    CHECKS[(sum % 11) as usize]
}

/// `张*`, `欧**`: the first character stays, unless it is the only one, and no more than two stars tell the length.
pub fn mask_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    match letters.count() {
        0 => "*".to_owned(),
        rest => first + &"*".repeat(rest.min(2)),
    }
}

/// The last four characters stay, but where fewer than four would be hidden: of those, what is beyond the fourth.
pub fn mask_number(number: &str) -> String {
    let length = number.chars().count();
    let shown = length.saturating_sub(4).min(4);
    let tail: String = number.chars().skip(length - shown).collect();
    "*".repeat(length - shown) + &tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: &str, expected: Result<(&str, Sex), IdNumberError>) {
        let read = IdNumber::parse(number).map(|id| (id.birth_date().to_string(), id.sex()));
        assert_eq!(read, expected.map(|(day, sex)| (day.to_owned(), sex)), "{number}");
    }

    #[test]
    fn published_numbers() {
        check("11010519491231002X", Ok(("1949-12-31", Sex::Female))); // W-110
        check("11010519491231002x", Ok(("1949-12-31", Sex::Female)));
        check("110101202311012176", Ok(("2023-11-01", Sex::Male))); // W-112
        check("110101202311012171", Err(IdNumberError::Check));
        check("110101196501011213", Ok(("1965-01-01", Sex::Male))); // W-113
        check("110101198501012426", Ok(("1985-01-01", Sex::Female)));
        check("130181196501010013", Ok(("1965-01-01", Sex::Male))); // W-114
        check("500235201006150035", Ok(("2010-06-15", Sex::Male)));
        check("133100200907310052", Ok(("2009-07-31", Sex::Male)));
        check("420600198411011204", Ok(("1984-11-01", Sex::Female)));
        check("429005197503010025", Ok(("1975-03-01", Sex::Female))); // W-117
        check("510100197005011284", Ok(("1970-05-01", Sex::Female)));
        check("320500199001019997", Ok(("1990-01-01", Sex::Male)));
    }

    #[test]
    fn malformed_numbers() {
        check("110105491231002", Ok(("1949-12-31", Sex::Female)));
        check("110105490231002", Err(IdNumberError::BirthDate));
        check("11010519490231002X", Err(IdNumberError::BirthDate));
        for bad in
            ["", "1101051949123100", "11010519491231002Y", "1101051949123100２X", "X1010519491231002X", "１１０１０５"]
        {
            check(bad, Err(IdNumberError::Shape));
        }
    }

    #[test]
    fn masks_show_what_a_person_needs_to_recognise_it() {
        assert_eq!(IdNumber::parse("11010519491231002X").expect("valid").masked(), "1101**********002X");
        assert_eq!(
            (mask_name("张三"), mask_name("欧阳小明"), mask_name("王")),
            ("张*".into(), "欧**".into(), "*".into())
        );
        let check = |number: &str, masked: &str| assert_eq!(mask_number(number), masked, "{number}");
        check("6217000012345678", "************5678");
        check("12345678", "****5678");
        check("123456", "****56");
        check("12345", "****5");
        check("1234", "****");
    }
}
