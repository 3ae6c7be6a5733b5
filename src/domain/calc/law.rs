//! Which tables hold in a region on a day, and the caller's own in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::keys::{Key, Value};
use super::number::Month;
use crate::domain::ids::RegionCode;
use crate::domain::policy::Citation;
use crate::domain::vocabulary::Grade;

/// One table with its life and origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub value: Value,
    /// Canonical JSON: what readers see, what digests are made of, and what a caller may change and send back.
    pub text: String,
    /// None where the caller passed it.
    pub origin: Option<Origin>,
}

/// Where a table comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub start: Date,
    /// `start` as text: every explanation shows it.
    pub start_text: String,
    pub end: Option<Date>,
    /// Whose file says so: the region, one above it, or [`RegionCode::NATIONAL`].
    pub region: RegionCode,
    pub region_text: String,
    pub citation: Arc<Citation>,
    pub grade: Grade,
    pub note: String,
    pub known_from: Date,
    /// Where the entry stands: `national/pension.toml:80`.
    pub place: String,
}

/// The tables between two changes of any of them; at most one for each key, in the order of [`Key::ALL`].
#[derive(Clone, Debug)]
pub struct Revision {
    pub start: Date,
    pub end: Option<Date>,
    pub known_from: Date,
    pub digest: [u8; 32],
    /// The digest in hexadecimal: every explanation shows it.
    pub digest_text: String,
    pub entries: Vec<Option<Arc<Entry>>>,
}

/// What is wrong with a parameter set: a place below the value, and what.
pub type Mistakes = Vec<(String, String)>;

/// Reads one table from its JSON text, as the files are read.
pub type ReadValue = fn(Key, &str) -> Result<Entry, Mistakes>;

/// Every calculation table of every region, immutable once read.
#[derive(Clone, Debug)]
pub struct CalcBook {
    /// Each list is contiguous and its last revision is open. Regions without tables of their own share one.
    lists: Vec<Vec<Revision>>,
    of_region: BTreeMap<RegionCode, Place>,
    read: ReadValue,
    pub digest: [u8; 32],
}

/// Which list is a region's, and the days on which there is such a region; the nation's begin and end with nothing.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub list: usize,
    pub from: Option<Date>,
    pub to: Option<Date>,
}

impl CalcBook {
    pub fn new(
        lists: Vec<Vec<Revision>>,
        of_region: BTreeMap<RegionCode, Place>,
        read: ReadValue,
        digest: [u8; 32],
    ) -> Self {
        Self { lists, of_region, read, digest }
    }

    /// The tables of a region that exists on that day, or of the nation by `000000`.
    pub fn law_there(&self, region: RegionCode, on: Date) -> Option<Law<'_>> {
        let place = self.of_region.get(&region)?;
        let there = place.from.is_none_or(|from| from <= on) && place.to.is_none_or(|end| on < end);
        if there { self.law(region, on) } else { None }
    }

    /// The tables of a region, whether or not it exists on that day: whoever is insured in one that ended stays there. None
    /// for an unknown code. Before the first law there is no table.
    pub fn law(&self, region: RegionCode, on: Date) -> Option<Law<'_>> {
        let list = &self.lists[self.of_region.get(&region)?.list];
        let after = list.partition_point(|revision| revision.start <= on);
        let revision = &list[after.checked_sub(1)?];
        Some(Law { region, on, revision, own: Vec::new() })
    }

    pub fn revisions(&self, region: RegionCode) -> &[Revision] {
        self.of_region.get(&region).map_or(&[], |place| &self.lists[place.list])
    }

    /// The same without one dated table, seen from one region: what then still comes out did not rest on it.
    pub fn without(&self, region: RegionCode, entry: &Entry) -> Self {
        let mut list = self.revisions(region).to_vec();
        for place in list.iter_mut().map(|revision| &mut revision.entries[entry.key as usize]) {
            if place.as_deref() == Some(entry) {
                *place = None;
            }
        }
        let place = self.of_region.get(&region).map(|place| (region, Place { list: 0, ..*place }));
        Self { lists: vec![list], of_region: place.into_iter().collect(), read: self.read, digest: self.digest }
    }

    pub fn read(&self, key: Key, text: &str) -> Result<Entry, Mistakes> {
        (self.read)(key, text)
    }
}

/// What one region's tables say on one day.
#[derive(Clone, Debug)]
pub struct Law<'a> {
    pub region: RegionCode,
    pub on: Date,
    pub revision: &'a Revision,
    /// The caller's parameter set (a what-if).
    pub own: Vec<Entry>,
}

impl Law<'_> {
    pub fn entry(&self, key: Key) -> Option<&Entry> {
        let own = self.own.iter().find(|entry| entry.key == key);
        own.or_else(|| self.revision.entries.get(key as usize)?.as_deref())
    }

    /// Nobody is born after the day asked about.
    pub fn born(&self, field: &'static str, birth: Month) -> Result<(), Refusal> {
        let born = birth <= Month::of(self.on);
        if born { Ok(()) } else { Err(Refusal::field(field, "lies after the day asked about")) }
    }

    /// Nobody pays for more months than there were since birth.
    pub fn lived(&self, field: &'static str, months: u32, birth: Month) -> Result<(), Refusal> {
        let age = Month::of(self.on).since(birth);
        if months <= age { Ok(()) } else { Err(Refusal::field(field, format!("is more than the {age} months lived"))) }
    }

    pub(super) fn value(&self, key: Key) -> Result<&Value, Refusal> {
        self.entry(key).map(|entry| &entry.value).ok_or(Refusal::NotKnown(key))
    }
}

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No table for this region and day; the caller may pass one.
    NotKnown(Key),
    /// Fields that the tables of the day do not admit, each with what is wrong.
    Fields(Vec<(&'static str, String)>),
}

impl Refusal {
    pub fn field(name: &'static str, what: impl Into<String>) -> Self {
        Self::Fields(vec![(name, what.into())])
    }
}

/// Two things judged apart: what is wrong with either is told together. A table that is not known comes first.
pub(super) fn both<A, B>(one: Result<A, Refusal>, other: Result<B, Refusal>) -> Result<(A, B), Refusal> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Refusal::Fields(mut fields)), Err(Refusal::Fields(more))) => {
            fields.extend(more);
            Err(Refusal::Fields(fields))
        }
        (Err(unknown @ Refusal::NotKnown(_)), _) | (_, Err(unknown @ Refusal::NotKnown(_))) => Err(unknown),
        (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(refusal),
    }
}
