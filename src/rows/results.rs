//! The results of a run over a file of rows, and beside them a note of how far it has come, so that a run that was stopped
//! goes on where it was.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Place;

/// Where a run stands: all before it is in the results.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note<S> {
    /// What was asked for: with other options, or another input, it is another run.
    task: String,
    read: Place,
    output_bytes: u64,
    summary: S,
}

/// See the module. `S` is what the run sums up.
pub struct Results<S> {
    file: File,
    out: PathBuf,
    noted: PathBuf,
    note: Note<S>,
}

impl<S: Default + Serialize + DeserializeOwned> Results<S> {
    /// Opens the results: new ones, or those of a run to go on with.
    pub fn begin(out: &Path, resume: bool, task: String) -> Result<Self, String> {
        let told = |error: std::io::Error| format!("{}: {error}", out.display());
        let mut noted = out.as_os_str().to_owned();
        noted.push(".progress");
        let noted = PathBuf::from(noted);
        let known = fs::read(&noted).ok();
        if resume {
            let known = known.ok_or_else(|| format!("{}: there is no run to go on with", noted.display()))?;
            let note: Note<S> =
                serde_json::from_slice(&known).map_err(|error| format!("{}: {error}", noted.display()))?;
            if note.task != task {
                return Err(format!(
                    "{}: the run it notes is another: other input, options, tables, day or server's data",
                    noted.display()
                ));
            }
            let mut file = OpenOptions::new().write(true).open(out).map_err(told)?;
            alone(&file, out)?;
            // What was written after the last note is done again.
            file.set_len(note.output_bytes).map_err(told)?;
            file.seek(SeekFrom::End(0)).map_err(told)?;
            return Ok(Self { file, out: out.to_owned(), noted, note });
        }
        if known.is_some() {
            return Err(format!(
                "{}: a run was stopped half-way; --resume goes on, or remove this file",
                noted.display()
            ));
        }
        let file = OpenOptions::new().write(true).create_new(true).open(out);
        let file = file.map_err(|error| {
            let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
            if is_there { format!("{}: is there already", out.display()) } else { told(error) }
        })?;
        alone(&file, out)?;
        let note = Note { task, read: Place::default(), output_bytes: 0, summary: S::default() };
        let mut results = Self { file, out: out.to_owned(), noted, note };
        results.note()?;
        Ok(results)
    }

    /// Up to where the input was read.
    pub fn read(&self) -> Place {
        self.note.read
    }

    pub fn summary(&self) -> &S {
        &self.note.summary
    }

    pub fn sum_up(&mut self, add: impl FnOnce(&mut S)) {
        add(&mut self.note.summary);
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|error| format!("{}: {error}", self.out.display()))?;
        self.note.output_bytes += bytes.len() as u64;
        Ok(())
    }

    /// All rows up to here are in the results.
    pub fn reach(&mut self, read: Place) {
        self.note.read = read;
    }

    /// Notes where the run stands. The results first, then the note: what it says is there is there.
    pub fn note(&mut self) -> Result<(), String> {
        let told = |error: std::io::Error| format!("{}: {error}", self.noted.display());
        self.file.sync_data().map_err(told)?;
        let mut fresh = self.noted.as_os_str().to_owned();
        fresh.push(".new");
        let text = serde_json::to_vec(&self.note).map_err(|error| error.to_string())?;
        fs::write(&fresh, text).map_err(told)?;
        fs::rename(&fresh, &self.noted).map_err(told)
    }

    /// A run without a note is a whole one.
    pub fn finish(self) -> Result<S, String> {
        self.file.sync_all().map_err(|error| format!("{}: {error}", self.out.display()))?;
        let _ = fs::remove_file(&self.noted);
        Ok(self.note.summary)
    }
}

/// Two runs at once would write their results over each other's.
fn alone(file: &File, out: &Path) -> Result<(), String> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(format!("{}: another run writes to it", out.display())),
        // A disk that knows no locks keeps nobody from working.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// What makes a run this run and no other: its options, and the input by name, size and time of change.
pub fn task(input: &Path, options: &[&str]) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", input.display());
    let found = fs::metadata(input).map_err(told)?;
    let (name, size) = (input.display().to_string(), found.len().to_string());
    let changed = format!("{:?}", found.modified().map_err(told)?);
    let mut hash = Sha256::new();
    for part in options.iter().copied().chain([name.as_str(), size.as_str(), changed.as_str()]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A bar over the bytes of an input.
pub fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} {msg}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Writes a summary as JSON.
pub fn write_summary(path: &Path, summary: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(summary).map_err(|error| error.to_string())?;
    fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_writes_and_a_stopped_one_goes_on() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let begin = |resume| Results::<u64>::begin(&out, resume, "task".to_owned());
        let told = |begun: Result<Results<u64>, String>| begun.map(|results| *results.summary()).unwrap_err();
        let mut first = begin(false).expect("begun");
        first.write(b"row\n").expect("written");
        first.note().expect("noted");
        assert!(told(begin(true)).ends_with("another run writes to it"));
        assert!(told(begin(false)).contains("--resume goes on"));
        drop(first);
        let second = begin(true).expect("goes on");
        assert!(told(begin(true)).ends_with("another run writes to it"));
        second.finish().expect("whole");
        assert_eq!(fs::read(&out).expect("read"), b"row\n");
        assert!(told(begin(true)).contains("there is no run to go on with"));
    }
}
