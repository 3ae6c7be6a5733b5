//! The canonical bytes of stored things: variable-length integers, fields in a stated order, one version byte in front.
//!
//! These bytes are hashed into the chain and kept for ever, so they are written down field by field here rather than
//! derived from the shape of a Rust type. Each stored type lists its fields once (`record.rs`), in stored order.

use std::borrow::Cow;
use std::sync::Arc;

use arrayvec::ArrayVec;
use jiff::civil::Date;
use smol_str::SmolStr;

use crate::domain::calc::words;
use crate::domain::identity::IdNumber;
use crate::domain::ids::{BindingId, CertificationId, InstitutionCode, MemberId, RegionCode, SettlementId, TransferId};
use crate::domain::money::{Money, Rate, Rounding};
use crate::domain::policy::Param;
use crate::domain::reason::Reason;
use crate::domain::rule::{Input, Rule};
use crate::domain::time::{Moment, day_from_number, day_number};
use crate::domain::vocabulary as vocab;

pub(crate) use super::listed::{stored, stored_enum};

/// Bytes that cannot be read back: damage, or a newer format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("ends too early")]
    Short,
    #[error("has an unknown code or value")]
    Value,
    #[error("has bytes left over")]
    Trailing,
    #[error("was written in format {0}, which this version does not read")]
    Version(u8),
}

/// A value with one canonical byte form.
pub trait Stored: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError>;
}

/// Writes the version byte and the value.
pub fn encode<T: Stored>(version: u8, value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.push(version);
    value.put(&mut out);
    out
}

/// Reads what [`encode`] wrote with the same version, and nothing more.
pub fn decode<T: Stored>(version: u8, bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = bytes;
    match u8::take(&mut input)? {
        found if found == version => {}
        found => return Err(DecodeError::Version(found)),
    }
    let value = T::take(&mut input)?;
    if input.is_empty() { Ok(value) } else { Err(DecodeError::Trailing) }
}

fn take_bytes<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    let (head, tail) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
    *input = tail;
    Ok(head)
}

fn take_text<'a>(input: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let length = usize::try_from(u64::take(input)?).map_err(|_| DecodeError::Value)?;
    std::str::from_utf8(take_bytes(input, length)?).map_err(|_| DecodeError::Value)
}

impl Stored for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        take_bytes(input, 1).map(|bytes| bytes[0])
    }
}

impl Stored for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value),
        }
    }
}

/// LEB128.
impl Stored for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    #[inline]
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        // As nearly all are.
        if let [byte, rest @ ..] = *input
            && *byte < 0x80
        {
            *input = rest;
            return Ok(Self::from(*byte));
        }
        take_long(input)
    }
}

fn take_long(input: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = u8::take(input)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(DecodeError::Value);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Value)
}

/// Zigzag, so that small negative numbers stay small.
impl Stored for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        (((*self << 1) ^ (*self >> 63)) as u64).put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let raw = u64::take(input)?;
        Ok(((raw >> 1) as Self) ^ -((raw & 1) as Self))
    }
}

macro_rules! through {
    ($($small:ty as $wide:ty;)*) => {$(
        impl Stored for $small {
            fn put(&self, out: &mut Vec<u8>) {
                <$wide>::from(*self).put(out);
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                Self::try_from(<$wide>::take(input)?).map_err(|_| DecodeError::Value)
            }
        }
    )*};
}
through! { u16 as u64; u32 as u64; i16 as i64; i32 as i64; }

impl<const N: usize> Stored for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let bytes = take_bytes(input, N)?;
        Self::try_from(bytes).map_err(|_| DecodeError::Short)
    }
}

impl Stored for String {
    fn put(&self, out: &mut Vec<u8>) {
        Cow::Borrowed(self.as_str()).put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        take_text(input).map(str::to_owned)
    }
}

/// As other texts.
impl Stored for SmolStr {
    fn put(&self, out: &mut Vec<u8>) {
        Cow::Borrowed(self.as_str()).put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        take_text(input).map(Self::new)
    }
}

impl Stored for Cow<'_, str> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self.as_bytes());
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        String::take(input).map(Self::Owned)
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = usize::try_from(u64::take(input)?).map_err(|_| DecodeError::Value)?;
        // Every item takes a byte at least, so a damaged length cannot ask for more memory than there is input.
        if length > input.len() {
            return Err(DecodeError::Short);
        }
        (0..length).map(|_| T::take(input)).collect()
    }
}

