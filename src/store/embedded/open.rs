//! Opening: whose directory it is, whether this version may touch it, and only then the database.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, PersistMode};

use super::disk::Disk;
use super::faults::Faults;
use super::files;
use super::repair;

/// The format this version writes.
const FORMAT: u32 = 2;
/// The oldest format this version reads. Format 1 was never released.
const OLDEST: u32 = 2;
/// The oldest version of this program, by its format, that may open what this one writes.
const READER: u32 = 2;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";
const DATA: &str = "data";
const NEW_DATA: &str = "data.new";
const NEW_FORMAT: &str = "FORMAT.new";
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
    /// Keys whose last change is remembered, at some hundred bytes each: half as many at least, and more while the index lags.
    /// A change whose look is older than this memory is told `Conflict`, so it must span the slowest decision.
    pub recent_keys: usize,
    /// What may wait for the disk. Past it, commits block until there is room.
    pub queue_bytes: usize,
    /// Rows of changes that gather before the index is brought up to date: read again at the next start. They
    /// are held in memory, decoded too; past twice as many, commits wait for the index.
    pub index_bytes: usize,
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
            index_bytes: 128 << 20,
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
    #[error(
        "{} was written by an older version in format {found}, and this one reads formats from {oldest} on; it was left \
         as it is: open it with the version that wrote it",
        dir.display()
    )]
    OlderFormat { dir: PathBuf, found: u32, oldest: u32 },
    #[error("there is no gongji data set in {}", dir.display())]
    Absent { dir: PathBuf },
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
    let lock = lock(dir)?;
    check_format(dir)?;
    let data = dir.join(DATA);
    if !data.try_exists().map_err(io)? {
        make(options, &data)?;
    }
    if let Err(file) = files::check_lists(&data).map_err(io)? {
        return Err(OpenError::damaged(dir, format_args!("{} is not as it was written", file.display())));
    }
    let journals = repair::judge(&data).map_err(io)?;
    if !journals.sound {
        return Err(OpenError::damaged(dir, "a journal is damaged"));
    }
    let disk = database(options, &data);
    let disk = disk.and_then(|db| Disk::new(db, Some(lock))).map_err(fjall_error(dir))?;
    let newest = disk.last_head().map_err(|cause| OpenError::damaged(dir, cause))?.position;
    if newest < journals.newest_change {
        return Err(OpenError::damaged(dir, "changes that are in a journal are missing"));
    }
    let kept = disk.meta.get(SECRET).map_err(fjall_error(dir))?;
    let kept = kept.ok_or_else(|| OpenError::damaged(dir, "its secret is missing"))?;
    let secret = <[u8; 32]>::try_from(&kept[..]).map_err(|_| OpenError::damaged(dir, "its secret is cut short"))?;
    Ok((disk, secret))
}

/// Refuses a directory that holds no data set.
pub(super) fn must_exist(dir: &Path) -> Result<(), OpenError> {
    // One whose making was cut off holds nothing yet.
    for name in [FORMAT_FILE, DATA] {
        // Who may not look does not know that there is nothing.
        let there = dir.join(name).try_exists().map_err(|source| OpenError::Io { dir: dir.to_owned(), source })?;
        if !there {
            return Err(OpenError::Absent { dir: dir.to_owned() });
        }
    }
    Ok(())
}

/// Makes the directory this process's, for as long as the file is held.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK_FILE)).map_err(io)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { dir: dir.to_owned() },
        TryLockError::Error(source) => io(source),
    })?;
    Ok(lock)
}

/// Makes the database beside its place and moves it there when it is whole, so that a stop halfway is made good by
/// beginning again: nothing was ever recorded in what is then thrown away.
fn make(options: &EmbeddedOptions, data: &Path) -> Result<(), OpenError> {
    let dir = &options.dir;
    let io = |source| OpenError::Io { dir: dir.clone(), source };
    let found = fjall_error(dir);
    let new = dir.join(NEW_DATA);
    if new.try_exists().map_err(io)? {
        fs::remove_dir_all(&new).map_err(io)?;
    }
    // The caller holds the lock.
    let disk = database(options, &new).and_then(|db| Disk::new(db, None)).map_err(found)?;
    disk.meta.insert(SECRET, options.secret).map_err(found)?;
    disk.db.persist(PersistMode::SyncAll).map_err(found)?;
    // Out of the journal, which is kept for as long as it holds the only copy of anything.
    disk.meta.rotate_memtable_and_wait().map_err(found)?;
    drop(disk);
    // fjall does not sync the directories it makes directories in, nor is there anybody else to sync those above ours.
    sync_tree(&new).and_then(|()| sync_upwards(dir)).map_err(io)?;
    fs::rename(&new, data).and_then(|()| sync_dir(dir)).map_err(io)
}

/// The names in a directory survive a power cut.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Every file and name below a directory survives too.
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
            other => other?,
        }
    }
    Ok(())
}

fn database(options: &EmbeddedOptions, data: &Path) -> fjall::Result<Database> {
    Database::builder(data)
        .cache_size(options.cache_bytes)
        // With several, the first hands compactions on to the others, over and over while these are busy: it spins.
        .worker_threads(1)
        .manual_journal_persist(true)
        .open()
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the errors are another library's and may grow: the others are damage"
)]
fn fjall_error(dir: &Path) -> impl Fn(fjall::Error) -> OpenError + Copy + '_ {
    move |error| match error {
        fjall::Error::Locked => OpenError::InUse { dir: dir.to_owned() },
        fjall::Error::Io(source) => OpenError::Io { dir: dir.to_owned(), source },
        other => OpenError::damaged(dir, other),
    }
}

/// Reads the format before anything else is read or changed, or writes it into a directory that is empty.
fn check_format(dir: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    let path = dir.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let foreign = fs::read_dir(dir).map_err(io)?.any(|entry| {
                entry.map_or(true, |entry| entry.file_name() != LOCK_FILE && entry.file_name() != NEW_FORMAT)
            });
            if foreign {
                return Err(OpenError::NotADataSet { dir: dir.to_owned() });
            }
            let text = format!("{FIRST_LINE}\nformat {FORMAT}\nreader {READER}\n");
            // Written beside and renamed, so that it is there whole or not at all.
            let new = dir.join(NEW_FORMAT);
            let mut file = File::create(&new).map_err(io)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            fs::rename(&new, &path).map_err(io)?;
            sync_dir(dir).map_err(io)?;
            text
        }
        Err(error) => return Err(io(error)),
    };
    let number = |name: &str| {
        let rest = text.strip_prefix(FIRST_LINE)?;
        rest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse::<u32>().ok()
    };
    let (Some(format), Some(reader)) = (number("format"), number("reader")) else {
        return Err(OpenError::damaged(dir, "its FORMAT file cannot be understood"));
    };
    if reader > FORMAT {
        return Err(OpenError::NewerFormat { dir: dir.to_owned(), found: reader, supported: FORMAT });
    }
    if format < OLDEST {
        return Err(OpenError::OlderFormat { dir: dir.to_owned(), found: format, oldest: OLDEST });
    }
    Ok(())
}
