//! Opening: whose directory it is, whether this version may touch it, and only then the database.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

use super::disk::Disk;
use super::faults::Faults;

/// The format this version writes.
const FORMAT: u32 = 1;
/// The oldest version of this program, by its format, that may open what this one writes.
const READER: u32 = 1;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.new";
/// There from the first to the last step of making a data set.
const MAKING_FILE: &str = "MAKING";
const DATA: &str = "data";
const FIRST_LINE: &str = "gongji embedded data set";
const SECRET: &[u8] = b"secret";

/// How to open a data set. All sizes are bounds on memory, none changes what is stored.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    pub dir: PathBuf,
    /// The secret of the data set, if it is made by this call; an existing one keeps its own.
    pub secret: [u8; 32],
    /// Blocks of the database kept in memory.
    pub cache_bytes: u64,
    /// Decoded facts kept in memory, by number.
    pub cached_facts: usize,
    /// Keys whose last change is remembered, at 64 bytes each. A change whose look is older than this memory is told
    /// `Conflict`, so it must span the slowest decision.
    pub recent_keys: usize,
    /// What may wait for the disk. Past it, commits block until there is room.
    pub queue_bytes: usize,
    /// For the suite.
    pub faults: Option<Arc<Faults>>,
}

impl EmbeddedOptions {
    /// Sizes for a server that has a gigabyte to spare.
    pub fn new(dir: impl Into<PathBuf>, secret: [u8; 32]) -> Self {
        Self {
            dir: dir.into(),
            secret,
            cache_bytes: 256 << 20,
            cached_facts: 200_000,
            recent_keys: 400_000,
            queue_bytes: 64 << 20,
            faults: None,
        }
    }
}

/// Why a data set cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another process; an embedded data set serves one process at a time", dir.display())]
    InUse { dir: PathBuf },
    #[error(
        "{} was written by a newer version: it asks for a reader of format {found} and this one reads up to {supported}",
        dir.display()
    )]
    NewerFormat { dir: PathBuf, found: u32, supported: u32 },
    #[error("{} is not empty and holds no gongji data set; name an empty or absent directory for a new one", dir.display())]
    NotADataSet { dir: PathBuf },
    #[error("the data set in {} cannot be opened: {cause}", dir.display())]
    Damaged { dir: PathBuf, cause: String },
    #[error("{} cannot be used: {source}", dir.display())]
    Io { dir: PathBuf, source: io::Error },
}

impl OpenError {
    pub(super) fn damaged(dir: &Path, cause: impl std::fmt::Display) -> Self {
        Self::Damaged { dir: dir.to_owned(), cause: cause.to_string() }
    }
}

pub(super) fn open(options: &EmbeddedOptions) -> Result<(Disk, [u8; 32]), OpenError> {
    let dir = &options.dir;
    let io = |source| OpenError::Io { dir: dir.clone(), source };
    // Names, numbers and health data lie inside: for the owner alone.
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK_FILE)).map_err(io)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { dir: dir.clone() },
        TryLockError::Error(source) => io(source),
    })?;
    if check_format(dir)? {
        let disk = database(options, lock)?;
        let secret = secret(&disk, options)?;
        return Ok((disk, secret));
    }
    // A new data set is begun again from nothing until its last step, the name FORMAT, is safe: what a cut left of an
    // earlier beginning was never answered from.
    File::create(dir.join(MAKING_FILE)).map_err(io)?;
    sync_dir(dir).map_err(io)?;
    match fs::remove_dir_all(dir.join(DATA)) {
        Ok(()) => sync_dir(dir).map_err(io)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let disk = database(options, lock)?;
    let secret = secret(&disk, options)?;
    sync_tree(&dir.join(DATA)).map_err(io)?;
    sync_upwards(dir).map_err(io)?;
    write_format(dir).map_err(io)?;
    fs::remove_file(dir.join(MAKING_FILE)).map_err(io)?;
    Ok((disk, secret))
}

