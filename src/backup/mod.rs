//! `gongji backup` and `gongji restore`: the whole data set as one file, taken while the server runs, and a data set made of
//! it. Nothing counts that has not come to its end: a backup is renamed to its name when it is whole, a restored data set
//! when its head is the backup's.

pub mod socket;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::ledger::page::hex;
use crate::store::Head;
use crate::store::embedded::{BackupError, EmbeddedStore, OpenError};
use crate::terminal::say;

/// The file of a backup, and what it is called until it is whole.
const CHANGES: &str = "changes";
const UNFINISHED: &str = "changes.unfinished";
/// Behind the name of a data directory: it is being made there, of a backup or of another data set.
const RESTORING: &str = ".restoring";
pub(crate) const COPYING: &str = ".copying";
/// Says in words what the backup is of.
const HEAD: &str = "HEAD";
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// `gongji backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Nightly, from cron:\n  \
    15 2 * * *  gongji backup --data-dir /var/lib/gongji --to /backup/gongji-$(date +\\%F)\n\
    It holds names, numbers and the secret of the data set: keep it as you keep the data directory.")]
pub struct BackupOptions {
    /// Data directory of the server, running or not.
    #[arg(long, env = "GONGJI_DATA_DIR", value_name = "DIR", default_value = "gongji-data")]
    data_dir: PathBuf,
    /// Where the backup goes: a directory outside the data directory that is absent or empty, or holds one that was broken off.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// `gongji restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreOptions {
    /// Directory of the backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The data directory to make: absent or empty.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Takes a backup.
pub fn backup(options: &BackupOptions) -> Result<(), String> {
    let head = take(&options.data_dir, &options.to).map_err(|error| told(&options.data_dir, &error))?;
    say!("{}: {} changes, digest {}", options.to.display(), head.position, hex(&head.link));
    Ok(())
}

fn told(place: &Path, error: &BackupError) -> String {
    match error {
        BackupError::Open(OpenError::InUse { dir }) => {
            format!("{} is in use and nobody hands out backups there; see the server's log", dir.display())
        }
        // These name their place.
        BackupError::Open(_) | BackupError::Place(_) => error.to_string(),
        BackupError::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<NotKept>()) => error.to_string(),
        BackupError::Io(_)
        | BackupError::Store(_)
        | BackupError::NotABackup
        | BackupError::Unfinished(_)
        | BackupError::Damaged(_) => format!("{}: {error}", place.display()),
    }
}

fn take(data_dir: &Path, to: &Path) -> Result<Head, BackupError> {
    if lies_in(to, data_dir)? {
        let what = "lies in the data directory and would be lost with it; name a place outside";
        return Err(BackupError::Place(format!("--to {} {what}", to.display())));
    }
    let nothing_there =
        |error| BackupError::Place(format!("--to {}: no backup can be made there: {error}", to.display()));
    if to.try_exists().map_err(nothing_there)? {
        let mut names = fs::read_dir(to).map_err(nothing_there)?.map(|entry| entry.map(|entry| entry.file_name()));
        if names.any(|name| name.map_or(true, |name| name != UNFINISHED && name != HEAD)) {
            return Err(BackupError::Place(format!("--to {} is not empty", to.display())));
        }
    }
    let server = socket::ask(data_dir, PATIENCE)?;
    // Opened before anything is made for it.
    let store = if server.is_none() { Some(EmbeddedStore::open_existing(data_dir)?) } else { None };
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(nothing_there)?;
    let unfinished = to.join(UNFINISHED);
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished);
    let file = file.map_err(nothing_there)?;
    let bar = bar("changes backed up");
    let show = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let mut out = BufWriter::with_capacity(256 << 10, Kept { file: &file, to });
    let not_kept = |error| not_kept(to, &error);
    let head = match (server, store) {
        (Some(server), _) => {
            // Read as it comes, so that what is kept has been checked to its last byte.
            let tee = Tee { from: BufReader::with_capacity(256 << 10, server), to: &mut out };
            EmbeddedStore::read_backup(tee, show)?
        }
        (None, Some(store)) => store.write_backup(&mut out, show)?,
        (None, None) => return Err(OpenError::Absent { dir: data_dir.to_owned() }.into()),
    };
    out.flush()?;
    drop(out);
    file.sync_all().map_err(not_kept)?;
    bar.finish_and_clear();
    let words = format!("changes {}\ndigest {}\ncommitted_at {}\n", head.position, hex(&head.link), head.at);
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(to.join(HEAD));
    let written = file.and_then(|mut file| file.write_all(words.as_bytes()).and_then(|()| file.sync_all()));
    let named = written.and_then(|()| fs::rename(&unfinished, to.join(CHANGES)));
    named.and_then(|()| File::open(to)?.sync_all()).map_err(not_kept)?;
    Ok(head)
}

/// Says where writing failed: what is read and what is written meet in one error otherwise.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotKept(String);

fn not_kept(to: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), NotKept(format!("--to {}: the backup is not finished: {error}", to.display())))
}

/// The file that a backup is written to.
struct Kept<'a> {
    file: &'a File,
    to: &'a Path,
}

