//! Tables of facts by key, as the stores that hold facts in memory have them. There are millions of facts, far from the
//! processor, so places are small: most keys are a kind and 16 bytes, and a standing lies in its place as its bytes.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::mem;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::entity::Key;
use super::folding::Folding;

/// A key, and what is worked out once for all that is done with it.
#[derive(Clone, Copy)]
pub struct Spot {
    pub key: Key,
    pub hash: u64,
    /// The key where it is a kind and 16 bytes.
    name: Option<Name>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    kind: u8,
    id: [u64; 2],
}

const STANDING: u8 = 4;

impl Name {
    /// Kinds as in the key's own bytes, by which it is read again.
    fn of(key: &Key) -> Option<Self> {
        let (kind, id) = match key {
            Key::Request(hash) => (1, u128::from_be_bytes(*hash)),
            Key::Reference(hash) => (2, u128::from_be_bytes(*hash)),
            Key::Person(member) => (3, member.as_u128()),
            Key::Standing(member) => (STANDING, member.as_u128()),
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
pub fn words(id: u128) -> [u64; 2] {
    [(id >> 64) as u64, id as u64]
}

/// An id from its words.
pub fn whole([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

impl Spot {
    pub fn of(key: &Key, hasher: &Folding) -> Self {
        let name = Name::of(key);
        let hash = name.map_or_else(|| hasher.hash_one(key), |name| name.hash(hasher));
        Self { key: *key, hash, name }
    }

    pub fn is_standing(&self) -> bool {
        self.name.is_some_and(|name| name.kind == STANDING)
    }
}

/// One place of a table.
pub struct Cell<T> {
    id: [u64; 2],
    /// The kind of key in the highest byte, the version in the others.
    mark: u64,
    fact: T,
}

const VERSION_BITS: u32 = 56;
/// No ledger is that long.
pub const VERSION_MAX: u64 = (1 << VERSION_BITS) - 1;

impl<T> Cell<T> {
    fn new(Name { kind, id }: Name, version: u64, fact: T) -> Self {
        assert!(version <= VERSION_MAX, "no ledger is that long");
        Self { id, mark: u64::from(kind) << VERSION_BITS | version, fact }
    }

    fn name(&self) -> Name {
        Name { kind: (self.mark >> VERSION_BITS) as u8, id: self.id }
    }

    fn version(&self) -> u64 {
        self.mark & VERSION_MAX
    }
}

/// A standing or another fact, each as its table has it.
#[derive(Clone, Copy)]
pub enum Of<S, F> {
    Standing(S),
    Fact(F),
}

/// See the module. `S` is what a standing is kept as, `F` any other fact.
pub struct Tables<S, F> {
    standings: HashTable<Cell<S>>,
    facts: HashTable<Cell<F>>,
    /// The few facts whose keys are longer.
    others: HashMap<Key, (u64, F), Folding>,
    hasher: Folding,
}

/// Puts into one place, and returns what was there.
fn place<T>(table: &mut HashTable<Cell<T>>, hash: u64, cell: Cell<T>, hasher: &Folding) -> Option<T> {
    let name = cell.name();
    match table.entry(hash, |cell| cell.name() == name, |cell| cell.name().hash(hasher)) {
        Entry::Occupied(mut place) => Some(mem::replace(place.get_mut(), cell).fact),
        Entry::Vacant(place) => {
            place.insert(cell);
            None
        }
    }
}

impl<S, F> Tables<S, F> {
    pub fn new(hasher: &Folding) -> Self {
        let (standings, facts) = (HashTable::new(), HashTable::new());
        Self { standings, facts, others: HashMap::with_hasher(hasher.clone()), hasher: hasher.clone() }
    }

    /// A fact with its version.
    pub fn find(&self, spot: &Spot) -> Option<(u64, Of<&S, &F>)> {
        match spot.name {
            Some(name) if name.kind == STANDING => {
                let cell = self.standings.find(spot.hash, |cell| cell.name() == name)?;
                Some((cell.version(), Of::Standing(&cell.fact)))
            }
            Some(name) => {
                let cell = self.facts.find(spot.hash, |cell| cell.name() == name)?;
                Some((cell.version(), Of::Fact(&cell.fact)))
            }
            None => self.others.get(&spot.key).map(|(version, fact)| (*version, Of::Fact(fact))),
        }
    }

    /// The same, to be changed in its place.
    pub fn find_mut(&mut self, spot: &Spot) -> Option<(u64, Of<&mut S, &mut F>)> {
        match spot.name {
            Some(name) if name.kind == STANDING => {
                let cell = self.standings.find_mut(spot.hash, |cell| cell.name() == name)?;
                Some((cell.version(), Of::Standing(&mut cell.fact)))
            }
            Some(name) => {
                let cell = self.facts.find_mut(spot.hash, |cell| cell.name() == name)?;
                Some((cell.version(), Of::Fact(&mut cell.fact)))
            }
            None => self.others.get_mut(&spot.key).map(|(version, fact)| (*version, Of::Fact(fact))),
        }
    }

    /// Puts a fact, and returns what it replaced. Under the key of a standing nothing else may be put, nor a standing under
    /// another.
    pub fn put(&mut self, spot: &Spot, version: u64, fact: Of<S, F>) -> Option<Of<S, F>> {
        assert_eq!(spot.is_standing(), matches!(fact, Of::Standing(_)), "a key leads to a fact of its own kind");
        match (spot.name, fact) {
            (Some(name), Of::Standing(standing)) => {
                let cell = Cell::new(name, version, standing);
                place(&mut self.standings, spot.hash, cell, &self.hasher).map(Of::Standing)
            }
            (Some(name), Of::Fact(fact)) => {
                place(&mut self.facts, spot.hash, Cell::new(name, version, fact), &self.hasher).map(Of::Fact)
            }
            (None, Of::Fact(fact)) => self.others.insert(spot.key, (version, fact)).map(|(_, fact)| Of::Fact(fact)),
            (None, Of::Standing(_)) => None,
        }
    }

    /// Takes out what `leaves` says.
    pub fn take_out(&mut self, mut leaves: impl FnMut(u64, Of<&mut S, &mut F>) -> bool) -> Vec<(Key, u64, Of<S, F>)> {
        let mut out = Vec::new();
        let standings = self.standings.extract_if(|cell| leaves(cell.version(), Of::Standing(&mut cell.fact)));
        out.extend(standings.filter_map(|cell| Some((cell.name().key()?, cell.version(), Of::Standing(cell.fact)))));
        let facts = self.facts.extract_if(|cell| leaves(cell.version(), Of::Fact(&mut cell.fact)));
        out.extend(facts.filter_map(|cell| Some((cell.name().key()?, cell.version(), Of::Fact(cell.fact)))));
        let others = self.others.extract_if(|_, (version, fact)| leaves(*version, Of::Fact(fact)));
        out.extend(others.map(|(key, (version, fact))| (key, version, Of::Fact(fact))));
        out
    }

    pub fn len(&self) -> usize {
        self.standings.len() + self.facts.len() + self.others.len()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, u64, Of<&S, &F>)> {
        let standings = self.standings.iter();
        let standings =
            standings.filter_map(|cell| Some((cell.name().key()?, cell.version(), Of::Standing(&cell.fact))));
        let facts =
            self.facts.iter().filter_map(|cell| Some((cell.name().key()?, cell.version(), Of::Fact(&cell.fact))));
        let others = self.others.iter().map(|(key, (version, fact))| (*key, *version, Of::Fact(fact)));
        standings.chain(facts).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BindingId, MemberId, SettlementId, TransferId};
    use crate::store::small::Small;

    const ID: u128 = 0x0190_1122_3344_7566_8899_aabb_ccdd_eeff;

    fn named() -> [Key; 15] {
        let (member, hash) = (MemberId::from_u128(ID), ID.to_be_bytes());
        [
            Key::Request(hash),
            Key::Reference(hash),
            Key::Person(member),
            Key::Standing(member),
            Key::Wards(member),
            Key::Binding(BindingId::from_u128(ID)),
            Key::Settlement(SettlementId::from_u128(ID)),
            Key::Basis(SettlementId::from_u128(ID)),
            Key::Decided(hash),
            Key::Card(member),
            Key::Wallet(member),
            Key::Transfer(TransferId::from_u128(ID)),
            Key::Quota(BindingId::from_u128(ID)),
            Key::Slips(member),
            Key::Certification(member),
        ]
    }

    #[test]
    fn short_keys_are_named_and_read_back() {
        for key in named() {
            let name = Name::of(&key).expect("a kind and 16 bytes");
            assert_eq!((whole(name.id), name.key()), (ID, Some(key)));
            let cell = Cell::new(name, VERSION_MAX, ());
            assert!(cell.name() == name && cell.version() == VERSION_MAX, "{key:?}");
        }
        assert!(Name::of(&Key::Policy([7; 32])).is_none());
    }

    #[test]
    fn every_kind_of_key_is_put_found_changed_and_taken_out() {
        let hasher = Folding::new(7);
        let mut tables: Tables<u64, u64> = Tables::new(&hasher);
        let keys: Vec<Key> = named().into_iter().chain([Key::Policy([7; 32]), Key::PolicySet([7; 32])]).collect();
        let of = |spot: &Spot, number: u64| if spot.is_standing() { Of::Standing(number) } else { Of::Fact(number) };
        let value = |found: Of<u64, u64>| match found {
            Of::Standing(number) | Of::Fact(number) => number,
        };
        let spots: Vec<Spot> = keys.iter().map(|key| Spot::of(key, &hasher)).collect();
        for (number, spot) in (0..).zip(&spots) {
            assert!(tables.find(spot).is_none() && tables.find_mut(spot).is_none());
            assert!(tables.put(spot, 1, of(spot, 100)).is_none());
            assert_eq!(tables.put(spot, 2 + number, of(spot, number)).map(value), Some(100));
        }
        assert_eq!((tables.len(), tables.iter().count()), (keys.len(), keys.len()));
        for (number, spot) in (0..).zip(&spots) {
            match tables.find_mut(spot).expect("was put").1 {
                Of::Standing(known) | Of::Fact(known) => *known += 50,
            }
            let (version, found) = tables.find(spot).expect("was put");
            let found = match found {
                Of::Standing(number) | Of::Fact(number) => *number,
            };
            assert_eq!((version, found), (2 + number, 50 + number), "{:?}", spot.key);
        }
        let mut out = tables.take_out(|version, _| version % 2 == 0);
        out.sort_by_key(|(_, version, _)| *version);
        let out: Vec<(Key, u64, u64)> =
            out.into_iter().map(|(key, version, found)| (key, version, value(found))).collect();
        let even = keys.iter().zip(0..).filter(|(_, number)| number % 2 == 0);
        assert_eq!(out, even.map(|(key, number)| (*key, 2 + number, 50 + number)).collect::<Vec<_>>());
        assert_eq!(tables.len(), keys.len() - out.len());
    }

    #[test]
    fn a_place_is_small() {
        assert_eq!(
            size_of::<Cell<[u64; 3]>>(),
            48,
            "a settlement takes three new ones, and there is room for twice as many"
        );
        assert_eq!(size_of::<Cell<Small>>(), 96, "one for each person");
    }
}
