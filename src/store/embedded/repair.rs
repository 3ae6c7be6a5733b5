//! The journals, looked at before fjall opens them.
//!
//! While the last batch is being synced its pages may reach the disk in any order. If the power goes then, the batch may
//! lack its end, or have its end and holes of zeros anywhere before it. It was never acknowledged, since it was never
//! synced; so it is cut off, and only it. fjall itself would take some of these for damage, and would cut off any batch
//! whose framing is broken together with everything behind it. Here, what is not sound is a torn last batch only if no
//! sound batch follows, and either a sector of it is zero, or its end is missing from a place on where a write can have
//! been cut: between two entries, at a sector, at the end of the file. Anything else is damage, and is refused: an
//! acknowledged batch is never thrown away.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// The least that a disk writes at once.
const SECTOR: usize = 512;

/// The keyspace in which fjall keeps what it knows of the others.
const FJALL_OWN: u64 = 0;

/// What begins a batch.
const START: u8 = 1;

/// What ends a batch in a journal of fjall's format 3.
const TRAILER: &[u8] = b"FJL\x03";

/// What the end of a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Sound,
    /// A torn batch begins here.
    Torn(usize),
    /// An unsound batch begins here, and it is not one that a power cut made.
    Damaged(usize),
}

/// What the journals say.
pub(super) struct Journals {
    /// None of them is damaged; a torn last batch is cut off.
    pub sound: bool,
    /// The newest change that is in one of them; 0: none is. The database must have it.
    pub newest_change: u64,
}

/// Reads every journal, and cuts a torn last batch off the newest.
pub(super) fn judge(data: &Path) -> io::Result<Journals> {
    let journals = journals(data)?;
    let mut found = Journals { sound: true, newest_change: 0 };
    let mut sequence = 0;
    for (place, journal) in journals.iter().enumerate() {
        let bytes = fs::read(journal)?;
        let (end, batches) = end_of(&bytes);
        for batch in batches {
            // What is numbered below what came before is taken for old and left out.
            found.sound &= batch.sequence >= sequence;
            sequence = batch.sequence;
            found.newest_change = found.newest_change.max(batch.newest_change);
        }
        match end {
            End::Sound => {}
            End::Torn(start) if place + 1 == journals.len() => {
                let length = bytes.len() - start;
                tracing::warn!(start, length, "cutting off a batch that a power cut tore; it was never acknowledged");
                let file = OpenOptions::new().write(true).open(journal)?;
                file.set_len(start as u64)?;
                file.sync_all()?;
            }
            // An older journal was synced to its end before the next was begun.
            End::Torn(start) | End::Damaged(start) => {
                tracing::error!(journal = %journal.display(), start, "a journal is damaged");
                found.sound = false;
            }
        }
    }
    Ok(found)
}