fn database(options: &EmbeddedOptions, lock: File) -> Result<Disk, OpenError> {
    let found = fjall_error(&options.dir);
    let db = Database::builder(options.dir.join(DATA))
        .cache_size(options.cache_bytes)
        // One flushes and one compacts; more would only contend for the cores that serve.
        .worker_threads(2)
        .manual_journal_persist(true)
        .max_journaling_size(1 << 30)
        .open()
        .map_err(found)?;
    let keyspace = |name, memtable: u64| {
        let options = || KeyspaceCreateOptions::default().manual_journal_persist(true).max_memtable_size(memtable);
        db.keyspace(name, options).map_err(found)
    };
    Ok(Disk {
        facts: keyspace("facts", 128 << 20)?,
        records: keyspace("records", 64 << 20)?,
        lists: keyspace("lists", 64 << 20)?,
        meta: keyspace("meta", 1 << 20)?,
        db,
        _lock: lock,
    })
}

/// The names in a directory survive a power cut.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Every file and name below a directory too: fjall does not sync the directories it makes directories in.
fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { sync_tree(&entry.path())? } else { File::open(entry.path())?.sync_all()? }
    }
    sync_dir(dir)
}

/// The names that lead to a directory survive too, as far up as this process may look.
fn sync_upwards(dir: &Path) -> io::Result<()> {
    for parent in fs::canonicalize(dir)?.ancestors() {
        match sync_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            // Not every file system above ours syncs directories.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && parent != dir => {}
            other => other?,
        }
    }
    Ok(())
}

fn fjall_error(dir: &Path) -> impl Fn(fjall::Error) -> OpenError + Copy + '_ {
    move |error| match error {
        fjall::Error::Locked => OpenError::InUse { dir: dir.to_owned() },
        fjall::Error::Io(source) => OpenError::Io { dir: dir.to_owned(), source },
        other => OpenError::damaged(dir, other),
    }
}

/// Reads the format before anything else is read or changed. False: there is no data set yet, and nothing else either.
fn check_format(dir: &Path) -> Result<bool, OpenError> {
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    let text = match fs::read_to_string(dir.join(FORMAT_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let begun = dir.join(MAKING_FILE).exists();
            let ours = |name: &std::ffi::OsStr| {
                name == LOCK_FILE || begun && (name == MAKING_FILE || name == FORMAT_NEW || name == DATA)
            };
            let foreign =
                fs::read_dir(dir).map_err(io)?.any(|entry| entry.map_or(true, |entry| !ours(&entry.file_name())));
            return if foreign { Err(OpenError::NotADataSet { dir: dir.to_owned() }) } else { Ok(false) };
        }
        Err(error) => return Err(io(error)),
    };
    let reader = text
        .strip_prefix(FIRST_LINE)
        .and_then(|rest| rest.lines().find_map(|line| line.strip_prefix("reader ")))
        .and_then(|number| number.trim().parse::<u32>().ok())
        .ok_or_else(|| OpenError::damaged(dir, "its FORMAT file cannot be understood"))?;
    if reader > FORMAT {
        return Err(OpenError::NewerFormat { dir: dir.to_owned(), found: reader, supported: FORMAT });
    }
    if !dir.join(DATA).exists() {
        return Err(OpenError::damaged(dir, "its directory data is missing"));
    }
    Ok(true)
}

/// Written beside and renamed, so that it is there whole or not at all.
fn write_format(dir: &Path) -> io::Result<()> {
    let new = dir.join(FORMAT_NEW);
    let mut file = File::create(&new)?;
    file.write_all(format!("{FIRST_LINE}\nformat {FORMAT}\nreader {READER}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, dir.join(FORMAT_FILE))?;
    sync_dir(dir)
}

/// The data set's own secret; made now if it has neither a secret nor a record.
fn secret(disk: &Disk, options: &EmbeddedOptions) -> Result<[u8; 32], OpenError> {
    let found = fjall_error(&options.dir);
    if let Some(kept) = disk.meta.get(SECRET).map_err(found)? {
        return <[u8; 32]>::try_from(&kept[..])
            .map_err(|_| OpenError::damaged(&options.dir, "its secret is cut short"));
    }
    if !disk.records.is_empty().map_err(found)? {
        return Err(OpenError::damaged(&options.dir, "it has records and no secret"));
    }
    disk.meta.insert(SECRET, options.secret).map_err(found)?;
    disk.db.persist(PersistMode::SyncAll).map_err(found)?;
    Ok(options.secret)
}
