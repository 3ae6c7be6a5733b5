//! A data set as one stream: the secret, and the row of every change in order. A row is all there is of a change, so this is
//! the whole data set; the index is made anew. Read while the store runs: what was durable when it began is what it holds.
//!
//! `gongji backup 2`, a line feed; secret; how many changes; link of the last; per change the length of its row (four bytes)
//! and the row; four bytes `ff`; SHA-256 of all before. Numbers are big-endian.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::open::{EmbeddedOptions, OpenError};
use super::pipeline::Queued;
use super::row::{self, Body};
use super::{EmbeddedStore, Shared, lock};
use crate::store::{Head, Store, StoreError, chain};

const MAGIC: &[u8; 16] = b"gongji backup 2\n";
const END: u32 = u32::MAX;
/// No row is as long: what says so is damaged.
const ROW_MAX: u32 = 256 << 20;
/// Rows read at a time, between which others have the disk.
const CHUNK: usize = 256;
/// Rows handed to the store at a time, in bytes.
const BATCH_BYTES: usize = 1 << 20;

/// Why there is no backup, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("this is no backup of a gongji data set, or one of another format")]
    NotABackup,
    #[error("the backup was not finished: it breaks off after {0} changes")]
    Unfinished(u64),
    /// What is wrong with a place, which it names.
    #[error("{0}")]
    Place(String),
    #[error("the backup is damaged at change {0}")]
    Damaged(u64),
}

impl EmbeddedStore {
    /// Writes everything that is durable now; tells changes as they are written, and how many there are in all.
    pub fn write_backup(&self, out: impl Write, mut told: impl FnMut(u64, u64)) -> Result<Head, BackupError> {
        let until = self.durable();
        let mut out = Hashing { inner: out, hash: Sha256::new() };
        let last = match until {
            0 => Head::EMPTY,
            _ => {
                let last = self.shared.disk()?.get().records(until, until, 1)?.pop();
                last.map(|last| Head { position: until, link: last.link, at: last.at })
                    .ok_or(StoreError::Unavailable)?
            }
        };
        out.write_all(MAGIC)?;
        out.write_all(&self.secret())?;
        out.write_all(&until.to_be_bytes())?;
        out.write_all(&last.link)?;
        let mut next = 1;
        while next <= until {
            let rows = self.shared.disk()?.get().rows(next, until, CHUNK)?;
            if rows.is_empty() {
                return Err(BackupError::Damaged(next));
            }
            for row in rows {
                let length = u32::try_from(row.len()).map_err(|_| BackupError::Damaged(next))?;
                out.write_all(&length.to_be_bytes())?;
                out.write_all(&row)?;
                next += 1;
            }
            told(next - 1, until);
        }
        out.write_all(&END.to_be_bytes())?;
        let hash = out.hash.finalize();
        out.inner.write_all(&hash)?;
        out.inner.flush()?;
        Ok(last)
    }

    /// Makes a data set of a backup in a directory that is absent or empty. It is whole when this returns, and not before.
    pub fn restore(dir: &Path, input: impl Read, mut told: impl FnMut(u64, u64)) -> Result<Head, BackupError> {
        let mut backup = Backup::begin(input)?;
        let store = Self::open(&EmbeddedOptions::new(dir, backup.secret))?;
        if store.applied_head() != Head::EMPTY {
            return Err(OpenError::NotADataSet { dir: dir.to_owned() }.into());
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some((head, content_hash, body)) = backup.next()? {
            bytes += body.len();
            rows.push((head, content_hash, body));
            if bytes >= BATCH_BYTES {
                store.shared.append(std::mem::take(&mut rows))?;
                bytes = 0;
                told(backup.at.position, backup.until);
            }
        }
        store.shared.append(rows)?;
        told(backup.at.position, backup.until);
        store.shut()?;
        Ok(backup.at)
    }

    /// Reads a backup to its end without keeping it, as it comes or as it lies.
    pub fn read_backup(input: impl Read, mut told: impl FnMut(u64, u64)) -> Result<Head, BackupError> {
        let mut backup = Backup::begin(input)?;
        while backup.next()?.is_some() {
            if backup.at.position.is_multiple_of(CHUNK as u64) {
                told(backup.at.position, backup.until);
            }
        }
        told(backup.at.position, backup.until);
        Ok(backup.at)
    }
}

impl Shared {
    /// Takes in rows of another data set behind those there are; before anybody else sees the store.
    fn append(&self, rows: Vec<(Head, [u8; 32], Body)>) -> Result<(), StoreError> {
        let mut pipeline = lock(&self.pipeline);
        for (head, content_hash, body) in rows {
            pipeline = self.wait_for_room(pipeline);
            self.progress.check()?;
            pipeline.append(Arc::new(Queued { head, content_hash, body }));
            if pipeline.wants_flusher() {
                self.work.notify_one();
            }
        }
        Ok(())
    }
}

/// A backup that is being read: every row is checked against the chain.
struct Backup<R> {
    input: Hashing<R>,
    secret: [u8; 32],
    until: u64,
    last: [u8; 32],
    at: Head,
}

impl<R: Read> Backup<R> {
    fn begin(input: R) -> Result<Self, BackupError> {
        let mut input = Hashing { inner: input, hash: Sha256::new() };
        let magic: [u8; 16] = input.array().map_err(|_| BackupError::NotABackup)?;
        if magic != *MAGIC {
            return Err(BackupError::NotABackup);
        }
        let cut = |error| cut_off(error, 0);
        let secret = input.array().map_err(cut)?;
        let until = u64::from_be_bytes(input.array().map_err(cut)?);
        let last = input.array().map_err(cut)?;
        Ok(Self { input, secret, until, last, at: Head::EMPTY })
    }

    /// The next change with its place in the chain; none when the backup has ended as it should.
    fn next(&mut self) -> Result<Option<(Head, [u8; 32], Body)>, BackupError> {
        let done = self.at.position;
        let damaged = || BackupError::Damaged(done + 1);
        let length = u32::from_be_bytes(self.input.array().map_err(|error| cut_off(error, done))?);
        if length == END {
            let hash: [u8; 32] = self.input.hash.clone().finalize().into();
            let told: [u8; 32] = self.input.array().map_err(|error| cut_off(error, done))?;
            let whole = hash == told && (done, self.at.link) == (self.until, self.last);
            return if whole { Ok(None) } else { Err(damaged()) };
        }
        if length > ROW_MAX || done >= self.until {
            return Err(damaged());
        }
        // Grows with what comes, whatever the length says.
        let mut bytes = Vec::new();
        self.input.by_ref().take(length.into()).read_to_end(&mut bytes).map_err(|error| cut_off(error, done))?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(BackupError::Unfinished(done));
        }
        let (record, body) = row::read(done + 1, &bytes).map_err(|_| damaged())?;
        let head = self.at.next(&record.content_hash, record.at);
        if chain::content_hash(&record.bytes) != record.content_hash || (head.link, head.at) != (record.link, record.at)
        {
            return Err(damaged());
        }
        self.at = head;
        Ok(Some((head, record.content_hash, body)))
    }
}

fn cut_off(error: io::Error, done: u64) -> BackupError {
    if error.kind() == ErrorKind::UnexpectedEof { BackupError::Unfinished(done) } else { error.into() }
}

/// Hashes what goes through.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(bytes)?;
        self.hash.update(&bytes[..length]);
        Ok(length)
    }
}

impl<T: Read> Hashing<T> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
