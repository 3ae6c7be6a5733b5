//! The facts of one shard. Places are small: most keys are a kind and 16 bytes, and a fact that is written once and looked
//! at seldom lies in the body of the change that put it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::domain::ids::MemberId;
use crate::store::entity::{Entity, Key, Standing};
use crate::store::folding::{Folding, Shards};
use crate::store::record::encode_entity_into;

/// Where a key lies, worked out once for all that is done with it.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    hash: u64,
    pub shard: usize,
    /// The key where it is a kind and 16 bytes.
    name: Option<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    kind: u8,
    id: [u64; 2],
}

impl Name {
    /// Kinds as in the key's own bytes, by which it is read again.
    fn of(key: &Key) -> Option<Self> {
        let (kind, id) = match key {
            Key::Request(hash) => (1, u128::from_be_bytes(*hash)),
            Key::Reference(hash) => (2, u128::from_be_bytes(*hash)),
            Key::Person(member) => (3, member.as_u128()),
            Key::Standing(member) => (4, member.as_u128()),
            Key::Wards(member) => (7, member.as_u128()),
            Key::Binding(binding) => (8, binding.as_u128()),
            Key::Settlement(settlement) => (10, settlement.as_u128()),
            Key::Basis(settlement) => (11, settlement.as_u128()),
            Key::Decided(request) => (13, u128::from_be_bytes(*request)),
            Key::Card(member) => (20, member.as_u128()),
            Key::Wallet(member) => (21, member.as_u128()),
            Key::Transfer(transfer) => (23, transfer.as_u128()),
            Key::Quota(binding) => (24, binding.as_u128()),
            Key::Slips(member) => (25, member.as_u128()),
            Key::Certification(member) => (30, member.as_u128()),
            Key::Policy(_)
            | Key::PolicySet(_)
            | Key::AidUse(..)
            | Key::WalletDay(..)
            | Key::JobDay(_)
            | Key::YearClose(..) => return None,
        };
        Some(Self { kind, id: words(id) })
    }

    fn key(self) -> Option<Key> {
        let mut bytes = [0; 17];
        bytes[0] = self.kind;
        bytes[1..9].copy_from_slice(&self.id[0].to_be_bytes());
        bytes[9..].copy_from_slice(&self.id[1].to_be_bytes());
        Key::from_bytes(&bytes)
    }

    fn hash(self, hasher: &Folding) -> u64 {
        hasher.of_words([u64::from(self.kind), self.id[0], self.id[1]])
    }
}

/// An id in two words: a place with a whole one would be a third larger, all for alignment.
fn words(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

impl Spot {
    pub fn of(key: &Key, hasher: &Folding, shards: &Shards) -> Self {
        let name = Name::of(key);
        let hash = name.map_or_else(|| hasher.hash_one(key), |name| name.hash(hasher));
        Self { hash, shard: shards.at(hash), name }
    }
}

/// A fact in memory.
pub(super) enum Slot {
    /// Every decision reads it, so it is kept as it is.
    Standing(Arc<Standing>),
    Reference([u64; 2]),
    /// As bytes, in the body of the change that put it.
    Packed(Span),
    Other(Box<Entity>),
}

/// A part of a change's body.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// What `write` adds to a body.
    pub fn written(body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let place = |length: usize| u32::try_from(length).expect("a change is smaller than 4 GiB");
        let start = place(body.len());
        write(body);
        Self { start, end: place(body.len()) }
    }

    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}

impl Slot {
    /// What is packed is added to the body.
    pub fn of(key: &Key, entity: Entity, body: &mut Vec<u8>) -> Self {
        match (key, entity) {
            (
                Key::Request(_)
                | Key::Settlement(_)
                | Key::Basis(_)
                | Key::Decided(_)
                | Key::Binding(_)
                | Key::Person(_)
                | Key::Transfer(_)
                | Key::Certification(_)
                | Key::Policy(_)
                | Key::PolicySet(_),
                entity,
            ) => Self::Packed(Span::written(body, |body| encode_entity_into(&entity, body))),
            (Key::Standing(_), Entity::Standing(standing)) => Self::Standing(standing),
            (Key::Reference(_), Entity::Reference(member)) => Self::Reference(words(member.as_u128())),
            (_, entity) => Self::Other(Box::new(entity)),
        }
    }

    /// Whether it can lie under this key, as far as that is seen without decoding.
    pub fn is_of(&self, key: &Key) -> bool {
        match (key, self) {
            (Key::Standing(id), Self::Standing(standing)) => standing.member.id == *id,
            _ => true,
        }
    }

    /// Reads a little of every place that a decision will read of it, so that it waits for all of them together and not for
    /// each where it needs it.
    pub fn touch(&self) -> u64 {
        let Self::Standing(standing) = self else { return 0 };
        let Standing { member, masked_name, account, family, years, holds } = &**standing;
        let first = |text: &str| text.as_bytes().first().map_or(0, |byte| u64::from(*byte));
        let balance = account.as_ref().map_or(0, |account| account.current.as_fen().unsigned_abs());
        let ties = family.ties.iter().fold(0, |sum, tie| sum ^ tie.filed ^ tie.used_year.as_fen().unsigned_abs());
        let used = years.last().map_or(0, |(_, used)| used.fund.as_fen().unsigned_abs());
        first(&member.insurance.tier) ^ first(masked_name) ^ balance ^ ties ^ used ^ holds.len() as u64
    }