/// Oldest first.
fn journals(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let number = path.extension().filter(|extension| *extension == "jnl").and(path.file_stem());
        if let Some(number) = number.and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads batch after batch, and judges the first that is not sound.
fn end_of(bytes: &[u8]) -> (End, Vec<Batch>) {
    let mut start = 0;
    let mut batches = Vec::new();
    while let Some(batch) = Batch::read(bytes, start).filter(|batch| batch.sound) {
        start = batch.end;
        batches.push(batch);
    }
    (judge_tail(bytes, start), batches)
}

fn judge_tail(bytes: &[u8], start: usize) -> End {
    let tail = &bytes[start..];
    // Journals are made longer than they are: zeros at the end are nothing.
    let Some(last) = tail.iter().rposition(|byte| *byte != 0) else { return End::Sound };
    let written = &tail[..=last];
    // A sound batch later on means that the unsound one had been synced.
    let begins = (1..written.len()).filter(|at| written[*at] == START);
    if begins.into_iter().any(|at| Batch::read(written, at).is_some_and(|batch| batch.sound)) {
        return End::Damaged(start);
    }
    let end = start + written.len();
    // The batch begins inside a sector that was written before: of that one, the batch's own part may be lost.
    let first = start.next_multiple_of(SECTOR).min(end);
    let zero = |from: usize, to: usize| from < to && bytes[from..to].iter().all(|byte| *byte == 0);
    let hole = zero(start, first)
        || (first..).step_by(SECTOR).take_while(|at| at + SECTOR <= end).any(|at| zero(at, at + SECTOR));
    let endless = !written.ends_with(TRAILER) && may_be_cut(bytes, start, end);
    if hole || endless { End::Torn(start) } else { End::Damaged(start) }
}

/// Whether a batch whose bytes are zero from `written_end` on can be one that was still being written.
fn may_be_cut(bytes: &[u8], start: usize, written_end: usize) -> bool {
    let mut at = start;
    loop {
        // What is buffered is handed on in whole entries.
        if at >= written_end {
            return true;
        }
        let (end, last) = match entry(bytes, at) {
            Entry::Whole { end, last } => (end, last),
            Entry::PastTheEnd => return true,
            Entry::Unknown => return false,
        };
        if end > written_end {
            // It may have ended in zeros; but the last one does not, and inside it a process is cut off at a page and a
            // disk at a sector.
            return !last || written_end.next_multiple_of(SECTOR) < end;
        }
        if last {
            return false;
        }
        at = end;
    }
}

enum Entry {
    Whole {
        end: usize,
        /// It ends the batch.
        last: bool,
    },
    /// The file ends before it does.
    PastTheEnd,
    Unknown,
}

/// How far the entry reaches that begins here.
fn entry(bytes: &[u8], at: usize) -> Entry {
    let mut input = Input { bytes, at };
    let mut read = || match input.take(1)? {
        [START] => input.take(4 + 8).map(|_| Some(false)),
        [2] => input.item().map(|_| Some(false)),
        [3] => input.take(8 + TRAILER.len()).map(|_| Some(true)),
        [4] => input.take(8).map(|_| Some(false)),
        _ => Some(None),
    };
    match read() {
        None => Entry::PastTheEnd,
        Some(None) => Entry::Unknown,
        Some(Some(last)) => Entry::Whole { end: input.at, last },
    }
}

struct Batch {
    end: usize,
    sound: bool,
    sequence: u64,
    /// The newest change in it, which is what a key of eight bytes names; 0: there is none.
    newest_change: u64,
}

impl Batch {
    /// `None` where no batch is framed.
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let mut input = Input { bytes, at: start };
        if input.take(1)? != [START] {
            return None;
        }
        let items = u32::from_le_bytes(input.array()?);
        let sequence = u64::from_le_bytes(input.array()?);
        let mut newest_change = 0;
        let first = input.at;
        for _ in 0..items {
            match input.take(1)? {
                [2] => {
                    let key = input.item()?;
                    newest_change = newest_change.max(<[u8; 8]>::try_from(key).map_or(0, u64::from_be_bytes));
                }
                [4] => {
                    input.take(8)?;
                }
                _ => return None,
            }
        }
        let last = input.at;
        if input.take(1)? != [3] {
            return None;
        }
        let checksum = u64::from_le_bytes(input.array()?);
        if input.take(TRAILER.len())? != TRAILER {
            return None;
        }
        Some(Self { end: input.at, sound: xxh3_64(&bytes[first..last]) == checksum, sequence, newest_change })
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// The rest of an item; its key, where it is one of ours.
    fn item(&mut self) -> Option<&'a [u8]> {
        self.take(1 + 1)?; // kind, compression
        let keyspace = u64::from_le_bytes(self.array()?);
        let key = u16::from_le_bytes(self.array()?);
        self.take(4)?; // length before compression
        let value = u32::from_le_bytes(self.array()?);
        let key = self.take(usize::from(key))?;
        self.take(usize::try_from(value).ok()?)?;
        Some(if keyspace == FJALL_OWN { &[] } else { key })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of items with values of that many bytes.
    fn batch(values: &[usize]) -> Vec<u8> {
        let mut items = Vec::new();
        for (number, length) in values.iter().enumerate() {
            items.extend_from_slice(&[2, 0, 0]);
            items.extend_from_slice(&7_u64.to_le_bytes());
            items.extend_from_slice(&1_u16.to_le_bytes());
            items.extend_from_slice(&(*length as u32).to_le_bytes());
            items.extend_from_slice(&(*length as u32).to_le_bytes());
            items.push(number as u8);
            items.extend(std::iter::repeat_n(0xab, *length));
        }
        let mut bytes = vec![START];
        bytes.extend_from_slice(&(values.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&9_u64.to_le_bytes());
        bytes.extend_from_slice(&items);
        bytes.push(3);
        bytes.extend_from_slice(&xxh3_64(&items).to_le_bytes());
        bytes.extend_from_slice(TRAILER);
        bytes
    }

    fn check(change: impl Fn(&mut Vec<u8>), expected: End) {
        let mut bytes = [batch(&[40, 700]), batch(&[900, 900, 900])].concat();
        change(&mut bytes);
        assert_eq!(end_of(&bytes).0, expected);
    }

    #[test]
    fn the_end_of_a_journal_is_judged() {
        let first = batch(&[40, 700]).len();
        let torn = End::Torn(first);
        check(|_| {}, End::Sound);
        check(|bytes| bytes.resize(bytes.len() + 5_000, 0), End::Sound);
        // The end is missing.
        check(|bytes| bytes.truncate(first + 1_000), torn);
        check(|bytes| bytes.truncate(first + 3), torn);
        // A hole in a value, in the framing, at the very beginning.
        check(|bytes| bytes[1_024..1_536].fill(0), torn);
        check(|bytes| bytes[1_536..2_560].fill(0), torn);
        check(|bytes| bytes[first..first + 1_200].fill(0), torn);
        // Only the batch's part of the sector it begins in.
        check(|bytes| bytes[first..first.next_multiple_of(SECTOR)].fill(0), torn);
        // A changed byte where everything had been written: in a value, in a length, in the first batch.
        check(|bytes| bytes[first + 500] ^= 1, End::Damaged(first));
        check(|bytes| bytes[first + 13] = 9, End::Damaged(first));
        check(|bytes| bytes[200] ^= 1, End::Damaged(0));
        check(|bytes| bytes[..520].fill(0), End::Damaged(0));
        // A process killed between two entries; a disk that stopped at a sector. Zeros were there before.
        let item = 22 + 900;
        for cut in [first + 13, first + 13 + item, first + 13 + 3 * item, 1_024, 1_536, 2_048, 3_072] {
            check(|bytes| bytes[cut..].fill(0), torn);
        }
        // Bytes of the last entry that are not as written are no such cut, zero or not.
        let end = first + 13 + 3 * item + 13;
        for at in end - 12..end {
            check(|bytes| bytes[at] ^= 0x40, End::Damaged(first));
            check(|bytes| (bytes[at] = 0, bytes.resize(end + 5_000, 0)).1, End::Damaged(first));
        }
    }
}
