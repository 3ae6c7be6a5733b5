//! Bytes that are mostly few: they lie where they are looked for, and not somewhere else in memory.

use super::entity::Entity;
use super::record::encode_entity_into;

/// So many lie in the place itself: the standing of nearly everybody for whom nobody else may pay.
const HERE: usize = 70;

/// See the module.
#[derive(Clone)]
pub enum Small {
    Here(u8, [u8; HERE]),
    Away(Box<[u8]>),
}

impl Small {
    /// A fact's bytes, written behind what is in a buffer at hand and taken out of it again.
    pub fn encoded(entity: &Entity, room: &mut Vec<u8>) -> Self {
        let start = room.len();
        encode_entity_into(entity, room);
        let small = Self::of(&room[start..]);
        room.truncate(start);
        small
    }

    pub fn of(bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= HERE => {
                let mut here = [0; HERE];
                here[..bytes.len()].copy_from_slice(bytes);
                Self::Here(length, here)
            }
            _ => Self::Away(bytes.into()),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Here(length, bytes) => &bytes[..usize::from(*length)],
            Self::Away(bytes) => bytes,
        }
    }

    /// Reads a byte of each line of memory that it lies in, so that these come together and not one after another.
    pub fn touch(&self) -> u64 {
        let bytes = self.bytes();
        let last = bytes.last().copied().unwrap_or_default();
        bytes.iter().step_by(64).fold(u64::from(last), |sum, byte| sum ^ u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_all_lengths_come_back() {
        for length in [0, 1, HERE - 1, HERE, HERE + 1, 255, 256, 4_096] {
            let bytes: Vec<u8> = (0..length).map(|place| place as u8).collect();
            let small = Small::of(&bytes);
            assert_eq!(small.bytes(), bytes, "{length}");
            assert_eq!(matches!(small, Small::Here(..)), length <= HERE, "{length}");
        }
        assert_eq!(size_of::<Small>(), 72, "no more than the bytes, their number and what it is");
    }
}
