//! Cutting off what a power cut tore, where fjall refuses.
//!
//! While the last batch is being synced its pages may reach the disk in any order. If the power goes then, the batch may
//! have its end and a hole of zeros in its middle. fjall cuts off a batch without an end, but takes this one for damage
//! and does not open. It was never acknowledged, since it was never synced; so it is cut off here, and only it: the
//! checksum must be wrong, nothing may follow, and there must be a whole sector of zeros in it. Anything else is damage.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// The least that a disk writes at once.
const SECTOR: usize = 512;

/// What ends a batch in a journal of fjall's format 3.
const TRAILER: &[u8] = b"FJL\x03";

/// Cuts a torn last batch off the newest journal. Says whether there was one.
pub(super) fn cut_torn_batch(data: &Path) -> io::Result<bool> {
    let Some(journal) = newest_journal(data)? else { return Ok(false) };
    let bytes = fs::read(&journal)?;
    let Some(start) = torn_batch(&bytes) else { return Ok(false) };
    let length = bytes.len() - start;
    tracing::warn!(journal = %journal.display(), start, length, "cutting off a batch that a power cut tore; it was never acknowledged");
    let file = OpenOptions::new().write(true).open(&journal)?;
    file.set_len(start as u64)?;
    file.sync_all()?;
    Ok(true)
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

/// Where the last batch begins, if it is one that a power cut tore.
fn torn_batch(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let batch = Batch::read(bytes, start)?;
        if batch.sound {
            start = batch.end;
            continue;
        }
        let last = bytes[batch.end..].iter().all(|byte| *byte == 0);
        let mut sectors = (start.next_multiple_of(SECTOR)..).step_by(SECTOR).take_while(|at| at + SECTOR <= batch.end);
        let hole = sectors.any(|at| bytes[at..at + SECTOR].iter().all(|byte| *byte == 0));
        return (last && hole).then_some(start);
    }
}

struct Batch {
    end: usize,
    sound: bool,
}

impl Batch {
    /// `None` where no batch is framed: fjall cuts there by itself.
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let mut input = Input { bytes, at: start };
        if input.take(1)? != [1] {
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