impl Write for Kept<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| not_kept(self.to, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| not_kept(self.to, &error))
    }
}

/// Whether a place that may not be there yet is a folder or lies in it, whatever links and dots name either.
fn lies_in(place: &Path, folder: &Path) -> io::Result<bool> {
    let Ok(folder) = fs::canonicalize(folder) else { return Ok(false) };
    let place = std::path::absolute(place)?;
    // Up to what is there: only that can be a link, and what is yet to be made cannot lead elsewhere.
    let there = place.ancestors().find_map(|above| fs::canonicalize(above).ok());
    Ok(there.is_some_and(|there| there.starts_with(&folder)))
}

/// Makes a data set of a backup.
pub fn restore(options: &RestoreOptions) -> Result<(), String> {
    let head = make(&options.from, &options.data_dir).map_err(|error| told(&options.from, &error))?;
    say!("{}: {} changes, digest {}", options.data_dir.display(), head.position, hex(&head.link));
    say!("gongji ledger verify --data-dir {} reads all of it again", options.data_dir.display());
    Ok(())
}

fn make(from: &Path, data_dir: &Path) -> Result<Head, BackupError> {
    let changes = match File::open(from.join(CHANGES)) {
        Ok(file) => file,
        Err(_) if from.join(UNFINISHED).try_exists()? => {
            return Err(
                io::Error::other("the backup was broken off before its end; there is nothing to restore").into()
            );
        }
        Err(error) => return Err(error.into()),
    };
    let words = fs::read_to_string(from.join(HEAD))?;
    if data_dir.try_exists()? && fs::read_dir(data_dir)?.next().is_some() {
        return Err(io::Error::other(format!("{} is not empty", data_dir.display())).into());
    }
    // Made beside its place and moved there when it is whole.
    let (new, data_dir) = (beside(data_dir, RESTORING)?, &plain(data_dir));
    if new.try_exists()? {
        if !is_ours(&new)? {
            return Err(io::Error::other(format!("{} is in the way", new.display())).into());
        }
        // What an earlier attempt left, unless that is still going on.
        if let Err(error @ OpenError::InUse { .. }) = EmbeddedStore::open_existing(&new) {
            return Err(error.into());
        }
        fs::remove_dir_all(&new)?;
    }
    let bar = bar("changes restored");
    let input = BufReader::with_capacity(256 << 10, changes);
    let head = EmbeddedStore::restore(&new, input, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    // Opened as a server would, and asked where it stands.
    let store = EmbeddedStore::open_existing(&new)?;
    let found = store.applied_head();
    drop(store);
    if found != head || !words.contains(&format!("digest {}\n", hex(&head.link))) {
        return Err(BackupError::Damaged(head.position));
    }
    fs::rename(&new, data_dir)?;
    let parent = fs::canonicalize(data_dir)?;
    File::open(parent.parent().unwrap_or(&parent))?.sync_all()?;
    Ok(head)
}

/// Whether a folder holds what making a data set leaves, however early it was broken off, and nothing else.
fn is_ours(dir: &Path) -> io::Result<bool> {
    let known = ["LOCK", "FORMAT", "FORMAT.new", "data", "data.new"];
    let mut names = fs::read_dir(dir)?;
    names.try_fold(true, |ours, entry| {
        Ok(ours && known.iter().any(|name| entry.as_ref().is_ok_and(|it| it.file_name() == *name)))
    })
}

/// What a restore or a copy to this folder left, that did not come to its end or is still going on.
pub(crate) fn unfinished(dir: &Path) -> Option<PathBuf> {
    // By its own name too, where it was named through a link or as the folder one is in.
    let named = [Some(dir.to_owned()), fs::canonicalize(dir).ok()];
    let places = named.iter().flatten().flat_map(|dir| [RESTORING, COPYING].map(|ending| beside(dir, ending)));
    places.flatten().find(|made_in| made_in.exists())
}

/// A folder's name without the slashes that may stand behind it.
pub(crate) fn plain(dir: &Path) -> PathBuf {
    dir.components().collect()
}

/// A name beside a folder's, where it is made until it is whole.
pub(crate) fn beside(dir: &Path, ending: &str) -> io::Result<PathBuf> {
    let Some(name) = dir.file_name() else {
        return Err(io::Error::other(format!("{} has no name of its own; name the folder to make", dir.display())));
    };
    let mut name = name.to_owned();
    name.push(ending);
    Ok(plain(dir).with_file_name(name))
}

/// A bar that shows nothing where there is no terminal.
pub(crate) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} [{elapsed}]") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Keeps what is read.
struct Tee<R, W> {
    from: R,
    to: W,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(bytes)?;
        self.to.write_all(&bytes[..length])?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_stands_beside_its_place() {
        for (dir, expected) in [
            ("new", Some("new.x")),
            ("new/", Some("new.x")),
            ("a/new//", Some("a/new.x")),
            ("/a/new/.", Some("/a/new.x")),
            ("./new", Some("./new.x")),
            ("../new/", Some("../new.x")),
            (".", None),
            ("..", None),
            ("/", None),
        ] {
            assert_eq!(beside(Path::new(dir), ".x").ok(), expected.map(PathBuf::from), "{dir}");
        }
    }
}
