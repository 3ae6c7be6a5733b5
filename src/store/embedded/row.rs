//! A change as one row: its ledger record, and behind it the facts and list rows that it made. The row is the log; the
//! other tables are an index of it, written in bulk later, and made good from these rows after a crash.

use std::ops::Range;

use arrayvec::ArrayVec;

use crate::domain::time::Moment;
use crate::store::codec::{DecodeError, Stored};
use crate::store::kept::KeptChange;
use crate::store::{Change, Entity, Head, Key, ListKey, ListKind, StoredRecord, record};

/// `at`, content hash and link come first.
const HEAD: usize = 8 + 32 + 32;

/// Everything of a change but its place in the ledger.
pub(super) struct Body {
    bytes: Vec<u8>,
    /// Where each fact's bytes lie.
    facts: Vec<(Key, Range<usize>)>,
    pub lists: Vec<(ListKey, u128)>,
}

/// Where bodies are put together, one after another, to be copied from when it is known how long they are.
pub(super) struct Room(Vec<u8>);

impl Room {
    /// Large enough for a settlement of many lines.
    pub fn new() -> Self {
        Self(Vec::with_capacity(8 << 10))
    }
}

impl Body {
    /// The body of a change whose lists name each list once.
    pub fn of(change: &Change, lists: Vec<(ListKey, u128)>, room: &mut Room) -> Self {
        // Of a fact that is put twice the last one counts.
        let last = |place: usize, key: &Key| change.puts[place + 1..].iter().all(|(later, _)| later != key);
        let puts = change.puts.iter().enumerate().filter(|(place, (key, _))| last(*place, key));
        let puts: Vec<_> = puts.map(|(_, (key, entity))| (*key, entity)).collect();
        Self::put_together(&change.record, &puts, |entity, out| record::encode_entity_into(entity, out), lists, room)
    }

    /// The body of a change that was kept elsewhere.
    pub fn kept(change: &KeptChange) -> Self {
        let copy = |bytes: &Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(bytes);
        Self::put_together(&change.record.bytes, &change.facts, copy, change.lists.clone(), &mut Room::new())
    }

    fn put_together<F>(
        record: &[u8],
        puts: &[(Key, F)],
        encode: impl Fn(&F, &mut Vec<u8>),
        lists: Vec<(ListKey, u128)>,
        Room(bytes): &mut Room,
    ) -> Self {
        bytes.clear();
        (record.len() as u64).put(bytes);
        bytes.extend_from_slice(record);
        (puts.len() as u64).put(bytes);
        let mut facts = Vec::with_capacity(puts.len());
        for (key, put) in puts {
            framed::<1>(bytes, |out| key.write(out));
            let fact = framed::<2>(bytes, |out| encode(put, out));
            facts.push((*key, fact));
        }
        (lists.len() as u64).put(bytes);
        for (list, subject) in &lists {
            bytes.push(list.kind as u8);
            bytes.extend_from_slice(&list.of);
            bytes.extend_from_slice(&subject.to_be_bytes());
        }
        Self { bytes: bytes.to_vec(), facts, lists }
    }

    /// Reads a body again.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = bytes;
        take(&mut input)?;
        let count = length(&mut input)?;
        let mut facts = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let key = Key::from_bytes(take(&mut input)?).ok_or(DecodeError::Value)?;
            let fact = take(&mut input)?;
            let end = bytes.len() - input.len();
            facts.push((key, end - fact.len()..end));
        }
        let count = length(&mut input)?;
        let mut lists = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let kind = ListKind::from_code(u8::take(&mut input)?).ok_or(DecodeError::Value)?;
            let of = <[u8; 16]>::take(&mut input)?;
            lists.push((ListKey { kind, of }, u128::from_be_bytes(Stored::take(&mut input)?)));
        }
        if input.is_empty() { Ok(Self { bytes: bytes.to_vec(), facts, lists }) } else { Err(DecodeError::Trailing) }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// One of its facts by its place among them.
    pub fn fact_at(&self, place: usize) -> (Key, &[u8]) {
        let (key, range) = &self.facts[place];
        (*key, &self.bytes[range.clone()])
    }

    pub fn facts(&self) -> impl Iterator<Item = (Key, &[u8])> {
        self.facts.iter().map(|(key, range)| (*key, &self.bytes[range.clone()]))
    }

    /// One of its facts.
    pub fn fact(&self, wanted: &Key) -> Result<Entity, DecodeError> {
        let found = self.facts.iter().find(|(key, _)| key == wanted);
        let (_, range) = found.ok_or(DecodeError::Value)?;
        record::decode_entity(&self.bytes[range.clone()])
    }

    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.facts.iter().map(|(key, _)| key)
    }

    fn record(&self) -> &[u8] {
        let mut input = &self.bytes[..];
        take(&mut input).unwrap_or_default()
    }
}

