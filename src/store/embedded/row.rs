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

/// A list row's length: the list's kind, whose it is, and where it leads to.
const LIST_ROW: usize = 1 + 16 + 16;

/// Everything of a change but its place in the ledger: its bytes, and where in them what lies. Very many of them wait for
/// the index, so nothing is in them twice.
pub(super) struct Body {
    bytes: Box<[u8]>,
    facts: Box<[Place]>,
    /// Where the list rows begin, which are the last of all.
    lists: usize,
}

/// Where a fact lies in a body.
struct Place {
    name: Range<u32>,
    fact: Range<u32>,
}

impl Place {
    fn new(name: Range<usize>, fact: Range<usize>) -> Option<Self> {
        let narrow = |range: Range<usize>| Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?);
        Some(Self { name: narrow(name)?, fact: narrow(fact)? })
    }
}

fn wide(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// Where bodies are put together, one after another, to be copied from when it is known how long they are.
pub(super) struct Room(Vec<u8>);

impl Room {
    /// Large enough for a settlement of many lines.
    pub fn new() -> Self {
        Self(Vec::with_capacity(8 << 10))
    }

    /// For other things, while no body is put together.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Body {
    /// The body of a change whose lists name each list once.
    pub fn of(change: &Change, lists: &[(ListKey, u128)], room: &mut Room) -> Self {
        // Of a fact that is put twice the last one counts.
        let last = |place: usize, key: &Key| change.puts[place + 1..].iter().all(|(later, _)| later != key);
        let puts = change.puts.iter().enumerate().filter(|(place, (key, _))| last(*place, key));
        let puts: Vec<_> = puts.map(|(_, (key, entity))| (*key, entity)).collect();
        Self::put_together(&change.record, &puts, |entity, out| record::encode_entity_into(entity, out), lists, room)
    }

    /// The body of a change that was kept elsewhere.
    pub fn kept(change: &KeptChange) -> Self {
        let copy = |bytes: &Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(bytes);
        Self::put_together(&change.record.bytes, &change.facts, copy, &change.lists, &mut Room::new())
    }

    fn put_together<F>(
        record: &[u8],
        puts: &[(Key, F)],
        encode: impl Fn(&F, &mut Vec<u8>),
        lists: &[(ListKey, u128)],
        Room(bytes): &mut Room,
    ) -> Self {
        bytes.clear();
        (record.len() as u64).put(bytes);
        bytes.extend_from_slice(record);
        (puts.len() as u64).put(bytes);
        let place = |(key, put): &(Key, F)| {
            let name = framed::<1>(bytes, |out| key.write(out));
            let fact = framed::<2>(bytes, |out| encode(put, out));
            Place::new(name, fact).expect("a change is far smaller than four gigabytes")
        };
        let facts = puts.iter().map(place).collect();
        (lists.len() as u64).put(bytes);
        let first = bytes.len();
        for (list, subject) in lists {
            bytes.push(list.kind as u8);
            bytes.extend_from_slice(&list.of);
            bytes.extend_from_slice(&subject.to_be_bytes());
        }
        Self { bytes: bytes.as_slice().into(), facts, lists: first }
    }

    /// Reads a body again.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = bytes;
        take(&mut input)?;
        let count = length(&mut input)?;
        let mut facts = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let name = take(&mut input)?;
            let name = (bytes.len() - input.len() - name.len())..(bytes.len() - input.len());
            Key::from_bytes(&bytes[name.clone()]).ok_or(DecodeError::Value)?;
            let fact = take(&mut input)?;
            let end = bytes.len() - input.len();
            facts.push(Place::new(name, end - fact.len()..end).ok_or(DecodeError::Value)?);
        }
        let count = length(&mut input)?;
        let lists = bytes.len() - input.len();
        if count.checked_mul(LIST_ROW) != Some(input.len()) {
            return Err(if input.len() / LIST_ROW < count { DecodeError::Short } else { DecodeError::Trailing });
        }
        if input.chunks_exact(LIST_ROW).any(|row| ListKind::from_code(row[0]).is_none()) {
            return Err(DecodeError::Value);
        }
        Ok(Self { bytes: bytes.into(), facts: facts.into(), lists })
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The names of its facts, as [`Key::to_bytes`] writes them.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.facts.iter().map(|place| &self.bytes[wide(&place.name)])
    }

    /// Name and bytes of one of its facts, by its place among them.
    pub fn fact_at(&self, place: usize) -> (&[u8], &[u8]) {
        let Place { name, fact } = &self.facts[place];
        (&self.bytes[wide(name)], &self.bytes[wide(fact)])
    }

    pub fn facts(&self) -> impl Iterator<Item = (Key, &[u8])> {
        let key = |name: &Range<u32>| Key::from_bytes(&self.bytes[wide(name)]).expect("was a key when it was written");
        self.facts.iter().map(move |place| (key(&place.name), &self.bytes[wide(&place.fact)]))
    }

    /// One of its facts.
    pub fn fact(&self, wanted: &Key) -> Result<Entity, DecodeError> {
        let name = wanted.to_bytes();
        let found = self.facts.iter().find(|place| self.bytes[wide(&place.name)] == name[..]);
        record::decode_entity(&self.bytes[wide(&found.ok_or(DecodeError::Value)?.fact)])
    }

    /// How many facts it has.
    pub fn count(&self) -> usize {
        self.facts.len()
    }

    /// Its list rows.
    pub fn lists(&self) -> impl ExactSizeIterator<Item = (ListKey, u128)> {
        self.bytes[self.lists..].as_chunks::<LIST_ROW>().0.iter().map(|row| {
            let kind = ListKind::from_code(row[0]).expect("was a kind when it was written");
            let (mut of, mut subject) = ([0; 16], [0; 16]);
            of.copy_from_slice(&row[1..17]);
            subject.copy_from_slice(&row[17..]);
            (ListKey { kind, of }, u128::from_be_bytes(subject))
        })
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
    KeptChange { record, facts, lists: body.lists().collect() }
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
