//! Fields that only calculations have.

use crate::domain::calc::number::{Factor, Month};
use crate::domain::calc::words::RetirementClass;
use crate::domain::reason::Reason;
use crate::domain::time::parse_day;
use crate::grpc::enums::Wire;
use crate::grpc::explanation::reason_notes;
use crate::grpc::fields::Fields;
use crate::grpc::proto;

/// A hundred years: longer than any life of work.
pub const MONTHS_MAX: i32 = 1_200;

/// `YES` without reasons.
pub fn decision(reasons: &[Reason]) -> i32 {
    (if reasons.is_empty() { proto::Decision::Yes } else { proto::Decision::No }) as i32
}

pub fn notes(reasons: &[Reason]) -> Vec<proto::ReasonNote> {
    reason_notes(reasons)
}

/// Whole numbers are small: what does not fit is a bug, and reads as the largest.
pub fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl Fields {
    /// A number of months, years or times.
    pub fn count(&mut self, field: &str, number: i32, least: i32, most: i32) -> Option<u32> {
        let good = (least..=most).contains(&number);
        if !good {
            self.bad(field, format!("must be {least} to {most}"));
        }
        u32::try_from(number).ok().filter(|_| good)
    }

    pub fn month(&mut self, field: &str, text: &str) -> Option<Month> {
        let month = Month::parse(text);
        if month.is_none() {
            self.bad(field, "must be a month as YYYY-MM");
        }
        month
    }

    /// A month that may be left out. The outer `None` says it was bad.
    pub fn optional_month(&mut self, field: &str, text: &str) -> Option<Option<Month>> {
        if text.is_empty() { Some(None) } else { self.month(field, text).map(Some) }
    }

    pub fn factor(&mut self, field: &str, text: &str) -> Option<Factor> {
        Factor::parse(text).map_err(|what| self.bad(field, what)).ok()
    }

    pub fn optional_factor(&mut self, field: &str, text: &str) -> Option<Option<Factor>> {
        if text.is_empty() { Some(None) } else { self.factor(field, text).map(Some) }
    }

    /// A word of a closed list that may be left out.
    pub fn optional_word<T: Wire>(&mut self, field: &str, number: i32) -> Option<Option<T>> {
        if number == 0 {
            return Some(None);
        }
        let known = T::from_wire(number);
        if known.is_none() {
            self.bad(field, "must be a known value");
        }
        known.map(Some)
    }

    /// `YYYY-MM-DD`, or `YYYY-MM` where only the month is known.
    pub fn birth(&mut self, field: &str, text: &str) -> Option<(Month, Option<i8>)> {
        if text.len() == 7 {
            return self.month(field, text).map(|month| (month, None));
        }
        let day = parse_day(text);
        if day.is_none() {
            self.bad(field, "must be a day as YYYY-MM-DD, or a month as YYYY-MM");
        }
        day.map(|day| (Month::of(day), Some(day.day())))
    }

    /// Class and birth, both or neither.
    pub fn optional_worker(&mut self, class: i32, birth: &str) -> Option<Option<(RetirementClass, Month)>> {
        match (class, birth) {
            (0, "") => Some(None),
            (0, _) => {
                self.bad("class", "is required with birth_date");
                self.birth("birth_date", birth);
                None
            }
            (_, "") => {
                self.word::<RetirementClass>("class", class);
                self.bad("birth_date", "is required with class");
                None
            }
            (class, birth) => {
                let (class, birth) = (self.word("class", class), self.birth("birth_date", birth));
                Some(Some((class?, birth?.0)))
            }
        }
    }

    /// Notes a field that belongs to another kind of request.
    pub fn foreign(&mut self, field: &str, given: bool, of: &str) {
        if given {
            self.bad(field, format!("belongs to {of} only"));
        }
    }
}