/// The row of a change.
pub(super) fn write(head: &Head, content_hash: &[u8; 32], body: &Body, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&head.at.as_micros().to_be_bytes());
    out.extend_from_slice(content_hash);
    out.extend_from_slice(&head.link);
    out.extend_from_slice(&body.bytes);
}

/// The record in memory.
pub(super) fn stored(head: &Head, content_hash: &[u8; 32], body: &Body) -> StoredRecord {
    let bytes = body.record().to_vec();
    StoredRecord { position: head.position, at: head.at, content_hash: *content_hash, link: head.link, bytes }
}

/// The record of a row.
pub(super) fn read_record(position: u64, row: &[u8]) -> Result<StoredRecord, DecodeError> {
    let (head, mut body) = row.split_first_chunk::<HEAD>().ok_or(DecodeError::Short)?;
    let (at, rest) = head.split_first_chunk::<8>().ok_or(DecodeError::Short)?;
    let (content_hash, link) = rest.split_first_chunk::<32>().ok_or(DecodeError::Short)?;
    Ok(StoredRecord {
        position,
        at: Moment::from_micros(i64::from_be_bytes(*at)),
        content_hash: *content_hash,
        link: <[u8; 32]>::try_from(link).map_err(|_| DecodeError::Short)?,
        bytes: take(&mut body)?.to_vec(),
    })
}

/// Record and body of a row.
pub(super) fn read(position: u64, row: &[u8]) -> Result<(StoredRecord, Body), DecodeError> {
    let record = read_record(position, row)?;
    Ok((record, Body::read(&row[HEAD..])?))
}

/// The change of a row.
pub(super) fn read_change(position: u64, row: &[u8]) -> Result<KeptChange, DecodeError> {
    let (record, body) = read(position, row)?;
    Ok(kept(record, &body))
}

/// A change in memory.
pub(super) fn kept(record: StoredRecord, body: &Body) -> KeptChange {
    let facts = body.facts().map(|(key, bytes)| (key, bytes.to_vec())).collect();
    KeptChange { record, facts, lists: body.lists.clone() }
}

/// One fact of a row.
pub(super) fn read_fact(row: &[u8], wanted: &Key) -> Result<Entity, DecodeError> {
    let mut input = row.get(HEAD..).ok_or(DecodeError::Short)?;
    take(&mut input)?;
    let name = wanted.to_bytes();
    for _ in 0..length(&mut input)? {
        let found = take(&mut input)? == name;
        let fact = take(&mut input)?;
        if found {
            return record::decode_entity(fact);
        }
    }
    Err(DecodeError::Value)
}

/// Writes something behind its length, and tells where it lies. The length of nearly all such things takes `USUAL` bytes, so
/// it is written there afterwards; where it takes others, what is written moves.
fn framed<const USUAL: usize>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let frame = out.len();
    out.extend_from_slice(&[0; USUAL]);
    let start = out.len();
    write(out);
    let mut length = ArrayVec::<u8, 10>::new();
    put_length(out.len() - start, &mut length);
    if length.len() == USUAL {
        out[frame..start].copy_from_slice(&length);
    } else {
        out.splice(frame..start, length.iter().copied());
    }
    frame + length.len()..out.len()
}

/// As the codec writes a number.
fn put_length(length: usize, out: &mut ArrayVec<u8, 10>) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn length(input: &mut &[u8]) -> Result<usize, DecodeError> {
    usize::try_from(u64::take(input)?).map_err(|_| DecodeError::Value)
}

fn take<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let length = length(input)?;
    let (head, tail) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
    *input = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_all_sizes_are_framed_as_the_codec_writes_them() {
        for length in [0, 1, 127, 128, 300, 16_383, 16_384, 70_000] {
            let content = vec![7_u8; length];
            let mut expected = b"before".to_vec();
            (length as u64).put(&mut expected);
            expected.extend_from_slice(&content);
            let mut one = b"before".to_vec();
            let mut two = one.clone();
            let ranges = [
                framed::<1>(&mut one, |out| out.extend_from_slice(&content)),
                framed::<2>(&mut two, |out| out.extend_from_slice(&content)),
            ];
            assert_eq!((&one, &two), (&expected, &expected), "{length}");
            assert!(ranges.iter().all(|range| one[range.clone()] == content), "{length}");
        }
    }
}
