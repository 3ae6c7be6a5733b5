//! A value that is encoded before it is stored: for a digest over its bytes.

use std::ops::Deref;

use super::codec::{DecodeError, Stored};

/// A value beside its bytes, for one that is encoded before it is stored and need not be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded<T> {
    value: T,
    bytes: Box<[u8]>,
}

impl<T: Stored> Encoded<T> {
    pub fn new(value: T) -> Self {
        let mut bytes = Vec::with_capacity(2048);
        value.put(&mut bytes);
        Self { value, bytes: bytes.into() }
    }

    /// Without a version.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> Deref for Encoded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Stored> Stored for Encoded<T> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
    }
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let before = *input;
        let value = T::take(input)?;
        Ok(Self { value, bytes: before[..before.len() - input.len()].into() })
    }
}
