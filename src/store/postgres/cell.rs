//! Values on their way to the database and back, in its binary form.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use jiff::civil::Date;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::domain::time::Moment;

/// One value of a column. Which columns there are stands in `tables.rs`; the types there and the variants here agree.
#[derive(Clone)]
pub(super) enum Cell {
    Null,
    Uuid(u128),
    /// Bytes that find something.
    Hash([u8; 16]),
    Bytes(Vec<u8>),
    Big(i64),
    Int(i32),
    Small(i16),
    Text(String),
    Bool(bool),
    Day(Date),
    At(Moment),
}

/// The database counts days and microseconds from here.
const EPOCH: Date = jiff::civil::date(2000, 1, 1);
const EPOCH_MICROS: i64 = 946_684_800_000_000;

impl std::fmt::Debug for Cell {
    /// The driver asks for it; a value may be personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cell")
    }
}

impl Cell {
    /// A text column holds every character but this one; the fact itself is read from its bytes.
    pub fn text(text: &str) -> Self {
        Self::Text(text.replace('\0', "\u{fffd}"))
    }

    pub fn big(number: u64) -> Self {
        Self::Big(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub fn count(number: usize) -> Self {
        Self::Int(i32::try_from(number).unwrap_or(i32::MAX))
    }

    pub fn small(code: u8) -> Self {
        Self::Small(code.into())
    }

    pub fn or_null<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, make)
    }
}

impl ToSql for Cell {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Uuid(id) => out.put_u128(*id),
            Self::Hash(bytes) => out.put_slice(bytes),
            Self::Bytes(bytes) => out.put_slice(bytes),
            Self::Big(number) => out.put_i64(*number),
            Self::Int(number) => out.put_i32(*number),
            Self::Small(number) => out.put_i16(*number),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Bool(yes) => out.put_u8(u8::from(*yes)),
            Self::Day(day) => out.put_i32(EPOCH.until(*day)?.get_days()),
            Self::At(moment) => out.put_i64(moment.as_micros().saturating_sub(EPOCH_MICROS)),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as the database sent it.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An answer that is not of the shape that was asked for: another schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreadable;

pub(super) fn bytes<'r>(row: &'r Row, place: usize) -> Result<&'r [u8], Unreadable> {
    row.try_get::<_, Raw<'r>>(place).map(|raw| raw.0).map_err(|_| Unreadable)
}

pub(super) fn text(row: &Row, place: usize) -> Result<Option<String>, Unreadable> {
    row.try_get::<_, Option<String>>(place).map_err(|_| Unreadable)
}

pub(super) fn exactly<const N: usize>(row: &Row, place: usize) -> Result<[u8; N], Unreadable> {
    bytes(row, place)?.try_into().map_err(|_| Unreadable)
}

pub(super) fn digest(row: &Row, place: usize) -> Result<[u8; 32], Unreadable> {
    exactly(row, place)
}

pub(super) fn uuid(row: &Row, place: usize) -> Result<u128, Unreadable> {
    exactly(row, place).map(u128::from_be_bytes)
}

pub(super) fn small(row: &Row, place: usize) -> Result<i16, Unreadable> {
    exactly(row, place).map(i16::from_be_bytes)
}

pub(super) fn day(row: &Row, place: usize) -> Result<Date, Unreadable> {
    let days = exactly(row, place).map(i32::from_be_bytes)?;
    EPOCH.checked_add(jiff::Span::new().try_days(days).map_err(|_| Unreadable)?).map_err(|_| Unreadable)
}

pub(super) fn number(row: &Row, place: usize) -> Result<u64, Unreadable> {
    exactly(row, place).map(i64::from_be_bytes).and_then(|number| u64::try_from(number).map_err(|_| Unreadable))
}

pub(super) fn moment(row: &Row, place: usize) -> Result<Moment, Unreadable> {
    let micros = exactly(row, place).map(i64::from_be_bytes)?;
    Ok(Moment::from_micros(micros.saturating_add(EPOCH_MICROS)))
}
