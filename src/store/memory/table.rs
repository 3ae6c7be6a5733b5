//! The facts of the memory store. One that is written once and looked at seldom lies in the body of the change that put it.

use crate::domain::ids::MemberId;
use crate::store::codec::DecodeError;
use crate::store::entity::{Entity, Key};
use crate::store::record::{decode_entity, encode_entity_into};
use crate::store::small::Small;
use crate::store::tables::{Of, Tables, whole, words};

/// The facts of one shard.
pub(super) type Table = Tables<Small, Slot>;

/// A fact to be put, or one that was replaced.
pub(super) type Put = Of<Small, Slot>;

/// A fact that was found.
pub(super) type Found<'a> = Of<&'a Small, &'a Slot>;

/// A fact in memory, but for standings.
pub(super) enum Slot {
    Reference([u64; 2]),
    /// As bytes, in the body of the change that put it.
    Packed(Span),
    Other(Box<Entity>),
}

const _: () = assert!(size_of::<Slot>() <= 24, "there are three of them for each settlement");

/// What is known of a fact where it was found.
pub(super) enum Known {
    Whole(Entity),
    /// It lies there, in the change that put it.
    InBody(Span),
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

/// A fact as it will be kept; what is packed is added to the body.
pub(super) fn put(key: &Key, entity: Entity, body: &mut Vec<u8>) -> Put {
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
        ) => Of::Fact(Slot::Packed(Span::written(body, |body| encode_entity_into(&entity, body)))),
        (Key::Standing(_), entity) => Of::Standing(Small::encoded(&entity, body)),
        (Key::Reference(_), Entity::Reference(member)) => Of::Fact(Slot::Reference(words(member.as_u128()))),
        (_, entity) => Of::Fact(Slot::Other(Box::new(entity))),
    }
}

/// Reads a little of every place that will be read of it, so that these are waited for together.
pub(super) fn touch(found: Found<'_>) -> u64 {
    match found {
        Of::Standing(bytes) => bytes.touch(),
        Of::Fact(_) => 0,
    }
}

pub(super) fn known(found: Found<'_>) -> Result<Known, DecodeError> {
    Ok(Known::Whole(match found {
        Of::Standing(bytes) => decode_entity(bytes.bytes())?,
        Of::Fact(Slot::Reference(id)) => Entity::Reference(MemberId::from_u128(whole(*id))),
        Of::Fact(Slot::Packed(span)) => return Ok(Known::InBody(*span)),
        Of::Fact(Slot::Other(entity)) => (**entity).clone(),
    }))
}
