//! Keyed digests: where a request id, a person's number or an institution stands, and what a request's content was.
//! All are keyed with the data set's secret, so stored digests tell nothing about who or what.

use std::hash::Hasher;

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::domain::ids::{InstitutionCode, RequestId};
use crate::domain::member::MemberRef;
use crate::store::codec::Stored;
use crate::store::entity::Request;

/// The keys of one data set, each for one purpose.
#[derive(Clone)]
pub struct Keys {
    request: [u8; 16],
    reference: [u8; 16],
    content: [u8; 16],
    token: [u8; 16],
    data_set: [u8; 16],
}

impl Keys {
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let derive = |purpose: &str| {
            let mut hash = Sha256::new();
            hash.update(secret);
            hash.update(purpose.as_bytes());
            let mut key = [0; 16];
            key.copy_from_slice(&hash.finalize()[..16]);
            key
        };
        Self {
            request: derive("request"),
            reference: derive("reference"),
            content: derive("content"),
            token: derive("token"),
            data_set: derive("data set"),
        }
    }

    /// What a data set is called: the same for every replica over it, and wherever it is copied to. No key.
    pub fn data_set(&self) -> [u8; 16] {
        self.data_set
    }

    /// Where a request id of a scope stands.
    pub fn request(&self, scope: &str, id: &RequestId) -> [u8; 16] {
        digest128(&self.request, &[scope.as_bytes(), id.as_str().as_bytes()])
    }

    /// Where a person's number stands.
    pub fn reference(&self, reference: &MemberRef) -> [u8; 16] {
        let (tag, text) = reference.parts();
        digest128(&self.reference, &[&[tag], text.as_bytes()])
    }

    /// The list of an institution.
    pub fn institution(&self, code: &InstitutionCode) -> [u8; 16] {
        digest128(&self.reference, &[b"institution", code.as_str().as_bytes()])
    }

    /// The list of an external reference of an institution; `kind` is the field's name.
    pub fn external(&self, code: &InstitutionCode, kind: &str, text: &str) -> [u8; 16] {
        digest128(&self.reference, &[b"external", code.as_str().as_bytes(), kind.as_bytes(), text.as_bytes()])
    }

    /// Seals a token's bytes.
    pub fn seal(&self, bytes: &[u8]) -> [u8; 16] {
        digest128(&self.token, &[bytes])
    }
}

fn digest128(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = SipHasher128::new_with_key(key);
    for part in parts {
        hasher.write_u64(part.len() as u64);
        hasher.write(part);
    }
    hasher.finish128().as_bytes()
}

/// One short digest per canonical field, and one over all of them.
pub struct Fingerprint<'a> {
    keys: &'a Keys,
    method: u8,
    /// Whether fields get digests of their own.
    each: bool,
    names: Vec<&'static str>,
    digests: Vec<u32>,
    /// The method, then every field after its length: what the digest over all of them covers.
    all: Vec<u8>,
}

impl<'a> Fingerprint<'a> {
    pub fn new(keys: &'a Keys, method: u8) -> Self {
        let mut all = Vec::with_capacity(768);
        all.push(method);
        let (names, digests) = (Vec::with_capacity(12), Vec::with_capacity(12));
        Self { keys, method, each: true, names, digests, all }
    }

    /// Where only the digest over all fields is wanted.
    pub fn of_all(keys: &'a Keys, method: u8) -> Self {
        let mut all = Vec::with_capacity(768);
        all.push(method);
        Self { keys, method, each: false, names: Vec::new(), digests: Vec::new(), all }
    }

    /// Adds a field. A method names its fields in the same order every time.
    pub fn field<T: Stored>(&mut self, name: &'static str, value: &T) -> &mut Self {
        let length = self.all.len();
        self.all.extend_from_slice(&[0; 8]);
        let start = self.all.len();
        value.put(&mut self.all);
        let field = &self.all[start..];
        if self.each {
            let mut hasher = SipHasher24::new_with_key(&self.keys.content);
            hasher.write_u8(self.method);
            hasher.write_u64(self.names.len() as u64);
            hasher.write(field);
            // The short digest only names what differs; whether anything differs is decided by all 128 bits.
            self.digests.push((hasher.finish() >> 32) as u32);
            self.names.push(name);
        }
        let bytes = (field.len() as u64).to_le_bytes();
        self.all[length..start].copy_from_slice(&bytes);
        self
    }

    /// A person as named: the kind of number and the number.
    pub fn person(&mut self, name: &'static str, reference: &MemberRef) -> &mut Self {
        self.field(name, &reference.parts())
    }

    pub fn whole(&self) -> [u8; 16] {
        let mut hasher = SipHasher128::new_with_key(&self.keys.content);
        hasher.write(&self.all);
        hasher.finish128().as_bytes()
    }

    pub fn digests(&self) -> Vec<u32> {
        self.digests.clone()
    }

    /// The names of the fields in which a known request differs.
    pub fn differing(&self, known: &Request) -> Vec<String> {
        if known.method != self.method {
            return vec!["method".to_owned()];
        }
        let pairs = self.names.iter().zip(&self.digests).enumerate();
        let differing = pairs.filter(|(place, (_, digest))| known.fields.get(*place) != Some(digest));
        differing.map(|(_, (name, _))| (*name).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored requests are compared with these for ever: this is how they were made at first, field by field.
    #[test]
    fn a_fingerprint_is_what_it_always_was() {
        let keys = Keys::from_secret([7; 32]);
        let texts = ["", "H44030000001", "一张很长的处方".repeat(40).leak()].map(str::to_owned);
        let mut fields = Fingerprint::new(&keys, 3);
        let mut of_all = Fingerprint::of_all(&keys, 3);
        let mut all = SipHasher128::new_with_key(&keys.content);
        all.write_u8(3);
        let mut digests = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            fields.field("text", text);
            of_all.field("text", text);
            let mut bytes = Vec::new();
            text.put(&mut bytes);
            all.write_u64(bytes.len() as u64);
            all.write(&bytes);
            let mut one = SipHasher24::new_with_key(&keys.content);
            one.write_u8(3);
            one.write_u64(place as u64);
            one.write(&bytes);
            digests.push((one.finish() >> 32) as u32);
        }
        assert_eq!((fields.whole(), of_all.whole()), (all.finish128().as_bytes(), all.finish128().as_bytes()));
        assert_eq!((fields.digests(), of_all.digests()), (digests, Vec::new()));
    }
}
