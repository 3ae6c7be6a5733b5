//! Reading fields: every parser notes what is wrong and goes on, so that a caller hears of all bad fields at once. Values
//! never appear in what is said of them.

use jiff::civil::Date;
use tonic::Status;

use super::enums::Wire;
use super::proto;
use super::status;
use crate::domain::identity::IdNumber;
use crate::domain::ids::{BindingId, InstitutionCode, MemberId, RegionCode, RequestId, TransferId, is_printable};
use crate::domain::member::MemberRef;
use crate::domain::money::{Money, Rate};
use crate::domain::time::parse_day;
use crate::ledger::{Failure, Violation};

/// Codes and references: 1–64 visible ASCII characters.
pub const CODE_MAX: usize = 64;

/// Three values that were read, if all were good.
pub fn all3<A, B, C>(a: Option<A>, b: Option<B>, c: Option<C>) -> Option<(A, B, C)> {
    Some((a?, b?, c?))
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
    /// Told beside others, and no reason to refuse by themselves.
    beside: Vec<Violation>,
}

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a bad field.
    pub fn bad(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(Violation { field: field.into(), description: description.into() });
    }

    /// Notes what alone is judged later, because a repeat is answered whatever the day is by then, but belongs into a refusal
    /// that names all bad fields.
    pub fn beside(&mut self, fault: Result<(), Failure>) {
        if let Err(Failure::Invalid(violations)) = fault {
            self.beside.extend(violations);
        }
    }

    /// Everything that is wrong, for an answer of its own.
    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// How much is wrong so far.
    pub fn len(&self) -> usize {
        self.violations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.violations.is_empty()
    }

    /// Puts the place in front of everything noted since: `amount_fen` becomes `bill.lines[2].amount_fen`.
    pub fn place_since(&mut self, before: usize, place: &std::fmt::Arguments<'_>) {
        for violation in &mut self.violations[before..] {
            violation.field = format!("{place}.{}", violation.field);
        }
    }

    /// Ends the reading: the status that names every bad field. Also right when a value is missing and nothing was noted,
    /// which would be a bug here, and is told as one.
    pub fn refuse(mut self) -> Status {
        if self.violations.is_empty() {
            return status::of(&Failure::Bug("a field was refused without a word"));
        }
        self.violations.append(&mut self.beside);
        status::of(&Failure::Invalid(self.violations))
    }

    /// Ends the reading if anything was wrong.
    pub fn done<T>(self, value: Option<T>) -> Result<T, Status> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            Some(_) | None => Err(self.refuse()),
        }
    }

    fn note<T>(&mut self, field: &str, value: Option<T>, description: &str) -> Option<T> {
        if value.is_none() {
            self.bad(field, description);
        }
        value
    }

    pub fn request_id(&mut self, text: &str) -> Option<RequestId> {
        self.request_id_in("request_id", text)
    }

    pub fn request_id_in(&mut self, field: &str, text: &str) -> Option<RequestId> {
        self.note(field, RequestId::parse(text), "must be 1 to 64 visible ASCII characters")
    }

    pub fn institution(&mut self, field: &str, text: &str) -> Option<InstitutionCode> {
        self.note(field, InstitutionCode::parse(text), "must be 1 to 32 visible ASCII characters")
    }

    pub fn region(&mut self, field: &str, text: &str) -> Option<RegionCode> {
        self.note(field, RegionCode::parse(text), "must be a six-digit region code")
    }

    pub fn day(&mut self, field: &str, text: &str) -> Option<Date> {
        self.note(field, parse_day(text), "must be a day as YYYY-MM-DD")
    }

    /// A day that may be left out. The outer `None` says it was bad.
    pub fn optional_day(&mut self, field: &str, text: &str) -> Option<Option<Date>> {
        if text.is_empty() { Some(None) } else { self.day(field, text).map(Some) }
    }

    /// A word of a closed list; `UNSPECIFIED` and unknown numbers are refused.
    pub fn word<T: Wire>(&mut self, field: &str, number: i32) -> Option<T> {
        self.note(field, T::from_wire(number), "is required and must be a known value")
    }

    /// Money of 0 or more, up to the input bound.
    pub fn money(&mut self, field: &str, fen: i64) -> Option<Money> {
        let within = (0..=Money::INPUT_MAX).contains(&fen);
        self.note(field, within.then(|| Money::fen(fen)), "must be whole fen from 0 to 1000000000000")
    }

    /// Money above 0.
    pub fn positive(&mut self, field: &str, fen: i64) -> Option<Money> {
        let within = (1..=Money::INPUT_MAX).contains(&fen);
        self.note(field, within.then(|| Money::fen(fen)), "must be whole fen from 1 to 1000000000000")
    }

    pub fn optional_money(&mut self, field: &str, fen: Option<i64>) -> Option<Option<Money>> {
        fen.map_or(Some(None), |fen| self.money(field, fen).map(Some))
    }

    /// A code of a relation in GB/T 4761 that may be empty.
    pub fn relation_detail(&mut self, text: &str) -> Option<String> {
        let good = text.len() <= CODE_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
        self.note("relation_detail", good.then(|| text.to_owned()), "must be digits")
    }

    /// A SHA-256 as text that may be empty.
    pub fn digest(&mut self, field: &str, text: &str) -> Option<String> {
        let good = text.is_empty() || (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        self.note(field, good.then(|| text.to_owned()), "must be 64 hexadecimal characters")
    }

    /// Where a document is kept: longer than a code.
    pub fn reference(&mut self, field: &str, text: &str) -> Option<String> {
        let good = is_printable(text, 128).then(|| text.to_owned());
        self.note(field, good, "must be 1 to 128 visible ASCII characters")
    }

    /// A telephone number.
    pub fn phone(&mut self, field: &str, text: &str) -> Option<String> {
        let good = (5..=20).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'-'));
        self.note(field, good.then(|| text.to_owned()), "must be 5 to 20 digits, spaces, + or -")
    }

    pub fn rate(&mut self, field: &str, text: &str) -> Option<Option<Rate>> {
        if text.is_empty() {
            return Some(None);
        }
        match Rate::parse(text) {
            Ok(rate) => Some(Some(rate)),
            Err(error) => {
                self.bad(field, error.to_string());
                None
            }
        }
    }

    /// A code or reference that must be there. A text given whole is kept as it is.
    pub fn code(&mut self, field: &str, text: impl AsRef<str> + Into<String>) -> Option<String> {
        let good = is_printable(text.as_ref(), CODE_MAX).then(|| text.into());
        self.note(field, good, "must be 1 to 64 visible ASCII characters")
    }

    /// A code or reference that may be empty.
    pub fn optional_code(&mut self, field: &str, text: impl AsRef<str> + Into<String>) -> Option<String> {
        if text.as_ref().is_empty() { Some(String::new()) } else { self.code(field, text) }
    }

    /// A code or reference that may be left out, which leaves it empty.
    pub fn given_code(&mut self, field: &str, text: Option<String>) -> Option<String> {
        text.map_or(Some(String::new()), |text| self.code(field, text))
    }

    /// Words of people: at most `max` characters, no control characters.
    pub fn text(
        &mut self,
        field: &str,
        text: impl AsRef<str> + Into<String>,
        max: usize,
        required: bool,
    ) -> Option<String> {
        let read = text.as_ref();
        // No text has more characters than bytes.
        let short = read.len() <= max || read.chars().count() <= max;
        let short = short && !read.chars().any(char::is_control);
        let good = (short && !(required && read.trim().is_empty())).then(|| text.into());
        let what = if required {
            "must be given, short enough, and without control characters"
        } else {
            "is too long or has control characters"
        };
        self.note(field, good, what)
    }

    pub fn id_number(&mut self, field: &str, text: &str) -> Option<IdNumber> {
        match IdNumber::parse(text) {
            Ok(number) => Some(number),
            Err(error) => {
                self.bad(field, error.to_string());
                None
            }
        }
    }

    pub fn member_id(&mut self, field: &str, text: &str) -> Option<MemberId> {
        self.note(field, MemberId::parse(text), "must be mem_ and 32 hexadecimal digits")
    }

    pub fn binding_id(&mut self, field: &str, text: &str) -> Option<BindingId> {
        self.note(field, BindingId::parse(text), "must be bnd_ and 32 hexadecimal digits")
    }

    pub fn transfer_id(&mut self, field: &str, text: &str) -> Option<TransferId> {
        self.note(field, TransferId::parse(text), "must be trf_ and 32 hexadecimal digits")
    }

    /// A person as named.
    pub fn person(&mut self, field: &str, reference: Option<proto::MemberRef>) -> Option<MemberRef> {
        use proto::member_ref::Ref;
        let Some(reference) = reference.and_then(|reference| reference.r#ref) else {
            self.bad(field, "is required: one of member_id, id_number, card_number, personal_number, computer_number");
            return None;
        };
        let before = self.len();
        let read = match reference {
            Ref::MemberId(id) => self.member_id("member_id", &id).map(MemberRef::Id),
            Ref::IdNumber(number) => self.id_number("id_number", &number).map(MemberRef::IdNumber),
            Ref::CardNumber(number) => self.code("card_number", number).map(MemberRef::Card),
            Ref::PersonalNumber(number) => self.code("personal_number", number).map(MemberRef::Personal),
            Ref::ComputerNumber(number) => self.code("computer_number", number).map(MemberRef::Computer),
        };
        self.place_since(before, &format_args!("{field}"));
        read
    }

    pub fn position(&mut self, position: i64) -> Option<u64> {
        self.note("min_ledger_position", u64::try_from(position).ok(), "must be 0 or more")
    }

    pub fn page_size(&mut self, size: i32, default: u32, max: u32) -> Option<usize> {
        let size = if size == 0 { Some(default) } else { u32::try_from(size).ok().filter(|size| *size <= max) };
        let what = format!("must be 0 (for {default}) or 1 to {max}");
        self.note("page_size", size, &what).map(|size| size as usize)
    }

    /// How much of the explanation is asked for; what a method does by itself is the one documented default.
    pub fn explanation_view(&mut self, view: i32, default: proto::ExplanationView) -> Option<proto::ExplanationView> {
        let known = proto::ExplanationView::try_from(view).ok();
        let known = self.note("explanation_view", known, "must be a known value")?;
        Some(if known == proto::ExplanationView::Unspecified { default } else { known })
    }

    /// Whether personal data are asked for in full.
    pub fn full_view(&mut self, view: i32) -> Option<bool> {
        let known = proto::View::try_from(view).ok();
        self.note("view", known, "must be a known value").map(|view| view == proto::View::Full)
    }
}