/// As a list that is never longer than `N`.
impl<T: Stored, const N: usize> Stored for ArrayVec<T, N> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|item| item.put(out));
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = usize::try_from(u64::take(input)?).ok().filter(|length| *length <= N);
        (0..length.ok_or(DecodeError::Value)?).map(|_| T::take(input)).collect()
    }
}

impl<T: Stored> Stored for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        if bool::take(input)? { T::take(input).map(Some) } else { Ok(None) }
    }
}

impl<T: Stored> Stored for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        T::take(input).map(Self::new)
    }
}

impl<T: Stored> Stored for Arc<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        T::take(input).map(Self::new)
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

macro_rules! coded {
    ($($name:path),* $(,)?) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.code().put(out);
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                Self::from_code(u8::take(input)?).ok_or(DecodeError::Value)
            }
        }
    )*};
}
coded!(
    vocab::Relation,
    vocab::Mode,
    vocab::Bucket,
    vocab::Purpose,
    vocab::Component,
    vocab::InstitutionKind,
    vocab::ListClass,
    vocab::Category,
    vocab::Scheme,
    vocab::InsuranceState,
    vocab::Channel,
    words::CertificationChannel,
    words::CertificationState,
    words::Precondition,
    vocab::Grant,
    vocab::Grade,
    vocab::Sex,
    vocab::CardChannel,
    crate::domain::record::Job,
    Rule,
    Input,
    Param,
);

macro_rules! raw_id {
    ($($name:ident),*) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.as_u128().to_be_bytes());
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                <[u8; 16]>::take(input).map(|bytes| Self::from_u128(u128::from_be_bytes(bytes)))
            }
        }
    )*};
}
raw_id!(MemberId, BindingId, SettlementId, TransferId, CertificationId);

macro_rules! text {
    ($($name:ty, $to:expr, $from:expr;)*) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&$name) -> &str = $to;
                Cow::Borrowed(to(self)).put(out);
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                let from: fn(&str) -> Option<$name> = $from;
                from(take_text(input)?).ok_or(DecodeError::Value)
            }
        }
    )*};
}
text! {
    InstitutionCode, InstitutionCode::as_str, InstitutionCode::parse;
    IdNumber, IdNumber::reveal, |text| IdNumber::parse(text).ok();
    Rounding, |mode| mode.name(), Rounding::parse;
    Reason, |reason| reason.name(), |name| Reason::ALL.iter().copied().find(|reason| reason.name() == name);
}

macro_rules! converted {
    ($($name:ty, $wire:ty, $to:expr, $from:expr;)*) => {$(
        impl Stored for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&$name) -> $wire = $to;
                to(self).put(out);
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                let from: fn($wire) -> Option<$name> = $from;
                from(<$wire>::take(input)?).ok_or(DecodeError::Value)
            }
        }
    )*};
}
converted! {
    Money, i64, |money| money.as_fen(), |fen| Some(Money::fen(fen));
    Rate, i64, |rate| rate.scaled(), Rate::from_scaled;
    Moment, i64, |moment| moment.as_micros(), |micros| Some(Moment::from_micros(micros));
    Date, i32, |day| day_number(*day), day_from_number;
    RegionCode, u32, |code| code.as_u32(), RegionCode::from_u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_at_their_edges() {
        for value in [0_i64, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            assert_eq!(decode::<i64>(1, &encode(1, &value)), Ok(value));
        }
        assert_eq!(decode::<u64>(1, &encode(1, &u64::MAX)), Ok(u64::MAX));
    }

    #[test]
    fn damage_is_named_and_never_panics() {
        let good = encode(1, &vec!["欧阳".to_owned(), "b".to_owned()]);
        assert_eq!(decode::<Vec<String>>(2, &good), Err(DecodeError::Version(1)));
        assert_eq!(decode::<Vec<String>>(1, &good[..good.len() - 1]), Err(DecodeError::Short));
        assert_eq!(decode::<Vec<String>>(1, &[&good[..], &[0]].concat()), Err(DecodeError::Trailing));
        assert_eq!(decode::<Vec<u8>>(1, &[1, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(DecodeError::Short));
        assert_eq!(
            decode::<u64>(1, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            Err(DecodeError::Value)
        );
        assert_eq!(decode::<bool>(1, &[1, 2]), Err(DecodeError::Value));
    }
}
