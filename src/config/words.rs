//! Settings that are words of their own.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};

use serde::Deserialize;

/// Where the ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreChoice {
    /// On disk in the data directory, synced before every answer. One process at a time.
    Embedded,
    /// In this process; a stop forgets everything.
    Memory,
    /// In a PostgreSQL database, shared by any number of processes.
    Postgres,
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
        })
    }
}

/// An address, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MaybeAddress(pub Option<SocketAddr>);

impl std::str::FromStr for MaybeAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

impl TryFrom<String> for MaybeAddress {
    type Error = AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for MaybeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| address.fmt(f))
    }
}
