//! The end of the newest journal, looked at before fjall opens it.
//!
//! While the last batch is being synced its pages may reach the disk in any order. If the power goes then, the batch may
//! lack its end, or have its end and holes of zeros anywhere before it. It was never acknowledged, since it was never
//! synced; so it is cut off, and only it. fjall itself would take some of these for damage, and would cut off any batch
//! whose framing is broken together with everything behind it. Here, what is not sound is a torn last batch only if no
//! sound batch follows, and either its end is missing or a sector of it is zero. Anything else is damage, and is
//! refused: an acknowledged batch is never thrown away.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// The least that a disk writes at once.
const SECTOR: usize = 512;

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

/// Cuts a torn last batch off the newest journal. `false` says that the journal is damaged otherwise.
pub(super) fn cut_torn_batch(data: &Path) -> io::Result<bool> {
    let Some(journal) = newest_journal(data)? else { return Ok(true) };
    let bytes = fs::read(&journal)?;
    match end_of(&bytes) {
        End::Sound => Ok(true),
        End::Damaged(start) => {
            tracing::error!(journal = %journal.display(), start, "a journal is damaged in its middle");
            Ok(false)
        }
        End::Torn(start) => {
            let length = bytes.len() - start;
            tracing::warn!(start, length, "cutting off a batch that a power cut tore; it was never acknowledged");
            let file = OpenOptions::new().write(true).open(&journal)?;
            file.set_len(start as u64)?;
            file.sync_all()?;
            Ok(true)
        }
    }
}

fn newest_journal(data: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let number = path.extension().filter(|extension| *extension == "jnl").and(path.file_stem());
        if let Some(number) = number.and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Reads batch after batch, and judges the first that is not sound.
fn end_of(bytes: &[u8]) -> End {
    let mut start = 0;
    while let Some(batch) = Batch::read(bytes, start).filter(|batch| batch.sound) {
        start = batch.end;
    }
    let tail = &bytes[start..];
    // Journals are made longer than they are: zeros at the end are nothing.
    let Some(last) = tail.iter().rposition(|byte| *byte != 0) else { return End::Sound };
    let written = &tail[..=last];
    // A sound batch later on means that the unsound one had been synced.
    let begins = (1..written.len()).filter(|at| written[*at] == START);
    if begins.into_iter().any(|at| Batch::read(written, at).is_some_and(|batch| batch.sound)) {
        return End::Damaged(start);
    }
    let ended = written.ends_with(TRAILER);
    // The batch begins inside a sector that was written before: of that one, the batch's own part may be lost.
    let end = start + written.len();
    let first = start.next_multiple_of(SECTOR).min(end);
    let zero = |from: usize, to: usize| from < to && bytes[from..to].iter().all(|byte| *byte == 0);
    let hole = zero(start, first)
        || (first..).step_by(SECTOR).take_while(|at| at + SECTOR <= end).any(|at| zero(at, at + SECTOR));
    if ended && !hole { End::Damaged(start) } else { End::Torn(start) }
}

struct Batch {
    end: usize,
    sound: bool,
}

impl Batch {
    /// `None` where no batch is framed.
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let mut input = Input { bytes, at: start };
        if input.take(1)? != [START] {
            return None;
        }
        let items = u32::from_le_bytes(input.array()?);
        input.take(8)?; // sequence number
        let first = input.at;
        for _ in 0..items {
            match input.take(1)? {
                [2] => {
                    input.take(1 + 1 + 8)?; // kind, compression, keyspace
                    let key = u16::from_le_bytes(input.array()?);
                    input.take(4)?; // length before compression
                    let value = u32::from_le_bytes(input.array()?);
                    input.take(usize::from(key))?;
                    input.take(usize::try_from(value).ok()?)?;
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
        Some(Self { end: input.at, sound: xxh3_64(&bytes[first..last]) == checksum })
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
        assert_eq!(end_of(&bytes), expected);
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
    }
}