    /// What is kept here; what is packed has to be read elsewhere.
    pub fn entity(&self) -> Result<Entity, Span> {
        match self {
            Self::Standing(standing) => Ok(Entity::Standing(standing.clone())),
            Self::Reference([high, low]) => {
                Ok(Entity::Reference(MemberId::from_u128(u128::from(*high) << 64 | u128::from(*low))))
            }
            Self::Packed(span) => Err(*span),
            Self::Other(entity) => Ok((**entity).clone()),
        }
    }
}

/// One place of the table.
struct Cell {
    id: [u64; 2],
    /// The kind of key in the highest byte, the version in the others.
    mark: u64,
    slot: Slot,
}

const VERSION_BITS: u32 = 56;

impl Cell {
    fn new(Name { kind, id }: Name, version: u64, slot: Slot) -> Self {
        assert!(version >> VERSION_BITS == 0, "no ledger is that long");
        Self { id, mark: u64::from(kind) << VERSION_BITS | version, slot }
    }

    fn name(&self) -> Name {
        Name { kind: (self.mark >> VERSION_BITS) as u8, id: self.id }
    }

    fn version(&self) -> u64 {
        self.mark & ((1 << VERSION_BITS) - 1)
    }
}

/// See the module.
pub(super) struct Table {
    cells: HashTable<Cell>,
    /// The few facts whose keys are longer.
    others: HashMap<Key, (u64, Slot), Folding>,
}

impl Table {
    pub fn new(hasher: &Folding) -> Self {
        Self { cells: HashTable::with_capacity(256), others: HashMap::with_hasher(hasher.clone()) }
    }

    /// A fact with its version.
    pub fn find(&self, key: &Key, spot: &Spot) -> Option<(u64, &Slot)> {
        match spot.name {
            Some(name) => {
                let cell = self.cells.find(spot.hash, |cell| cell.name() == name)?;
                Some((cell.version(), &cell.slot))
            }
            None => self.others.get(key).map(|(version, slot)| (*version, slot)),
        }
    }

    pub fn version(&self, key: &Key, spot: &Spot) -> u64 {
        self.find(key, spot).map_or(0, |(version, _)| version)
    }

    /// Puts a fact, and returns what it replaced.
    pub fn put(&mut self, key: &Key, spot: &Spot, version: u64, slot: Slot, hasher: &Folding) -> Option<Slot> {
        let Some(name) = spot.name else {
            return self.others.insert(*key, (version, slot)).map(|(_, slot)| slot);
        };
        let cell = Cell::new(name, version, slot);
        match self.cells.entry(spot.hash, |cell| cell.name() == name, |cell| cell.name().hash(hasher)) {
            Entry::Occupied(mut place) => Some(std::mem::replace(place.get_mut(), cell).slot),
            Entry::Vacant(place) => {
                place.insert(cell);
                None
            }
        }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, u64, &Slot)> {
        let cells = self.cells.iter().filter_map(|cell| Some((cell.name().key()?, cell.version(), &cell.slot)));
        cells.chain(self.others.iter().map(|(key, (version, slot))| (*key, *version, slot)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BindingId, SettlementId, TransferId};

    #[test]
    fn short_keys_are_named_and_read_back() {
        let (high, low) = (0x0190_1122_3344_7566_u128, 0x8899_aabb_ccdd_eeff_u128);
        let id = high << 64 | low;
        let (member, hash) = (MemberId::from_u128(id), id.to_be_bytes());
        for key in [
            Key::Request(hash),
            Key::Reference(hash),
            Key::Person(member),
            Key::Standing(member),
            Key::Wards(member),
            Key::Binding(BindingId::from_u128(id)),
            Key::Settlement(SettlementId::from_u128(id)),
            Key::Basis(SettlementId::from_u128(id)),
            Key::Decided(hash),
            Key::Card(member),
            Key::Wallet(member),
            Key::Transfer(TransferId::from_u128(id)),
            Key::Quota(BindingId::from_u128(id)),
            Key::Slips(member),
            Key::Certification(member),
        ] {
            let name = Name::of(&key).expect("a kind and 16 bytes");
            assert_eq!((name.id, name.key()), ([high as u64, low as u64], Some(key)));
            let cell = Cell::new(name, (1 << VERSION_BITS) - 1, Slot::Reference([1, 2]));
            assert!(cell.name() == name && cell.version() == (1 << VERSION_BITS) - 1, "{key:?}");
        }
        assert!(Name::of(&Key::Policy([7; 32])).is_none());
    }

    #[test]
    fn a_place_is_small() {
        assert_eq!(size_of::<Cell>(), 48, "a settlement takes three new ones, and tables have room for twice as many");
    }
}
