//! Settings as TOML text.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::{Config, MaybeAddress, StoreChoice};
use crate::store::postgres::DatabaseUrl;

/// A value as TOML text.
pub(super) trait ToToml {
    /// How many words follow its flag: a yes may be left unsaid.
    const VALUES: RangeInclusive<usize> = 1..=1;

    fn to_toml(&self) -> String;
}

/// A setting as a line of a file. A password is not printed, and what stands in its place is none.
pub(super) fn line(name: &str, value: &str) -> String {
    let comment = if value.contains(":***@") { "# " } else { "" };
    format!("{comment}{name} = {value}\n")
}

macro_rules! to_toml {
    ($($type:ty: $quote:literal;)*) => {$(
        impl ToToml for $type {
            fn to_toml(&self) -> String {
                if $quote { format!("{:?}", self.to_string()) } else { self.to_string() }
            }
        }
    )*};
}
to_toml! { u32: false; u64: false; String: true; SocketAddr: true; StoreChoice: true; DatabaseUrl: true; MaybeAddress: true; }

impl ToToml for bool {
    const VALUES: RangeInclusive<usize> = 0..=1;

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl ToToml for PathBuf {
    fn to_toml(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

/// The setting whose value begins here, where it is one.
fn key(before: &str) -> String {
    let line = before.rsplit('\n').next().unwrap_or_default();
    let name = line.trim().trim_end_matches('=').trim_end();
    let is_setting = Config::defaults().iter().any(|(known, _)| *known == name);
    if is_setting { format!("{name}: ") } else { String::new() }
}

/// What a value should be, for who knows no Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        "a boolean" => "true or false",
        "a string" => "text in quotation marks",
        "socket address" => "an address and port in quotation marks, such as \"127.0.0.1:50051\"",
        other => other,
    }
}

/// What is wrong with a text, and in which line, without the line itself: it may hold a password.
pub(super) fn told(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let message = error.message();
    let what = match message.rsplit_once(", expected ") {
        // A key is no secret, and which there are `gongji config` tells.
        Some(_) if message.starts_with("unknown field") => message.split(',').next().unwrap_or_default().to_owned(),
        // What a value is instead of what it should be may be the value.
        Some((invalid, expected)) if invalid.starts_with("invalid type") || invalid.starts_with("invalid value") => {
            format!("{}must be {}", key(before), in_words(expected))
        }
        Some(_) => "is not as TOML is written".to_owned(),
        None => message.to_owned(),
    };
    format!("line {}: {what}", before.matches('\n').count() + 1)
}
