//! One shard of the facts in memory, and what a fact is there.

use std::sync::Arc;

use super::keeping::read_again;
use super::pipeline::Queued;
use crate::domain::ids::MemberId;
use crate::store::codec::DecodeError;
use crate::store::folding::Folding;
use crate::store::record::decode_entity;
use crate::store::small::Small;
use crate::store::tables::{Of, Spot, Tables, whole, words};
use crate::store::{Entity, Key};

pub(super) struct Shard {
    /// Whatever changed after the low water of [`View::forget`], in the version it has now.
    pub recent: Tables<Small, Pinned>,
    /// Facts that the disk has. One of a key that is in `recent` too is old.
    pub cached: Cache,
    /// Grows with every pin, so that a slow reader of the disk cannot put an old fact over a new one.
    pub pins: u64,
}

pub(super) type Cache = Tables<Cached<Small>, Cached<Live>>;

pub(super) struct Cached<T> {
    /// Found since the last pass.
    pub used: bool,
    pub fact: T,
}

/// A fact that is not a standing, as it lies in a table.
pub(super) enum Live {
    Reference([u64; 2]),
    Other(Box<Entity>),
}

impl Live {
    fn entity(&self) -> Entity {
        match self {
            Self::Reference(id) => Entity::Reference(MemberId::from_u128(whole(*id))),
            Self::Other(entity) => (**entity).clone(),
        }
    }
}

/// A fact that is at hand.
pub(super) type AtHand = Of<Small, Live>;

/// A fact as it will lie here, with a buffer to write it in.
pub(super) fn at_hand(key: &Key, entity: Entity, room: &mut Vec<u8>) -> AtHand {
    match (key, entity) {
        (Key::Standing(_), entity) => Of::Standing(Small::encoded(&entity, room)),
        (_, Entity::Reference(member)) => Of::Fact(Live::Reference(words(member.as_u128()))),
        (_, entity) => Of::Fact(Live::Other(Box::new(entity))),
    }
}

/// A fact, not a standing, that changed lately. A standing is always at hand.
pub(super) enum Pinned {
    Live(Live),
    /// To be read from the bytes of the change that put it.
    Row(Arc<Queued>),
    /// To be read from the disk.
    OnDisk,
}

const _: () = assert!(size_of::<Pinned>() <= 24, "there are three of them for each settlement");

/// What the memory knows of a key.
pub(super) enum Look {
    Found(u64, Entity),
    /// To be read from this change.
    InRow(u64, Arc<Queued>),
    /// To be read from the disk; the number is for [`View::remember`].
    Missed(u64),
}

impl Shard {
    pub fn new(hasher: &Folding) -> Self {
        Self { recent: Tables::new(hasher), cached: Tables::new(hasher), pins: 0 }
    }

    pub fn look(&mut self, spot: &Spot) -> Result<Look, DecodeError> {
        match self.recent.find(spot) {
            Some((version, Of::Standing(bytes))) => return Ok(Look::Found(version, decode_entity(bytes.bytes())?)),
            Some((version, Of::Fact(Pinned::Live(live)))) => return Ok(Look::Found(version, live.entity())),
            Some((version, Of::Fact(Pinned::Row(queued)))) => return Ok(Look::InRow(version, queued.clone())),
            Some((_, Of::Fact(Pinned::OnDisk))) => return Ok(Look::Missed(self.pins)),
            None => {}
        }
        // Nothing else is ever in the cache.
        let cached = if read_again(&spot.key) { self.cached.find_mut(spot) } else { None };
        let Some((version, cached)) = cached else { return Ok(Look::Missed(self.pins)) };
        // Not written where it says so already.
        let use_it = |used: &mut bool| {
            if !*used {
                *used = true;
            }
        };
        let entity = match cached {
            Of::Standing(Cached { used, fact }) => {
                use_it(used);
                decode_entity(fact.bytes())?
            }
            Of::Fact(Cached { used, fact }) => {
                use_it(used);
                fact.entity()
            }
        };
        Ok(Look::Found(version, entity))
    }

    /// Reads a little of what a look will read.
    pub fn touch(&self, spot: &Spot) -> u64 {
        match self.recent.find(spot) {
            Some((_, Of::Standing(bytes))) => return bytes.touch(),
            Some((version, Of::Fact(_))) => return version,
            None => {}
        }
        match self.cached.find(spot) {
            Some((_, Of::Standing(cached))) => cached.fact.touch(),
            Some((version, Of::Fact(_))) => version,
            None => 0,
        }
    }
}
